"""Owns `accord bench`: judging the controller's forecasts and diagnoses on data from elsewhere, without the daemon."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from controller.cli.bench_examples import (
    is_standard_output,
    is_to_be_written,
    keep,
    scenario_example,
    series_example,
)
from controller.cli.exits import UsageError
from controller.cli.session import Session, command, group
from controller.cli.terminal import record, table
from controller.model.errors import InvalidInputError

if TYPE_CHECKING:
    from controller.adapters.series_file import RecordedSeries
    from controller.assurance.root_cause import Cause, Diagnosis

app = group("bench", "Judge forecasts and diagnoses on data of your own.")
ExampleOption = Annotated[
    str, typer.Option(metavar="FILE|-", help="Write an example to begin with instead; - prints it.", show_default=False)
]
_COLUMNS = ("series", "scored", "season", "rmse", "skill_vs_persistence", "skill_vs_seasonal_naive", "coverage")
_OVERALL = ("horizon", "series", "skill_vs_persistence", "skill_vs_seasonal_naive", "coverage")
_DAY_SECONDS = 86_400
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": _DAY_SECONDS}
_TOGETHER = 500
"""Series forecast at once: faster than one by one, and bounded in memory."""
_LEARNT_FROM = 0.5
"""The first half of a series says what its period is, where no dates do."""


@command(
    app,
    "assure",
    "bench assure --series load.csv --horizon 12",
    "bench assure --series load.csv --horizon 1h -o json",
    "bench assure --example load.csv",
)
def _assure(
    session: Session,
    series: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CSV with the header time,series,value.", show_default=False)
    ] = None,
    horizon: Annotated[
        str, typer.Option(metavar="STEPS|TIME", help="How far ahead: 12 steps, or 30m, 1h, 1d.", show_default=False)
    ] = "",
    season: Annotated[int, typer.Option(min=0, help="Period in steps; 0 finds it.")] = 0,
    example: ExampleOption = "",
) -> None:
    """Forecast recorded series walking forward, and say the skill against naive forecasts and the coverage."""
    from controller.adapters.series_file import read_series

    if is_to_be_written(example, series, "--series") or series is None:
        _give(session, series_example(), example, "bench assure --horizon 6h --series")
        return
    if not horizon:
        raise UsageError("there is no --horizon", remedy="say how far ahead: --horizon 12 (steps), or 30m, 1h, 1d")
    with session.terminal.progress("forecasting"):
        recorded = read_series(series)
        rows = _judged(recorded, horizon, season)
    overall = {
        "horizon": horizon,
        "series": len(rows),
        **{name: _mean([row[name] for row in rows]) for name in _OVERALL[2:]},
    }
    unknown = [row["series"] for row in rows if not row["scored"]]
    told = [Text(f"too few values to be judged at this horizon: {', '.join(unknown)}")] if unknown else []
    notes = list(dict.fromkeys(note for one in recorded for note in one.notes))
    document = {**overall, "notes": notes, "per_series": rows}
    session.terminal.show(document, record(overall, _OVERALL), table(rows, _COLUMNS), *told, *map(Text, notes))


def _judged(recorded: "Sequence[RecordedSeries]", horizon: str, season: int) -> list[dict[str, Any]]:
    """What is known of each series, in their order. Those alike in length and season are forecast together."""
    from controller.telemetry.evaluation import Skill, is_too_short, walk_forward

    alike: dict[tuple[int, int, tuple[int, ...]], list[int]] = {}
    skills = [Skill(one.name, 0, 0, *[math.nan] * 4) for one in recorded]  # of what is too short nothing is known
    for number, one in enumerate(recorded):
        steps, seasons = _steps(horizon, one.step_seconds), (season,) if season else tuple(_seasons(one))
        if seasons and is_too_short(len(one.values), steps, seasons[0]):
            seasons = ()
        if not is_too_short(len(one.values), steps):
            alike.setdefault((len(one.values), steps, seasons), []).append(number)
    for (_, steps, seasons), numbers in alike.items():
        for begin in range(0, len(numbers), _TOGETHER):
            some = numbers[begin : begin + _TOGETHER]
            found = walk_forward({recorded[number].name: recorded[number].values for number in some}, steps, seasons)
            for number, skill in zip(some, found, strict=True):
                skills[number] = skill
    return [{name: _number(getattr(skill, name)) for name in _COLUMNS} for skill in skills]


def _seasons(one: "RecordedSeries") -> Sequence[int]:
    """A day, and a week if there are enough of them; where there are no dates, what the first half looks like."""
    from controller.telemetry.evaluation import season_of

    length = sum(map(math.isfinite, one.values.tolist()))  # a hole is no season
    if one.has_dates or one.step_seconds > 1:
        day, week = (round(days * _DAY_SECONDS / one.step_seconds) for days in (1, 7))
        found = [period for period in (day, week) if period >= 4 and length >= 3 * period]
        if found:
            return found
    half = one.values[: int(len(one.values) * _LEARNT_FROM)]
    period = season_of(half, len(half))
    return (period,) if period else ()


def _steps(horizon: str, step_seconds: float) -> int:
    unit = _UNITS.get(horizon[-1:])
    try:
        steps = int(horizon) if unit is None else round(float(horizon[:-1]) * unit / step_seconds)
    except (ValueError, OverflowError):
        steps = 0
    if steps < 1:
        raise InvalidInputError(
            f"'{horizon}' is no horizon", remedy="a number of steps, or a time of at least one: 30m, 1h", path="horizon"
        )
    return steps


def _number(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 6) if known else None


def _give(session: Session, text: str, example: str, then: str) -> None:
    """Print the example or write it, and say what to do with it."""
    if is_standard_output(example):
        session.terminal.write(text)
        return
    keep(text, example)
    next_step = f"accord {then} {example}"
    session.terminal.show({"written": example, "next": next_step}, Text(f"written: {example}"), Text(next_step))


_EXAMPLE = "bench localise --scenario config/lab/localise.yaml"


@command(app, "localise", _EXAMPLE, f"{_EXAMPLE} -o json", "bench localise --example scenario.yaml")
def _localise(
    session: Session,
    scenario: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML or JSON: topology, paths, observations.", show_default=False),
    ] = None,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Confidence below which a cause is not known.")] = 0.55,
    gap: Annotated[float, typer.Option(min=0, help="Seconds without a new symptom that end an incident.")] = 60.0,
    example: ExampleOption = "",
) -> None:
    """Name the causes of what was observed, ranked by calibrated confidence, or say that none is known.

    \b
    topology:
      nodes: [a, b, c]
      links: [{a: a, b: b, srlgs: [7]}, {a: b, b: c, name: fibre-9}]
    cards: {b/1: [a-b, fibre-9]}             # optional: links, by name, on one line card
    srlgs: {duct-1: [a-b, fibre-9]}          # optional: links, by name, in one shared risk
    paths: {p1: [a, b], p2: [a, b, c]}       # the nodes in order, or the links by name
    observations:
      - {path: p2, sent: 1000, lost: 21}     # a probe; or loss: 0.021, of 1000 packets
      - {path: p1, state: good}              # a detector's verdict: good or bad
      - {path: p1, delay: 13.9, usual: 10.1, deviation: 0.4}
      - {link: a-b, state: down}             # a carrier: up or down
      - {node: c, state: silent}             # a device: answers or silent
    symptoms: [p2, a-b]                      # instead, or too: the names of what is bad

    With symptoms, paths count as good that nothing is said of; so do links and nodes once one of them is a symptom.
    An observation may have a sensor (the device that says so; else the path's first node), a time and a quality
    from 0 to 1.
    A link is called a-b unless it has a name. A published topology may be named instead of listed:
    topology: sndlib/germany50
    """  # noqa: D301 - it is a backspace that keeps the lines below it as they are
    from controller.adapters.scenario_file import read_scenario
    from controller.assurance.root_cause import localise

    if is_to_be_written(example, scenario, "--scenario") or scenario is None:
        _give(session, scenario_example(), example, "bench localise --scenario")
        return
    recorded = read_scenario(scenario)
    with session.terminal.progress("localising"):
        found = localise(recorded.groups, recorded.observations, gap_seconds=gap, threshold=threshold)
    rows = [{"incident": number, **_ranked(cause)} for number, one in enumerate(found, 1) for cause in one.causes]
    told = [Text(f"incident {number}: {one.reason}") for number, one in enumerate(found, 1)]
    session.terminal.show(
        {"incidents": [_incident(one) for one in found]},
        *(told or [Text("no symptoms")]),
        *([table(rows, _CAUSE_COLUMNS)] if rows else []),
    )


_CAUSE_COLUMNS = ("incident", "kind", "name", "confidence", "mode", "direction", "alike")


def _incident(diagnosis: "Diagnosis") -> dict[str, Any]:
    return {
        "start": diagnosis.start,
        "end": diagnosis.end,
        "abstains": diagnosis.abstains,
        "reason": diagnosis.reason,
        "known": [str(cause) for cause in diagnosis.known],
        "causes": [{"rank": rank, **_ranked(cause)} for rank, cause in enumerate(diagnosis.causes, 1)],
        "symptoms": list(dict.fromkeys(map(str, diagnosis.symptoms))),
        "unexplained": list(dict.fromkeys(diagnosis.unexplained)),
        "doubtful_sensors": list(diagnosis.doubtful_sensors),
    }


def _ranked(cause: "Cause") -> dict[str, Any]:
    return {
        "kind": cause.kind.value,
        "name": cause.name,
        "confidence": round(cause.confidence, 4),
        "posterior": round(cause.posterior, 4),
        "mode": cause.mode,
        "direction": cause.direction,
        "alike": list(cause.alike),
        "explains": list(dict.fromkeys(cause.explains)),
        "contradicted_by": list(cause.contradicted_by),
    }
