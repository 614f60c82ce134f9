"""Queues and filters of an interface as netlink requests: rates, delays, redirection.

Owns the numbers of tc's messages: tbf (a token bucket), netem (delay and loss, where the kernel has it), ingress
filters (u32) that pass what matches to another interface (mirred).
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from ipaddress import IPv6Network
from socket import AF_UNSPEC

from lab.planes.netns.netlink import CREATE, EXCLUSIVE, REPLACE, Netlink, Request, attribute, attributes, nested, text

_NEWQDISC, _DELQDISC, _GETQDISC, _NEWFILTER, _DELFILTER = 36, 37, 38, 44, 45
_TCMSG = struct.Struct("=BxxxiIII")
_KIND, _OPTIONS, _STATS, _STATS_QUEUE = 1, 2, 7, 3
_ROOT, _INGRESS, _INGRESS_HANDLE = 0xFFFFFFFF, 0xFFFFFFF1, 0xFFFF0000
_ANY_PROTOCOL, _IPV6 = 0x0003, 0x86DD
_U32_SELECTOR, _U32_ACTION = 5, 7
_TERMINAL, _STOLEN, _REDIRECT_OUT, _MIRRED_PARAMETERS = 1, 4, 1, 2
_TBF_PARAMETERS, _TBF_RATE64, _TBF_BURST = 1, 4, 6
_NETEM_RATE, _NETEM_RATE64, _NETEM_LATENCY64, _NETEM_JITTER64 = 6, 8, 10, 11
_ETHERNET = 1
_LARGEST_32 = (1 << 32) - 1
_IPV6_DESTINATION_OFFSET = 24
_SMALLEST_BURST_OCTETS = 18_000  # two jumbo frames
_BURST_SECONDS = 0.004  # of the kernel's tick
_NETEM_PACKETS = 100_000
_GONE = (errno.ENOENT, errno.EINVAL, errno.ENODEV)


@dataclass(frozen=True, slots=True)
class Impairment:
    """What a link does to packets, each direction alike; nothing for a zero."""

    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0
    loss_ratio: float = 0.0
    bit_rate: int = 0
    buffer_seconds: float = 0.05


def limit_rate(index: int, bit_rate: int, buffer_seconds: float) -> Request:
    """Send no faster than this; what would wait longer than the buffer is dropped (tbf)."""
    octet_rate = bit_rate // 8
    burst = max(_SMALLEST_BURST_OCTETS, int(octet_rate * _BURST_SECONDS))
    limit = burst + int(octet_rate * buffer_seconds)
    rate = struct.pack("=BBHhHI", 0, _ETHERNET, 0, 0, 0, min(octet_rate, _LARGEST_32))
    options = attribute(_TBF_PARAMETERS, rate, bytes(12), struct.pack("=III", min(limit, _LARGEST_32), 0, 0))
    options += attribute(_TBF_BURST, struct.pack("=I", min(burst, _LARGEST_32)))
    if octet_rate > _LARGEST_32:
        options += attribute(_TBF_RATE64, struct.pack("=Q", octet_rate))
    return _queue(index, "tbf", options)


def impair(index: int, wanted: Impairment) -> Request:
    """Delay, vary, lose and limit what leaves over an interface (netem)."""
    loss = min(_LARGEST_32, round(wanted.loss_ratio * _LARGEST_32))
    options = struct.pack("=IIIIII", 0, _NETEM_PACKETS, loss, 0, 0, 0)
    options += attribute(_NETEM_LATENCY64, struct.pack("=q", round(wanted.delay_seconds * 1e9)))
    options += attribute(_NETEM_JITTER64, struct.pack("=q", round(wanted.jitter_seconds * 1e9)))
    if wanted.bit_rate:
        octet_rate = wanted.bit_rate // 8
        options += attribute(_NETEM_RATE, struct.pack("=IiIi", min(octet_rate, _LARGEST_32), 0, 0, 0))
        options += attribute(_NETEM_RATE64, struct.pack("=Q", octet_rate))
    return _queue(index, "netem", options)


def drop_queue(index: int) -> Request:
    """Back to the interface's own queue."""
    body = _TCMSG.pack(AF_UNSPEC, index, 0, _ROOT, 0)
    return Request(_DELQDISC, 0, body, f"queue of interface {index}", _GONE)


