"""Owns the simulated market: flows that buy again each minute, from the same quotes as everybody, round after round.

In each round some agreements end and their flows ask anew: each takes the cheapest quote if it is worth it, and goes
without if it is not. Loads, with the noise of a measurement, go through the forecaster into shadow prices and bands.
Flat pricing is the same market with the bands left at baseline: who comes first is served.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import shake_256
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from controller.model.money import Money
from controller.model.units import BitRate
from controller.negotiation.candidates import CandidatePaths
from controller.negotiation.catalogue import Axis, Catalogue, Tier
from controller.negotiation.market_flows import Flow
from controller.negotiation.market_optimum import best_worth
from controller.negotiation.mesh import Mesh, Window, expected_loads
from controller.negotiation.pricing import SECONDS_PER_HOUR, MarketPolicy
from controller.negotiation.quote import Offer, QuoteRefusal, Seller, hold, price
from controller.negotiation.request import ServiceRequest
from controller.telemetry.forecast import Forecaster
from controller.topology.network import Network, Path
from controller.topology.te_database import TeDatabase

ROUND_SECONDS = 10.0
_PERIOD = 6
"""Rounds that an agreement lasts."""
_NOISE = 0.02
_CLASS = "general"
_LATE = 3
"""Each third flow comes when a third of the rounds is over."""
_SETTLED_SHARE = 0.02
"""Of the flows: when no more than these move in a round, until the end, the market has settled."""
_MEASURED_FROM = 0.5
"""Figures are means over the second half, when prices have found their places."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pricing came to. Shares are of the optimum's worth; `settled_round` is None when it never settled."""

    pricing: str
    worth_per_hour: Money
    worth_share: float
    worth_share_at_target: float
    revenue_per_hour: Money
    served: float
    max_utilisation: float
    price_volatility: float
    moved_share: float
    settled_round: int | None
    bands: tuple[int, int, int, int]
    """Links by the band of their bandwidth, at the end."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """What no pricing reaches, with links full, and with links as full as prices aim at."""

    worth: float
    worth_at_target: float


@dataclass(slots=True)
class _Round:
    """What happened in a round."""

    worth: int = 0
    revenue: int = 0
    served: int = 0
    utilisation: float = 0.0
    moved: int = 0
    asked: int = 0
    changes: list[float] = field(default_factory=list)


def optimum_of(network: Network, flows: Sequence[Flow], policy: MarketPolicy) -> Optimum:
    """By linear programs over the same paths as are sold."""
    paths = CandidatePaths(TeDatabase(network))
    target = policy.scarcity.targets[Axis.BANDWIDTH].target
    return Optimum(best_worth(paths, flows, policy.scarcity), best_worth(paths, flows, policy.scarcity, fill=target))


class Simulation:
    """A market on one network, of one tier at a time, from empty."""

    def __init__(
        self, network: Network, flows: Sequence[Flow], catalogue: Catalogue, policy: MarketPolicy, *, follows: bool
    ) -> None:
        """`follows`: prices follow scarcity; else they are flat."""
        self._database = TeDatabase(network)
        self._paths = CandidatePaths(self._database)
        self._window = Window(network, catalogue, policy)
        self._seller = Seller(catalogue, policy, tuple(Mesh(tier, self._paths, (self._window,)) for tier in Tier))
        self._flows, self._follows = flows, follows
        self._bought: dict[str, Offer] = {}
        self._last: dict[str, tuple[str, int]] = {}
        self._forecaster = Forecaster(len(network.arcs.links), (1,))
        self._rounds: list[_Round] = []

    def run(self, rounds: int, told: Callable[[int], None] = lambda _: None) -> None:
        """So many rounds, with the late comers after a third of them; `told` hears of each."""
        early = [flow for number, flow in enumerate(self._flows) if number % _LATE]
        for number in range(rounds):
            self._step(self._flows if number >= rounds // _LATE else early)
            told(number + 1)

    def _step(self, flows: Sequence[Flow]) -> None:
        """One round: some flows buy again, then loads are looked at."""
        number, happened = len(self._rounds), _Round()
        now = (number + 1) * ROUND_SECONDS
        for position, flow in enumerate(flows):
            if position % _PERIOD == number % _PERIOD:
                self._renegotiate(flow, now, happened)
        self._look(now)
        self._count(happened)
        self._rounds.append(happened)

    def _renegotiate(self, flow: Flow, now: float, happened: _Round) -> None:
        happened.asked += 1
        had = self._bought.pop(flow.id, None)
        reservation = had.holding.id if had else ""
        answer = price(_request(flow, now), self._seller, now, instead_of=reservation)
        offer = None if isinstance(answer, QuoteRefusal) else answer[0]
        before, after = self._last.get(flow.id), ("", 0)
        if offer is not None:
            paid = offer.quote.price_per_hour.minor
            if before is not None and before[1]:
                happened.changes.append(abs(paid - before[1]) / before[1])
            after = "", paid
            if offer.quote.price_per_hour <= flow.worth_per_hour:
                self._buy(flow, offer, now)
                after = str(offer.path.path), paid
        if had is not None:
            self._end(had)
        happened.moved += before is None or before[0] != after[0]
        self._last[flow.id] = after

    def _buy(self, flow: Flow, offer: Offer, now: float) -> None:
        hold(offer, now)
        self._window.buy(offer.holding.id)
        self._bought[flow.id] = offer
        links = Path(tuple(self._paths.network.arcs.links[link] for link in offer.holding.links))
        rate = BitRate(offer.holding.bit_rate)
        self._database = self._database.with_reservation(offer.holding.id, links, rate)

    def _end(self, had: Offer) -> None:
        self._window.holdings.end(had.holding.id)
        self._database = self._database.without_reservation(had.holding.id)

    def _look(self, now: float) -> None:
        reserved = np.array(self._database.reserved_rates, dtype=float)
        measured = reserved * (1 + _NOISE * _noise(len(self._rounds), len(reserved)))
        upper = self._forecaster.step(measured).upper[0]
        loads = expected_loads(self._database, self._window.holdings, np.maximum(upper, 0.0).tolist())
        if self._follows:
            self._window.tick(loads, now)
        else:
            self._window.renew(loads, now)

    def _count(self, happened: _Round) -> None:
        worths = {flow.id: flow.worth_per_hour.minor for flow in self._flows}
        happened.worth = sum(worths[name] for name in self._bought)
        happened.revenue = sum(offer.quote.price_per_hour.minor for offer in self._bought.values())
        happened.served = len(self._bought)
        pairs = zip(self._database.reserved_rates, self._paths.network.arcs.capacities, strict=True)
        happened.utilisation = max(reserved / capacity for reserved, capacity in pairs)

    def outcome(self, optimum: Optimum) -> Outcome:
        """What the second half of the rounds came to."""
        currency = self._seller.catalogue.currency
        measured = self._rounds[int(len(self._rounds) * _MEASURED_FROM) :]
        worth = fmean(each.worth for each in measured)
        changes = [change for each in measured for change in each.changes]
        ranks = self._window.published().bands[Axis.BANDWIDTH]
        return Outcome(
            pricing="scarcity" if self._follows else "flat",
            worth_per_hour=Money(round(worth), currency),
            worth_share=worth / optimum.worth if optimum.worth else 0.0,
            worth_share_at_target=worth / optimum.worth_at_target if optimum.worth_at_target else 0.0,
            revenue_per_hour=Money(round(fmean(each.revenue for each in measured)), currency),
            served=fmean(each.served for each in measured) / len(self._flows),
            max_utilisation=max(each.utilisation for each in measured),
            price_volatility=fmean(changes) if changes else 0.0,
            moved_share=sum(each.moved for each in measured) / sum(each.asked for each in measured),
            settled_round=self._settled(),
            bands=(ranks.count(0), ranks.count(1), ranks.count(2), ranks.count(3)),
        )

    def _settled(self) -> int | None:
        most = _SETTLED_SHARE * len(self._flows)
        last = max((number for number, each in enumerate(self._rounds, 1) if each.moved > most), default=0)
        return last + 1 if last < len(self._rounds) else None


def _request(flow: Flow, now: float) -> ServiceRequest:
    return ServiceRequest(
        id=flow.id,
        a=flow.a,
        z=flow.z,
        bandwidth=BitRate(flow.offering.bit_rate),
        latency_seconds=flow.latency_seconds,
        availability=0.0,
        workload_class=_CLASS,
        start=now,
        duration_seconds=SECONDS_PER_HOUR,
        consumer=flow.id,
        tier=flow.offering.tier,
    )


def _noise(number: int, links: int) -> NDArray[np.float64]:
    """From -1 to 1 for each link, the same for the same round."""
    octets = shake_256(str(number).encode()).digest(links)
    return np.frombuffer(octets, dtype=np.uint8) / 127.5 - 1
