"""Routes, segments and nexthops of a namespace as netlink requests.

Owns the numbers of rtnetlink's route and nexthop messages and of SRv6: H.Encaps (RFC 8986 section 5.1), End, End.X, and
the decapsulations that need no VRF device (End.DX4 towards no neighbour looks the inner address up, End.DT6). Segment
lists are given in the order of the visit; the header wants them reversed (RFC 8754 section 2).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from socket import AF_INET, AF_INET6

from lab.planes.netns.netlink import CREATE, REPLACE, Request, attribute, nested, number

MAIN_TABLE = 254
_NEWROUTE, _DELROUTE = 24, 25
_NEWNEXTHOP, _DELNEXTHOP = 104, 105
_RTMSG = struct.Struct("=BBBBBBBBI")
_DESTINATION, _OIF, _GATEWAY, _MULTIPATH, _VIA, _ENCAP_TYPE, _ENCAP, _NEXTHOP = 1, 4, 5, 9, 18, 21, 22, 30
_STATIC, _UNIVERSE, _LINK, _UNICAST, _BLACKHOLE = 4, 0, 253, 1, 6
_SEG6, _SEG6_LOCAL = 5, 7
_SRH, _ENCAPSULATE, _ROUTING_TYPE = 1, 1, 4
_ACTION, _TABLE, _NH4, _NH6 = 1, 3, 4, 5
_END, _END_X, _END_DX4, _END_DT6 = 1, 2, 6, 7
_NHA_ID, _NHA_GROUP, _NHA_OIF, _NHA_ENCAP_TYPE, _NHA_ENCAP = 1, 2, 5, 7, 8
_GONE = (errno.ESRCH, errno.ENOENT, errno.ENODEV)


@dataclass(frozen=True, slots=True)
class Hop:
    """A way out: an interface, and the address of the router behind it unless the destination itself is there."""

    index: int
    gateway: str = ""


def family_of(prefix: str) -> int:
    """The address family of a prefix or address."""
    return AF_INET6 if ":" in prefix else AF_INET


def segment_header(segments: Sequence[str]) -> bytes:
    """The segment routing header of a list of segments in the order of the visit."""
    last = len(segments) - 1
    header = struct.pack("!BBBBBBH", 0, 2 * len(segments), _ROUTING_TYPE, last, last, 0, 0)
    return header + b"".join(IPv6Address(segment).packed for segment in reversed(segments))


def route(prefix: str, hops: Sequence[Hop]) -> Request:
    """Send a prefix over these ways, equally; replaces the route there is in one step."""
    family = family_of(prefix)
    direct = len(hops) == 1 and not hops[0].gateway
    body = _head(prefix, scope=_LINK if direct and family == AF_INET else _UNIVERSE)
    if len(hops) == 1:
        body += number(_OIF, hops[0].index) + _gateway(family, hops[0].gateway)
    else:
        body += nested(_MULTIPATH, *(_hop(family, hop) for hop in hops))
    return Request(_NEWROUTE, CREATE | REPLACE, body, f"route {prefix}")


def route_over_nexthop(prefix: str, nexthop: int) -> Request:
    """Send a prefix over a nexthop object."""
    body = _head(prefix) + number(_NEXTHOP, nexthop)
    return Request(_NEWROUTE, CREATE | REPLACE, body, f"route {prefix} over nexthop {nexthop}")


def blackhole(prefix: str) -> Request:
    """Drop what goes to a prefix."""
    return Request(_NEWROUTE, CREATE | REPLACE, _head(prefix, kind=_BLACKHOLE), f"blackhole {prefix}")


def delete_route(prefix: str) -> Request:
    """Remove our route to a prefix, not the kernel's own; one that is gone already is done."""
    return Request(_DELROUTE, 0, _head(prefix, scope=255, kind=0), f"route {prefix}", _GONE)


def end(segment: str, index: int) -> Request:
    """End: visit this router and go on."""
    return _local(segment, index, number(_ACTION, _END))


def end_x(segment: str, index: int, neighbour: str) -> Request:
    """End.X: go on to that neighbour, whose route says over which interface."""
    return _local(segment, index, number(_ACTION, _END_X) + attribute(_NH6, IPv6Address(neighbour).packed))


def end_dt4(segment: str, index: int) -> Request:
    """Take the outer header off and route the IPv4 packet in this namespace."""
    return _local(segment, index, number(_ACTION, _END_DX4) + attribute(_NH4, bytes(4)))


def end_dt6(segment: str, index: int) -> Request:
    """Take the outer header off and route the IPv6 packet in this namespace."""
    return _local(segment, index, number(_ACTION, _END_DT6) + number(_TABLE, MAIN_TABLE))


def encapsulating_nexthop(identifier: int, family: int, index: int, segments: Sequence[str]) -> Request:
    """A nexthop object that encapsulates and sends along these segments (H.Encaps)."""
    encap = attribute(_SRH, struct.pack("=i", _ENCAPSULATE), segment_header(segments))
    body = struct.pack("=BBBBI", family, 0, _STATIC, 0, 0)
    body += number(_NHA_ID, identifier) + number(_NHA_OIF, index)
    body += attribute(_NHA_ENCAP_TYPE, struct.pack("=H", _SEG6)) + nested(_NHA_ENCAP, encap)
    return Request(_NEWNEXTHOP, CREATE | REPLACE, body, f"nexthop {identifier} along {', '.join(segments)}")


def nexthop_group(identifier: int, members: Sequence[tuple[int, int]]) -> Request:
    """A nexthop object that shares traffic among others by weight, 1 to 256; replaced in one step."""
    body = struct.pack("=BBBBI", 0, 0, _STATIC, 0, 0) + number(_NHA_ID, identifier)
    packed = b"".join(struct.pack("=IBBH", member, weight - 1, 0, 0) for member, weight in members)
    return Request(_NEWNEXTHOP, CREATE | REPLACE, body + attribute(_NHA_GROUP, packed), f"nexthop group {identifier}")


def delete_nexthop(identifier: int) -> Request:
    """Remove a nexthop object, the routes over it too; one that is gone already is done."""
    body = struct.pack("=BBBBI", 0, 0, 0, 0, 0) + number(_NHA_ID, identifier)
    return Request(_DELNEXTHOP, 0, body, f"nexthop {identifier}", _GONE)


def _head(prefix: str, *, scope: int = _UNIVERSE, kind: int = _UNICAST, protocol: int = _STATIC) -> bytes:
    network = ip_network(prefix, strict=False)
    head = _RTMSG.pack(family_of(prefix), network.prefixlen, 0, 0, MAIN_TABLE, protocol, scope, kind, 0)
    return head + attribute(_DESTINATION, network.network_address.packed)


def _local(segment: str, index: int, action: bytes) -> Request:
    body = _head(f"{segment}/128") + number(_OIF, index)
    body += attribute(_ENCAP_TYPE, struct.pack("=H", _SEG6_LOCAL)) + nested(_ENCAP, action)
    return Request(_NEWROUTE, CREATE | REPLACE, body, f"segment {segment}")


def _gateway(family: int, gateway: str) -> bytes:
    if not gateway:
        return b""
    address = ip_address(gateway)
    if family == AF_INET and address.version == 6:
        return attribute(_VIA, struct.pack("=H", AF_INET6), address.packed)
    return attribute(_GATEWAY, address.packed)


def _hop(family: int, hop: Hop) -> bytes:
    gateway = _gateway(family, hop.gateway)
    return struct.pack("=HBBi", 8 + len(gateway), 0, 0, hop.index) + gateway
