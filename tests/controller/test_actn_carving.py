"""Services carved over access, IP and optical segments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.mapping.optical_carving import (
    CarvingError,
    Requirement,
    SegmentKind,
    SegmentOffer,
    carve,
)
from controller.mapping.service_carving import (
    Attachment,
    carve_service,
    optical_links,
    optical_offers,
    packet_offer,
    site_point,
)
from controller.model.errors import InvalidInputError
from controller.model.units import BitRate
from controller.topology.network import Path
from tests.controller.optical_samples import A, B, C, P, database, domain, network, over_link, tunnel

MBIT = 10**6
RATE = BitRate(100 * MBIT)
ACCESS, IP, OPTICAL = SegmentKind


def offer(name, kind, source, target, *, mbit=1000, milliseconds=1.0):
    return SegmentOffer(name, kind, source, target, BitRate(mbit * MBIT), milliseconds / 1000)


SPUR_A = offer("spur a", ACCESS, "site a", "pe-a")
SPUR_B = offer("spur b", ACCESS, "pe-b", "site b")
PACKETS = offer("ip a b", IP, "pe-a", "pe-b", milliseconds=8)
LIGHT = offer("light a b", OPTICAL, "pe-a", "pe-b", mbit=400, milliseconds=2)


def wanted(**changes):
    return Requirement(**{"source": "site a", "target": "site b", "bandwidth": RATE} | changes)


def names(carving):
    return [portion.offer.name for portion in carving.portions]


def test_a_demand_that_both_can_carry_runs_over_ip():
    assert names(carve(wanted(), [SPUR_A, LIGHT, PACKETS, SPUR_B])) == ["spur a", "ip a b", "spur b"]


def test_a_demand_for_constant_delay_runs_over_light():
    carving = carve(wanted(is_deterministic=True), [SPUR_A, LIGHT, PACKETS, SPUR_B])
    assert names(carving) == ["spur a", "light a b", "spur b"]
    assert [portion.offer.name for portion in carving.of(OPTICAL)] == ["light a b"]


def test_a_bound_that_ip_cannot_keep_moves_the_demand_to_light():
    assert names(carve(wanted(delay_bound_seconds=0.005), [SPUR_A, PACKETS, LIGHT, SPUR_B]))[1] == "light a b"


def test_a_bandwidth_that_ip_has_not_moves_the_demand_to_light():
    full = offer("ip a b", IP, "pe-a", "pe-b", mbit=50)
    assert names(carve(wanted(), [SPUR_A, full, LIGHT, SPUR_B]))[1] == "light a b"


def test_the_delay_left_over_goes_to_the_segments_that_queue():
    carving = carve(wanted(is_deterministic=True, delay_bound_seconds=0.010), [SPUR_A, LIGHT, SPUR_B])
    assert [portion.delay_budget_seconds for portion in carving.portions] == pytest.approx([0.004, 0.002, 0.004])


def test_without_a_bound_there_is_no_budget():
    assert {portion.delay_budget_seconds for portion in carve(wanted(), [SPUR_A, PACKETS, SPUR_B]).portions} == {None}


def test_segments_of_all_kinds_make_a_chain():
    onward = offer("light b c", OPTICAL, "pe-b", "pe-c")
    spur = offer("spur c", ACCESS, "pe-c", "site c")
    carving = carve(wanted(target="site c"), [SPUR_A, PACKETS, onward, spur])
    assert names(carving) == ["spur a", "ip a b", "light b c", "spur c"]
    assert carving.delay_seconds == pytest.approx(0.011)


def test_a_customers_access_is_not_passed_through():
    other = [offer("x", ACCESS, "pe-a", "site x"), offer("y", ACCESS, "site x", "pe-b")]
    with pytest.raises(CarvingError, match="no segments lead from 'site a' to 'site b'"):
        carve(wanted(), [SPUR_A, *other, SPUR_B])


def test_the_refusal_names_each_segment_that_cannot():
    with pytest.raises(CarvingError) as caught:
        carve(wanted(bandwidth=BitRate(500 * MBIT), delay_bound_seconds=0.006), [SPUR_A, PACKETS, LIGHT, SPUR_B])
    assert set(caught.value.segments) == {"ip a b", "light a b"}
    assert "segment 'ip a b' takes 8 ms of 10 ms in all, and the bound is 6 ms" in caught.value.message
    assert "segment 'light a b' has 400 Mbit/s left, not 500 Mbit/s" in caught.value.message


def test_a_spur_that_is_too_thin_is_named():
    with pytest.raises(CarvingError) as caught:
        carve(wanted(), [offer("spur a", ACCESS, "site a", "pe-a", mbit=10), PACKETS, LIGHT, SPUR_B])
    assert caught.value.segments == ("spur a",)


@pytest.mark.parametrize("changes", [{"bandwidth": BitRate(-1)}, {"delay_bound_seconds": 0.0}])
def test_a_requirement_that_cannot_be_is_refused(changes):
    with pytest.raises(InvalidInputError, match="is not a requirement"):
        carve(wanted(**changes), [SPUR_A])


def test_a_segment_of_negative_delay_is_refused_by_name():
    with pytest.raises(InvalidInputError, match="segment 'ip a b' has a delay"):
        carve(wanted(), [offer("ip a b", IP, "pe-a", "pe-b", milliseconds=-1)])


def offered(optical, bandwidth=RATE, te=None):
    """By the ends of the link."""
    found = optical_offers(optical, te or database(), bandwidth)
    return {(offer.source, offer.target): (offer, resource) for offer, resource in found}


def at_both_sites(target=B):
    ends = (("a", A), ("b", target))
    return [Attachment(site, "1", end, "ge0", 100, BitRate(500 * MBIT), BitRate(400 * MBIT)) for site, end in ends]


def carved(te=None, optical=None, target=B, **changes):
    asked = wanted(source=site_point("a"), target=site_point("b"), **changes)
    return carve_service(asked, at_both_sites(target), te or database(), [optical or domain()])


def test_the_packet_network_offers_its_path_of_least_delay_off_the_optical_links():
    links = optical_links(domain(), network().links.values())
    assert len(links) == 4
    lit = database().with_link_state(links, is_up=True)
    found, resource = packet_offer(lit, A, C, links)
    assert (found.delay_seconds, found.available) == (pytest.approx(0.008), BitRate(10**9))
    assert [link.target.node for link in resource.links] == [P, C]
    assert packet_offer(lit, A, C)[0].delay_seconds == pytest.approx(0.001)


def test_a_packet_path_is_offered_with_the_room_that_it_has_in_both_directions():
    back = next(link for link in network().out_of(B) if link.target.node == P)
    taken = database().with_reservation("t", Path((back,)), BitRate(10**10 - 10 * MBIT))
    assert packet_offer(taken, A, B, (over_link(A, B).id,))[0].available == BitRate(10 * MBIT)


def test_the_domain_offers_what_its_route_has():
    found, resource = offered(domain())[A, B]
    assert (found.kind, found.available, found.delay_seconds) == (OPTICAL, BitRate(10**9), 0.002)
    assert found.name == "pe-a:core2>pe-b:core2"
    assert (resource.domain, resource.slots, resource.free_slots, resource.route) == ("otn-domain", 10, 100, ("a--b",))


def test_a_domain_without_the_slots_offers_what_it_has_and_the_carving_names_it():
    busy = domain(tunnel("s", "b:client1", "a:client1", 95, "a--b"), tunnel("t", "x:x", "y:y", 99, "b--c"))
    found, _ = offered(busy, te=database())[A, B]
    assert found.available == BitRate(50 * MBIT)
    with pytest.raises(CarvingError) as caught:
        carve(Requirement(A, B, RATE, is_deterministic=True), [found])
    assert caught.value.segments == (found.name,)


def test_a_domain_with_no_slot_left_offers_nothing():
    busy = domain(tunnel("s", "b:client1", "a:client1", 100, "a--b"), tunnel("t", "x:x", "y:y", 100, "b--c"))
    assert (A, B) not in offered(busy)


def test_a_service_is_carved_over_its_accesses_and_packets():
    found = carved()
    kinds = [segment.portion.offer.kind for segment in found.segments]
    assert kinds == [ACCESS, IP, ACCESS]
    assert [segment.resource.interface for segment in found.segments] == ["pe-a:ge0.100", "", "pe-b:ge0.100"]
    assert (found.ends, found.links) == ((A, B), ("pe-a:core0>p-1:core0", "p-1:core1>pe-b:core0"))


def test_a_service_of_constant_delay_is_carved_over_a_link_that_light_brings_up():
    found = carved(is_deterministic=True)
    (segment,) = [segment for segment in found.segments if segment.is_to_be_lit]
    assert (segment.resource.domain, segment.resource.slots) == ("otn-domain", 10)
    assert (found.links, found.affinity) == (("pe-a:core2>pe-b:core2",), 1)


def test_a_service_is_told_in_its_own_direction():
    asked = wanted(source=site_point("b"), target=site_point("a"), is_deterministic=True)
    found = carve_service(asked, at_both_sites(), database(), [domain()])
    assert (found.ends, found.links) == ((B, A), ("pe-b:core2>pe-a:core2",))


def test_light_that_is_there_is_used_as_far_as_it_has_room():
    there = domain(tunnel("gold", "a:client0", "b:client0", 30, "a--b"))
    link = over_link(A, B)
    up = database().with_link_state([link.id, link.reverse_id], is_up=True)
    found = carved(up, there, is_deterministic=True)
    assert found.segments[1].resource.tunnel == "gold"
    assert not any(segment.is_to_be_lit for segment in found.segments)
    assert found.segments[1].portion.offer.available == BitRate(300 * MBIT)
    full = up.with_reservation("t", Path((link,)), BitRate(250 * MBIT))
    with pytest.raises(CarvingError, match=r"segment 'pe-a:core2>pe-b:core2 \(gold\)' has 50 Mbit/s left"):
        carved(full, there, is_deterministic=True)


def test_an_access_that_is_too_thin_is_named():
    with pytest.raises(CarvingError) as caught:
        carved(bandwidth=BitRate(450 * MBIT))
    assert caught.value.segments == ("access b/1",)


@given(
    delays=st.lists(st.floats(0, 0.01), min_size=4, max_size=4),
    bound=st.floats(0.001, 0.1),
    is_deterministic=st.booleans(),
)
def test_budgets_never_exceed_the_bound_and_each_segment_can_keep_its_own(delays, bound, is_deterministic):
    offers = [
        SegmentOffer(one.name, one.kind, one.source, one.target, one.available, delay)
        for one, delay in zip([SPUR_A, PACKETS, LIGHT, SPUR_B], delays, strict=True)
    ]
    try:
        carving = carve(wanted(delay_bound_seconds=bound, is_deterministic=is_deterministic), offers)
    except CarvingError:
        assert delays[0] + delays[3] + (delays[2] if is_deterministic else min(delays[1], delays[2])) > bound
        return
    assert sum(portion.delay_budget_seconds for portion in carving.portions) <= bound * (1 + 1e-9)
    for portion in carving.portions:
        assert portion.delay_budget_seconds >= portion.offer.delay_seconds
    assert not (is_deterministic and carving.of(IP))
