"""Episodes on emulated routers with the load or the wallet turned: the agents decide otherwise, as in simulation."""

from typing import Any

import pytest

from tests.e2e.on_stage import on_both

pytestmark = pytest.mark.timeout(500)


@pytest.mark.parametrize(
    "name, turned, verdict, facts",
    [
        ("service-switching", {"ceiling": "400.00"}, "optical at once", ("tiers", "routes")),
        ("volatile-open", {"load": 0.0}, "money path paid for, bulk kept", ("levels", "routes")),
        ("energy-shock", {"load": 0.1}, "both take the short way", ()),
    ],
    ids=["a richer wallet", "a spur with nothing else on it", "a short way with room"],
)
async def test_an_episode_ends_otherwise_when_the_load_or_the_wallet_is_otherwise(
    name: str, turned: dict[str, Any], verdict: str, facts: tuple[str, ...]
) -> None:
    outcome, story = await on_both(name, *facts, **turned)
    assert outcome.verdict == verdict
    assert outcome.facts["sent"] > 100_000
    assert outcome.facts["lost"] == 0, story
