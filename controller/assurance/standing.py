"""Owns how a service stands: the symptoms that its objectives show and its health (RFC 9417), and availability at risk.

Availability is not forecast from a series but from how fast its error budget burns, over a short time and a longer one
(the multi-window burn rate of the Site Reliability Workbook, chapter 5): an alarm takes both.

What is unusual and breaks nothing is one symptom of the service, however many of its objectives show it, and so are
links on its way that take longer than is expected of them: they take little of the health, and nothing is done for
their sake.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from controller.assurance.breach import Breach, SchmittTrigger
from controller.assurance.objectives import Availability, Objective
from controller.assurance.reports import Observed
from controller.assurance.symptoms import Symptom, health_score
from controller.telemetry.detectors import Shape

SHORT_SECONDS, LONG_SECONDS = 300.0, 3600.0
ALARM_BURN_RATE = 14.4
"""At this rate an hour takes a fiftieth of the budget of thirty days."""
_WEIGHTS: Mapping[str, int] = {"broken": 70, "breach-predicted": 30, "not-trusted": 10}
UNUSUAL, LATE_LINK = "unusual", "late-link"
_UNUSUAL_WEIGHT, _LATE_LINK_WEIGHT = 15, 10
_MOST_NAMED = 3


def availability_breach(
    objective: Objective, availability: Availability, now: float, horizon_seconds: float, quality: float
) -> Breach:
    """How likely the budget doesn't last: the lesser burn rate as a share of the one that alarms.

    The point is what the window's availability comes to if it goes on as in the short time for a horizon.
    """
    budget = availability.budget(objective, now)
    short = availability.budget(objective, now, SHORT_SECONDS)
    long = availability.budget(objective, now, LONG_SECONDS)
    burning = min(short.burn_rate, long.burn_rate)
    bad_ratio = short.bad_seconds / short.measured_seconds if short.measured_seconds else 0.0
    measured = budget.measured_seconds + horizon_seconds
    point = 1.0 - (budget.bad_seconds + bad_ratio * horizon_seconds) / measured
    present = budget.availability if budget.measured_seconds else 1.0
    return Breach(
        objective,
        horizon_seconds,
        point,
        min(point, present),
        max(point, present),
        min(1.0, burning / ALARM_BURN_RATE),
        quality,
    )


@dataclass(slots=True)
class Symptoms:
    """The symptoms of all services, with when each began."""

    trigger: SchmittTrigger
    _active: dict[str, dict[str, Symptom]]
    """By service."""

    def __init__(self, trigger: SchmittTrigger) -> None:
        self.trigger = trigger
        self._active = {}

    def look(
        self,
        service: str,
        observed: Iterable[Observed],
        now: float,
        shapes: Mapping[Objective, Shape] | None = None,
        late: Sequence[str] = (),
    ) -> tuple[Symptom, ...]:
        """What is wrong with a service now; what was so before keeps its beginning.

        `shapes` says what is unusual, `late` which links on its way are late beside what is expected of them.
        """
        kinds = {each.objective: self._kind(each) for each in observed}
        found = [_symptom(service, objective, kind, now) for objective, kind in kinds.items() if kind]
        odd = {one: shape for one, shape in (shapes or {}).items() if shape in _TOLD and not kinds.get(one)}
        if odd:
            told = [f"{one.label} ({shape.word})" for one, shape in odd.items()]
            found.append(_slight(service, UNUSUAL, _UNUSUAL_WEIGHT, told, now))
        if late:
            found.append(_slight(service, LATE_LINK, _LATE_LINK_WEIGHT, late, now))
        before = self._active.get(service, {})
        since = {one.id: before[one.id].start if one.id in before else now for one in found}
        self._active[service] = {one.id: replace(one, start=since[one.id]) for one in found}
        return tuple(self._active[service].values())

    def forget(self, services: Iterable[str]) -> None:
        """These services are gone."""
        for service in services:
            self._active.pop(service, None)

    def _kind(self, observed: Observed) -> str | None:
        if observed.value is None or observed.quality < self.trigger.quality_floor:
            return "not-trusted"
        if not observed.objective.is_kept_by(observed.value):
            return "broken"
        predicted = observed.predicted
        is_likely = predicted is not None and predicted.confidence >= self.trigger.enter
        return "breach-predicted" if is_likely else None


def _symptom(service: str, objective: Objective, kind: str, now: float) -> Symptom:
    return Symptom(f"{objective}/{kind}", service, kind, now, weight=_WEIGHTS[kind])


_TOLD = frozenset(Shape) - {Shape.NONE, Shape.SILENCE}
"""What tells nothing is not trusted, and need not be called unusual as well."""


def _slight(service: str, kind: str, weight: int, told: Sequence[str], now: float) -> Symptom:
    """One symptom for all that show it, the first few of them by name."""
    more = f" and {len(told) - _MOST_NAMED} more" if len(told) > _MOST_NAMED else ""
    reason = f"{', '.join(told[:_MOST_NAMED])}{more}"
    return Symptom(f"{service}/{kind}", service, kind, now, weight=weight, reason=reason)


def health(symptoms: Iterable[Symptom], now: float) -> int:
    """The score of a service, 0 to 100."""
    return health_score(symptoms, now)
