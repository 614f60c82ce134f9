"""A small operator to buy from: a short way and a long way between two places, with our own catalogue."""

from dataclasses import replace
from typing import Any

from controller.adapters.catalogue import load_catalogue, load_market_policy
from controller.adapters.resources import shared_directory
from controller.model.units import BitRate
from controller.negotiation.catalogue import Axis, Tier
from controller.negotiation.mesh import Mesh
from controller.negotiation.quote import Offer, QuoteRefusal, Seller, hold, price
from controller.negotiation.request import ServiceRequest
from controller.topology.network import Network
from controller.topology.te_database import TeDatabase
from tests.controller.topology_samples import drawn

DIRECTORY = shared_directory("config") / "catalogue"
CATALOGUE = load_catalogue(DIRECTORY)
POLICY = load_market_policy(DIRECTORY)
# a-b-d takes 6 ms, a-c-d takes 24 ms.
SQUARE = drawn(("a", "b", 3), ("b", "d", 3), ("a", "c", 12), ("c", "d", 12))
NOW = 1_000_000.0
REQUEST = ServiceRequest(
    id="r1",
    a="a",
    z="d",
    bandwidth=BitRate(10**9),
    latency_seconds=None,
    availability=0.0,
    workload_class="general",
    start=NOW,
    duration_seconds=3600,
    consumer="label-1",
)


def seller(network: Network = SQUARE, *tiers: Tier) -> Seller:
    database = TeDatabase(network)
    meshes = tuple(Mesh.of(tier, database, CATALOGUE, POLICY) for tier in tiers or (Tier.IP,))
    return Seller(CATALOGUE, POLICY, meshes)


def asked(operator: Seller, now: float = NOW, **changes: Any) -> tuple[Offer, ...] | QuoteRefusal:
    return price(replace(REQUEST, start=now, **changes), operator, now)


def offered(operator: Seller, now: float = NOW, **changes: Any) -> Offer:
    """The cheapest offer, where there is one."""
    answer = asked(operator, now, **changes)
    assert not isinstance(answer, QuoteRefusal), answer
    return answer[0]


def bought(operator: Seller, now: float = NOW, **changes: Any) -> Offer:
    offer = offered(operator, now, **changes)
    hold(offer, now)
    for window in offer.windows:
        window.buy(offer.holding.id)
    return offer


def loads(mesh: Mesh, *links: str, share: float, axes: tuple[Axis, ...] = (Axis.BANDWIDTH,)) -> dict[Axis, list[float]]:
    """These links, named by their ends as `ab`, are so full both ways on these axes; the others are empty."""
    arcs = mesh.paths.network.arcs
    ends = {frozenset(link) for link in links}
    values = [
        share * link.capacity.bits_per_second if frozenset((link.source.node, link.target.node)) in ends else 0.0
        for link in arcs.links
    ]
    return {axis: values if axis in axes else [0.0] * len(values) for axis in Axis}


def ticked(operator: Seller, load: dict[Axis, list[float]], ticks: int, now: float = NOW, step: float = 10.0) -> float:
    """Every window looks at this load so often; the time it is then."""
    for _ in range(ticks):
        now += step
        for mesh in operator.meshes:
            for window in mesh.windows:
                window.tick(load, now)
    return now
