"""Owns the recent past of all series in bounded memory: one ring of ticks, a column per series, aligned in time.

A sample belongs to the tick nearest to it, counted from the series' own phase in a cycle: jitter below half an interval
leaves no tick empty and none doubled. Where the source's clock is wrong, ours decides: a feed that dates its values
into the future does not push out the past. What is not usable is NaN in tables; the samples themselves come back.
"""

from collections.abc import Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from controller.model.errors import InvalidInputError
from controller.telemetry.sample import Problem, Provenance, Sample, SeriesKey

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_PROBLEMS = tuple(Problem)
_PROVENANCES = tuple(Provenance)
_IMPUTED = _PROVENANCES.index(Provenance.IMPUTED) + 1
_CELL = np.dtype(
    [
        ("value", "f8"),
        ("time", "f8"),
        ("quality", "f4"),
        ("deviation", "f4"),
        ("delay", "f4"),
        ("problems", "u2"),
        ("provenance", "u1"),  # 0: no sample
    ]
)
_PROBLEM_BITS = {problem: 1 << n for n, problem in enumerate(_PROBLEMS)}
_PROVENANCE_NUMBERS = {provenance: n for n, provenance in enumerate(_PROVENANCES, start=1)}
_FIRST_COLUMNS = 64
_AT_ONCE = 4
_MOST_DELAY = 1e9


class SeriesStore:
    """The last `ticks` ticks of `interval_seconds` of every series; 31 octets a sample."""

    def __init__(self, interval_seconds: float, ticks: int) -> None:
        if not interval_seconds > 0 or ticks < 1:
            raise InvalidInputError(
                f"{ticks} ticks of {interval_seconds} s keep nothing", remedy="give a positive interval and ticks"
            )
        self._interval, self._ticks = interval_seconds, ticks
        self._columns: dict[SeriesKey, int] = {}
        self._free: list[int] = []
        self._cells = np.zeros((ticks, _FIRST_COLUMNS), _CELL)
        self._phase = [0.0] * _FIRST_COLUMNS
        self._newest: int | None = None

    @property
    def keys(self) -> tuple[SeriesKey, ...]:
        """Every series there is, in the order of their coming."""
        return tuple(self._columns)

    @property
    def newest_tick(self) -> int | None:
        """The last tick that any sample belongs to."""
        return self._newest

    def put(self, sample: Sample) -> bool:
        """Keep a sample; False when it is older than what is kept, or tells less than what is there."""
        time = self._time(sample)
        if not isfinite(time):
            return False
        column = self._column(sample.key, time)
        tick = round((time - self._phase[column]) / self._interval)
        if tick != self._newest and not self._reach(tick):
            return False
        place = tick % self._ticks, column
        cell = self._cells[place]
        if cell["provenance"] and not _tells_more(sample, cell):
            return False
        self._cells[place] = _cell(sample)
        return True

    def put_all(self, samples: Sequence[Sample]) -> None:
        """Keep samples that came together: at once, where each is the first of its place."""
        if len(samples) < _AT_ONCE or not self._put_at_once(samples):
            for sample in samples:
                self.put(sample)

    def _put_at_once(self, samples: Sequence[Sample]) -> bool:
        rows, columns = [], []
        for sample in samples:
            column = self._columns.get(sample.key)
            if column is None or sample.problems or not isfinite(sample.source_time):
                return False
            tick = round((sample.source_time - self._phase[column]) / self._interval)
            if sample.source_time > sample.receive_time + self._interval or (
                tick != self._newest and not self._reach(tick)
            ):
                return False
            rows.append(tick % self._ticks)
            columns.append(column)
        places = rows, columns
        if len(set(columns)) < len(columns) or self._cells["provenance"][places].any():
            return False
        self._cells[places] = np.array([_cell(sample) for sample in samples], _CELL)
        return True

    def drop(self, key: SeriesKey) -> None:
        """Forget a series; nothing happens when there is none."""
        column = self._columns.pop(key, None)
        if column is not None:
            self._cells[:, column] = np.zeros((), _CELL)
            self._free.append(column)

    def table(self, keys: Sequence[SeriesKey], last: int, *, billable: bool = False) -> Array:
        """The values of the last ticks, oldest first, (ticks, series): NaN where none is usable, or measured."""
        cells = self._window(keys, last)
        known = (cells["provenance"] > 0) & (cells["quality"] > 0)
        if billable:
            known &= cells["provenance"] != _IMPUTED
        return np.where(known, cells["value"], np.nan)

    def imputed(self, keys: Sequence[SeriesKey], last: int) -> Mask:
        """Which values of the same table nobody measured."""
        found: Mask = self._window(keys, last)["provenance"] == _IMPUTED
        return found

    def samples(self, key: SeriesKey, begin: float, end: float) -> list[Sample]:
        """The samples of a series whose source time is in [begin, end], oldest first."""
        if key not in self._columns or self._newest is None:
            return []
        column = self._columns[key]
        ticks = range(self._newest - self._ticks + 1, self._newest + 1)
        found = (_sample(key, self._cells[tick % self._ticks, column]) for tick in ticks)
        return [one for one in found if one is not None and begin <= one.source_time <= end]

    def _window(self, keys: Sequence[SeriesKey], last: int) -> np.ndarray[tuple[int, ...], np.dtype[np.void]]:
        if last > self._ticks:
            raise InvalidInputError(f"{last} ticks are asked of {self._ticks} kept", remedy="ask for fewer ticks")
        newest = self._newest if self._newest is not None else 0
        rows = [tick % self._ticks for tick in range(newest - last + 1, newest + 1)]
        missing = [str(key) for key in keys if key not in self._columns]
        if missing:
            raise InvalidInputError(f"there is no series '{missing[0]}'", remedy="see `accord telemetry series`")
        return self._cells[np.ix_(rows, [self._columns[key] for key in keys])]

    def _time(self, sample: Sample) -> float:
        wrong = Problem.SKEW in sample.problems or sample.source_time > sample.receive_time + self._interval
        return sample.receive_time if wrong else sample.source_time

    def _column(self, key: SeriesKey, time: float) -> int:
        if (column := self._columns.get(key)) is not None:
            return column
        column = self._free.pop() if self._free else len(self._columns)
        if column >= self._cells.shape[1]:
            more = self._cells.shape[1]
            self._cells = np.concatenate([self._cells, np.zeros((self._ticks, more), _CELL)], axis=1)
            self._phase += [0.0] * more
        self._phase[column] = time % self._interval
        self._columns[key] = column
        return column

    def _reach(self, tick: int) -> bool:
        """Make room up to a tick; False for one that is past the ring."""
        newest = self._newest
        if newest is not None and tick <= newest:
            return tick > newest - self._ticks
        begin = tick - self._ticks + 1 if newest is None else max(newest + 1, tick - self._ticks + 1)
        for gone in range(begin, tick + 1):
            self._cells[gone % self._ticks] = np.zeros((), _CELL)
        self._newest = tick
        return True


