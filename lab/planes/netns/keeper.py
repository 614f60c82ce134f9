"""The process that makes the others: one fork for each router and set of wires, every one in a namespace of its own.

Owns the way in: root stays root, anybody else becomes root of a user namespace. It leaves the host's network namespace
before anything else, so that nothing here can touch it, and it ends, and all others with it, when the lab is gone.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.planes.netns import namespaces
from lab.planes.netns.agent import run_agent
from lab.planes.netns.channel import READY, Answer, ServerChannel
from lab.planes.netns.probe import probe
from lab.planes.netns.wires import run_wires

_ROLES: dict[str, Callable[[ServerChannel, Any], None]] = {"agent": run_agent, "wires": run_wires}


@dataclass(frozen=True, slots=True)
class Start:
    """Start a process of that role; its end of a socket pair comes with the next message on the descriptor channel."""

    role: str
    argument: object


class Keeper:
    """Forks on demand. `descriptors` is a socket that carries nothing but the ends for the processes."""

    def __init__(self, channel: ServerChannel, descriptors: socket.socket) -> None:
        self._channel = channel
        self._descriptors = descriptors

    def run(self) -> None:
        """Serve until the lab is gone."""
        while True:
            try:
                questions = self._channel.receive()
            except EOFError:
                return
            for question in questions:
                self._channel.answer(question, self._handle)

    def _handle(self, wanted: Start) -> int:
        _, (descriptor,), _, _ = socket.recv_fds(self._descriptors, 1, 1)
        end = socket.socket(fileno=descriptor)
        process = os.fork()
        if process == 0:
            self._become(wanted, end)
        end.close()
        return process

    def _become(self, wanted: Start, end: socket.socket) -> None:
        """What the child does until its end."""
        status = 1
        try:
            os.close(self._channel.fileno())
            self._descriptors.close()
            namespaces.die_with_parent()
            namespaces.new_network()
            _ROLES[wanted.role](ServerChannel(end), wanted.argument)
            status = 0
        except (EOFError, BrokenPipeError, ConnectionResetError):
            status = 0
        except BaseException:  # noqa: BLE001 - a child must not run into the keeper's own code
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stderr.flush()
            os._exit(status)


def main() -> None:
    """`python -m lab.planes.netns.keeper CHANNEL DESCRIPTORS`, both inherited."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the lab decides when it ends
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes
    channel, descriptors = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    server = ServerChannel(channel)
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))  # five for each VRF
    reason = ""
    try:
        if os.geteuid() != 0:
            namespaces.become_root_of_new_user()
        namespaces.new_network()
        probe()
    except OSError as error:
        reason = str(error)
    server.send(Answer(READY, os.getpid(), reason))
    if not reason:
        gc.freeze()
        Keeper(server, descriptors).run()


if __name__ == "__main__":
    main()
