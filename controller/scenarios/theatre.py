"""Owns the surroundings of a scenario: a network with other people's traffic on it, wallets, a clock that is moved.

Everything that decides is the real thing: agents, messages, wallet verification, ledger, market, forecasts, guards.
What stands in for the world is a network whose links carry fluid loads, booked by a provisioner that keeps to the links
that were priced. A scenario turns topology, traffic, catalogue and wallets, and nothing else.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from controller.adapters.event_log_memory import MemoryEventLog
from controller.assurance.closed_loop import ClosedLoop
from controller.assurance.guards import GuardLimits
from controller.model.errors import ConflictError
from controller.model.identifiers import DeviceName
from controller.model.money import Money
from controller.model.units import BitRate
from controller.negotiation import credential
from controller.negotiation.agreement import Terms, verify_chain
from controller.negotiation.bss import BssNegotiationAgent, BssPolicyAgent
from controller.negotiation.catalogue import Catalogue, Tier
from controller.negotiation.checks import Work
from controller.negotiation.credential import StatusEntry
from controller.negotiation.desk import Desk
from controller.negotiation.enterprise import EnterprisePolicyAgent, Purse, RequirementAgent
from controller.negotiation.jose import PublicKey, SigningKey
from controller.negotiation.ledger_state import LedgerState
from controller.negotiation.mesh import Mesh, expected_loads
from controller.negotiation.oss import OssAssuranceAgent, OssNegotiationAgent, OssPlanningAgent
from controller.negotiation.pricing import MarketPolicy
from controller.negotiation.quote import Seller
from controller.negotiation.records import Dialogue, Record, Standing
from controller.negotiation.request import ServiceRequest
from controller.negotiation.roles import Domain, Role, Tool
from controller.negotiation.status_list import LEAST_BITS, StatusList, read_status_list, revoked, sign_status_list
from controller.negotiation.trust import Trust
from controller.negotiation.verification import Door
from controller.negotiation.wallet import Wallet, WalletTerms
from controller.ports import EventLog
from controller.runtime.negotiation import Business, Consumer, Lane, Negotiations
from controller.runtime.negotiation import Network as NetworkSide
from controller.runtime.negotiation_forecasts import AgreementForecasts
from controller.runtime.negotiation_holder import HeldWallet, HolderTools
from controller.runtime.negotiation_house import House
from controller.runtime.negotiation_market import HORIZONS
from controller.runtime.negotiation_money import BusinessTools, Ledger
from controller.runtime.negotiation_network import Market, NetworkTools
from controller.telemetry.forecast import Forecaster
from controller.topology.network import Link, LinkId, Network, Node, TerminationPoint
from controller.topology.te_database import Measurement, TeDatabase

START = 1_800_000_000.0
TICK_SECONDS = 10.0
CONSUMER, BUSINESS = "did:web:bank.example", "did:web:operator.example:bss"
PLANNING, TREASURY = "did:web:operator.example:oss", "did:web:treasury.example"
LIST = "https://treasury.example/status/1"
ENVELOPE = f"{TREASURY}/trading"
PLACE_OF_WALLET = 42
_PARTIES = (CONSUMER, BUSINESS, PLANNING, TREASURY)
_DOMAINS = {CONSUMER: Domain.ENTERPRISE, BUSINESS: Domain.BSS, PLANNING: Domain.OSS}
_KEYS = {did: SigningKey.of(f"{did}#key-1", bytes([number] * 32)) for number, did in enumerate(_PARTIES, start=1)}
"""Keys of a play: they open nothing outside of it."""
_TRUST = Trust(
    {TREASURY: {_KEYS[TREASURY].id: _KEYS[TREASURY].public}},
    {key.id: key.public for key in _KEYS.values()},
    {LIST: TREASURY},
)
_LIST_SECONDS = 60
_DAY = 86_400
_PATIENCE_SECONDS = 60.0


class PlayClock:
    """Time that a scenario moves."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        """UTC seconds."""
        return self.time

    def monotonic(self) -> float:
        """The same, as nothing sets it back."""
        return self.time


Wire = tuple[str, str, float, float]
"""Two places, the delay between them in milliseconds, the capacity in Gbit/s."""


def network_of(wires: Sequence[Wire]) -> Network:
    """A network of these wires, each with both directions."""
    ports: defaultdict[str, Any] = defaultdict(count)
    places = dict.fromkeys(place for wire in wires for place in wire[:2])
    links = []
    for a, z, milliseconds, gigabits in wires:
        ends = [TerminationPoint(DeviceName(place), f"p{next(ports[place])}") for place in (a, z)]
        rate, delay = BitRate(round(gigabits * 1e9)), milliseconds / 1000
        links += [Link(ends[0], ends[1], rate, delay), Link(ends[1], ends[0], rate, delay)]
    return Network.of([Node(DeviceName(place)) for place in places], links)


@dataclass(slots=True)
class Plant:
    """One tier's network as it is now: who booked what, and what others send."""

    tier: Tier
    database: TeDatabase
    mesh: Mesh
    forecaster: Forecaster
    others: dict[LinkId, float] = field(default_factory=dict)
    """Other people's traffic, in bit/s."""

    def load(self, share: float, *wires: tuple[str, str]) -> None:
        """From now on others fill these wires so far, both ways; no wires: all of them."""
        ends = {frozenset(wire) for wire in wires}
        for link in self.database.network.links.values():
            if not ends or frozenset((link.source.node, link.target.node)) in ends:
                self.others[link.id] = share * link.capacity.bits_per_second

    def carried(self, link: LinkId) -> float:
        """What is sent into a link, in bit/s."""
        return self.others.get(link, 0.0) + self.database.reserved(link).bits_per_second

    def step(self, now: float) -> None:
        """Measure every link, forecast, and let the market look."""
        links = self.database.network.arcs.ids
        sent = [self.carried(link) for link in links]
        capacity = [self.database.capacity(link).bits_per_second for link in links]
        measured = {
            link: Measurement(load=BitRate(round(min(rate, room))))
            for link, rate, room in zip(links, sent, capacity, strict=True)
        }
        self.database = self.database.with_measurements(measured)
        upper = self.forecaster.step(np.array(sent)).upper.max(axis=0)
        loads = np.maximum(np.maximum(upper, 0.0), np.array(sent)).tolist()
        for window in self.mesh.windows:
            window.tick(expected_loads(self.database, window.holdings, loads), now)


