"""Owns when each device is read: its own interval and phase, jitter, back-off, and faster reading for a bounded time.

Phases come from names, so a thousand devices are spread over an interval and stay where they are over restarts. A cycle
that comes while the one before is still under way, or long after its time, is missed and counted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from zlib import crc32

from controller.model.identifiers import DeviceName

_MOST_FAILURES = 10
_YIELD_SHARE = 0.1
"""Of the interval, after which a device that was in other hands is asked again."""


class Outcome(StrEnum):
    """How a reading ended."""

    READ = "read"
    FAILED = "failed"
    YIELDED = "yielded"
    """The device was in other hands."""


@dataclass(slots=True)
class _Turn:
    interval_seconds: float
    usual_seconds: float
    fast_until: float
    begin: float
    """The grid's origin."""
    cycle: int
    due: float
    failures: int = 0
    is_reading: bool = False
    missed: int = 0


class PollSchedule:
    """The turns of all devices; times are seconds on a clock that never steps.

    `jitter` is a share of the interval; `longest_seconds` the longest wait after failures.
    """

    def __init__(self, *, jitter: float = 0.1, longest_seconds: float = 300.0) -> None:
        self.jitter = jitter
        self.longest_seconds = longest_seconds
        self._turns: dict[DeviceName, _Turn] = {}
        self._missed_before = 0

    @property
    def missed(self) -> int:
        """Cycles that were missed so far."""
        return self._missed_before + sum(turn.missed for turn in self._turns.values())

    @property
    def devices(self) -> Iterable[DeviceName]:
        """Everybody who has turns."""
        return self._turns.keys()

    def interval_seconds(self, device: DeviceName) -> float:
        """How often a device is read now."""
        return self._turns[device].interval_seconds

    def follow(self, intervals: Mapping[DeviceName, float], now: float) -> None:
        """Read these devices this often; others no more. Who keeps the interval keeps the turn."""
        for gone in self._turns.keys() - intervals.keys():
            self._missed_before += self._turns.pop(gone).missed
        for device, seconds in intervals.items():
            turn = self._turns.get(device)
            if turn is None:
                begin = now + seconds * _fraction(device)
                self._turns[device] = _Turn(seconds, seconds, 0.0, begin, 0, begin)
            elif turn.usual_seconds != seconds:
                turn.usual_seconds = seconds
                if not turn.fast_until:
                    self._pace(device, turn, seconds, now)

    def hasten(self, devices: Iterable[DeviceName], seconds: float, until: float, now: float) -> tuple[DeviceName, ...]:
        """Read these more often until then; they go back to their own interval by themselves. Who is hastened."""
        found = tuple(device for device in devices if device in self._turns)
        for device in found:
            turn = self._turns[device]
            turn.fast_until = max(turn.fast_until, until)
            if seconds < turn.interval_seconds:
                self._pace(device, turn, seconds, now)
        return found

    def hastened(self, now: float) -> dict[DeviceName, float]:
        """Until when who is read more often than usual."""
        return {device: turn.fast_until for device, turn in self._turns.items() if turn.fast_until > now}

    def due(self, now: float) -> list[tuple[DeviceName, float]]:
        """Whose turn it is, and since when; they are being read until `ended` is called."""
        found = []
        for device, turn in self._turns.items():
            if turn.fast_until and now >= turn.fast_until:
                turn.fast_until = 0.0
                self._pace(device, turn, turn.usual_seconds, now)
            if turn.due > now:
                continue
            late = int((now - turn.due) / turn.interval_seconds)
            if turn.is_reading:
                turn.missed += 1 + late
            else:
                turn.missed += late
                turn.is_reading = True
                found.append((device, turn.due))
            self._next(device, turn, now)
        return found

    def ended(self, device: DeviceName, outcome: Outcome, now: float) -> None:
        """A reading is over."""
        turn = self._turns.get(device)
        if turn is None:
            return
        turn.is_reading = False
        if outcome is Outcome.READ:
            turn.failures = 0
        elif outcome is Outcome.YIELDED:
            turn.due = min(turn.due, now + _YIELD_SHARE * turn.interval_seconds)
        else:
            turn.failures = min(turn.failures + 1, _MOST_FAILURES)
            wait = turn.interval_seconds * 2.0 ** (turn.failures - 1)
            turn.due = max(turn.due, now + min(wait, max(self.longest_seconds, turn.interval_seconds)))

    def _pace(self, device: DeviceName, turn: _Turn, seconds: float, now: float) -> None:
        turn.interval_seconds, turn.cycle = seconds, 0
        turn.begin = turn.due = now + seconds * _fraction(device)

    def _next(self, device: DeviceName, turn: _Turn, now: float) -> None:
        """The next point of the grid after now, give or take the jitter."""
        turn.cycle = max(turn.cycle, int((now - turn.begin) / turn.interval_seconds)) + 1
        shift = (_fraction(f"{device} {turn.cycle}") - 0.5) * self.jitter
        turn.due = turn.begin + (turn.cycle + shift) * turn.interval_seconds


def _fraction(text: str) -> float:
    """A number in [0, 1) that belongs to a name."""
    return crc32(text.encode()) / 2**32
