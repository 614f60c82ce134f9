"""Owns the operator's three network agents: one validates orders, one plans, one watches what is agreed.

Draft naas-agentic-negotiation, Cooperating Agents: all are pure. The planning agent prices and holds capacity without
ever seeing a wallet; the assurance agent keeps the instance of each agreement (`assurance.closed_loop`) and says when
to renegotiate, held back by the loop's guards.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.assurance.breach import Breach, Level
from controller.assurance.closed_loop import ClosedLoop
from controller.assurance.instance import TRANSITIONS, Happening, InstanceEvent, InstanceState
from controller.negotiation.catalogue import Axis
from controller.negotiation.desk import Desk
from controller.negotiation.dialogue import Stage
from controller.negotiation.message_bodies import Action, Feasibility, Finding, Refusal, Report
from controller.negotiation.messages import GONE_SECONDS, Draft, Message, MessageKind
from controller.negotiation.records import Dialogue, Record, ToolCall
from controller.negotiation.request import ServiceRequest
from controller.negotiation.roles import Role, Tool
from controller.negotiation.strategy import Risk

Json = Any
_NEGOTIATION, _PLANNING, _ASSURANCE = Role.OSS_NEGOTIATION, Role.OSS_PLANNING, Role.OSS_ASSURANCE
FLAG_SECONDS = 300.0
"""How long a flag waits for an answer before the same may be flagged again."""
CLEAR_SECONDS = 60.0
"""How long an agreement must be well before it is offered to go back to what was asked."""
_MOST_DOUBLINGS = 8
_I, _H = InstanceState, InstanceEvent


@dataclass(frozen=True, slots=True)
class OssNegotiationAgent:
    """Looks at an order before anything is done about it: signatures, chain, and that nothing else is under way."""

    desk: Desk

    def due(self, dialogue: Dialogue, _now: float) -> ToolCall | None:
        """What this agent does next about a negotiation."""
        if dialogue.stage is Stage.ORDERED and dialogue.signed is not None:
            parent = dialogue.parent.to_json() if dialogue.parent else None
            said = {"action": dialogue.action.value, "agreement": dialogue.signed.to_json(), "parent": parent}
            return ToolCall(_NEGOTIATION, Tool.VALIDATE_ORDER, dialogue.id, said)
        if dialogue.stage is Stage.DECLINED and dialogue.signed is not None:
            refusal = dialogue.refusal or Refusal("order", "the order does not hold")
            says = Draft(MessageKind.REFUSAL, _NEGOTIATION, Role.BSS_NEGOTIATION, refusal, dialogue.other)
            said = {"check": refusal.check, "text": refusal.text}
            return ToolCall(_NEGOTIATION, Tool.REFUSE_ORDER, dialogue.id, said, (says,))
        return None

    def refuses_vpn(self, request: ServiceRequest) -> bool:
        """Whether the VPN that is named is carried for another consumer: nobody moves another's traffic."""
        live = (one for one in self.desk.agreements.values() if request.vpn and not one.is_over)
        return any(one.terms.request.vpn == request.vpn and one.consumer != request.consumer for one in live)

    def refusal_of(self, dialogue: Dialogue) -> Refusal | None:
        """What the desk alone knows against an order."""
        terms = dialogue.terms
        before = self.desk.agreements.get(terms.root)
        if dialogue.action is not Action.DELETE and self.refuses_vpn(terms.request):
            return Refusal("vpn", f"VPN '{terms.request.vpn}' is carried for another consumer")
        if dialogue.action is Action.ADD and before is not None:
            return Refusal("replayed", f"agreement '{terms.root}' was ordered before")
        if dialogue.action is not Action.ADD:
            if before is None or before.is_over:
                return Refusal("agreement", f"agreement '{terms.root}' is not in force")
            latest = terms.parent if dialogue.action is Action.MODIFY else terms.id
            if before.current.id != latest:
                return Refusal("forked", f"'{before.current.id}' is in force, the order is about '{latest}'")
            other = self._before(dialogue, terms.root)
            if other is not None:
                return Refusal("single-flight", f"negotiation '{other.id}' is changing '{terms.root}'")
        return None

    def _before(self, dialogue: Dialogue, root: str) -> Dialogue | None:
        """Whose order is carried out, or came first: of several at once, one is always let through."""
        waiting = True
        for other in self.desk.under_way(root):
            waiting = waiting and other.id != dialogue.id
            if other.stage is Stage.ADMITTED or (other.stage is Stage.ORDERED and waiting):
                return other
        return None


