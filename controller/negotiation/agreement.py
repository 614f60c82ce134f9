"""Owns the agreement: terms that both sides have signed, and the chain of its re-issues from the first one on.

Draft naas-agentic-negotiation, Closed-Loop Renegotiation: each re-issue carries the identifier of its root and of its
parent, and the parent's hash, so that an audit joins them. A signature is a token (`jose`) over the canonical terms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from hashlib import sha256
from typing import Any

from controller.model.errors import InvalidInputError
from controller.model.money import Money
from controller.model.units import BitRate, Duration
from controller.negotiation.fields import Fields
from controller.negotiation.jose import KeyOf, SigningKey, TokenRefusedError, sign, verify
from controller.negotiation.quote import Quote
from controller.negotiation.request import ServiceRequest
from controller.negotiation.strict_json import canonical
from controller.negotiation.wallet import ServiceLevelFloor

Json = Any
KIND = "accord-agreement+jwt"
_MOST_OCTETS = 65_536


class Strategy(StrEnum):
    """How terms came about."""

    AS_ASKED = "as asked"
    STEP_UP = "step up"
    """A better grade on the axis that is at risk."""
    REROUTE = "reroute"
    """The same grades another way."""
    STEP_DOWN = "step down"
    """A lesser grade for less money."""
    TIME_SHIFT = "time shift"
    """The same in a quieter window."""
    STEP_BACK = "step back"
    """What was asked at first, now that scarcity has cleared."""


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """What is promised. Whole units, so that it has one form; a latency of None is none promised."""

    tier: str
    bit_rate: int
    latency_microseconds: int | None
    availability_ppm: int

    def to_json(self) -> Json:
        """The form that is signed."""
        return {
            "tier": self.tier,
            "bit_rate": self.bit_rate,
            "latency_microseconds": self.latency_microseconds,
            "availability_ppm": self.availability_ppm,
        }

    @property
    def as_floor(self) -> ServiceLevelFloor:
        """The same in the words of a wallet's floor."""
        late = self.latency_microseconds
        return ServiceLevelFloor(
            BitRate(self.bit_rate),
            None if late is None else Duration(late),
            Fraction(self.availability_ppm, 1_000_000),
        )

    @classmethod
    def from_json(cls, document: Json) -> "ServiceLevel":
        """Read it."""
        read = Fields(document, ("tier", "bit_rate", "latency_microseconds", "availability_ppm"))
        is_promised = document["latency_microseconds"] is not None
        return cls(
            read.name("tier"),
            read.whole("bit_rate"),
            read.whole("latency_microseconds") if is_promised else None,
            read.whole("availability_ppm", 1_000_000),
        )


@dataclass(frozen=True, slots=True)
class Terms:
    """What is agreed, before anybody has signed. Both sides compute the same bytes of it."""

    id: str
    """Of this issue; that of the first is the root."""
    root: str
    consumer: str
    provider: str
    wallet: str
    """The wallet's root, which every debit is counted against."""
    strategy: Strategy
    asked: ServiceRequest
    """What the consumer wanted at first, and is to have again when it can be had."""
    request: ServiceRequest
    """What these terms satisfy."""
    level: ServiceLevel
    quote: Quote
    amount: Money
    """What is to be reserved on top of what the parent holds; never below zero."""
    parent: str = ""
    parent_hash: str = ""

    def to_json(self) -> Json:
        """The form that is signed."""
        return {
            "id": self.id,
            "root": self.root,
            "parent": self.parent,
            "parent_hash": self.parent_hash,
            "consumer": self.consumer,
            "provider": self.provider,
            "wallet": self.wallet,
            "strategy": self.strategy.value,
            "asked": self.asked.to_json(),
            "request": self.request.to_json(),
            "level": self.level.to_json(),
            "quote": self.quote.to_json(),
            "amount": self.amount.to_json(),
        }

    @classmethod
    def from_json(cls, document: Json) -> "Terms":
        """Read them; `InvalidInputError` names what is not as it should be."""
        read = Fields(document, _TERMS)
        return cls(
            id=read.name("id"),
            root=read.name("root"),
            parent=read.text("parent"),
            parent_hash=read.text("parent_hash"),
            consumer=read.name("consumer"),
            provider=read.name("provider"),
            wallet=read.name("wallet"),
            strategy=read.word("strategy", Strategy),
            asked=ServiceRequest.from_json(read.object("asked")),
            request=ServiceRequest.from_json(read.object("request")),
            level=ServiceLevel.from_json(read.object("level")),
            quote=Quote.from_json(read.object("quote")),
            amount=Money.from_json(read.object("amount")),
        )

    @property
    def bytes(self) -> bytes:
        """What is signed."""
        return canonical(self.to_json())

    @property
    def digest(self) -> str:
        """Names these terms; what the holder's proof of possession is bound to."""
        return sha256(self.bytes).hexdigest()

    @property
    def is_wish(self) -> bool:
        """Whether they satisfy the level that was wanted at first, from whenever on."""
        wanted, given = self.asked, self.request
        return (wanted.bandwidth, wanted.latency_seconds, wanted.availability, wanted.tier) == (
            given.bandwidth,
            given.latency_seconds,
            given.availability,
            given.tier,
        )

    @property
    def is_as_asked(self) -> bool:
        """Whether they do so the way it was first given."""
        return self.is_wish and self.strategy in {Strategy.AS_ASKED, Strategy.STEP_BACK}

    @property
    def ends(self) -> float:
        """When the service is over, in UTC seconds."""
        return self.request.start + self.request.duration_seconds


