"""Owns the operator's two business agents: one verifies wallets, one quotes, signs, orders and renegotiates.

Draft naas-agentic-negotiation, Cooperating Agents: both are pure. Nothing is asked of OSS, and so nothing is priced or
planned, before the wallet has been verified; the price comes from OSS, which never sees a wallet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.model.errors import AccordError, NotFoundError
from controller.model.money import Money
from controller.negotiation.agreement import Agreement, Strategy, Terms
from controller.negotiation.catalogue import Axis, Catalogue
from controller.negotiation.desk import Desk
from controller.negotiation.dialogue import Stage
from controller.negotiation.message_bodies import (
    Action,
    Countersigned,
    Feasibility,
    Feasible,
    Finding,
    Offers,
    Order,
    Refusal,
    Report,
    Variation,
    Withdrawal,
)
from controller.negotiation.messages import CLOCK_SKEW_SECONDS, LIFETIME_SECONDS, Draft, MessageKind
from controller.negotiation.records import Dialogue, ToolCall
from controller.negotiation.request import ServiceRequest
from controller.negotiation.roles import Role, Tool
from controller.negotiation.strategy import Risk, amount_on_top, given_back, level_of, step_back, variations

Json = Any
_POLICY, _NEGOTIATION = Role.BSS_POLICY, Role.BSS_NEGOTIATION
_ORDER_SECONDS = 3_600.0
"""How long an order may wait for OSS: the money is reserved until it is answered."""


@dataclass(frozen=True, slots=True)
class BssPolicyAgent:
    """Verifies the wallet: before any effort, and again over the terms that are accepted."""

    desk: Desk

    def due(self, dialogue: Dialogue, _now: float) -> ToolCall | None:
        """What this agent does next about a negotiation."""
        match dialogue.stage:
            case Stage.PROPOSED:
                return self._verify(dialogue, dialogue.wanted.digest, self._wallet(dialogue))
            case Stage.CHOSEN:
                return self._verify(dialogue, dialogue.terms.digest, dialogue.wallet)
            case Stage.DECLINED if not dialogue.wallet and not dialogue.is_operators:
                refusal = dialogue.refusal or Refusal("wallet", "the wallet was not admitted")
                says = Draft(MessageKind.REFUSAL, _POLICY, Role.ENTERPRISE_POLICY, refusal, dialogue.other)
                said = {"check": refusal.check, "text": refusal.text}
                return ToolCall(_POLICY, Tool.REFUSE_WALLET, dialogue.id, said, (says,))
        return None

    def _wallet(self, dialogue: Dialogue) -> str:
        """The envelope that it must spend from: a change spends from the agreement's own."""
        return self.desk.known(dialogue.agreement).terms.wallet if dialogue.agreement else ""

    def _verify(self, dialogue: Dialogue, digest: str, wallet: str) -> ToolCall:
        request = dialogue.wanted if dialogue.chosen is None else dialogue.terms.request
        said = {
            "presentation": dialogue.presentation,
            "digest": digest,
            "holder": dialogue.other,
            "wallet": wallet,
            "agreement": dialogue.agreement,
            "request": request.to_json(),
            "terms": dialogue.chosen.to_json() if dialogue.chosen else None,
        }
        return ToolCall(_POLICY, Tool.VERIFY_WALLET, dialogue.id, said)


