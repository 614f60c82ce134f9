"""Owns how far telemetry can be trusted: each reading is judged beside those before it, each series has a score.

A sample's quality is the product of what each of its problems leaves. A series' score is the recent mean of that (a
missed reading counts as nothing) times its freshness, and no more than a contradiction leaves. An objective's is the
least of what it rests on, and where several series tell the same thing, the best of these. Below the floor, people act.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan

from controller.telemetry.rates import rate
from controller.telemetry.sample import Problem, Provenance, Reading, Sample, SeriesKey

FLOOR = 0.6
"""Below it nothing is done without a person."""
LEAVES = {
    Problem.RESET: 0.9,
    Problem.WRAP: 0.9,
    Problem.AMBIGUOUS: 0.5,
    Problem.DUPLICATE: 0.5,
    Problem.GAP: 0.8,
    Problem.STALE: 0.4,
    Problem.FROZEN: 0.2,
    Problem.SKEW: 0.7,
    Problem.IMPOSSIBLE: 0.0,
    Problem.CONTRADICTED: 0.4,
}
"""What share of its trust a value keeps: what is wrong once may leave a series above the floor, what stays may not."""
_MEMORY = 0.25
_RATE_MEMORY = 0.3
_MOST_MISSED = 20
_LATE = 1.5
"""Intervals after which a reading is missed."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is known of a series beforehand; `lowest` and `highest` bound a gauge, or a counter's rate per second."""

    interval_seconds: float
    lowest: float = 0.0
    highest: float = inf
    counter_bits: int | None = None
    """32 or 64; None for a gauge."""
    frozen_after: int = 0
    """Equal readings that are too many; 0 for what may stand still. A link that is up carries hellos: it moves."""
    skew_seconds: float = 2.0
    stale_intervals: float = 5.0


@dataclass(frozen=True, slots=True)
class Score:
    """How far a series can be trusted now, 0 to 1, and why not further."""

    key: SeriesKey
    value: float
    problems: tuple[Problem, ...] = ()

    def __str__(self) -> str:
        why = f" ({', '.join(self.problems)})" if self.problems else ""
        return f"{self.key} {self.value:.2f}{why}"


