"""Scripted faults: which router misbehaves how, at which RPC, at which occurrence, how often.

Owns the rules behind the seam `lab.router.faults_point`; servers act the faults out. Scripted from Python, or as
`FaultRequest` through the control socket.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lab.router.faults_point import Action, Fault, Phase
from lab.router.rpc_errors import RpcError

ANY = "*"
_HISTORY = 1000

DEFAULT_PHASE: dict[Fault, Phase] = {
    Fault.CLOSE: "before",
    Fault.HANG: "before",
    Fault.LOSE_REPLY: "reply",
    Fault.REJECT: "before",
    Fault.WARN: "reply",
    Fault.GARBAGE: "reply",
    Fault.LOCK_HELD: "before",
    Fault.REBOOT: "after",
    Fault.DELAY: "before",
    Fault.SPLIT: "reply",
    Fault.HUGE: "reply",
}
"""Where a fault strikes unless told otherwise: at `before` the router has not acted, at `after` and `reply` it has."""


@dataclass(slots=True)
class FaultRule:
    """One scripted fault. It strikes from the `nth` matching RPC on, `count` times, or for ever when that is None."""

    number: int
    router: str
    rpc: str
    action: Action
    phase: Phase
    nth: int = 1
    count: int | None = 1
    seen: int = field(default=0, init=False)
    fired: int = field(default=0, init=False)

    def matches(self, router: str, rpc: str, phase: Phase) -> bool:
        """Say whether this RPC at this phase is one the rule is about."""
        return self.phase == phase and self.router in {ANY, router} and self.rpc in {ANY, rpc}

    @property
    def spent(self) -> bool:
        """Whether it will never strike again."""
        return self.count is not None and self.fired >= self.count


@dataclass(frozen=True, slots=True)
class FaultFired:
    """A fault that struck: for a test to see that its script ran."""

    router: str
    rpc: str
    phase: Phase
    fault: Fault


class FaultScript:
    """The faults of a lab: a `FaultPoint` for all its routers. Rules are tried in the order they were added.

    Safe to script from another thread than the one the routers run in: each call is one short step.
    """

    def __init__(self) -> None:
        self._rules: list[FaultRule] = []
        self._next_number = 1
        self.history: deque[FaultFired] = deque(maxlen=_HISTORY)

    def add(
        self,
        router: str,
        rpc: str,
        action: Action | Fault,
        *,
        phase: Phase | None = None,
        nth: int = 1,
        count: int | None = 1,
    ) -> FaultRule:
        """Script a fault at an RPC (local name, or `*`) of a router (or `*`); ValueError for nth or count below 1."""
        if nth < 1 or (count is not None and count < 1):
            raise ValueError(f"fault at {rpc} of {router}: nth and count start at 1")
        if isinstance(action, Fault):
            action = Action(action)
        rule = FaultRule(self._next_number, router, rpc, action, phase or DEFAULT_PHASE[action.fault], nth, count)
        self._next_number += 1
        self._rules = [*self._rules, rule]
        return rule

    def clear(self, router: str | None = None) -> int:
        """Forget the rules of that router, or all; returns how many could still have struck."""
        live = self.rules()
        kept = [rule for rule in live if router is not None and rule.router != router]
        removed = len(live) - len(kept)
        self._rules = kept
        return removed

    def rules(self) -> tuple[FaultRule, ...]:
        """The rules that may still strike, in order."""
        return tuple(rule for rule in self._rules if not rule.spent)

    def armed(self, router: str) -> bool:
        """Say whether any rule may still strike this router."""
        return any(rule.router in {ANY, router} and not rule.spent for rule in self._rules)

    async def around(self, router: str, rpc: str, phase: Phase) -> Action | None:
        """Return the action of the first rule that strikes here; every matching rule counts the occurrence."""
        struck: FaultRule | None = None
        for rule in self._rules:
            if rule.spent or not rule.matches(router, rpc, phase):
                continue
            rule.seen += 1
            if struck is None and rule.seen >= rule.nth:
                struck = rule
        if struck is None:
            return None
        struck.fired += 1
        self.history.append(FaultFired(router, rpc, phase, struck.action.fault))
        return struck.action


class FaultRequest(BaseModel):
    """A fault as it arrives from a command line or the control socket."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    router: Annotated[str, Field(min_length=1)]
    rpc: Annotated[str, Field(min_length=1)]
    action: Fault
    phase: Phase | None = None
    nth: Annotated[int, Field(ge=1)] = 1
    count: Annotated[int, Field(ge=1)] | None = 1
    seconds: Annotated[float, Field(ge=0)] = 0.0
    octets: Annotated[int, Field(ge=0)] = 0
    session_id: Annotated[int, Field(ge=0)] = 0
    tag: str = "operation-failed"
    message: str = "scripted fault"

    @model_validator(mode="after")
    def _has_its_parameter(self) -> FaultRequest:
        if self.action is Fault.DELAY and not self.seconds:
            raise ValueError("a delay needs seconds")
        if self.action in {Fault.SPLIT, Fault.HUGE} and not self.octets:
            raise ValueError(f"{self.action.value} needs octets")
        return self

    def script(self, faults: FaultScript) -> FaultRule:
        """Add this fault to the script."""
        return faults.add(self.router, self.rpc, self._action(), phase=self.phase, nth=self.nth, count=self.count)

    def _action(self) -> Action:
        error = RpcError(self.tag, self.message) if self.action is Fault.REJECT else None
        return Action(self.action, self.seconds, self.octets, self.session_id, self.message, error)
