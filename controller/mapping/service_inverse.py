"""Owns undoing a change of services: the change that leads back, computed before the change is applied."""

from typing import Any

from controller.mapping.identifiers import IdentifierPools
from controller.mapping.service import L3smState
from controller.mapping.service_change import L3smChange, L3smEdit, PlacedAccess, Replacement
from controller.model.errors import ConflictError

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


def refuse_stale(state: L3smState, change: L3smChange, back: L3smChange) -> None:
    """Refuse a change that was decided on a state that has moved: `ConflictError` names what. Costs what it changes."""
    _refuse_other_documents(state, back)
    for pool, key, number in change.allocated:
        if not _is_free(state.identifiers, pool, number):
            raise _moved(f"number {number} of pool '{pool}', planned for '{key}', has been given to another")
    _refuse_other_fragments(state, change)
    _refuse_new_members(state, change)
    _refuse_lost_nodes(state, change)


def _moved(what: str) -> ConflictError:
    return ConflictError(f"{what} since this was decided", remedy="plan again, or undo what came later first")


def _refuse_other_documents(state: L3smState, back: L3smChange) -> None:
    for kind, current, before, gone in (
        ("service", state.services, back.edit.upserted_services, back.edit.deleted_services),
        ("site", state.sites, back.edit.upserted_sites, back.edit.deleted_sites),
    ):
        for key in (*before, *gone):
            if current.get(key) != before.get(key):
                raise _moved(f"the {kind} '{key}' has changed")


def _refuse_other_fragments(state: L3smState, change: L3smChange) -> None:
    expected = (*change.fragments_removed, *(pair.old for pair in change.fragments_changed))
    for fragment in expected:
        if state.fragments.get(fragment.owner) != fragment:
            raise _moved(f"what '{fragment.owner}' is on '{fragment.device}' has changed")
    moving = {fragment.owner for fragment in change.fragments_removed}
    for fragment in change.fragments_added:
        if fragment.owner in state.fragments and fragment.owner not in moving:
            raise _moved(f"'{fragment.owner}' has come to '{fragment.device}'")


def _refuse_new_members(state: L3smState, change: L3smChange) -> None:
    """Nothing may be left in a VPN or a VRF that the change ends."""
    leaving = {*change.edit.deleted_sites, *(site for site, vpns in change.site_vpns if not vpns)}
    referring = dict(change.site_vpns)
    for vpn_id in change.edit.deleted_services:
        for site in state.vpn_sites.get(vpn_id, {}):
            if site not in leaving and vpn_id in referring.get(site, (vpn_id,)):
                raise _moved(f"the site '{site}' has joined the VPN '{vpn_id}'")
    ended = {key for pool, key, _ in change.returned if pool == "rd"}
    unplaced = set(change.unplaced)
    for placement in (state.placements[key] for key in unplaced if key in state.placements):
        node = state.occupancy.nodes.get((placement.device, placement.vrf_key))
        if node and f"{placement.device}/{placement.vrf_key}" in ended and node.members.keys() - unplaced:
            site, access = min(node.members.keys() - unplaced)
            raise _moved(f"the access '{access}' of site '{site}' has joined the VRF on '{placement.device}'")


def _refuse_lost_nodes(state: L3smState, change: L3smChange) -> None:
    """What the change puts into a VPN or a VRF that it does not make itself needs it to be there."""
    made = {key for pool, key, _ in change.allocated if pool == "rd"}
    for placed in change.placed:
        key = f"{placed.placement.device}/{placed.placement.vrf_key}"
        if key not in made and state.identifiers.get("rd", key) is None:
            raise _moved(f"the VRF of site '{placed.key[0]}' on '{placed.placement.device}' has gone")
        for vpn_id in placed.placement.vpns:
            if vpn_id not in state.services and vpn_id not in change.edit.upserted_services:
                raise _moved(f"the VPN '{vpn_id}' has been deleted")


def _is_free(pools: IdentifierPools, name: str, number: int) -> bool:
    pool = pools.pools.get(name)
    return pool is None or number >= pool.next or number in pool.free


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
