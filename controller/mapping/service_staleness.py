"""Owns telling whether a change that was decided earlier still means the same: it costs what the change costs.

What a change was decided on: the documents it replaces, the VPNs its sites refer to, the numbers it takes or goes on
using, the fragments it replaces, who shares a VRF with it, and room on ports (RFC 8299 6.6). The state's occupancy
serves as a scratch pad and is put back.
"""

from collections.abc import Hashable, Iterator

from controller.mapping.fragment import Fragment, node_owner
from controller.mapping.identifiers import IdentifierPools
from controller.mapping.infrastructure import Infrastructure
from controller.mapping.l3sm import parse_service
from controller.mapping.network_completion import vrf_pool, vrf_text
from controller.mapping.network_model import RouteLimit
from controller.mapping.occupancy import AccessKey, NodeKey, Placement
from controller.mapping.placement import Placer
from controller.mapping.service import L3smState
from controller.mapping.service_change import L3smChange
from controller.model.errors import StalePlanError


def refuse_stale(state: L3smState, change: L3smChange, back: L3smChange, infrastructure: Infrastructure) -> None:
    """Refuse a change that was decided on a state that has moved: `StalePlanError` names what."""
    reasons = (
        *_documents(state, change, back),
        *_numbers(state.identifiers, change),
        *_fragments(state, change),
    )
    reason = next(iter(reasons), "") or _places(state, change, infrastructure)
    if reason:
        raise StalePlanError(reason, remedy="plan again", tag="data-exists")


def _documents(state: L3smState, change: L3smChange, back: L3smChange) -> Iterator[str]:
    for kind, current, before, gone in (
        ("service", state.services, back.edit.upserted_services, back.edit.deleted_services),
        ("site", state.sites, back.edit.upserted_sites, back.edit.deleted_sites),
    ):
        for key in (*before, *gone):
            if current.get(key) != before.get(key):
                yield f"the {kind} '{key}' has changed since the plan was made"
    if change.edit.profiles is not None and (state.profiles or {}) != (back.edit.profiles or {}):
        yield "the VPN profiles have changed since the plan was made"
    read = {site_id for site_id, _ in change.site_vpns}
    for vpn_id in (*change.edit.deleted_services, *_changed_services(state, change)):
        strange = sorted(set(state.vpn_sites.get(vpn_id, ())) - read)
        if strange:
            yield f"the site '{strange[0]}' has come to the service '{vpn_id}' since the plan was made"
    for vpn in change.relied_vpns:
        if state.vpns.get(vpn.vpn_id) != vpn:
            yield f"the service '{vpn.vpn_id}' has changed since the plan was made"


def _changed_services(state: L3smState, change: L3smChange) -> Iterator[str]:
    for vpn_id, document in change.edit.upserted_services.items():
        if vpn_id in state.vpns and state.vpns[vpn_id] != parse_service(vpn_id, document):
            yield vpn_id


def _numbers(pools: IdentifierPools, change: L3smChange) -> Iterator[str]:
    for pool, key, number in change.allocated:
        if pools.get(pool, key) is not None or not _is_free(pools, pool, number):
            yield f"number {number} of pool '{pool}', planned for '{key}', has been given to another"
    for pool, key, number in (*change.relied, *change.returned):
        if pools.get(pool, key) != number:
            yield f"'{key}' does not hold number {number} of pool '{pool}' any more"


def _is_free(pools: IdentifierPools, name: str, number: int) -> bool:
    pool = pools.pools.get(name)
    return pool is None or number >= pool.next or number in pool.free


def _fragments(state: L3smState, change: L3smChange) -> Iterator[str]:
    removed = {fragment.owner for fragment in change.fragments_removed}
    for old in (*change.fragments_removed, *(pair.old for pair in change.fragments_changed)):
        if state.fragments.get(old.owner) != old:
            yield f"what '{old.owner}' wants on {old.device} has changed since the plan was made"
    for new in change.fragments_added:
        if new.owner in state.fragments and new.owner not in removed:
            yield f"'{new.owner}' has got configuration on {new.device} since the plan was made"


def _places(state: L3smState, change: L3smChange, infrastructure: Infrastructure) -> str:
    """Try the places one after the other, as they were found; the occupancy is put back."""
    occupancy = state.occupancy
    placer = Placer(infrastructure, occupancy, lambda _device, _port: True)
    missing = next((key for key in change.unplaced if key not in occupancy.placements), None)
    if missing:
        return f"the access {'/'.join(missing)} is not there any more"
    removed = {key: occupancy.remove(key) for key in change.unplaced}
    added: dict[AccessKey, Placement] = {}
    try:
        for placed in change.placed:
            reason = placer.misfit(placed.key, placed.placement)
            if reason:
                return f"the access {'/'.join(placed.key)} cannot go where it was planned: {reason}"
            occupancy.add(placed.key, placed.placement)
            added[placed.key] = placed.placement
        return next(_nodes(state, change, [*removed.values(), *added.values()]), "")
    finally:
        for key in added:
            occupancy.remove(key)
        for key, placement in removed.items():
            occupancy.add(key, placement)


def _nodes(state: L3smState, change: L3smChange, touched: list[Placement]) -> Iterator[str]:
    """Others may have come to a VRF that was to go, or to one whose limits were the planned accesses' alone."""
    told = {new.owner: new for new in (*change.fragments_added, *(pair.new for pair in change.fragments_changed))}
    allocated = {(pool, key): number for pool, key, number in change.allocated}
    returned = {(pool, key) for pool, key, _ in change.returned}
    nodes: dict[NodeKey, Placement] = {(found.device, found.vrf_key): found for found in touched}
    for (device, vrf), placement in nodes.items():
        use = state.occupancy.nodes.get((device, vrf))
        is_to_go = ("rd", f"{device}/{vrf}") in returned
        if (use is None) is not is_to_go:
            yield f"other accesses have come to '{vrf}' on {device}, or left it, since the plan was made"
            continue
        pool = vrf_pool(placement)
        name = vrf_text(placement, allocated.get((pool, vrf)) or state.identifiers.get(pool, vrf) or 0)
        for vpn_id in placement.vpns if use else ():
            owner = node_owner(vpn_id, device, name)
            if use and _limits(told.get(owner) or state.fragments.get(owner)) != use.largest_limits():
                yield f"the route limits of '{vrf}' on {device} have changed since the plan was made"


def _limits(fragment: Fragment | None) -> tuple[RouteLimit, ...] | None:
    """The limits that a node's fragment tells; None when nobody tells of the node."""
    return fragment.node.maximum_routes if fragment is not None and fragment.node is not None else None


def touched_by(change: L3smChange, back: L3smChange) -> set[Hashable]:
    """Whatever a change alters that another one may build on: services, sites, profiles, numbers, VRFs."""
    found: set[Hashable] = set()
    for each in (change, back):
        found |= {("service", key) for key in (*each.edit.upserted_services, *each.edit.deleted_services)}
        found |= {("site", key) for key in (*each.edit.upserted_sites, *each.edit.deleted_sites)}
        found |= {("number", pool, key) for pool, key, _ in each.allocated}
        found |= {("vrf", placed.placement.device, placed.placement.vrf_key) for placed in each.placed}
    if change.edit.profiles is not None:
        found.add(("profiles",))
    return found


def relied_on_by(change: L3smChange) -> set[Hashable]:
    """What a change builds on and leaves as it is."""
    found: set[Hashable] = {("number", pool, key) for pool, key, _ in change.relied}
    found |= {("service", vpn.vpn_id) for vpn in change.relied_vpns}
    if change.edit.upserted_sites:
        found.add(("profiles",))
    return found
