"""Owns what messages say: one typed body for each kind of message and side, read strictly (`fields`)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from controller.negotiation.agreement import Agreement, Strategy, Terms
from controller.negotiation.fields import Fields, read_name
from controller.negotiation.quote import Quote
from controller.negotiation.request import ServiceRequest

Json = Any
_MOST_CREDENTIAL = 131_072


@dataclass(frozen=True, slots=True)
class Proposal:
    """The intent with the wallet; `agreement` is the root of the one that it is to change, empty for a new one."""

    request: ServiceRequest
    presentation: str
    agreement: str = ""

    def to_json(self) -> Json:
        """The body."""
        return {"request": self.request.to_json(), "presentation": self.presentation, "agreement": self.agreement}

    @classmethod
    def from_json(cls, document: Json) -> "Proposal":
        """Read it."""
        read = Fields(document, ("request", "presentation", "agreement"))
        presentation = read.text("presentation", _MOST_CREDENTIAL)
        return cls(ServiceRequest.from_json(read.object("request")), presentation, read.text("agreement"))


@dataclass(frozen=True, slots=True)
class Variation:
    """A request, how it relates to what was asked, and the links it is not to take (known to OSS alone)."""

    strategy: Strategy
    request: ServiceRequest
    avoid: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """The body's item."""
        return {"strategy": self.strategy.value, "request": self.request.to_json(), "avoid": list(self.avoid)}

    @classmethod
    def from_json(cls, document: Json) -> "Variation":
        """Read it."""
        read = Fields(document, ("strategy", "request", "avoid"))
        request = ServiceRequest.from_json(read.object("request"))
        return cls(read.word("strategy", Strategy), request, read.list("avoid", read_name))


@dataclass(frozen=True, slots=True)
class Feasible:
    """A quote for one variation."""

    strategy: Strategy
    request: ServiceRequest
    quote: Quote

    def to_json(self) -> Json:
        """The body's item."""
        return {
            "strategy": self.strategy.value,
            "request": self.request.to_json(),
            "quote": self.quote.to_json(),
        }

    @classmethod
    def from_json(cls, document: Json) -> "Feasible":
        """Read it."""
        read = Fields(document, ("strategy", "request", "quote"))
        return cls(
            read.word("strategy", Strategy),
            ServiceRequest.from_json(read.object("request")),
            Quote.from_json(read.object("quote")),
        )


@dataclass(frozen=True, slots=True)
class Feasibility:
    """BSS asks with `variations`, OSS answers with what was `found`; where that is nothing, `reason` says why.

    `agreement` is the live one that is to be changed.
    """

    variations: tuple[Variation, ...] = ()
    found: tuple[Feasible, ...] = ()
    reason: str = ""
    agreement: str = ""

    def to_json(self) -> Json:
        """The body."""
        return {
            "variations": [one.to_json() for one in self.variations],
            "found": [one.to_json() for one in self.found],
            "reason": self.reason,
            "agreement": self.agreement,
        }

    @classmethod
    def from_json(cls, document: Json) -> "Feasibility":
        """Read it."""
        read = Fields(document, ("variations", "found", "reason", "agreement"))
        return cls(
            read.list("variations", Variation.from_json),
            read.list("found", Feasible.from_json),
            read.text("reason"),
            read.text("agreement"),
        )


@dataclass(frozen=True, slots=True)
class Offers:
    """Terms, any one of which may be accepted; the body of a quote and of the operator's counter-offer.

    No terms: not as asked, but something else may be.
    """

    terms: tuple[Terms, ...]
    cause: str = ""
    """Why the operator comes: what is at risk, or has cleared; or why there is nothing to be had as it was asked."""

    def to_json(self) -> Json:
        """The body."""
        return {"terms": [one.to_json() for one in self.terms], "cause": self.cause}

    @classmethod
    def from_json(cls, document: Json) -> "Offers":
        """Read it."""
        read = Fields(document, ("terms", "cause"))
        return cls(read.list("terms", Terms.from_json), read.text("cause"))


