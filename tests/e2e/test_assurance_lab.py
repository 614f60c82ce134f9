"""Assurance over the lab's routers: a link becomes slower, the service at risk, and everything said of it is so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import httpx2
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from controller.assurance.instance import InstanceState
from controller.northbound.auth import Role, add_token, load_tokens, new_token
from controller.runtime.assurance import Pace as AssurancePace
from controller.runtime.collection import Pace
from controller.runtime.collection_series import SeriesBook
from lab.topology import Topology
from tests.controller.test_northbound_doors import doors_of
from tests.e2e.provider import ACTOR, Provider
from tests.e2e.test_collection_lab import demo
from tests.e2e.test_collection_lab import until as until_within
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.timeout(900)
_LONG = 2 * PATIENCE_SECONDS
until = partial(until_within, seconds=_LONG)
S = InstanceState
WIRES = ("pe-london--p-brussels", "pe-london--p-lyon")
SAID = "Connect London and Paris with 100 Mbit/s and at most 50 ms latency for acme"
FACTORS = {"%": 100.0, "us": 1e6, "ms": 1e3, "s": 1.0, "": 1.0}
FACTORS |= {f"{prefix}bit/s": 8 / factor for prefix, factor in (("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9))}
Json = Any


@asynccontextmanager
async def assured(
    directory: Path, topology: Topology | None = None
) -> AsyncIterator[tuple[Provider, httpx2.AsyncClient]]:
    """A service in the demonstration's network that measures itself and is assured; and an operator's client."""
    token, entry = new_token("ada", [Role.OPERATOR])
    add_token(directory / "tokens.yaml", entry)
    async with demo(directory, Pace(0.2, jitter=0.0), topology) as provider:
        controller = provider.controller
        controller.collection.series = SeriesBook(0.2, 120.0)
        controller.collection.series.subscribe(controller.topology.measurements.take)
        controller.service_probes.is_wanted = True
        controller.assurance.take_over(AssurancePace(0.2, 2.0, 30.0, 0.0))
        transport = httpx2.ASGITransport(app=doors_of(provider.daemon, load_tokens(directory / "tokens.yaml")).app)
        headers = {"authorization": f"Bearer {token}"}
        outcome = await controller.submit_intent(SAID, ACTOR)
        assert outcome.plan is not None, outcome.result
        await provider.commit_plan(outcome.plan)
        await controller.service_probes.reconcile()
        ticking = asyncio.create_task(_tick(provider))
        async with httpx2.AsyncClient(transport=transport, base_url="https://x", headers=headers) as client:
            try:
                await until(lambda: state(provider) is S.ASSURED)
                yield provider, client
            finally:
                ticking.cancel()
                await asyncio.gather(ticking, return_exceptions=True)


async def _tick(provider: Provider) -> None:
    while True:
        await provider.controller.assurance.tick()
        await asyncio.sleep(0.2)


def state(provider: Provider) -> InstanceState:
    return provider.controller.assurance.state("acme-1")


def slow(provider: Provider, seconds: float) -> None:
    """Whichever way packets leave London takes so long."""
    for wire in WIRES:
        provider.lab.slow_link(wire, seconds)


async def raised(provider: Provider) -> None:
    """The delay rises step by step, past what is promised."""
    for milliseconds in (15, 25, 35, 45, 60):
        slow(provider, milliseconds / 1000)
        await until(partial(reached, provider, milliseconds / 1000))
    await until(lambda: state(provider) in {S.AT_RISK, S.COOLING})


def report_of(provider: Provider) -> Any:
    recorded = provider.controller.world.assurance.report("acme-1")
    return recorded.data["report"] if recorded else None


def reached(provider: Provider, least: float) -> bool:
    return measured(provider) >= least


def measured(provider: Provider) -> float:
    """The one-way delay as assurance has it."""
    standing = provider.controller.assurance.standings["acme-1"]
    subject = "pe-london>pe-paris"
    return next(one.measured.value for one in standing.objectives if one.objective.subject == subject)


def recomputed(explanation: Json) -> list[str]:
    """Each figure beside what the samples of the explanation make of it, by the rules' words alone."""
    values = {(name, time): value for name, told in explanation["samples"].items() for time, value in told}
    wrong = []
    for figure in (f for s in explanation["sentences"] for c in s["clauses"] for f in c["figures"]):
        groups = [[(name, time) for name, time in group] for group in figure["samples"]]
        if figure["rule"] in {"first time", "last time"}:
            times = [time for _, time in groups[0]]
            moment = min(times) if figure["rule"] == "first time" else max(times)
            again = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M")
            wrong += [] if again.endswith(figure["text"]) else [f"{figure['text']} {again}"]
            continue
        means = [fmean(values[tuple(sample)] for sample in group) for group in groups]
        value = means[0] if len(means) == 1 else (means[1] - means[0]) / means[2 if len(means) > 2 else 0]
        shown = value * FACTORS[figure["unit"]]
        rounding = 0.51 if figure["unit"] == "%" else 0.0
        is_so = abs(shown - float(figure["text"])) <= max(rounding, 0.01 * abs(shown))
        wrong += [] if is_so else [f"{figure} {shown}"]
    return wrong


