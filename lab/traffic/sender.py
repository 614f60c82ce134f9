"""A process that sends the packets of one flow on time; `python -m lab.traffic.sender`.

Owns the schedule: packet n is due at the start plus n intervals, whatever happened to those before it. What was due
and is not sent yet is sent at once and counted as late, never left out. Lines of JSON: the process's argument says what
to send; every line on standard input is answered with how much was sent, the line `"stop"` after the last packet.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import time
from dataclasses import dataclass
from ipaddress import ip_address

from lab.traffic.lines import InputLines, say
from lab.traffic.namespace import enter_namespaces, exact_timers
from lab.traffic.packets import encode, padding

_SECOND = 1_000_000_000
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Sending:
    """What to send. Addresses of both hosts, the port and the flow key that the receiver gave."""

    source: str
    target: str
    port: int
    key: int
    packet_rate: float
    packet_octets: int


class Sender:
    """A bound socket and how far the schedule has been followed."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._socket = _bound_socket(sending)
        self._padding = padding(sending.target, sending.packet_octets)
        self._start = time.monotonic_ns()
        self._interval = _SECOND / sending.packet_rate
        self._sent = 0
        self._late = 0
        self._first_sent = self._last_sent = 0

    def send_due(self) -> None:
        """Send what is due, a handful at most."""
        due = int((time.monotonic_ns() - self._start) / self._interval) + 1
        for _ in range(min(due - self._sent, _AT_ONCE)):
            self._send_one()

    def seconds_to_next(self) -> float:
        """Until the next packet is due; 0 when it is."""
        return max(0.0, (self._due() - time.monotonic_ns()) / _SECOND)

    def account(self) -> dict[str, int]:
        """How many packets have left, how many of them late, and when (nanoseconds of the machine's clock)."""
        return {
            "sent": self._sent,
            "late": self._late,
            "first_sent": self._first_sent,
            "last_sent": self._last_sent,
        }

    def _due(self) -> float:
        return self._start + self._sent * self._interval

    def _send_one(self) -> None:
        if time.monotonic_ns() > self._due() + self._interval:
            self._late += 1
        now = time.time_ns()
        payload = encode(self._sending.key, self._sent, now, self._padding)
        with contextlib.suppress(
            OSError
        ):  # no route or no room here: it was sent as far as the customer knows, and lost
            self._socket.sendto(payload, (self._sending.target, self._sending.port))
        self._first_sent = self._first_sent or now
        self._last_sent = now
        self._sent += 1


def _bound_socket(sending: Sending) -> socket.socket:
    """A socket that has a route to the target; raises OSError where there is none."""
    family = socket.AF_INET6 if ip_address(sending.target).version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((sending.source, 0))
        probe.connect((sending.target, sending.port))
    bound = socket.socket(family, socket.SOCK_DGRAM)  # unconnected, so that no ICMP error stops it
    bound.bind((sending.source, 0))
    return bound


def main(process: int, sending: Sending) -> None:
    """Send until told to stop, or until standard input ends."""
    enter_namespaces(process)
    exact_timers()
    with contextlib.suppress(PermissionError):
        os.nice(-10)  # being on time is what it is for
    sender = Sender(sending)
    say(ready=True)
    lines = InputLines()
    while lines.open:
        sender.send_due()
        if select.select([lines], [], [], sender.seconds_to_next())[0]:
            for line in lines.read():
                say(**sender.account())
                if json.loads(line) == "stop":
                    return


if __name__ == "__main__":
    words = json.loads(sys.argv[1])
    try:
        main(words.pop("process"), Sending(**words))
    except OSError as error:
        say(error=str(error))
