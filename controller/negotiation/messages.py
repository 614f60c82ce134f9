"""Owns the vocabulary in which domains negotiate: nine kinds of message, who says which to whom, and how they are read.

ETSI GS ZSM 011 and 016: proposal, feasibility, counter-offer, acceptance; refusal, withdrawal, and what NaaS adds:
quote, order, report. A message is one signed token (`jose`, kind `accord-message+jwt`), correlated with its
negotiation, expiring, and idempotent by its id. What does not pass every check is refused with the name of the check.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import orjson

from controller.model.errors import InvalidInputError
from controller.negotiation.agreement import party_of
from controller.negotiation.fields import Fields
from controller.negotiation.jose import Fault, KeyOf, SigningKey, TokenRefusedError, decode, sign, verify
from controller.negotiation.message_bodies import (
    Acceptance,
    Body,
    CounterRequest,
    Countersigned,
    Feasibility,
    Offers,
    Order,
    Proposal,
    Refusal,
    Report,
    Withdrawal,
)
from controller.negotiation.roles import Domain, Role
from controller.negotiation.strict_json import canonical, read_object

Json = Any
KIND = "accord-message+jwt"
MOST_OCTETS = 262_144
CLOCK_SKEW_SECONDS = 60.0
LIFETIME_SECONDS = 300.0
"""Of a message that says nothing else."""
LONGEST_SECONDS = 3_600.0
"""Nothing is good for longer: what is heard is known again for at least that long."""
GONE_SECONDS = LONGEST_SECONDS + 2 * CLOCK_SKEW_SECONDS
"""After that, nothing that was said is taken any more."""


class MessageKind(StrEnum):
    """What can be said."""

    PROPOSAL = "proposal"
    FEASIBILITY = "feasibility"
    QUOTE = "quote"
    COUNTER_OFFER = "counter-offer"
    ACCEPTANCE = "acceptance"
    REFUSAL = "refusal"
    WITHDRAWAL = "withdrawal"
    ORDER = "order"
    REPORT = "report"


class MessageCheck(StrEnum):
    """Why a message is turned away, in the order in which it is looked at."""

    SIZE = "size"
    HEADER = "header"
    KEY = "key"
    SIGNATURE = "signature"
    PAYLOAD = "payload"
    VOCABULARY = "vocabulary"
    SENDER = "sender"
    RECIPIENT = "recipient"
    CLOCK = "clock"
    EXPIRY = "expiry"
    IDENTITY = "identity"
    """The id was used for another message."""
    TURN = "turn"
    """It does not follow what was said before."""


_K, _R = MessageKind, Role
ROUTES: Mapping[tuple[MessageKind, Role], frozenset[Role]] = MappingProxyType(
    {
        (_K.PROPOSAL, _R.ENTERPRISE_POLICY): frozenset({_R.BSS_POLICY}),
        (_K.QUOTE, _R.BSS_NEGOTIATION): frozenset({_R.ENTERPRISE_POLICY}),
        (_K.COUNTER_OFFER, _R.ENTERPRISE_POLICY): frozenset({_R.BSS_NEGOTIATION}),
        (_K.COUNTER_OFFER, _R.BSS_NEGOTIATION): frozenset({_R.ENTERPRISE_POLICY}),
        (_K.ACCEPTANCE, _R.ENTERPRISE_POLICY): frozenset({_R.BSS_NEGOTIATION}),
        (_K.ACCEPTANCE, _R.BSS_NEGOTIATION): frozenset({_R.ENTERPRISE_POLICY}),
        (_K.REFUSAL, _R.ENTERPRISE_POLICY): frozenset({_R.BSS_NEGOTIATION}),
        (_K.REFUSAL, _R.BSS_POLICY): frozenset({_R.ENTERPRISE_POLICY}),
        (_K.REFUSAL, _R.BSS_NEGOTIATION): frozenset({_R.ENTERPRISE_POLICY, _R.OSS_ASSURANCE}),
        (_K.REFUSAL, _R.OSS_PLANNING): frozenset({_R.BSS_NEGOTIATION}),
        (_K.REFUSAL, _R.OSS_NEGOTIATION): frozenset({_R.BSS_NEGOTIATION}),
        (_K.WITHDRAWAL, _R.ENTERPRISE_POLICY): frozenset({_R.BSS_NEGOTIATION}),
        (_K.WITHDRAWAL, _R.BSS_NEGOTIATION): frozenset({_R.ENTERPRISE_POLICY, _R.OSS_PLANNING}),
        (_K.FEASIBILITY, _R.BSS_NEGOTIATION): frozenset({_R.OSS_PLANNING}),
        (_K.FEASIBILITY, _R.OSS_PLANNING): frozenset({_R.BSS_NEGOTIATION}),
        (_K.ORDER, _R.BSS_NEGOTIATION): frozenset({_R.OSS_NEGOTIATION}),
        (_K.REPORT, _R.OSS_PLANNING): frozenset({_R.BSS_NEGOTIATION}),
        (_K.REPORT, _R.OSS_ASSURANCE): frozenset({_R.BSS_NEGOTIATION}),
        (_K.REPORT, _R.BSS_NEGOTIATION): frozenset({_R.ENTERPRISE_POLICY}),
    }
)
"""Who says what to whom; nothing else is understood."""


_READERS: Mapping[tuple[MessageKind, Domain], Callable[[Json], Body]] = {
    (_K.PROPOSAL, Domain.ENTERPRISE): Proposal.from_json,
    (_K.QUOTE, Domain.BSS): Offers.from_json,
    (_K.COUNTER_OFFER, Domain.BSS): Offers.from_json,
    (_K.COUNTER_OFFER, Domain.ENTERPRISE): CounterRequest.from_json,
    (_K.ACCEPTANCE, Domain.ENTERPRISE): Acceptance.from_json,
    (_K.ACCEPTANCE, Domain.BSS): Countersigned.from_json,
    (_K.FEASIBILITY, Domain.BSS): Feasibility.from_json,
    (_K.FEASIBILITY, Domain.OSS): Feasibility.from_json,
    (_K.ORDER, Domain.BSS): Order.from_json,
    **{(_K.REFUSAL, domain): Refusal.from_json for domain in Domain},
    **{(_K.WITHDRAWAL, domain): Withdrawal.from_json for domain in Domain},
    **{(_K.REPORT, domain): Report.from_json for domain in Domain},
}
"""By the kind and the domain that says it."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What an agent wants said: to which agent of which party (empty: the usual one of that domain)."""

    kind: MessageKind
    sender: Role
    recipient: Role
    body: Body
    party: str = ""
    lifetime_seconds: float = LIFETIME_SECONDS


