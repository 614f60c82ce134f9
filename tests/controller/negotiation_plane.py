"""The whole negotiation plane in one process: a bank, an operator's BSS and OSS, a square of a network to sell."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from controller.adapters.event_log_memory import MemoryEventLog
from controller.assurance.guards import GuardLimits
from controller.model.errors import ConflictError
from controller.model.units import BitRate, Duration
from controller.negotiation import credential
from controller.negotiation.agreement import Terms
from controller.negotiation.bss import BssNegotiationAgent, BssPolicyAgent
from controller.negotiation.catalogue import Tier
from controller.negotiation.checks import Work
from controller.negotiation.credential import StatusEntry
from controller.negotiation.desk import Desk
from controller.negotiation.enterprise import EnterprisePolicyAgent, Purse, RequirementAgent
from controller.negotiation.jose import PublicKey, SigningKey
from controller.negotiation.ledger_state import LedgerState
from controller.negotiation.oss import OssAssuranceAgent, OssNegotiationAgent, OssPlanningAgent
from controller.negotiation.quote import Seller
from controller.negotiation.roles import Domain
from controller.negotiation.status_list import LEAST_BITS, StatusList, read_status_list, revoked, sign_status_list
from controller.negotiation.trust import Trust
from controller.negotiation.verification import Door
from controller.negotiation.wallet import ClassTerms, ServiceLevelFloor, Wallet, WalletTerms
from controller.ports import EventLog
from controller.runtime.negotiation import Business, Consumer, Lane, Negotiations, Network
from controller.runtime.negotiation_holder import HeldWallet, HolderTools
from controller.runtime.negotiation_house import House
from controller.runtime.negotiation_money import BusinessTools
from controller.runtime.negotiation_network import Market, NetworkTools
from controller.topology.network import LinkId
from tests.controller.market_samples import CATALOGUE, SQUARE, seller
from tests.controller.negotiation_samples import (
    CONSUMER,
    CONSUMER_KEY,
    DOMAINS,
    KEYS,
    NETWORK,
    NETWORK_KEY,
    PROVIDER,
    PROVIDER_KEY,
    euro,
)

START = 1_800_000_000
DAY = 86_400
TREASURY = "did:web:treasury.example"
TREASURY_KEY = SigningKey.of(f"{TREASURY}#key-1", bytes([21] * 32))
LIST = "https://treasury.example/status/1"
ENVELOPE = f"{TREASURY}/line-7"
STATUS = StatusEntry(LIST, 42)
TERMS = WalletTerms(
    ceiling=euro("100.00"),
    classes={name: ClassTerms() for name in CATALOGUE.classes},
    valid_from=START - DAY,
    valid_until=START + 30 * DAY,
    floor=ServiceLevelFloor(BitRate(10_000_000), Duration(100_000)),
)


class Watch:
    """A clock that is set."""

    def __init__(self) -> None:
        self.time = float(START)

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


@dataclass
class Carrier:
    """Provisions into a book; `refuses` says which of its acts fail."""

    services: dict[str, tuple[Terms, tuple[LinkId, ...]]] = field(default_factory=dict)
    acts: list[tuple[str, str]] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)

    async def provision(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        return self._done("provision", service, terms, links)

    async def change(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        return self._done("change", service, terms, links)

    async def remove(self, service: str) -> str:
        self._act("remove", service)
        # As of the real one: whoever died before saying that it was removed removes it again.
        return "gone already" if self.services.pop(service, None) is None else "removed"

    def _done(self, act: str, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        self._act(act, service)
        self.services[service] = (terms, tuple(links))
        return "along " + ", ".join(links)

    def _act(self, act: str, service: str) -> None:
        if act in self.refuses:
            raise ConflictError(f"the twin has a packet for which '{service}' does not hold")
        self.acts.append((act, service))


def wallet(terms: WalletTerms = TERMS, holder: str = CONSUMER, id_: str = "urn:uuid:1") -> Wallet:
    return Wallet(id_, ENVELOPE, TREASURY, holder, terms)


def held(terms: WalletTerms = TERMS, key: SigningKey = TREASURY_KEY, **changes: Any) -> HeldWallet:
    return HeldWallet((credential.issue(wallet(terms, **changes), key, STATUS),), Purse(ENVELOPE, terms))


def key_of(key_id: str) -> PublicKey | None:
    return KEYS.get(key_id)


@dataclass
class Plane:
    """Everything, with handles to turn. `log` and `ledger` outlive a restart."""

    clock: Watch = field(default_factory=Watch)
    carrier: Carrier = field(default_factory=Carrier)
    operator: Seller = field(default_factory=seller)
    held: HeldWallet = field(default_factory=held)
    holder_key: SigningKey = CONSUMER_KEY
    log: EventLog | None = None
    ledger: Any = field(default_factory=LedgerState)
    limits: GuardLimits = field(default_factory=lambda: GuardLimits(jitter_seconds=0.001))
    work: list[Work] = field(default_factory=list)
    is_revoked: bool = False
    lane: Lane = field(default_factory=Lane)
    negotiations: Negotiations = field(init=False)
    trust: Trust = field(init=False)
    tools: HolderTools = field(init=False)
    business_tools: BusinessTools = field(init=False)
    network_tools: NetworkTools = field(init=False)
    nonces: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.trust = Trust({TREASURY: {TREASURY_KEY.id: TREASURY_KEY.public}}, KEYS, {LIST: TREASURY})
        self.log = self.log or MemoryEventLog(clock=self.clock)
        self.negotiations = Negotiations()
        self.negotiations.consumers[CONSUMER] = self._consumer()
        self.negotiations.business = self._business()
        self.negotiations.network = self._network()
        self.lane.houses = {house.party: house for house in self.negotiations.houses()}

    def _house(self, party: str, domain: Domain, key: SigningKey, desk: Desk, **parts: Any) -> House:
        assert self.log is not None
        return House(
            party=party,
            domain=domain,
            key=key,
            key_of=key_of,
            domain_of=DOMAINS,
            log=self.log,
            clock=self.clock,
            peers=self.lane,
            desk=desk,
            **parts,
        )

    def _consumer(self) -> Consumer:
        desk = Desk(Domain.ENTERPRISE)
        self.tools = self.holder(desk, self.holder_key, self.held)
        return self.consumer(CONSUMER, CONSUMER_KEY, desk, self.tools)

    def holder(self, desk: Desk, key: SigningKey, held: HeldWallet) -> HolderTools:
        tools = HolderTools(desk, key, lambda: f"nonce-{next(self.nonces)}")
        tools.wallets[held.purse.envelope] = held
        return tools

    def consumer(self, party: str, key: SigningKey, desk: Desk, tools: HolderTools) -> Consumer:
        policy = EnterprisePolicyAgent(desk, tools.purse_of)
        parts: dict[str, Any] = {"agents": (policy,), "followers": (policy,), "tools": tools.effects()}
        return Consumer(self._house(party, Domain.ENTERPRISE, key, desk, **parts), RequirementAgent(PROVIDER), policy)

    def _business(self) -> Business:
        desk = Desk(Domain.BSS)
        agent = BssNegotiationAgent(desk, CATALOGUE, PROVIDER, NETWORK)
        tools = self.business_tools = BusinessTools(desk, PROVIDER_KEY, key_of, self.ledger, self.door)
        house = self._house(
            PROVIDER, Domain.BSS, PROVIDER_KEY, desk, agents=(BssPolicyAgent(desk), agent), tools=tools.effects()
        )
        return Business(house, agent)

    def _network(self) -> Network:
        desk = Desk(Domain.OSS)
        orders, market = OssNegotiationAgent(desk), Market(self.operator)
        assurance = OssAssuranceAgent(desk, PROVIDER)
        assurance.loop.guards.limits = self.limits
        tools = self.network_tools = NetworkTools(desk, key_of, market, self.carrier, orders, DOMAINS)
        house = self._house(
            NETWORK,
            Domain.OSS,
            NETWORK_KEY,
            desk,
            agents=(orders, OssPlanningAgent(desk)),
            followers=(assurance, tools),
            tools=tools.effects(),
        )
        return Network(house, assurance, market)

    def door(self) -> Door:
        lists: dict[str, StatusList] = {LIST: self.status_list()}
        return Door(PROVIDER, self.trust, lists.get, self.ledger, CATALOGUE.classes, spent=self.work.append)

    def status_list(self) -> StatusList:
        bits = bytes(LEAST_BITS // 8)
        now = int(self.clock.now())
        bits = revoked(bits, STATUS.index) if self.is_revoked else bits
        return read_status_list(sign_status_list(bits, LIST, TREASURY_KEY, now - 10, now + DAY), LIST, self.trust, now)

    def restarted(self) -> "Plane":
        """Another process over the same log and ledger."""
        after = replace(self, lane=Lane())
        after.negotiations.load()
        return after

    def records(self, tool: str = "") -> list[Any]:
        assert self.log is not None
        return [event for event in self.log.read() if event.type == f"negotiation.{tool}" or not tool]


def both_tiers() -> Seller:
    """The square twice: best effort over IP, and deterministic."""
    return seller(SQUARE, Tier.IP, Tier.OPTICAL)
