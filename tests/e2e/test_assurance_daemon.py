"""A real daemon looks after a service over a real lab: at risk when a link slows down, over kill -9, and back."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from controller.cli.main import main
from controller.events import types
from tests.e2e.daemon import DaemonProcess, Result, eventually, lab_command, lab_of_routers

pytestmark = pytest.mark.timeout(900)
SETTINGS = {
    "telemetry": {
        "interval_seconds": 0.5,
        "core_interval_seconds": 0.5,
        "service_probes": "auto",
        "history_seconds": 600,
    },
    "assurance": {"tick_seconds": 0.5, "horizon_seconds": 4, "jitter_seconds": 0, "report_seconds": 600},
    "topology": {"repair": "off"},
}
SAID = "Connect London and Paris with 100 Mbit/s and at most 50 ms latency for acme"
WIRES = ("pe-london--p-brussels", "pe-london--p-lyon")
RISKY = {"at-risk", "cooling", "renegotiated", "restored"}
PATIENCE_SECONDS = 120.0
Accord = Callable[..., Result]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Path]:
    with lab_of_routers(tmp_path / "lab") as directory:
        yield directory


@pytest.fixture
def daemon(tmp_path: Path, lab: Path) -> Iterator[DaemonProcess]:
    with DaemonProcess(tmp_path / "accord", lab, settings=SETTINGS) as running:
        running.wait_until_read()
        running.commit(running.intend(SAID)["plan"]["id"])
        yield running


@pytest.fixture
def accord(
    daemon: DaemonProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Accord:
    """Run a command in this process, as the operator."""
    (tmp_path / "operator").write_text(daemon.tokens["operator"])
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("ACCORD_URL", daemon.url)
    monkeypatch.setenv("ACCORD_CA", str(daemon.certificate))
    monkeypatch.setenv("ACCORD_TOKEN_FILE", str(tmp_path / "operator"))

    def run(*words: str) -> Result:
        capfd.readouterr()
        code = main(words)
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return run


def slow(lab: Path, milliseconds: float) -> None:
    """Whichever way packets leave London takes so long."""
    for wire in WIRES:
        lab_command("link", wire, "up", "--delay", str(milliseconds), "--dir", str(lab))


def agreement(daemon: DaemonProcess) -> Any:
    answer = daemon.get("/api/v1/assurance/acme-1")
    return answer.json() if answer.status_code == 200 else {}


def delay(daemon: DaemonProcess) -> float:
    """What is observed of London to Paris, in milliseconds."""
    found = [one for one in agreement(daemon).get("objectives", ()) if one["subject"] == "pe-london>pe-paris"]
    return 1000 * found[0]["observed"] if found and found[0]["observed"] is not None else 0.0


def is_as_slow(daemon: DaemonProcess, milliseconds: float) -> bool:
    return delay(daemon) >= milliseconds


def test_a_service_is_at_risk_while_a_link_is_slow_and_a_crash_forgets_nothing_of_it(
    lab: Path, daemon: DaemonProcess, accord: Accord
) -> None:
    objectives = ["--objective", "availability=99.9%"]
    eventually(lambda: accord("assurance", "set", "acme-1", *objectives).code == 0, "the service is assured")
    eventually(lambda: agreement(daemon).get("state") == "assured", "it is seen to keep its promises", PATIENCE_SECONDS)
    for milliseconds in (20, 40, 60):
        slow(lab, milliseconds)
        eventually(partial(is_as_slow, daemon, milliseconds), f"{milliseconds} ms are seen", PATIENCE_SECONDS)
    eventually(lambda: agreement(daemon)["state"] in RISKY, "it is at risk", PATIENCE_SECONDS)
    eventually(lambda: agreement(daemon)["decisions"], "a decision is recorded", PATIENCE_SECONDS)

    listed = accord("assurance", "list", "-o", "json").document["items"]
    assert [row["service"] for row in listed] == ["acme-1"]
    shown = accord("service", "show", "acme-1")
    assert "delay-one-way" in shown.out
    assert "50 ms" in shown.out
    told = accord("explain", "service", "acme-1")
    assert "one-way delay London to Paris rose" in told.out, told.out + told.err
    assert "samples of pe-london/" in told.out
    overlay = accord("topology", "show", "--overlay", "load")
    assert "pe-london:core0>p-brussels:core0" in overlay.out

    eventually(lambda: availability(daemon)["measured_seconds"] > 0, "availability was recorded", PATIENCE_SECONDS)
    daemon.kill()
    before = kept(daemon)
    daemon.start()
    after = agreement(daemon)
    assert after["steps"][: len(before)] == before
    eventually(lambda: delay(daemon) >= 60, "it is measured again", PATIENCE_SECONDS)
    assert availability(daemon)["measured_seconds"] > 0

    slow(lab, 3)
    eventually(lambda: agreement(daemon)["state"] == "assured", "it is assured again", PATIENCE_SECONDS)
    events = [step["event"] for step in agreement(daemon)["steps"]]
    assert "predict-breach" in events
    assert events[-1] in {"clear", "assure"}


ASKED = ["--from", "London", "--to", "Paris", "--above", "900ms", "--until", "120m", "--ratio", "0.0001"]


def test_a_campaign_goes_on_over_a_crash_and_reports_come_on_change_and_on_schedule(
    lab: Path, daemon: DaemonProcess, accord: Accord
) -> None:
    id_ = accord("telemetry", "campaign", "start", *ASKED, "-o", "json").document["id"]

    def campaign() -> Any:
        listed = accord("telemetry", "campaign", "list", "-o", "json")
        return next((row for row in listed.document["items"] if row["id"] == id_), {}) if listed.code == 0 else {}

    eventually(lambda: campaign().get("samples", 0) >= 5, "the campaign measures", PATIENCE_SECONDS)
    eventually(lambda: "FULFILLED" in verdicts(daemon), "it is reported that the service is as promised")
    began = campaign()["started"]
    daemon.kill()
    reported = len(verdicts(daemon))
    daemon.configure(assurance={**SETTINGS["assurance"], "report_seconds": 1})
    daemon.start()
    assert (campaign()["started"], campaign()["state"] in {"starting", "measuring"}) == (began, True)
    eventually(lambda: campaign()["samples"] >= 5, "the campaign goes on", PATIENCE_SECONDS)
    summaries = [row["summary"] for row in daemon.get("/api/v1/transactions").json()]
    assert summaries.count(f"measure for {id_}") == 1, "its test packets were sent all the time"
    assert accord("telemetry", "campaign", "stop", id_).code == 0
    eventually(lambda: campaign()["state"] == "stopped", "it is stopped", PATIENCE_SECONDS)

    eventually(lambda: len(verdicts(daemon)) >= reported + 4, "reports come on schedule", PATIENCE_SECONDS)
    slow(lab, 80)
    eventually(lambda: "NOT_FULFILLED" in verdicts(daemon), "a report comes on change", PATIENCE_SECONDS)


def verdicts(daemon: DaemonProcess) -> list[str]:
    """What the reports about the service said (TS 28.312 words), from its event log, the oldest first."""
    with closing(sqlite3.connect(f"file:{daemon.state / 'events.sqlite'}?mode=ro", uri=True)) as log:
        asked = "SELECT data FROM events WHERE stream = 'assurance/acme-1' AND type = ? ORDER BY position"
        found = [json.loads(data) for (data,) in log.execute(asked, [types.ASSURANCE_REPORTED])]
    bodies = [one["report"]["expression"]["expressionValue"]["intentFulfilmentReport"] for one in found]
    return [one["intentFulfilmentInfo"]["fulfilmentStatus"] for one in bodies]


def availability(daemon: DaemonProcess) -> Any:
    """The error budget of the service."""
    for one in agreement(daemon).get("objectives", ()):
        if one["objective"] == "availability":
            return one["error_budget"]
    return {"measured_seconds": 0.0}


def kept(daemon: DaemonProcess) -> list[Any]:
    """The steps of the agreement as its event log has them, folded apart from any daemon."""
    from controller.adapters.clock import SystemClock
    from controller.adapters.event_log_sqlite import SqliteEventLog
    from controller.runtime.world import World

    log = SqliteEventLog(daemon.state / "events.sqlite", clock=SystemClock())
    try:
        world = World()
        world.apply_all(list(log.read()))
    finally:
        log.close()
    instance = world.assurance.loop.get("acme-1")
    positions = world.assurance.positions("acme-1")
    return [
        {
            "state": step.state.value,
            "event": step.happening.event.value,
            "time": step.happening.time,
            "cause": step.happening.cause,
            "reason": step.happening.reason,
            "position": position,
        }
        for step, position in zip(instance.steps, positions, strict=True)
    ]
