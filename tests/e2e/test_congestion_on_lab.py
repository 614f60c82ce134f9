"""Foreign congestion on emulated routers: a tenant's packets fill a path under a live agreement's packets."""

import pytest

from tests.e2e.on_stage import on_both

pytestmark = pytest.mark.timeout(500)


async def test_foreign_congestion_is_renegotiated_under_traffic_and_back_and_no_packet_is_lost() -> None:
    outcome, story = await on_both("foreign-congestion", "strategies", "tiers", "routes", "flags")
    assert outcome.verdict == "renegotiated in flight, and back"
    assert outcome.facts["strategies"] == ["as asked", "step up", "step back"]
    assert outcome.facts["sent"] > 10_000_000
    assert outcome.facts["lost"] == 0, story
    there, back = (line for line in story if "changes the service" in line and "change-" in line)
    assert "light over london--amsterdam" in there
    assert "packets take london > amsterdam > frankfurt, 0 were lost meanwhile" in there
    assert "packets take london > paris > frankfurt, 0 were lost meanwhile" in back


async def test_foreign_congestion_that_cannot_be_paid_out_of_costs_packets_and_they_are_counted() -> None:
    outcome, story = await on_both("foreign-congestion", "strategies", "tiers", "routes", ceiling="300.00")
    assert outcome.verdict == "congested, and nothing else could be paid"
    assert 0 < outcome.facts["lost"] < outcome.facts["sent"], story
    assert any("'ceiling'" in line for line in story)


async def test_a_tenant_that_leaves_room_changes_nothing() -> None:
    outcome, story = await on_both("foreign-congestion", "strategies", "routes", "flags", load=0.3)
    assert outcome.verdict == "left alone"
    assert outcome.facts["lost"] == 0, story
