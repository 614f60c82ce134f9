"""One direction of a wire, carried by this process: delay, jitter, loss and capacity with a queue that overflows.

Owns the schedule of packets under way. Packets keep their order: jitter holds back those behind as well. They carry the
kernel's offload header, so that what it left to do to a packet is done by the receiver.
"""

from __future__ import annotations

import contextlib
import heapq
import random
import socket
from collections.abc import Callable

from lab.planes.netns.kernel_queues import Impairment

_SOL_PACKET, _IGNORE_OUTGOING, _VNET_HEADER = 263, 23, 15
_SO_RCVBUFFORCE = 33
_BUFFER_OCTETS = 16 << 20
_ALL_PROTOCOLS = 3
_LARGEST_OCTETS = 66_000
_OFFLOAD_HEADER_OCTETS = 10
_AT_ONCE = 64


class Schedule:
    """Packets that have not arrived yet, in the order of their arrival."""

    def __init__(self) -> None:
        self._under_way: list[tuple[float, int, Lane, bytes]] = []
        self._number = 0

    def add(self, due: float, lane: Lane, packet: bytes) -> None:
        """Have a packet arrive at that time."""
        self._number += 1
        heapq.heappush(self._under_way, (due, self._number, lane, packet))

    def send_due(self, now: float) -> float | None:
        """Deliver what is due; when the next one is, None when nothing is under way."""
        waiting = self._under_way
        while waiting and waiting[0][0] <= now:
            _, _, lane, packet = heapq.heappop(waiting)
            lane.deliver(packet)
        return waiting[0][0] if waiting else None


class Lane:
    """Takes packets at one end of a wire and delivers them at the other."""

    def __init__(
        self, source: str, target: str, impairment: Impairment, schedule: Schedule, chance: random.Random
    ) -> None:
        self.open = True
        """Whether packets pass; those under way when it closes are lost too."""
        self.overflowed = 0
        """Packets that found the queue full."""
        self._source = _raw_socket(source)
        self._out = self._source
        self._target = target
        self._impairment = impairment
        self._schedule = schedule
        self._chance = chance
        self._free_at = 0.0
        self._latest = 0.0

    def answer_over(self, back: Lane) -> None:
        """Deliver out of the sockets that the other direction takes packets from, and the other way round."""
        self._out, back._out = back._source, self._source

    def fileno(self) -> int:
        """For selectors."""
        return self._source.fileno()

    def take(self, clock: Callable[[], float]) -> None:
        """Take what has come in, a batch at most."""
        for _ in range(_AT_ONCE):
            try:
                packet = self._source.recv(_LARGEST_OCTETS)
            except BlockingIOError:
                return
            except OSError:
                return  # the end went down: the kernel says so once
            self._accept(packet, clock())

    def deliver(self, packet: bytes) -> None:
        """Let a packet arrive."""
        if self.open:
            with contextlib.suppress(OSError):  # the far end is down, or its queue is full
                self._out.send(packet)

    def _accept(self, packet: bytes, now: float) -> None:
        wanted = self._impairment
        if not self.open or (wanted.loss_ratio and self._chance.random() < wanted.loss_ratio):
            return
        leaves = now
        if wanted.bit_rate:
            waits = max(0.0, self._free_at - now)
            if waits > wanted.buffer_seconds:
                self.overflowed += 1
                return
            leaves = now + waits + (len(packet) - _OFFLOAD_HEADER_OCTETS) * 8 / wanted.bit_rate
            self._free_at = leaves
        arrives = leaves + wanted.delay_seconds
        if wanted.jitter_seconds:
            arrives += wanted.jitter_seconds * self._chance.random()
        self._latest = max(self._latest, arrives)
        self._schedule.add(self._latest, self, packet)


def _raw_socket(device: str) -> socket.socket:
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    raw.setsockopt(_SOL_PACKET, _VNET_HEADER, 1)
    raw.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
    try:
        raw.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_OCTETS)
    except PermissionError:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_OCTETS)
    raw.bind((device, _ALL_PROTOCOLS))
    raw.setblocking(False)
    return raw
