"""Narratives over the lab's routers: every number of a sentence is worked out again from samples, events, the lab."""

import asyncio
import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import httpx2
import pytest

from controller.events import types
from controller.runtime.tunnels import TunnelWish
from controller.telemetry.sample import SeriesKey
from lab.topology import Demand, Link, Node, PortRef, Role, Site, Topology
from tests.e2e.provider import ACTOR, Provider
from tests.e2e.test_assurance_lab import assured, explanation, measured, recomputed, until

pytestmark = pytest.mark.timeout(900)
GIGABIT = 10**9
LATE = 300.0
CITIES = {
    "pe-london": Site("London", "GB", 51.51, -0.13, "LON1"),
    "pe-paris": Site("Paris", "FR", 48.86, 2.35, "PAR1"),
    "pe-frankfurt": Site("Frankfurt", "DE", 50.11, 8.68, "FRA1"),
}
MILLISECONDS = {
    ("pe-london", "p1"): 1.0,
    ("p1", "p2"): 8.1,
    ("p2", "pe-paris"): 1.0,
    ("pe-london", "p3"): 1.0,
    ("p3", "p4"): 11.9,
    ("p4", "pe-paris"): 1.0,
    ("pe-frankfurt", "p1"): 1.0,
    ("pe-frankfurt", "p5"): 5.0,
    ("p5", "p2"): 8.0,
}
WIRE = "p1--p2"
OFFERED = {"pe-london": 17, "pe-frankfurt": 83}
"""Gbit/s to Paris, all of it over p1-p2: without it, London goes over p3-p4 and Frankfurt over p5."""
Json = Any


def network() -> Topology:
    ports: dict[str, int] = {}

    def port(node: str) -> PortRef:
        ports[node] = ports.get(node, -1) + 1
        return PortRef(node, f"core{ports[node]}")

    links = [
        Link(f"{a}--{b}", port(a), port(b), 400 * GIGABIT, milliseconds / 1000)
        for (a, b), milliseconds in MILLISECONDS.items()
    ]
    taken = {name: tuple(f"core{n}" for n in range(count + 1)) for name, count in ports.items()}
    edges = [
        Node(name, Role.PE, site, core_ports=taken[name], access_ports=("ge0", "ge1")) for name, site in CITIES.items()
    ]
    core = [
        Node(f"p{n}", Role.P, Site(f"P{n}", "FR", 50.0, float(n), f"P{n}"), core_ports=taken[f"p{n}"])
        for n in range(1, 6)
    ]
    demands = tuple(Demand(source, "pe-paris", rate * GIGABIT) for source, rate in OFFERED.items())
    return Topology("narrated", (*edges, *core), tuple(links), demands)


class Stored:
    """What the collection has kept, asked behind the explanation's back."""

    def __init__(self, provider: Provider) -> None:
        self._store = provider.controller.collection.series.store
        self._known = {str(key): key for key in self._store.keys}

    def value(self, series: str, time: float) -> float:
        (found,) = self._store.samples(self._known[series], time, time)
        return found.value

    def mean(self, group: list[list[Any]]) -> float:
        return fmean(self.value(series, time) for series, time in group)


def clause(sentence: Json, words: str) -> Json:
    (found,) = [one for one in sentence["clauses"] if words in one["text"]]
    return found


async def told(client: httpx2.AsyncClient, pattern: str) -> tuple[Json, Json]:
    """The explanation in which a sentence matches, and the sentence; waited for."""
    async with asyncio.timeout(LATE):
        while True:
            story = await explanation(client)
            for sentence in story["sentences"]:
                if re.search(pattern, sentence["text"]):
                    return story, sentence
            await asyncio.sleep(0.3)


async def listening(provider: Provider) -> None:
    provider.daemon.link_events.follow()
    await until(lambda: len(provider.daemon.link_events.listening) == len(provider.lab.topology.nodes))


def readings(provider: Provider, least: float) -> int:
    """How many delays from London to Paris of at least so many seconds were read."""
    (standing,) = [
        one
        for one in provider.controller.assurance.standings["acme-1"].objectives
        if one.objective.subject == "pe-london>pe-paris"
    ]
    kept = provider.controller.collection.series.store.samples(standing.measured.series[0], 0.0, 4e9)
    return sum(one.value >= least for one in kept)


