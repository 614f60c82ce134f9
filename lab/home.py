"""A lab's directory as long as the lab lives in it: one lab at a time, and nothing left when it is gone.

Owns the `pid` file, which the lab's process keeps locked (flock) until it exits. A lock cannot outlive its process, so
whoever finds the file unlocked knows that the lab ended, however it ended.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.control_socket import SOCKET, ControlError
from lab.inventory import FILES

LOG = "lab.log"
TOPOLOGY = "topology.json"
_PID = "pid"


class Tenant:
    """The lab process that holds a directory; `pid` is 0 for the moment in which it has not written it yet."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        self.pid = int(text) if text.isdigit() else 0

    def has_exited(self) -> bool:
        """Whether the process is gone."""
        return _try_lock(self._descriptor, fcntl.LOCK_SH)


@contextmanager
def tenant(home: Path) -> Iterator[Tenant | None]:
    """Look who lives in a directory: None when nobody does. Watch them leave as long as the block runs."""
    try:
        descriptor = os.open(home / _PID, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    try:
        found = Tenant(descriptor)
        yield None if found.has_exited() else found
    finally:
        os.close(descriptor)


@contextmanager
def occupied(home: Path) -> Iterator[None]:
    """Live in a directory, which is made when it is missing, and leave nothing behind but the log.

    The lock is kept beyond the block, until this process exits. Raises `ControlError` where another lab lives, OSError
    when the directory cannot be written.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(home / _PID, os.O_RDWR | os.O_CREAT, 0o644)
    if not _try_lock(descriptor, fcntl.LOCK_EX):
        pid = Tenant(descriptor).pid
        os.close(descriptor)
        raise occupied_error(home, pid)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    try:
        yield
    finally:
        for path in leftovers(home):
            if path.name != LOG:  # it may be where our last words go
                path.unlink(missing_ok=True)


def occupied_error(home: Path, pid: int) -> ControlError:
    """What to tell who wants to start a second lab in a directory."""
    return ControlError(
        f"a lab is running in {home} (pid {pid}): stop it with `accord lab down --dir {home}`, "
        "or start this one in another directory with --dir"
    )


def leftovers(home: Path) -> list[Path]:
    """What of a lab's files is in its directory."""
    names = (*FILES.values(), TOPOLOGY, SOCKET, LOG, _PID)
    return [home / name for name in names if (home / name).exists()]


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
