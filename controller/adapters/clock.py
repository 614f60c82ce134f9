"""Owns the system's time behind `controller.ports.Clock`."""

import time


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Seconds since the epoch (UTC); may step when the machine's time is set."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds on a clock that never steps; only differences mean anything."""
        return time.monotonic()
