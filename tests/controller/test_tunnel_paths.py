"""Where tunnels go, which colour they have, and what becomes of them when links die."""

from dataclasses import replace

import pytest

from controller.mapping.tunnel import BACKUP, PRIMARY, Tunnel
from controller.mapping.tunnel_paths import Avoidance, colored, placed, reservations, restored, state_of
from controller.model.errors import ConflictError, InvalidInputError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.runtime.tunnel_optimise import reoptimised
from controller.topology.network import Link, LinkId, Network, Node, TerminationPoint
from controller.topology.paths import NoPathError
from controller.topology.te_database import TeDatabase

GIGABIT = 10**9
WAYS = ("m", "n", "o")


def wire(a, b, metric=10, *, segment=True, **more):
    """Both directions of a wire; ports are named after the other end."""
    ends = [TerminationPoint(DeviceName(x), y) for x, y in ((a, b), (b, a))]
    return [
        Link(source, target, BitRate(GIGABIT), metric=metric, segment=f"fc00:{x}:{y}::" if segment else "", **more)
        for source, target, x, y in ((ends[0], ends[1], a, b), (ends[1], ends[0], b, a))
    ]


def network(**more):
    """Three ways from a to z, over m, n and o, the first the shortest; more attributes for links by router."""
    nodes = [Node(DeviceName(name), endpoint=f"fc00::{name}") for name in ("a", *WAYS, "z")]
    links = [
        link
        for rank, way in enumerate(WAYS)
        for end in ("a", "z")
        for link in wire(end, way, 10 + rank, **more.get(way, {}))
    ]
    return Network.of(nodes, links)


def database(**more):
    return TeDatabase(network(**more))


def tunnel(name="t", **more):
    return Tunnel(name, DeviceName("a"), DeviceName("z"), more.pop("color", 100), "fc00::1", **more)


def way(path):
    return path.hops[0].partition(">")[2].partition(":")[0]


def cut(base, *ways):
    links = [link for link in base.network.links if any(f"a:{way}>" in link or f">a:{way}" in link for way in ways)]
    return base.with_link_state(links, is_up=False)


def test_a_tunnel_takes_the_shortest_way_and_names_its_segments():
    found = placed(database(), tunnel())
    assert [(way(path), path.segments) for path in found.paths] == [("m", ("fc00:a:m::", "fc00:m:z::"))]


def test_a_link_without_a_segment_is_not_taken():
    assert way(placed(database(m={"segment": False}), tunnel()).paths[0]) == "n"


def test_what_is_to_be_avoided_is_avoided_this_time():
    avoid = Avoidance(frozenset([LinkId("a:m>m:a")]), frozenset([DeviceName("n")]))
    assert way(placed(database(), tunnel(), avoid).paths[0]) == "o"


def test_its_own_reservation_does_not_stand_in_its_way():
    first = placed(database(), tunnel(bandwidth=BitRate(GIGABIT)))
    taken = TeDatabase(network(), reservations([first], network().links))
    assert placed(taken, first).paths == first.paths
    assert way(placed(taken, tunnel("other", bandwidth=BitRate(1))).paths[0]) == "n"


def test_a_protected_tunnel_gets_two_ways():
    found = placed(database(), tunnel(protection="node"))
    assert [(way(path), path.preference) for path in found.ranked] == [("m", PRIMARY), ("n", BACKUP)]


def test_risk_groups_keep_the_second_way_off():
    found = placed(database(m={"srlgs": frozenset([1])}, n={"srlgs": frozenset([1])}), tunnel(protection="srlg"))
    assert [way(path) for path in found.ranked] == ["m", "o"]


def test_unknown_words_are_named():
    with pytest.raises(InvalidInputError, match="'fastest'"):
        placed(database(), tunnel(objective="fastest"))


def test_a_dead_path_gives_way_to_a_live_one():
    dead = cut(database(), "m")
    broken = placed(database(), tunnel())
    assert state_of(dead, broken) == "down"
    again = restored(dead, broken)
    assert (way(again.paths[0]), state_of(dead, again)) == ("n", "up")


