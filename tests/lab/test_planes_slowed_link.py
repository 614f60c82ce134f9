"""A link whose delay is changed while the memory plane runs."""

import pytest

from lab.planes import StampResult, StampSession
from lab.planes.fluid_clock import VirtualClock
from lab.planes.memory import MemoryPlane
from lab.topology_file import load_topology
from tests.lab.plane_network import DEMO, Configurations

LINK = "pe-london--p-brussels"


def last_delay(result: StampResult) -> float:
    assert result.last_forward_seconds is not None
    return result.last_forward_seconds


def test_a_link_that_is_slowed_delays_what_is_sent_from_then_on() -> None:
    topology = load_topology(DEMO)
    configured, clock = Configurations(topology), VirtualClock(1000.0)
    plane = MemoryPlane(topology, configured, now=clock)
    session = StampSession(1, configured.plan["pe-paris"].loopback)
    configured.change("pe-london", stamp_sessions=(session,))
    plane.configuration_changed("pe-london")
    clock.advance(5.0)
    before = last_delay(plane.stamp("pe-london")[0])
    given = next(link.delay_seconds for link in topology.links if link.name == LINK)
    for more in (0.010, 0.020, 0.0):
        plane.slow_link(LINK, given + more)
        clock.advance(5.0)
        assert last_delay(plane.stamp("pe-london")[0]) == pytest.approx(before + more)
    with pytest.raises(KeyError, match="no link 'nowhere'"):
        plane.slow_link("nowhere", 1.0)
