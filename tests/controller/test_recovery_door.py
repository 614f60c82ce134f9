"""Who sees what of recoveries: all of them, or how those stand that touch one's own services."""

from types import SimpleNamespace

import orjson
import pytest

from controller.assurance.root_cause_observations import Observation, ObservationKind
from controller.model.errors import NotAuthorizedError, NotFoundError
from controller.northbound.auth import Principal, Role
from controller.northbound.door import Call
from controller.northbound.recovery import RecoveryDoor
from controller.recovery.states import Cue, Mode
from controller.topology.te_database import Measurement, TeDatabase
from tests.controller.test_recovery_states import PLAN, folded, story
from tests.controller.topology_samples import drawn

LINK = frozenset({"a:0>b:0"})
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


async def test_a_diagnosis_tells_each_symptom_once_and_links_that_may_have_been_late_for_ever(door):
    names = ("delay of a:0>b:0", "delay of a:0>b:0, 1 readings ago", "delay of a:0>b:0, 2 readings ago")
    symptoms = [Observation(ObservationKind.DELAY, name, "a", LINK, is_bad=True) for name in names]
    database = TeDatabase(drawn(("a", "b", 1)))
    link = next(iter(database.network.links))
    found = SimpleNamespace(
        reason="late", faults=(), hit=tuple, symptoms=lambda: symptoms, topology=SimpleNamespace(database=database)
    )
    found.collection = SimpleNamespace(unread={"a": "no answer within 30 s"})
    world = SimpleNamespace(recoveries=SimpleNamespace(damping=SimpleNamespace(suppressed=lambda _: ())))
    clock = SimpleNamespace(now=lambda: 0.0)
    told = RecoveryDoor(SimpleNamespace(world=world, mode=lambda: Mode.AUTO, clock=clock), found)
    document = orjson.loads((await told.diagnosis(call(EVERYBODY))).body)
    assert document["symptoms"] == ["delay of a:0>b:0: late"]
    assert document["suspected"] == []
    assert document["silent"] == {"a": "no answer within 30 s"}
    found.topology.database = database.with_measurements({link: Measurement(delay_seconds=0.02)})
    document = orjson.loads((await told.diagnosis(call(EVERYBODY))).body)
    assert [one["confidence"] for one in document["suspected"]] == [0.3]
    assert "takes 20 ms, 1 ms are expected" in document["suspected"][0]["symptom"]
