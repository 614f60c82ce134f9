"""Owns the negotiation plane of one process: its parties side by side, and what doors and jobs can ask of them.

A process may hold all three domains, or one: each is a `House` with its own key and its own part of the log, and they
speak in signed messages either way. Between processes stands `adapters.peer_https`, within one `Lane`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from controller.assurance.breach import Breach
from controller.events import types
from controller.model.errors import AccordError, ConflictError, NotFoundError, NotSupportedError
from controller.negotiation.bss import BssNegotiationAgent
from controller.negotiation.enterprise import EnterprisePolicyAgent, RequirementAgent
from controller.negotiation.market_book import MarketBook
from controller.negotiation.oss import OssAssuranceAgent
from controller.negotiation.records import Dialogue, Standing
from controller.negotiation.request import ServiceRequest
from controller.negotiation.sensitivity_keeping import SensitivityKeeper
from controller.negotiation.strategy import Risk, rest_of, step_back
from controller.ports import Peers
from controller.runtime.negotiation_house import EVENT_PREFIX, House
from controller.runtime.negotiation_network import Market
from controller.runtime.negotiation_snapshot import load_plane, save_plane

Json = Any
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Lane:
    """The way to the parties of this process; what is not here goes `beyond`, where there is such a way."""

    houses: dict[str, House] = field(default_factory=dict)
    beyond: Peers | None = None

    async def deliver(self, party: str, token: str) -> None:
        """Hand a message over; see `Peers`."""
        house = self.houses.get(party)
        if house is not None:
            await house.receive(token)
        elif self.beyond is not None:
            await self.beyond.deliver(party, token)
        else:
            raise NotFoundError(f"there is no party '{party}'", remedy="name it in the settings", path=party)


@dataclass(frozen=True, slots=True)
class Consumer:
    """The consumer's side in this process."""

    house: House
    requirement: RequirementAgent
    policy: EnterprisePolicyAgent


@dataclass(frozen=True, slots=True)
class Business:
    """The operator's business side in this process."""

    house: House
    agent: BssNegotiationAgent
    sensitivity: SensitivityKeeper | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """The operator's network side in this process."""

    house: House
    assurance: OssAssuranceAgent
    market: Market
    book: MarketBook = field(default_factory=MarketBook)
    """What the market has made of each link."""


