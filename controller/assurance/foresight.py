"""Owns foreseeing: the values of all objectives at a tick become the breaches that are forecast of them, and alarms.

Objectives that begin to be measured at the same tick are forecast together, one numpy pass for all. Where many have
come one by one, the smallest groups become one by going through what was seen of them once more.

What a day is like is remembered in parts of five minutes, 2.3 kB for each objective, and used of those of which it has
told more than the moment does, from a day and a half on. It and what detectors hold for usual can be kept and
recalled: an objective that is measured again finds its own.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, isfinite, nan

import numpy as np
from numpy.typing import NDArray

from controller.assurance.breach import Breach, predict
from controller.assurance.objectives import Objective
from controller.telemetry.detectors import Alarms, Detectors, Shape
from controller.telemetry.forecast import Forecast
from controller.telemetry.forecast_daily import DailyForecaster
from controller.telemetry.learnt import Arrays, Learnt

Array = NDArray[np.float64]
KEPT = 360
"""Ticks of the past of each objective."""
_MOST_GROUPS = 24
_DAY_SECONDS = 86_400.0
_PART_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of an objective at a tick: its value, NaN where there is none, and how far it is trusted."""

    value: float
    quality: float


@dataclass(frozen=True, slots=True)
class Kept:
    """What was learnt of objectives, a column each; one that is not waited for has no name."""

    names: tuple[str, ...]
    arrays: Arrays


@dataclass(slots=True)
class _Group:
    """Objectives by the column that they have; a column whose objective is gone stays empty."""

    columns: dict[str, int]
    forecaster: DailyForecaster
    detectors: Detectors
    alarms: Alarms | None = None
    past: deque[Array] = field(default_factory=lambda: deque(maxlen=KEPT))

    @property
    def width(self) -> int:
        """Columns, empty ones too."""
        return len(self.past[-1]) if self.past else len(self.columns)

    def step(self, values: Array, phase: int | None = None) -> Forecast:
        self.past.append(values)
        forecast = self.forecaster.step(values, phase)
        self.alarms = self.detectors.step(values, forecast)
        return forecast

    @property
    def learnt(self) -> tuple[Learnt, ...]:
        return *self.forecaster.learnt, *self.detectors.learnt

    def kept(self, most: int) -> Kept:
        """What was learnt of so many at most."""
        names = tuple(self.columns)[:most]
        columns = [self.columns[name] for name in names]
        return Kept(names, {key: value for one in self.learnt for key, value in one.taken(columns).items()})

    def recent(self, name: str) -> Array:
        """The past of one, oldest first."""
        column = self.columns[name]
        return np.array([row[column] for row in self.past])


