"""Ports that are kept for a server while it does not listen: before its start, between a stop and the next start."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_port(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Give a TCP port of the host (any for 0) that the kernel gives to nobody else meanwhile.

    It is bound and never listens: connections are refused, and a server that sets SO_REUSEADDR, as nearly all do,
    listens on it all the same. A port that is merely found free belongs to whoever asks next. Raises OSError when the
    wanted port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((host, port))
        yield int(holder.getsockname()[1])
