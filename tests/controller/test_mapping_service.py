"""From L3SM to device lines: what a service becomes, what a change touches, what a deletion leaves."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.mapping.service import L3smState
from controller.mapping.service_change import L3smChange
from controller.mapping.service_inverse import inverse, whole
from controller.model.errors import ConflictError, InvalidInputError, NotFoundError
from tests.controller.mapping_samples import (
    access,
    configuration,
    device_errors,
    edit,
    l3sm_errors,
    make,
    network,
    service,
    site,
    touched,
    two_sites,
)


def test_two_sites_become_valid_configuration_on_two_routers() -> None:
    state, _ = make(two_sites())
    assert l3sm_errors(touched(L3smState(), two_sites())) == []
    assert {fragment.device for fragment in state.fragments.values()} == {"lon1", "par1"}
    for device in ("lon1", "par1"):
        flat = configuration(state, device)
        assert device_errors(flat) == []


def test_adding_a_site_touches_only_its_own_lines() -> None:
    _, changes = make(two_sites(), edit(site("m", "Madrid", "ES", access(3))))
    change = changes[-1]
    assert {fragment.device for fragment in change.fragments_added} == {"mad1"}
    assert (change.fragments_changed, change.fragments_removed) == ((), ())


def test_deleting_everything_returns_every_identifier() -> None:
    state, _ = make(two_sites(), edit(delete=("l", "p")), edit(delete_services=("acme",)))
    assert state.fragments == {}
    assert state.identifiers.pools == {}
    assert state.occupancy.placements == {}


def targets(state: L3smState, site_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Import and export targets of the VRF that a site's first access is in."""
    placement = state.placements[site_id, "a1"]
    access = next(f.access for f in state.fragments.values() if f"/access/{site_id}/a1" in f.owner and f.access)
    node = next(
        f.node for f in state.fragments.values() if f.device == placement.device and f.node and f.node.vrf == access.vrf
    )
    return node.import_targets, node.export_targets


def hub_and_spokes(topology: str) -> L3smState:
    def member(name: str, city: str, country: str, number: int, role: str) -> object:
        return site(name, city, country, access(number, vpn_id="hs", role=role))

    state, _ = make(
        edit(
            service("hs", topology),
            member("hub1", "London", "GB", 1, "hub-role"),
            member("hub2", "London", "GB", 2, "hub-role"),
            member("spoke1", "Paris", "FR", 3, "spoke-role"),
            member("spoke2", "Paris", "FR", 4, "spoke-role"),
        )
    )
    return state


def talks(state: L3smState, a: str, b: str) -> bool:
    """Whether the routes of one site reach another."""
    same_vrf = vrf(state, a) == vrf(state, b)
    return same_vrf or bool(set(targets(state, a)[1]) & set(targets(state, b)[0]))


def vrf(state: L3smState, site_id: str) -> tuple[str, str]:
    placement = state.placements[site_id, "a1"]
    return placement.device, placement.vrf_key


def test_spokes_reach_hubs_and_never_each_other_even_on_one_router() -> None:
    state = hub_and_spokes("hub-spoke")
    assert state.placements["spoke1", "a1"].device == state.placements["spoke2", "a1"].device == "par1"
    assert talks(state, "spoke1", "hub1")
    assert talks(state, "hub2", "spoke2")
    assert talks(state, "hub1", "hub2")
    assert not talks(state, "spoke1", "spoke2")


def test_disjoint_hubs_do_not_reach_each_other() -> None:
    state = hub_and_spokes("hub-spoke-disjoint")
    assert talks(state, "spoke1", "hub1")
    assert talks(state, "hub2", "spoke1")
    assert not talks(state, "hub1", "hub2")
    assert not talks(state, "spoke1", "spoke2")


def test_sites_of_one_vpn_on_one_router_share_its_vrf_and_other_vpns_do_not() -> None:
    state, _ = make(
        edit(
            service(),
            service("other"),
            site("a", "Paris", "FR", access(1)),
            site("b", "Paris", "FR", access(2)),
            site("c", "Paris", "FR", access(3, vpn_id="other")),
        )
    )
    assert vrf(state, "a") == vrf(state, "b") != vrf(state, "c")
    assert not talks(state, "a", "c")


