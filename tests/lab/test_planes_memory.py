"""Traffic through the memory plane: what a change, a cut, a full queue or a bad link costs."""

import asyncio
import itertools
from dataclasses import replace

import pytest

from lab.planes import Attachment, FlowReport, FlowSpec, StampResult, StampSession
from lab.planes.fluid import KEEPALIVE_BIT_RATE, Timing
from lab.planes.fluid_clock import VirtualClock
from lab.planes.fluid_ways import wire_octets
from lab.planes.memory import MemoryPlane
from lab.topology import Topology
from lab.topology_file import load_topology
from tests.lab.plane_network import DEMO, Configurations

UPPER = ("pe-london", "p-brussels", "pe-paris")
LOWER = ("pe-london", "p-lyon", "pe-paris")
RATE = 2000.0


class Laboratory:
    """The demo network with a site in London (color 7) and one in Paris, a virtual clock and a flow between them."""

    def __init__(self, *, timing: Timing | None = None, seed: int = 0, **links: dict[str, float]) -> None:
        topology = load_topology(DEMO)
        changed = {name.replace("__", "--").replace("_", "-"): values for name, values in links.items()}
        self.topology: Topology = replace(
            topology, links=tuple(replace(link, **changed.get(link.name, {})) for link in topology.links)
        )
        self.configured = Configurations(self.topology)
        self.configured.add_site("pe-london", 1, color=7)
        self.configured.add_site("pe-paris", 2)
        self.clock = VirtualClock(1000.0)
        self.plane = MemoryPlane(self.topology, self.configured, now=self.clock, timing=timing, seed=seed)
        self.flow = ""

    def start(self, *, rate: float = RATE, octets: int = 200, source: str = "access0.1") -> None:
        spec = FlowSpec(
            Attachment("pe-london", source, "10.1.0.2"), Attachment("pe-paris", "access0.2", "10.2.0.2"), rate, octets
        )
        self.flow = asyncio.run(self.plane.start_flow(spec))

    def report(self) -> FlowReport:
        (report,) = asyncio.run(self.plane.flows())
        return report

    def steer(self, *ways: tuple[str, ...]) -> None:
        self.configured.change("pe-london", policies=(self.configured.policy(7, *ways),))
        self.plane.configuration_changed("pe-london")

    def measure(self, **fields: object) -> None:
        session = replace(StampSession(1, self.configured.plan["pe-paris"].loopback), **fields)
        self.configured.change("pe-london", stamp_sessions=(session,))
        self.plane.configuration_changed("pe-london")

    def measured(self) -> StampResult:
        (result,) = self.plane.stamp("pe-london")
        return result

    def delay(self, *routers: str) -> float:
        return sum(
            link.delay_seconds
            for link in self.topology.links
            if {link.a.node, link.b.node} in [{a, b} for a, b in itertools.pairwise(routers)]
        )


SLOW_UPPER = {"pe_paris__p_brussels": {"delay_seconds": 0.010}}


def test_a_flow_arrives_whole_and_late_by_its_links() -> None:
    lab = Laboratory()
    lab.start()
    lab.clock.advance(10)
    report = lab.report()
    assert (report.sent, report.received, report.lost, report.reordered) == (20_000, 20_000, 0, 0)
    assert report.plane == "memory"
    assert report.delay_median_seconds == pytest.approx(lab.delay(*UPPER), abs=1e-5)
    assert report.longest_gap_seconds == pytest.approx(1 / RATE)


def test_a_replaced_path_costs_no_packet() -> None:
    lab = Laboratory()
    lab.steer(UPPER)
    lab.start()
    for way in (LOWER, UPPER) * 25:
        lab.clock.advance(0.1003)
        lab.steer(way)
    lab.clock.advance(1)
    assert lab.report().lost == 0


@pytest.mark.parametrize("gap_seconds", [0.01, 0.1])
def test_a_gap_between_delete_and_add_costs_rate_times_gap(gap_seconds: float) -> None:
    lab = Laboratory()
    lab.start()
    own = lab.configured.routers["pe-london"]
    lab.clock.advance(1)
    lab.configured.change("pe-london", instances=())
    lab.plane.configuration_changed("pe-london")
    lab.clock.advance(gap_seconds)
    lab.configured.routers["pe-london"] = own
    lab.plane.configuration_changed("pe-london")
    lab.clock.advance(1)
    assert lab.report().lost == RATE * gap_seconds
    assert lab.report().longest_gap_seconds == pytest.approx(gap_seconds, abs=2 / RATE)


