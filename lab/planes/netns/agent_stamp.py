"""STAMP (RFC 8762): the reflector and the senders of one router, unauthenticated, with time stamps of the kernel.

Owns the packets' formats (sections 4.2 and 4.3), segment lists of test packets as a routing header (RFC 8754), and what
becomes of the results. All namespaces share one clock, so one-way delays are exact.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass
from ipaddress import ip_address
from statistics import median

from lab.planes import StampResult, StampSession
from lab.planes.netns.kernel_routes import segment_header

REFLECTOR_PORT = 862
_SENDER = struct.Struct("!IIIH30x")
_REFLECTED = struct.Struct("!IIIH2xIIIIIH2xB3x")
_ERROR_ESTIMATE = 0x8001
_EPOCH_SECONDS = 2_208_988_800  # from 1900 (NTP) to 1970
_SO_TIMESTAMPNS, _RECVPKTINFO, _PKTINFO, _RECV_HOP_LIMIT, _HOP_LIMIT, _ROUTING_HEADER = 35, 49, 50, 51, 52, 57
_TIMESPEC = struct.Struct("=qq")
_WINDOW_SECONDS = 60.0
_LOST_AFTER_SECONDS = 1.0
_NANOSECONDS = 10**9


@dataclass(frozen=True, slots=True)
class _Received:
    data: bytes
    sender: tuple[str, int]
    at: int
    """In nanoseconds."""
    hop_limit: int
    destination: bytes
    """As the packet information that a reply can be sent with; empty when unknown."""


class Reflector:
    """Answers test packets in the namespace that the thread is in when it is made."""

    def __init__(self) -> None:
        self._socket = _socket("::", REFLECTOR_PORT)
        self._socket.setsockopt(socket.IPPROTO_IPV6, _RECVPKTINFO, 1)
        self._socket.setsockopt(socket.IPPROTO_IPV6, _RECV_HOP_LIMIT, 1)
        self._sequences: dict[tuple[str, int], int] = {}

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def receive(self) -> None:
        """Answer what has come in; a sender's own sequence number tells which way packets were lost."""
        while (packet := _received(self._socket)) is not None:
            if len(packet.data) < _SENDER.size:
                continue
            number, seconds, fraction, estimate = _SENDER.unpack_from(packet.data)
            own = self._sequences.get(packet.sender, -1) + 1
            self._sequences[packet.sender] = own
            words = own, *_ntp(time.time_ns()), _ERROR_ESTIMATE, *_ntp(packet.at), number, seconds, fraction, estimate
            reply = _REFLECTED.pack(*words, packet.hop_limit) + packet.data[_SENDER.size :]
            ancillary = [(socket.IPPROTO_IPV6, _PKTINFO, packet.destination)] if packet.destination else []
            with contextlib.suppress(OSError):  # no way back
                self._socket.sendmsg([reply], ancillary, 0, packet.sender)

    def close(self) -> None:
        """Answer no more."""
        self._socket.close()


class Sender:
    """One measurement, in the namespace that the thread is in when it is made; it sends from `source`."""

    def __init__(self, session: StampSession, source: str) -> None:
        self.session = session
        six = ip_address(session.remote_address).version == 6
        self._target = session.remote_address if six else f"::ffff:{session.remote_address}"
        if source and not six:
            source = f"::ffff:{source}"
        self._socket = _socket(source or "::", 0)
        if session.segments and six:
            header = segment_header((*session.segments, session.remote_address))
            self._socket.setsockopt(socket.IPPROTO_IPV6, _ROUTING_HEADER, header)
        self._sent = 0
        self._lost = 0
        self._waiting: dict[int, float] = {}
        self._results: deque[tuple[float, int, int, int]] = deque()

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def send(self) -> None:
        """Send the next test packet."""
        self._waiting[self._sent] = time.monotonic()
        packet = _SENDER.pack(self._sent & 0xFFFFFFFF, *_ntp(time.time_ns()), _ERROR_ESTIMATE)
        self._sent += 1
        with contextlib.suppress(OSError):  # there is no way: it counts as sent and never comes back
            self._socket.sendto(packet, (self._target, self.session.remote_port))

    def receive(self) -> None:
        """Take what has come back."""
        while (packet := _received(self._socket)) is not None:
            if len(packet.data) < _REFLECTED.size:
                continue
            _own, s3, f3, _, s2, f2, number, s1, f1, _, _limit = _REFLECTED.unpack_from(packet.data)
            if self._waiting.pop(number, None) is not None:
                t1, t2, t3 = _nanoseconds(s1, f1), _nanoseconds(s2, f2), _nanoseconds(s3, f3)
                delays = packet.at - t1 - (t3 - t2), t2 - t1, packet.at - t3
                self._results.append((time.monotonic(), *delays))

    def result(self) -> StampResult:
        """What it has found so far."""
        now = time.monotonic()
        overdue = [number for number, at in self._waiting.items() if now - at > _LOST_AFTER_SECONDS]
        for number in overdue:
            del self._waiting[number]
        self._lost += len(overdue)
        while self._results and now - self._results[0][0] > _WINDOW_SECONDS:
            self._results.popleft()
        if not self._results:
            return StampResult(self.session.number, self._sent, self._lost)
        _, round_trips, forward, backward = zip(*self._results, strict=True)
        return StampResult(
            self.session.number,
            self._sent,
            self._lost,
            round_trip_seconds=median(round_trips) / _NANOSECONDS,
            forward_seconds=median(forward) / _NANOSECONDS,
            backward_seconds=median(backward) / _NANOSECONDS,
            variation_seconds=(max(forward) - min(forward)) / _NANOSECONDS,
            last_round_trip_seconds=round_trips[-1] / _NANOSECONDS,
            last_forward_seconds=forward[-1] / _NANOSECONDS,
        )

    def close(self) -> None:
        """Measure no more."""
        self._socket.close()


def _socket(address: str, port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    found.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    found.bind((address, port))
    return found


def _received(source: socket.socket) -> _Received | None:
    try:
        data, ancillary, _, sender = source.recvmsg(2048, 256)
    except OSError:
        return None  # nothing waits, or the kernel reports an earlier packet's fate
    at, hop_limit, destination = time.time_ns(), 255, b""
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(value)
            at = seconds * _NANOSECONDS + nanoseconds
        elif level == socket.IPPROTO_IPV6 and kind == _HOP_LIMIT:
            hop_limit = struct.unpack_from("=i", value)[0]
        elif level == socket.IPPROTO_IPV6 and kind == _PKTINFO:
            destination = value[:16] + bytes(4)  # whatever interface
    return _Received(data, sender[:2], at, hop_limit, destination)


def _ntp(nanoseconds: int) -> tuple[int, int]:
    seconds, rest = divmod(nanoseconds, _NANOSECONDS)
    return (seconds + _EPOCH_SECONDS) & 0xFFFFFFFF, (rest << 32) // _NANOSECONDS


def _nanoseconds(seconds: int, fraction: int) -> int:
    return (seconds - _EPOCH_SECONDS) * _NANOSECONDS + ((fraction * _NANOSECONDS + (1 << 31)) >> 32)