@dataclass(frozen=True, slots=True)
class BssNegotiationAgent:
    """Quotes, signs, orders, holds the money, runs renegotiation. `oss` is the party that plans and provisions."""

    desk: Desk
    catalogue: Catalogue
    party: str
    oss: str

    def end(self, subject: str, agreement: str, reason: str) -> ToolCall:
        """The agreed time is over."""
        return ToolCall(_NEGOTIATION, Tool.END_AGREEMENT, subject, {"agreement": agreement, "reason": reason})

    def due(self, dialogue: Dialogue, now: float) -> ToolCall | None:
        """What this agent does next about a negotiation."""
        steps: Mapping[Stage, Callable[[Dialogue, float], ToolCall | None]] = {
            Stage.ADMITTED: self._ask,
            Stage.ASKED: self._unanswered,
            Stage.FEASIBLE: self._offer,
            Stage.OFFERED: self._lapse,
            Stage.ACCEPTED: self._reserve,
            Stage.RESERVED: self._sign,
            Stage.AGREED: self._order,
            Stage.PROVISIONED: self._commit,
            Stage.UNDONE: self._undo,
            Stage.SETTLED: self._report,
            Stage.RELEASED: self._report,
            Stage.DECLINED: self._answer_declined,
        }
        step = steps.get(dialogue.stage)
        return None if step is None else step(dialogue, now)

    # -- asking OSS --------------------------------------------------------------------------------------------

    def _ask(self, dialogue: Dialogue, now: float) -> ToolCall:
        try:
            wanted = self._variations(dialogue, now)
        except AccordError as error:
            return self._refuse(dialogue, Refusal("strategy", error.message))
        if not wanted:
            return self._refuse(dialogue, Refusal("strategy", "there is nothing to change to"))
        body = Feasibility(wanted, agreement=dialogue.agreement)
        says = Draft(MessageKind.FEASIBILITY, _NEGOTIATION, Role.OSS_PLANNING, body, self.oss)
        said = {"variations": [one.to_json() for one in wanted]}
        return ToolCall(_NEGOTIATION, Tool.ASK_FEASIBILITY, dialogue.id, said, (says,))

    def _unanswered(self, dialogue: Dialogue, now: float) -> ToolCall | None:
        if now <= dialogue.since + LIFETIME_SECONDS + 2 * CLOCK_SKEW_SECONDS:
            return None
        return self._refuse(dialogue, Refusal("feasibility", "the network does not answer"))

    def _variations(self, dialogue: Dialogue, now: float) -> tuple[Variation, ...]:
        report = dialogue.report
        if report is None:
            if dialogue.agreement:
                self.desk.standing(dialogue.agreement)
            return (Variation(Strategy.AS_ASKED, dialogue.wanted),)
        terms = self.desk.standing(dialogue.agreement).terms
        if report.finding is Finding.RECOVERED:
            return (step_back(terms, now),)
        return variations(terms, Risk(Axis(report.axis), report.avoid), self.catalogue, now)

    # -- offering ----------------------------------------------------------------------------------------------

    def _offer(self, dialogue: Dialogue, now: float) -> ToolCall:
        try:
            live = self.desk.standing(dialogue.agreement).current if dialogue.agreement else None
        except NotFoundError as error:
            return self._refuse(dialogue, Refusal("agreement", error.message))
        terms = [self._terms(dialogue, n, found, live, now) for n, found in enumerate(dialogue.found, start=1)]
        if dialogue.is_operators and not terms:
            return self._refuse(dialogue, Refusal("feasibility", dialogue.cause or "nothing else is to be had"))
        kind = MessageKind.COUNTER_OFFER if dialogue.is_operators else MessageKind.QUOTE
        says = Draft(kind, _NEGOTIATION, Role.ENTERPRISE_POLICY, Offers(tuple(terms), dialogue.cause), dialogue.other)
        said = {"terms": [one.to_json() for one in terms], "cause": dialogue.cause}
        return ToolCall(_NEGOTIATION, Tool.OFFER, dialogue.id, said, (says,))

    def _terms(self, dialogue: Dialogue, number: int, found: Feasible, live: Agreement | None, now: float) -> Terms:
        id_ = f"agr-{dialogue.id}-{dialogue.round}{number}"
        return Terms(
            id=id_,
            root=live.root if live else id_,
            parent=live.id if live else "",
            parent_hash=live.hash if live else "",
            consumer=dialogue.other,
            provider=self.party,
            wallet=dialogue.wallet,
            strategy=found.strategy,
            asked=_asked(dialogue, live),
            request=found.request,
            level=level_of(self.catalogue.offering(found.quote.offering)),
            quote=found.quote,
            amount=amount_on_top(found.quote, live.terms if live else None, now),
        )

    def _lapse(self, dialogue: Dialogue, now: float) -> ToolCall | None:
        if now <= dialogue.ends:
            return None
        why = "the offer ran out"
        says = (*self._to_assurance(dialogue, "lapsed"), *self._to_planning(dialogue, why))
        return ToolCall(_NEGOTIATION, Tool.LET_LAPSE, dialogue.id, {"text": why}, says)

    def _answer_declined(self, dialogue: Dialogue, _now: float) -> ToolCall | None:
        """The policy agent refuses wallets, this one everything else."""
        if not dialogue.wallet and not dialogue.is_operators:
            return None
        return self._refuse(dialogue, dialogue.refusal or Refusal("declined", "it cannot be had"))

    # -- money and orders --------------------------------------------------------------------------------------

    def _reserve(self, dialogue: Dialogue, now: float) -> ToolCall:
        return ToolCall(_NEGOTIATION, Tool.RESERVE_MONEY, dialogue.id, self._book(dialogue, now))

    def _sign(self, dialogue: Dialogue, now: float) -> ToolCall:
        if dialogue.terms.quote.valid_until + CLOCK_SKEW_SECONDS < now:
            return self._release(dialogue)
        return ToolCall(_NEGOTIATION, Tool.SIGN_AGREEMENT, dialogue.id, {"terms": dialogue.terms.to_json()})

    def _commit(self, dialogue: Dialogue, now: float) -> ToolCall:
        return ToolCall(_NEGOTIATION, Tool.COMMIT_MONEY, dialogue.id, self._book(dialogue, now))

    def _book(self, dialogue: Dialogue, now: float) -> Json:
        """What a change costs on top, and what it gives back."""
        terms = dialogue.terms
        live = self.desk.known(dialogue.agreement).terms if dialogue.agreement else None
        back = Money.zero(terms.amount.currency)
        if live is not None:
            back = given_back(live, None if dialogue.action is Action.DELETE else terms, now)
        amount = terms.amount if dialogue.action is not Action.DELETE else Money.zero(back.currency)
        return {
            "wallet": terms.wallet,
            "key": terms.id,
            "agreement": terms.root,
            "class": terms.request.workload_class,
            "amount": amount.to_json(),
            "back": back.to_json(),
        }

    def _order(self, dialogue: Dialogue, _now: float) -> ToolCall:
        signed, parent = dialogue.agreed, None
        if dialogue.agreement and dialogue.action is Action.MODIFY:
            parent = self.desk.known(dialogue.agreement).current
        order = Order(dialogue.action, signed, parent)
        says = [Draft(MessageKind.ORDER, _NEGOTIATION, Role.OSS_NEGOTIATION, order, self.oss, _ORDER_SECONDS)]
        if dialogue.action is not Action.DELETE:
            body = Countersigned(signed)
            to_consumer = Draft(
                MessageKind.ACCEPTANCE, _NEGOTIATION, Role.ENTERPRISE_POLICY, body, dialogue.other, _ORDER_SECONDS
            )
            says.insert(0, to_consumer)
        said = {"action": dialogue.action.value, "agreement": signed.root, "issue": signed.id}
        return ToolCall(_NEGOTIATION, Tool.ISSUE_ORDER, dialogue.id, said, tuple(says))

    def _undo(self, dialogue: Dialogue, _now: float) -> ToolCall:
        if dialogue.signed is None:
            refusal = dialogue.refusal or Refusal("refused", "the consumer did not want it")
            return self._refuse(dialogue, refusal, is_told=True)
        return self._release(dialogue)

    def _release(self, dialogue: Dialogue) -> ToolCall:
        said = {"wallet": dialogue.terms.wallet, "key": dialogue.terms.id, "action": dialogue.action.value}
        return ToolCall(_NEGOTIATION, Tool.RELEASE_MONEY, dialogue.id, said)

    def _report(self, dialogue: Dialogue, _now: float) -> ToolCall:
        found = dialogue.report
        is_good = dialogue.stage is Stage.SETTLED
        finding = (found.finding if found else Finding.PROVISIONED) if is_good else Finding.FAILED
        text = (found.text if found else "") if is_good else (dialogue.refusal.text if dialogue.refusal else "")
        body = Report(finding, dialogue.terms.root, text, issue=dialogue.terms.id, service=dialogue.service)
        says = Draft(
            MessageKind.REPORT, _NEGOTIATION, Role.ENTERPRISE_POLICY, body, dialogue.terms.consumer, _ORDER_SECONDS
        )
        said = {"finding": finding.value, "agreement": dialogue.terms.root, "text": text}
        return ToolCall(_NEGOTIATION, Tool.REPORT_OUTCOME, dialogue.id, said, (says,))

    # -- saying no ---------------------------------------------------------------------------------------------

    def _refuse(self, dialogue: Dialogue, refusal: Refusal, *, is_told: bool = False) -> ToolCall:
        """Tell the consumer, unless it said so itself or was never asked; tell OSS what nobody wants any more."""
        says = list(self._to_assurance(dialogue, f"{refusal.check}: {refusal.text}"))
        if not is_told and not (dialogue.is_operators and dialogue.chosen is None):
            body = Refusal(refusal.check, refusal.text, dialogue.agreement)
            says.append(Draft(MessageKind.REFUSAL, _NEGOTIATION, Role.ENTERPRISE_POLICY, body, dialogue.other))
        says += self._to_planning(dialogue, refusal.text)
        said = {"check": refusal.check, "text": refusal.text}
        return ToolCall(_NEGOTIATION, Tool.REFUSE_CONSUMER, dialogue.id, said, tuple(says))

    def _to_planning(self, dialogue: Dialogue, why: str) -> tuple[Draft, ...]:
        """What it holds for offers that nobody takes is free again."""
        if not dialogue.variations:
            return ()
        return (Draft(MessageKind.WITHDRAWAL, _NEGOTIATION, Role.OSS_PLANNING, Withdrawal(why), self.oss),)

    def _to_assurance(self, dialogue: Dialogue, why: str) -> tuple[Draft, ...]:
        if not dialogue.is_operators:
            return ()
        body = Refusal("renegotiation", why, dialogue.agreement)
        return (Draft(MessageKind.REFUSAL, _NEGOTIATION, Role.OSS_ASSURANCE, body, self.oss),)


def _asked(dialogue: Dialogue, live: Agreement | None) -> ServiceRequest:
    """What the consumer wants in the end: its own first wish in this negotiation, else the agreement's."""
    if live is not None and dialogue.is_operators:
        return live.terms.asked
    return dialogue.asked or dialogue.wanted