class Foresight:
    """Forecasts of objectives at `horizons` ticks, the first of which is 1."""

    def __init__(self, horizons: Sequence[int], tick_seconds: float) -> None:
        self.horizons = tuple(sorted({1, *horizons}))
        self.tick_seconds = tick_seconds
        self._groups: list[_Group] = []
        self._recalled: list[Kept] = []
        """Of objectives that are not measured again yet."""

    def keep(self, most: int) -> tuple[Kept, ...]:
        """What was learnt of so many objectives at most, the largest groups first."""
        found: list[Kept] = []
        for group in sorted(self._groups, key=lambda one: -len(one.columns)):
            if (left := most - sum(len(one.names) for one in found)) > 0:
                found.append(group.kept(left))
        return tuple(found)

    def recall(self, kept: Iterable[Kept]) -> None:
        """Take up what was learnt of these; `InvalidInputError`, and nothing is, where any does not fit."""
        found = tuple(kept)
        for one in found:
            self._recalling(one, one.names)
        self._recalled = list(found)

    def step(self, seen: Mapping[Objective, Seen], now: float | None = None) -> dict[Objective, Breach]:
        """Take the values of this tick; the breach of every objective that was ever measured.

        `now` is UTC seconds, for the time of the day; without it a day is like any other time.
        """
        named = {str(objective): objective for objective in seen}
        self._forget(named.keys())
        known = {name for group in self._groups for name in group.columns}
        new = [name for name, one in named.items() if name not in known and isfinite(seen[one].value)]
        self._groups += self._begun(new, named.keys())
        found: dict[Objective, Breach] = {}
        for group in self._groups:
            found.update(self._of(group, named, seen, self._phase(now)))
        self._join()
        return found

    def recent(self, objective: Objective, most: int = KEPT) -> list[float]:
        """The values of the last ticks, oldest first; NaN where there was none."""
        name = str(objective)
        for group in self._groups:
            if name in group.columns:
                return [float(value) for value in group.recent(name)[-most:]]
        return []

    def shape(self, objective: Objective) -> Shape:
        """What is unusual of an objective by at least two of three detectors; silence by itself."""
        name = str(objective)
        for group in self._groups:
            if name in group.columns and group.alarms is not None:
                return Shape(group.alarms.shapes[group.columns[name]])
        return Shape.NONE

    def _of(
        self, group: _Group, named: Mapping[str, Objective], seen: Mapping[Objective, Seen], phase: int | None
    ) -> Iterator[tuple[Objective, Breach]]:
        values = np.full(group.width, nan)
        for name, column in group.columns.items():
            values[column] = seen[named[name]].value
        forecast = group.step(values, phase)
        columns = list(group.columns.values())
        objectives = [named[name] for name in group.columns]
        part = Forecast(forecast.horizons, forecast.point[:, columns], forecast.quantiles[:, :, columns])
        qualities = [seen[objective].quality for objective in objectives]
        for breach in predict(objectives, part, self.tick_seconds, qualities):
            yield breach.objective, breach

    def _group(self, names: Sequence[str]) -> _Group:
        columns = {name: column for column, name in enumerate(names)}
        every = max(1, round(_PART_SECONDS / self.tick_seconds))
        forecaster = DailyForecaster(len(names), self.horizons, self._day, every)
        return _Group(columns, forecaster, Detectors(len(names), self.horizons))

    def _begun(self, new: Sequence[str], wanted: Iterable[str]) -> Iterator[_Group]:
        """Groups of what is measured for the first time, or again; what is not wanted any more is not waited for."""
        left = list(new)
        for kept in self._recalled:
            if again := [name for name in kept.names if name in left]:
                yield self._recalling(kept, again)
                left = [name for name in left if name not in again]
        if left:
            yield self._group(left)
        if self._recalled:
            waited = set(wanted).difference(new)
            still = [tuple(name if name in waited else "" for name in one.names) for one in self._recalled]
            pairs = zip(self._recalled, still, strict=True)
            self._recalled = [replace(one, names=names) for one, names in pairs if any(names)]

    def _recalling(self, kept: Kept, names: Sequence[str]) -> _Group:
        group, places = self._group(names), {name: place for place, name in enumerate(kept.names)}
        for one in group.learnt:
            one.put(kept.arrays, [places[name] for name in names])
        return group

    @property
    def _day(self) -> int:
        """In ticks."""
        return ceil(_DAY_SECONDS / self.tick_seconds)

    def _phase(self, now: float | None) -> int | None:
        return None if now is None else int(now % _DAY_SECONDS / self.tick_seconds)

    def _forget(self, left: Iterable[str]) -> None:
        kept = set(left)
        for group in self._groups:
            for name in group.columns.keys() - kept:
                del group.columns[name]
        self._groups = [group for group in self._groups if group.columns]

    def _join(self) -> None:
        """Make one group of the smaller half when there are too many."""
        if len(self._groups) <= _MOST_GROUPS:
            return
        self._groups.sort(key=lambda group: -len(group.columns))
        small, self._groups = self._groups[_MOST_GROUPS // 2 :], self._groups[: _MOST_GROUPS // 2]
        pasts = {name: group.recent(name) for group in small for name in group.columns}
        # What has told nothing for so long begins anew when it does again.
        pasts = {name: past for name, past in pasts.items() if np.isfinite(past).any()}
        if not pasts:
            return
        joined = self._group(list(pasts))
        length = max(len(past) for past in pasts.values())
        table = np.full((length, len(pasts)), nan)
        for column, past in enumerate(pasts.values()):
            table[length - len(past) :, column] = past
            table[0, column] = past[np.isfinite(past)][0]
        for row in table:
            joined.step(row)
        _take_over_days(joined, small)
        self._groups.append(joined)


def _take_over_days(joined: _Group, groups: Iterable[_Group]) -> None:
    """What a day is like; that is known of all when it is known of the one that came last."""
    day, seen = joined.forecaster.season, []
    for group in groups:
        for name in group.columns.keys() & joined.columns.keys():
            day.take(joined.columns[name], group.forecaster.season, group.columns[name])
            seen.append(group.forecaster.season.seen)
    day.seen = min(seen, default=0)