async def explanation(client: httpx2.AsyncClient) -> Json:
    answer = await client.get("/api/v1/assurance/acme-1/explanation")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_link_that_becomes_slower_puts_the_service_at_risk_and_it_is_told_with_the_right_numbers(
    tmp_path: Path,
) -> None:
    async with assured(tmp_path) as (provider, client):
        usual = measured(provider)
        await raised(provider)
        await until(lambda: provider.controller.world.assurance.decisions("acme-1"))
        await until(lambda: "NOT_FULFILLED" in str(report_of(provider)))
        seen = (await client.get("/api/v1/assurance/acme-1")).json()
        assert seen["decisions"][-1]["acts"] is False
        assert "not localised yet" in [one["text"] for one in seen["decisions"][-1]["reasons"]]
        assert [step["event"] for step in seen["steps"]][-1] in {"predict-breach", "hold"}
        report = seen["report"]["expression"]["expressionValue"]["intentFulfilmentReport"]
        assert report["intentFulfilmentInfo"]["fulfilmentStatus"] == "NOT_FULFILLED"
        story = await explanation(client)
        told = [sentence["text"] for sentence in story["sentences"]]
        assert any("one-way delay London to Paris rose" in text for text in told), told
        assert any("it was decided to do nothing" in text for text in told)
        assert recomputed(story) == []
        assert all(c["figures"] or c["events"] for s in story["sentences"] for c in s["clauses"])
        assert all(str(e) in story["events"] for s in story["sentences"] for c in s["clauses"] for e in c["events"])
        slow(provider, 0.002)
        await until(lambda: state(provider) is S.ASSURED)
        assert measured(provider) < 2 * usual
        metrics = (await client.get("/metrics")).text
        assert 'accord_service_state{accord_service_state="assured",service="acme-1"} 1.0' in metrics
        assert (
            'accord_objective_target{objective="delay-one-way",service="acme-1",subject="pe-london>pe-paris"} 0.05'
            in (metrics)
        )


async def test_a_lost_carrier_is_named_as_what_began_it(tmp_path: Path) -> None:
    async with assured(tmp_path) as (provider, client):
        provider.daemon.link_events.follow()
        await until(lambda: "pe-london" in provider.daemon.link_events.listening)
        usual = measured(provider)
        provider.lab.slow_link("pe-london--p-lyon", 0.012)
        provider.lab.set_link("pe-london--p-brussels", up=False)
        await until(lambda: measured(provider) > usual + 0.005)

        async def told() -> list[str]:
            return [sentence["text"] for sentence in (await explanation(client))["sentences"]]

        async with asyncio.timeout(_LONG):
            while not any("p-brussels-pe-london lost carrier" in text for text in await told()):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        story = await explanation(client)
        assert recomputed(story) == []
        assert "link.changed" in {event["type"] for event in story["events"].values()}