def test_a_shift_from_slow_to_fast_reorders_rate_times_the_difference() -> None:
    lab = Laboratory(pe_paris__p_brussels={"delay_seconds": 0.012}, pe_paris__p_lyon={"delay_seconds": 0.002})
    lab.steer(UPPER)
    lab.start()
    lab.clock.advance(1)
    lab.steer(LOWER)
    lab.clock.advance(1)
    difference = lab.delay(*UPPER) - lab.delay(*LOWER)
    assert lab.report().reordered == pytest.approx(RATE * difference, abs=1)
    before = lab.report().reordered
    lab.steer(UPPER)
    lab.clock.advance(1)
    assert lab.report().reordered == before
    assert lab.report().lost == 0


def test_a_remote_cut_costs_rate_times_convergence_and_what_was_under_way() -> None:
    lab = Laboratory(timing=Timing(convergence_seconds=0.4))
    lab.start()
    lab.clock.advance(1)
    lab.plane.set_link("pe-paris--p-brussels", up=False)
    lab.clock.advance(2)
    on_the_fibre = lab.delay("pe-paris", "p-brussels")
    assert lab.report().lost == pytest.approx(RATE * (0.4 + on_the_fibre), abs=2)
    lost = lab.report().lost
    lab.clock.advance(2)
    assert lab.report().lost == lost


def test_protection_switches_when_the_flood_has_come() -> None:
    lab = Laboratory(timing=Timing(flooding_seconds=0.01, convergence_seconds=0.4))
    lab.steer(UPPER, LOWER)
    lab.start()
    lab.clock.advance(1)
    lab.plane.set_link("pe-paris--p-brussels", up=False)
    assert lab.plane.policies("pe-london")[0].active == 1
    lab.clock.advance(0.02)
    assert lab.plane.policies("pe-london")[0].active == 2
    lab.clock.advance(2)
    in_flight = lab.delay("pe-london", "p-brussels", "pe-paris")
    assert lab.report().lost == pytest.approx(RATE * (0.01 + in_flight), abs=2)


def test_protection_of_the_first_link_switches_at_once() -> None:
    lab = Laboratory()
    lab.steer(UPPER, LOWER)
    lab.start()
    lab.clock.advance(1)
    lab.plane.set_link("pe-london--p-brussels", up=False)
    assert lab.plane.policies("pe-london")[0].active == 2
    lab.clock.advance(1)
    assert lab.report().lost == pytest.approx(RATE * lab.delay("pe-london", "p-brussels"), abs=1)


def test_a_silent_cut_is_announced_to_nobody_and_mended_by_nothing() -> None:
    lab = Laboratory()
    heard: list[tuple[str, str, bool]] = []
    lab.plane.subscribe(lambda *event: heard.append(event))
    lab.steer(UPPER, LOWER)
    lab.start()
    lab.clock.advance(1)
    lab.plane.set_link("pe-paris--p-brussels", up=False, silent=True)
    lab.clock.advance(10)
    assert heard == []
    assert lab.plane.policies("pe-london")[0].active == 1
    assert lab.report().lost >= 10 * RATE
    assert lab.plane.interfaces("p-brussels")["core1"].up


def test_carriers_are_announced_at_both_ends_once() -> None:
    lab = Laboratory()
    heard: list[tuple[str, str, bool]] = []
    lab.plane.subscribe(lambda *event: heard.append(event))
    lab.plane.set_link("pe-paris--p-brussels", up=False)
    lab.plane.set_link("pe-paris--p-brussels", up=False)
    assert heard == [("pe-paris", "core0", False), ("p-brussels", "core1", False)]
    lab.configured.change_interface("p-lyon", "core0", enabled=False)
    lab.plane.configuration_changed("p-lyon")
    assert heard[2:] == [("pe-london", "core1", False), ("p-lyon", "core0", False)]


def test_a_full_queue_drops_what_is_too_much_and_delays_the_rest() -> None:
    small = {"capacity_bit_rate": 2_000_000, "buffer_seconds": 0.05}
    lab = Laboratory(pe_paris__p_lyon=small)
    lab.topology = replace(lab.topology, demands=())
    lab.plane = MemoryPlane(lab.topology, lab.configured, now=lab.clock)
    lab.steer(LOWER)
    lab.start(octets=1000)
    lab.clock.advance(10)
    report = lab.report()
    offered = RATE * 8 * (1000 + 14 + 48 + 3 * 16)
    assert report.lost == pytest.approx(report.sent * (1 - 2e6 / offered), rel=0.02)
    assert report.delay_maximum_seconds == pytest.approx(lab.delay(*LOWER) + 0.05, abs=0.01)
    assert report.delay_minimum_seconds is not None
    assert report.delay_minimum_seconds < lab.delay(*LOWER) + 0.01
    counters = lab.plane.interfaces("p-lyon")["core1"].counters
    assert counters.out_octets * 8 == pytest.approx(2e6 * 10, rel=0.01)
    discarded = counters.out_discards * 512 * 8
    assert discarded == pytest.approx((offered - 2e6) * 10, rel=0.02)