class SeriesJudge:
    """Judges the readings of one series in the order in which they come."""

    __slots__ = ("_begun", "_contradicted", "_equal", "_last", "_moved", "_problems", "_sound", "_usual", "expectation")

    def __init__(self, expectation: Expectation) -> None:
        self.expectation = expectation
        self._last: Reading | None = None
        self._begun = False
        self._equal = 0
        self._moved = False
        self._usual = 0.0
        self._sound = 1.0
        self._contradicted = False
        self._problems: tuple[Problem, ...] = ()

    def contradict(self, *, contradicted: bool) -> None:
        """Another witness says otherwise, or does not any more."""
        self._contradicted = contradicted

    def judge(self, reading: Reading) -> Sample:
        """The sample that a reading makes; a counter's value becomes its rate."""
        if not (isfinite(reading.value) and isfinite(reading.source_time) and isfinite(reading.receive_time)):
            return self._sample(reading, nan, (Problem.IMPOSSIBLE,))
        last = self._last
        if last is not None and self._is_as_ever(last, reading):
            return self._plain(last, reading)
        if last is not None and (reading.source_time == last.source_time or self._seconds(last, reading) <= 0):
            return self._not_new(last, reading)
        problems = self._timing(last, reading)
        if not self._can_be_counted(reading.value):
            return self._sample(reading, nan, (*problems, Problem.IMPOSSIBLE))
        value, found = self._value(last, reading)
        problems += found
        if self._is_frozen(last, reading):
            problems += (Problem.FROZEN,)
        self._last = reading
        return self._sample(reading, value, problems)

    def _is_as_ever(self, last: Reading, reading: Reading) -> bool:
        """Whether nothing can be wrong with it, as with nearly all: a few comparisons tell."""
        expected, seconds = self.expectation, reading.source_time - last.source_time
        value, skew, bits = reading.value, expected.skew_seconds, expected.counter_bits
        if (
            self._contradicted
            or expected.frozen_after
            or not 0.0 < seconds <= _LATE * expected.interval_seconds
            or not -skew <= reading.receive_time - reading.source_time <= skew
            or not -skew <= last.receive_time - last.source_time <= skew
            or skew > expected.stale_intervals * expected.interval_seconds
        ):
            return False
        if bits is None:
            return expected.lowest <= value <= expected.highest and value < inf
        counted, highest = value - last.value, expected.highest
        return (
            0.0 <= counted <= highest * seconds
            and value < 2.0**bits
            and (highest == inf or highest * seconds < 2.0**bits)
            and reading.discontinuity == last.discontinuity
        )

    def _plain(self, last: Reading, reading: Reading) -> Sample:
        """The sample of a reading with which nothing is wrong."""
        value = reading.value
        if self.expectation.counter_bits is not None:
            value = (value - last.value) / (reading.source_time - last.source_time)
            self._usual += (_RATE_MEMORY if self._usual else 1.0) * (value - self._usual)
        self._last, self._begun, self._problems = reading, True, ()
        if reading.value != last.value:
            self._equal, self._moved = 0, True
        else:
            self._equal += 1
        self._sound += _MEMORY * (1.0 - self._sound)
        return Sample(reading.key, reading.source_time, reading.receive_time, value, 1.0, reading.provenance)

    def score(self, now: float, key: SeriesKey) -> Score:
        """How far the series can be trusted at `now`."""
        if self._last is None:
            return Score(key, 0.0, (Problem.IMPOSSIBLE if self._begun else Problem.STALE,))
        fresh = self._freshness(now)
        problems = dict.fromkeys(self._problems)
        if fresh < 1:
            problems[Problem.STALE] = None
        value = self._sound
        if self._contradicted:
            problems[Problem.CONTRADICTED] = None
            value = min(value, LEAVES[Problem.CONTRADICTED])
        return Score(key, value * fresh, tuple(problems))

    def _freshness(self, now: float) -> float:
        last = self._last
        if last is None:
            return 0.0
        age = (now - self._believed_time(last)) / self.expectation.interval_seconds
        span = max(self.expectation.stale_intervals - _LATE, 1e-9)
        return 1.0 - min(max(age - _LATE, 0.0) / span, 1.0)

    def _not_new(self, last: Reading, reading: Reading) -> Sample:
        """It came twice, or after a later one: it makes no rate, but a gauge still has been so."""
        if reading.source_time == last.source_time:
            return self._sample(reading, nan, (Problem.DUPLICATE,))
        value, found = (nan, ()) if self.expectation.counter_bits else self._gauge(reading.value)
        return self._sample(reading, value, (Problem.STALE, *found))

    def _believed_time(self, reading: Reading) -> float:
        """By the source's clock, unless it is wrong: nothing comes from the future, a poll is as old as it looks."""
        return reading.receive_time if self._is_skewed(reading) else reading.source_time

    def _is_skewed(self, reading: Reading) -> bool:
        delay = reading.receive_time - reading.source_time
        most = self.expectation.skew_seconds
        return delay < -most or (reading.provenance is Provenance.POLLED and delay > most)

    def _timing(self, last: Reading | None, reading: Reading) -> tuple[Problem, ...]:
        expected = self.expectation
        problems: tuple[Problem, ...] = ()
        if self._is_skewed(reading):
            problems += (Problem.SKEW,)
        elif reading.receive_time - reading.source_time > expected.stale_intervals * expected.interval_seconds:
            problems += (Problem.STALE,)
        intervals = self._seconds(last, reading) / expected.interval_seconds if last else 1.0
        if intervals > _LATE:
            problems += (Problem.GAP,)
            self._sound *= (1.0 - _MEMORY) ** min(intervals - 1.0, _MOST_MISSED)
        return problems

    def _seconds(self, last: Reading, reading: Reading) -> float:
        return self._believed_time(reading) - self._believed_time(last)

    def _value(self, last: Reading | None, reading: Reading) -> tuple[float, tuple[Problem, ...]]:
        bits = self.expectation.counter_bits
        if bits is None:
            return self._gauge(reading.value)
        if last is None:
            return nan, ()
        if reading.discontinuity != last.discontinuity and None not in {reading.discontinuity, last.discontinuity}:
            return nan, (Problem.RESET,)
        seconds = self._seconds(last, reading)
        value, problems = rate(
            last.value, reading.value, seconds, bits=bits, highest=self.expectation.highest, usual=self._usual
        )
        if isfinite(value) and not problems:
            self._usual += (_RATE_MEMORY if self._usual else 1.0) * (value - self._usual)
        return value, problems

    def _can_be_counted(self, value: float) -> bool:
        bits = self.expectation.counter_bits
        return bits is None or 0 <= value < 2.0**bits

    def _gauge(self, value: float) -> tuple[float, tuple[Problem, ...]]:
        possible = self.expectation.lowest <= value <= self.expectation.highest
        return value, () if possible else (Problem.IMPOSSIBLE,)

    def _is_frozen(self, last: Reading | None, reading: Reading) -> bool:
        if last is None:
            return False
        if reading.value != last.value:
            self._equal, self._moved = 0, True
        else:
            self._equal += 1
        return self._moved and 0 < self.expectation.frozen_after <= self._equal

    def _sample(self, reading: Reading, value: float, problems: tuple[Problem, ...]) -> Sample:
        if self._contradicted:
            problems += (Problem.CONTRADICTED,)
        quality = 1.0
        for problem in problems:
            quality *= LEAVES[problem]
        self._begun = True
        if Problem.DUPLICATE not in problems:
            self._problems = problems
            self._sound += _MEMORY * (quality - self._sound)
        return Sample(
            reading.key, reading.source_time, reading.receive_time, value, quality, reading.provenance, 0.0, problems
        )


def objective_score(rests_on: Iterable[Iterable[Score]]) -> float:
    """How far what is said of an objective can be trusted: each of `rests_on` is needed, the scores in it say the same.

    The least of the best of each; nothing known is 0.
    """
    return min((max((score.value for score in alike), default=0.0) for alike in rests_on), default=0.0)


def refusal(objective: str, rests_on: Sequence[Sequence[Score]], floor: float = FLOOR) -> str | None:
    """Why nothing may be done about an objective without a person; None when its telemetry is good enough."""
    value = objective_score(rests_on)
    if value >= floor:
        return None
    best = [max(alike, key=lambda score: score.value) for alike in rests_on if alike]
    named = ", ".join(str(score) for score in sorted(best, key=lambda score: score.value) if score.value < floor)
    return f"quality of {objective} is {value:.2f}, below {floor:.2f}: {named or 'nothing measures it'}"