@dataclass(frozen=True, slots=True)
class OssPlanningAgent:
    """Says what can be had at which price, holds it for a while, provisions, changes, removes."""

    desk: Desk

    def due(self, dialogue: Dialogue, now: float) -> ToolCall | None:
        """What this agent does next about a negotiation."""
        match dialogue.stage:
            case Stage.ASKED:
                said = {
                    "variations": [one.to_json() for one in dialogue.variations],
                    "agreement": dialogue.agreement,
                }
                return ToolCall(_PLANNING, Tool.FIND_OFFERS, dialogue.id, said)
            case Stage.FEASIBLE:
                return self._answer(dialogue)
            case Stage.ADMITTED:
                said = {
                    "action": dialogue.action.value,
                    "agreement": dialogue.terms.root,
                    "issue": dialogue.terms.id,
                    "strategy": dialogue.terms.strategy.value,
                    "holds": list(dialogue.held),
                }
                return ToolCall(_PLANNING, Tool.PROVISION, dialogue.id, said)
            case Stage.PROVISIONED | Stage.RELEASED:
                return self._report(dialogue)
            case Stage.UNDONE | Stage.OFFERED:
                is_gone = dialogue.stage is Stage.UNDONE or now > dialogue.since + GONE_SECONDS
                said = {"holds": list(dialogue.held)}
                return ToolCall(_PLANNING, Tool.FREE_CAPACITY, dialogue.id, said) if is_gone else None
        return None

    def _answer(self, dialogue: Dialogue) -> ToolCall:
        body = Feasibility((), dialogue.found, dialogue.cause, dialogue.agreement)
        says = Draft(MessageKind.FEASIBILITY, _PLANNING, Role.BSS_NEGOTIATION, body, dialogue.other)
        said = {"offers": len(dialogue.found), "reason": dialogue.cause}
        return ToolCall(_PLANNING, Tool.ANSWER_FEASIBILITY, dialogue.id, said, (says,))

    def _report(self, dialogue: Dialogue) -> ToolCall:
        good = Finding.TERMINATED if dialogue.action is Action.DELETE else Finding.PROVISIONED
        finding = good if dialogue.stage is Stage.PROVISIONED else Finding.FAILED
        text = dialogue.refusal.text if finding is Finding.FAILED and dialogue.refusal else ""
        terms = dialogue.terms
        body = Report(finding, terms.root, text[:900], issue=terms.id, service=dialogue.service)
        says = Draft(MessageKind.REPORT, _PLANNING, Role.BSS_NEGOTIATION, body, dialogue.other)
        said = {"finding": finding.value, "agreement": terms.root, "text": text}
        return ToolCall(_PLANNING, Tool.REPORT_SERVICE, dialogue.id, said, (says,))


