"""From L3SM to device lines: what a service becomes, what a change touches, what a deletion leaves."""

from controller.mapping.service import L3smState
from tests.controller.mapping_samples import (
    access,
    configuration,
    device_errors,
    edit,
    l3sm_errors,
    make,
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
