"""Owns `accord bench`: judging the controller's forecasts and diagnoses on data from elsewhere, without the daemon."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.session import Session, command, group
from controller.cli.terminal import record, table
from controller.model.errors import InvalidInputError

if TYPE_CHECKING:
    from controller.adapters.series_file import RecordedSeries

app = group("bench", "Judge forecasts and diagnoses on data of your own.")
_COLUMNS = ("series", "scored", "season", "rmse", "skill_vs_persistence", "skill_vs_seasonal_naive", "coverage")
_OVERALL = ("horizon", "series", "skill_vs_persistence", "skill_vs_seasonal_naive", "coverage")
_DAY_SECONDS = 86_400
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": _DAY_SECONDS}
_LEARNT_FROM = 0.5
"""The first half of a series says what its period is, where no dates do."""


@command(app, "assure", "bench assure --series load.csv --horizon 12", "bench assure --series load.csv --horizon 1h")
def _assure(
    session: Session,
    series: Annotated[Path, typer.Option(metavar="FILE", help="CSV with the header time,series,value.")],
    horizon: Annotated[str, typer.Option(metavar="STEPS|TIME", help="How far ahead: 12 steps, or 30m, 1h, 1d.")],
    season: Annotated[int, typer.Option(min=0, help="Period in steps; 0 finds it.")] = 0,
) -> None:
    """Forecast recorded series walking forward, and say the skill against naive forecasts and the coverage."""
    from controller.adapters.series_file import read_series

    with session.terminal.progress("forecasting"):
        rows = [_judged(one, _steps(horizon, one.step_seconds), season) for one in read_series(series)]
    overall = {
        "horizon": horizon,
        "series": len(rows),
        **{name: _mean([row[name] for row in rows]) for name in _OVERALL[2:]},
    }
    session.terminal.show({**overall, "per_series": rows}, record(overall, _OVERALL), table(rows, _COLUMNS))


def _judged(one: "RecordedSeries", horizon: int, season: int) -> dict[str, Any]:
    from controller.telemetry.evaluation import walk_forward

    seasons = (season,) if season else _seasons(one)
    skill = walk_forward({one.name: one.values}, horizon, seasons)[0]
    return {name: _number(getattr(skill, name)) for name in _COLUMNS}


def _seasons(one: "RecordedSeries") -> Sequence[int]:
    """A day, and a week if there are enough of them; where there are no dates, what the first half looks like."""
    from controller.telemetry.evaluation import season_of

    length = len(one.values)
    if one.has_dates or one.step_seconds > 1:
        day, week = (round(days * _DAY_SECONDS / one.step_seconds) for days in (1, 7))
        found = [period for period in (day, week) if period >= 4 and length >= 3 * period]
        if found:
            return found
    half = one.values[: int(length * _LEARNT_FROM)]
    period = season_of(half, len(half))
    return (period,) if period else ()


def _steps(horizon: str, step_seconds: float) -> int:
    unit = _UNITS.get(horizon[-1:])
    try:
        steps = int(horizon) if unit is None else round(float(horizon[:-1]) * unit / step_seconds)
    except ValueError:
        steps = 0
    if steps < 1:
        raise InvalidInputError(
            f"'{horizon}' is no horizon", remedy="a number of steps, or a time of at least one: 30m, 1h", path="horizon"
        )
    return steps


def _number(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return round(value, 6) if math.isfinite(value) else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 6) if known else None
