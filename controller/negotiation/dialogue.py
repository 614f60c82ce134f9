"""Owns where a negotiation stands at each of its three domains: one enum of stages, one transition table a domain.

ETSI GS ZSM 011 and 016: proposal, feasibility, counter-offer, acceptance; refusal, withdrawal and lapse lead out from
wherever they can happen. Each domain sees its own part of a negotiation and derives it from its own log.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from controller.model.errors import ConflictError
from controller.negotiation.roles import Domain


class Stage(StrEnum):
    """Where a negotiation stands."""

    NEW = "new"
    DECLARED = "declared"
    AUTHORISED = "authorised"
    """The wallet's presentation is made."""
    PROPOSED = "proposed"
    ADMITTED = "admitted"
    """Whoever asks may ask, and what is ordered may be ordered: effort begins here."""
    ASKED = "asked"
    FEASIBLE = "feasible"
    OFFERED = "offered"
    SIGNED = "signed"
    """The consumer has signed terms; nobody has seen it yet."""
    CHOSEN = "chosen"
    """The operator has the consumer's signature; the wallet is looked at once more."""
    ACCEPTED = "accepted"
    RESERVED = "reserved"
    AGREED = "agreed"
    ORDERED = "ordered"
    PROVISIONED = "provisioned"
    SETTLED = "settled"
    """The network has it and the money is booked; one side is to be told."""
    UNDONE = "undone"
    """It could not be provisioned: what was reserved is to be given back."""
    RELEASED = "released"
    DECLINED = "declined"
    """A check said no; the other side is to be told."""
    DONE = "done"
    REFUSED = "refused"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens."""
        return self in _FINAL


class Cue(StrEnum):
    """What moves a negotiation: a tool that was used, with its result, or a message that was taken in."""

    DECLARE = "declare"
    AUTHORISE = "authorise"
    PROPOSE = "propose"
    ADMIT = "admit"
    DECLINE = "decline"
    ASK = "ask"
    FIND = "find"
    OFFER = "offer"
    SIGN = "sign"
    ACCEPT = "accept"
    COUNTER = "counter"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    LAPSE = "lapse"
    RESERVE = "reserve"
    AGREE = "agree"
    ORDER = "order"
    END = "end"
    PROVISION = "provision"
    FAIL = "fail"
    SETTLE = "settle"
    RELEASE = "release"
    REPORT = "report"
    GOT_PROPOSAL = "got proposal"
    GOT_FEASIBILITY = "got feasibility"
    GOT_QUOTE = "got quote"
    GOT_COUNTER_OFFER = "got counter-offer"
    GOT_ACCEPTANCE = "got acceptance"
    GOT_REFUSAL = "got refusal"
    GOT_WITHDRAWAL = "got withdrawal"
    GOT_ORDER = "got order"
    GOT_SERVICE = "got report of service"
    GOT_FAILURE = "got report of failure"
    GOT_FLAG = "got report of risk or recovery"
    TURNED_AWAY = "was turned away"
    """What was said last is not taken: no answer to it will come."""


_S, _C = Stage, Cue
_FINAL = frozenset({_S.DONE, _S.REFUSED, _S.LAPSED, _S.WITHDRAWN, _S.FAILED})

ENTERPRISE: Mapping[tuple[Stage, Cue], Stage] = MappingProxyType(
    {
        (_S.NEW, _C.DECLARE): _S.DECLARED,
        (_S.DECLARED, _C.AUTHORISE): _S.AUTHORISED,
        (_S.DECLARED, _C.DECLINE): _S.REFUSED,
        (_S.AUTHORISED, _C.PROPOSE): _S.PROPOSED,
        (_S.PROPOSED, _C.GOT_QUOTE): _S.OFFERED,
        (_S.PROPOSED, _C.GOT_REFUSAL): _S.REFUSED,
        (_S.PROPOSED, _C.LAPSE): _S.LAPSED,
        (_S.PROPOSED, _C.TURNED_AWAY): _S.REFUSED,
        # The operator opens: a live agreement is at risk, or can be had for less.
        (_S.NEW, _C.GOT_COUNTER_OFFER): _S.OFFERED,
        (_S.OFFERED, _C.SIGN): _S.SIGNED,
        (_S.OFFERED, _C.DECLINE): _S.DECLINED,
        (_S.OFFERED, _C.COUNTER): _S.PROPOSED,
        (_S.OFFERED, _C.REFUSE): _S.REFUSED,
        (_S.OFFERED, _C.LAPSE): _S.LAPSED,
        (_S.OFFERED, _C.GOT_WITHDRAWAL): _S.WITHDRAWN,
        (_S.DECLINED, _C.REFUSE): _S.REFUSED,
        (_S.SIGNED, _C.ACCEPT): _S.ACCEPTED,
        (_S.ACCEPTED, _C.GOT_ACCEPTANCE): _S.AGREED,
        (_S.ACCEPTED, _C.GOT_REFUSAL): _S.REFUSED,
        (_S.ACCEPTED, _C.TURNED_AWAY): _S.REFUSED,
        # What the operator signed was not good, and so it failed there too.
        (_S.ACCEPTED, _C.GOT_FAILURE): _S.FAILED,
        # So late, nothing that the operator answered is good any more.
        (_S.ACCEPTED, _C.LAPSE): _S.LAPSED,
        # The consumer ends an agreement: what is left of the money comes back.
        (_S.NEW, _C.WITHDRAW): _S.AGREED,
        # The operator's time is over: it says so with the report.
        (_S.NEW, _C.GOT_SERVICE): _S.PROVISIONED,
        (_S.AGREED, _C.GOT_SERVICE): _S.PROVISIONED,
        (_S.AGREED, _C.GOT_FAILURE): _S.FAILED,
        (_S.AGREED, _C.GOT_REFUSAL): _S.REFUSED,
        (_S.PROVISIONED, _C.SETTLE): _S.DONE,
    }
)
BSS: Mapping[tuple[Stage, Cue], Stage] = MappingProxyType(
    {
        (_S.NEW, _C.GOT_PROPOSAL): _S.PROPOSED,
        (_S.NEW, _C.GOT_FLAG): _S.ADMITTED,
        (_S.PROPOSED, _C.ADMIT): _S.ADMITTED,
        (_S.PROPOSED, _C.DECLINE): _S.DECLINED,
        (_S.ADMITTED, _C.ASK): _S.ASKED,
        (_S.ADMITTED, _C.REFUSE): _S.REFUSED,
        (_S.ASKED, _C.GOT_FEASIBILITY): _S.FEASIBLE,
        (_S.ASKED, _C.GOT_REFUSAL): _S.DECLINED,
        (_S.ASKED, _C.REFUSE): _S.REFUSED,
        (_S.ASKED, _C.TURNED_AWAY): _S.DECLINED,
        (_S.FEASIBLE, _C.OFFER): _S.OFFERED,
        (_S.FEASIBLE, _C.REFUSE): _S.REFUSED,
        (_S.OFFERED, _C.GOT_COUNTER_OFFER): _S.ADMITTED,
        (_S.OFFERED, _C.GOT_ACCEPTANCE): _S.CHOSEN,
        (_S.OFFERED, _C.GOT_REFUSAL): _S.UNDONE,
        (_S.OFFERED, _C.GOT_WITHDRAWAL): _S.UNDONE,
        (_S.OFFERED, _C.LAPSE): _S.LAPSED,
        (_S.CHOSEN, _C.ADMIT): _S.ACCEPTED,
        (_S.CHOSEN, _C.DECLINE): _S.DECLINED,
        (_S.ACCEPTED, _C.RESERVE): _S.RESERVED,
        (_S.ACCEPTED, _C.DECLINE): _S.DECLINED,
        (_S.RESERVED, _C.AGREE): _S.AGREED,
        # The quote ran out before anybody signed.
        (_S.RESERVED, _C.RELEASE): _S.RELEASED,
        (_S.AGREED, _C.ORDER): _S.ORDERED,
        (_S.NEW, _C.GOT_WITHDRAWAL): _S.AGREED,
        (_S.NEW, _C.END): _S.AGREED,
        (_S.ORDERED, _C.GOT_SERVICE): _S.PROVISIONED,
        (_S.ORDERED, _C.GOT_FAILURE): _S.UNDONE,
        (_S.ORDERED, _C.GOT_REFUSAL): _S.UNDONE,
        (_S.ORDERED, _C.TURNED_AWAY): _S.UNDONE,
        (_S.PROVISIONED, _C.SETTLE): _S.SETTLED,
        (_S.SETTLED, _C.REPORT): _S.DONE,
        (_S.UNDONE, _C.RELEASE): _S.RELEASED,
        (_S.RELEASED, _C.REPORT): _S.FAILED,
        # Nothing was reserved yet: what the other side gave up is only told on.
        (_S.UNDONE, _C.REFUSE): _S.REFUSED,
        (_S.DECLINED, _C.REFUSE): _S.REFUSED,
    }
)
OSS: Mapping[tuple[Stage, Cue], Stage] = MappingProxyType(
    {
        (_S.NEW, _C.GOT_FEASIBILITY): _S.ASKED,
        (_S.ASKED, _C.FIND): _S.FEASIBLE,
        (_S.ASKED, _C.DECLINE): _S.DECLINED,
        (_S.FEASIBLE, _C.OFFER): _S.OFFERED,
        (_S.OFFERED, _C.GOT_FEASIBILITY): _S.ASKED,
        (_S.OFFERED, _C.GOT_ORDER): _S.ORDERED,
        (_S.OFFERED, _C.GOT_WITHDRAWAL): _S.UNDONE,
        # Nobody said what became of it.
        (_S.OFFERED, _C.RELEASE): _S.WITHDRAWN,
        (_S.NEW, _C.GOT_ORDER): _S.ORDERED,
        (_S.ORDERED, _C.ADMIT): _S.ADMITTED,
        (_S.ORDERED, _C.DECLINE): _S.DECLINED,
        (_S.ADMITTED, _C.PROVISION): _S.PROVISIONED,
        (_S.ADMITTED, _C.FAIL): _S.RELEASED,
        (_S.PROVISIONED, _C.REPORT): _S.DONE,
        (_S.RELEASED, _C.REPORT): _S.FAILED,
        (_S.UNDONE, _C.RELEASE): _S.WITHDRAWN,
        (_S.DECLINED, _C.REFUSE): _S.REFUSED,
    }
)
TABLES: Mapping[Domain, Mapping[tuple[Stage, Cue], Stage]] = MappingProxyType(
    {Domain.ENTERPRISE: ENTERPRISE, Domain.BSS: BSS, Domain.OSS: OSS}
)
"""What a table does not list is illegal: a message that would bring it is turned away."""


def advance(domain: Domain, stage: Stage, cue: Cue) -> Stage:
    """The stage after a cue; `ConflictError` when the cue cannot come in this stage."""
    after = TABLES[domain].get((stage, cue))
    if after is None:
        possible = ", ".join(one for one in Cue if (stage, one) in TABLES[domain])
        raise ConflictError(
            f"a negotiation that is {stage} at {domain} knows no '{cue}'",
            remedy="possible now: " + (possible or "nothing, it is over"),
        )
    return after