@dataclass(frozen=True, slots=True)
class Message:
    """One message, read or about to be signed. Parties are names of organisations' domains; times in UTC seconds."""

    id: str
    kind: MessageKind
    correlation: str
    sender: Role
    sender_party: str
    recipient: Role
    recipient_party: str
    sent: float
    expires: float
    body: Body

    def to_json(self) -> Json:
        """What is signed."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "correlation": self.correlation,
            "sender": self.sender.value,
            "sender_party": self.sender_party,
            "recipient": self.recipient.value,
            "recipient_party": self.recipient_party,
            "sent": self.sent,
            "expires": self.expires,
            "body": self.body.to_json(),
        }

    @classmethod
    def from_json(cls, document: Json) -> "Message":
        """Read one, from a log or behind its signature."""
        read = Fields(document, _MESSAGE)
        kind, sender = read.word("kind", MessageKind), read.word("sender", Role)
        recipient = read.word("recipient", Role)
        reader = _READERS.get((kind, sender.domain))
        if reader is None or recipient not in ROUTES.get((kind, sender), frozenset()):
            raise InvalidInputError(f"'{sender}' says no {kind} to '{recipient}'", path="kind")
        return cls(
            read.name("id"),
            kind,
            read.name("correlation"),
            sender,
            read.name("sender_party"),
            recipient,
            read.name("recipient_party"),
            read.time("sent"),
            read.time("expires"),
            reader(read.object("body")),
        )


_MESSAGE = (
    "id",
    "kind",
    "correlation",
    "sender",
    "sender_party",
    "recipient",
    "recipient_party",
    "sent",
    "expires",
    "body",
)


@dataclass(slots=True, eq=False)
class MessageRefusedError(InvalidInputError):
    """A message that is turned away; `check` says at which check, `signer` who has signed it, once that is known."""

    check: MessageCheck = MessageCheck.VOCABULARY
    signer: str = ""


def seal(message: Message, key: SigningKey) -> str:
    """The token on the wire."""
    return sign(canonical(message.to_json()), key, kind=KIND)


def opened(token: str) -> Message:
    """A message of our own, read again."""
    return Message.from_json(read_object(decode(token.split(".")[1])))


def expires(token: str) -> float:
    """When a message of our own is too late, in UTC seconds."""
    said: float = read_object(decode(token.split(".")[1]))["expires"]
    return said


def reseal(token: str, key: SigningKey, now: float) -> str:
    """A message of our own, said again now: it may have been lost. Whoever has heard it knows it by its gist."""
    said = opened(token)
    return seal(replace(said, sent=now, expires=now + said.expires - said.sent), key)


def gist_of(message: Message) -> str:
    """Names what a message says, whenever it is said."""
    said = {name: value for name, value in message.to_json().items() if name not in {"sent", "expires"}}
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def digest_of(token: str) -> str:
    """Names a token in a record without keeping it."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def unseal(token: str, key_of: KeyOf, party: str, now: float) -> Message:
    """The message in a token; `MessageRefusedError` names the first check that it does not pass."""
    try:
        verified = verify(token, key_of, kind=KIND, max_octets=MOST_OCTETS)
    except TokenRefusedError as error:
        raise MessageRefusedError(error.message, check=_CHECKS[error.fault]) from error
    signer = party_of(verified.key_id)
    try:
        message = Message.from_json(verified.document)
        _refuse_misdirected(message, signer, party)
        _refuse_untimely(message, now)
    except MessageRefusedError as error:
        error.signer = signer
        raise
    except InvalidInputError as error:
        raise MessageRefusedError(str(error), check=MessageCheck.VOCABULARY, signer=signer) from error
    return message


