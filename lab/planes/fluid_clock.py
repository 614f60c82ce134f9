"""A clock for simulations: seconds that pass when told to."""

from __future__ import annotations


class VirtualClock:
    """Call it for the time; nothing but `advance` moves it."""

    def __init__(self, start: float = 0.0) -> None:
        self._seconds = start

    def __call__(self) -> float:
        """The time."""
        return self._seconds

    def advance(self, seconds: float) -> None:
        """Let time pass; ValueError for a step back."""
        if seconds < 0:
            raise ValueError(f"time does not go back by {-seconds:g} s")
        self._seconds += seconds
