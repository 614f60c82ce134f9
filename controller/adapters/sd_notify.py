"""Owns telling systemd how the daemon is (sd_notify(3)): ready, status, alive, reloading, stopping.

Without `NOTIFY_SOCKET` every call does nothing. One datagram a message: systemd acts on whole datagrams, so a reload's
two fields must not be split.
"""

import os
import socket
import time
from collections.abc import Mapping

_PATIENCE_SECONDS = 1.0
"""How long a manager with a full queue (ten datagrams are usual) is waited for with what is said only once."""


class SystemdNotifier:
    """Speaks to the service manager that started this process, if one did. Never raises: a deaf manager is no fault."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        variables = os.environ if environment is None else environment
        address = variables.get("NOTIFY_SOCKET", "")
        # A leading @ means the abstract namespace, which the kernel marks with a zero byte.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog_seconds = _watchdog_seconds(variables)
        """How long systemd waits for `watchdog`; None when it does not. Call it at half of this."""

    @property
    def is_active(self) -> bool:
        """Whether anybody listens."""
        return bool(self._address)

    def ready(self, status: str = "") -> bool:
        """Start-up, or a reload, is finished."""
        return self._send("READY=1", *_status(status), patience_seconds=_PATIENCE_SECONDS)

    def status(self, text: str) -> bool:
        """One line for `systemctl status`."""
        return self._send(*_status(text))

    def watchdog(self) -> bool:
        """Work was done since the last call. Call it from progress, never from a bare timer."""
        return self._send("WATCHDOG=1")

    def reloading(self) -> bool:
        """A reload begins; `ready` ends it. The time stamp lets systemd pair the two."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
        return self._send("RELOADING=1", f"MONOTONIC_USEC={microseconds}", patience_seconds=_PATIENCE_SECONDS)

    def stopping(self, status: str = "") -> bool:
        """Shutdown has begun."""
        return self._send("STOPPING=1", *_status(status), patience_seconds=_PATIENCE_SECONDS)

    def extend_timeout(self, seconds: float) -> bool:
        """Ask for this much more time to start or stop, from now."""
        return self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1_000_000)}")

    def _send(self, *lines: str, patience_seconds: float = 0.0) -> bool:
        """True when the datagram left."""
        if not self._address or not lines:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.settimeout(patience_seconds)
                channel.connect(self._address)
                channel.send("\n".join(lines).encode())
        except OSError:
            return False
        return True


def _status(text: str) -> tuple[str, ...]:
    """A status of one line: a line feed would start the next field."""
    return (f"STATUS={' '.join(text.split())}",) if text else ()


def _watchdog_seconds(variables: Mapping[str, str]) -> float | None:
    """`WATCHDOG_USEC`, unless it is meant for another process (`WATCHDOG_PID`)."""
    microseconds = variables.get("WATCHDOG_USEC", "")
    meant_for = variables.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    if meant_for and meant_for != str(os.getpid()):
        return None
    return int(microseconds) / 1_000_000
