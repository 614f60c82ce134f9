"""The lab's processes in namespaces, as the lab starts and ends them.

Owns the keeper and the channels to those it forks. When the lab dies its ends of the channels close, and the processes
and their namespaces go with them; nothing has a name in the file system.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from lab.planes.netns.channel import Channel, greeting, open_channel
from lab.planes.netns.keeper import Start

_PROBE_SECONDS = 30.0


class Processes:
    """A keeper and what it has forked. Make it with `start`."""

    def __init__(self, keeper: Channel, descriptors: socket.socket, process: asyncio.subprocess.Process) -> None:
        self._keeper = keeper
        self._descriptors = descriptors
        self._process = process
        self._channels: list[Channel] = []

    @classmethod
    async def start(cls) -> Processes:
        """Start the keeper; raises `ProcessError` when this kernel or user cannot have namespaces that forward."""
        ours, theirs = socket.socketpair()
        our_descriptors, their_descriptors = socket.socketpair()
        with theirs, their_descriptors:
            numbers = theirs.fileno(), their_descriptors.fileno()
            process = await asyncio.create_subprocess_exec(
                *_command(*numbers), pass_fds=numbers, stdin=subprocess.DEVNULL
            )
        keeper = await open_channel("the keeper of namespaces", ours, lambda _news: None)
        started = cls(keeper, our_descriptors, process)
        try:
            await keeper.ready()
        except BaseException:
            await started.stop()
            raise
        return started

    async def fork(self, name: str, role: str, argument: object, news: Callable[[Any], None]) -> tuple[Channel, int]:
        """Start a process in a namespace of its own; the channel to it, and its id."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._descriptors, [b"."], [theirs.fileno()])  # before anybody else's, as is the question
            process = await self._keeper.ask(Start(role, argument))
        channel = await open_channel(name, ours, news)
        self._channels.append(channel)
        await channel.ready()
        return channel, process

    async def stop(self) -> None:
        """End all processes, and wait until they are gone. Idempotent."""
        channels, self._channels = self._channels, []
        await asyncio.gather(*(channel.close() for channel in channels))
        await self._keeper.close()
        self._descriptors.close()
        await self._process.wait()


def why_not() -> str:
    """Why this kernel or user cannot have namespaces that forward; empty when they can. Tries it, in a process."""
    if not sys.platform.startswith("linux"):
        return f"network namespaces are Linux's, and this is {sys.platform}"
    ours, theirs = socket.socketpair()
    spare, descriptors = socket.socketpair()
    with ours, theirs, spare, descriptors:
        numbers = theirs.fileno(), descriptors.fileno()
        process = subprocess.Popen(  # noqa: S603 - our own words, no shell
            _command(*numbers), pass_fds=numbers, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        theirs.close()
        descriptors.close()
        try:
            return _reason(ours, process)
        finally:
            ours.close()
            process.wait()


def mode() -> str:
    """How this user has namespaces: as `root`, or as root of a user namespace (`user`)."""
    return "root" if os.geteuid() == 0 else "user"


def _command(*descriptors: int) -> list[str]:
    return [sys.executable, "-m", "lab.planes.netns.keeper", *map(str, descriptors)]


def _reason(ours: socket.socket, process: subprocess.Popen[bytes]) -> str:
    ours.settimeout(_PROBE_SECONDS)
    try:
        return greeting(ours).error
    except (EOFError, TimeoutError):
        ours.close()
        said = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
        return f"the keeper of namespaces does not start: {said.splitlines()[-1] if said else 'it says nothing'}"