def test_a_new_customer_name_touches_all_of_its_vpn_and_nothing_else() -> None:
    first = edit(service(), service("other"), site("a", "Paris", "FR", access(1)), site("b", "Madrid", "ES", access(2)))
    third = edit(site("c", "London", "GB", access(3, vpn_id="other")), service(customer="Acme plc"))
    _, changes = make(first, third)
    assert {r.new.owner.partition("/")[0] for r in changes[-1].fragments_changed} == {"l3vpn:acme"}
    assert len(changes[-1].fragments_changed) == 4
    assert {f.owner.partition("/")[0] for f in changes[-1].fragments_added} == {"l3vpn:other"}


def test_an_edit_that_says_what_holds_already_changes_nothing() -> None:
    state, _ = make(two_sites())
    change = state.change(two_sites(), network())
    assert not change
    assert (change.placed, change.allocated, change.fragments_changed) == ((), (), ())


def test_a_refused_edit_leaves_the_state_as_it_was() -> None:
    state, _ = make(two_sites())
    before = (dict(state.placements), dict(state.occupancy.load), set(state.occupancy.nodes))
    bad = edit(site("l", "London", "GB", access(1, vpn_id="none")), site("x", "Paris", "FR", access(9)))
    with pytest.raises(InvalidInputError, match="no VPN service 'none'"):
        state.change(bad, network())
    with pytest.raises(InvalidInputError, match="no router serves"):
        state.change(edit(site("l", "Atlantis", "XX", access(1))), network())
    assert (dict(state.placements), dict(state.occupancy.load), set(state.occupancy.nodes)) == before


def test_a_vpn_with_sites_is_not_deleted_without_them() -> None:
    state, _ = make(two_sites())
    with pytest.raises(ConflictError, match="has sites: l, p"):
        state.change(edit(delete_services=("acme",)), network())
    with pytest.raises(NotFoundError):
        state.change(edit(delete=("nowhere",)), network())


def test_adding_an_access_to_a_large_site_reads_only_that_access() -> None:
    accesses = [access(n, f"a{n}") for n in range(200)]
    state, changes = make(
        edit(service(), site("big", "London", "GB", *accesses)),
        edit(site("big", "London", "GB", *accesses, access(201, "new"))),
    )
    assert [(p.site_id, p.access_id) for p in changes[-1].placed] == [("big", "new")]
    assert len(changes[-1].fragments_added) + len(changes[-1].fragments_changed) == 1
    assert len(state.placements) == 201


def test_a_moved_site_leaves_nothing_on_its_old_router() -> None:
    state, changes = make(two_sites(), edit(site("l", "Madrid", "ES", access(1))))
    assert {f.device for f in state.fragments.values()} == {"mad1", "par1"}
    assert {f.device for f in changes[-1].fragments_removed} == {"lon1"}
    assert configuration(state, "lon1") == {}


def test_virtual_routers_of_a_site_agree_on_one_address() -> None:
    def member(name: str, address: str, priority: int) -> object:
        connection = {
            "ipv4": {
                "address-allocation-type": "ietf-l3vpn-svc:static-address",
                "addresses": {"provider-address": address, "prefix-length": 24},
            }
        }
        protocols = [{"type": "ietf-l3vpn-svc:vrrp", "vrrp": {"address-family": ["ipv4"]}}]
        return access(
            1,
            name,
            ip_connection=connection,
            routing_protocols={"routing-protocol": protocols},
            availability={"access-priority": priority},
            access_diversity={
                "constraints": {
                    "constraint": [
                        {"constraint-type": "ietf-l3vpn-svc:pe-diverse", "target": {"all-other-accesses": [None]}}
                    ]
                }
            },
        )

    one, two = member("a1", "10.1.0.3", 120), member("a2", "10.1.0.2", 80)
    state, _ = make(edit(service(), site("l", "London", "GB", one)), edit(site("l", "London", "GB", one, two)))
    groups = sorted(
        (f.device, g.virtual_address, g.priority) for f in state.fragments.values() if f.access for g in f.access.vrrp
    )
    assert groups == [("lon1", "10.1.0.2", 120), ("lon2", "10.1.0.2", 80)]


def test_a_snapshot_continues_like_the_state_it_was_taken_of() -> None:
    state, _ = make(two_sites(), edit(site("m", "Madrid", "ES", access(3))), edit(delete=("l",)))
    restored = L3smState()
    restored.apply(L3smChange.from_json(orjson.loads(orjson.dumps(whole(state).to_json()))))
    more = edit(site("n", "London", "GB", access(4)), site("o", "Madrid", "ES", access(5)))
    assert restored.change(more, network()) == state.change(more, network())
    assert restored.fragments == state.fragments
    assert restored.document() == state.document()