async def test_a_lost_carrier_moves_load_and_the_delay_rises_and_every_number_of_the_sentence_is_so(
    tmp_path: Path,
) -> None:
    async with assured(tmp_path, network()) as (provider, client):
        await listening(provider)
        await until(lambda: readings(provider, 0.0) >= 15)
        assert measured(provider) == pytest.approx(0.0101, rel=0.02)
        provider.lab.set_link(WIRE, up=False)
        await until(lambda: readings(provider, 0.0135) >= 15)
        pattern = (
            r"^(?:At|Between) .* UTC one-way delay London to Paris rose (\d+) % \(([\d.]+) to ([\d.]+) ms\)"
            r" because (\d+) % of the load moved to p3-p4 after p1-p2 lost carrier\.$"
        )
        story, sentence = await told(client, pattern)
        match = re.search(pattern, sentence["text"])
        assert match is not None
        rose, old, new, share = map(float, match.groups())
        stored = Stored(provider)

        change = clause(sentence, "one-way delay")["figures"]
        before, after = (stored.mean(group) for group in change[0]["samples"])
        assert old == pytest.approx(before * 1000, abs=0.06)
        assert new == pytest.approx(after * 1000, abs=0.06)
        assert rose == pytest.approx((after / before - 1) * 100, abs=0.51)
        assert (old, new, rose) == (
            pytest.approx(10.1, abs=0.3),
            pytest.approx(13.9, abs=0.4),
            pytest.approx(38, abs=3),
        )

        (moved,) = clause(sentence, "of the load moved")["figures"]
        rates = [stored.mean(group) for group in moved["samples"]]
        assert share == pytest.approx((rates[1] - rates[0]) / rates[2] * 100, abs=0.51)
        assert {series for series, _ in moved["samples"][0]} == {rate_of(provider, "p3", "p4")}
        assert {series for series, _ in moved["samples"][2]} == {rate_of(provider, "p1", "p2")}
        assert rates[2] * 8 == pytest.approx(sum(OFFERED.values()) * GIGABIT, rel=0.03)
        assert share == pytest.approx(OFFERED["pe-london"], abs=1), "of 100 Gbit/s"

        times = [time for _, time in change[0]["samples"][1]]
        (position,) = clause(sentence, "lost carrier")["events"]
        cut = next(iter(provider.controller.log.read(position - 1, limit=1)))
        assert (cut.type, cut.data["up"], cut.data["device"] in {"p1", "p2"}) == (types.LINK_CHANGED, False, True)
        assert max(time for _, time in change[0]["samples"][0]) < min(times)
        assert cut.time <= max(times)
        when = sentence["clauses"][0]
        for figure, moment in zip(when["figures"], (min(times), max(times)), strict=True):
            assert datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M").endswith(figure["text"])

        assert recomputed(story) == []
        assert all(value == stored.value(name, time) for name, them in story["samples"].items() for time, value in them)
        assert story["events"][str(position)]["data"] == dict(cut.data)


def rate_of(provider: Provider, source: str, target: str) -> str:
    """The series of what a router sends to another."""
    (link,) = [one for one in provider.lab.topology.links if {one.a.node, one.b.node} == {source, target}]
    return str(SeriesKey(source, "out-octets", link.end_at(source).port))  # type: ignore[arg-type]


async def test_a_change_that_the_controller_made_itself_is_named_with_its_transaction(tmp_path: Path) -> None:
    async with assured(tmp_path, network()) as (provider, client):
        controller = provider.controller
        hops = {
            way: [
                link.id
                for ends in pairwise(way)
                for link in controller.topology.network.links.values()
                if (link.source.node, link.target.node) == ends
            ]
            for way in (("pe-london", "p1", "p2", "pe-paris"), ("pe-london", "p3", "p4", "pe-paris"))
        }
        near, far = hops.values()
        ends = ("pe-london", "pe-paris")
        wish = TunnelWish(services=("acme-1",))
        await provider.commit_plan(
            await controller.plan_tunnels(
                lambda tunnels: tunnels.create("gold", *ends, wish, along_links=near),  # type: ignore[arg-type]
                ACTOR,
            )
        )
        await controller.service_probes.reconcile()
        await until(lambda: readings(provider, 0.0) >= 15)
        done = await provider.commit_plan(
            await controller.plan_tunnels(lambda tunnels: tunnels.move("gold", along_links=far), ACTOR)
        )
        await controller.service_probes.reconcile()
        await until(lambda: readings(provider, 0.0135) >= 15)
        pattern = rf"delay London to Paris rose .* {done.id} moved gold \({re.escape(done.summary)}\)\.$"
        story, sentence = await told(client, pattern)
        (position,) = clause(sentence, done.id)["events"]
        event = story["events"][str(position)]
        assert (event["type"], event["stream"]) == (types.TUNNELS_CHANGED, "tunnels")
        (tunnel,) = event["data"]["change"]["upserted"]
        assert tunnel["name"] == "gold"
        assert recomputed(story) == []
