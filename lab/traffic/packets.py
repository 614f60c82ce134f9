"""The test packet on the wire: which flow it is of, its number, when it left.

Owns the layout of the UDP payload, big-endian: flow key (4 octets), sequence number (8), time it left in nanoseconds of
the machine's clock (8), zeros up to the size that was asked for.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address

_HEADER = struct.Struct("!IQQ")
_UDP_OCTETS = 8
_IP_OCTETS = {4: 20, 6: 40}
LARGEST_OCTETS = 9000


def smallest_octets(address: str) -> int:
    """The shortest IP packet that can carry a test packet to the address."""
    return _HEADER.size + _UDP_OCTETS + _IP_OCTETS[ip_address(address).version]


def padding(address: str, packet_octets: int) -> bytes:
    """What follows the header in a packet of that size, its IP header counted."""
    return bytes(packet_octets - smallest_octets(address))


def encode(key: int, sequence: int, sent_nanoseconds: int, rest: bytes) -> bytes:
    """A payload to send."""
    return _HEADER.pack(key, sequence, sent_nanoseconds) + rest


def decode(key: int, payload: bytes | memoryview) -> tuple[int, int] | None:
    """Sequence number and time it left; None when it is no packet of this flow."""
    if len(payload) < _HEADER.size:
        return None
    found, sequence, sent = _HEADER.unpack_from(payload)
    return (sequence, sent) if found == key else None