def test_a_policy_that_both_filters_and_exports_everything_to_a_vpn_is_refused() -> None:
    def entry(name: str, **more: object) -> dict[str, object]:
        return {"id": name, "vpn": [{"vpn-id": "acme", "site-role": "ietf-l3vpn-svc:any-to-any-role"}], **more}

    filters = {"filter": [{"type": "ietf-l3vpn-svc:ipv4", "ipv4-lan-prefix": ["10.0.0.0/8"]}]}
    policy = {"vpn-policy-id": "p", "entries": [entry("all"), entry("some", filters=filters)]}
    attached = access(1, vpn_attachment={"vpn-policy-id": "p"})
    asked = edit(service(), site("l", "London", "GB", attached, vpn_policies={"vpn-policy": [policy]}))
    with pytest.raises(InvalidInputError, match="another filters") as refusal:
        L3smState().change(asked, network())
    assert refusal.value.path.endswith("/entries[id='some']/vpn[vpn-id='acme']/vpn-id")


def test_an_address_is_used_once_in_a_vrf_of_a_router() -> None:
    state, _ = make(edit(service(), service("other"), site("a", "Paris", "FR", access(1))))
    with pytest.raises(
        InvalidInputError, match=r"the access a/a1 has the address 192\.0\.1\.1 in the same VPN on par1"
    ):
        state.change(edit(site("b", "Paris", "FR", access(1))), network())
    state.apply(state.change(edit(site("b", "Paris", "FR", access(1, vpn_id="other"))), network()))
    state.apply(state.change(edit(site("c", "Madrid", "ES", access(1))), network()))
    swapped = edit(site("a", "Paris", "FR", access(2)), site("d", "Paris", "FR", access(1)))
    state.apply(state.change(swapped, network()))


def test_undoing_a_change_leads_back() -> None:
    state, _ = make(two_sites())
    before = whole(state)
    for step in (
        edit(site("l", "Madrid", "ES", access(1))),
        edit(service(customer="Acme plc"), site("n", "London", "GB", access(4))),
        edit(delete=("l", "p"), delete_services=("acme",)),
    ):
        change = state.change(step, network())
        back = inverse(state, change)
        state.apply(change)
        assert whole(state) != before
        state.apply(back)
        assert same_but_for_order(whole(state), before)


def same_but_for_order(one: L3smChange, other: L3smChange) -> bool:
    return (
        set(one.placed) == set(other.placed)
        and set(one.allocated) == set(other.allocated)
        and set(one.fragments_added) == set(other.fragments_added)
        and dict(one.site_vpns) == dict(other.site_vpns)
        and one.edit.to_json() == other.edit.to_json()
    )


SITES = st.sampled_from([("London", "GB"), ("Paris", "FR"), ("Madrid", "ES")])
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["s1", "s2", "s3", "s4"]), st.none() | st.tuples(SITES, st.integers(1, 3), st.booleans())
    ),
    min_size=1,
    max_size=8,
)


@given(EDITS)
def test_after_any_history_only_what_is_wanted_remains(history: list[Any]) -> None:
    state, _ = make(edit(service(), service("hs", "hub-spoke")))
    alive: set[str] = set()
    for name, wanted in history:
        if wanted is None:
            step = edit(delete=(name,) if name in alive else ())
            alive.discard(name)
        else:
            (city, country), count, is_spoke = wanted
            vpn = {"vpn_id": "hs", "role": "spoke-role"} if is_spoke else {}
            step = edit(
                site(name, city, country, *(access(4 * int(name[1]) + n, f"a{n}", **vpn) for n in range(count)))
            )
            alive.add(name)
        change = state.change(step, network())
        stored = L3smChange.from_json(orjson.loads(orjson.dumps(change.to_json())))
        assert stored == change, "a plan that was just made is reserved as it is, one that was stored as it is read"
        state.apply(stored)
        assert {key[0] for key in state.placements} == alive
        vlans = [(p.device, p.port, p.vlan) for p in state.placements.values()]
        assert len(vlans) == len(set(vlans))
        nodes = {(f.device, f.node.vrf) for f in state.fragments.values() if f.node}
        assert {(f.device, f.access.vrf) for f in state.fragments.values() if f.access} == nodes
        distinguishers = [f.node.route_distinguisher for f in state.fragments.values() if f.node]
        assert len(distinguishers) == len(set(distinguishers))
    state.apply(state.change(edit(delete=alive, delete_services=("acme", "hs")), network()))
    assert (state.fragments, state.identifiers.pools, state.occupancy.nodes, state.vpn_sites) == ({}, {}, {}, {})
    assert not any(state.occupancy.load.values())
