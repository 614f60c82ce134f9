"""Owns intent reports: is it fulfilled, does it conflict with another, is it feasible; on change and on schedule.

Modelled on 3GPP TS 28.312 (fulfilment, conflict and feasibility check reports) within the IntentReport of TMF921 v5,
but for its misspelt names. The predicted status beside the observed one is that of TS 28.536. A target that nobody
measured well enough is not reported as fulfilled.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from controller.assurance.breach import Breach, SchmittTrigger
from controller.assurance.instance import InstanceState, IntentInstance
from controller.assurance.objectives import Objective
from controller.model.amounts import amount
from controller.model.identifiers import IntentId
from controller.model.units import BitRate
from controller.twin.verdict import Verdict

Json = Any


class FulfilmentStatus(StrEnum):
    """TS 28.312 fulfilmentStatus."""

    FULFILLED = "FULFILLED"
    NOT_FULFILLED = "NOT_FULFILLED"


class NotFulfilledState(StrEnum):
    """TS 28.312 notFulfilledState."""

    ACKNOWLEDGED = "ACKNOWLEDGED"
    COMPLIANT = "COMPLIANT"
    """It can be fulfilled and is being worked on."""
    DEGRADED = "DEGRADED"
    SUSPENDED = "SUSPENDED"
    TERMINATED = "TERMINATED"
    FULFILMENT_FAILED = "FULFILMENTFAILED"


class ConflictType(StrEnum):
    """TS 28.312 conflictType: between intents, between expectations of one, between targets of one expectation."""

    INTENT = "INTENT_CONFLICT"
    EXPECTATION = "EXPECTATION_CONFLICT"
    TARGET = "TARGET_CONFLICT"


_CONFLICTING = {
    ConflictType.INTENT: "conflictingIntent",
    ConflictType.EXPECTATION: "conflictingExpectation",
    ConflictType.TARGET: "conflictingTarget",
}


class ReportTrigger(StrEnum):
    """Why a report is sent."""

    ON_CHANGE = "on-change"
    ON_SCHEDULE = "on-schedule"


@dataclass(frozen=True, slots=True)
class FulfilmentInfo:
    """Fulfilled, or what it is instead and why."""

    state: NotFulfilledState | None = None
    reasons: tuple[str, ...] = ()

    @property
    def status(self) -> FulfilmentStatus:
        """Fulfilled when it is nothing else."""
        return FulfilmentStatus.FULFILLED if self.state is None else FulfilmentStatus.NOT_FULFILLED

    def to_json(self) -> Json:
        """In the words of TS 28.312."""
        if self.state is None:
            return {"fulfilmentStatus": self.status}
        return {
            "fulfilmentStatus": self.status,
            "notFulfilledState": self.state,
            "notFulfilledReasons": list(self.reasons),
        }


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of an objective now: the value over its window, how far to trust it, and what is forecast."""

    objective: Objective
    value: float | None
    quality: float
    predicted: Breach | None = None


