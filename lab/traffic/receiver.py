"""A process that receives the packets of one flow and counts them; `python -m lab.traffic.receiver`.

Owns the receiving socket and its time stamps (taken by the kernel, socket(7) SO_TIMESTAMPNS). Lines of JSON: the
process's argument says where to listen; it answers with port and flow key, then each line on standard input (how many
were sent, and when) with its account. It ends with its standard input.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import sys
from dataclasses import asdict
from ipaddress import ip_address

from lab.traffic.accounting import Arrivals
from lab.traffic.lines import InputLines, say
from lab.traffic.namespace import enter_namespaces
from lab.traffic.packets import LARGEST_OCTETS, decode

_SO_TIMESTAMPNS = 35
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")
_DROPS = 8  # position in SO_MEMINFO (linux/sock_diag.h)
_TIMESPEC = struct.Struct("=qq")
_BUFFER_OCTETS = 8 * 1024 * 1024
_AT_ONCE = 64
_SECOND = 1_000_000_000


class Receiver:
    """A bound socket and the account of what came in by it."""

    def __init__(self, address: str) -> None:
        family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._enlarge_buffer()
        self.socket.bind((address, 0))
        self.socket.setblocking(False)
        self.key = os.getpid()
        self._arrivals = Arrivals()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.socket.getsockname()[1])

    @property
    def missed(self) -> int:
        """Packets that found the buffer full."""
        return int(_MEMINFO.unpack(self.socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[_DROPS])

    def receive(self, most: int = _AT_ONCE) -> None:
        """Count what waits in the buffer, so many packets at most."""
        for _ in range(most):
            try:
                payload, ancillary, _, _ = self.socket.recvmsg(LARGEST_OCTETS, 64)
            except BlockingIOError:
                return
            found = decode(self.key, payload)
            if found is not None:
                self._arrivals.add(*found, _arrival(ancillary))

    def account(self, sent: int, first_sent: int, last_sent: int) -> dict[str, object]:
        """What became of the first `sent` packets; what waits in the buffer has arrived."""
        self.receive(sent)
        return {**asdict(self._arrivals.account(sent, first_sent, last_sent)), "missed": self.missed}

    def _enlarge_buffer(self) -> None:
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_OCTETS)
        except PermissionError:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_OCTETS)


def _arrival(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, stamp in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIMESPEC.unpack(stamp[: _TIMESPEC.size])
            return int(seconds) * _SECOND + int(nanoseconds)
    raise OSError("the kernel stamps no packets: SO_TIMESTAMPNS had no effect")


def main(process: int, address: str) -> None:
    """Receive until standard input ends."""
    enter_namespaces(process)
    with contextlib.suppress(PermissionError):
        os.nice(-10)  # what it leaves waiting is lost
    receiver = Receiver(address)
    say(port=receiver.port, key=receiver.key)
    lines = InputLines()
    while lines.open:
        ready, _, _ = select.select([receiver.socket.fileno(), lines.fileno()], [], [])
        if receiver.socket.fileno() in ready:
            receiver.receive()
        if lines.fileno() in ready:
            for line in lines.read():
                say(**receiver.account(**json.loads(line)))


if __name__ == "__main__":
    try:
        main(**json.loads(sys.argv[1]))
    except OSError as error:
        say(error=str(error))