async def shown(client: httpx2.AsyncClient, of: str) -> dict[str, Any]:
    """A link in the overlay once something is known of it: what is too old is not shown."""
    async with asyncio.timeout(_LONG):
        while True:
            links = (await client.get("/api/v1/topology/overlay", params={"of": of})).json()["links"]
            found: dict[str, Any] = next(one for one in links if one["link"] == "pe-london:core0>p-brussels:core0")
            if found["value"] is not None:
                return found
            await asyncio.sleep(0.1)


async def test_the_overlay_shows_what_links_carry_and_how_long_they_take(tmp_path: Path) -> None:
    async with assured(tmp_path) as (_, client):
        link = await shown(client, "load")
        assert (0.1 < link["value"] < 0.9, link["from"]) == (True, "counters")
        delay = (await client.get("/api/v1/topology/overlay", params={"of": "delay"})).json()
        assert all(link["value"] > 0 for link in delay["links"])
        refused = await client.get("/api/v1/topology/overlay", params={"of": "colour"})
        assert (refused.status_code, "load, delay, loss" in refused.text) == (400, True)


async def test_objectives_set_over_the_api_are_measured_and_nonsense_is_refused(tmp_path: Path) -> None:
    async with assured(tmp_path) as (provider, client):
        path = "/api/v1/assurance/acme-1/objectives"
        wanted = [{"name": "availability", "target": 0.999, "window_seconds": 3600}, {"name": "loss", "target": 0.01}]
        assert (await client.post(path, json={"objectives": wanted})).status_code == 200

        def stood() -> dict[str, Any]:
            standing = provider.controller.assurance.standings["acme-1"]
            return {one.objective.name.value: one for one in standing.objectives if one.measured.value >= 0}

        await until(lambda: {"availability", "loss"} <= stood().keys())
        assert stood()["loss"].measured.value == 0.0
        assert stood()["availability"].measured.value == 1.0
        for wrong in (
            {"name": "colour", "target": 1},
            {"name": "loss", "target": 2},
            {"name": "loss", "target": "x"},
            {"name": "loss"},
            {"name": "jitter", "target": 0.1, "window_seconds": 0},
            {"name": "jitter", "target": 0.1, "subject": 7},
            {"name": "jitter", "target": 0.1, "subject": "pe-london>nowhere"},
        ):
            answer = await client.post(path, json={"objectives": [wrong]})
            assert answer.status_code == 400, (wrong, answer.text)
            assert "objectives/0" in answer.text
        for unknown in ("nobody", "nobody/explanation"):
            answer = await client.get(f"/api/v1/assurance/{unknown}")
            assert answer.status_code == 404
            assert "no service 'nobody' is assured" in answer.text
            assert "accord assurance list" in answer.text


async def test_what_is_measured_of_a_service_goes_with_it(tmp_path: Path) -> None:
    async with assured(tmp_path) as (provider, client):
        controller = provider.controller
        await provider.commit_plan(await controller.plan_service_deletion("acme-1", ACTOR))
        await until(lambda: "acme-1" not in controller.assurance.standings)
        assert "acme-1" not in (await client.get("/metrics")).text
        assert (await client.get("/api/v1/assurance")).json() == []


async def test_where_openmetrics_is_asked_for_numbers_lead_to_their_events(tmp_path: Path) -> None:
    async with assured(tmp_path) as (provider, client):
        accept = {"accept": "application/openmetrics-text; version=1.0.0"}
        text = (await client.get("/metrics", headers=accept)).text
        families = {family.name: family for family in text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]
        assert families["accord_service_state"].type == "stateset"
        samples = families["accord_assurance_happenings"].samples
        found = [(one.labels["event"], one.exemplar.labels) for one in samples if one.exemplar]
        assert found
        for happened, labels in found:
            event = next(iter(provider.controller.log.read(int(labels["event"]) - 1, limit=1)))
            assert (event.stream, event.data["event"]) == (labels["trace_id"], happened)