@dataclass(slots=True)
class Bookings:
    """Provisions into the networks' books. `refuses` holds the acts that the twin will not prove."""

    plants: Mapping[Tier, Plant]
    services: dict[str, tuple[Terms, tuple[LinkId, ...]]] = field(default_factory=dict)
    refuses: set[str] = field(default_factory=set)
    lost_bits: float = 0.0

    async def provision(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        """Book it."""
        return self._book("provision", service, terms, links)

    async def change(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        """Book the new beside the old, then take the old away: nothing is sent into nowhere."""
        return self._book("change", service, terms, links)

    async def remove(self, service: str) -> str:
        """Take it out of the books."""
        self._refuse("remove", service)
        terms, _ = self.services.pop(service)
        self._free(Tier(terms.level.tier), service)
        return "removed"

    def _book(self, act: str, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        self._refuse(act, service)
        tier = Tier(terms.level.tier)
        before = self.services.get(service)
        plant = self.plants[tier]
        path = plant.database.network.path(links)
        both = plant.database.network.path([link.reverse_id for link in reversed(path.links)])
        if before is not None:
            self._free(Tier(before[0].level.tier), service)
        rate = BitRate(terms.level.bit_rate)
        for name, way in ((service, path), (f"{service}-back", both)):
            plant.database = plant.database.with_reservation(name, way, rate)
        self.services[service] = (terms, tuple(links))
        return f"{tier}: {' > '.join(path.nodes)}"

    def _free(self, tier: Tier, service: str) -> None:
        plant = self.plants[tier]
        for name in (service, f"{service}-back"):
            if name in plant.database.reservations:
                plant.database = plant.database.without_reservation(name)

    def _refuse(self, act: str, service: str) -> None:
        if act in self.refuses:
            raise ConflictError(f"the twin has a packet for which '{service}' does not hold")

    def count_losses(self) -> None:
        """What overfull links dropped of our services since the last look."""
        for terms, links in self.services.values():
            plant = self.plants[Tier(terms.level.tier)]
            over = max(
                1 - plant.database.capacity(link).bits_per_second / max(1.0, plant.carried(link)) for link in links
            )
            self.lost_bits += max(0.0, over) * terms.level.bit_rate * TICK_SECONDS


Tell = Callable[[float, str], None]
"""Told what happens, with the seconds since the beginning."""


@dataclass(slots=True)
class Theatre:
    """A consumer, an operator, their networks: the real plane over played surroundings."""

    wallet: WalletTerms
    wires: Mapping[Tier, Sequence[Wire]]
    catalogue: Catalogue
    policy: MarketPolicy
    tell: Tell = lambda _time, _words: None
    story: Callable[[Record, "Theatre"], str] = lambda _record, _theatre: ""
    clock: PlayClock = field(default_factory=PlayClock)
    ledger: Ledger = field(default_factory=LedgerState)
    log: EventLog | None = None
    """In memory where none is given."""
    work: list[Work] = field(default_factory=list)
    is_revoked: bool = False
    plants: dict[Tier, Plant] = field(init=False)
    bookings: Bookings = field(init=False)
    negotiations: Negotiations = field(init=False)
    holder: HolderTools = field(init=False)
    lane: Lane = field(default_factory=Lane)
    _tools: NetworkTools = field(init=False)
    _forecasts: dict[Tier, AgreementForecasts] = field(init=False)
    _lists: dict[tuple[bool, int], StatusList] = field(default_factory=dict)
    _nonces: "count[int]" = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        """Set the stage."""
        self.log = self.log or MemoryEventLog(clock=self.clock)
        self.plants = {tier: self._plant(tier, wires) for tier, wires in self.wires.items()}
        self._forecasts = {tier: AgreementForecasts(TICK_SECONDS) for tier in self.plants}
        self.bookings = Bookings(self.plants)
        self.negotiations = Negotiations({CONSUMER: self._consumer()}, self._business(), self._network())
        self.lane.houses = {house.party: house for house in self.negotiations.houses()}

    # -- what a scenario turns ---------------------------------------------------------------------------------

    def say(self, words: str) -> None:
        """Something happens in the world outside."""
        self.tell(self.clock.time - START, words)

    def reissue(self, terms: WalletTerms, **changes: Any) -> None:
        """The treasury gives the consumer another paper for the same envelope."""
        self.wallet = terms
        held = self._held(terms, **changes)
        self.holder.wallets = {held.purse.envelope: held}

    async def wait(self, seconds: float) -> None:
        """Time goes by: links are measured, prices move, agreements are watched."""
        until = self.clock.time + seconds
        while self.clock.time < until:
            self.clock.time += TICK_SECONDS
            for plant in self.plants.values():
                plant.step(self.clock.time)
                plant.mesh.paths.renew(plant.database)
            self.bookings.count_losses()
            await self._settled(self._look())

    async def warm_up(self, ticks: int = 40) -> None:
        """What was so for a while before it begins."""
        await self.wait(ticks * TICK_SECONDS)

    async def negotiate(self, request: ServiceRequest, agreement: str = "") -> Dialogue:
        """The consumer's application wants something; what comes of it is between the agents."""
        subject = await self.negotiations.negotiate(request, agreement=agreement)
        return await self._over(subject)

    async def change(self, agreement: str, **changes: Any) -> Dialogue:
        """The consumer's application wants another level for a live agreement."""
        return await self._over(await self.negotiations.change(agreement, changes))

    def wish(self, a: str, z: str, megabits: int, workload_class: str, **more: Any) -> ServiceRequest:
        """A request that begins now."""
        asked = {"latency_seconds": None, "availability": 0.0, "duration_seconds": 7200, **more}
        rate = BitRate(megabits * 1_000_000)
        return ServiceRequest("wish", a, z, rate, workload_class=workload_class, start=self.clock.time, **asked)

    # -- what came of it ---------------------------------------------------------------------------------------

    def standing(self, root: str) -> Standing:
        """An agreement as the consumer has it, its chain verified."""
        found = self.negotiations.agreement(root)
        verify_chain(found.issues, key_of)
        return found

    def route(self, root: str) -> tuple[str, ...]:
        """The places that its service goes through."""
        terms, links = self.bookings.services[self.standing(root).service]
        return tuple(self.plants[Tier(terms.level.tier)].database.network.path(links).nodes)

    @property
    def taken(self) -> Money:
        """What is reserved and committed of the wallet."""
        return Money(self.ledger.taken(ENVELOPE), self.wallet.ceiling.currency)

    def used(self, tool: Tool) -> int:
        """How often a tool was used."""
        return sum(event.type == f"negotiation.{tool}" for event in self._kept.read())

    # -- the parts ---------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        standings = tuple(self._network_side.house.desk.agreements.values())
        for tier, forecasts in self._forecasts.items():
            here = [one for one in standings if one.terms.level.tier == tier.value]
            found = forecasts.look(here, self._tools.links, self.plants[tier].database)
            await self.negotiations.watch(found)
        await self.negotiations.tick()

    async def _over(self, subject: str) -> Dialogue:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            done = await self.negotiations.outcome(subject)
            await self.negotiations.idle()
        return done

    async def _settled(self, work: Any) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await work
            await self.negotiations.idle()

    @property
    def _kept(self) -> EventLog:
        if self.log is None:
            raise ConflictError("the stage is not set")
        return self.log

    @property
    def _network_side(self) -> NetworkSide:
        if self.negotiations.network is None:
            raise ConflictError("the stage is not set")
        return self.negotiations.network

    def _plant(self, tier: Tier, wires: Sequence[Wire]) -> Plant:
        database = TeDatabase(network_of(wires))
        mesh = Mesh.of(tier, database, self.catalogue, self.policy)
        return Plant(tier, database, mesh, Forecaster(len(database.network.arcs.ids), HORIZONS))

    def _house(self, party: str, desk: Desk) -> House:
        return House(
            party=party,
            domain=desk.domain,
            key=_KEYS[party],
            key_of=key_of,
            domain_of=_DOMAINS,
            log=self._kept,
            clock=self.clock,
            peers=self.lane,
            desk=desk,
            agents=(),
        )

    def _consumer(self) -> Consumer:
        desk = Desk(Domain.ENTERPRISE)
        self.holder = HolderTools(desk, _KEYS[CONSUMER], lambda: f"nonce-{next(self._nonces)}")
        self.reissue(self.wallet)
        policy = EnterprisePolicyAgent(desk, self.holder.purse_of)
        house = self._house(CONSUMER, desk)
        house.agents, house.tools = (policy,), self.holder.effects()
        house.followers = (policy, _Storyteller(self, frozenset({Role.ENTERPRISE_POLICY, Role.REQUIREMENT})))
        return Consumer(house, RequirementAgent(BUSINESS), policy)

    def _held(self, terms: WalletTerms, holder: str = CONSUMER, key: SigningKey | None = None) -> HeldWallet:
        paper = Wallet(f"urn:wallet:{next(self._nonces)}", ENVELOPE, TREASURY, holder, terms)
        token = credential.issue(paper, key or _KEYS[TREASURY], StatusEntry(LIST, PLACE_OF_WALLET))
        return HeldWallet((token,), Purse(ENVELOPE, terms))

    def _business(self) -> Business:
        desk = Desk(Domain.BSS)
        agent = BssNegotiationAgent(desk, self.catalogue, BUSINESS, PLANNING)
        house = self._house(BUSINESS, desk)
        house.agents = (BssPolicyAgent(desk), agent)
        house.tools = BusinessTools(desk, _KEYS[BUSINESS], key_of, self.ledger, self._door).effects()
        house.followers = (_Storyteller(self, frozenset({Role.BSS_POLICY, Role.BSS_NEGOTIATION})),)
        return Business(house, agent)

    def _network(self) -> NetworkSide:
        desk = Desk(Domain.OSS)
        orders = OssNegotiationAgent(desk)
        market = Market(Seller(self.catalogue, self.policy, tuple(plant.mesh for plant in self.plants.values())))
        limits = GuardLimits(horizon_seconds=60.0, jitter_seconds=10.0, tick_seconds=TICK_SECONDS)
        assurance = OssAssuranceAgent(desk, BUSINESS, ClosedLoop(limits))
        self._tools = NetworkTools(desk, key_of, market, self.bookings, orders, _DOMAINS)
        house = self._house(PLANNING, desk)
        house.agents, house.tools = (orders, OssPlanningAgent(desk)), self._tools.effects()
        told = frozenset({Role.OSS_NEGOTIATION, Role.OSS_PLANNING, Role.OSS_ASSURANCE})
        house.followers = (assurance, self._tools, _Storyteller(self, told))
        return NetworkSide(house, assurance, market)

    def _door(self) -> Door:
        """The same list for a while, as from a cache; another one at once when something is revoked."""
        kept = (self.is_revoked, int(self.clock.time) // _LIST_SECONDS)
        if kept not in self._lists:
            self._lists = {kept: self._status_list()}
        lists: dict[str, StatusList] = {LIST: self._lists[kept]}
        return Door(BUSINESS, _TRUST, lists.get, self.ledger, self.catalogue.classes, spent=self.work.append)

    def _status_list(self) -> StatusList:
        now = int(self.clock.time)
        bits = bytes(LEAST_BITS // 8)
        bits = revoked(bits, PLACE_OF_WALLET) if self.is_revoked else bits
        signed = sign_status_list(bits, LIST, _KEYS[TREASURY], now - 10, now + _DAY)
        return read_status_list(signed, LIST, _TRUST, now)


@dataclass(frozen=True, slots=True)
class _Storyteller:
    """Tells what agents do as it becomes true."""

    theatre: Theatre
    roles: frozenset[Role]

    def apply(self, record: Record) -> None:
        """One record, in words; most of them need none."""
        words = self.theatre.story(record, self.theatre) if record.role in self.roles else ""
        if words:
            self.theatre.tell(record.time - START, f"{record.role}: {words}")


def key_of(key_id: str) -> PublicKey | None:
    """The key of somebody in the play."""
    key = _KEYS.get(key_id.partition("#")[0])
    return key.public if key is not None and key.id == key_id else None
