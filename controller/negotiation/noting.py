"""Owns what each tool and each message writes into a negotiation: one function for each, found in a table."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from controller.negotiation.agreement import Agreement, Terms
from controller.negotiation.dialogue import Stage
from controller.negotiation.message_bodies import (
    Acceptance,
    Action,
    Body,
    CounterRequest,
    Countersigned,
    Feasibility,
    Feasible,
    Finding,
    Offers,
    Order,
    Proposal,
    Refusal,
    Report,
    Variation,
    Withdrawal,
)
from controller.negotiation.messages import Message
from controller.negotiation.records import Dialogue, Record, Standing
from controller.negotiation.request import ServiceRequest
from controller.negotiation.roles import Domain, Tool

Json = Any
StandingOf = Callable[[str], Standing]
"""An agreement in force, by its root."""


def noted(dialogue: Dialogue, record: Record, standing: StandingOf) -> Dialogue:
    """The dialogue with what a tool brought."""
    if record.refusal is not None:
        return replace(dialogue, refusal=record.refusal)
    if record.tool in {Tool.WITHDRAW, Tool.END_AGREEMENT}:
        live = standing(record.arguments["agreement"])
        is_consumers = record.role.domain is Domain.ENTERPRISE
        return _ending(replace(dialogue, other=live.terms.provider if is_consumers else live.consumer), live)
    note = _TOOLS.get(record.tool)
    return dialogue if note is None else note(dialogue, record.arguments or {}, record.result)


def heard(dialogue: Dialogue, message: Message, domain: Domain, standing: StandingOf) -> Dialogue:
    """The dialogue with what another domain said."""
    across = {Domain.ENTERPRISE, Domain.BSS} == {domain, message.sender.domain}
    if across or domain is Domain.OSS:
        dialogue = replace(dialogue, other=message.sender_party)
    body = message.body
    if isinstance(body, Withdrawal) and body.agreement:
        return _ending(dialogue, standing(body.agreement))
    if isinstance(body, Report):
        return _reported(dialogue, body, standing)
    if isinstance(body, Feasibility) and domain is Domain.OSS:
        return replace(dialogue, variations=body.variations, agreement=body.agreement)
    return _BODIES[type(body)](dialogue, body)


# -- tools: arguments, result ------------------------------------------------------------------------------------------


def _declared(dialogue: Dialogue, said: Json, _result: Json) -> Dialogue:
    request = ServiceRequest.from_json(said["request"])
    action = Action.MODIFY if said["agreement"] else Action.ADD
    return replace(
        dialogue, asked=request, request=request, agreement=said["agreement"], action=action, other=said["operator"]
    )


def _countered(dialogue: Dialogue, said: Json, _result: Json) -> Dialogue:
    request = ServiceRequest.from_json(said["request"])
    return replace(dialogue, request=request, round=dialogue.round + 1, expires=said["expires"], offers=())


def _signed(dialogue: Dialogue, said: Json, result: Json) -> Dialogue:
    chosen = next(one for one in dialogue.offers if one.id == said["terms"])
    return replace(dialogue, chosen=chosen, signature=result["signature"], presentation=result["presentation"])


def _refused(dialogue: Dialogue, said: Json, _result: Json) -> Dialogue:
    return replace(dialogue, refusal=Refusal(said["check"], said["text"]))


def _asked(dialogue: Dialogue, said: Json, _result: Json) -> Dialogue:
    return replace(dialogue, variations=tuple(map(Variation.from_json, said["variations"])))


def _offered(dialogue: Dialogue, said: Json, _result: Json) -> Dialogue:
    return _with_offers(dialogue, tuple(map(Terms.from_json, said["terms"])))


def _with_offers(dialogue: Dialogue, offers: tuple[Terms, ...]) -> Dialogue:
    ends = [one.quote.valid_until for one in offers]
    return replace(dialogue, offers=offers, expires=min(ends, default=0.0))


def _countersigned(dialogue: Dialogue, _said: Json, result: Json) -> Dialogue:
    return replace(dialogue, signed=Agreement(dialogue.terms, dialogue.signature, result["signature"]))


def _found(dialogue: Dialogue, _said: Json, result: Json) -> Dialogue:
    found = tuple(map(Feasible.from_json, result["found"]))
    held = (*dialogue.held, *(one.quote.reservation for one in found))
    return replace(dialogue, found=found, held=held, cause=result["reason"])


_TOOLS: Mapping[Tool, Callable[[Dialogue, Json, Json], Dialogue]] = {
    Tool.DECLARE_INTENT: _declared,
    Tool.ATTACH_WALLET: lambda before, _said, result: replace(before, presentation=result["presentation"]),
    Tool.PROPOSE: lambda before, said, _result: replace(before, expires=said["expires"]),
    Tool.COUNTER_OFFER: _countered,
    Tool.SIGN_TERMS: _signed,
    Tool.REFUSE_OFFER: _refused,
    Tool.REFUSE_CONSUMER: _refused,
    Tool.REFUSE_WALLET: _refused,
    Tool.REFUSE_ORDER: _refused,
    Tool.GIVE_UP: _refused,
    Tool.VERIFY_WALLET: lambda before, _said, result: replace(before, wallet=result["wallet"]),
    Tool.ASK_FEASIBILITY: _asked,
    Tool.OFFER: _offered,
    Tool.SIGN_AGREEMENT: _countersigned,
    Tool.FIND_OFFERS: _found,
    Tool.PROVISION: lambda before, _said, result: replace(before, service=result["service"]),
}


# -- messages ----------------------------------------------------------------------------------------------------------


def _proposed(dialogue: Dialogue, body: Proposal) -> Dialogue:
    action = Action.MODIFY if body.agreement else Action.ADD
    return replace(
        dialogue,
        asked=body.request,
        request=body.request,
        presentation=body.presentation,
        agreement=body.agreement,
        action=action,
    )


def _quoted(dialogue: Dialogue, body: Offers) -> Dialogue:
    """Where the operator opens, all of its terms are about one live agreement."""
    after = replace(_with_offers(dialogue, body.terms), cause=body.cause)
    if dialogue.stage is not Stage.NEW:
        return after
    root = body.terms[0].root if body.terms else ""
    return replace(after, agreement=root, action=Action.MODIFY, is_operators=True, request=None)


def _accepted(dialogue: Dialogue, body: Acceptance) -> Dialogue:
    chosen = next((one for one in dialogue.offers if one.id == body.terms), None)
    return replace(dialogue, chosen=chosen, signature=body.signature, presentation=body.presentation)


def _ordered(dialogue: Dialogue, body: Order) -> Dialogue:
    terms = body.agreement.terms
    root = "" if body.action is Action.ADD else terms.root
    return replace(
        dialogue, action=body.action, agreement=root, chosen=terms, signed=body.agreement, parent=body.parent
    )


def _told(dialogue: Dialogue, body: Feasibility) -> Dialogue:
    return replace(dialogue, found=body.found, cause=body.reason or dialogue.cause)


_BODIES: Mapping[type[Body], Callable[[Dialogue, Any], Dialogue]] = {
    Proposal: _proposed,
    CounterRequest: lambda before, body: replace(
        before, request=body.request, round=before.round + 1, offers=(), found=()
    ),
    Feasibility: _told,
    Offers: _quoted,
    Acceptance: _accepted,
    Countersigned: lambda before, body: replace(before, signed=body.agreement),
    Refusal: lambda before, body: replace(before, refusal=body),
    Withdrawal: lambda before, body: replace(before, refusal=Refusal("withdrawal", body.reason)),
    Order: _ordered,
}


def _ending(dialogue: Dialogue, standing: Standing) -> Dialogue:
    return replace(
        dialogue,
        agreement=standing.root,
        action=Action.DELETE,
        chosen=standing.terms,
        signed=standing.current,
        service=standing.service,
    )


def _reported(dialogue: Dialogue, report: Report, standing: StandingOf) -> Dialogue:
    if report.finding in {Finding.PREDICTED_BREACH, Finding.RECOVERED}:
        return _flagged(dialogue, report, standing(report.agreement))
    if report.finding is Finding.FAILED:
        return replace(dialogue, refusal=Refusal("provisioning", report.text), report=report)
    if dialogue.stage is Stage.NEW:
        dialogue = _ending(dialogue, standing(report.agreement))
    return replace(dialogue, service=report.service or dialogue.service, report=report)


def _flagged(dialogue: Dialogue, report: Report, standing: Standing) -> Dialogue:
    return replace(
        dialogue,
        agreement=standing.root,
        action=Action.MODIFY,
        is_operators=True,
        other=standing.consumer,
        cause=report.text,
        asked=standing.terms.asked,
        request=standing.terms.request,
        wallet=standing.terms.wallet,
        report=report,
    )
