"""Owns the decision to act before a breach, with every reason for and against it.

A proactive action needs a probability above the entry threshold, data that can be trusted, a cause or the finding that
none is known, the guards' leave, and a plan that the twin proves. What is not decided yet counts against acting.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from controller.assurance.breach import Breach, SchmittTrigger
from controller.assurance.guards import Admission
from controller.assurance.instance import InstanceState, IntentInstance
from controller.assurance.root_cause import Diagnosis
from controller.twin.verdict import Verdict

Json = Any
NO_CAUSE = "no cause known"


class Ground(StrEnum):
    """What an action rests on."""

    STATE = "state"
    PROBABILITY = "probability"
    QUALITY = "quality"
    CAUSE = "cause"
    GUARDS = "guards"
    PROOF = "proof"


@dataclass(frozen=True, slots=True)
class CauseFinding:
    """What localisation found: a cause with its calibrated confidence, or that none is known."""

    cause: str = NO_CAUSE
    confidence: float = 0.0

    def __str__(self) -> str:
        return self.cause if self.cause == NO_CAUSE else f"{self.cause} (confidence {self.confidence:.2f})"


def finding_of(diagnosis: Diagnosis) -> CauseFinding:
    """What a diagnosis found: of the causes that are sure enough the surest."""
    if diagnosis.abstains:
        return CauseFinding()
    surest = max(diagnosis.known, key=lambda one: one.confidence)
    return CauseFinding(str(surest), surest.confidence)


@dataclass(frozen=True, slots=True)
class Reason:
    """One ground, whether it speaks for acting, and the sentence that says so."""

    ground: Ground
    holds: bool
    text: str

    def __str__(self) -> str:
        return f"{'yes' if self.holds else 'no '}  {self.ground}: {self.text}"


@dataclass(frozen=True, slots=True)
class Decision:
    """To act or not, and why. Time in UTC seconds."""

    agreement: str
    time: float
    cause: str
    """What to write into the happening that follows: guards go by it."""
    reasons: tuple[Reason, ...]

    @property
    def acts(self) -> bool:
        """Whether every ground speaks for it."""
        return all(reason.holds for reason in self.reasons)

    @property
    def is_worth_planning(self) -> bool:
        """Whether only the proof is missing, which costs most and comes last."""
        return all(reason.holds for reason in self.reasons if reason.ground is not Ground.PROOF)

    @property
    def against(self) -> tuple[Reason, ...]:
        """What speaks against it."""
        return tuple(reason for reason in self.reasons if not reason.holds)

    def __str__(self) -> str:
        head = f"{self.agreement}: {'act' if self.acts else 'do nothing'}"
        return "\n".join((head, *(f"  {reason}" for reason in self.reasons)))

    def to_json(self) -> Json:
        """The record as JSON."""
        return {
            "agreement": self.agreement,
            "time": self.time,
            "cause": self.cause,
            "acts": self.acts,
            "reasons": [{"ground": one.ground, "holds": one.holds, "text": one.text} for one in self.reasons],
        }


def decide(
    instance: IntentInstance,
    breach: Breach,
    now: float,
    *,
    finding: CauseFinding | None,
    admission: Admission,
    verdict: Verdict | None,
    trigger: SchmittTrigger,
    unproved: str = "",
) -> Decision:
    """Weigh every ground. No `finding`: localisation has not answered; no `verdict`: nothing is planned and proved.

    `unproved` says why not.
    """
    at_risk = instance.state is InstanceState.AT_RISK
    reasons = (
        Reason(Ground.STATE, at_risk, f"it is {instance.state}"),
        Reason(Ground.PROBABILITY, breach.confidence >= trigger.enter, _likely(breach, trigger)),
        Reason(Ground.QUALITY, trigger.trusts(breach), f"{breach.quality:.2f}, the floor is {trigger.quality_floor:g}"),
        Reason(Ground.CAUSE, finding is not None, "not localised yet" if finding is None else str(finding)),
        Reason(Ground.GUARDS, admission.is_admitted, _guarded(admission)),
        Reason(Ground.PROOF, verdict is not None and verdict.is_proved, _proved(verdict, unproved)),
    )
    return Decision(instance.agreement, now, finding.cause if finding else "", reasons)


def _likely(breach: Breach, trigger: SchmittTrigger) -> str:
    return f"{breach}, times quality {breach.confidence:.2f}, acting needs {trigger.enter:g}"


def _guarded(admission: Admission) -> str:
    return f"{admission.guard}: {admission.text}" if admission.guard else admission.text


def _proved(verdict: Verdict | None, unproved: str) -> str:
    if verdict is None:
        return unproved or "nothing is planned yet"
    return str(verdict).splitlines()[0]
