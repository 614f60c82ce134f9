"""Owns the cast of a scenario: a consumer and an operator with all their agents, in surroundings that are given.

Everything that decides is the real thing: agents, messages, wallet verification, ledger, market, forecasts, guards.
What is around them (networks, others' traffic, the provisioner, time) stands behind `scenarios.surroundings`. A
scenario turns topology, traffic, catalogue and wallets, and nothing else.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from controller.assurance.closed_loop import ClosedLoop
from controller.assurance.guards import GuardLimits
from controller.model.errors import ConflictError
from controller.model.money import Money
from controller.model.units import BitRate
from controller.negotiation import credential
from controller.negotiation.agreement import verify_chain
from controller.negotiation.bss import BssNegotiationAgent, BssPolicyAgent
from controller.negotiation.catalogue import Tier
from controller.negotiation.checks import Work
from controller.negotiation.credential import StatusEntry
from controller.negotiation.desk import Desk
from controller.negotiation.enterprise import EnterprisePolicyAgent, Purse, RequirementAgent
from controller.negotiation.jose import PublicKey, SigningKey
from controller.negotiation.ledger import Ledger
from controller.negotiation.ledger_state import LedgerState
from controller.negotiation.messages import seal, unseal
from controller.negotiation.oss import OssAssuranceAgent, OssNegotiationAgent, OssPlanningAgent
from controller.negotiation.quote import Seller
from controller.negotiation.records import Dialogue, Record, Standing
from controller.negotiation.request import ServiceRequest
from controller.negotiation.roles import Domain, Role, Tool
from controller.negotiation.standing_to_speak import own_name
from controller.negotiation.status_list import LEAST_BITS, StatusList, read_status_list, revoked, sign_status_list
from controller.negotiation.trust import Trust
from controller.negotiation.verification import Door
from controller.negotiation.wallet import DelegationRules, Wallet, WalletTerms
from controller.ports import Clock
from controller.runtime.negotiation import Business, Consumer, Lane, Negotiations
from controller.runtime.negotiation import Network as NetworkSide
from controller.runtime.negotiation_forecasts import AgreementForecasts
from controller.runtime.negotiation_holder import HeldWallet, HolderTools
from controller.runtime.negotiation_house import House
from controller.runtime.negotiation_money import BusinessTools
from controller.runtime.negotiation_network import Market as Sales
from controller.runtime.negotiation_network import NetworkTools
from controller.scenarios.surroundings import START, TICK_SECONDS, Delivery, Market, Surroundings, Tell

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
_REPLAYS = 1_000_000
"""Above the numbers of any negotiation that is begun here."""
_DAY = 86_400


@dataclass(slots=True, repr=False)
class Theatre:
    """A consumer and an operator: the real plane in these surroundings."""

    wallet: WalletTerms
    surroundings: Surroundings
    market: Market
    tell: Tell = lambda _time, _words: None
    story: Callable[[Record, "Theatre"], str] = lambda _record, _theatre: ""
    ledger: Ledger = field(default_factory=LedgerState)
    work: list[Work] = field(default_factory=list)
    is_revoked: bool = False
    negotiations: Negotiations = field(init=False)
    holder: HolderTools = field(init=False)
    lane: Lane = field(default_factory=Lane)
    _tools: NetworkTools = field(init=False)
    _forecasts: dict[Tier, AgreementForecasts] = field(init=False)
    _lists: dict[tuple[bool, int], StatusList] = field(default_factory=dict)
    _nonces: "count[int]" = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        """Set the stage."""
        self._forecasts = {tier: AgreementForecasts(TICK_SECONDS) for tier in self.surroundings.plants}
        self.negotiations = Negotiations({CONSUMER: self._consumer()}, self._business(), self._network())
        self.lane.houses = {house.party: house for house in self.negotiations.houses()}

    @property
    def clock(self) -> Clock:
        """The time of the play."""
        return self.surroundings.clock

    # -- what a scenario turns ---------------------------------------------------------------------------------

    def say(self, words: str) -> None:
        """Something happens in the world outside."""
        self.tell(self.clock.now() - START, words)

    def reissue(self, terms: WalletTerms, **changes: Any) -> None:
        """The treasury gives the consumer another paper for the same envelope."""
        self.wallet = terms
        held = self._held(terms, **changes)
        self.holder.wallets = {held.purse.envelope: held}

    def fork(self, name: str) -> None:
        """The consumer holds a child of its wallet from now on, with all that the root has, beside other children."""
        root, paper = self._paper(replace(self.wallet, delegation=DelegationRules(1)), CONSUMER)
        child = replace(paper, id=f"{paper.id}:{name}", envelope=f"{ENVELOPE}/{name}", parent=paper.id, issuer=CONSUMER)
        child = replace(child, terms=self.wallet)
        held = HeldWallet((root, credential.issue(child, _KEYS[CONSUMER])), Purse(child.envelope, child.terms))
        self.holder.wallets = {child.envelope: held}

    async def replay(self) -> Dialogue:
        """The consumer's last proposal is sent again: word by word, then as another message; what comes of that."""
        said = [event for event in self.surroundings.log.read() if event.type == f"negotiation.{Tool.PROPOSE}"]
        data: Any = said[-1].data
        token = data["says"][0][1]
        business = self.negotiations.house(BUSINESS)
        await business.receive(token)
        now, name = self.clock.now(), own_name(Domain.ENTERPRISE, CONSUMER, _REPLAYS + next(self._nonces))
        first = unseal(token, key_of, BUSINESS, now)
        again = replace(first, id=f"m-{name}", correlation=name, sent=now)
        await business.receive(seal(again, _KEYS[CONSUMER]))
        await self._settled(self.negotiations.idle())
        return business.desk.dialogue(name)

    async def end(self, agreement: str) -> Dialogue:
        """The consumer ends an agreement."""
        return await self._over(await self.negotiations.terminate(agreement, "it is not wanted any more"))

    async def wait(self, seconds: float) -> None:
        """Time goes by: links are measured, prices move, agreements are watched."""
        until = self.clock.now() + seconds
        while self.clock.now() < until:
            await self.surroundings.step()
            await self._settled(self._look())

    async def wait_for(self, condition: Callable[[], bool], seconds: float) -> None:
        """Time goes by until it is so, but no longer than this."""
        until = self.clock.now() + seconds
        while not condition() and self.clock.now() < until:
            await self.wait(TICK_SECONDS)

    async def load(self, tier: Tier, share: float, *wires: tuple[str, str]) -> None:
        """Others fill a tier's wires; see `Surroundings`."""
        await self.surroundings.load(tier, share, *wires)

    def measured(self, tier: Tier, wire: tuple[str, str]) -> BitRate:
        """What a wire carries, as it was counted; see `Surroundings`."""
        return self.surroundings.measured(tier, wire)

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
        return ServiceRequest("wish", a, z, rate, workload_class=workload_class, start=self.clock.now(), **asked)

    # -- what came of it ---------------------------------------------------------------------------------------

    def standing(self, root: str) -> Standing:
        """An agreement as the consumer has it, its chain verified."""
        found = self.negotiations.agreement(root)
        verify_chain(found.issues, key_of)
        return found

    async def route(self, root: str) -> tuple[str, ...]:
        """The places that its service goes through."""
        return await self.surroundings.route(self.standing(root).service)

    async def delivered(self, root: str = "") -> Delivery:
        """What became of the packets of an agreement's service, or of all services."""
        found = await self.surroundings.deliveries()
        if root:
            return found.get(self.standing(root).service, Delivery())
        return sum(found.values(), Delivery())

    @property
    def taken(self) -> Money:
        """What is reserved and committed of the wallet."""
        return Money(self.ledger.taken(ENVELOPE), self.wallet.ceiling.currency)

    def used(self, tool: Tool) -> int:
        """How often a tool was used."""
        return sum(event.type == f"negotiation.{tool}" for event in self.surroundings.log.read())

    # -- the parts ---------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        standings = tuple(self._network_side.house.desk.agreements.values())
        for tier, forecasts in self._forecasts.items():
            here = [one for one in standings if one.terms.level.tier == tier.value]
            found = forecasts.look(here, self._tools.links, self.surroundings.plants[tier].database)
            await self.negotiations.watch(found)
        await self.negotiations.tick()

    async def _over(self, subject: str) -> Dialogue:
        async with asyncio.timeout(self.surroundings.patience_seconds):
            done = await self.negotiations.outcome(subject)
            await self.negotiations.idle()
        return done

    async def _settled(self, work: Any) -> None:
        async with asyncio.timeout(self.surroundings.patience_seconds):
            await work
            await self.negotiations.idle()

    @property
    def _network_side(self) -> NetworkSide:
        if self.negotiations.network is None:
            raise ConflictError("the stage is not set")
        return self.negotiations.network

    def _house(self, party: str, desk: Desk) -> House:
        return House(
            party=party,
            domain=desk.domain,
            key=_KEYS[party],
            key_of=key_of,
            domain_of=_DOMAINS,
            log=self.surroundings.log,
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
        return HeldWallet((self._paper(terms, holder, key)[0],), Purse(ENVELOPE, terms))

    def _paper(self, terms: WalletTerms, holder: str, key: SigningKey | None = None) -> tuple[str, Wallet]:
        paper = Wallet(f"urn:wallet:{next(self._nonces)}", ENVELOPE, TREASURY, holder, terms)
        return credential.issue(paper, key or _KEYS[TREASURY], StatusEntry(LIST, PLACE_OF_WALLET)), paper

    def _business(self) -> Business:
        desk = Desk(Domain.BSS)
        agent = BssNegotiationAgent(desk, self.market.catalogue, BUSINESS, PLANNING)
        house = self._house(BUSINESS, desk)
        house.agents = (BssPolicyAgent(desk), agent)
        house.tools = BusinessTools(desk, _KEYS[BUSINESS], key_of, self.ledger, self._door).effects()
        house.followers = (_Storyteller(self, frozenset({Role.BSS_POLICY, Role.BSS_NEGOTIATION})),)
        return Business(house, agent)

    def _network(self) -> NetworkSide:
        desk = Desk(Domain.OSS)
        orders = OssNegotiationAgent(desk)
        meshes = tuple(plant.mesh for plant in self.surroundings.plants.values())
        sales = Sales(Seller(self.market.catalogue, self.market.policy, meshes))
        limits = GuardLimits(horizon_seconds=60.0, jitter_seconds=10.0, tick_seconds=TICK_SECONDS)
        assurance = OssAssuranceAgent(desk, BUSINESS, ClosedLoop(limits))
        self._tools = NetworkTools(desk, key_of, sales, self.surroundings.provisioner, orders, _DOMAINS)
        house = self._house(PLANNING, desk)
        house.agents, house.tools = (orders, OssPlanningAgent(desk)), self._tools.effects()
        told = frozenset({Role.OSS_NEGOTIATION, Role.OSS_PLANNING, Role.OSS_ASSURANCE})
        house.followers = (assurance, self._tools, _Storyteller(self, told))
        return NetworkSide(house, assurance, sales)

    def _door(self) -> Door:
        """The same list for a while, as from a cache; another one at once when something is revoked."""
        kept = (self.is_revoked, int(self.clock.now()) // _LIST_SECONDS)
        if kept not in self._lists:
            self._lists = {kept: self._status_list()}
        lists: dict[str, StatusList] = {LIST: self._lists[kept]}
        return Door(BUSINESS, _TRUST, lists.get, self.ledger, self.market.catalogue.classes, spent=self.work.append)

    def _status_list(self) -> StatusList:
        now = int(self.clock.now())
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