def take_ingress(index: int) -> Request:
    """Let filters see what comes in over an interface."""
    body = _TCMSG.pack(AF_UNSPEC, index, _INGRESS_HANDLE, _INGRESS, 0) + text(_KIND, "ingress")
    return Request(_NEWQDISC, CREATE | EXCLUSIVE, body, f"ingress of interface {index}", (errno.EEXIST,))


def pass_all(index: int, to: int) -> Request:
    """Send everything that comes in over an interface out of another one."""
    return _redirect(index, to, _ANY_PROTOCOL, [(0, 0, 0)])


def pass_destinations(index: int, to: int, destinations: IPv6Network) -> Request:
    """Send what comes in for these destinations out of another interface, before anything else looks at it."""
    keys = []
    for word in range((destinations.prefixlen + 31) // 32):
        mask = _word(int(destinations.netmask), word)
        keys.append((mask, _word(int(destinations.network_address), word), _IPV6_DESTINATION_OFFSET + 4 * word))
    return _redirect(index, to, _IPV6, keys or [(0, 0, 0)])


def drop_filters(index: int) -> Request:
    """Take every filter of an interface's ingress away."""
    body = _TCMSG.pack(AF_UNSPEC, index, 0, _INGRESS_HANDLE, 0)
    return Request(_DELFILTER, 0, body, f"filters of interface {index}", _GONE)


def queue_drops(netlink: Netlink) -> dict[int, int]:
    """Packets that found a queue full, by index of the interface."""
    found: dict[int, int] = {}
    for _kind, body in netlink.dump(_GETQDISC, _TCMSG.pack(AF_UNSPEC, 0, 0, 0, 0)):
        _family, index, _handle, parent, _info = _TCMSG.unpack_from(body)
        stats = attributes(attributes(body[_TCMSG.size :]).get(_STATS, b"")).get(_STATS_QUEUE)
        if stats is not None and parent != _INGRESS:
            found[index] = found.get(index, 0) + struct.unpack_from("=3I", stats)[2]
    return found


def _word(value: int, position: int) -> int:
    return value >> (96 - 32 * position) & _LARGEST_32


def _queue(index: int, kind: str, options: bytes) -> Request:
    body = _TCMSG.pack(AF_UNSPEC, index, 0x10000, _ROOT, 0) + text(_KIND, kind) + attribute(_OPTIONS, options)
    return Request(_NEWQDISC, CREATE | REPLACE, body, f"{kind} of interface {index}")


def _redirect(index: int, to: int, protocol: int, keys: list[tuple[int, int, int]]) -> Request:
    priority_and_protocol = 1 << 16 | (protocol >> 8 | (protocol & 0xFF) << 8)
    selector = struct.pack("=BBBxHHhhI", _TERMINAL, 0, len(keys), 0, 0, 0, 0, 0)
    for mask, value, offset in keys:
        selector += struct.pack("!II", mask, value) + struct.pack("=ii", offset, 0)
    parameters = struct.pack("=IIiiiiI", 0, 0, _STOLEN, 0, 0, _REDIRECT_OUT, to)
    action = nested(1, text(1, "mirred"), nested(2, attribute(_MIRRED_PARAMETERS, parameters)))
    options = attribute(_U32_SELECTOR, selector) + nested(_U32_ACTION, action)
    body = _TCMSG.pack(AF_UNSPEC, index, 0, _INGRESS_HANDLE, priority_and_protocol)
    body += text(_KIND, "u32") + attribute(_OPTIONS, options)
    return Request(_NEWFILTER, CREATE | EXCLUSIVE, body, f"filter of interface {index}")