def test_a_rate_limit_of_the_attachment_drops_what_is_above_it() -> None:
    lab = Laboratory()
    lab.configured.change_interface("pe-london", "access0.1", input_bit_rate=800_000)
    lab.start(octets=200)
    lab.clock.advance(10)
    assert lab.report().lost == pytest.approx(lab.report().sent * 0.75, rel=0.03)


def test_customers_traffic_loads_the_links_that_it_takes_as_far_as_its_entry_lets_it_in() -> None:
    quiet = replace(load_topology(DEMO), demands=())
    for limit, passing in ((None, 1.0), (800_000, 0.25)):
        lab = Laboratory()
        lab.configured.change_interface("pe-london", "access0.1", input_bit_rate=limit)
        lab.plane = MemoryPlane(quiet, lab.configured, now=lab.clock)
        lab.start(octets=200)
        lab.clock.advance(10)
        sent = sum(lab.plane.interfaces("pe-london")[port].counters.out_octets for port in ("core0", "core1"))
        keepalives = 2 * KEEPALIVE_BIT_RATE * 10 / 8
        carried = RATE * 10 * wire_octets(200, 1) * passing
        assert sent - keepalives == pytest.approx(carried, rel=0.01)


def test_a_lossy_link_loses_its_share_and_the_seed_says_which() -> None:
    counts = []
    for seed in (1, 1, 2):
        lab = Laboratory(seed=seed, pe_paris__p_brussels={"loss_ratio": 0.05})
        lab.start()
        for _ in range(100 if seed == 1 and not counts else 1):
            lab.clock.advance(0.2 if seed == 1 and not counts else 20)
            lab.report()
        counts.append(lab.report().lost)
    assert counts[0] == pytest.approx(2000, rel=0.1)
    assert counts[0] == counts[1] != counts[2]


def test_jitter_spreads_delays_and_keeps_the_order() -> None:
    lab = Laboratory(pe_paris__p_brussels={"jitter_seconds": 0.004})
    lab.start()
    lab.clock.advance(10)
    report = lab.report()
    assert report.reordered == 0
    assert report.delay_minimum_seconds is not None
    assert report.delay_maximum_seconds is not None
    assert report.delay_maximum_seconds - report.delay_minimum_seconds == pytest.approx(0.004, rel=0.15)
    assert report.delay_median_seconds == pytest.approx(lab.delay(*UPPER) + 0.002, rel=0.15)


def test_a_flow_to_where_nobody_is_loses_everything() -> None:
    lab = Laboratory()
    lab.start()
    lab.configured.change_interface("pe-london", "access0.1", enabled=False)
    lab.plane.configuration_changed("pe-london")
    lab.clock.advance(1)
    report = lab.report()
    assert (report.sent, report.received) == (2000, 0)
    assert report.delay_median_seconds is None
    assert report.longest_gap_seconds == pytest.approx(1.0)


def test_a_flow_needs_attachments_and_a_rate() -> None:
    lab = Laboratory()
    with pytest.raises(ValueError, match="pe-london: interface access5 is in no VPN"):
        lab.start(source="access5")
    with pytest.raises(ValueError, match="not 0/s"):
        lab.start(rate=0)
    with pytest.raises(KeyError, match="there is no flow 'flow-9'"):
        asyncio.run(lab.plane.stop_flow("flow-9"))


def test_a_stopped_flow_is_told_once_and_loads_nothing() -> None:
    lab = Laboratory()
    lab.start(rate=1e6, octets=1000)
    lab.clock.advance(1)
    assert asyncio.run(lab.plane.stop_flow(lab.flow)).sent == 1_000_000
    assert asyncio.run(lab.plane.flows()) == ()
    before = lab.plane.interfaces("pe-london")["core0"].counters.out_octets
    lab.clock.advance(1)
    background = lab.plane.interfaces("pe-london")["core0"].counters.out_octets - before
    assert background * 8 == pytest.approx(20e9, rel=0.001)


def test_counters_are_the_integral_of_demands_along_the_shortest_paths() -> None:
    lab = Laboratory()
    lab.plane.interfaces("pe-london")
    lab.clock.advance(100)
    lab.plane.set_link("pe-london--p-brussels", up=False)
    lab.clock.advance(100)
    counters = {port: lab.plane.interfaces("pe-london")[port].counters for port in ("core0", "core1")}
    assert counters["core0"].out_octets * 8 == pytest.approx(20e9 * 100, rel=1e-4)
    assert counters["core1"].out_octets * 8 == pytest.approx(20e9 * (100 - 0.4), rel=1e-4)
    far = lab.plane.interfaces("p-lyon")["core0"].counters
    assert far.in_octets == counters["core1"].out_octets


