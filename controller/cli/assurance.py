"""Owns `accord assurance`: how services fare beside what is promised of them, and what was decided about that."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from controller.cli.completion_names import complete_service
from controller.cli.exits import UsageError
from controller.cli.session import Session, command, group
from controller.cli.terminal import Json, record, table, timestamp
from controller.model.amounts import amount

app = group("assurance", "Services beside what is promised of them: observed, foreseen, decided.")
ServiceArgument = Annotated[str, typer.Argument(metavar="VPN", autocompletion=complete_service)]
_LIST = ("service", "state", "since", "health", "symptoms", "worst", "breach_probability", "quality")
_OBJECTIVES = (
    "objective",
    "subject",
    "target",
    "observed",
    "foreseen",
    "breach",
    "anomaly",
    "quality",
    "budget left",
    "recent",
)
_STEPS = ("time", "state", "event", "cause", "reason", "position")
_BARS = "▁▂▃▄▅▆▇█"
_SECONDS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6))
_BIT_RATES = (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3), ("bit/s", 1.0))
_RECENT = 24
_STEPS_SHOWN = 10


@command(app, "list", "assurance list", "assurance list -o json")
def _list(session: Session) -> None:
    """List services with state, health and the objective that is nearest to a breach."""
    found = session.client.get("assurance")
    rows = [{**row, "since": timestamp(row["since"]), "symptoms": ", ".join(row["symptoms"])} for row in found]
    session.terminal.show(found, table(rows, _LIST))


@command(app, "show", "assurance show acme-1", "assurance show acme-1 -o json")
def _show(session: Session, service: ServiceArgument) -> None:
    """Show one service: objectives, what happened to it, and the latest decision with every reason."""
    found = session.client.get("assurance", service)
    session.terminal.show(found, *shown(found), "", *_history(found))


@command(
    app,
    "set",
    "assurance set acme-1 --objective delay-one-way=15ms --objective availability=99.9%",
    "assurance set acme-1 --objective 'loss@pe-london>pe-paris=0.1%'",
)
def _set(
    session: Session,
    service: ServiceArgument,
    *,
    objective: Annotated[
        list[str],
        typer.Option("--objective", metavar="NAME[@SUBJECT]=TARGET", help="Such as jitter=2ms. Repeatable."),
    ],
) -> None:
    """Set objectives beside those of the service's own documents, in place of those that were set before."""
    body = {"objectives": [_objective(text) for text in objective]}
    found = session.client.post("assurance", service, "objectives", body=body)
    session.terminal.show(found, table(found["objectives"], ("name", "subject", "target")))


def shown(found: Json) -> list[RenderableType]:
    """State and objectives of a service."""
    summary = {
        "state": f"{found['state']} since {timestamp(found['since'])}",
        "health": "" if found["health"] is None else f"{found['health']} of 100",
        "symptoms": "; ".join(map(_symptom, found["symptoms"])),
    }
    rows = [_row(one) for one in found["objectives"]]
    reasons = sorted({one["reason"] for one in found["objectives"] if one["reason"]})
    return [record(summary), "", table(rows, _OBJECTIVES), *(Text(reason) for reason in reasons)]


def _symptom(one: Json) -> str:
    name = one["id"].partition("/")[2]
    return f"{name}: {one['reason']}" if one["reason"] else name


def _history(found: Json) -> list[RenderableType]:
    steps = [{**step, "time": timestamp(step["time"])} for step in found["steps"][-_STEPS_SHOWN:]]
    parts: list[RenderableType] = [table(steps, _STEPS)]
    for decision in found["decisions"][-1:]:
        what = decision["remedy"] if decision["acts"] else "do nothing"
        parts += ["", Text(f"decided at {timestamp(decision['time'])} (event {decision['event']}): {what}")]
        parts += [
            Text(f"  {'yes' if one['holds'] else 'no '}  {one['ground']}: {one['text']}") for one in decision["reasons"]
        ]
    return parts


def _row(one: Json) -> dict[str, Json]:
    unit, budget, probability = one["unit"], one["error_budget"], one["breach_probability"]
    interval = ""
    if one["forecast"] is not None:
        bounds = f"{amount(one['forecast_lower'], unit)} to {amount(one['forecast_upper'], unit)}"
        interval = f"{amount(one['forecast'], unit)} ({bounds}) in {one['horizon_seconds']:g} s"
    left = budget["remaining_ratio"] if budget else None
    return {
        "objective": one["objective"],
        "subject": one["subject"],
        "target": amount(one["target"], unit),
        "observed": amount(one["observed"], unit),
        "foreseen": interval,
        "breach": "" if probability is None else f"{probability:.0%}",
        "anomaly": one["anomaly"],
        "quality": f"{one['quality']:.2f}",
        "budget left": "" if left is None else f"{left:.1%}",
        "recent": sparkline(one["recent"][-_RECENT:]),
    }


def sparkline(values: Sequence[float | None]) -> str:
    """The values as bars, from the lowest to the highest of them; a gap where there was none."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    steps = len(_BARS) - 1
    return "".join(
        " " if value is None else _BARS[round((value - low) / (high - low) * steps) if high > low else 0]
        for value in values
    )


def _objective(text: str) -> dict[str, Json]:
    left, equals, target = text.partition("=")
    name, _, subject = left.partition("@")
    if not (equals and name.strip() and target.strip()):
        raise UsageError(f"'{text}' is no objective", remedy="write NAME=TARGET, such as delay-one-way=15ms")
    return {"name": name.strip(), "subject": subject.strip(), "target": _target(target.strip())}


def _target(text: str) -> float:
    """A target in its base unit: 15ms, 99.9%, 200Mbit/s, 0.001."""
    factors = {"%": 0.01, **dict(_BIT_RATES), **dict(_SECONDS)}
    unit = next((unit for unit in sorted(factors, key=len, reverse=True) if text.endswith(unit)), "")
    try:
        value = float(text.removesuffix(unit).strip())
    except ValueError:
        raise UsageError(f"'{text}' is no target", remedy="write 15ms, 99.9%, 200Mbit/s or a plain number") from None
    return float(f"{value * factors.get(unit, 1.0):.12g}")  # 99.9 % is 0.999
