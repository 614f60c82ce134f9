"""Owns the API of assurance under `/api/v1`.

| method and path | does |
|---|---|
| GET /assurance | every agreement: its state, its health, the objective that is nearest to a breach |
| GET /assurance/ID | one: its instance, objectives as observed and foreseen, the latest decisions and the last report |
| GET /assurance/ID/explanation | what changed, what began it, what was decided; with the samples and events behind it |
| POST /assurance/ID/objectives {objectives: [{name, target, window_seconds?, subject?}]} | set some beside its own |
| GET /topology/overlay?of=load,delay,loss | every link with its load, its delay or its loss |

Times are UTC seconds; targets are in the base unit of their objective (s, bit/s, ratio).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from controller.assurance.book import objective_from_json
from controller.assurance.instance import IntentInstance
from controller.assurance.objectives import WINDOW_SECONDS, ErrorBudget, Objective, ObjectiveName
from controller.model.errors import AccordError, InvalidInputError
from controller.northbound.auth import Action
from controller.northbound.door import Call, Door, json_response
from controller.runtime.assurance import Assurance, ObjectiveStanding
from controller.runtime.assurance_explaining import Explaining
from controller.runtime.controller import Controller
from controller.runtime.topology_overlay import KINDS, overlay

Json = Any
_MOST_OBJECTIVES = 100
_MEMBERS = frozenset({"name", "target", "window_seconds", "subject"})


@dataclass(frozen=True, slots=True)
class AssuranceDoor:
    """The handlers."""

    controller: Controller

    def routes(self, door: Door) -> list[Route]:
        """Every route."""
        read, change = Action.READ, Action.CHANGE
        table = {
            "/assurance": {"GET": (read, self.agreements)},
            "/assurance/{id}": {"GET": (read, self.agreement)},
            "/assurance/{id}/explanation": {"GET": (read, self.explanation)},
            "/assurance/{id}/objectives": {"POST": (change, self.set_objectives)},
            "/topology/overlay": {"GET": (read, self.overlay)},
        }
        return [door.route(f"/api/v1{path}", handlers) for path, handlers in table.items()]

    async def agreements(self, call: Call) -> Response:
        """GET /assurance: those in the caller's scope."""
        assurance = self.controller.assurance
        loop = self.controller.world.assurance.loop
        return json_response(
            [
                _row(assurance, instance)
                for instance in loop
                if not instance.state.is_final and call.principal.reaches(instance.agreement)
            ]
        )

    async def agreement(self, call: Call) -> Response:
        """GET /assurance/ID."""
        name = call.path("id")
        call.require(Action.READ, "service", [name])
        return json_response(assurance_view(self.controller.assurance, name))

    async def explanation(self, call: Call) -> Response:
        """GET /assurance/ID/explanation."""
        name = call.path("id")
        call.require(Action.READ, "service", [name])
        explaining = Explaining(self.controller.assurance, self.controller.records)
        return json_response(explaining.explain(name))

    async def set_objectives(self, call: Call) -> Response:
        """POST /assurance/ID/objectives; what was set before is replaced."""
        name = call.path("id")
        call.require(Action.CHANGE, "service", [name])
        given = call.json(("objectives",)).get("objectives")
        if not isinstance(given, list) or len(given) > _MOST_OBJECTIVES:
            raise InvalidInputError(f"'objectives' is a list of {_MOST_OBJECTIVES} at most", path="objectives")
        objectives = [_objective(name, number, each) for number, each in enumerate(given)]
        await self.controller.assurance.set_objectives(name, objectives, call.actor)
        return json_response({"service": name, "objectives": given})

    async def overlay(self, call: Call) -> Response:
        """GET /topology/overlay."""
        call.require(Action.READ, "topology")
        of = call.query("of", "load")
        if of not in KINDS:
            raise InvalidInputError(f"there is no overlay '{of}'", remedy=f"one of: {', '.join(KINDS)}", path="of")
        controller = self.controller
        return json_response(overlay(controller.topology.database, controller.records(), of))