_TERMS = (
    "id",
    "root",
    "parent",
    "parent_hash",
    "consumer",
    "provider",
    "wallet",
    "strategy",
    "asked",
    "request",
    "level",
    "quote",
    "amount",
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Terms with both signatures: machine-readable, and proof against either side."""

    terms: Terms
    consumer_signature: str
    provider_signature: str

    def to_json(self) -> Json:
        """The form on the wire and in the log."""
        return {
            "terms": self.terms.to_json(),
            "consumer_signature": self.consumer_signature,
            "provider_signature": self.provider_signature,
        }

    @classmethod
    def from_json(cls, document: Json) -> "Agreement":
        """Read it; the signatures are verified by `verify_agreement`."""
        read = Fields(document, ("terms", "consumer_signature", "provider_signature"))
        return cls(
            Terms.from_json(read.object("terms")),
            read.text("consumer_signature", _MOST_OCTETS),
            read.text("provider_signature", _MOST_OCTETS),
        )

    @property
    def id(self) -> str:
        """Of this issue."""
        return self.terms.id

    @property
    def root(self) -> str:
        """Of every issue of it."""
        return self.terms.root

    @property
    def hash(self) -> str:
        """What a re-issue names as its parent's."""
        return sha256(canonical(self.to_json())).hexdigest()


def sign_terms(terms: Terms, key: SigningKey) -> str:
    """One side's signature."""
    return sign(terms.bytes, key, kind=KIND)


def party_of(key_id: str) -> str:
    """Whose key it is: what stands before the fragment."""
    return key_id.partition("#")[0]


def verify_signature(terms: Terms, signature: str, party: str, key_of: KeyOf) -> None:
    """`InvalidInputError` unless the party has signed exactly these terms."""
    verified = verify(signature, key_of, kind=KIND, max_octets=_MOST_OCTETS)
    if party_of(verified.key_id) != party:
        raise TokenRefusedError(f"agreement '{terms.id}' is signed by '{verified.key_id}' instead of '{party}'")
    if verified.payload != terms.bytes:
        raise TokenRefusedError(f"what '{party}' signed is not what agreement '{terms.id}' says")


def verify_agreement(agreement: Agreement, key_of: KeyOf) -> None:
    """`InvalidInputError` unless both sides have signed these terms."""
    terms = agreement.terms
    verify_signature(terms, agreement.consumer_signature, terms.consumer, key_of)
    verify_signature(terms, agreement.provider_signature, terms.provider, key_of)


def verify_chain(issues: Sequence[Agreement], key_of: KeyOf) -> None:
    """`InvalidInputError` unless the issues, oldest first, are one unbroken chain of signed agreements."""
    parent: Agreement | None = None
    for issue in issues:
        verify_agreement(issue, key_of)
        refuse_broken_link(parent, issue.terms)
        parent = issue


def refuse_broken_link(parent: Agreement | None, terms: Terms) -> None:
    """`InvalidInputError` unless the terms follow their parent; the first of a chain follows nothing."""
    named: Mapping[str, tuple[str, str]] = (
        {"root": (terms.root, terms.id), "parent": (terms.parent, ""), "parent_hash": (terms.parent_hash, "")}
        if parent is None
        else {
            "root": (terms.root, parent.root),
            "parent": (terms.parent, parent.id),
            "parent_hash": (terms.parent_hash, parent.hash),
            "consumer": (terms.consumer, parent.terms.consumer),
            "provider": (terms.provider, parent.terms.provider),
            "wallet": (terms.wallet, parent.terms.wallet),
        }
    )
    for name, (found, wanted) in named.items():
        if found != wanted:
            raise InvalidInputError(
                f"agreement '{terms.id}' says {name} '{found}' where '{wanted}' belongs", path=f"{terms.id}/{name}"
            )
