"""What a remedy is judged by: what was told since along the new ways, by those as well who have to be renewed first."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from controller.recovery.history import Recovery
from controller.recovery.remedies import Remedy
from controller.recovery.scoring import Candidate, Score
from controller.recovery.situation import Fault, FaultKind
from controller.recovery.states import RecoveryState
from controller.runtime.recovery_evidence import Finding, Verification
from controller.runtime.recovery_flows import Flows
from tests.controller.assurance_world import VirtualClock
from tests.controller.test_recovery_remedies import MIDDLE, NORTH, flow, links
from tests.controller.test_tunnel_paths import database

MOVED = flow(way=MIDDLE)
FAULT = Fault("link m", FaultKind.LINK.value, links(NORTH), False, 0.97)
MOVE = Candidate(
    Remedy("reroute", "reroute gold", flows=(MOVED.name,)), Score(0.9, (("acme", 1.0),), 0.5, 1, ("because",))
)


class Told:
    """One session of the service, along what the test says; all routers were heard, or only those that it names."""

    def __init__(self, elements, counts, heard):
        self.elements, self.counts, self.heard = frozenset(elements), counts, heard

    def heard_since(self, devices, since):
        return frozenset(devices) if self.heard is None else frozenset(self.heard)

    def sessions(self, flows):
        yield MOVED.source, 20_000, f"l3vpn:{MOVED.name}", self.elements

    def tells(self, device, number):
        return self.counts is not None

    def loss(self, device, number, since):
        return self.counts


async def judged(after, elements, counts, *, flows=(MOVED,), base=None, heard=None):
    """What is found so many seconds after the remedy was carried out."""
    clock = VirtualClock()

    async def current():
        return Flows(database().network, tuple(flows))

    seeing = SimpleNamespace(
        flows=SimpleNamespace(current=current),
        topology=SimpleNamespace(database=base or database()),
        witness=Told(elements, counts, heard),
        clock=clock,
    )
    since = clock.now()
    one = Recovery("recovery-1", FAULT, RecoveryState.VERIFYING, since, ("acme",), (MOVE,), 0)
    clock.time += after
    return await Verification(seeing).judge(one, since)


@pytest.mark.parametrize("elements, counts", [(MOVED.links, None), (links(NORTH), (90, 9))], ids=["new", "not-renewed"])
async def test_the_sessions_of_a_service_are_waited_for_a_while_until_they_tell_of_the_new_way(elements, counts):
    assert (await judged(1.0, elements, counts)).finding is Finding.WAIT
    late = await judged(26.0, elements, counts)
    assert late.finding is Finding.HELPED
    assert late.text.endswith("nothing measures it")


async def test_a_session_that_tells_of_the_new_way_is_not_waited_for_any_longer():
    found = await judged(1.0, MOVED.links, (90, 0))
    assert (found.finding, found.text.endswith("1 measurements on it lose nothing")) == (Finding.HELPED, True)


async def test_who_still_takes_what_is_faulty_was_not_helped():
    found = await judged(1.0, MOVED.links, (90, 0), flows=(replace(MOVED, links=flow().links, nodes=flow().nodes),))
    assert (found.finding, found.text) == (Finding.NO_HELP, f"{MOVED.name} still takes link m")


async def test_who_is_not_carried_at_all_was_not_helped():
    found = await judged(1.0, MOVED.links, (90, 0), flows=())
    assert (found.finding, found.text) == (Finding.NO_HELP, f"{MOVED.name} is not carried at all")


async def test_a_new_way_that_loses_packets_is_no_help():
    found = await judged(30.0, MOVED.links, (90, 9))
    assert found.finding is Finding.NO_HELP
    assert "9 of 90 lost" in found.text


async def test_a_new_way_without_a_carrier_is_no_help():
    found = await judged(30.0, MOVED.links, (90, 0), base=database().with_link_state(list(MOVED.links), is_up=False))
    assert found.finding is Finding.NO_HELP
    assert found.text.endswith("is on the new way and has no carrier")


async def test_nothing_is_concluded_of_routers_that_were_not_heard_since():
    found = await judged(30.0, MOVED.links, (90, 0), heard=())
    assert (found.finding, found.text) == (Finding.WAIT, "nothing was heard from a since")
