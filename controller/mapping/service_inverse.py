"""Owns undoing a change of services: the change that leads back, computed before the change is applied."""

from typing import Any

from controller.mapping.service import L3smState
from controller.mapping.service_change import L3smChange, L3smEdit, PlacedAccess, Replacement
from controller.mapping.service_draft import relied_vpns

Json = Any


def inverse(state: L3smState, change: L3smChange) -> L3smChange:
    """The change that leads from the state after `change` back to `state`, which is the state before it."""
    placements = state.placements
    touched = [key for key in change.unplaced if key in placements]
    return L3smChange(
        edit=_inverse_edit(state, change.edit),
        placed=tuple(PlacedAccess(site, access, placements[site, access]) for site, access in touched),
        unplaced=tuple(placed.key for placed in change.placed),
        site_vpns=tuple((site, state.site_vpns.get(site, ())) for site, _ in change.site_vpns),
        allocated=change.returned,
        returned=change.allocated,
        relied=change.relied,
        relied_vpns=relied_vpns(state, change.edit, (state.site_vpns.get(site, ()) for site, _ in change.site_vpns)),
        fragments_added=change.fragments_removed,
        fragments_changed=tuple(Replacement(pair.new, pair.old) for pair in change.fragments_changed),
        fragments_removed=change.fragments_added,
    )


def _inverse_edit(state: L3smState, edit: L3smEdit) -> L3smEdit:
    services = [*edit.upserted_services, *edit.deleted_services]
    sites = [*edit.upserted_sites, *edit.deleted_sites]
    return L3smEdit(
        upserted_services={key: state.services[key] for key in services if key in state.services},
        deleted_services=tuple(key for key in services if key not in state.services),
        upserted_sites={key: state.sites[key] for key in sites if key in state.sites},
        deleted_sites=tuple(key for key in sites if key not in state.sites),
        profiles=(state.profiles or {}) if edit.profiles is not None else None,
    )


def whole(state: L3smState) -> L3smChange:
    """The one change that leads from nothing to `state`: what a snapshot holds."""
    return L3smChange(
        edit=L3smEdit(upserted_services=state.services, upserted_sites=state.sites, profiles=state.profiles),
        placed=tuple(PlacedAccess(site, access, placed) for (site, access), placed in state.placements.items()),
        site_vpns=tuple(state.site_vpns.items()),
        allocated=tuple(
            (name, key, number) for name, pool in state.identifiers.pools.items() for key, number in pool.taken.items()
        ),
        fragments_added=tuple(state.fragments.values()),
    )
