"""Owns the closed loop over all agreements: what the forecasts make of their instances, and whether to act.

It decides and remembers, and does nothing: `look` and `decide` only say what should happen; whoever runs the loop
writes the happening to the event log and then applies it. The state is the fold of happenings, and nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from controller.assurance.breach import Breach, Level, SchmittTrigger
from controller.assurance.decision import CauseFinding, Decision, decide
from controller.assurance.guards import GuardLimits, Guards
from controller.assurance.instance import (
    Happening,
    InstanceEvent,
    InstanceState,
    InstanceStep,
    IntentInstance,
    declare,
)
from controller.model.errors import ConflictError, NotFoundError
from controller.twin.verdict import Verdict

Json = Any
_S, _E = InstanceState, InstanceEvent

SEEN: Mapping[tuple[InstanceState, Level], InstanceEvent] = MappingProxyType(
    {
        (_S.PROVISIONED, Level.ABOVE): _E.PREDICT_BREACH,
        (_S.PROVISIONED, Level.BELOW): _E.ASSURE,
        (_S.ASSURED, Level.ABOVE): _E.PREDICT_BREACH,
        (_S.AT_RISK, Level.BELOW): _E.CLEAR,
        (_S.COOLING, Level.BELOW): _E.CLEAR,
        (_S.RESTORED, Level.ABOVE): _E.PREDICT_BREACH,
        (_S.RESTORED, Level.BELOW): _E.ASSURE,
    }
)
"""What a level means in a state; in every other pair it means nothing."""
_DWELLING = frozenset({_S.AT_RISK, _S.COOLING, _S.RESTORED})


class ClosedLoop:
    """The instances of all agreements and the guards over them."""

    def __init__(self, limits: GuardLimits | None = None, trigger: SchmittTrigger | None = None) -> None:
        self.trigger = trigger or SchmittTrigger()
        self.guards = Guards(limits or GuardLimits())
        self._instances: dict[str, IntentInstance] = {}

    def __iter__(self) -> Iterator[IntentInstance]:
        return iter(self._instances.values())

    def __contains__(self, agreement: str) -> bool:
        return agreement in self._instances

    def get(self, agreement: str) -> IntentInstance:
        """One; `NotFoundError` names it."""
        if agreement not in self._instances:
            raise NotFoundError(
                f"no service '{agreement}' is assured", remedy="list them: accord assurance list", path=agreement
            )
        return self._instances[agreement]

    def declare(self, agreement: str, time: float) -> None:
        """A new agreement; its name is not used again while it lives."""
        if agreement in self._instances and not self._instances[agreement].state.is_final:
            raise ConflictError(f"agreement '{agreement}' is declared already", path=agreement)
        self._instances[agreement] = declare(agreement, time)

    def drop_ended(self, most: int) -> tuple[str, ...]:
        """Forget the oldest of those that have ended, so that at most so many are left; who was forgotten."""
        ended = [one.agreement for one in self if one.state.is_final]
        gone = tuple(ended[: max(0, len(ended) - most)])
        for agreement in gone:
            del self._instances[agreement]
        return gone

    def apply(self, happening: Happening) -> None:
        """Fold one happening; `ConflictError` for one that cannot be, and then nothing has changed."""
        name, event, now = happening.agreement, happening.event, happening.time
        before = self.get(name)
        after = before.after(happening)
        if event in {_E.RENEGOTIATE, _E.MODIFY}:
            self.guards.begin(name, happening.cause, now, is_owners=event is _E.MODIFY)
        elif event in {_E.CHANGE_COMMITTED, _E.CHANGE_FAILED}:
            self.guards.end(name, now)
        elif event is _E.REFUSE and before.state is _S.AT_RISK:
            self.guards.refuse(name, happening.cause, now)
        elif after.state.is_final:
            self.guards.forget(name)
        self._instances[name] = after

    def look(self, agreement: str, breaches: Sequence[Breach], now: float) -> Happening | None:
        """What these forecasts make of an agreement; None when it stays as it is.

        What came to be at risk, or was changed, is judged again after a horizon, whatever is forecast meanwhile.
        """
        instance = self.get(agreement)
        event = SEEN.get((instance.state, self.trigger.level(breaches)))
        if instance.state in _DWELLING and now - instance.since < self.guards.limits.horizon_seconds:
            event = None
        if event is None:
            event = self._rest(instance, now)
        if event is None:
            return None
        worst = max(breaches, key=lambda one: one.confidence, default=None)
        return Happening(agreement, event, now, reason=str(worst) if worst else "")

    def _rest(self, instance: IntentInstance, now: float) -> InstanceEvent | None:
        """Between at risk and cooling: whether anything may be done at all."""
        is_cooling = now < self.guards.cool_at(instance.agreement)
        if instance.state is _S.AT_RISK and is_cooling:
            return _E.HOLD
        if instance.state is _S.COOLING and not is_cooling:
            return _E.COOLED
        return None

    def decide(
        self,
        agreement: str,
        breach: Breach,
        finding: CauseFinding | None,
        now: float,
        verdict: Verdict | None = None,
        *,
        unproved: str = "",
    ) -> Decision:
        """Whether to act before this breach. Ask without a verdict first: planning and proof cost most.

        `unproved` says why there will be no verdict, where that is known.
        """
        instance = self.get(agreement)
        admission = self.guards.admit(agreement, finding.cause if finding else "", instance.since, now)
        return decide(
            instance,
            breach,
            now,
            finding=finding,
            admission=admission,
            verdict=verdict,
            trigger=self.trigger,
            unproved=unproved,
        )

    def to_json(self) -> Json:
        """The state, for a snapshot."""
        return {
            "guards": self.guards.to_json(),
            "instances": [
                [one.agreement, one.state, one.since, [_step_json(step) for step in one.steps]] for one in self
            ],
        }

    def load_json(self, document: Json) -> None:
        """Put back what `to_json` gave."""
        self.guards.load_json(document["guards"])
        self._instances = {
            agreement: IntentInstance(
                agreement, InstanceState(state), since, tuple(_step(agreement, step) for step in steps)
            )
            for agreement, state, since, steps in document["instances"]
        }


def _step_json(step: InstanceStep) -> Json:
    one = step.happening
    return [step.state, one.event, one.time, one.cause, one.reason]


def _step(agreement: str, document: Json) -> InstanceStep:
    state, event, time, cause, reason = document
    return InstanceStep(InstanceState(state), Happening(agreement, InstanceEvent(event), time, cause, reason))
