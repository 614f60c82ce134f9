"""Interfaces of a namespace as netlink requests: veth pairs, addresses, neighbours, settings, counters.

Owns the numbers of rtnetlink's link, address, neighbour and statistics messages. A request is made here and done by
`netlink.Netlink.ask`.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from pathlib import Path
from socket import AF_INET, AF_INET6, AF_UNSPEC

from lab.planes.netns.netlink import (
    CREATE,
    EXCLUSIVE,
    REPLACE,
    Netlink,
    Request,
    attribute,
    attributes,
    messages,
    nested,
    number,
    text,
)

LINK_GROUP = 1
_NEWLINK, _DELLINK, _GETLINK, _SETLINK = 16, 17, 18, 19
_NEWADDR, _DELADDR = 20, 21
_NEWNEIGH, _DELNEIGH = 28, 29
_GETSTATS = 94
_IFINFO = struct.Struct("=BxHiII")
_UP, _RUNNING, _NO_ARP = 0x1, 0x40, 0x80
_LOWER_UP = 0x10000
_ADDRESS, _IFNAME, _MTU, _LINKINFO, _NET_NS_FD, _NET_NS_PID, _OPERSTATE = 1, 3, 4, 18, 28, 19, 16
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_PERMANENT = 0x80
_NO_DAD, _NO_PREFIX_ROUTE = 0x02, 0x200
_STATS_LINK_64 = 1


@dataclass(frozen=True, slots=True)
class VethEnd:
    """One end of a veth pair; `namespace` is a file descriptor, `process` a process inside, neither for here.

    The kernel chooses the index when it is 0.
    """

    name: str
    mac: str = ""
    mtu: int = 1500
    index: int = 0
    namespace: int = -1
    process: int = 0

    def attributes(self) -> bytes:
        """What a link message says of it."""
        said = text(_IFNAME, self.name) + number(_MTU, self.mtu)
        if self.mac:
            said += attribute(_ADDRESS, mac_octets(self.mac))
        if self.namespace >= 0:
            said += number(_NET_NS_FD, self.namespace)
        if self.process:
            said += number(_NET_NS_PID, self.process)
        return said


@dataclass(frozen=True, slots=True)
class LinkNotice:
    """An interface as the kernel tells of it; `carrier` means that it is up and something answers at the far end."""

    index: int
    name: str
    carrier: bool


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """Counters of an interface since it was made."""

    in_packets: int
    out_packets: int
    in_octets: int
    out_octets: int
    out_discards: int = 0
    """Packets that found a queue full: the kernel counts those with the queue (`kernel_queues.queue_drops`)."""


def mac_octets(mac: str) -> bytes:
    """The six octets of a written MAC address."""
    return bytes(int(part, 16) for part in mac.split(":"))


def add_veth(near: VethEnd, far: VethEnd) -> Request:
    """Make a pair of interfaces."""
    peer = nested(_VETH_PEER, _IFINFO.pack(AF_UNSPEC, 0, far.index, 0, 0), far.attributes())
    info = nested(_LINKINFO, text(_INFO_KIND, "veth"), nested(_INFO_DATA, peer))
    body = _IFINFO.pack(AF_UNSPEC, 0, near.index, 0, 0) + near.attributes() + info
    return Request(_NEWLINK, CREATE | EXCLUSIVE, body, f"veth {near.name} to {far.name}")


def delete_link(index: int) -> Request:
    """Remove an interface, a veth's far end with it; one that is gone already is done."""
    body = _IFINFO.pack(AF_UNSPEC, 0, index, 0, 0)
    return Request(_DELLINK, 0, body, f"interface {index}", (errno.ENODEV,))


def set_link(index: int, *, up: bool, arp: bool = True) -> Request:
    """Bring an interface up or down; one without ARP sends every packet to its own MAC address."""
    flags = (_UP if up else 0) | (0 if arp else _NO_ARP)
    body = _IFINFO.pack(AF_UNSPEC, 0, index, flags, _UP | _NO_ARP)
    return Request(_NEWLINK, 0, body, f"interface {index}")


