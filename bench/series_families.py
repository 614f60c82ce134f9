"""Owns series of many families as they come from elsewhere, each as a CSV file: what forecasts are judged on.

Days and weeks, states that last, bursts, walks, shifts of level and of spread, counts, saw teeth, ceilings; a second to
an hour apart, short and long, with holes, dates or numbers for times. Half of the families are `HELD_OUT`: looked at
only to see whether what was made better on the others holds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Random = np.random.Generator
_BEGIN = 1_767_225_600


@dataclass(frozen=True, slots=True)
class Family:
    """How its series are made, (ticks, n), and how they are written."""

    make: Callable[[Random, int, int], Array]
    ticks: int = 1500
    step_seconds: float = 300.0
    count: int = 8
    has_dates: bool = False
    unit: float = 1.0
    """Of a second, that times are counted in."""
    missing: float = 0.0
    lengths: tuple[int, ...] = field(default=())
    """Of its series in turn, where they are of different lengths."""


def _noise(random: Random, ticks: int, count: int) -> Array:
    return random.normal(size=(ticks, count))


def _ar(noise: Array, *weights: float) -> Array:
    made = noise.copy()
    for tick in range(len(made)):
        for back, weight in enumerate(weights, 1):
            if tick >= back:
                made[tick] += weight * made[tick - back]
    return made


def _turn(random: Random, ticks: int, count: int, period: float) -> Array:
    return np.asarray(2 * np.pi * (np.arange(ticks)[:, None] / period - random.uniform(0, 1, count)))


def _days(random: Random, ticks: int, count: int, period: float = 288) -> Array:
    turn = _turn(random, ticks, count, period)
    waves: Array = 100 + 30 * np.sin(turn) + 8 * np.sin(2 * turn + 1)
    return waves + 4 * _ar(_noise(random, ticks, count), 0.6)


def _weeks(random: Random, ticks: int, count: int) -> Array:
    day = np.arange(ticks)[:, None] // 24 % 7
    shape = np.maximum(0.0, np.sin(_turn(random, ticks, count, 24)))
    return 20 + np.where(day < 5, 80.0, 25.0) * shape + 5 * _noise(random, ticks, count)


def _office(random: Random, ticks: int, count: int) -> Array:
    """Half an hour a tick: busy from nine to five on working days."""
    at = np.arange(ticks)[:, None]
    busy = (at // 48 % 7 < 5) & (at % 48 >= 18) & (at % 48 < 34)
    return np.where(busy, 80.0, 10.0) * random.uniform(0.8, 1.2, count) + 6 * _noise(random, ticks, count)


def _trend(random: Random, ticks: int, count: int) -> Array:
    rise = random.uniform(-0.3, 0.5, count) * np.arange(ticks)[:, None]
    return 500 + rise + 8 * _ar(_noise(random, ticks, count), 0.5)


def _growth(random: Random, ticks: int, count: int) -> Array:
    return _days(random, ticks, count) * np.exp(random.uniform(2e-4, 8e-4, count) * np.arange(ticks)[:, None])


def _states(random: Random, ticks: int, count: int, up: float, down: float) -> Array:
    """Zero or one; each lasts so long on average."""
    state = random.random(count) < down / (up + down)
    made = np.zeros((ticks, count))
    for row in made:
        flips = random.random(count) < np.where(state, 1 / down, 1 / up)
        state ^= flips
        row[:] = state
    return made


def _on_off(up: float, down: float, noise: float = 0.0) -> Callable[[Random, int, int], Array]:
    def make(random: Random, ticks: int, count: int) -> Array:
        high = random.uniform(50, 150, count)
        return high * _states(random, ticks, count, up, down) + noise * np.abs(_noise(random, ticks, count))

    return make


def _on_off_of_all_lengths(random: Random, ticks: int, count: int) -> Array:
    """Several sources whose states last as Pareto says: alike at every scale."""
    made = np.zeros((ticks, count))
    for column in range(count):
        for _ in range(4):
            at, is_on = 0, bool(random.random() < 0.5)
            while at < ticks:
                lasts = int(5 * random.pareto(1.4)) + 2
                made[at : at + lasts, column] += 25.0 * is_on
                at, is_on = at + lasts, not is_on
    return made + 2 * _noise(random, ticks, count)


def _bursts(random: Random, ticks: int, count: int) -> Array:
    made = 20 + 2 * _noise(random, ticks, count)
    return made + (random.random((ticks, count)) < 0.05) * 20 * random.pareto(1.5, (ticks, count))


def _lognormal(random: Random, ticks: int, count: int) -> Array:
    return np.exp(3 + 0.8 * _ar(0.5 * _noise(random, ticks, count), 0.8))


def _walk(random: Random, ticks: int, count: int) -> Array:
    return 1000 + _noise(random, ticks, count).cumsum(axis=0)


def _jumping_walk(random: Random, ticks: int, count: int) -> Array:
    return 1000 + random.standard_t(2.5, (ticks, count)).cumsum(axis=0)


def _drifting(random: Random, ticks: int, count: int) -> Array:
    return 50 + 5 * _ar(_noise(random, ticks, count), 0.95)


def _swinging(random: Random, ticks: int, count: int) -> Array:
    return 50 + 2 * _ar(_noise(random, ticks, count), 1.8, -0.9)


def _shifts(random: Random, ticks: int, count: int) -> Array:
    """Days whose level changes now and then for good."""
    made = _days(random, ticks, count)
    for column in range(count):
        for begin in random.integers(0, ticks, random.poisson(ticks / 400)):
            made[begin:, column] += random.normal(0, 50)
    return made


def _levels(random: Random, ticks: int, count: int) -> Array:
    """A delay: a floor that changes with the way, and queueing above it."""
    made = random.uniform(5, 20, (1, count)) + 0.2 * np.abs(_ar(_noise(random, ticks, count), 0.7))
    for column in range(count):
        for begin in random.integers(0, ticks, random.poisson(ticks / 200)):
            made[begin : begin + random.integers(20, 300), column] += random.uniform(1, 10)
    return made


def _spreads(random: Random, ticks: int, count: int) -> Array:
    """Calm and restless by turns."""
    return 100 + (1 + 6 * _states(random, ticks, count, 120, 60)) * _noise(random, ticks, count)


def _garch(random: Random, ticks: int, count: int) -> Array:
    made, spread = _noise(random, ticks, count), np.ones(count)
    for row in made:
        np.multiply(row, np.sqrt(spread), out=row)
        spread = 0.05 + 0.12 * row * row + 0.83 * spread
    return 10 + made


def _rare(random: Random, ticks: int, count: int) -> Array:
    return (random.random((ticks, count)) < 0.12) * np.round(random.gamma(2, 8, (ticks, count)))


def _counts(random: Random, ticks: int, count: int) -> Array:
    rate = 3 * np.exp(0.5 * np.sin(_turn(random, ticks, count, 96)))
    return random.poisson(rate).astype(float)


def _saw(random: Random, ticks: int, count: int) -> Array:
    """Rises and falls to zero at a fixed value, as a disk that is rotated or a counter that wraps."""
    rises = random.uniform(0.5, 3.0, count) * (1 + 0.2 * _noise(random, ticks, count))
    return np.asarray(np.maximum(rises, 0).cumsum(axis=0) % 100)


def _resets(random: Random, ticks: int, count: int) -> Array:
    """A counter that begins anew now and then."""
    made = np.zeros((ticks, count))
    for tick in range(1, ticks):
        again = random.random(count) < 0.005
        made[tick] = np.where(again, 0.0, made[tick - 1] + random.gamma(4, 2, count))
    return made


def _ceiling(random: Random, ticks: int, count: int) -> Array:
    """A load that ends at the capacity."""
    return np.minimum(1.2 * _days(random, ticks, count), 130.0)


def _mixed(random: Random, ticks: int, count: int) -> Array:
    makers = (_days, _walk, _drifting, _bursts, _trend, _on_off(30, 30))
    return np.stack([makers[n % len(makers)](random, ticks, 1)[:, 0] for n in range(count)], axis=1)


def _brief_days(random: Random, ticks: int, count: int) -> Array:
    return _days(random, ticks, count, 24)


_SHORT = (30, 50, 80, 120, 160, 200)
LEARNT_ON = {
    "days": Family(_days),
    "days in seconds": Family(lambda random, ticks, count: _days(random, ticks, count, 60), 1200, 1.0),
    "trend": Family(_trend, 800, 60.0),
    "on/off, 10 ticks": Family(_on_off(10, 10)),
    "on/off, 100 and 20 ticks": Family(_on_off(100, 20, 2.0)),
    "bursts": Family(_bursts, 1000, 10.0),
    "walk": Family(_walk, 1000, 60.0),
    "swinging": Family(_swinging, 1000, 60.0),
    "days that shift": Family(_shifts, 2000),
    "garch": Family(_garch, 1200, 60.0),
    "rare": Family(_rare, 1000, 60.0),
    "saw teeth": Family(_saw, 1000, 60.0),
    "ceiling": Family(_ceiling, has_dates=True),
    "short": Family(_mixed, 200, 60.0, 18, lengths=_SHORT),
    "mixed, holes": Family(_mixed, 900, 1.0, 12, has_dates=True, missing=0.1),
}
HELD_OUT = {
    "weeks": Family(_weeks, 1000, 3600.0, has_dates=True),
    "office hours": Family(_office, 1400, 1800.0),
    "growth": Family(_growth),
    "on/off, 60 ticks": Family(_on_off(60, 60, 1.0)),
    "on/off, 30 and 5 ticks": Family(_on_off(30, 5), 800, 10.0),
    "on/off of all lengths": Family(_on_off_of_all_lengths, 1500, 10.0),
    "lognormal": Family(_lognormal, 1000, 60.0),
    "jumping walk": Family(_jumping_walk, 1000, 60.0),
    "drifting": Family(_drifting, 1000, 60.0),
    "delays": Family(_levels, 1500, 60.0),
    "spreads": Family(_spreads, 1500, 60.0),
    "counts": Family(_counts, 1000, 900.0),
    "resets": Family(_resets, 1000, 60.0),
    "short days": Family(_brief_days, 200, 3600.0, 18, has_dates=True, lengths=_SHORT),
    "mixed, milliseconds, holes": Family(_mixed, 600, 30.0, 12, unit=1e-3, missing=0.2),
}
FAMILIES = LEARNT_ON | HELD_OUT


def write_csv(name: str, seed: int, file: Path) -> None:
    """The series of a family as `accord bench assure` reads them."""
    family = FAMILIES[name]
    random = np.random.default_rng([seed, *name.encode()])
    values = family.make(random, family.ticks, family.count)
    is_missing = random.random(values.shape) < family.missing
    file.write_text("time,series,value\n" + "".join(_lines(family, np.where(is_missing, np.nan, values))))


def _lines(family: Family, values: Array) -> Iterator[str]:
    lengths = np.resize(family.lengths or [len(values)], values.shape[1]).tolist()
    for tick, row in enumerate(values.tolist()):
        seconds = _BEGIN + tick * family.step_seconds
        time = datetime.fromtimestamp(seconds, UTC).isoformat() if family.has_dates else f"{seconds / family.unit:.15g}"
        for number, (value, length) in enumerate(zip(row, lengths, strict=True)):
            if tick < length and value == value:  # noqa: PLR0124 - NaN is what is missing
                yield f"{time},s{number},{value!r}\n"