_CHECKS = {fault: MessageCheck(fault.value) for fault in Fault}


def _refuse_misdirected(message: Message, signer: str, party: str) -> None:
    if message.sender_party != signer:
        raise MessageRefusedError(
            f"it says that it is from '{message.sender_party}' and is signed by '{signer}'", check=MessageCheck.SENDER
        )
    if message.recipient_party != party:
        raise MessageRefusedError(
            f"it is for '{message.recipient_party}', this is '{party}'", check=MessageCheck.RECIPIENT
        )


def _refuse_untimely(message: Message, now: float) -> None:
    if message.sent > now + CLOCK_SKEW_SECONDS or message.expires < message.sent:
        raise MessageRefusedError(
            f"it was sent {message.sent - now:.0f} s from now", remedy="set the clocks", check=MessageCheck.CLOCK
        )
    if message.expires - message.sent > LONGEST_SECONDS + 1.0:  # a sum of two times is not exact
        raise MessageRefusedError(
            f"it would be good for longer than {LONGEST_SECONDS:.0f} s", check=MessageCheck.EXPIRY
        )
    if message.expires + CLOCK_SKEW_SECONDS < now:
        raise MessageRefusedError(f"it expired {now - message.expires:.0f} s ago", check=MessageCheck.EXPIRY)
