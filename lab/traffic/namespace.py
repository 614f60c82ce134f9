"""Entering the namespaces that a host lives in.

Owns the way in (setns(2)): the user namespace first where it is another one, then the network namespace. The calling
process must have one thread only, and stays inside. `python -m lab.traffic.namespace PROCESS COMMAND...` runs a command
there.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_TIMERSLACK = 29


def enter_namespaces(process: int) -> None:
    """Move this process to the user and network namespace of another; raises OSError that names it."""
    for kind, flag in (("user", _CLONE_NEWUSER), ("net", _CLONE_NEWNET)):
        theirs = Path(f"/proc/{process}/ns/{kind}")
        if theirs.stat().st_ino != Path(f"/proc/self/ns/{kind}").stat().st_ino:
            _enter(theirs, flag)


def exact_timers() -> None:
    """Wake up when asked to, not up to 50 microseconds later."""
    _libc().prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


def _enter(namespace: Path, flag: int) -> None:
    handle = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc().setns(handle, flag) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"cannot enter {namespace}: {os.strerror(number)}")
    finally:
        os.close(handle)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    enter_namespaces(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - our own words, no shell
