"""What systemd hears from the daemon, on real datagram sockets."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.adapters.sd_notify import SystemdNotifier
from tests.patience import PATIENCE_SECONDS


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, short_directory: Path) -> Iterator[tuple[socket.socket, str]]:
    name = str(short_directory / "n") if request.param == "path" else f"@accord-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        listener.settimeout(PATIENCE_SECONDS)
        yield listener, name


def test_each_message_is_one_datagram(manager: tuple[socket.socket, str]) -> None:
    listener, name = manager
    notifier = SystemdNotifier({"NOTIFY_SOCKET": name})
    assert notifier.is_active
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert all([
        notifier.ready("5 devices\nREADY=0"),
        notifier.status("working"),
        notifier.watchdog(),
        notifier.reloading(),
        notifier.extend_timeout(1.5),
        notifier.stopping(),
    ])  # fmt: skip
    heard = [listener.recv(1000).decode() for _ in range(6)]
    assert heard[:3] == ["READY=1\nSTATUS=5 devices READY=0", "STATUS=working", "WATCHDOG=1"]
    reloading, stamp = heard[3].split("\nMONOTONIC_USEC=")
    assert reloading == "RELOADING=1"
    assert before <= int(stamp) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert heard[4:] == ["EXTEND_TIMEOUT_USEC=1500000", "STOPPING=1"]


def fill(notifier: SystemdNotifier) -> int:
    """Beats until the manager's queue takes no more."""
    beats = 0
    while notifier.watchdog():
        beats += 1
    return beats


def test_what_is_said_once_waits_for_a_manager_that_is_busy_and_a_beat_does_not(
    manager: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, name = manager
    notifier = SystemdNotifier({"NOTIFY_SOCKET": name})
    beats = fill(notifier)
    assert not notifier.ready()
    monkeypatch.setattr("controller.adapters.sd_notify._PATIENCE_SECONDS", PATIENCE_SECONDS)
    busy = threading.Timer(0.1, listener.recv, [1000])
    busy.start()
    assert notifier.reloading()
    busy.join()
    heard = [listener.recv(1000) for _ in range(beats)]
    assert heard[:-1] == [b"WATCHDOG=1"] * (beats - 1)
    assert heard[-1].startswith(b"RELOADING=1")


def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = SystemdNotifier()
    assert not notifier.is_active
    assert not notifier.ready()


def test_a_manager_that_does_not_listen_is_no_error(tmp_path: Path) -> None:
    assert not SystemdNotifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
    assert not SystemdNotifier({"NOTIFY_SOCKET": "x" * 300}).ready()


@pytest.mark.parametrize(
    "variables, seconds",
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_kept_only_when_it_waits_for_this_process(
    variables: dict[str, str], seconds: float | None
) -> None:
    assert SystemdNotifier(variables).watchdog_seconds == seconds