@dataclass(slots=True)
class OssAssuranceAgent:
    """A state machine for each agreement over telemetry and forecast. `bss` is the party that is told."""

    desk: Desk
    bss: str
    loop: ClosedLoop = field(default_factory=ClosedLoop)
    _flags: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Agreement -> the negotiation that was asked for, and when."""
    _flagged: dict[str, int] = field(default_factory=dict)
    """Agreement -> how many were asked for: their names are never used twice."""
    _rested: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Agreement -> when a step back was last refused, and how often running."""

    # -- folding -----------------------------------------------------------------------------------------------

    def apply(self, record: Record) -> None:
        """Fold what happened to agreements. The desk has folded the record already."""
        match record.tool:
            case Tool.VALIDATE_ORDER if record.refusal is None:
                self._changing(self.desk.dialogue(record.subject), record.time)
            case Tool.PROVISION:
                self._changed(self.desk.dialogue(record.subject), record)
            case Tool.WATCH:
                said = record.arguments
                self._happen(said["agreement"], InstanceEvent(said["event"]), record.time, said["cause"], said["text"])
            case Tool.FLAG_RISK | Tool.FLAG_RECOVERY:
                root = record.arguments["agreement"]
                self._flags[root] = (record.subject, record.time)
                self._flagged[root] = self._flagged.get(root, 0) + 1
            case Tool.TAKE_IN if record.role is _ASSURANCE:
                self._refused(Message.from_json(record.arguments["message"]), record.time)

    def to_json(self) -> Json:
        """What is known of each agreement, for a snapshot."""
        return {
            "loop": self.loop.to_json(),
            "flags": self._flags,
            "flagged": self._flagged,
            "rested": self._rested,
        }

    def load_json(self, document: Json) -> None:
        """Put back what `to_json` gave."""
        self.loop.load_json(document["loop"])
        self._flags = {root: (subject, time) for root, (subject, time) in document["flags"].items()}
        self._flagged = dict(document["flagged"])
        self._rested = {root: (time, refusals) for root, (time, refusals) in document["rested"].items()}

    def _happen(self, root: str, event: InstanceEvent, now: float, cause: str = "", text: str = "") -> None:
        self.loop.apply(Happening(root, event, now, cause, text))

    def _changing(self, dialogue: Dialogue, now: float) -> None:
        """An order to change begins: for a flag's sake, or because the consumer asked."""
        if dialogue.action is not Action.MODIFY:
            return
        root = dialogue.terms.root
        state = self.loop.get(root).state
        is_flagged = self._flags.get(root, ("", 0.0))[0] == dialogue.id
        event = _H.RENEGOTIATE if is_flagged and (state, _H.RENEGOTIATE) in TRANSITIONS else _H.MODIFY
        self._happen(root, event, now, dialogue.terms.strategy, dialogue.terms.id)

    def _changed(self, dialogue: Dialogue, record: Record) -> None:
        root, now, failed = dialogue.terms.root, record.time, record.refusal is not None
        if dialogue.action is Action.MODIFY:
            self._flags.pop(root, None)
            self._rested.pop(root, None)
            self._happen(root, _H.CHANGE_FAILED if failed else _H.CHANGE_COMMITTED, now, "", dialogue.terms.id)
        elif dialogue.action is Action.ADD and not failed:
            self.loop.declare(root, now)
            for event in (_H.NEGOTIATE, _H.AGREE, _H.PROVISION):
                self._happen(root, event, now)
        elif dialogue.action is Action.DELETE and not failed:
            self._flags.pop(root, None)
            self._happen(root, _H.TERMINATE, now)

    def _refused(self, message: Message, now: float) -> None:
        if not isinstance(message.body, Refusal):
            return
        root = message.body.agreement
        if self._flags.get(root, ("", 0.0))[0] != message.correlation:
            return
        del self._flags[root]
        if root not in self.loop:
            return
        if self.loop.get(root).state is _I.AT_RISK:
            self._happen(root, _H.REFUSE, now, "", message.body.text)
        else:
            self._rested[root] = (now, self._rested.get(root, (0.0, 0))[1] + 1)

    # -- watching ----------------------------------------------------------------------------------------------

    def look(self, root: str, breaches: Sequence[Breach], now: float) -> ToolCall | None:
        """What the forecasts make of an agreement: a step of its instance, to be recorded."""
        happening = self.loop.look(root, breaches, now)
        if happening is None:
            return None
        said = {"agreement": root, "event": happening.event.value, "cause": happening.cause, "text": happening.reason}
        return ToolCall(_ASSURANCE, Tool.WATCH, root, said)

    def flag(self, root: str, breaches: Sequence[Breach], risk: Risk, now: float) -> ToolCall | None:
        """Ask for a renegotiation before a breach; None while a guard holds it back, or one is under way."""
        instance = self.loop.get(root)
        if instance.state is not _I.AT_RISK or self._is_flying(root, now):
            return None
        cause = f"{risk.axis}: {', '.join(risk.avoid) or 'unknown'}"
        if self.loop.trigger.level(breaches) is not Level.ABOVE:
            return None
        if not self.loop.guards.admit(root, cause, instance.since, now).is_admitted:
            return None
        worst = max(breaches, key=lambda one: one.confidence)
        return self._ask(root, Finding.PREDICTED_BREACH, str(worst), risk)

    def flag_recovery(self, root: str, now: float) -> ToolCall | None:
        """Ask to go back to what was wanted at first; None while that stands, or it is too early.

        Whoever calls has seen that it can be had again.
        """
        instance, terms = self.loop.get(root), self.desk.standing(root).terms
        if instance.state is not _I.ASSURED or self._is_flying(root, now) or terms.is_as_asked:
            return None
        guards = self.loop.guards
        wait = CLEAR_SECONDS + guards.jitter_seconds(root, "recovery")
        if now < max(instance.since + wait, guards.cool_at(root), self._rested_until(root)):
            return None
        if not guards.admit(root, "recovery", instance.since, now).is_admitted:
            return None
        return self._ask(root, Finding.RECOVERED, f"'{terms.asked.id}' can be had again", Risk(Axis.BANDWIDTH))

    def _rested_until(self, root: str) -> float:
        """Each refusal of a step back doubles the wait for the next."""
        time, refusals = self._rested.get(root, (float("-inf"), 0))
        return time + self.loop.guards.limits.cooling_seconds * 2.0 ** min(max(refusals - 1, 0), _MOST_DOUBLINGS)

    def _is_flying(self, root: str, now: float) -> bool:
        flag = self._flags.get(root)
        return (flag is not None and now - flag[1] < FLAG_SECONDS) or bool(self.desk.under_way(root))

    def _ask(self, root: str, finding: Finding, text: str, risk: Risk) -> ToolCall:
        subject = f"{root}~{self._flagged.get(root, 0) + 1}"
        is_risk = finding is Finding.PREDICTED_BREACH
        body = Report(finding, root, text, axis=risk.axis.value if is_risk else "", avoid=risk.avoid if is_risk else ())
        says = Draft(MessageKind.REPORT, _ASSURANCE, Role.BSS_NEGOTIATION, body, self.bss)
        tool = Tool.FLAG_RISK if is_risk else Tool.FLAG_RECOVERY
        said = {"agreement": root, "text": text, "axis": body.axis, "avoid": list(body.avoid)}
        return ToolCall(_ASSURANCE, tool, subject, said, (says,))
