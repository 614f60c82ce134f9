"""Network and user namespaces of the process (namespaces(7)): make, enter, leave.

Owns the system calls. They act on the calling thread, so the processes that use this module have one thread only.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NETWORK, USER = 0x40000000, 0x10000000
_DIE_WITH_PARENT, _TIMER_SLACK = 1, 29
_LIBC = ctypes.CDLL(None, use_errno=True)


def new_network() -> None:
    """Move this thread into a network namespace of its own, which lasts while anything refers to it."""
    _checked(_LIBC.unshare(NETWORK), "a network namespace")


def become_root_of_new_user() -> None:
    """Move this process into a user namespace in which it is root; outside it stays who it was."""
    user, group = os.getuid(), os.getgid()
    _checked(_LIBC.unshare(USER), "a user namespace")
    Path("/proc/self/setgroups").write_text("deny", encoding="utf-8")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="utf-8")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="utf-8")


def network_of_self() -> int:
    """A descriptor of the network namespace the thread is in; it keeps the namespace alive."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter(descriptor: int, kind: int = NETWORK) -> None:
    """Move this thread into the namespace of a descriptor."""
    _checked(_LIBC.setns(descriptor, kind), "entering a namespace")


@contextmanager
def inside(descriptor: int) -> Iterator[None]:
    """Be in another network namespace for a while."""
    home = network_of_self()
    try:
        enter(descriptor)
        try:
            yield
        finally:
            enter(home)
    finally:
        os.close(home)


def made_network() -> int:
    """A descriptor of a new network namespace; the thread stays where it is."""
    home = network_of_self()
    try:
        new_network()
        made = network_of_self()
        enter(home)
    finally:
        os.close(home)
    return made


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends."""
    _LIBC.prctl(_DIE_WITH_PARENT, 9, 0, 0, 0)


def wake_on_time() -> None:
    """Have timers of this process fire to the nanosecond, not to the usual 50 microseconds."""
    _LIBC.prctl(_TIMER_SLACK, 1, 0, 0, 0)


def _checked(result: int, subject: str) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, f"{subject}: {os.strerror(code)}")
