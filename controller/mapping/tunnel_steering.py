"""Owns which VRFs a tunnel colours: those of its services on its head end (RFC 9256 section 8.4, per-VRF steering)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from controller.mapping.fragment import service_id
from controller.mapping.service_change import L3smChange
from controller.mapping.tunnel import Tunnel
from controller.model.identifiers import DeviceName, Owner, service_of

_Place = tuple[str, DeviceName]
"""A service and a router."""


def vrfs_by_tunnel(tunnels: Sequence[Tunnel], fragments: Iterable[Owner]) -> Mapping[str, tuple[str, ...]]:
    """By tunnel, the VRFs of its services on its head end. Looks through all owners once, and only if there is need."""
    wanted = {place for tunnel in tunnels for place in _places(tunnel)}
    held = _held(wanted, fragments) if wanted else {}
    return {tunnel.name: _of(tunnel, held) for tunnel in tunnels}


def recolored(
    tunnels: Sequence[Tunnel], fragments: Iterable[Owner], change: L3smChange
) -> Iterator[tuple[Tunnel, tuple[str, ...]]]:
    """The tunnels of which VRFs come or go with a change of services, and the VRFs that each has afterwards."""
    come = {fragment.owner for fragment in change.fragments_added if fragment.node is not None}
    gone = {fragment.owner for fragment in change.fragments_removed if fragment.node is not None}
    moving = {_place(owner) for owner in come ^ gone} if tunnels else set()
    touched = [tunnel for tunnel in tunnels if moving.intersection(_places(tunnel))]
    if touched:
        after = ({*fragments} - gone) | come
        vrfs = vrfs_by_tunnel(touched, after)
        yield from ((tunnel, vrfs[tunnel.name]) for tunnel in touched)


def colors_on(tunnels: Iterable[Tunnel]) -> Mapping[_Place, int]:
    """The colour that each served VPN has on each head end."""
    return {place: tunnel.color for tunnel in tunnels for place in _places(tunnel)}


def _places(tunnel: Tunnel) -> Iterator[_Place]:
    return ((service_id(vpn_id), tunnel.source) for vpn_id in tunnel.services)


def _held(wanted: set[_Place], owners: Iterable[Owner]) -> Mapping[_Place, list[str]]:
    held: dict[_Place, list[str]] = {}
    for owner in owners:
        if "/node/" in owner and (place := _place(owner)) in wanted:
            held.setdefault(place, []).append(_vrf(owner))
    return held


def _of(tunnel: Tunnel, held: Mapping[_Place, list[str]]) -> tuple[str, ...]:
    return tuple(sorted({vrf for place in _places(tunnel) for vrf in held.get(place, ())}))


def _place(owner: Owner) -> _Place:
    """The service and the router of a VRF's owner, `l3vpn:<vpn>/node/<device>/<vrf>`."""
    return service_of(owner), DeviceName(owner.split("/")[2])


def _vrf(owner: Owner) -> str:
    return owner.split("/", 3)[3]
