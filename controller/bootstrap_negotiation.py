"""Owns the wiring of the negotiation plane: parties of a file become houses with their agents, tools, and ways out."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from controller.adapters.catalogue import load_catalogue, load_market_policy
from controller.adapters.label_key import label_key
from controller.adapters.ledger_sqlite import SqliteLedger
from controller.adapters.parties_file import Parties, PartyHere, load_parties
from controller.adapters.peer_https import PeersOverHttps
from controller.adapters.resources import shared_directory
from controller.adapters.status_lists import StatusLists
from controller.adapters.wallet_files import new_nonce
from controller.assurance.breach import Breach
from controller.assurance.closed_loop import ClosedLoop
from controller.assurance.guards import GuardLimits
from controller.events import types
from controller.model.errors import AccordError, InvalidInputError
from controller.model.identifiers import DeviceName
from controller.negotiation.bss import BssNegotiationAgent, BssPolicyAgent
from controller.negotiation.catalogue import Catalogue, Tier
from controller.negotiation.checks import RefusedError
from controller.negotiation.desk import Desk
from controller.negotiation.enterprise import EnterprisePolicyAgent, Purse, RequirementAgent
from controller.negotiation.holder import Presentation
from controller.negotiation.ledger_state import LedgerState
from controller.negotiation.oss import OssAssuranceAgent, OssNegotiationAgent, OssPlanningAgent
from controller.negotiation.pricing import MarketPolicy
from controller.negotiation.roles import Domain, Role
from controller.negotiation.sensitivity import DisclosurePolicy, PriceSensitivity
from controller.negotiation.sensitivity_keeping import SensitivityKeeper
from controller.negotiation.strategy import Risk
from controller.negotiation.verification import Door, read_chain
from controller.ports import Clock, EventLog, NewEvent, Peers
from controller.runtime.controller import Controller
from controller.runtime.negotiation import Business, Consumer, Lane, Negotiations, Network
from controller.runtime.negotiation_forecasts import AgreementForecasts
from controller.runtime.negotiation_holder import HeldWallet, HolderTools
from controller.runtime.negotiation_house import House
from controller.runtime.negotiation_light import TieredProvisioner
from controller.runtime.negotiation_market import LiveMarket
from controller.runtime.negotiation_money import BusinessTools
from controller.runtime.negotiation_network import NetworkTools, Provisioner
from controller.runtime.negotiation_networks import SoldNetwork, Told, lightable, sold_networks
from controller.runtime.negotiation_tunnels import TunnelProvisioner
from controller.settings import Negotiation, Settings

_log = structlog.get_logger(__name__)
_SNAPSHOT_EVENTS = 2_000
"""As often the plane is stored, so that a restart reads so many events at most."""
_LISTS_EVERY = 6
"""Ticks between two looks at the status lists."""


@dataclass(slots=True)
class NegotiationPlane:
    """The plane of one daemon: its parties, market, ledger, and what happens at each tick."""

    negotiations: Negotiations
    lane: Lane
    parties: Parties
    ledger: SqliteLedger | None = None
    lists: StatusLists | None = None
    live: LiveMarket | None = None
    tools: NetworkTools | None = None
    forecasts: dict[Tier, AgreementForecasts] = field(default_factory=dict)
    controller: Controller | None = None
    domains: Told = field(default_factory=dict)
    _tiers: frozenset[Tier] = frozenset()
    _ticks: int = 0
    _refreshing: "asyncio.Task[None] | None" = None

    async def start(self) -> None:
        """Fetch the status lists once, then go on where the log ends."""
        await self._follow()
        await self._refresh_lists()
        self.negotiations.resume()

    async def tick(self) -> None:
        """Prices, offers, agreements and what is foreseen of them."""
        self._ticks += 1
        # Whoever keeps a list slowly holds nothing else up.
        if self._ticks % _LISTS_EVERY == 0 and (self._refreshing is None or self._refreshing.done()):
            self._refreshing = asyncio.create_task(self._refresh_lists())
        await self._watch(await self._follow())
        await self.negotiations.tick()
        self.negotiations.save(_SNAPSHOT_EVENTS)

    async def stop(self) -> None:
        """Leave every negotiation where the log says it is."""
        await self.negotiations.stop()
        if self._refreshing is not None:
            self._refreshing.cancel()
        try:
            self.negotiations.save()
        except AccordError as error:
            _log.warning("negotiation_snapshot_not_kept", error=str(error))
        if self.ledger is not None:
            self.ledger.close()

    async def _follow(self) -> dict[Tier, SoldNetwork]:
        network, controller = self.negotiations.network, self.controller
        if self.live is None or controller is None or network is None:
            return {}
        networks, self.domains = await sold_networks(controller, self.domains)
        if (tiers := frozenset(networks)) != self._tiers:
            self._tiers = tiers
            _log.info("tiers_for_sale", tiers=sorted(tiers))
        self.live.follow(networks, network.house.clock.now())
        return networks

    def lightable(self, ends: tuple[DeviceName, DeviceName]) -> int:
        """How many links could be lit between two nodes of a domain."""
        return lightable(self.controller, self.domains.values(), ends) if self.controller else 0

    async def _watch(self, networks: dict[Tier, SoldNetwork]) -> None:
        network = self.negotiations.network
        if network is None or self.live is None or self.tools is None:
            return
        for data in self.live.tick(networks, network.house.clock.now()):
            event = NewEvent(f"market/{data['tier']}", types.MARKET_MOVED, data)
            await network.house.log.append([event], actor=Role.OSS_PLANNING)
            network.book.apply(data)
        standings, links = list(network.house.desk.agreements.values()), self.tools.links
        found: dict[str, tuple[tuple[Breach, ...], Risk]] = {}
        for tier, sold in networks.items():
            here = [one for one in standings if one.terms.level.tier == tier]
            found |= self.forecasts[tier].look(here, links, sold.database)
        await self.negotiations.watch(found)

    async def _refresh_lists(self) -> None:
        if self.lists is not None:
            for address, fault in (await asyncio.to_thread(self.lists.refresh)).items():
                _log.warning("status_list_not_read", address=address, error=fault)


def open_plane(settings: Settings, log: EventLog, clock: Clock, controller: Controller) -> NegotiationPlane | None:
    """The plane as the settings have it, its desks folded from the log; None where nothing is set."""
    wanted = settings.negotiation
    if wanted.parties is None:
        return None
    parties = load_parties(wanted.parties)
    directory = parties.catalogue or shared_directory("config") / "catalogue"
    builder = _Builder(
        NegotiationPlane(Negotiations(), Lane(beyond=_beyond(wanted, parties)), parties),
        log,
        clock,
        load_catalogue(directory),
        load_market_policy(directory),
        GuardLimits(horizon_seconds=wanted.horizon_seconds, tick_seconds=wanted.tick_seconds),
        wanted,
    )
    builder.plane.forecasts = {tier: AgreementForecasts(wanted.tick_seconds) for tier in Tier}
    builder.plane.controller = controller
    for party in parties.here:
        builder.add(party, settings.state_dir, TieredProvisioner(controller, TunnelProvisioner(controller)))
    if builder.plane.tools is not None:
        builder.plane.tools.has_vpn = lambda consumer, vpn: _has_vpn(controller, parties, consumer, vpn)
    builder.plane.lane.houses = {house.party: house for house in builder.plane.negotiations.houses()}
    builder.plane.negotiations.load()
    return builder.plane


def _has_vpn(controller: Controller, parties: Parties, consumer: str, vpn: str) -> bool:
    """Of what is not a consumer's own nobody learns whether it is there."""
    service = controller.world.services.services.get(vpn)
    return service is not None and parties.may_carry(consumer, str(service.get("customer-name", "")))


