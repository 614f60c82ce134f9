"""Owns what a message may not say though its turn it is: about others' agreements, under others' names, out of bounds.

A desk asks before a message is stored; each function raises `ConflictError` with what is wrong.
"""

import re
from hashlib import sha256

from controller.model.errors import ConflictError
from controller.negotiation.dialogue import Stage
from controller.negotiation.message_bodies import (
    Acceptance,
    Action,
    CounterRequest,
    Countersigned,
    Feasibility,
    Finding,
    Offers,
    Proposal,
    Report,
    Withdrawal,
)
from controller.negotiation.messages import Message
from controller.negotiation.records import Dialogue, Standing
from controller.negotiation.roles import Domain

MOST_COUNTERS = 8
"""Counter-offers in one negotiation that the operator listens to: each has it look for capacity anew."""
_NUMBER = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)


def own_name(domain: Domain, party: str, number: int) -> str:
    """How a party names a negotiation that it opens: nobody else can take that name first."""
    return f"{_prefix(domain, party)}{number}"


def _prefix(domain: Domain, party: str) -> str:
    return f"{domain}-{sha256(party.encode()).hexdigest()[:8]}-"


def agreement_of(dialogue: Dialogue, message: Message) -> str | None:
    """Root of the agreement that a message is about, where one has to be in force for it; None where none has."""
    match message.body:
        case Withdrawal(agreement=root) if root or dialogue.stage is Stage.NEW:
            return root
        case Proposal(agreement=root) | Feasibility(agreement=root) if root:
            return root
        case Offers(terms=terms) if dialogue.stage is Stage.NEW:
            return terms[0].root if terms else ""
        case Report(agreement=root) if dialogue.stage is Stage.NEW:
            return root
    return None


def refuse_misnamed(message: Message, root: str) -> None:
    """Who opens a negotiation names it after itself; the operator also after the agreement that it is about."""
    own = _prefix(message.sender.domain, message.sender_party)
    about = f"{root}~" if root and message.sender.domain is not Domain.ENTERPRISE else own
    name = message.correlation
    for prefix in (own, about):
        if name.startswith(prefix) and _NUMBER.fullmatch(name.removeprefix(prefix)):
            return
    raise ConflictError(
        f"a negotiation that '{message.sender_party}' opens is not named {name!a:.80}", remedy=f"name it '{own}1'"
    )


def refuse_elsewhere(standing: Standing, message: Message) -> None:
    """A change of an agreement is between the places that it is about."""
    if isinstance(message.body, Proposal):
        wanted, live = message.body.request, standing.terms.request
        if (wanted.a, wanted.z) != (live.a, live.z):
            raise ConflictError(f"agreement '{standing.root}' is about '{live.a}' and '{live.z}'", path=standing.root)


def refuse_unlike(dialogue: Dialogue, message: Message) -> None:
    """What does not fit the negotiation that it is said in."""
    fault = _unlike_request(dialogue, message) or _unlike_answer(dialogue, message)
    if fault:
        raise ConflictError(fault, path=dialogue.id)


def _unlike_request(dialogue: Dialogue, message: Message) -> str:
    match message.body:
        case Proposal(request=request) | CounterRequest(request=request) if request.consumer != message.sender_party:
            return f"request '{request.id}' is for '{request.consumer}'"
        case CounterRequest(request=request) if request.workload_class != dialogue.wanted.workload_class:
            return f"the wallet was admitted for '{dialogue.wanted.workload_class}', not '{request.workload_class}'"
        case CounterRequest() if dialogue.round >= MOST_COUNTERS:
            return f"there were {MOST_COUNTERS} counter-offers already"
    return ""


def _unlike_answer(dialogue: Dialogue, message: Message) -> str:
    match message.body:
        case Acceptance(terms=terms) if terms not in {one.id for one in dialogue.offers}:
            return f"what is accepted, {terms!a:.80}, was not offered"
        case Countersigned(agreement=agreement) if agreement.terms != dialogue.terms:
            return f"agreement '{agreement.id}' is not about what was accepted"
        case Withdrawal(agreement=root) if root and dialogue.stage is not Stage.NEW:
            return "the end of an agreement is a negotiation of its own"
        case Report(finding=Finding.TERMINATED | Finding.PROVISIONED as finding):
            is_end = dialogue.stage is Stage.NEW or dialogue.action is Action.DELETE
            if is_end is not (finding is Finding.TERMINATED):
                return f"'{finding}' is not what was under way"
    return ""
