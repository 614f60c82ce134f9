"""A controller that dies in the middle of a recovery goes on with it: at every state, and by kill -9."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from controller.ports import Event
from controller.recovery.history import Recovery
from controller.recovery.states import Mode, RecoveryState
from tests.e2e.daemon import DaemonProcess, lab_command, lab_of_routers
from tests.e2e.daemon import eventually as sooner_or_later
from tests.e2e.provider import Provider
from tests.e2e.recovering import (
    LONDON,
    LONG,
    LYON,
    NORTH,
    NORTH_WIRE,
    by,
    eventually,
    lose,
    recoveries,
    recovering,
    running,
    ways,
)
from tests.e2e.world import until

pytestmark = pytest.mark.timeout(900)
BOTH = ("gold", "gold-back")
STATES = [state for state in RecoveryState if state not in {RecoveryState.RECOVERED, RecoveryState.ESCALATED}]


@pytest.fixture(autouse=True)
def links_are_measured_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a share of lost packets shows within seconds."""
    monkeypatch.setattr("controller.mapping.tunnel_probes.LINK_MILLISECONDS", 25)


@pytest.mark.parametrize("state", [state for state in STATES if state is not RecoveryState.ROLLED_BACK])
async def test_a_controller_that_is_stopped_in_any_state_goes_on_and_does_nothing_twice(
    tmp_path: Path, state: RecoveryState
) -> None:
    async with recovering(tmp_path, tunnels=BOTH) as provider:
        one = await stopped_in(provider, state)
        await provider.restart()
        assert provider.controller.world.recoveries.get(one.id).state is state
        async with running(provider, when_well=False):
            over = await eventually(lambda each: each.id == one.id and each.is_over, provider)
            assert ways(provider, "gold") == ways(provider, "gold-back") == {LYON}
            assert len(over.transactions) == 1
            assert [each.cause for each in recoveries(provider)] == [NORTH]
            await provider.assert_read_back_equal([LONDON])


async def stopped_in(provider: Provider, state: RecoveryState) -> Recovery:
    """A link gets bad, and the daemon is gone as soon as the log says that its recovery is in that state."""
    reached = asyncio.Event()

    def hear(_events: Iterable[Event]) -> None:
        found = by(lambda one: one.cause == NORTH, provider)
        if found is not None and found.state is state:
            provider.controller.recoveries.mode = lambda: Mode.OFF
            for task in asyncio.all_tasks():
                if task.get_name() == f"recovery {found.id}":
                    task.cancel()
            reached.set()

    provider.daemon.log.subscribe(hear)
    lose(provider, NORTH_WIRE, 0.1)
    async with asyncio.timeout(LONG):
        await reached.wait()
    found = by(lambda one: one.cause == NORTH, provider)
    assert found is not None
    await until(lambda: found.id not in provider.controller.recoveries._running, LONG)
    await provider.daemon.stop(10.0)
    return provider.controller.world.recoveries.get(found.id)


SETTINGS: dict[str, Any] = {
    "telemetry": {"interval_seconds": 0.5, "core_interval_seconds": 0.5, "jitter": 0},
    "recovery": {"tick_seconds": 0.2, "settle_seconds": 0.5, "verify_seconds": 60},
}


@pytest.mark.parametrize("states", [("localised", "planned", "proved", "executing"), ("verifying",)])
def test_a_daemon_that_is_killed_in_the_middle_goes_on_after_its_start(tmp_path: Path, states: tuple[str, ...]) -> None:
    with lab_of_routers(tmp_path / "lab") as lab, DaemonProcess(tmp_path / "accord", lab, settings=SETTINGS) as daemon:
        daemon.wait_until_read()
        plan = daemon.intend("Create L3VPN service with 2 VPN sites in London and Frankfurt using L3SM Service Model")
        daemon.commit(plan["plan"]["id"])
        sooner_or_later(lambda: daemon.get("/api/v1/topology").json()["links"], "the topology is learnt", LONG)
        for document, path in (
            ({"name": "gold", "source": "pe-london", "target": "pe-frankfurt"}, "tunnels"),
            ({}, "topology/measure"),
        ):
            made = daemon.post(f"/api/v1/{path}", document).json()
            assert daemon.commit(made["id"])["phase"] == "committed"
        healthy(daemon)
        lab_command("link", "--dir", str(lab), NORTH_WIRE, "down", "--silent")
        sooner_or_later(lambda: state_of(daemon) in states, f"the recovery is {states}", LONG)
        daemon.kill()
        daemon.start()
        sooner_or_later(lambda: state_of(daemon) == "recovered", "the recovery is over", LONG)
        shown = daemon.get("/api/v1/tunnels/gold").json()
        assert "p-brussels" not in shown["route"]


def state_of(daemon: DaemonProcess) -> str:
    """Of the one recovery from the silent link."""
    found = [one["state"] for one in daemon.get("/api/v1/recoveries").json() if one["cause"] == NORTH]
    assert len(found) <= 1
    return found[0] if found else ""


def healthy(daemon: DaemonProcess) -> None:
    """Every link is measured, and nothing is wrong."""

    def measured() -> bool:
        sent = daemon.get("/api/v1/telemetry/series?kind=sent-packets").json()
        return len(sent) >= 2 and all(one["value"] for one in sent)

    sooner_or_later(measured, "links are measured", LONG)
    sooner_or_later(lambda: daemon.get("/api/v1/diagnosis").json()["causes"] == [], "nothing is wrong", LONG)