def _beyond(wanted: Negotiation, parties: Parties) -> Peers | None:
    """The way to other processes, where there are certificates for it."""
    if wanted.peer_certificate is None or wanted.peer_key is None or wanted.peer_ca is None:
        return None
    return PeersOverHttps(parties.urls, wanted.peer_certificate, wanted.peer_key, wanted.peer_ca)


@dataclass(slots=True)
class _Builder:
    plane: NegotiationPlane
    log: EventLog
    clock: Clock
    catalogue: Catalogue
    policy: MarketPolicy
    limits: GuardLimits
    wanted: Negotiation

    def add(self, party: PartyHere, state_dir: Path, provisioner: Provisioner) -> None:
        match party.domain:
            case Domain.ENTERPRISE:
                consumer = self._consumer(party)
                self.plane.negotiations.consumers[consumer.house.party] = consumer
            case Domain.BSS:
                self.plane.negotiations.business = self._business(party, state_dir)
            case Domain.OSS:
                self.plane.negotiations.network = self._network(party, provisioner)

    def _house(self, party: PartyHere, desk: Desk) -> House:
        return House(
            party=party.identity.did,
            domain=party.domain,
            key=party.identity.key,
            key_of=self.plane.parties.key_of,
            domain_of=self.plane.parties.domains,
            log=self.log,
            clock=self.clock,
            peers=self.plane.lane,
            desk=desk,
            agents=(),
            usual=self.plane.parties.usual,
        )

    def _consumer(self, party: PartyHere) -> Consumer:
        desk = Desk(Domain.ENTERPRISE)
        tools = HolderTools(desk, party.identity.key, new_nonce)
        for credentials in party.wallets:
            held = self._held(credentials)
            tools.wallets[held.purse.envelope] = held
        policy = EnterprisePolicyAgent(desk, tools.purse_of)
        house = self._house(party, desk)
        house.agents, house.followers, house.tools = (policy,), (policy,), tools.effects()
        return Consumer(house, RequirementAgent(self._usual(Domain.BSS)), policy)

    def _held(self, credentials: tuple[str, ...]) -> HeldWallet:
        door = Door("", self.plane.parties.registry.trust, lambda _: None, LedgerState(), ())
        try:
            chain = read_chain(Presentation(credentials), door)
        except RefusedError as error:
            raise InvalidInputError(f"a wallet of this process is none: {error.refusal}") from error
        wallet = chain[-1].wallet
        return HeldWallet(credentials, Purse(wallet.envelope, wallet.terms))

    def _business(self, party: PartyHere, state_dir: Path) -> Business:
        desk, registry = Desk(Domain.BSS), self.plane.parties.registry
        ledger = self.plane.ledger = SqliteLedger(state_dir / "ledger.sqlite")
        lists = self.plane.lists = StatusLists(registry, self.clock)
        door = Door(party.identity.did, registry.trust, lists.get, ledger, self.catalogue.classes)
        agent = BssNegotiationAgent(desk, self.catalogue, party.identity.did, self._usual(Domain.OSS))
        tools = BusinessTools(desk, party.identity.key, self.plane.parties.key_of, ledger, lambda: door)
        house = self._house(party, desk)
        house.agents, house.tools = (BssPolicyAgent(desk), agent), tools.effects()
        key = label_key(self.wanted.label_key or state_dir / "label.key")
        record = PriceSensitivity(DisclosurePolicy(least_labels=self.wanted.least_labels))
        keeper = SensitivityKeeper(desk, self.catalogue, key, record)
        house.followers = (keeper,)
        return Business(house, agent, keeper)

    def _network(self, party: PartyHere, provisioner: Provisioner) -> Network:
        desk = Desk(Domain.OSS)
        orders = OssNegotiationAgent(desk)
        live = self.plane.live = LiveMarket(self.catalogue, self.policy)
        assurance = OssAssuranceAgent(desk, self._usual(Domain.BSS), ClosedLoop(self.limits))
        parties = self.plane.parties
        tools = NetworkTools(desk, parties.key_of, live.market, provisioner, orders, parties.domains)
        self.plane.tools = tools
        house = self._house(party, desk)
        house.agents, house.followers = (orders, OssPlanningAgent(desk)), (assurance, tools)
        house.tools = tools.effects()
        live.bookings, live.lightable = tools.bookings, self.plane.lightable
        return Network(house, assurance, live.market, live.book)

    def _usual(self, domain: Domain) -> str:
        party = self.plane.parties.usual.get(domain)
        if party is None:
            raise InvalidInputError(
                f"no party of domain '{domain}' is named", remedy="name it under 'here' or 'peers'", path="peers"
            )
        return party
