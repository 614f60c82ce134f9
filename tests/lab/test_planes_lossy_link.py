"""A link that begins to lose packets by chance while the memory plane runs."""

import pytest

from lab.network import LabNetwork
from lab.planes import StampSession
from lab.planes.fluid_clock import VirtualClock
from lab.planes.memory import MemoryPlane
from lab.topology_file import load_topology
from lab.topology_values import parse_ratio
from tests.lab.plane_network import DEMO, Configurations

LINK = "pe-london--p-brussels"


def test_a_link_loses_its_share_of_the_packets_from_then_on_and_keeps_its_carrier() -> None:
    topology = load_topology(DEMO)
    configured, clock = Configurations(topology), VirtualClock(1000.0)
    plane = MemoryPlane(topology, configured, now=clock)
    session = StampSession(1, configured.plan["p-brussels"].loopback, interval_seconds=0.1)
    configured.change("pe-london", stamp_sessions=(session,))
    plane.configuration_changed("pe-london")

    def lost_share() -> float:
        before = plane.stamp("pe-london")[0]
        clock.advance(1_000.0)
        after = plane.stamp("pe-london")[0]
        return (after.lost - before.lost) / (after.sent - before.sent)

    assert lost_share() == 0
    for ratio in (0.02, 0.3, 1.0, 0.0):
        plane.lose_on_link(LINK, ratio)
        there_and_back = 1 - (1 - ratio) ** 2
        assert lost_share() == pytest.approx(there_and_back, rel=0.1)
        assert plane.cut_links() == frozenset()
        assert {"p-brussels"} <= {found.neighbour for found in plane.adjacencies("pe-london")}


def test_what_cannot_be_lost_is_named() -> None:
    network = LabNetwork(load_topology(DEMO))
    with pytest.raises(KeyError, match="no link 'nowhere'"):
        network.lose_on_link("nowhere", 0.1)
    for ratio in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=f"link {LINK} cannot lose"):
            network.lose_on_link(LINK, ratio)


def test_a_share_is_written_as_a_percentage_or_as_a_number() -> None:
    assert [parse_ratio(text) for text in ("2%", "0.02", "0", "100 %", ".5")] == [0.02, 0.02, 0, 1, 0.5]
    for text in ("", "%", "2", "101%", "-1%", "nan", "1e-3", "two"):
        with pytest.raises(ValueError, match="write a percentage such as 2%"):
            parse_ratio(text)
