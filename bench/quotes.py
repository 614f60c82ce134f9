"""Owns `make bench-quotes`: priced quotes a second on germany50, and what signing, holding and logging them add.

A quote is one tier's answer to one request, with bands on each axis and link, from paths that are kept. It stands
beside one Dijkstra search and a look into a price list, which is what a quote without paths kept, bands, grades and
names would be. `python -m bench.quotes`.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

from bench.published_networks import published
from bench.table import Row, row, write
from controller.adapters.catalogue import load_catalogue, load_market_policy
from controller.adapters.clock import SystemClock
from controller.adapters.event_log_sqlite import SqliteEventLog
from controller.adapters.resources import shared_directory
from controller.events.canonical import canonical_json
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.negotiation.catalogue import Axis, Tier
from controller.negotiation.jose import SigningKey, sign
from controller.negotiation.mesh import Mesh
from controller.negotiation.quote import Offer, QuoteRefusal, Seller, hold, price
from controller.negotiation.request import ServiceRequest
from controller.ports import NewEvent
from controller.topology.network import Network
from controller.topology.paths import PathRequest, shortest_path
from controller.topology.te_database import TeDatabase

NETWORK = "sndlib/germany50"
FLOOR_PER_SECOND = 5_000
REQUESTS = 600
LOOPS = 12
SIZES = (25, 50, 100, 200)
TENANTS = (10, 1_000, 10_000)
NOW = 1_000_000.0
KEY = SigningKey.of("did:web:operator.example#key-1", bytes([7] * 32))
_DIRECTORY = shared_directory("config") / "catalogue"
CATALOGUE, POLICY = load_catalogue(_DIRECTORY), load_market_policy(_DIRECTORY)
_RATES = (10**7, 5 * 10**7, 2 * 10**8)
_LATENCIES = (None, 0.1, 0.05, 0.02)


def busy_seller(network: Network) -> Seller:
    """One tier, with bands as they are when a third of the links are short of something."""
    mesh = Mesh.of(Tier.IP, TeDatabase(network), CATALOGUE, POLICY)
    draw = random.Random(len(network.links))
    links = network.arcs.links
    for axis in Axis:
        share = POLICY.scarcity.targets[axis].share
        full = [draw.choice((0.2, 0.4, 0.93)) * share * link.capacity.bits_per_second for link in links]
        loads = {each: full if each is axis else [0.0] * len(links) for each in Axis}
        for tick in range(20):
            mesh.windows[0].tick(loads, NOW - 1000 + 10 * tick)
    return Seller(CATALOGUE, POLICY, (mesh,))


def requests_in(network: Network, tenants: int = REQUESTS) -> list[ServiceRequest]:
    draw = random.Random(tenants)
    nodes = sorted(network.nodes)
    made = []
    for number in range(REQUESTS):
        a, z = draw.sample(nodes, 2)
        rate, latency = BitRate(draw.choice(_RATES)), draw.choice(_LATENCIES)
        consumer = f"label-{number % tenants}"
        made.append(ServiceRequest(f"r{number}", a, z, rate, latency, 0.0, "general", NOW, 3600, consumer))
    return made


def per_second(act: Callable[[], int]) -> float:
    """Of CPU: pricing is one core's work, without waiting. The best of three, as others share the machine."""
    best = 0.0
    for _ in range(3):
        start = time.process_time()
        done = act()
        best = max(best, done / (time.process_time() - start))
    return best


def quotes_of(seller: Seller, requests: Sequence[ServiceRequest]) -> list[Offer]:
    answers = (price(request, seller, NOW) for request in requests)
    return [offer for answer in answers if not isinstance(answer, QuoteRefusal) for offer in answer]


def priced(seller: Seller, requests: Sequence[ServiceRequest]) -> float:
    quotes_of(seller, requests)
    return per_second(lambda: sum(len(quotes_of(seller, requests)) for _ in range(LOOPS)))


def bare(network: Network, requests: Sequence[ServiceRequest]) -> float:
    """One search and one look-up for each."""
    database = TeDatabase(network)
    prices = {
        (each.bit_rate, each.latency.bound): each.price_per_hour for each in CATALOGUE.offerings if each.tier is Tier.IP
    }

    def act() -> int:
        found = 0
        for request in requests:
            shortest_path(database, PathRequest(DeviceName(request.a), DeviceName(request.z)))
            found += prices[request.bandwidth.bits_per_second, request.latency_seconds or inf].minor > 0
        return found

    return per_second(act)


def looked_up(requests: Sequence[ServiceRequest]) -> float:
    """Nothing but a dictionary of prices by place and grade."""
    offering = CATALOGUE.offerings[0]
    prices = {(each.a, each.z, each.bandwidth.bits_per_second, each.latency_seconds): offering for each in requests}

    def act() -> int:
        return sum(
            prices[each.a, each.z, each.bandwidth.bits_per_second, each.latency_seconds] is not None
            for each in requests
            for _ in range(LOOPS)
        )

    return per_second(act)