def test_a_lossy_link_receives_less_than_was_sent() -> None:
    lab = Laboratory(pe_london__p_brussels={"loss_ratio": 0.25})
    lab.clock.advance(10)
    sent = lab.plane.interfaces("pe-london")["core0"].counters.out_octets
    assert lab.plane.interfaces("p-brussels")["core0"].counters.in_octets == pytest.approx(0.75 * sent, abs=2)


def test_a_measurement_along_segments_goes_there_by_them_and_back_by_the_shortest_path() -> None:
    lab = Laboratory(**SLOW_UPPER)
    lab.measure(segments=lab.configured.segments(*UPPER))
    lab.clock.advance(30)
    measured = lab.measured()
    assert (measured.sent, measured.lost) == (30, 0)
    assert measured.forward_seconds == pytest.approx(lab.delay(*UPPER), abs=1e-5)
    assert measured.backward_seconds is not None
    assert measured.round_trip_seconds == pytest.approx(lab.delay(*UPPER) + measured.backward_seconds, abs=1e-5)
    assert measured.variation_seconds == pytest.approx(0, abs=1e-6)
    assert measured.last_forward_seconds == pytest.approx(measured.forward_seconds)
    assert measured.last_round_trip_seconds == pytest.approx(measured.round_trip_seconds)


def test_a_measurement_sees_jitter_and_loss_of_the_last_minute() -> None:
    lab = Laboratory(pe_paris__p_brussels={"jitter_seconds": 0.004, "loss_ratio": 0.1})
    lab.measure(interval_seconds=0.1)
    lab.clock.advance(600)
    measured = lab.measured()
    assert measured.sent == 6000
    assert measured.lost == pytest.approx(6000 * (1 - 0.9 * 0.9), rel=0.15)
    assert measured.variation_seconds == pytest.approx(0.004, rel=0.2)


def test_a_measurement_through_a_cut_link_loses_and_remembers_the_last_minute() -> None:
    lab = Laboratory()
    lab.measure(segments=lab.configured.segments(*UPPER))
    lab.clock.advance(30)
    lab.plane.set_link("pe-paris--p-brussels", up=False)
    lab.clock.advance(30)
    assert lab.measured().lost == pytest.approx(30, abs=1)
    assert lab.measured().forward_seconds is not None
    lab.clock.advance(60)
    assert lab.measured().lost == pytest.approx(90, abs=1)
    assert lab.measured().forward_seconds is None


def test_a_measurement_in_a_vpn_takes_the_policy_of_its_color() -> None:
    lab = Laboratory(**SLOW_UPPER)
    lab.steer(UPPER)
    lab.measure(instance="acme", remote_address="10.2.0.1")
    lab.clock.advance(10)
    assert lab.measured().forward_seconds == pytest.approx(lab.delay(*UPPER), abs=1e-5)
    lab.steer(LOWER)
    lab.clock.advance(100)
    assert lab.measured().forward_seconds == pytest.approx(lab.delay(*LOWER), abs=1e-5)
    assert lab.measured().lost == 0


def test_nothing_answers_at_a_customer_or_without_a_reflector() -> None:
    lab = Laboratory()
    lab.measure(instance="acme", remote_address="10.2.0.2")
    lab.clock.advance(10)
    assert lab.measured() == StampResult(1, sent=10, lost=10)
    lab.measure()
    lab.configured.change("pe-paris", stamp_reflector=False)
    lab.plane.configuration_changed("pe-paris")
    lab.clock.advance(10)
    assert lab.measured() == StampResult(1, sent=10, lost=10)


def test_the_same_seed_gives_the_same_bytes() -> None:
    def history(reads: int) -> object:
        lab = Laboratory(seed=5, pe_paris__p_brussels={"loss_ratio": 0.02, "jitter_seconds": 0.001})
        lab.measure(interval_seconds=0.5)
        lab.start()
        for step in range(60):
            lab.clock.advance(1.7)
            lab.plane.set_link("pe-paris--p-lyon", up=bool(step % 2))
            if step % reads == 0:
                lab.report()
                lab.measured()
                lab.plane.interfaces("pe-london")
        return lab.report(), lab.measured(), lab.plane.interfaces("p-brussels"), lab.plane.interfaces("pe-paris")

    assert history(1) == history(60)
