"""Owns the one time of a play on the lab: of its packets, its counters, the controller and the agents.

It stands still until it is moved to a later time, as scenarios do, or while it runs: an act of the network takes as
long in the play as it takes in truth, because packets flow meanwhile and measurements wait for packets.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class StageClock:
    """A `Clock` that leaps, and runs like any other within `running`."""

    def __init__(self, start: float) -> None:
        self._time = start
        self._running_since: float | None = None
        self._runners = 0

    def now(self) -> float:
        """UTC seconds."""
        return self._time if self._running_since is None else self._time + time.monotonic() - self._running_since

    def monotonic(self) -> float:
        """The same: nothing sets it back."""
        return self.now()

    def leap(self, to: float) -> None:
        """It is that late; ValueError for a time that is past."""
        if to < self.now():
            raise ValueError(f"time does not go back by {self.now() - to:g} s")
        self._time += to - self.now()

    @contextmanager
    def running(self) -> Iterator[None]:
        """It runs until the last of these is over."""
        self._runners += 1
        if self._running_since is None:
            self._running_since = time.monotonic()
        try:
            yield
        finally:
            self._runners -= 1
            if not self._runners:
                self._time, self._running_since = self.now(), None
