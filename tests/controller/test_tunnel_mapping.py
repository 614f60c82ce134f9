"""What a tunnel wants on its head end, and that a tunnel can be an event and come back from it."""

from dataclasses import replace

import pytest

from controller.mapping.tunnel import (
    BACKUP,
    PRIMARY,
    Tunnel,
    TunnelPath,
    TunnelPolicy,
    TunnelProbe,
    number_paths,
    tunnel_lines,
    with_paths,
)
from controller.mapping.tunnel_book import TunnelBook, TunnelChange
from controller.mapping.tunnel_steering import colors_on, vrfs_by_tunnel
from controller.model.errors import NotFoundError, NotSupportedError, StalePlanError
from controller.model.identifiers import DeviceName, Owner
from controller.model.units import BitRate
from controller.model.yang_path import format_path
from controller.ports import Event
from controller.topology.network import LinkId

POLICY = "/accord-router:router/srv6/policy[color='100'][endpoint='fc00:0:3::1']"
NORTH = ((LinkId("a:0>b:0"), LinkId("b:1>c:0")), ("fc00:0:1:a000::", "fc00:0:2:a001::"))
SOUTH = ((LinkId("a:1>d:0"), LinkId("d:1>c:1")), ("fc00:0:1:a001::", "fc00:0:4:a001::"))


def tunnel(name="gold", **more):
    made = Tunnel(name, DeviceName("a"), DeviceName("c"), 100, "fc00:0:3::1", services=("acme",))
    return with_paths(replace(made, **more), NORTH)


def lines(of, *vrfs):
    return {format_path(path): value for path, value in tunnel_lines(of, vrfs).items()}


def test_a_tunnel_is_a_policy_with_its_segments_in_order():
    found = lines(tunnel())
    segments = f"{POLICY}/candidate-path[discriminator='1']/segment-list[id='1']"
    assert found == {
        POLICY: "",
        f"{POLICY}/name": "gold@100",
        f"{POLICY}/candidate-path[discriminator='1']": "",
        f"{POLICY}/candidate-path[discriminator='1']/preference": str(PRIMARY),
        segments: "",
        f"{segments}/segment[index='1']": "",
        f"{segments}/segment[index='1']/sid": "fc00:0:1:a000::",
        f"{segments}/segment[index='2']": "",
        f"{segments}/segment[index='2']/sid": "fc00:0:2:a001::",
    }


def test_the_vrfs_it_serves_take_its_colour():
    vrf = "/ietf-network-instance:network-instances/network-instance[name='{}']/accord-router:l3vpn/color"
    found = lines(tunnel(), "v-acme", "v-acme-hub")
    assert {path: value for path, value in found.items() if "network-instance" in path} == {
        vrf.format("v-acme"): "100",
        vrf.format("v-acme-hub"): "100",
    }


def test_a_protected_tunnel_has_a_second_path_of_lower_preference():
    protected = with_paths(tunnel(), NORTH, SOUTH)
    assert [(path.discriminator, path.preference) for path in protected.ranked] == [(1, PRIMARY), (2, BACKUP)]


def test_a_path_that_stays_keeps_its_discriminator_and_a_new_one_takes_one_that_nobody_had():
    before = with_paths(tunnel(), NORTH, SOUTH).paths
    after = number_paths(before, [SOUTH, (NORTH[0][:1], NORTH[1][:1])])
    assert [path.discriminator for path in after] == [2, 3]


def test_a_policy_beside_has_a_name_of_its_own_and_a_probe_sends_along_its_segments():
    found = lines(tunnel(beside=(TunnelPolicy(101, tunnel().paths),), probes=(TunnelProbe(1000, SOUTH[1]),)))
    assert found[f"{POLICY.replace('100', '101')}/name"] == "gold@101"
    session = "/accord-router:router/oam/stamp-session[id='1000']"
    assert found[f"{session}/remote-address"] == "fc00:0:3::1"
    assert found[f"{session}/segment[index='2']/sid"] == SOUTH[1][1]


def test_a_path_of_more_links_than_a_router_pushes_segments_is_refused_by_name():
    long = with_paths(tunnel(), (NORTH[0] * 9, NORTH[1] * 9))
    with pytest.raises(NotSupportedError, match="'gold'"):
        tunnel_lines(long, ())


def test_a_tunnel_comes_back_from_its_json():
    whole = replace(
        with_paths(tunnel(), NORTH, SOUTH),
        bandwidth=BitRate(10**9),
        delay_bound_seconds=0.0125,
        exclude_any=5,
        protection="srlg",
        objective="delay",
        beside=(TunnelPolicy(101, tunnel().paths),),
        probes=(TunnelProbe(1000, NORTH[1]),),
    )
    assert Tunnel.from_json(whole.to_json()) == whole


def owners(*vrfs):
    return [Owner(f"l3vpn:{vpn}/node/{device}/{vrf}") for vpn, device, vrf in vrfs] + [Owner("l3vpn:acme/access/s/1")]


def test_only_vrfs_of_its_services_on_its_head_end_are_coloured():
    held = owners(("acme", "a", "v1"), ("acme", "a", "v2"), ("acme", "c", "v1"), ("other", "a", "v3"))
    assert vrfs_by_tunnel([tunnel()], held) == {"gold": ("v1", "v2")}
    assert colors_on([tunnel()]) == {("l3vpn:acme", "a"): 100}


def fold(book, change):
    event = book.changed(change)
    book.apply(Event(1, event.stream, 1, event.type, 0.0, "", "", event.data, "", ""))
    return event


def test_what_undoes_a_change_leads_back_to_what_was_there():
    book = TunnelBook()
    fold(book, TunnelChange((tunnel(),)))
    wider = tunnel(bandwidth=BitRate(10**9))
    change = TunnelChange((wider, tunnel("silver")))
    back = book.inverse(change)
    fold(book, change)
    assert {each.name: each for each in book} == {"gold": wider, "silver": tunnel("silver")}
    fold(book, back)
    assert list(book) == [tunnel()]


def test_a_change_of_a_tunnel_that_has_changed_since_is_stale():
    book = TunnelBook()
    fold(book, TunnelChange((tunnel(),)))
    planned = book.changed(TunnelChange((tunnel(bandwidth=BitRate(1)),)))
    book.refuse_stale([planned])
    fold(book, TunnelChange((tunnel(bandwidth=BitRate(2)),)))
    with pytest.raises(StalePlanError, match="'gold'"):
        book.refuse_stale([planned])


def test_what_holds_already_is_no_news():
    book = TunnelBook()
    fold(book, TunnelChange((tunnel(),)))
    assert book.news_in(TunnelChange((tunnel(), tunnel("new")), ("gone",))) == TunnelChange((tunnel("new"),))


def test_an_unknown_tunnel_is_named():
    with pytest.raises(NotFoundError, match="'nobody'"):
        TunnelBook().get("nobody")


def test_a_book_comes_back_from_its_json():
    book, restored = TunnelBook(), TunnelBook()
    fold(book, TunnelChange((tunnel(), tunnel("silver"))))
    restored.load_json(book.to_json())
    assert list(restored) == list(book)


def test_ranking_is_by_preference_then_by_discriminator():
    paths = tuple(TunnelPath(n, preference, *NORTH) for n, preference in ((3, 100), (1, 100), (2, 200)))
    assert [path.discriminator for path in replace(tunnel(), paths=paths).ranked] == [2, 3, 1]
