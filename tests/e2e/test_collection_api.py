"""Telemetry's API and command line over the lab's routers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from controller.cli.client import Client
from controller.cli.main import app
from controller.northbound.auth import Role, add_token, load_tokens, new_token
from tests.controller.test_northbound_doors import doors_of
from tests.e2e.test_collection_lab import demo, held, until
from tests.patience import PATIENCE_SECONDS

ASKED = {"from": "London", "to": "Paris", "above": "1 s", "ratio": 0.2, "rate": 100, "sample_seconds": 0.05}


@asynccontextmanager
async def door(directory: Path) -> AsyncIterator[tuple]:
    """The provider and an operator's client."""
    token, entry = new_token("ada", [Role.OPERATOR])
    add_token(directory / "tokens.yaml", entry)
    async with demo(directory) as provider:
        transport = httpx2.ASGITransport(app=doors_of(provider.daemon, load_tokens(directory / "tokens.yaml")).app)
        headers = {"authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(transport=transport, base_url="https://x", headers=headers) as client:
            yield provider, client


async def test_series_and_their_quality_are_listed_and_can_be_narrowed(tmp_path: Path) -> None:
    async with door(tmp_path) as (provider, client):
        await until(lambda: provider.controller.collection.polls["read"] > 3 * len(provider.lab))
        found = (
            await client.get("/api/v1/telemetry/series", params={"device": "pe-london", "kind": "oper-status"})
        ).json()
        assert {row["series"] for row in found} >= {"pe-london/core0/oper-status", "pe-london/core1/oper-status"}
        assert {row["value"] for row in found if row["object"].startswith("core")} == {1.0}
        quality = (await client.get("/api/v1/telemetry/quality", params={"device": "pe-london"})).json()
        assert [row["quality"] for row in quality] == sorted(row["quality"] for row in quality)
        assert 0.0 < max(row["quality"] for row in quality) <= 1.0
        for path, name in (
            ("series?device=nobody", "nobody"),
            ("quality?device=nobody", "nobody"),
            ("sessions?service=none", "none"),
        ):
            refused = await client.get(f"/api/v1/telemetry/{path}")
            assert (refused.status_code, name in refused.text) == (404, True)
        metrics = (await client.get("/metrics")).text
        assert 'accord_telemetry_polls_total{outcome="read"}' in metrics
        assert 'accord_telemetry_lag_seconds_bucket{le="+Inf"}' in metrics


async def test_an_area_is_read_more_often_for_a_while(tmp_path: Path) -> None:
    async with door(tmp_path) as (_, client):
        asked = {"devices": ["pe-london"], "interval": 0.1, "seconds": 8.0}
        assert (await client.post("/api/v1/telemetry/enhance", json=asked)).status_code == 200

        async def hastened() -> list[str]:
            view = (await client.get("/api/v1/telemetry/collection")).json()
            return [row["device"] for row in view["devices"] if row["is_hastened"]]

        assert await hastened() == ["pe-london"]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await hastened():  # noqa: ASYNC110 - asked over HTTP
                await asyncio.sleep(0.1)
        refused = await client.post("/api/v1/telemetry/enhance", json={"devices": ["nobody"]})
        assert (refused.status_code, "nobody" in refused.text) == (400, True)


async def test_a_campaign_is_asked_followed_and_stopped_over_the_api(tmp_path: Path) -> None:
    async with door(tmp_path) as (provider, client):
        begun = await client.post("/api/v1/telemetry/campaigns", json=ASKED | {"until": "2 h"})
        assert begun.status_code == 202, begun.text
        id_ = begun.json()["id"]
        await asyncio.wait_for(provider.controller.campaigns.finish(id_), PATIENCE_SECONDS)
        found = (await client.get(f"/api/v1/telemetry/campaigns/{id_}")).json()
        assert (found["state"], found["answer"], found["source"]) == ("answered", "stays-below", "pe-london")
        assert found["share_above"]["high"] < 0.2
        second = (await client.post("/api/v1/telemetry/campaigns", json=ASKED | {"ratio": 0.001})).json()["id"]
        await client.post(f"/api/v1/telemetry/campaigns/{second}/stop")
        await asyncio.wait_for(provider.controller.campaigns.finish(second), PATIENCE_SECONDS)
        listed = (await client.get("/api/v1/telemetry/campaigns")).json()
        assert [(row["id"], row["state"]) for row in listed] == [(second, "stopped"), (id_, "answered")]
        assert held(provider) == []


async def test_until_is_a_time_or_a_span_from_now_in_minutes_too(tmp_path: Path) -> None:
    async with door(tmp_path) as (provider, client):
        for span, seconds in (("10m", 600), ("90 min", 5400), ("2h", 7200)):
            before = provider.controller.clock.now()
            begun = (await client.post("/api/v1/telemetry/campaigns", json=ASKED | {"until": span})).json()
            assert before + seconds <= begun["until"] <= provider.controller.clock.now() + seconds
            await client.post(f"/api/v1/telemetry/campaigns/{begun['id']}/stop")
            await asyncio.wait_for(provider.controller.campaigns.finish(begun["id"]), PATIENCE_SECONDS)
        refused = (await client.post("/api/v1/telemetry/campaigns", json=ASKED | {"until": "10 moons"})).text
        assert "until '10 moons' is neither a time nor a span from now" in refused
        assert "10 min (or 10m)" in refused


async def test_a_question_in_plain_words_becomes_a_campaign_and_tells_what_was_assumed(tmp_path: Path) -> None:
    async with door(tmp_path) as (provider, client):
        text = "tell me if latency between London and Paris could exceed 900 ms tonight"
        begun = (await client.post("/api/v1/telemetry/questions", json={"text": text})).json()
        assert (begun["source"], begun["target"], begun["above_seconds"]) == ("pe-london", "pe-paris", 0.9)
        assert begun["assumed"] == ["a night ends at 06:00 UTC", "one way, from London to Paris"]
        assert [campaign.id for campaign in provider.controller.campaigns] == [begun["id"]]
        await client.post(f"/api/v1/telemetry/campaigns/{begun['id']}/stop")
        await asyncio.wait_for(provider.controller.campaigns.finish(begun["id"]), 60)
        assert held(provider) == []
        unclear = await client.post("/api/v1/telemetry/questions", json={"text": text.replace("tonight", "soonish")})
        assert (unclear.status_code, "'soonish': what does this mean?" in unclear.text) == (400, True)
        nowhere = await client.post("/api/v1/telemetry/questions", json={"text": text.replace("Paris", "Atlantis")})
        assert (nowhere.status_code, "'Atlantis' names no provider edges" in nowhere.text) == (400, True)


async def test_a_campaign_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    async with door(tmp_path) as (_, client):
        for wrong in ({"above": "far"}, {"until": "2026-11-22T23:00:00"}, {"until": "soon"}, {"ratio": 2}, {"to": ""}):
            answer = await client.post("/api/v1/telemetry/campaigns", json=ASKED | wrong)
            assert answer.status_code == 400, (wrong, answer.text)


def test_the_command_line_asks_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = {}

    def post(_self: Client, *segments: str, body: dict) -> dict:
        sent[segments] = body
        return {"id": "campaign-1", "state": "starting", "above_seconds": 0.015}

    monkeypatch.setattr(Client, "post", post)
    monkeypatch.setenv("ACCORD_TOKEN", "any")
    words = ["telemetry", "campaign", "start", "--from", "London", "--to", "Paris", "--above", "15ms", "--until", "2h"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    body = sent["telemetry", "campaigns"]
    assert (body["from"], body["to"], body["above"], body["until"]) == ("London", "Paris", "15ms", "2h")
    assert (body["metric"], body["confidence"]) == ("one-way", 0.95)
    assert "campaign-1" in done.output


def test_the_command_line_passes_a_question_on_and_says_what_was_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = {}

    def post(_self: Client, *segments: str, body: dict) -> dict:
        sent[segments] = body
        return {"id": "campaign-1", "state": "starting", "assumed": ["one way, from London to Paris"]}

    monkeypatch.setattr(Client, "post", post)
    monkeypatch.setenv("ACCORD_TOKEN", "any")
    done = CliRunner().invoke(app, ["telemetry", "campaign", "ask", "could delay from a to b exceed 1 s"])
    assert done.exit_code == 0, done.output
    assert sent == {("telemetry", "questions"): {"text": "could delay from a to b exceed 1 s"}}
    assert "campaign-1" in done.output
    assert "assumed: one way, from London to Paris" in done.output
