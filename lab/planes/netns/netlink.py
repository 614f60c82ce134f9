"""Netlink (RFC 3549): one socket, requests and their acknowledgements, attributes as bytes.

Owns the coding. Written here because what the lab needs most (nexthop objects) no package offers, and because a small
module is forked into every router's process. A socket belongs to the namespace it was opened in, for good.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

REQUEST, ACK, REPLACE, EXCLUSIVE, CREATE, APPEND = 0x1, 0x4, 0x100, 0x200, 0x400, 0x800
DUMP = 0x300
NESTED = 0x8000
_HEADER = struct.Struct("=IHHII")
_ERROR, _DONE = 2, 3
_SOL_NETLINK, _EXT_ACK, _CAP_ACK = 270, 11, 10
_ERROR_CAPPED, _ERROR_TLVS = 0x100, 0x200
_MESSAGE_ATTRIBUTE = 1
_RECEIVE_OCTETS = 1 << 18
_BATCH = 200  # requests under way at once: their acknowledgements must fit the receive buffer


class KernelError(OSError):
    """The kernel refused a request; says which, and what the kernel said."""


class OverrunError(OSError):
    """More notices than the socket could hold: look at the state itself."""


@dataclass(frozen=True, slots=True)
class Request:
    """One thing asked of the kernel; `subject` names it in errors. `tolerated` errors count as done."""

    kind: int
    flags: int
    body: bytes
    subject: str
    tolerated: tuple[int, ...] = ()


def attribute(kind: int, *parts: bytes) -> bytes:
    """One attribute, padded to four octets."""
    payload = b"".join(parts)
    size = 4 + len(payload)
    return struct.pack("=HH", size, kind) + payload + bytes(-size % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    """One attribute that holds others."""
    return attribute(kind | NESTED, *parts)


def text(kind: int, value: str) -> bytes:
    """A string attribute."""
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    """A 32 bit attribute."""
    return attribute(kind, struct.pack("=I", value))


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes in a message, the last of equal ones."""
    return dict(attribute_list(data))


def attribute_list(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in a message in their order."""
    offset = 0
    while offset + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, offset)
        if size < 4:
            return
        yield kind & 0x3FFF, data[offset + 4 : offset + size]
        offset += (size + 3) & ~3


def messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Kind, flags, sequence number and body of each message in a datagram."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        size, kind, flags, sequence, _port = _HEADER.unpack_from(data, offset)
        yield kind, flags, sequence, data[offset + _HEADER.size : offset + size]
        offset += (size + 3) & ~3


class Netlink:
    """A route netlink socket in the namespace that the thread is in now."""

    def __init__(self, *, groups: int = 0) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        self._socket.bind((0, groups))
        self._sequence = 0

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()

    def notices(self) -> bytes:
        """A datagram of the groups joined, empty when none waits; raises `OverrunError` when some did not fit."""
        try:
            return self._socket.recv(_RECEIVE_OCTETS, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                raise OverrunError(error.errno, "notices of the kernel were lost") from error
            raise

    def ask(self, *requests: Request) -> None:
        """Have all requests done in their order; raises `KernelError` for the first that was refused.

        Those after a refused one in the same batch have been tried all the same.
        """
        for start in range(0, len(requests), _BATCH):
            self._ask_batch(requests[start : start + _BATCH])

    def dump(self, kind: int, body: bytes) -> Iterator[tuple[int, bytes]]:
        """Every object the kernel lists for this request, as kind and body."""
        self._sequence += 1
        self._socket.send(_packed(kind, REQUEST | DUMP, self._sequence, body))
        while True:
            for found, _flags, sequence, payload in messages(self._socket.recv(_RECEIVE_OCTETS)):
                if sequence != self._sequence:
                    continue
                if found == _DONE:
                    return
                if found == _ERROR:
                    code = -struct.unpack_from("=i", payload)[0]
                    raise KernelError(code, f"the kernel does not list these objects: {os.strerror(code)}")
                yield found, payload

    def _ask_batch(self, requests: Iterable[Request]) -> None:
        waiting: dict[int, Request] = {}
        parts = []
        for request in requests:
            self._sequence += 1
            waiting[self._sequence] = request
            parts.append(_packed(request.kind, request.flags | REQUEST | ACK, self._sequence, request.body))
        self._socket.send(b"".join(parts))
        failed: KernelError | None = None
        while waiting:
            for kind, flags, sequence, payload in messages(self._socket.recv(_RECEIVE_OCTETS)):
                answered = waiting.pop(sequence, None) if kind == _ERROR else None
                if answered is not None:
                    failed = failed or _refusal(answered, flags, payload)
        if failed is not None:
            raise failed


def _packed(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    size = _HEADER.size + len(body)
    return _HEADER.pack(size, kind, flags, sequence, 0) + body + bytes(-size % 4)


def _refusal(request: Request, flags: int, payload: bytes) -> KernelError | None:
    code = -struct.unpack_from("=i", payload)[0]
    if code == 0 or code in request.tolerated:
        return None
    said = os.strerror(code)
    if flags & _ERROR_TLVS:
        inner = struct.unpack_from("=I", payload, 4)[0]
        offset = 4 + (_HEADER.size if flags & _ERROR_CAPPED else (inner + 3) & ~3)
        said = attributes(payload[offset:]).get(_MESSAGE_ATTRIBUTE, said.encode()).rstrip(b"\0").decode()
    return KernelError(code, f"{request.subject}: {said} ({errno.errorcode.get(code, code)})")
