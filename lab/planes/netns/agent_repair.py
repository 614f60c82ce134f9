"""Which ports of the network are down, as one router knows it: its own by their carrier, others by flooding.

Owns the news among agents: a datagram over every core port that is up, passed on when it was new (the flooding of a
link-state protocol, without its database). Numbers of a port's news only grow, so news never run in circles.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Iterable

from lab.planes.netns.wiring import Port, wire_address

_PORT = 6789
_NEWS = struct.Struct("!IIB")


class Flooding:
    """The ports that are down. `changed` is called after each change of that."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._ports: dict[str, Port] = {}
        self._latest: dict[int, tuple[int, bool]] = {}
        self._socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._socket.bind(("::", _PORT))
        self.dead: frozenset[int] = frozenset()
        """Numbers of the ports that are down."""

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def plug(self, ports: Iterable[Port]) -> None:
        """Take the router's own ports."""
        self._ports = {port.name: port for port in ports}

    def own_port(self, name: str, *, up: bool) -> None:
        """A port of this router has gained or lost its carrier: tell, which is quick, then act."""
        port = self._ports[name]
        number, known = self._latest.get(port.number, (0, True))
        if known != up:
            self._take(port.number, number + 1, up=up)
            self._send(_NEWS.pack(port.number, number + 1, up), besides=name)
            self._changed()

    def receive(self) -> None:
        """Take what neighbours tell, and pass on what is new."""
        with contextlib.suppress(BlockingIOError):
            while True:
                news, sender = self._socket.recvfrom(64)
                if len(news) == _NEWS.size:
                    port, number, up = _NEWS.unpack(news)
                    if number > self._latest.get(port, (0, True))[0]:
                        self._take(port, number, up=bool(up))
                        self._send(news, besides=self._port_towards(sender[0]))
                        self._changed()

    def _take(self, port: int, number: int, *, up: bool) -> None:
        self._latest[port] = number, up
        self.dead = frozenset(found for found, (_, is_up) in self._latest.items() if not is_up)

    def _send(self, news: bytes, *, besides: str) -> None:
        for name, port in self._ports.items():
            if name != besides and port.number not in self.dead:
                with contextlib.suppress(OSError):  # it went down meanwhile: its own news follow
                    self._socket.sendto(news, (wire_address(port.far_number), _PORT))

    def _port_towards(self, address: str) -> str:
        return next((name for name, port in self._ports.items() if wire_address(port.far_number) == address), "")
