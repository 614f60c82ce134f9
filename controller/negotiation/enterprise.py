"""Owns the consumer's two agents: one turns demand into intents, one holds the wallet and decides within guardrails.

Draft naas-agentic-negotiation, Cooperating Agents: both are pure. They look at the desk and say which tool is due next;
nothing is done here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import inf
from typing import Any

from controller.model.money import Money
from controller.model.units import BitRate
from controller.negotiation.agreement import Strategy, Terms
from controller.negotiation.catalogue import Axis, Catalogue
from controller.negotiation.desk import Desk
from controller.negotiation.dialogue import Stage
from controller.negotiation.guardrails import Account, OfferCheck, OfferRefusal, refusal_of
from controller.negotiation.judge import Judge, Rules, decided
from controller.negotiation.message_bodies import Acceptance, Action, CounterRequest, Proposal, Refusal, Withdrawal
from controller.negotiation.messages import GONE_SECONDS, Draft, MessageKind
from controller.negotiation.records import Dialogue, Record, Standing, ToolCall
from controller.negotiation.request import ServiceRequest
from controller.negotiation.roles import Role, Tool
from controller.negotiation.strategy import Temper, given_back, is_lesser, net_gain, temper_of
from controller.negotiation.wallet import ServiceLevelFloor, WalletTerms

Json = Any
MOST_ROUNDS = 3
"""Counter-offers of the consumer in one negotiation: each concedes, none comes back."""
ANSWER_SECONDS = 60.0
_HOUR = 3_600.0
_REQUIREMENT, _POLICY = Role.REQUIREMENT, Role.ENTERPRISE_POLICY


@dataclass(frozen=True, slots=True)
class Purse:
    """A wallet of the consumer: its envelope and what it allows."""

    envelope: str
    terms: WalletTerms


PurseOf = Callable[[str], Purse | None]
"""By workload class."""


@dataclass(frozen=True, slots=True)
class RequirementAgent:
    """Turns what applications need into intents."""

    operator: str
    """The party that is asked."""

    def declare(self, subject: str, request: ServiceRequest, agreement: str = "") -> ToolCall:
        """An intent: a new service, or another level for a live agreement."""
        said = {"request": request.to_json(), "agreement": agreement, "operator": self.operator}
        return ToolCall(_REQUIREMENT, Tool.DECLARE_INTENT, subject, said)

    def burst(self, subject: str, terms: Terms, bit_rate: int, now: float) -> ToolCall | None:
        """Application telemetry: more (or far less) than what is agreed is wanted; None when it fits."""
        if terms.level.bit_rate // 2 < bit_rate <= terms.level.bit_rate:
            return None
        request = replace(
            terms.request, id=subject, bandwidth=BitRate(bit_rate), start=now, duration_seconds=_rest(terms, now)
        )
        return self.declare(subject, request, terms.root)

    def relieved(
        self, standings: Mapping[str, Standing], wanted: Mapping[str, int], spur: BitRate, catalogue: Catalogue
    ) -> dict[str, int]:
        """The firm's own spur is its own to share: which classes go down, to how many Mbit/s, so that `wanted` fits.

        What can wait goes first, to the lowest grade that is sold; what matters by its service level is never lowered.
        """
        lowest = int(catalogue.grades[Axis.BANDWIDTH][0].bound)
        rates = {name: one.terms.level.bit_rate for name, one in standings.items()}
        rates |= {name: megabits * 1_000_000 for name, megabits in wanted.items()}
        order = sorted(rates, key=lambda name: (_GIVING.index(temper_of(name)), name), reverse=True)
        lowered: dict[str, int] = {}
        for name in order:
            if sum(rates.values()) <= spur.bits_per_second or name in wanted:
                continue
            if temper_of(name) is not Temper.SERVICE_LEVEL and rates[name] > lowest:
                rates[name] = lowest
                lowered[name] = lowest // 1_000_000
        return lowered


_GIVING = (Temper.SERVICE_LEVEL, Temper.COST, Temper.DEFERRABLE)
"""Who gives way last."""


def _rest(terms: Terms, now: float) -> int:
    return max(1, int(terms.ends - now))


@dataclass(slots=True)
class EnterprisePolicyAgent:
    """Holds the wallets, attaches them, picks, counters, debits. `switching_cost` in the wallet's minor units."""

    desk: Desk
    purse_of: PurseOf
    judge: Judge = field(default_factory=Rules)
    switching_cost: int = 1
    _bound: dict[tuple[str, str], Money] = field(default_factory=dict)
    """By envelope and class: what the consumer is bound to pay."""
    _taken: dict[str, list[tuple[float, Money]]] = field(default_factory=dict)
    """By envelope: what was newly taken, and when."""

    def apply(self, record: Record) -> None:
        """Fold the consumer's own account."""
        if record.tool is not Tool.DEBIT:
            return
        said = record.arguments
        envelope, name = said["wallet"], said["class"]
        amount, back = Money.from_json(said["amount"]), Money.from_json(said["back"])
        before = self._bound.get((envelope, name), Money.zero(amount.currency))
        self._bound[envelope, name] = before + amount - back
        recent = [one for one in self._taken.get(envelope, ()) if record.time - one[0] < _HOUR]
        self._taken[envelope] = [*recent, (record.time, amount - back)]

    def to_json(self) -> Json:
        """The account, for a snapshot: amounts in minor units, as what came back is less than nothing."""
        return {
            "bound": [[*key, amount.minor, amount.currency] for key, amount in self._bound.items()],
            "taken": {
                envelope: [[time, amount.minor, amount.currency] for time, amount in recent]
                for envelope, recent in self._taken.items()
            },
        }

    def load_json(self, document: Json) -> None:
        """Put back what `to_json` gave."""
        self._bound = {(envelope, name): Money(*amount) for envelope, name, *amount in document["bound"]}
        self._taken = {
            envelope: [(time, Money(*amount)) for time, *amount in recent]
            for envelope, recent in document["taken"].items()
        }

    def account(self, envelope: str, currency: str, now: float) -> Account:
        """What the consumer is bound to under one wallet."""
        bound = {name: amount for (owner, name), amount in self._bound.items() if owner == envelope}
        recent = Money.zero(currency)
        for time, amount in self._taken.get(envelope, ()):
            recent = recent + amount if now - time < _HOUR else recent
        return Account(bound, recent)

    def end(self, subject: str, agreement: str, reason: str) -> ToolCall:
        """End an agreement: what is not used up of its money comes back."""
        standing = self.desk.standing(agreement)
        body = Withdrawal(reason, agreement)
        says = Draft(MessageKind.WITHDRAWAL, _POLICY, Role.BSS_NEGOTIATION, body, standing.terms.provider)
        return ToolCall(_POLICY, Tool.WITHDRAW, subject, {"agreement": agreement, "reason": reason}, (says,))

    def due(self, dialogue: Dialogue, now: float) -> ToolCall | None:
        """What this agent does next about a negotiation."""
        steps: Mapping[Stage, Callable[[Dialogue, float], ToolCall | None]] = {
            Stage.DECLARED: self._attach,
            Stage.AUTHORISED: self._propose,
            Stage.PROPOSED: self._wait,
            Stage.OFFERED: self._answer,
            Stage.SIGNED: self._accept,
            Stage.ACCEPTED: self._give_up,
            Stage.DECLINED: self._decline,
            Stage.PROVISIONED: self._debit,
        }
        step = steps.get(dialogue.stage)
        return None if step is None else step(dialogue, now)

    # -- before an offer ---------------------------------------------------------------------------------------

    def _attach(self, dialogue: Dialogue, _now: float) -> ToolCall:
        request = dialogue.wanted
        purse = self.purse_of(request.workload_class)
        said = {
            "wallet": purse.envelope if purse else "",
            "class": request.workload_class,
            "digest": request.digest,
            "audience": dialogue.other,
        }
        return ToolCall(_POLICY, Tool.ATTACH_WALLET, dialogue.id, said)

    def _propose(self, dialogue: Dialogue, now: float) -> ToolCall:
        body = Proposal(dialogue.wanted, dialogue.presentation, dialogue.agreement)
        says = Draft(MessageKind.PROPOSAL, _POLICY, Role.BSS_POLICY, body, dialogue.other, ANSWER_SECONDS)
        return ToolCall(_POLICY, Tool.PROPOSE, dialogue.id, {"expires": now + ANSWER_SECONDS}, (says,))

    def _wait(self, dialogue: Dialogue, now: float) -> ToolCall | None:
        return self._lapse(dialogue, "nobody answered") if now > dialogue.ends else None

    def _give_up(self, dialogue: Dialogue, now: float) -> ToolCall | None:
        return self._lapse(dialogue, "the operator never answered") if now > dialogue.since + GONE_SECONDS else None

    def _lapse(self, dialogue: Dialogue, why: str) -> ToolCall:
        return ToolCall(_POLICY, Tool.LET_LAPSE, dialogue.id, {"text": why})

    # -- an offer ----------------------------------------------------------------------------------------------

    def _answer(self, dialogue: Dialogue, now: float) -> ToolCall:
        if now > dialogue.ends:
            return self._lapse(dialogue, "the offer ran out")
        judged = [(terms, self.refusal(dialogue, terms, now)) for terms in dialogue.offers]
        admitted = [terms for terms, refused in judged if refused is None]
        picked = decided(self.judge, admitted)
        if picked is not None:
            said = {"terms": picked.id, "wallet": picked.wallet, "digest": picked.digest, "audience": picked.provider}
            return ToolCall(_POLICY, Tool.SIGN_TERMS, dialogue.id, said)
        refused = [refusal for _, refusal in judged if refusal is not None]
        conceded = None if dialogue.is_operators else self._concession(dialogue)
        if conceded is None:
            return self._refuse(dialogue, _worst(refused, dialogue))
        says = self._say(dialogue, MessageKind.COUNTER_OFFER, CounterRequest(conceded), ANSWER_SECONDS)
        told: Json = {
            "request": conceded.to_json(),
            "expires": now + ANSWER_SECONDS,
            "because": [f"{refusal.check}: {refusal.text}" for refusal in refused] or [dialogue.cause],
        }
        return ToolCall(_POLICY, Tool.COUNTER_OFFER, dialogue.id, told, says)

    def refusal(self, dialogue: Dialogue, terms: Terms, now: float) -> OfferRefusal | None:
        """Why terms cannot be accepted; None when they can."""
        purse = self.purse_of(terms.request.workload_class)
        if purse is None or purse.envelope != terms.wallet:
            return OfferRefusal(OfferCheck.WORKLOAD_CLASS, f"no wallet is for '{terms.request.workload_class}'")
        outside = self._unlinked(dialogue, terms) or self._not_asked(dialogue, terms)
        if outside:
            return OfferRefusal(OfferCheck.REQUEST, outside)
        account = self.account(purse.envelope, purse.terms.ceiling.currency, now)
        return refusal_of(terms, purse.terms, account, now) or self._without_gain(dialogue, terms, now)

    def _unlinked(self, dialogue: Dialogue, terms: Terms) -> str:
        """How terms fail to follow the agreement they are about; empty when they do."""
        if not dialogue.agreement:
            return "they follow an agreement that there is not" if terms.parent or terms.root != terms.id else ""
        live = self.desk.known(dialogue.agreement)
        if live.is_over:
            return f"agreement '{live.root}' is over"
        current = live.current
        if (terms.root, terms.parent, terms.parent_hash) != (current.root, current.id, current.hash):
            return f"they do not follow '{current.id}'"
        places = (terms.request.a, terms.request.z) == (current.terms.request.a, current.terms.request.z)
        return "" if places else "they are about other places"

    def _not_asked(self, dialogue: Dialogue, terms: Terms) -> str:
        """How terms differ from what they should be about; empty when they do not."""
        live = self.desk.known(dialogue.agreement).terms if dialogue.agreement else terms
        if (terms.provider, terms.consumer) != (dialogue.other, live.consumer):
            return f"they are between '{terms.provider}' and '{terms.consumer}', this is with '{dialogue.other}'"
        if terms.quote.request_digest != terms.request.digest:
            return "the quote is for another request"
        if dialogue.is_operators:
            return "" if terms.asked == live.asked else "what was wanted at first is something else"
        if terms.consumer != dialogue.wanted.consumer or terms.request != dialogue.request:
            return "they are about another request"
        return "" if terms.asked == dialogue.asked else "what was wanted at first is something else"

    def _without_gain(self, dialogue: Dialogue, terms: Terms, now: float) -> OfferRefusal | None:
        """A step back must save more than a switch costs, or bring the level that was asked."""
        if terms.strategy is not Strategy.STEP_BACK:
            return None
        current = self.desk.standing(dialogue.agreement).terms
        if is_lesser(current.level, terms.level):
            return None
        gain = net_gain(current, terms, Money(self.switching_cost, terms.quote.total.currency), now)
        return None if gain.minor > 0 else OfferRefusal(OfferCheck.GAIN, f"switching would save {gain}")

    def _concession(self, dialogue: Dialogue) -> ServiceRequest | None:
        """A lesser request, never below the wallet's floor; None when nothing is left to concede."""
        request = dialogue.wanted
        purse = self.purse_of(request.workload_class)
        if purse is None or dialogue.round >= MOST_ROUNDS:
            return None
        steps: Sequence[Callable[[ServiceRequest, ServiceLevelFloor], ServiceRequest]] = (
            _any_tier_at_the_floor,
            _least_rate,
        )
        live = self.desk.known(dialogue.agreement).terms.request if dialogue.agreement else None
        made = (_no_less(step(request, purse.terms.floor), request, live) for step in steps[dialogue.round :])
        conceded = next((one for one in made if one != request), None)
        return None if conceded is None else replace(conceded, id=f"{dialogue.id}.{dialogue.round + 1}")

    def _accept(self, dialogue: Dialogue, _now: float) -> ToolCall:
        body = Acceptance(dialogue.terms.id, dialogue.signature, dialogue.presentation)
        says = self._say(dialogue, MessageKind.ACCEPTANCE, body)
        return ToolCall(_POLICY, Tool.ACCEPT_OFFER, dialogue.id, {"terms": dialogue.terms.id}, says)

    def _decline(self, dialogue: Dialogue, _now: float) -> ToolCall:
        return self._refuse(dialogue, dialogue.refusal or Refusal("wallet", "the wallet cannot be presented"))

    def _refuse(self, dialogue: Dialogue, refusal: Refusal) -> ToolCall:
        said = {"check": refusal.check, "text": refusal.text}
        return ToolCall(
            _POLICY, Tool.REFUSE_OFFER, dialogue.id, said, self._say(dialogue, MessageKind.REFUSAL, refusal)
        )

    def _say(
        self,
        dialogue: Dialogue,
        kind: MessageKind,
        body: Acceptance | CounterRequest | Refusal,
        seconds: float = ANSWER_SECONDS,
    ) -> tuple[Draft, ...]:
        return (Draft(kind, _POLICY, Role.BSS_NEGOTIATION, body, dialogue.other, seconds),)

    # -- the account -------------------------------------------------------------------------------------------

    def _debit(self, dialogue: Dialogue, now: float) -> ToolCall:
        signed = dialogue.signed
        terms = signed.terms if signed else dialogue.terms
        before = self.desk.agreements.get(terms.root)
        zero = Money.zero(terms.amount.currency)
        if dialogue.action is Action.DELETE:
            amount, back = zero, given_back(terms, None, now)
        else:
            parent = before.terms if before and terms.parent else None
            amount, back = terms.amount, given_back(parent, terms, now) if parent else zero
        said = {
            "agreement": terms.root,
            "issue": terms.id,
            "wallet": terms.wallet,
            "class": terms.request.workload_class,
            "amount": amount.to_json(),
            "back": back.to_json(),
        }
        return ToolCall(_POLICY, Tool.DEBIT, dialogue.id, said)


