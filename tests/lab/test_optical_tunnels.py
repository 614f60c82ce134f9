"""Admission and the life of optical tunnels, without a server."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.optical.allocation import AllocationError, Wish, allocate, free_slots
from lab.optical.domain import Client, OpticalDomain, OpticalLink, OpticalNode, problems_of
from lab.optical.tunnels import TRANSITIONS, Event, Status, Tunnels
from tests.lab.optical_samples import HandClock, domain

A0, A1, B0, B1, C0 = (
    Client(*text.split(":")) for text in ("a:client0", "a:client1", "b:client0", "b:client1", "c:client0")
)


def links(route):
    return [link.name for link in route.links]


def refusal(*wishes, standing=None, cut=()):
    with pytest.raises(AllocationError) as caught:
        allocate(domain(), wishes, standing or {}, cut)
    return caught.value


def test_a_tunnel_takes_the_route_of_least_delay():
    routes = allocate(domain(), [Wish("t", A0, C0, 10)], {})
    assert links(routes["t"]) == ["a--c"]
    assert routes["t"].delay_seconds == 0.001


def test_a_tunnel_goes_round_a_link_without_enough_slots():
    routes = allocate(domain(), [Wish("t", A0, C0, 50)], {})
    assert links(routes["t"]) == ["a--b", "b--c"]
    assert routes["t"].delay_seconds == 0.005


def test_a_full_link_is_named_in_the_refusal():
    first, second = Wish("first", A0, C0, 60), Wish("second", A1, B0, 60)
    error = refusal(first, second)
    assert error.tunnel == "second"
    assert error.reason == "slots-exhausted"
    assert error.message == "link a--b has 40 of 100 slots free and tunnel second wants 60"


def test_a_standing_tunnel_keeps_its_route_when_a_better_one_has_room_again():
    wishes = [Wish("t", A0, C0, 30)]
    round_about = allocate(domain(), wishes, {}, cut={"a--c"})
    assert links(round_about["t"]) == ["a--b", "b--c"]
    assert allocate(domain(), wishes, round_about) == round_about


def test_a_standing_tunnel_that_outgrows_its_route_is_refused_and_not_moved():
    standing = allocate(domain(), [Wish("t", A0, C0, 40)], {})
    error = refusal(Wish("t", A0, C0, 41), standing=standing)
    assert error.message == "link a--c has 40 of 40 slots free and tunnel t wants 41"


def test_a_tunnel_with_other_ends_is_routed_anew():
    standing = allocate(domain(), [Wish("t", A0, C0, 10)], {})
    assert links(allocate(domain(), [Wish("t", A0, B0, 10)], standing)["t"]) == ["a--b"]


def test_a_delay_bound_that_no_route_with_room_keeps_is_refused_with_the_route():
    error = refusal(Wish("t", A0, C0, 50, delay_bound_seconds=0.004))
    assert error.reason == "delay-bound"
    assert error.message == "tunnel t would take 5 ms over a--b, b--c, and its bound is 4 ms"


def test_a_delay_bound_that_holds_is_no_obstacle():
    assert allocate(domain(), [Wish("t", A0, C0, 40, delay_bound_seconds=0.001)], {})


@pytest.mark.parametrize(
    "wishes, words",
    [
        ([Wish("t", Client("x", "client0"), C0, 1)], "otn-domain has no client port x:client0"),
        ([Wish("t", A0, Client("c", "client9"), 1)], "otn-domain has no client port c:client9"),
        ([Wish("t", A0, A1, 1)], "tunnel t ends where it begins"),
        ([Wish("t", A0, C0, 101)], "client port a:client0 takes 100 slots and tunnel t wants 101"),
        ([Wish("s", A0, C0, 1), Wish("t", A0, B0, 1)], "client port a:client0 has tunnel s already"),
    ],
)
def test_a_tunnel_that_cannot_be_is_refused_by_name(wishes, words):
    assert refusal(*wishes).message == words


def test_no_fibre_is_said_with_what_is_cut():
    error = refusal(Wish("t", A0, C0, 1), cut={"a--c", "b--c"})
    assert error.message == "no fibre leads from a to c while a--c, b--c is cut"


def test_released_slots_are_free_again():
    wishes = [Wish("t", A0, C0, 10), Wish("u", A1, B0, 20)]
    routes = allocate(domain(), wishes, {})
    assert free_slots(domain(), wishes, routes) == {"a--b": 80, "b--c": 100, "a--c": 30}
    left = allocate(domain(), wishes[1:], routes)
    assert free_slots(domain(), wishes[1:], left) == {"a--b": 80, "b--c": 100, "a--c": 40}


@given(st.lists(st.tuples(st.sampled_from([(A0, C0), (A1, B0), (B1, C0)]), st.integers(1, 100)), max_size=8))
def test_no_link_is_ever_given_more_slots_than_it_has(changes):
    """Tunnels come, grow and shrink in any order; what is admitted always fits."""
    standing, wishes = {}, {}
    for (source, target), slots in changes:
        asked = wishes | {str(source): Wish(str(source), source, target, slots)}
        try:
            standing = allocate(domain(), asked.values(), standing)
        except AllocationError:
            continue
        wishes = asked
        assert min(free_slots(domain(), wishes.values(), standing).values()) >= 0


def life(*wishes, setup_seconds=2.0):
    clock, told = HandClock(), []
    tunnels = Tunnels(
        setup_seconds, scheduler=clock, now=clock.now, told=lambda tunnel, before: told.append((before, tunnel.status))
    )
    if wishes:
        tunnels.configure(wishes, allocate(domain(), wishes, tunnels.routes))
    return tunnels, clock, told


def test_a_tunnel_is_up_after_the_set_up_time_and_not_before():
    tunnels, clock, _ = life(Wish("t", A0, C0, 1))
    assert tunnels.get("t").status is Status.SETTING_UP
    clock.turn(1.9)
    assert tunnels.get("t").status is Status.SETTING_UP
    clock.turn(0.1)
    assert tunnels.get("t").status is Status.UP
    assert tunnels.get("t").changed_at == clock.now()


def test_a_tunnel_that_is_not_enabled_is_only_planned():
    tunnels, clock, told = life(Wish("t", A0, C0, 1, enabled=False))
    clock.turn(10)
    assert tunnels.get("t").status is Status.PLANNED
    assert told == []


def test_more_slots_do_not_interrupt_a_tunnel():
    tunnels, clock, told = life(Wish("t", A0, C0, 1))
    clock.turn(2)
    told.clear()
    wishes = [Wish("t", A0, C0, 30)]
    tunnels.configure(wishes, allocate(domain(), wishes, tunnels.routes))
    assert tunnels.get("t").status is Status.UP
    assert tunnels.get("t").wish.slots == 30
    assert told == []


def test_a_cut_fails_the_tunnels_on_it_and_names_the_link():
    tunnels, clock, _ = life(Wish("t", A0, C0, 1), Wish("u", A1, B0, 1))
    clock.turn(2)
    tunnels.set_link("a--c", up=False)
    assert (tunnels.get("t").status, tunnels.get("t").reason) == (Status.FAILED, "a--c is cut")
    assert tunnels.get("u").status is Status.UP


def test_a_tunnel_is_set_up_anew_when_its_whole_route_is_mended():
    tunnels, clock, _ = life(Wish("t", A0, C0, 50))
    clock.turn(2)
    for link in ("a--b", "b--c"):
        tunnels.set_link(link, up=False)
    tunnels.set_link("a--b", up=True)
    assert tunnels.get("t").status is Status.FAILED
    tunnels.set_link("b--c", up=True)
    assert tunnels.get("t").status is Status.SETTING_UP
    clock.turn(2)
    assert tunnels.get("t").status is Status.UP


def test_a_cut_during_set_up_calls_the_set_up_off():
    tunnels, clock, _ = life(Wish("t", A0, C0, 1))
    clock.turn(1)
    tunnels.set_link("a--c", up=False)
    clock.turn(5)
    assert tunnels.get("t").status is Status.FAILED


def test_a_tunnel_that_is_removed_goes_down_at_once():
    tunnels, clock, told = life(Wish("t", A0, C0, 1))
    clock.turn(2)
    tunnels.configure([], {})
    assert tunnels.get("t") is None
    assert told[-1] == (Status.UP, Status.PLANNED)


def test_a_domain_that_stops_sets_nothing_up():
    tunnels, clock, _ = life(Wish("t", A0, C0, 1))
    tunnels.stop()
    clock.turn(5)
    assert tunnels.get("t").status is Status.SETTING_UP


def test_every_status_is_left_and_reached_by_some_event():
    reached = set(TRANSITIONS.values())
    left = {before for before, _ in TRANSITIONS}
    assert reached == left == set(Status)
    assert {event for _, event in TRANSITIONS} == set(Event)
    assert all(pair[0] is not after for pair, after in TRANSITIONS.items())


@given(st.lists(st.sampled_from(["cut", "mend", "off", "on", "turn"]), max_size=12))
def test_a_tunnel_is_up_only_on_a_whole_route_and_when_it_is_wanted(steps):
    tunnels, clock, _ = life(Wish("t", A0, C0, 1))
    for step in steps:
        if step in {"cut", "mend"}:
            tunnels.set_link("a--c", up=step == "mend")
        elif step in {"on", "off"}:
            wishes = [Wish("t", A0, C0, 1, enabled=step == "on")]
            tunnels.configure(wishes, tunnels.routes)
        else:
            clock.turn(2)
        tunnel = tunnels.get("t")
        if tunnel.status is Status.UP:
            assert tunnel.wish.enabled
            assert not tunnels.cut
        assert (tunnel.status is Status.SETTING_UP) == any(not call.is_cancelled for call in clock.calls)


def test_a_domain_that_cannot_be_is_refused_with_every_object_named():
    nodes = (OpticalNode("a", domain().nodes[0].client_ports), OpticalNode("a"))
    found = list(
        problems_of(
            OpticalDomain(
                "d", nodes, (OpticalLink("l", "a", "z", 0, -1.0), OpticalLink("l", "a", "a", 1, 0.0)), 0, -1.0
            )
        )
    )
    for words in (
        "slots of 0 bit/s carry nothing",
        "set-up time of -1 s is negative",
        "node a is listed twice",
        "link l is listed twice",
        "link l: there is no node z",
        "link l: both ends are at a",
        "link l has 0 slots",
        "link l: delay -1 s is negative",
    ):
        assert any(words in problem for problem in found), (words, found)
    assert list(problems_of(domain())) == []


def test_equal_routes_are_chosen_the_same_way_whatever_the_order_of_links():
    square = [
        OpticalLink("a--b", "a", "b", 9, 0.001),
        OpticalLink("b--c", "b", "c", 9, 0.001),
        OpticalLink("a--d", "a", "d", 9, 0.001),
        OpticalLink("d--c", "d", "c", 9, 0.001),
    ]
    nodes = (*domain().nodes, OpticalNode("d"))
    chosen = {
        tuple(links(allocate(domain(nodes=nodes, links=order), [Wish("t", A0, C0, 1)], {})["t"]))
        for order in itertools.permutations(square)
    }
    assert chosen == {("a--b", "b--c")}