def look_at(name: str) -> Request:
    """Ask for an interface: the kernel first tells everybody of a carrier that has just gone or come."""
    return Request(_GETLINK, 0, _IFINFO.pack(AF_UNSPEC, 0, 0, 0, 0) + text(_IFNAME, name), f"interface {name}")


def move_link(index: int, namespace: int) -> Request:
    """Give an interface to the namespace of that file descriptor; it arrives down and without addresses."""
    body = _IFINFO.pack(AF_UNSPEC, 0, index, 0, 0) + number(_NET_NS_FD, namespace)
    return Request(_SETLINK, 0, body, f"interface {index}")


def add_address(index: int, address: str) -> Request:
    """Give an interface an address with length; no duplicate detection, so that it is good at once."""
    return Request(_NEWADDR, CREATE | REPLACE, _address_body(index, address), f"address {address} of interface {index}")


def delete_address(index: int, address: str) -> Request:
    """Take an address from an interface."""
    body = _address_body(index, address)
    return Request(_DELADDR, 0, body, f"address {address} of interface {index}", (errno.EADDRNOTAVAIL, errno.ENODEV))


def add_neighbour(index: int, address: str, mac: str) -> Request:
    """A neighbour that needs no discovery and is never forgotten."""
    ip = ip_address(address)
    family = AF_INET if ip.version == 4 else AF_INET6
    body = struct.pack("=BxxxiHBB", family, index, _PERMANENT, 0, 0)
    body += attribute(1, ip.packed) + attribute(2, mac_octets(mac))
    return Request(_NEWNEIGH, CREATE | REPLACE, body, f"neighbour {address}")


def links(netlink: Netlink) -> dict[str, LinkNotice]:
    """The interfaces of the namespace by name."""
    found = netlink.dump(_GETLINK, _IFINFO.pack(AF_UNSPEC, 0, 0, 0, 0))
    return {notice.name: notice for kind, body in found if kind == _NEWLINK for notice in [_notice(body)]}


def link_index(netlink: Netlink, name: str) -> int:
    """The index of an interface; KeyError when there is none of that name."""
    return links(netlink)[name].index


def link_notices(datagram: bytes) -> Iterator[LinkNotice]:
    """What a datagram of the link group tells."""
    for kind, _flags, _sequence, body in messages(datagram):
        if kind == _NEWLINK:
            yield _notice(body)


def counters(netlink: Netlink) -> dict[int, LinkCounters]:
    """The counters of every interface of the namespace by index (RTM_GETSTATS, the cheapest way there is)."""
    found = {}
    for _kind, body in netlink.dump(_GETSTATS, struct.pack("=BxHII", AF_UNSPEC, 0, 0, 1 << (_STATS_LINK_64 - 1))):
        index = struct.unpack_from("=BxHI", body)[2]
        stats = attributes(body[12:]).get(_STATS_LINK_64)
        if stats is not None:
            found[index] = LinkCounters(*struct.unpack_from("=4Q", stats))
    return found


def set_sysctl(path: str, value: int) -> None:
    """Set a setting of the namespace that the thread is in, below /proc/sys/net."""
    Path("/proc/sys/net", path).write_text(str(value), encoding="utf-8")


def _address_body(index: int, address: str) -> bytes:
    interface = ip_interface(address)
    family = AF_INET if interface.version == 4 else AF_INET6
    body = struct.pack("=BBBBI", family, interface.network.prefixlen, _NO_DAD, 0, index)
    local = attribute(2, interface.ip.packed)
    return body + local + attribute(1, interface.ip.packed)


def _notice(body: bytes) -> LinkNotice:
    _family, _kind, index, flags, _change = _IFINFO.unpack_from(body)
    name = attributes(body[_IFINFO.size :]).get(_IFNAME, b"").rstrip(b"\0").decode()
    return LinkNotice(index, name, bool(flags & _LOWER_UP and flags & _RUNNING))
