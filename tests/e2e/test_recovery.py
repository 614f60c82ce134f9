"""Faults of a real network of routers, and what is done about them: seen, named, proved, carried out, verified."""

from pathlib import Path

import pytest

from tests.e2e.recovering import (
    BRUSSELS,
    LYON,
    NORTH,
    NORTH_WIRE,
    eventually,
    recovering,
    ways,
)


@pytest.fixture(autouse=True)
def links_are_measured_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a share of lost packets shows within seconds."""
    monkeypatch.setattr("controller.mapping.tunnel_probes.LINK_MILLISECONDS", 25)


async def test_a_link_that_is_silently_dead_is_found_and_left(tmp_path: Path) -> None:
    async with recovering(tmp_path, tunnels=("gold", "gold-back")) as provider:
        assert ways(provider, "gold") == ways(provider, "gold-back") == {BRUSSELS}
        provider.lab.set_link(NORTH_WIRE, up=False, silent=True)
        one = await eventually(lambda one: one.is_over, provider)
        assert (one.cause, one.services) == (NORTH, ("acme",))
        assert ways(provider, "gold") == ways(provider, "gold-back") == {LYON}
        assert one.transactions
        assert one.verification.endswith("lose nothing")
        assert "proved" in one.verdict