def assurance_view(assurance: Assurance, agreement: str) -> Json:
    """Everything about one agreement; `NotFoundError` names it."""
    book = assurance.world.assurance
    instance = book.loop.get(agreement)
    report, standing = book.report(agreement), assurance.standings.get(agreement)
    return {
        **_row(assurance, instance),
        "steps": _steps(instance, book.positions(agreement)),
        "objectives": [objective_view(assurance, one) for one in (standing.objectives if standing else ())],
        "symptoms": [
            {"id": one.id, "kind": one.kind, "since": one.start, "weight": one.weight, "reason": one.reason}
            for one in (standing.symptoms if standing else ())
        ],
        "decisions": [{**one.data, "event": one.position} for one in book.decisions(agreement)],
        "report": report.data["report"] if report else None,
    }


def objective_view(assurance: Assurance, standing: ObjectiveStanding) -> Json:
    """One objective as observed and foreseen; null where nothing is known."""
    objective, measured, breach = standing.objective, standing.measured, standing.breach
    return {
        "objective": objective.name.value,
        "subject": objective.subject,
        "unit": objective.unit,
        "target": objective.target,
        "observed": _number(measured.value),
        "quality": round(measured.quality, 3),
        "reason": measured.why,
        "series": [str(key) for key in measured.series],
        "forecast": _number(breach.point),
        "forecast_lower": _number(breach.lower),
        "forecast_upper": _number(breach.upper),
        "horizon_seconds": breach.horizon_seconds,
        "breach_probability": round(breach.probability, 4) if isfinite(breach.point) else None,
        "anomaly": standing.anomaly.word,
        "error_budget": _budget(standing.budget),
        "recent": [_number(value) for value in assurance.recent(objective)],
    }


def _row(assurance: Assurance, instance: IntentInstance) -> Json:
    standing = assurance.standings.get(instance.agreement)
    worst = standing.worst if standing and standing.worst and isfinite(standing.worst.point) else None
    return {
        "service": instance.agreement,
        "state": instance.state.value,
        "since": instance.since,
        "health": standing.health if standing else None,
        "objectives": len(standing.objectives) if standing else 0,
        "symptoms": sorted({one.kind for one in standing.symptoms}) if standing else [],
        "worst": worst.objective.label if worst else "",
        "breach_probability": round(worst.probability, 4) if worst else None,
        "quality": round(worst.quality, 3) if worst else None,
    }


def _steps(instance: IntentInstance, positions: tuple[int, ...]) -> Json:
    steps = instance.steps[len(instance.steps) - len(positions) :]
    return [
        {
            "state": step.state.value,
            "event": step.happening.event.value,
            "time": step.happening.time,
            "cause": step.happening.cause,
            "reason": step.happening.reason,
            "position": position,
        }
        for step, position in zip(steps, positions, strict=True)
    ]


def _budget(budget: ErrorBudget | None) -> Json:
    if budget is None:
        return None
    return {
        "window_seconds": budget.window_seconds,
        "measured_seconds": round(budget.measured_seconds, 3),
        "bad_seconds": round(budget.bad_seconds, 3),
        "remaining_ratio": _number(budget.remaining_ratio),
        "burn_rate": _number(budget.burn_rate),
    }


def _number(value: float) -> float | None:
    return value if isfinite(value) else None


def _objective(agreement: str, number: int, given: Json) -> Objective:
    path = f"objectives/{number}"
    if not isinstance(given, Mapping) or not {"name", "target"} <= given.keys() <= _MEMBERS:
        raise InvalidInputError("an objective has name and target, window_seconds and subject", path=path)
    if given["name"] not in set(ObjectiveName):
        known = ", ".join(ObjectiveName)
        raise InvalidInputError(f"there is no objective '{given['name']}'", remedy=f"one of: {known}", path=path)
    window = given.get("window_seconds", WINDOW_SECONDS)
    for value in (given["target"], window):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidInputError("target and window_seconds are numbers", path=path)
    if not isinstance(given.get("subject", ""), str):
        raise InvalidInputError("subject is a text, such as pe-london>pe-paris", path=path)
    try:
        return objective_from_json(
            agreement,
            {"name": given["name"], "target": given["target"], "window_seconds": window, "subject": ""}
            | {key: given[key] for key in ("subject",) if key in given},
        )
    except AccordError as error:
        raise InvalidInputError(error.message, remedy=error.remedy, path=path) from error
