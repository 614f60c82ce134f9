"""A consumer who means harm, beside an honest one at the same operator: it buys, and it lies about everything."""

from random import Random
from typing import Any

from controller.model.units import BitRate
from controller.negotiation import credential
from controller.negotiation.credential import StatusEntry
from controller.negotiation.desk import Desk
from controller.negotiation.enterprise import Purse
from controller.negotiation.jose import SigningKey
from controller.negotiation.message_bodies import (
    Acceptance,
    Action,
    Body,
    CounterRequest,
    Countersigned,
    Feasibility,
    Finding,
    Offers,
    Order,
    Proposal,
    Refusal,
    Report,
    Withdrawal,
)
from controller.negotiation.messages import ROUTES, Message, MessageKind, MessageRefusedError, seal
from controller.negotiation.request import ServiceRequest
from controller.negotiation.roles import Domain, Role
from controller.negotiation.standing_to_speak import own_name
from controller.negotiation.wallet import Wallet
from controller.runtime.negotiation_holder import HeldWallet
from tests.controller.negotiation_plane import LIST, TERMS, TREASURY, TREASURY_KEY, Plane
from tests.controller.negotiation_samples import (
    CONSUMER,
    RIVAL,
    RIVAL_KEY,
    STRANGER_KEY,
    signed,
    terms,
)

RIVALS_ENVELOPE = f"{TREASURY}/line-8"
_K = MessageKind


def rivals_wallet() -> HeldWallet:
    """As much money as the other has, from the same treasury."""
    wallet = Wallet("urn:uuid:8", RIVALS_ENVELOPE, TREASURY, RIVAL, TERMS)
    return HeldWallet((credential.issue(wallet, TREASURY_KEY, StatusEntry(LIST, 43)),), Purse(RIVALS_ENVELOPE, TERMS))


class ContestedPlane(Plane):
    """The plane with the rival in it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        desk = Desk(Domain.ENTERPRISE)
        consumer = self.consumer(RIVAL, RIVAL_KEY, desk, self.holder(desk, RIVAL_KEY, rivals_wallet()))
        self.negotiations.consumers[RIVAL] = consumer
        self.lane.houses[RIVAL] = consumer.house


class Liar:
    """Says whatever might do harm, well signed, and says again what others said."""

    def __init__(self, draw: Random) -> None:
        self.draw = draw
        self.number = 0
        self.refused = 0

    async def lie(self, plane: Plane, wish: ServiceRequest) -> None:
        """One message to anybody: it is refused by name, or it is the rival's to say."""
        house = self.draw.choice(plane.negotiations.houses())
        token = self._heard(plane) if self.draw.random() < 0.2 else self._made(plane, wish, house.party)
        try:
            await house.receive(token)
        except MessageRefusedError:
            self.refused += 1

    def _heard(self, plane: Plane) -> str:
        said = [token for event in plane.records() for _, token in event.data.get("says", ())]
        token = str(self.draw.choice(said)) if said else "nothing"
        return token if self.draw.random() < 0.7 else token[:-3] + "AAA"

    def _made(self, plane: Plane, wish: ServiceRequest, party: str) -> str:
        self.number += 1
        kind, sender = self.draw.choice(list(ROUTES))
        now = plane.clock.time
        sent = self.draw.choice((now, now, now, now - 10_000, now + 10_000))
        message = Message(
            f"m-lie-{self.number}",
            kind,
            self._name(plane),
            sender,
            RIVAL,
            self.draw.choice(sorted(ROUTES[kind, sender])),
            party,
            sent,
            sent + self.draw.choice((60, 300, 10**6)),
            self._body(plane, wish, kind, sender),
        )
        return seal(message, self._key())

    def _key(self) -> SigningKey:
        return self.draw.choice((RIVAL_KEY,) * 9 + (STRANGER_KEY,))

    def _name(self, plane: Plane) -> str:
        """Its own names most of the time; the others' too, and those that they will use next."""
        known = [id_ for house in plane.negotiations.houses() for id_ in house.desk.dialogues]
        own = own_name(Domain.ENTERPRISE, RIVAL, self.draw.randint(1, 60))
        others = own_name(Domain.ENTERPRISE, CONSUMER, self.draw.randint(1, 60))
        return self.draw.choice([own, own, own, others, f"{self._root(plane)}~1", *known])

    def _root(self, plane: Plane) -> str:
        roots = [root for house in plane.negotiations.houses() for root in house.desk.agreements]
        return self.draw.choice([*roots, "agr-nobodys-01"])

    def _body(self, plane: Plane, wish: ServiceRequest, kind: MessageKind, sender: Role) -> Body:
        root = self._root(plane)
        request = ServiceRequest(
            "lie",
            wish.a,
            self.draw.choice((wish.z, "c")),
            BitRate(self.draw.choice((1, 10**9, 10**15))),
            None,
            0.0,
            self.draw.choice((wish.workload_class, "bulk-transfer", "nothing-we-know")),
            wish.start,
            self.draw.choice((1, 3600, 10**8)),
            self.draw.choice((RIVAL, RIVAL, CONSUMER)),
        )
        told = [event.data["arguments"]["message"]["body"] for event in plane.records("take-in")]
        shown = [one[member] for one in told for member in ("presentation",) if member in one]
        agreed: dict[str, Any] = {"root": root, "consumer": self.draw.choice((RIVAL, CONSUMER))}
        offered = terms(self.draw.choice((root, "agr-lie")), **agreed)
        bodies: dict[MessageKind, Body] = {
            _K.PROPOSAL: Proposal(request, self.draw.choice([*shown, "{}"]), self.draw.choice(("", root))),
            _K.FEASIBILITY: Feasibility(agreement=root),
            _K.QUOTE: Offers((offered,)),
            _K.COUNTER_OFFER: CounterRequest(request) if sender.domain is Domain.ENTERPRISE else Offers((offered,)),
            _K.ACCEPTANCE: Acceptance(root, "signature", self.draw.choice([*shown, "{}"])),
            _K.REFUSAL: Refusal("ledger", "no", root),
            _K.WITHDRAWAL: Withdrawal("no", self.draw.choice(("", root, root))),
            _K.ORDER: Order(self.draw.choice(list(Action)), signed(offered)),
            _K.REPORT: Report(self.draw.choice(list(Finding)), root, "lies"),
        }
        if kind is _K.ACCEPTANCE and sender.domain is Domain.BSS:
            return Countersigned(signed(offered))
        return bodies[kind]