def _worst(refused: Sequence[OfferRefusal], dialogue: Dialogue) -> Refusal:
    """What to tell the operator: the first reason; or why there was nothing to choose from."""
    if refused:
        return Refusal(refused[0].check, refused[0].text)
    return Refusal("nothing-offered", dialogue.cause or "there was nothing to choose from")


def _no_less(conceded: ServiceRequest, wanted: ServiceRequest, live: ServiceRequest | None) -> ServiceRequest:
    """A change is conceded down to what runs already, and not below: else who asks for more would end with less."""
    if live is None:
        return conceded
    late = [inf if one.latency_seconds is None else one.latency_seconds for one in (conceded, wanted, live)]
    latency = min(late[0], max(late[1], late[2]))
    return replace(
        conceded,
        bandwidth=max(conceded.bandwidth, min(wanted.bandwidth, live.bandwidth)),
        latency_seconds=None if latency == inf else latency,
        availability=max(conceded.availability, min(wanted.availability, live.availability)),
    )


def _any_tier_at_the_floor(request: ServiceRequest, floor: ServiceLevelFloor) -> ServiceRequest:
    """As late and as seldom as the floor allows, over whichever network."""
    latency = floor.latency.seconds if floor.latency else None
    availability = float(floor.availability or Fraction(0))
    return replace(request, latency_seconds=latency, availability=min(request.availability, availability), tier=None)


def _least_rate(request: ServiceRequest, floor: ServiceLevelFloor) -> ServiceRequest:
    """And as little as the floor allows."""
    least = floor.bandwidth
    conceded = _any_tier_at_the_floor(request, floor)
    return conceded if least is None or least >= request.bandwidth else replace(conceded, bandwidth=least)
