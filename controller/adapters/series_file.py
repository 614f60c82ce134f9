"""Owns reading recorded series: CSV with the columns `time`, `series` and `value`, times in ISO 8601 or as numbers.

A date without an offset is UTC. Numbers are seconds; those that can only be milliseconds or less since 1970 are taken
as such. Of two values for one time the later line counts. What is taken otherwise than it stands there is noted.
"""

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from controller.model.errors import InvalidInputError, NotFoundError

_COLUMNS = ("time", "series", "value")
_MOST_TICKS = 1_000_000
_UNEVEN = 0.1
_EPOCHS = ((1e17, 1e9, "nanoseconds"), (1e14, 1e6, "microseconds"), (1e11, 1e3, "milliseconds"))
"""Seconds since 1970 have ten digits until 2286; what has more is smaller."""
_OFF_GRID, _OFF_GRID_SHARE = 0.25, 1 / 3
_HOLE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class RecordedSeries:
    """One series on an even grid. `step_seconds` apart; NaN where nothing was recorded."""

    name: str
    step_seconds: float
    values: NDArray[np.float64]
    has_dates: bool
    """Whether times were dates, so that a day is known to be one."""
    notes: tuple[str, ...] = ()
    """What had to be made of its times."""


def read_series(file: Path) -> list[RecordedSeries]:
    """Every series of a file, in the order in which they appear; errors name the line."""
    found: dict[str, list[tuple[float, float]]] = {}
    has_dates = False
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            for time, is_date, name, value in _rows(csv.reader(stream), file):
                has_dates |= is_date
                found.setdefault(name, []).append((time, value))
    except FileNotFoundError:
        raise NotFoundError("there is no such file", path=str(file)) from None
    except OSError as error:
        raise InvalidInputError(f"cannot be read: {error.strerror}", path=str(file)) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(f"not a CSV file: {error}", path=str(file)) from error
    if not found:
        raise InvalidInputError("the file has no values", path=str(file))
    unit, note = _unit(found.values(), has_dates)
    return [
        _on_grid(name, sorted(((time / unit, value) for time, value in rows), key=itemgetter(0)), file, has_dates, note)
        for name, rows in found.items()
    ]


def _unit(series: Iterable[list[tuple[float, float]]], has_dates: bool) -> tuple[float, str]:
    """How many of what times are counted in make a second, and the word for it where it is not seconds."""
    if has_dates:
        return 1.0, ""
    middle = float(np.median([time for rows in series for time, _ in rows]))
    found = next(((unit, word) for least, unit, word in _EPOCHS if middle >= least), None)
    return (found[0], f"times are taken as {found[1]} since 1970") if found else (1.0, "")


def _rows(lines: Iterator[list[str]], file: Path) -> Iterator[tuple[float, bool, str, float]]:
    header = [word.strip().lower() for word in next(lines, [])]
    if any(header.count(column) != 1 for column in _COLUMNS):
        remedy = f"begin the file with the line {','.join(_COLUMNS)}; other columns may stand beside them"
        raise InvalidInputError("the first line does not name the columns", remedy=remedy, path=str(file))
    places = [header.index(column) for column in _COLUMNS]
    for number, line in enumerate(lines, start=2):
        if not line:
            continue
        if len(line) != len(header):
            raise InvalidInputError(f"line {number} has {len(line)} columns, not {len(header)}", path=str(file))
        time, name, value = (line[place].strip() for place in places)
        seconds, is_date = _time(time, number, file)
        yield seconds, is_date, name, _value(value, number, file)


def _time(text: str, number: int, file: Path) -> tuple[float, bool]:
    try:
        time = float(text)
    except ValueError:
        pass
    else:
        if not math.isfinite(time):
            raise InvalidInputError(f"line {number}: '{text}' is no time", path=str(file))
        return time, False
    try:
        date = datetime.fromisoformat(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp(), True
    except ValueError:
        raise InvalidInputError(f"line {number}: '{text}' is neither a date nor a number", path=str(file)) from None


def _value(text: str, number: int, file: Path) -> float:
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        raise InvalidInputError(f"line {number}: '{text}' is not a number", path=str(file)) from None
    return value if math.isfinite(value) else math.nan


def _on_grid(name: str, rows: list[tuple[float, float]], file: Path, has_dates: bool, note: str = "") -> RecordedSeries:
    times = np.array([time for time, _ in rows])
    step = _step(times)
    places = np.round((times - times[0]) / step).astype(int)
    if places[-1] >= _MOST_TICKS:
        alone = int(np.diff(times).argmax()) + 1
        raise InvalidInputError(
            f"series '{name}' spans {places[-1]} steps of {step:g} s, most of them before the time {times[alone]:.15g}",
            remedy="correct the times that are far from the others, or leave them out",
            path=str(file),
        )
    values = np.full(places[-1] + 1, math.nan)
    told = np.array([value for _, value in rows])
    values[places[np.isfinite(told)]] = told[np.isfinite(told)]
    notes = [one for one in (note, *_irregularities(name, times, places, step)) if one]
    return RecordedSeries(name, step, values, has_dates, tuple(notes))


def _irregularities(name: str, times: NDArray[np.float64], places: NDArray[np.int_], step: float) -> Iterator[str]:
    """In words, what makes a grid a poor picture of these times."""
    steps = np.diff(times)
    steps = steps[steps > 0] / step
    if len(steps) and float((np.abs(steps - np.round(steps)) > _OFF_GRID).mean()) > _OFF_GRID_SHARE:
        yield f"{name}: times come unevenly; they are taken to the nearest of steps of {step:.6g} s"
    gaps = np.diff(places)
    if len(gaps) and gaps.max() > max(1, _HOLE_SHARE * len(places)):
        at = int(gaps.argmax())
        yield f"{name}: nothing for {gaps[at] - 1} of {places[-1] + 1} steps before the time {times[at + 1]:.15g}"


def _step(times: NDArray[np.float64]) -> float:
    """The usual step, made exact over the whole: ticks that come unevenly do not drift off the grid."""
    steps = np.diff(times)
    steps = steps[steps > 0]
    if not len(steps):
        return 1.0
    usual = float(np.median(steps))
    count = float(np.round(steps / usual).sum())
    exact = float(steps.sum()) / count
    return exact if abs(exact - usual) < _UNEVEN * usual else usual