def signed(seller: Seller, requests: Sequence[ServiceRequest]) -> float:
    def act() -> int:
        offers = quotes_of(seller, requests)
        return sum(bool(sign(canonical_json(each.quote.to_json()), KEY, kind="accord-message+jwt")) for each in offers)

    return per_second(act)


def held(seller: Seller, requests: Sequence[ServiceRequest]) -> float:
    """Each is held, and runs out before the next loop."""
    now = NOW

    def act() -> int:
        nonlocal now
        done = 0
        for _ in range(LOOPS):
            now += 60.0
            for request in requests:
                answer = price(replace(request, start=now), seller, now)
                for offer in () if isinstance(answer, QuoteRefusal) else answer:
                    hold(offer, now)
                    done += 1
            seller.meshes[0].windows[0].holdings.run_out(now + 60.0)
        return done

    return per_second(act)


async def logged(seller: Seller, requests: Sequence[ServiceRequest], together: int) -> float:
    """Priced, signed, held, durable in the log, so many in one append; by the clock, for the disk is waited for."""
    with tempfile.TemporaryDirectory() as directory:
        log = SqliteEventLog(Path(directory) / "events.sqlite", clock=SystemClock())
        try:
            start, done = time.perf_counter(), 0
            for first in range(0, len(requests), together):
                events = []
                for offer in quotes_of(seller, requests[first : first + together]):
                    hold(offer, NOW)
                    document = offer.quote.to_json()
                    token = sign(canonical_json(document), KEY, kind="accord-message+jwt")
                    events.append(NewEvent(f"quote/{offer.quote.id}", "bench.quoted", {**document, "token": token}))
                if events:
                    await log.append(events, actor="bench")
                done += len(events)
            return done / (time.perf_counter() - start)
        finally:
            log.close()
            seller.meshes[0].windows[0].holdings.run_out(inf)


def _germany() -> Iterator[Row]:
    network, _ = published(NETWORK)
    requests, unit = requests_in(network), "quotes/s"
    seller, count = busy_seller(network), REQUESTS * LOOPS
    search, lookup = bare(network, requests), looked_up(requests)
    ours = priced(seller, requests)
    assert ours >= FLOOR_PER_SECOND, f"{ours:.0f} quotes/s, {FLOOR_PER_SECOND} were promised"
    yield row("germany50, priced, paths kept", count, ours, search, "Dijkstra and a price list", unit)
    yield row("germany50, priced, paths kept", count, ours, lookup, "a price list alone", unit)
    yield row("germany50, priced, paths kept: promised", count, ours, FLOOR_PER_SECOND, "the promise", unit)
    yield row("germany50, priced and signed", REQUESTS, signed(seller, requests), ours, "priced", unit)
    yield row("germany50, priced and held", count, held(busy_seller(network), requests), ours, "priced", unit)
    for together in (1, 32):
        rate = asyncio.run(logged(busy_seller(network), requests, together))
        name = f"germany50, priced, signed, held, logged, {together} an append"
        yield row(name, REQUESTS, rate, ours, "priced", unit)
    start = time.process_time()
    quotes_of(busy_seller(network), requests)
    yield row("germany50, paths searched", REQUESTS, REQUESTS / (time.process_time() - start), ours, "paths kept", unit)


def _growth() -> Iterator[Row]:
    first = 0.0
    for routers in SIZES:
        network, _ = published(f"gabriel/{routers}/0")
        rate = priced(busy_seller(network), requests_in(network))
        first = first or rate
        yield row(f"{routers} routers, priced", REQUESTS * LOOPS, rate, first, f"{SIZES[0]} routers", "quotes/s")
    network, _ = published(NETWORK)
    first = 0.0
    for tenants in TENANTS:
        seller = busy_seller(network)
        requests = requests_in(network, tenants)
        _fill(seller, requests, tenants)
        rate = priced(seller, [replace(each, consumer=f"asking-{each.consumer}") for each in requests])
        first = first or rate
        name = f"germany50, priced while {tenants} tenants hold a quote each"
        yield row(name, REQUESTS * LOOPS, rate, first, f"{TENANTS[0]} tenants", "quotes/s")


def _fill(seller: Seller, requests: Sequence[ServiceRequest], tenants: int) -> None:
    """Each tenant holds the least there is; where that does not fit any more, it goes without."""
    for number in range(tenants):
        asked = replace(
            requests[number % len(requests)], id=f"of-{number}", consumer=f"tenant-{number}", bandwidth=BitRate(10**7)
        )
        answer = price(asked, seller, NOW)
        if not isinstance(answer, QuoteRefusal):
            hold(answer[0], NOW)


def main() -> None:
    write("quotes", [*_germany(), *_growth()])


if __name__ == "__main__":
    main()
