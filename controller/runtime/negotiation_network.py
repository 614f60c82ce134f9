"""Owns what OSS agents do outside: price and hold capacity, look at orders, provision through plan, twin, transaction.

Prices come from the market (`negotiation.quote`) over the live TE database; they are made here, where no wallet is ever
seen. Where a quote would run stays in this party's log: what the other side gets of it is a handle that says nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Protocol

from controller.model.errors import AccordError, InvalidInputError, NotFoundError
from controller.negotiation.agreement import Agreement, Terms, refuse_broken_link, verify_agreement
from controller.negotiation.bands import Band
from controller.negotiation.bookings import Booking, Bookings
from controller.negotiation.candidates import Candidate, CandidatePaths
from controller.negotiation.desk import Desk
from controller.negotiation.jose import KeyOf
from controller.negotiation.mesh import Mesh, Window
from controller.negotiation.message_bodies import Action, Feasible, Refusal, Variation
from controller.negotiation.oss import OssNegotiationAgent
from controller.negotiation.quote import Offer, Quote, QuoteCheck, QuoteRefusal, Seller, hold, price
from controller.negotiation.records import Dialogue, Record, ToolCall
from controller.negotiation.request import ServiceRequest
from controller.negotiation.roles import Domain, Tool
from controller.runtime.negotiation_house import Effect
from controller.runtime.negotiation_money import refused
from controller.topology.network import LinkId

Json = Any


_CLEAR = frozenset({Band.BASELINE, Band.MODEST})
"""Bands in which scarcity counts as cleared."""


class Provisioner(Protocol):
    """What turns an agreement into configuration; each of these is one network-wide transaction, or a staged change."""

    async def provision(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        """A new service along these links; says what was done. `AccordError` when it was not, and nothing is left."""
        ...

    async def change(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        """A live service as these terms have it, in place or make-before-break."""
        ...

    async def remove(self, service: str) -> str:
        """The end of a service."""
        ...


class _Detour(CandidatePaths):
    """The candidates of a mesh that keep off some links."""

    def __init__(self, paths: CandidatePaths, avoid: Sequence[str]) -> None:
        self._paths, self._avoid = paths, frozenset(avoid)

    @property
    def network(self) -> Any:
        """The network the paths are in."""
        return self._paths.network

    def between(self, a: Any, z: Any) -> tuple[Candidate, ...]:
        """As without the detour, less those that take one of the links."""
        return tuple(one for one in self._paths.between(a, z) if not self._avoid & set(one.path.link_ids))


@dataclass(slots=True)
class Market:
    """Prices requests, and counts in its windows what is booked."""

    seller: Seller
    is_sold_out: Callable[[Mesh, ServiceRequest, str, float], bool] = lambda *_: False
    """Whether a tier has nothing left for a request that its links do not tell, such as ports; also told what it is
    instead of."""

    def find(self, variation: Variation, now: float, instead_of: str = "") -> tuple[Offer, ...] | QuoteRefusal:
        """Offers for one variation, held until they run out.

        `instead_of`: the reservation of the running agreement that is to be changed; what it has is its own.
        """
        found = self._priced(variation.request, now, instead_of, variation.avoid)
        if isinstance(found, QuoteRefusal):
            return found
        for offer in found:
            hold(offer, now)
        return found

    def prices(self, request: ServiceRequest, now: float, instead_of: str = "") -> tuple[Quote, ...] | QuoteRefusal:
        """What it would cost now; nothing is held, so nothing binds."""
        found = self._priced(request, now, instead_of)
        return found if isinstance(found, QuoteRefusal) else tuple(offer.quote for offer in found)

    def cleared(self, variation: Variation, now: float, instead_of: str = "") -> tuple[Quote, ...]:
        """Offers as they are now that no scarcity makes dear; nothing is held."""
        found = self.prices(variation.request, now, instead_of)
        if isinstance(found, QuoteRefusal):
            return ()
        return tuple(quote for quote in found if set(quote.bands.values()) <= _CLEAR)

    def _priced(
        self, request: ServiceRequest, now: float, instead_of: str, avoid: Sequence[str] = ()
    ) -> tuple[Offer, ...] | QuoteRefusal:
        asked = [mesh for mesh in self.seller.meshes if request.tier in {None, mesh.tier}]
        left = [mesh for mesh in asked if not self.is_sold_out(mesh, request, instead_of, now)]
        if asked and not left:
            return QuoteRefusal(QuoteCheck.WITHDRAWN, f"no light is left from {request.a} to {request.z}")
        meshes = tuple(_around(mesh, avoid) for mesh in left) if avoid else tuple(left)
        return price(request, replace(self.seller, meshes=meshes), now, instead_of)

    def keep(self, booking: Booking, now: float) -> None:
        """It is being provisioned: it does not run out on the way, and counts again where it had."""
        for mesh, window in self._windows(booking):
            if booking.reservation in window.holdings.open:
                window.holdings.keep(booking.reservation)
            elif booking.reservation not in window.holdings.sold:
                self._hold(replace(booking, valid_until=inf), mesh, window, now)

    def buy(self, booking: Booking) -> None:
        """It runs: the TE database has it from now on, as the service's pair of tunnels."""
        for mesh, window in self._windows(booking):
            if booking.reservation in window.holdings.open:
                window.buy(booking.reservation, booking.names)
            elif (holding := booking.holding(self.seller.catalogue, mesh.paths.network)) is not None:
                window.holdings.restore(holding, booking.names)

    def restore(self, bookings: Iterable[Booking], now: float) -> None:
        """Count again what was booked, where the windows are new."""
        for booking in bookings:
            if booking.service:
                self.buy(booking)
            elif booking.valid_until > now:
                for mesh, window in self._windows(booking):
                    self._hold(booking, mesh, window, now)

    def _hold(self, booking: Booking, mesh: Mesh, window: Window, now: float) -> None:
        holding = booking.holding(self.seller.catalogue, mesh.paths.network)
        if holding is not None and booking.reservation not in window.holdings.open:
            window.hold(replace(holding, own=window.holdings.own(booking.instead_of)), now)

    def _windows(self, booking: Booking) -> Iterator[tuple[Mesh, Window]]:
        for mesh in self.seller.meshes:
            if mesh.tier is booking.tier:
                for window in mesh.windows_of(booking.start, booking.duration_seconds):
                    yield mesh, window

    def give_back(self, reservation: str) -> None:
        """Nobody wants it, or it has ended."""
        for mesh in self.seller.meshes:
            for window in mesh.windows:
                if reservation in window.holdings.open:
                    window.holdings.give_back(reservation)
                window.holdings.end(reservation)

    def run_out(self, now: float) -> None:
        """Forget what nobody bought in time."""
        for mesh in self.seller.meshes:
            for window in mesh.windows:
                window.holdings.run_out(now)