def _tells_more(sample: Sample, cell: np.void) -> bool:
    """What was measured is never covered by what was imputed, nor what is usable by what is not."""
    there_is_usable = bool(cell["quality"] > 0 and np.isfinite(cell["value"]))
    if sample.provenance is Provenance.IMPUTED and cell["provenance"] != _IMPUTED:
        return not there_is_usable
    return sample.is_usable or not there_is_usable


def _cell(sample: Sample) -> tuple[float | int, ...]:
    return (
        sample.value,
        sample.source_time,
        sample.quality,
        sample.deviation,
        max(-_MOST_DELAY, min(sample.receive_time - sample.source_time, _MOST_DELAY)),
        sum(_PROBLEM_BITS[problem] for problem in sample.problems) if sample.problems else 0,
        _PROVENANCE_NUMBERS[sample.provenance],
    )


def _sample(key: SeriesKey, cell: np.void) -> Sample | None:
    if not cell["provenance"]:
        return None
    time = float(cell["time"])
    return Sample(
        key,
        time,
        time + float(cell["delay"]),
        float(cell["value"]),
        round(float(cell["quality"]), 6),
        _PROVENANCES[int(cell["provenance"]) - 1],
        float(cell["deviation"]),
        tuple(problem for n, problem in enumerate(_PROBLEMS) if int(cell["problems"]) >> n & 1),
    )
