"""What a remedy is judged by: what was told since along the new ways, by those as well who have to be renewed first."""

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
    """One session of the service, along what the test says; all routers were heard."""

    def __init__(self, elements, counts):
        self.elements, self.counts = frozenset(elements), counts

    def heard_since(self, devices, since):
        return frozenset(devices)

    def sessions(self, flows):
        yield MOVED.source, 20_000, f"l3vpn:{MOVED.name}", self.elements

    def tells(self, device, number):
        return self.counts is not None

    def loss(self, device, number, since):
        return self.counts


async def judged(after, elements, counts):
    """What is found so many seconds after the remedy was carried out."""
    clock = VirtualClock()

    async def current():
        return Flows(database().network, (MOVED,))

    seeing = SimpleNamespace(
        flows=SimpleNamespace(current=current),
        topology=SimpleNamespace(database=database()),
        witness=Told(elements, counts),
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