@dataclass(slots=True)
class Negotiations:
    """Every party of this process."""

    consumers: dict[str, Consumer] = field(default_factory=dict)
    business: Business | None = None
    network: Network | None = None
    _ending: set[tuple[str, str]] = field(default_factory=set)
    """Ends that are being written down, by party and agreement."""
    snapshot_position: int = 0

    def houses(self) -> list[House]:
        """All parties of this process."""
        operator = [each.house for each in (self.business, self.network) if each is not None]
        return [*(consumer.house for consumer in self.consumers.values()), *operator]

    def house(self, party: str) -> House:
        """One; `NotFoundError` names it."""
        for house in self.houses():
            if house.party == party:
                return house
        raise NotFoundError(f"there is no party '{party}' here", path=party)

    def load(self) -> int:
        """Fold the log into every desk, from the snapshot on or reading it once; returns how many records."""
        houses = {house.party: house for house in self.houses()}
        if not houses:
            return 0
        log, book = next(iter(houses.values())).log, self.network.book if self.network else None
        folded, self.snapshot_position = 0, load_plane(log, houses, book)
        for event in log.read(self.snapshot_position):
            if event.type == types.MARKET_MOVED and book is not None:
                book.apply(event.data)
            elif event.type.startswith(EVENT_PREFIX) and (house := houses.get(event.stream.split("/")[1])) is not None:
                try:
                    house.fold(event)
                except AccordError as error:
                    # One record that was stored before it was checked is not to keep all the others from coming back.
                    _log.error("record_not_folded", position=event.position, stream=event.stream, error=str(error))
                else:
                    folded += 1
        return folded

    def save(self, least_events: int = 0) -> bool:
        """Store a snapshot where so much has happened since the last one; False where none was stored."""
        houses = {house.party: house for house in self.houses()}
        log = next(iter(houses.values())).log if houses else None
        if log is None or log.last_position() - self.snapshot_position <= least_events:
            return False
        position = save_plane(log, houses, self.network.book if self.network else None)
        self.snapshot_position = position or self.snapshot_position
        return position > 0

    def resume(self) -> None:
        """Go on where the log ends."""
        for house in self.houses():
            house.resume()

    async def stop(self) -> None:
        """Leave every negotiation where the log says it is."""
        for house in self.houses():
            await house.stop()

    async def idle(self) -> None:
        """Wait until no party has anything under way."""
        while not all(house.is_idle for house in self.houses()):
            for house in self.houses():
                await house.idle()

    # -- the consumer ------------------------------------------------------------------------------------------

    def consumer(self, party: str = "") -> Consumer:
        """One consumer of this process; the only one where none is named."""
        if not self.consumers:
            raise NotSupportedError(
                "this process acts for no consumer",
                remedy="ask the consumer's own daemon, or name it in the file of parties",
            )
        if not party and len(self.consumers) == 1:
            return next(iter(self.consumers.values()))
        if party not in self.consumers:
            raise NotFoundError(f"there is no consumer '{party}' here", path=party)
        return self.consumers[party]

    async def negotiate(self, request: ServiceRequest, *, party: str = "", agreement: str = "") -> str:
        """Declare an intent; the negotiation goes on by itself. Returns its name."""
        consumer = self.consumer(party)
        if agreement:
            consumer.house.desk.standing(agreement)
        subject = consumer.house.new_subject()
        request = replace(request, id=subject, consumer=consumer.house.party)
        await consumer.house.begin(consumer.requirement.declare(subject, request, agreement))
        return subject

    async def change(self, agreement: str, changes: Mapping[str, Any], *, party: str = "") -> str:
        """Open a renegotiation of a live agreement: what is not named stays as it is."""
        consumer = self.consumer(party)
        terms = consumer.house.desk.standing(agreement).terms
        now = consumer.house.clock.now()
        request = replace(rest_of(terms.request, terms, now), **changes)
        return await self.negotiate(request, party=party, agreement=agreement)

    async def terminate(self, agreement: str, reason: str, *, party: str = "") -> str:
        """End an agreement; what is not used up of its money comes back."""
        consumer = self.consumer(party)
        subject = consumer.house.new_subject()
        call = consumer.policy.end(subject, agreement, reason)
        place = (consumer.house.party, agreement)
        if place in self._ending or consumer.house.desk.is_ending(agreement):
            raise ConflictError(f"agreement '{agreement}' is being ended already", path=agreement)
        self._ending.add(place)
        try:
            await consumer.house.begin(call)
        finally:
            self._ending.discard(place)
        return subject

    async def outcome(self, subject: str, *, party: str = "") -> Dialogue:
        """Wait until a negotiation of the consumer is over; the caller bounds the time."""
        return await self.consumer(party).house.over(subject)

    # -- what there is -----------------------------------------------------------------------------------------

    def agreements(self) -> Sequence[Standing]:
        """As the party nearest to the consumer in this process has them."""
        return tuple(self._nearest().desk.agreements.values())

    def standings(self) -> Sequence[Standing]:
        """As `agreements`; none where this process takes no part."""
        return self.agreements() if self.houses() else ()

    def agreement(self, root: str) -> Standing:
        """One, in force or over."""
        found = self._nearest().desk.agreements.get(root)
        if found is None:
            raise NotFoundError(f"there is no agreement '{root}'", remedy="list them: accord agreement list", path=root)
        return found

    def _nearest(self) -> House:
        houses = self.houses()
        if not houses:
            raise NotSupportedError("this process takes no part in negotiations", remedy="set negotiation")
        return houses[0]

    # -- the clockwork -----------------------------------------------------------------------------------------

    async def tick(self) -> None:
        """Offers run out, agreements end, and what nobody bought in time is free again."""
        for house in self.houses():
            await house.tick()
        if self.network is not None:
            self.network.market.run_out(self.network.house.clock.now())
        if self.business is not None:
            await self._end_agreements(self.business)

    async def _end_agreements(self, business: Business) -> None:
        house = business.house
        now = house.clock.now()
        for standing in tuple(house.desk.agreements.values()):
            if standing.is_over or standing.terms.ends > now or house.desk.is_ending(standing.root):
                continue
            call = business.agent.end(house.new_subject(), standing.root, "its time is over")
            await house.begin(call)

    async def watch(self, forecasts: Mapping[str, tuple[Sequence[Breach], Risk]]) -> None:
        """What is forecast of each agreement: steps of its instance, and flags where the guards let one through."""
        network = self.network
        if network is None:
            return
        house, assurance, now = network.house, network.assurance, network.house.clock.now()
        for root, (breaches, risk) in forecasts.items():
            if root not in assurance.loop or assurance.loop.get(root).state.is_final:
                continue
            step = assurance.look(root, breaches, now)
            if step is not None:
                await house.begin(step)
            flag = assurance.flag(root, breaches, risk, now) or self._recovery(network, root, now)
            if flag is not None:
                await house.begin(flag)

    def _recovery(self, network: Network, root: str, now: float) -> Any:
        """A step back, where what was wanted at first can be had again."""
        flag = network.assurance.flag_recovery(root, now)
        if flag is None:
            return None
        terms = network.house.desk.standing(root).terms
        found = network.market.cleared(step_back(terms, now), now, terms.quote.reservation)
        # What the network gives already is worth another way only where that is cheaper.
        better = [one for one in found if not terms.is_wish or one.price_per_hour < terms.quote.price_per_hour]
        return flag if better else None
