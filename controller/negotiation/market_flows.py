"""Owns who buys in a simulated market: flows between drawn places, with what they need and what it is worth to them.

Drawn by hashing a seed, so that the same seed is the same market everywhere; nothing here is random.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from math import inf

from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName
from controller.model.money import Money
from controller.model.units import BitRate
from controller.negotiation.candidates import Candidate, CandidatePaths
from controller.negotiation.catalogue import Axis, Catalogue, Offering, Tier

MOST_FLOWS = 5000
_SIZES = 2
_SMALLEST_SHARE = 20
"""A flow takes at most a twentieth of the middle link."""
_IN_HASTE = 0.4
_WORTH_SPREAD = 5.0
"""Worths go from half the base price to so many times as much, evenly on a scale of logarithms."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What one buyer wants each hour, and what that is worth to it."""

    id: str
    a: DeviceName
    z: DeviceName
    offering: Offering
    worth_per_hour: Money

    @property
    def latency_seconds(self) -> float | None:
        """What to ask for; None where any will do."""
        bound = self.offering.latency.bound
        return None if bound == inf else bound

    def ways(self, paths: CandidatePaths) -> tuple[Candidate, ...]:
        """The candidates that keep its latency."""
        return tuple(
            each for each in paths.between(self.a, self.z) if each.delay_seconds <= self.offering.latency.bound
        )


def flows_of(paths: CandidatePaths, catalogue: Catalogue, seed: int, demand: float) -> tuple[Flow, ...]:
    """Flows until the busiest link would carry `demand` times its capacity if all took their quickest path."""
    arcs = paths.network.arcs
    if not 0 < demand <= 10:
        raise InvalidInputError(f"a demand of {demand} is none", remedy="give one above 0 and up to 10")
    if len(arcs.nodes) < 2 or not arcs.links:
        raise InvalidInputError("a market needs two places and a link", remedy="name a larger topology")
    loads, found = [0.0] * len(arcs.links), []
    for number in count():
        flow = _flow(paths, catalogue, f"{seed}/{number}", number)
        if flow is None:
            continue
        found.append(flow)
        for link in flow.ways(paths)[0].links:
            loads[link] += flow.offering.bit_rate
        busiest = max(load / capacity for load, capacity in zip(loads, arcs.capacities, strict=True))
        if busiest >= demand or len(found) == MOST_FLOWS:
            return tuple(found)
    raise AssertionError("counting does not end")


def _flow(paths: CandidatePaths, catalogue: Catalogue, seed: str, number: int) -> Flow | None:
    """One flow; None where its ends are the same, not connected, or too far apart for its latency."""
    nodes, draws = paths.network.arcs.nodes, _draws(seed)
    a, z = nodes[int(next(draws) * len(nodes))], nodes[int(next(draws) * len(nodes))]
    if a == z or not (ways := paths.between(a, z)):
        return None
    rate = _rate(paths, catalogue, next(draws))
    latency = inf
    if next(draws) < _IN_HASTE:
        bounds = [grade.bound for grade in catalogue.grades[Axis.LATENCY] if grade.bound >= ways[0].delay_seconds]
        latency = min(bounds)
    tier = Tier.IP if catalogue.cheapest(Tier.IP, rate, latency, 0.0) else Tier.OPTICAL
    offering = catalogue.cheapest(tier, rate, latency, 0.0)
    if offering is None or offering.latency.bound < ways[0].delay_seconds:
        return None
    times = 0.5 * (2 * _WORTH_SPREAD) ** next(draws)
    worth = Money(max(1, round(offering.price_per_hour.minor * times)), catalogue.currency)
    return Flow(f"flow-{number}", a, z, offering, worth)


def _rate(paths: CandidatePaths, catalogue: Catalogue, draw: float) -> BitRate:
    capacities = sorted(paths.network.arcs.capacities)
    most = capacities[len(capacities) // 2] // _SMALLEST_SHARE
    rates = [int(grade.bound) for grade in catalogue.grades[Axis.BANDWIDTH]]
    fitting = [rate for rate in rates if rate <= most][-_SIZES:] or rates[:1]
    return BitRate(fitting[int(draw * len(fitting))])


def _draws(seed: str) -> Iterator[float]:
    """Numbers from 0 to below 1."""
    for number in count():
        digest = sha256(f"{seed}/{number}".encode()).digest()
        yield int.from_bytes(digest[:6]) / (1 << 48)