def _around(mesh: Mesh, avoid: Sequence[str]) -> Mesh:
    return replace(mesh, paths=_Detour(mesh.paths, avoid))


@dataclass(slots=True)
class NetworkTools:
    """The tools of OSS, and where each quote would run."""

    desk: Desk
    key_of: KeyOf
    market: Market
    provisioner: Provisioner
    orders: OssNegotiationAgent
    domain_of: Mapping[str, Domain]
    bookings: Bookings = field(default_factory=Bookings)
    has_vpn: Callable[[str, str], bool] = lambda _consumer, _vpn: True
    """Whether a consumer has an L3VPN service of that name to be carried."""

    @property
    def links(self) -> Mapping[str, tuple[LinkId, ...]]:
        """Where what was offered or agreed runs, by reservation."""
        return self.bookings.links

    def effects(self) -> Mapping[Tool, Effect]:
        """By tool."""
        return {
            Tool.FIND_OFFERS: self.find,
            Tool.VALIDATE_ORDER: self.validate,
            Tool.PROVISION: self.provision,
            Tool.FREE_CAPACITY: self.free,
        }

    def apply(self, record: Record) -> None:
        """Fold what is booked, so that an order after a restart still finds its path."""
        self.bookings.apply(record, self.desk.dialogue(record.subject))

    def to_json(self) -> Json:
        """What is booked, for a snapshot."""
        return self.bookings.to_json()

    def load_json(self, document: Json) -> None:
        """Put back what `to_json` gave."""
        self.bookings.load_json(document)

    async def find(self, call: ToolCall, _dialogue: Dialogue, now: float) -> Json:
        """Offers for each variation, and where they run; no offer says why."""
        found: list[Json] = []
        paths: dict[str, list[str]] = {}
        reasons: list[str] = []
        own = self._own(call.arguments["agreement"])
        for document in call.arguments["variations"]:
            variation = Variation.from_json(document)
            consumer, vpn = variation.request.consumer, variation.request.vpn
            if vpn and not self.has_vpn(consumer, vpn):
                reasons.append(f"vpn: '{consumer}' has no VPN '{vpn}'")
                continue
            if self.orders.refuses_vpn(variation.request):
                reasons.append(f"vpn: VPN '{vpn}' is carried for another consumer")
                continue
            answer = self.market.find(variation, now, own)
            if isinstance(answer, QuoteRefusal):
                reasons.append(f"{variation.strategy}: {answer.check}: {answer.text}")
                continue
            for offer in answer:
                paths[offer.quote.reservation] = [str(link) for link in offer.path.path.link_ids]
                found.append(Feasible(variation.strategy, variation.request, offer.quote).to_json())
        reason = "" if found else "; ".join(reasons)[:900]
        return {"found": found, "paths": paths, "reason": reason, "instead_of": own}

    def _own(self, agreement: str) -> str:
        """The reservation of a running agreement; empty where none is to be changed."""
        standing = self.desk.agreements.get(agreement)
        return "" if standing is None or standing.is_over else standing.terms.quote.reservation

    async def validate(self, call: ToolCall, dialogue: Dialogue, now: float) -> Json:
        """Signatures, the link to the parent, and what is under way already."""
        agreement = Agreement.from_json(call.arguments["agreement"])
        said = call.arguments["parent"]
        parent = None if said is None else Agreement.from_json(said)
        try:
            verify_agreement(agreement, self.key_of)
            if dialogue.action is not Action.DELETE:
                refuse_broken_link(parent, agreement.terms)
                _refuse_past(agreement.terms, now)
            if agreement.terms.provider != dialogue.other:
                raise NotFoundError(f"'{dialogue.other}' orders what '{agreement.terms.provider}' has signed")
            _refuse_sides(agreement.terms, self.domain_of)
        except AccordError as error:
            return refused("agreement", error.message)
        against = self.orders.refusal_of(dialogue)
        if against is None and dialogue.action is not Action.DELETE:
            held = agreement.terms.quote.reservation
            against = None if self.bookings.find(held) else Refusal("reservation", f"nothing was held as '{held}'")
        return {} if against is None else refused(against.check, against.text)

    async def provision(self, _call: ToolCall, dialogue: Dialogue, now: float) -> Json:
        """Plan, twin proof, transaction; what was held for the other offers is free again."""
        terms = dialogue.terms
        service = service_name(terms.root)
        held = terms.quote.reservation
        others = [name for name in dialogue.held if name != held]
        try:
            done = await self._carry_out(service, dialogue, terms, now)
        except AccordError as error:
            gone = () if dialogue.action is Action.DELETE else (*others, held)
            for name in gone:
                self.market.give_back(name)
            return refused("provisioning", str(error)[:900])
        for name in others:
            self.market.give_back(name)
        return {"service": service, "done": done}

    async def _carry_out(self, service: str, dialogue: Dialogue, terms: Terms, now: float) -> str:
        held = terms.quote.reservation
        if dialogue.action is Action.DELETE:
            done = await self.provisioner.remove(service)
            self.market.give_back(held)
            return done
        booking = self.bookings.find(held)
        if booking is None:
            raise NotFoundError(f"nothing is held as '{held}' any more", remedy="ask for another quote", path=held)
        self.market.keep(booking, now)
        if dialogue.action is Action.ADD:
            done = await self.provisioner.provision(service, terms, booking.links)
        else:
            before = self.desk.standing(terms.root).terms.quote.reservation
            done = await self.provisioner.change(service, terms, booking.links)
            self.market.give_back(before)
        self.market.buy(replace(booking, service=service))
        return done

    async def free(self, call: ToolCall, _dialogue: Dialogue, _now: float) -> Json:
        """What was held for offers that nobody took."""
        for name in call.arguments["holds"]:
            self.market.give_back(name)
        return {"freed": call.arguments["holds"]}


def _refuse_past(terms: Terms, now: float) -> None:
    """An order may come late; what it is for is then not sold any more."""
    if terms.ends <= now:
        raise InvalidInputError(f"the time of agreement '{terms.id}' is over")


def _refuse_sides(terms: Terms, domain_of: Mapping[str, Domain]) -> None:
    """Who sells is the operator's business side, and who buys is a consumer: nobody sells to itself."""
    for party, domain in ((terms.provider, Domain.BSS), (terms.consumer, Domain.ENTERPRISE)):
        if domain_of.get(party) is not domain:
            raise InvalidInputError(f"'{party}' is no party of domain '{domain}'")


def service_name(root: str) -> str:
    """The name of the service of an agreement in the network: the same through every re-issue."""
    return f"naas-{root.removeprefix('agr-')}"[:40]