@dataclass(frozen=True, slots=True)
class TargetResult:
    """What a report says of one target."""

    objective: Objective
    achieved: float | None
    info: FulfilmentInfo
    predicted: FulfilmentStatus | None = None
    """None when nothing is forecast."""

    def to_json(self) -> Json:
        """As the only target of its expectation."""
        target: dict[str, Json] = {
            "targetName": self.objective.name,
            "targetUnit": self.objective.unit,
            "targetValue": self.objective.target,
            "targetFulfilmentInfo": self.info.to_json(),
        }
        if self.achieved is not None:
            target["targetAchievedValue"] = self.achieved
        if self.predicted is not None:
            target["assuranceTargetStatusPredicted"] = self.predicted
        return {
            "expectationId": str(self.objective),
            "expectationFulfilmentInfo": self.info.to_json(),
            "targetFulfilmentResults": [target],
        }


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something that excludes this: another intent, or an expectation or target of this one."""

    type: ConflictType
    conflicting: str
    reason: str
    recommended: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """In the words of TS 28.312."""
        return {
            "conflictId": f"{self.type}:{self.conflicting}",
            "conflictType": self.type,
            _CONFLICTING[self.type]: self.conflicting,
            "conflictReason": self.reason,
            "recommendedSolutions": list(self.recommended),
        }


@dataclass(frozen=True, slots=True)
class Feasibility:
    """Whether it can be had; `reasons` why not."""

    reasons: tuple[str, ...] = ()

    @property
    def is_feasible(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons

    def to_json(self) -> Json:
        """In the words of TS 28.312."""
        if self.is_feasible:
            return {"feasibilityCheckResult": "FEASIBLE"}
        return {"feasibilityCheckResult": "INFEASIBLE", "infeasibilityReasons": list(self.reasons)}


@dataclass(frozen=True, slots=True)
class IntentReport:
    """A report about one intent. Time in UTC seconds."""

    intent: IntentId
    time: float
    info: FulfilmentInfo
    targets: tuple[TargetResult, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    feasibility: Feasibility | None = None
    trigger: ReportTrigger = ReportTrigger.ON_CHANGE

    @property
    def verdict(self) -> str:
        """What has to differ for a report on change; measured values and the wording of reasons always do."""
        targets = [f"{one.objective} {one.objective.target:g} {one.info.state} {one.predicted}" for one in self.targets]
        rests = [f"{one.type} {one.conflicting} {one.reason}" for one in self.conflicts]
        return "; ".join((str(self.info.state), *targets, *rests, str(self.feasibility)))

    def to_json(self) -> Json:
        """The IntentReport of TMF921 v5, its expression in the words of TS 28.312."""
        moment = datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body: dict[str, Json] = {
            "@context": {"@vocab": "urn:accord:intent-report:"},
            "intentReference": self.intent,
            "reportTrigger": self.trigger,
            "intentFulfilmentReport": {
                "intentFulfilmentInfo": self.info.to_json(),
                "expectationFulfilmentResult": [one.to_json() for one in self.targets],
            },
            "intentConflictReports": [one.to_json() for one in self.conflicts],
        }
        if self.feasibility is not None:
            body["intentFeasibilityCheckReport"] = self.feasibility.to_json()
        id_ = f"{self.intent}@{moment}"
        return {
            "@type": "IntentReport",
            "id": id_,
            "name": f"Report on {self.intent}",
            "description": ", ".join((self.info.state or self.info.status, *self.info.reasons)),
            "creationDate": moment,
            "intent": {"@type": "IntentRef", "id": self.intent},
            "expression": {"@type": "JsonLdExpression", "iri": f"urn:accord:report:{id_}", "expressionValue": body},
        }


def report(
    intent: IntentId,
    instance: IntentInstance,
    observed: Iterable[Observed],
    now: float,
    *,
    conflicts: Sequence[Conflict] = (),
    feasibility: Feasibility | None = None,
    trigger: SchmittTrigger | None = None,
) -> IntentReport:
    """What is to be said of an intent now."""
    trigger = trigger or SchmittTrigger()
    targets = tuple(_target(one, trigger) for one in observed) if instance.state.is_serving else ()
    info = _whole(instance, targets, feasibility)
    return IntentReport(intent, now, info, targets, tuple(conflicts), feasibility)


def _target(observed: Observed, trigger: SchmittTrigger) -> TargetResult:
    objective, value = observed.objective, observed.value
    predicted = None
    if observed.predicted is not None and trigger.trusts(observed.predicted):
        is_likely = observed.predicted.confidence >= trigger.enter
        predicted = FulfilmentStatus.NOT_FULFILLED if is_likely else FulfilmentStatus.FULFILLED
    info = FulfilmentInfo()
    if value is None or observed.quality < trigger.quality_floor:
        why = "is not measured" if value is None else f"is measured with quality {observed.quality:.2f} only"
        info = FulfilmentInfo(NotFulfilledState.COMPLIANT, (f"{objective.name} {why}",))
    elif not objective.is_kept_by(value):
        beyond = "below" if objective.name.is_floor else "above"
        is_, bound = amount(value, objective.unit), amount(objective.target, objective.unit)
        reason = f"{objective.name} is {is_}, {'just ' if is_ == bound else ''}{beyond} {bound}"
        info = FulfilmentInfo(NotFulfilledState.DEGRADED, (reason,))
    return TargetResult(objective, value, info, predicted)


_WITHOUT_SERVICE = {
    InstanceState.DECLARED: NotFulfilledState.ACKNOWLEDGED,
    InstanceState.NEGOTIATED: NotFulfilledState.ACKNOWLEDGED,
    InstanceState.AGREED: NotFulfilledState.COMPLIANT,
    InstanceState.TERMINATED: NotFulfilledState.TERMINATED,
}
_GRAVEST = (NotFulfilledState.DEGRADED, NotFulfilledState.COMPLIANT)


def _whole(
    instance: IntentInstance, targets: Sequence[TargetResult], feasibility: Feasibility | None
) -> FulfilmentInfo:
    """The intent is what the worst of its targets is; before it is served, what its instance is."""
    state = instance.state
    if not state.is_serving:
        if not state.is_final and feasibility is not None and not feasibility.is_feasible:
            return FulfilmentInfo(NotFulfilledState.FULFILMENT_FAILED, feasibility.reasons)
        reason = instance.steps[-1].happening.reason if instance.steps else ""
        return FulfilmentInfo(_WITHOUT_SERVICE[state], (reason or f"it is {state}",))
    for gravest in _GRAVEST:
        reasons = tuple(reason for one in targets if one.info.state is gravest for reason in one.info.reasons)
        if reasons:
            return FulfilmentInfo(gravest, reasons)
    return FulfilmentInfo() if targets else FulfilmentInfo(NotFulfilledState.COMPLIANT, ("nothing is measured yet",))


@dataclass(frozen=True, slots=True)
class Sent:
    """What the last report said, and when."""

    verdict: str
    time: float


def to_send(fresh: IntentReport, last: Sent | IntentReport | None, interval_seconds: float) -> IntentReport | None:
    """The report to send now, with why: something changed since the last one, or its time has come."""
    if last is None or fresh.verdict != last.verdict:
        return replace(fresh, trigger=ReportTrigger.ON_CHANGE)
    if fresh.time - last.time >= interval_seconds:
        return replace(fresh, trigger=ReportTrigger.ON_SCHEDULE)
    return None


def feasibility_of(verdict: Verdict | None, refusals: Iterable[str] = ()) -> Feasibility:
    """What planning and the twin say of an intent: each refusal of a plan, each counter-example of the proof."""
    found = tuple(refusals)
    return Feasibility((*found, *(str(one).splitlines()[0] for one in verdict.refusals)) if verdict else found)


@dataclass(frozen=True, slots=True)
class Claim:
    """What an intent is promised of a link; of priorities 1 is the most important."""

    intent: IntentId
    priority: int
    link: str
    bit_rate: BitRate


def capacity_conflicts(
    claims: Iterable[Claim], capacities: Mapping[str, BitRate]
) -> Mapping[IntentId, tuple[Conflict, ...]]:
    """Which intents are promised more of a link than it has, each with the others; a link not listed has no limit."""
    by_link: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        by_link[claim.link].append(claim)
    found: dict[IntentId, tuple[Conflict, ...]] = defaultdict(tuple)
    for link, sharing in by_link.items():
        excess = sum(one.bit_rate.bits_per_second for one in sharing)
        excess -= capacities[link].bits_per_second if link in capacities else excess
        if excess <= 0:
            continue
        least = max(sharing, key=lambda one: (one.priority, one.intent))
        advice = (
            f"take {least.intent} (priority {least.priority}) off {link}",
            f"find {BitRate(excess)} more for {link}",
        )
        reason = f"{link} is promised {BitRate(excess)} more than it has"
        for one in sharing:
            others = sorted({other.intent for other in sharing} - {one.intent})
            found[one.intent] += tuple(Conflict(ConflictType.INTENT, other, reason, advice) for other in others)
    return {intent: conflicts for intent, conflicts in found.items() if conflicts}
