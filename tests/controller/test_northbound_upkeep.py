"""What the daemon does unasked, and how it proves that it is alive."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.adapters.settings_loader import load_settings
from controller.bootstrap import Daemon, open_daemon
from controller.events import types
from controller.model.identifiers import DeviceName
from controller.ports import NewEvent
from controller.runtime.pulse import Pulse
from controller.runtime.upkeep import Upkeep


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    (tmp_path / "inventory.yaml").write_text("hosts: {}\n")
    (tmp_path / "accord.yaml").write_text("state_dir: state\ninventory: inventory.yaml\n")
    opened = await open_daemon(load_settings(tmp_path / "accord.yaml"))
    yield opened
    await opened.stop(1.0)


async def test_a_snapshot_is_stored_only_when_enough_has_happened(daemon: Daemon) -> None:
    assert not await Upkeep(daemon.controller).save()
    upkeep = Upkeep(daemon.controller, events_between_snapshots=1)
    assert await upkeep.save()
    assert not await upkeep.save()
    await daemon.log.append([NewEvent("daemon", types.DAEMON_STOPPED, {})], actor="test")
    assert await upkeep.save()


async def test_the_pulse_beats_while_the_log_answers(daemon: Daemon) -> None:
    pulse = Pulse(daemon.controller)
    pulse.start()
    assert await pulse.is_beating()
    position = daemon.log.last_position()
    assert await pulse.is_beating()
    assert daemon.log.last_position() == position, "a beat leaves no trace"


async def test_the_pulse_stops_when_the_log_does_not_answer(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    pulse = Pulse(daemon.controller, append_seconds=0.05)
    pulse.start()

    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(daemon.log, "append", never)
    assert not await pulse.is_beating()


async def test_the_pulse_stops_when_a_transaction_stands_still(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    pulse = Pulse(daemon.controller, stalled_after_seconds=-1.0)
    pulse.start()
    transactions = daemon.controller.transactions
    assert await pulse.is_beating()

    class Summary:
        phase = "committing"

    monkeypatch.setattr(type(transactions), "running", lambda _: ["tx-1"])
    monkeypatch.setattr(type(daemon.controller.world.transactions), "get", lambda *_: Summary)
    assert pulse.stalled() == ["tx-1"]
    assert not await pulse.is_beating()


async def test_devices_that_cannot_be_read_are_told_once_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "inventory.yaml").write_text(
        "hosts:\n  r1:\n    hostname: 127.0.0.1\n    port: 1\n    data: {transport: netconf, credential: lab}\n"
    )
    (tmp_path / "credentials.yaml").touch(mode=0o600)
    (tmp_path / "credentials.yaml").write_text("credentials: {lab: {username: u, password: p}}\n")
    (tmp_path / "accord.yaml").write_text(
        "state_dir: state\ninventory: inventory.yaml\ncredentials: credentials.yaml\n"
    )
    daemon = await open_daemon(load_settings(tmp_path / "accord.yaml"))
    try:
        upkeep = Upkeep(daemon.controller)
        assert await upkeep.read_new() == 0
        assert set(upkeep.unreadable) == {"r1"}
        assert await upkeep.check_idle() == 0
        assert await upkeep.probe(DeviceName("r1"), 5.0)
        assert upkeep.drift() == {}
        async with daemon.controller.leases.hold([DeviceName("r1")], "tx-1", "a change", 1.0):
            assert await upkeep.probe(DeviceName("r1"), 5.0)
            assert await upkeep.read_new() == 0
    finally:
        await daemon.stop(1.0)
