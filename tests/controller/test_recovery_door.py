"""Who sees what of recoveries: all of them, or how those stand that touch one's own services."""

from types import SimpleNamespace

import orjson
import pytest

from controller.model.errors import NotAuthorizedError, NotFoundError
from controller.northbound.auth import Principal, Role
from controller.northbound.door import Call
from controller.northbound.recovery import RecoveryDoor
from controller.recovery.states import Cue
from tests.controller.test_recovery_states import PLAN, folded, story

EVERYBODY = Principal("ada", frozenset({Role.READER}))
ACME = Principal("bob", frozenset({Role.READER}), ("acme*",))
OTHER = Principal("eve", frozenset({Role.READER}), ("globex",))


@pytest.fixture
def door():
    begun, *rest = story(Cue.LOCALISE, PLAN, (Cue.PROVE, {"verdict": "initech is well", "asked": True}), Cue.ASK)
    begun.data["services"] += ["initech"]
    world = SimpleNamespace(recoveries=folded([begun, *rest]))
    return RecoveryDoor(SimpleNamespace(world=world), None)


def call(principal, id_="recovery-1"):
    return Call(SimpleNamespace(path_params={"id": id_}), principal, b"", None)


async def listed(door, principal):
    return [orjson.loads((await handler(call(principal))).body) for handler in (door.list, door.inbox)]


async def shown(door, principal):
    return [orjson.loads((await handler(call(principal))).body) for handler in (door.show, door.item)]


async def test_who_reaches_everything_sees_everything(door):
    for found in [*(one for (one,) in await listed(door, EVERYBODY)), *await shown(door, EVERYBODY)]:
        assert (found["services"], len(found["remedies"]), found["reason"]) == (["acme", "initech"], 2, "so")


async def test_who_reaches_some_services_sees_how_recoveries_stand_that_touch_them_and_nothing_of_others(door):
    everything = (await shown(door, EVERYBODY))[0]
    for found in [*(one for (one,) in await listed(door, ACME)), *await shown(door, ACME)]:
        assert (found["id"], found["state"], found["services"]) == ("recovery-1", "escalated", ["acme"])
        assert found["cause"] == "link a>b"
        assert [step["state"] for step in found["steps"]] == [step["state"] for step in everything["steps"]]
        assert everything.keys() <= found.keys(), "whoever reads it finds the same members"
        assert "initech" not in str(found)


async def test_who_reaches_none_of_its_services_sees_nothing_of_a_recovery(door):
    assert await listed(door, OTHER) == [[], []]
    for handler in (door.show, door.item):
        with pytest.raises(NotAuthorizedError, match="outside the scope of 'eve'"):
            await handler(call(OTHER))
    with pytest.raises(NotFoundError):
        await door.show(call(OTHER, "recovery-9"))
