"""Owns forecasts of delay, loss and jitter: fluid loads on links, and what a queue before each of them does to packets.

A link below its capacity makes packets wait as M/D/1 does (mean and variance of Pollaczek and Khinchine); above it its
buffer is full and the excess is lost. Waits along a path add up to about a gamma distribution, whose quantiles Wilson
and Hilferty give. Every figure comes with an interval: loads are only known to within `load_error`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName
from controller.topology.network import Link, LinkId
from controller.twin.provider_core import Core, Way

_ROUNDS = 20
"""What is lost on one link does not load the next: worked out again until it settles."""
_SETTLED = 1.0
_Z95 = 1.6449


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is taken for granted of packets and queues."""

    packet_octets: int = 512
    buffer_seconds: float = 0.05
    load_error: float = 0.1
    """Loads are between this share less and this share more."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Traffic from one router to another; `color` is that of its VRF."""

    name: str
    source: DeviceName
    target: DeviceName
    bit_rate: float
    color: int = 0

    def __post_init__(self) -> None:
        """Rates are not negative."""
        if not self.bit_rate >= 0:
            raise InvalidInputError(f"the demand '{self.name}' is {self.bit_rate} bit/s", remedy="give 0 or more")


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and what it lies between."""

    low: float
    likely: float
    high: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What becomes of a demand's packets. Without a path everything is lost and nothing else can be said."""

    demand: str
    path: tuple[DeviceName, ...] = ()
    delay_seconds: Interval | None = None
    jitter_seconds: Interval | None = None
    """From the shortest delay to that of 95 % of the packets (RFC 5481 section 4.2)."""
    loss_ratio: Interval = Interval(1.0, 1.0, 1.0)
    utilisation: float = 0.0
    """Of the fullest link on the way."""


@dataclass(frozen=True, slots=True)
class Loads:
    """Offered rates by link, in bit/s, and the ways of each demand."""

    rates: Mapping[LinkId, float]
    ways: Mapping[str, tuple[Way, ...]]

    def utilisation(self, link: Link) -> float:
        """Offered load against capacity; above 1 the excess is lost."""
        return self.rates.get(link.id, 0.0) / link.capacity.bits_per_second


def load(core: Core, demands: Iterable[Demand]) -> Loads:
    """Where demands go and what they load."""
    wanted = list(demands)
    ways = {each.name: core.carry(each.source, each.target, "", each.color).ways for each in wanted}
    rates: dict[LinkId, float] = {}
    passing: dict[LinkId, float] = {}
    for _ in range(_ROUNDS):
        rates = _offered(wanted, ways, passing)
        fresh = _passing(core, rates)
        if fresh == passing:
            break
        passing = fresh
    return Loads(rates, ways)


def _offered(
    demands: Sequence[Demand], ways: Mapping[str, tuple[Way, ...]], passing: Mapping[LinkId, float]
) -> dict[LinkId, float]:
    rates: dict[LinkId, float] = {}
    for demand in demands:
        for way in ways[demand.name]:
            rate = demand.bit_rate * way.share
            for link in way.links:
                rates[link.id] = rates.get(link.id, 0.0) + rate
                rate *= passing.get(link.id, _SETTLED) * (1 - link.loss_ratio)
    return rates


def _passing(core: Core, rates: Mapping[LinkId, float]) -> dict[LinkId, float]:
    """The share that gets through each link that is overfull."""
    links = core.network.links if core.network else {}
    return {
        link_id: round(links[link_id].capacity.bits_per_second / rate, 9)
        for link_id, rate in rates.items()
        if rate > links[link_id].capacity.bits_per_second
    }


def forecast(demand: Demand, loads: Loads, traffic: Traffic) -> Forecast:
    """What becomes of one demand's packets under these loads."""
    ways = loads.ways.get(demand.name, ())
    if not ways:
        return Forecast(demand.name)
    factors = (1 - traffic.load_error, 1.0, 1 + traffic.load_error)
    calm, likely, busy = (_mixed(ways, loads, traffic, factor) for factor in factors)
    links = [link for way in ways for link in way.links]
    longest = max(ways, key=lambda way: (way.share, way.delay_seconds))
    return Forecast(
        demand=demand.name,
        path=(demand.source, *(link.target.node for link in longest.links)),
        delay_seconds=Interval(calm.low, likely.likely, busy.high),
        jitter_seconds=Interval(calm.high - calm.low, likely.high - likely.low, busy.high - busy.low),
        loss_ratio=Interval(calm.loss, likely.loss, busy.loss),
        utilisation=max((loads.utilisation(link) for link in links), default=0.0),
    )


@dataclass(frozen=True, slots=True)
class _Passage:
    low: float
    likely: float
    high: float
    loss: float


def _mixed(ways: Sequence[Way], loads: Loads, traffic: Traffic, factor: float) -> _Passage:
    """Of equal paths each carries its share: the delays of all of them are possible."""
    found = [(way.share, _along(way, loads, traffic, factor)) for way in ways]
    whole = sum(share for share, _ in found)
    return _Passage(
        low=min(each.low for _, each in found),
        likely=sum(share * each.likely for share, each in found) / whole,
        high=max(each.high for _, each in found),
        loss=1 - sum(share * (1 - each.loss) for share, each in found),
    )


def _along(way: Way, loads: Loads, traffic: Traffic, factor: float) -> _Passage:
    fixed = mean = variance = 0.0
    passes = 1.0
    for link in way.links:
        service = 8 * traffic.packet_octets / link.capacity.bits_per_second
        used = loads.utilisation(link) * factor
        fixed += link.delay_seconds + service
        passes *= 1 - link.loss_ratio
        if used >= 1:
            fixed += traffic.buffer_seconds
            passes /= used
        else:
            wait = used / (2 * (1 - used)) * service
            mean += min(wait, traffic.buffer_seconds)
            variance += wait**2 + used * service**2 / (3 * (1 - used))
    return _Passage(fixed, fixed + mean, fixed + max(mean, _gamma_quantile(mean, variance, _Z95)), 1 - passes)


def _gamma_quantile(mean: float, variance: float, normal: float) -> float:
    """The quantile of a gamma distribution at that of the normal one (Wilson and Hilferty)."""
    if mean <= 0 or variance <= 0:
        return mean
    shape = mean**2 / variance
    return float(mean * max(0.0, 1 - 1 / (9 * shape) + normal / (3 * sqrt(shape))) ** 3)
