"""Owns finding out which accesses of a site have to be read again, and the checks across all of them.

An access is read again when its own document changed, when what its site says changed, or when a virtual router ties
it to an access that changed (VRRP). Comparing documents is cheap; reading is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.mapping.infrastructure import Infrastructure
from controller.mapping.l3sm import AccessRequest, SiteRequest, parse_site, site_path
from controller.mapping.l3sm_attachment import FindService
from controller.model.errors import InvalidInputError

Json = Any
_HOLDER, _LIST, _ID = "site-network-accesses", "site-network-access", "site-network-access-id"


@dataclass(frozen=True, slots=True)
class SiteReading:
    """Accesses that were read, ids of those that stay as they are, and the VPNs the site refers to."""

    requests: tuple[AccessRequest, ...]
    kept: frozenset[str]
    vpns: tuple[str, ...]


def read_site(
    site_id: str,
    document: Json,
    old: Json,
    *,
    placed: Mapping[str, frozenset[str]],
    find: FindService,
    infrastructure: Infrastructure,
) -> SiteReading:
    """Read what changed in a site.

    `old`: its document before, None to read all of it. `placed`: VPNs by id of the accesses that have a place.
    """
    entries = _entries(document, site_id)
    kept = _unchanged(document, entries, old, placed)
    pruned = document if not kept else _with(document, [entry for name, entry in entries.items() if name not in kept])
    request = parse_site(site_id, pruned, find, infrastructure)
    if kept and _is_tied(request, entries, old, kept):
        kept = frozenset()
        request = parse_site(site_id, document, find, infrastructure)
    attached = {access.access_id: frozenset(access.attachment.vpn_ids) for access in request.accesses}
    attached |= {name: placed[name] for name in kept}
    _check_flavor(request, attached)
    vpns = sorted(set(request.vpns).union(*attached.values()))
    return SiteReading(request.accesses, kept, tuple(vpns))


def _entries(document: Json, site_id: str) -> dict[str, Json]:
    """The accesses of a site by id; anything malformed is left for the strict reader to name."""
    try:
        listed = document.get(_HOLDER, {}).get(_LIST, [])
        found = {entry[_ID]: entry for entry in listed}
    except (AttributeError, KeyError, TypeError):
        return {}
    if len(found) != len(listed):
        raise InvalidInputError(
            "two accesses have the same site-network-access-id",
            path=f"{site_path(site_id)}/{_HOLDER}",
            tag="bad-element",
        )
    return found


def _unchanged(document: Json, entries: dict[str, Json], old: Json, placed: Mapping[str, Any]) -> frozenset[str]:
    if old is None or not isinstance(document, dict) or _with(document, []) != _with(old, []):
        return frozenset()
    before = {entry[_ID]: entry for entry in old.get(_HOLDER, {}).get(_LIST, [])}
    return frozenset(name for name, entry in entries.items() if name in placed and before.get(name) == entry)


def _with(document: Json, accesses: list[Json]) -> Json:
    return {**document, _HOLDER: {_LIST: accesses}}


def _is_tied(request: SiteRequest, entries: dict[str, Json], old: Json, kept: frozenset[str]) -> bool:
    if any(access.vrrp_families for access in request.accesses):
        return True
    before = old.get(_HOLDER, {}).get(_LIST, [])
    gone = [entry for entry in before if entry[_ID] not in kept]
    return any(_has_vrrp(entry) for entry in gone) and len(entries) > 0


def _has_vrrp(entry: Json) -> bool:
    return any("vrrp" in protocol for protocol in entry.get("routing-protocols", {}).get("routing-protocol", []))


def _check_flavor(request: SiteRequest, attached: Mapping[str, frozenset[str]]) -> None:
    """The flavour says how the accesses spread over VPNs (RFC 8299 6.5.1)."""
    sets = set(attached.values())
    together: frozenset[str] = frozenset().union(*sets)
    holds = {
        "site-vpn-flavor-single": len(together) <= 1,
        "site-vpn-flavor-multi": len(sets) <= 1 and len(together) != 1,
        "site-vpn-flavor-sub": len(sets) == len(attached) and len(sets) != 1,
    }[request.flavor]
    if not holds:
        raise InvalidInputError(
            f"the accesses of the site are not attached as {request.flavor} says: "
            + "; ".join(f"{name} to {', '.join(sorted(vpns))}" for name, vpns in sorted(attached.items())[:8]),
            path=f"{request.path}/site-vpn-flavor",
            remedy="single: one VPN; multi: every access in the same VPNs; sub: each access in VPNs of its own",
        )