@dataclass(frozen=True, slots=True)
class CounterRequest:
    """The consumer's counter-offer: another request instead of the one before."""

    request: ServiceRequest

    def to_json(self) -> Json:
        """The body."""
        return {"request": self.request.to_json()}

    @classmethod
    def from_json(cls, document: Json) -> "CounterRequest":
        """Read it."""
        return cls(ServiceRequest.from_json(Fields(document, ("request",)).object("request")))


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The consumer's: which terms, its signature over them, and the wallet bound to them."""

    terms: str
    """Id of the accepted ones."""
    signature: str
    presentation: str

    def to_json(self) -> Json:
        """The body."""
        return {"terms": self.terms, "signature": self.signature, "presentation": self.presentation}

    @classmethod
    def from_json(cls, document: Json) -> "Acceptance":
        """Read it."""
        read = Fields(document, ("terms", "signature", "presentation"))
        return cls(
            read.name("terms"),
            read.text("signature", _MOST_CREDENTIAL),
            read.text("presentation", _MOST_CREDENTIAL),
        )


@dataclass(frozen=True, slots=True)
class Countersigned:
    """The operator's acceptance: the agreement, signed by both."""

    agreement: Agreement

    def to_json(self) -> Json:
        """The body."""
        return {"agreement": self.agreement.to_json()}

    @classmethod
    def from_json(cls, document: Json) -> "Countersigned":
        """Read it."""
        return cls(Agreement.from_json(Fields(document, ("agreement",)).object("agreement")))


@dataclass(frozen=True, slots=True)
class Refusal:
    """No, and which check said so."""

    check: str
    text: str
    agreement: str = ""

    def to_json(self) -> Json:
        """The body."""
        return {"check": self.check, "text": self.text, "agreement": self.agreement}

    @classmethod
    def from_json(cls, document: Json) -> "Refusal":
        """Read it."""
        read = Fields(document, ("check", "text", "agreement"))
        return cls(read.name("check"), read.text("text"), read.text("agreement"))


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """An offer is taken back, or nobody wants it any more; with an `agreement`, that one is ended."""

    reason: str
    agreement: str = ""

    def to_json(self) -> Json:
        """The body."""
        return {"reason": self.reason, "agreement": self.agreement}

    @classmethod
    def from_json(cls, document: Json) -> "Withdrawal":
        """Read it."""
        read = Fields(document, ("reason", "agreement"))
        return cls(read.text("reason"), read.text("agreement"))


class Action(StrEnum):
    """What an order wants done (TMF622's words)."""

    ADD = "add"
    MODIFY = "modify"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Order:
    """What OSS is to do, and the agreement that it rests on with its parent, so that the chain can be seen to hold."""

    action: Action
    agreement: Agreement
    parent: Agreement | None = None

    def to_json(self) -> Json:
        """The body."""
        parent = self.parent.to_json() if self.parent else None
        return {"action": self.action.value, "agreement": self.agreement.to_json(), "parent": parent}

    @classmethod
    def from_json(cls, document: Json) -> "Order":
        """Read it."""
        read = Fields(document, ("action", "agreement", "parent"))
        parent = None if document["parent"] is None else Agreement.from_json(read.object("parent"))
        return cls(read.word("action", Action), Agreement.from_json(read.object("agreement")), parent)


class Finding(StrEnum):
    """What a report tells."""

    PROVISIONED = "provisioned"
    TERMINATED = "terminated"
    FAILED = "failed"
    PREDICTED_BREACH = "predicted breach"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Report:
    """How an agreement fares. `axis` is the one at risk, `avoid` the links that it is about."""

    finding: Finding
    agreement: str
    """Its root."""
    text: str
    issue: str = ""
    service: str = ""
    """Names the consumer's service; the same through every change in place."""
    axis: str = ""
    avoid: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """The body."""
        return {
            "finding": self.finding.value,
            "agreement": self.agreement,
            "text": self.text,
            "issue": self.issue,
            "service": self.service,
            "axis": self.axis,
            "avoid": list(self.avoid),
        }

    @classmethod
    def from_json(cls, document: Json) -> "Report":
        """Read it."""
        read = Fields(document, ("finding", "agreement", "text", "issue", "service", "axis", "avoid"))
        return cls(
            read.word("finding", Finding),
            read.name("agreement"),
            read.text("text"),
            read.text("issue"),
            read.text("service"),
            read.text("axis"),
            read.list("avoid", read_name),
        )


Body = (
    Proposal
    | Feasibility
    | Offers
    | CounterRequest
    | Acceptance
    | Countersigned
    | Refusal
    | Withdrawal
    | Order
    | Report
)
