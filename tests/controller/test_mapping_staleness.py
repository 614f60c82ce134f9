"""Plans made at once and committed one after the other: the second holds as it is, or is refused with the reason."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.mapping.infrastructure import Infrastructure
from controller.mapping.service_change import L3smChange, L3smEdit
from controller.mapping.service_inverse import inverse, whole
from controller.mapping.service_staleness import refuse_stale, relied_on_by, touched_by
from controller.model.errors import StalePlanError
from tests.controller.l3sm_rich_instances import constrained, group
from tests.controller.mapping_samples import access, edit, make, network, port, router, service, site, two_sites

GIGABIT = {"svc-input-bandwidth": "6000000000", "svc-output-bandwidth": "6000000000", "svc-mtu": 1500}


class World:
    """A state, and plans made on it at once."""

    def __init__(self, *edits: L3smEdit, on: Infrastructure | None = None) -> None:
        self.on = on or network()
        self.state, _ = make(*edits, on=self.on)

    def plan(self, each: L3smEdit) -> tuple[L3smChange, L3smChange]:
        change = self.state.change(each, self.on)
        back = inverse(self.state, change)
        return L3smChange.from_json(change.to_json()), L3smChange.from_json(back.to_json())

    def commit(self, planned: tuple[L3smChange, L3smChange]) -> None:
        before = whole(self.state)
        try:
            refuse_stale(self.state, *planned, self.on)
        except StalePlanError:
            assert set(before.placed) == set(whole(self.state).placed)
            raise
        self.state.apply(planned[0])


def renumbered(planned: tuple[L3smChange, L3smChange], by: int) -> tuple[L3smChange, L3smChange]:
    """The plan with numbers of its own, so that they are not what makes it stale."""
    change, back = planned
    allocated = tuple(
        (pool, key, number if pool.startswith("vrf/") else number + by) for pool, key, number in change.allocated
    )
    return replace(change, allocated=allocated), replace(back, returned=allocated)


def test_plans_that_share_nothing_are_both_committed() -> None:
    world = World(edit(service(), service("other")))
    one = world.plan(edit(site("l", "London", "GB", access(1))))
    two = renumbered(world.plan(edit(site("p", "Paris", "FR", access(2, vpn_id="other")))), 5)
    assert touched_by(*one).isdisjoint({("site", "p")})
    world.commit(one)
    world.commit(two)


def test_two_plans_with_the_same_numbers_are_not_both_committed() -> None:
    world = World(edit(service(), service("other")))
    one = world.plan(edit(site("l", "London", "GB", access(1))))
    two = world.plan(edit(site("p", "Paris", "FR", access(2, vpn_id="other"))))
    world.commit(one)
    with pytest.raises(StalePlanError, match="has been given to another"):
        world.commit(two)


def stale(world: World, first: L3smEdit, second: L3smEdit, message: str) -> None:
    one, two = world.plan(first), renumbered(world.plan(second), 5)
    world.commit(one)
    with pytest.raises(StalePlanError, match=message):
        world.commit(two)


def test_a_port_that_has_filled_up_since_is_refused() -> None:
    one_port = network(router("par1", "Paris", "FR", 1, ports=(port("ge0"),)))
    first = edit(site("a", "Paris", "FR", access(1, service=GIGABIT)))
    second = edit(site("b", "Paris", "FR", access(2, vpn_id="other", service=GIGABIT)))
    world = World(edit(service(), service("other")), on=one_port)
    stale(world, first, second, r"b/a1 cannot go where it was planned: par1 ge0 has no 6000000000 bit/s left")


def test_a_port_that_is_not_offered_any_more_is_refused() -> None:
    world = World(edit(service()))
    planned = world.plan(edit(site("a", "Paris", "FR", access(1))))
    world.on = network(router("par1", "Paris", "FR", 1, ports=(port("ge7"),)))
    with pytest.raises(StalePlanError, match="customers are not attached to par1 ge0 any more"):
        world.commit(planned)


def test_an_address_that_was_taken_in_the_same_vrf_is_refused() -> None:
    world = World(edit(service(), site("z", "Paris", "FR", access(9))))
    first, second = (edit(site(name, "Paris", "FR", access(1))) for name in ("a", "b"))
    stale(world, first, second, r"a/a1 has the address 192\.0\.1\.1 in the same VPN on par1")


@pytest.mark.parametrize("watcher_comes_first", [True, False])
def test_a_diversity_constraint_that_was_met_by_somebody_else_is_refused(watcher_comes_first: bool) -> None:
    watching = constrained("pe-diverse", group=[{"group-id": "g"}])
    member = edit(site("m", "Paris", "FR", access(1, access_diversity=group("g"))))
    watcher = edit(site("w", "Paris", "FR", access(2, vpn_id="other", access_diversity=watching)))
    first, second = (watcher, member) if watcher_comes_first else (member, watcher)
    stale(World(edit(service(), service("other"))), first, second, "the constraint pe-diverse keeps it off par1")


def test_a_vrf_that_was_to_go_with_its_last_access_and_got_another_is_refused() -> None:
    world = World(edit(service(), site("a", "Paris", "FR", access(1))))
    stale(world, edit(site("b", "Paris", "FR", access(2))), edit(delete=("a",)), "other accesses have come to")


def test_two_accesses_that_leave_a_vrf_at_once_do_not_leave_it_empty() -> None:
    both = (site("a", "Paris", "FR", access(1)), site("b", "Paris", "FR", access(2)))
    world = World(edit(service(), *both))
    stale(world, edit(delete=("a",)), edit(delete=("b",)), "other accesses have come to .* or left it")


def test_a_vrf_whose_last_access_has_gone_since_is_refused() -> None:
    world = World(edit(service(), site("a", "Paris", "FR", access(1))))
    stale(world, edit(delete=("a",)), edit(site("b", "Paris", "FR", access(2))), "does not hold number")


def test_route_limits_of_a_vrf_that_others_changed_are_refused() -> None:
    def limited(name: str, number: int, limit: int) -> L3smEdit:
        routes = {"address-family": [{"af": "ipv4", "maximum-routes": limit}]}
        return edit(site(name, "Paris", "FR", access(number), maximum_routes=routes))

    world = World(edit(service(), site("z", "Paris", "FR", access(9))))
    stale(
        world, limited("a", 1, 500), limited("b", 2, 100), "what 'l3vpn:acme/node/par1/acme' wants on par1 has changed"
    )


def test_a_service_that_changed_under_a_new_site_is_refused() -> None:
    new_site = edit(site("m", "Madrid", "ES", access(3)))
    stale(World(two_sites()), edit(service(customer="Acme plc")), new_site, "the service 'acme' has changed")


def test_a_service_is_not_deleted_from_under_a_site_that_came_meanwhile() -> None:
    everything = edit(delete=("l", "p"), delete_services=("acme",))
    stale(World(two_sites()), edit(site("m", "Madrid", "ES", access(3))), everything, "the site 'm' has come to")


def test_a_service_is_not_changed_past_a_site_that_came_meanwhile() -> None:
    renamed = edit(service(customer="Acme plc"))
    stale(World(two_sites()), edit(site("m", "Madrid", "ES", access(3))), renamed, "the site 'm' has come to")


def test_profiles_that_somebody_else_set_are_not_overwritten() -> None:
    def profiles(kind: str, name: str) -> L3smEdit:
        return L3smEdit(profiles={"valid-provider-identifiers": {f"{kind}-profile-identifier": [{"id": name}]}})

    stale(World(), profiles("qos", "gold"), profiles("bfd", "fast"), "profiles have changed")


CHANGES: tuple[Callable[[], L3smEdit], ...] = (
    lambda: edit(site("n", "London", "GB", access(4))),
    lambda: edit(site("l", "Madrid", "ES", access(1))),
    lambda: edit(service(customer="Acme plc")),
    lambda: edit(delete=("l",)),
    lambda: edit(delete=("l", "p"), delete_services=("acme",)),
)


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_a_plan_and_its_undoing_hold_while_nothing_else_happens(number: int) -> None:
    world = World(two_sites())
    change, back = world.plan(CHANGES[number]())
    before = whole(world.state)
    world.commit((change, back))
    world.commit((back, change))
    assert set(whole(world.state).placed) == set(before.placed)
    assert set(whole(world.state).fragments_added) == set(before.fragments_added)


def test_what_a_change_builds_on_meets_what_another_alters() -> None:
    world = World(edit(service()))
    first = world.plan(edit(site("a", "Paris", "FR", access(1))))
    world.state.apply(first[0])
    second = world.plan(edit(site("b", "Paris", "FR", access(2))))
    assert ("vrf", "par1", "vpn/acme/any-to-any-role") in touched_by(*first) & touched_by(*second)
    assert touched_by(*first) & relied_on_by(second[0])
    assert ("service", "acme") in relied_on_by(second[0])