def test_what_carries_stays_untouched_when_protection_is_put_back():
    dead = cut(database(), "m")
    broken = placed(database(), tunnel(protection="link"))
    assert state_of(dead, broken) == "switched"
    again = restored(dead, broken)
    assert {way(path): path.preference for path in again.paths} == {"n": BACKUP, "o": PRIMARY}
    assert broken.ranked[1] in again.paths


def test_a_protected_tunnel_takes_one_way_when_there_is_only_one():
    alone = restored(cut(database(), "m", "n"), placed(database(), tunnel(protection="link")))
    assert ([way(path) for path in alone.paths], alone.protection) == (["o"], "link")
    back = restored(cut(database(), "n"), alone)
    assert sorted(way(path) for path in back.paths) == ["m", "o"]


def test_a_tunnel_without_any_way_is_refused_by_reason():
    with pytest.raises(NoPathError, match="link state"):
        restored(cut(database(), *WAYS), placed(database(), tunnel()))


def test_a_tunnel_reserves_once_on_each_link_of_all_its_paths():
    found = placed(database(), tunnel(protection="link", bandwidth=BitRate(5)))
    taken = reservations([found, placed(database(), tunnel("free"))], network().links)
    assert {name: (sorted(map(way_of, r.links)), r.bit_rate) for name, r in taken.items()} == {
        "t": (["m", "m", "n", "n"], BitRate(5))
    }


def way_of(link):
    return next(name for name in WAYS if name in link)


def test_tunnels_of_one_vpn_share_a_colour_on_a_router_and_others_do_not():
    first = colored(tunnel("first", color=0, services=("acme",)), [])
    mesh = colored(replace(tunnel("second", color=0, services=("acme",)), endpoint="fc00::2"), [first])
    other = colored(tunnel("third", color=0, services=("globex",)), [first, mesh])
    assert (first.color, mesh.color, other.color) == (100, 100, 101)


def test_a_vpn_has_one_colour_in_the_whole_network_where_that_is_free():
    there = tunnel("there", color=120, services=("acme",))
    here = Tunnel("here", DeviceName("z"), DeviceName("a"), 0, "fc00::a", services=("acme",))
    assert colored(here, [there]).color == 120


def test_a_tunnel_that_leaves_a_shared_vpn_gets_a_colour_of_its_own():
    stays = replace(tunnel("stays", services=("acme",)), endpoint="fc00::2")
    leaves = tunnel("leaves", services=("globex",))
    assert colored(leaves, [stays, leaves]).color == 101


def test_two_tunnels_to_one_router_cannot_serve_one_vpn():
    with pytest.raises(ConflictError, match="'first' takes acme"):
        colored(tunnel("second", color=0, services=("acme",)), [tunnel("first", services=("acme",))])


def test_vpns_of_different_colours_cannot_share_a_tunnel():
    others = [
        replace(tunnel("first", color=100, services=("acme",)), endpoint="fc00::2"),
        replace(tunnel("second", color=101, services=("globex",)), endpoint="fc00::2"),
    ]
    with pytest.raises(ConflictError, match="acme has 100, globex has 101"):
        colored(tunnel("both", color=0, services=("acme", "globex")), others)


def test_placing_anew_empties_the_busiest_link_step_by_step_without_overfilling_any():
    rate = BitRate(4 * GIGABIT // 10)
    packed = [placed(database(), tunnel(name, bandwidth=rate)) for name in ("s", "t")]
    taken = TeDatabase(network(), reservations(packed, network().links))
    found = reoptimised(taken, packed)
    assert (round(found.utilisation_before, 3), round(found.utilisation_after, 3)) == (0.8, 0.4)
    names = [each.name for step in found.steps for each in step]
    assert len(names) == 1
    after = {each.name: each for each in packed} | {each.name: each for step in found.steps for each in step}
    assert len({way(each.paths[0]) for each in after.values()}) == 2


def test_nothing_is_moved_where_nothing_is_gained():
    alone = placed(database(), tunnel(bandwidth=BitRate(1)))
    assert reoptimised(TeDatabase(network(), reservations([alone], network().links)), [alone]).steps == ()
