"""The daemon as a process: it starts, serves, survives and ends as promised."""

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.e2e.daemon import (
    ROOT,
    SERVE,
    DaemonProcess,
    clean_environment,
    eventually,
    lab_command,
    lab_of_routers,
)
from tests.patience import PATIENCE_SECONDS
from tests.ports import kept_port

DEMO = "Create L3VPN service with 2 VPN sites in London and Paris using L3SM Service Model"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lab_of_routers(tmp_path_factory.mktemp("lab") / "lab") as directory:
        yield directory


@pytest.fixture
def daemon(tmp_path: Path, lab: Path) -> Iterator[DaemonProcess]:
    """A daemon that knows its devices and has planned the demo; its service is gone afterwards."""
    with DaemonProcess(tmp_path, lab) as running:
        running.wait_until_read()
        yield running
        lab_command("faults", "--clear", "--dir", str(lab))
        if not running.is_running:
            running.start()
        for service in running.get("/api/v1/services").json():
            plan = running.post("/api/v1/plans", {"kind": "delete-service", "service": service["vpn_id"]}).json()
            assert running.commit(plan["id"])["phase"] == "committed"


class Commit(threading.Thread):
    """Commits a plan while the test does something else to the daemon."""

    def __init__(self, daemon: DaemonProcess, plan: str) -> None:
        super().__init__()
        self.daemon_process, self.plan = daemon, plan
        self.answer: httpx2.Response | None = None
        self.error: httpx2.TransportError | None = None
        self.start()

    def run(self) -> None:
        try:
            self.answer = self.daemon_process.post("/api/v1/transactions", {"plan": self.plan})
        except httpx2.TransportError as error:
            self.error = error


def delay(lab: Path, rpc: str, seconds: float) -> None:
    lab_command("fault", "pe-london", rpc, "delay", "--seconds", str(seconds), "--dir", str(lab))


def in_phase(daemon: DaemonProcess, *phases: str) -> bool:
    return any(found["phase"] in phases for found in daemon.get("/api/v1/transactions").json())


def metric(daemon: DaemonProcess, name: str) -> float:
    lines = daemon.get("/metrics", token="").text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


def test_an_intent_is_committed_over_the_api_and_survives_kill_and_restart(daemon: DaemonProcess) -> None:
    outcome = daemon.intend(DEMO)
    done = daemon.commit(outcome["plan"]["id"], comment="demo")
    assert done["phase"] == "committed", done
    before = {path: daemon.get(path).json() for path in ("/api/v1/services", "/api/v1/intents")}
    daemon.kill()
    daemon.start()
    assert {path: daemon.get(path).json() for path in before} == before
    withdrawn = daemon.post(f"/api/v1/intents/{outcome['intent']['id']}/withdraw").json()
    assert daemon.commit(withdrawn["id"])["phase"] == "committed"
    assert daemon.stop() == 0


def test_sigterm_lets_a_running_transaction_reach_its_verdict_and_answers_who_waits(
    daemon: DaemonProcess, lab: Path
) -> None:
    plan = daemon.intend(DEMO)["plan"]["id"]
    delay(lab, "commit", 6.0)
    commit = Commit(daemon, plan)
    eventually(lambda: in_phase(daemon, "committing"), "the commit is under way")
    assert daemon.stop() == 0
    commit.join(PATIENCE_SECONDS)
    assert commit.answer is not None, commit.error
    assert commit.answer.json()["phase"] == "committed"
    daemon.start()
    assert in_phase(daemon, "committed")


def test_kill_9_during_a_transaction_is_resolved_by_the_next_start(daemon: DaemonProcess, lab: Path) -> None:
    plan = daemon.intend(DEMO)["plan"]["id"]
    delay(lab, "commit", 10 * PATIENCE_SECONDS)
    commit = Commit(daemon, plan)
    eventually(lambda: in_phase(daemon, "committing"), "the commit is under way")
    daemon.kill()
    commit.join(PATIENCE_SECONDS)
    assert commit.answer is None
    daemon.start()
    eventually(lambda: in_phase(daemon, "committed", "aborted"), "there is a verdict")
    for device in ("pe-london", "pe-paris"):
        report = daemon.post(f"/api/v1/devices/{device}/check-sync").json()
        assert report["in_sync"], report


def test_a_broken_configuration_is_refused_on_reload_and_the_last_good_one_stays(daemon: DaemonProcess) -> None:
    good = daemon.file.read_text()
    read_at = metric(daemon, "accord_config_last_reload_success_timestamp_seconds")
    daemon.file.write_text("listen: {prot: 1}\n")
    (refused,) = daemon.reload()
    assert refused["event"] == "reload_refused"
    assert "did you mean" in refused["error"]
    assert metric(daemon, "accord_config_last_reload_successful") == 0
    assert metric(daemon, "accord_config_last_reload_success_timestamp_seconds") == read_at
    assert len(daemon.get("/api/v1/devices").json()) > 1
    daemon.file.write_text(good)
    assert daemon.reload()[0]["event"] == "reloaded"
    assert metric(daemon, "accord_config_last_reload_successful") == 1


def test_a_broken_token_file_keeps_the_last_good_tokens(daemon: DaemonProcess) -> None:
    file = daemon.directory / "tokens.yaml"
    good = file.read_text()
    file.write_text("tokens: [{name: x}]\n")
    assert daemon.reload()[0]["event"] == "reload_refused"
    assert daemon.get("/api/v1/status").status_code == 200
    file.write_text(good)
    assert daemon.reload()[0]["event"] == "reloaded"


def test_a_device_that_leaves_the_inventory_takes_its_series_along(tmp_path: Path, lab: Path) -> None:
    document = yaml.safe_load((lab / "inventory.yaml").read_text())
    inventory = lab / "smaller.yaml"
    inventory.write_text(yaml.safe_dump(document))
    with DaemonProcess(tmp_path / "accord", lab, settings={"inventory": str(inventory)}) as daemon:
        daemon.wait_until_read()
        assert 'device="p-lyon"' in daemon.get("/metrics", token="").text
        del document["hosts"]["p-lyon"]
        inventory.write_text(yaml.safe_dump(document))
        assert daemon.reload()[0]["event"] == "reloaded"
        assert 'device="p-lyon"' not in daemon.get("/metrics", token="").text
        assert daemon.get("/probe?target=p-lyon", token="").status_code == 404
        assert all(entry["targets"] != ["p-lyon"] for entry in daemon.get("/sd", token="").json())


def frames(daemon: DaemonProcess, enough: int, **headers: str) -> list[dict[str, Any]]:
    """The first events of a fresh stream."""
    found: list[dict[str, Any]] = []
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with daemon.client() as client, client.stream("GET", "/api/v1/events?after=0", headers=named) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        event: dict[str, Any] = {}
        for line in response.iter_lines():
            field, _, value = line.partition(": ")
            if field in {"id", "event", "data"}:
                event[field] = value
            elif not line and event:
                found.append({**event, "data": json.loads(event["data"])})
                event = {}
                if len(found) == enough:
                    return found
    return found


def test_a_reader_of_events_that_comes_back_misses_nothing_even_over_a_restart(daemon: DaemonProcess) -> None:
    first = frames(daemon, 3)
    assert [int(event["id"]) for event in first] == [1, 2, 3]
    assert first[0]["event"] == "daemon.started" == first[0]["data"]["type"]
    daemon.kill()
    daemon.start()
    end = daemon.get("/api/v1/status").json()["position"]
    rest = frames(daemon, end - 3, last_event_id="3")
    assert [int(event["id"]) for event in rest] == list(range(4, end + 1))
    hashes = [event["data"]["hash"] for event in (*first, *rest)]
    assert [event["data"]["previous_hash"] for event in (*first, *rest)][1:] == hashes[:-1]
    ahead = daemon.get("/api/v1/events", headers={"last-event-id": str(end + 10_000)})
    assert ahead.status_code == 400


def test_readers_of_events_do_not_hold_up_the_end(daemon: DaemonProcess) -> None:
    with daemon.client() as client, client.stream("GET", "/api/v1/events") as response:
        assert response.status_code == 200
        eventually(lambda: metric(daemon, "accord_event_stream_readers") == 1, "the stream is open")
        assert daemon.stop() == 0


def refusal(*arguments: str, **environment: str) -> tuple[int, str]:
    """How a start that fails ends: exit code and stderr."""
    done = subprocess.run(
        [*SERVE, *arguments],
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_a_start_that_fails_says_why_and_ends_with_the_right_code(daemon: DaemonProcess, tmp_path: Path) -> None:
    config = ("--config", str(daemon.file))
    code, words = refusal(*config)
    assert (code, "cannot listen" in words) == (1, True), words
    code, words = refusal(*config, ACCORD_LISTEN__PORT="0")
    assert code == 1
    assert "lock" in words or "another" in words, words
    (tmp_path / "broken.yaml").write_text("listen: {port: many}\n")
    code, words = refusal("--config", str(tmp_path / "broken.yaml"))
    assert (code, "broken.yaml" in words) == (78, True), words
    other = {"ACCORD_LISTEN__PORT": "0", "ACCORD_STATE_DIR": str(tmp_path / "other")}
    code, words = refusal(*config, **other, ACCORD_TOKENS=str(tmp_path / "none.yaml"))
    assert (code, "accord token add" in words) == (78, True), words


class Manager(threading.Thread):
    """What systemd hears from the daemon. It always listens: the kernel keeps no more than some ten messages for it."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.heard: list[list[str]] = []
        self.start()

    def run(self) -> None:
        while message := self.socket.recv(4096):
            self.heard.append(message.decode().split("\n"))

    def hears(self, *starts: str) -> list[str] | None:
        """The first message with a field for each of the beginnings."""
        for message in self.heard:
            if all(any(field.startswith(start) for field in message) for start in starts):
                return message
        return None


def test_the_units_command_runs_under_a_service_manager_with_credentials(
    tmp_path: Path, short_directory: Path, lab: Path
) -> None:
    command = unit_value("ExecStart").split()
    assert command[0].endswith("/accord")
    credentials = tmp_path / "credentials"
    credentials.mkdir(mode=0o700)
    credential = credentials / unit_value("LoadCredential").partition(":")[0]
    credential.touch(mode=0o600)
    credential.write_text((lab / "credentials.yaml").read_text())
    manager = Manager(short_directory / "notify")
    daemon = DaemonProcess(
        tmp_path / "accord",
        lab,
        settings={"credentials": str(tmp_path / "nowhere.yaml"), "state_dir": str(tmp_path / "unused")},
        environment={
            "NOTIFY_SOCKET": str(short_directory / "notify"),
            "WATCHDOG_USEC": "1500000",
            "CREDENTIALS_DIRECTORY": str(credentials),
            "ACCORD_STATE_DIR": str(tmp_path / "accord" / "state"),
        },
        command=(*SERVE[:-1], *command[1:]),
    )
    with daemon:
        eventually(lambda: manager.hears("READY=1", "STATUS="), "READY")
        eventually(lambda: manager.hears("WATCHDOG=1"), "the watchdog is fed")
        daemon.wait_until_read()
        daemon.reload()
        message = eventually(lambda: manager.hears("RELOADING=1"), "RELOADING")
        assert any(field.startswith("MONOTONIC_USEC=") for field in message)
        assert daemon.stop() == 0
        eventually(lambda: manager.hears("STOPPING=1"), "STOPPING")
        eventually(lambda: manager.hears("EXTEND_TIMEOUT_USEC="), "EXTEND_TIMEOUT_USEC")
        ready = [message for message in manager.heard if "READY=1" in message]
        assert len(ready) == 2


def unit_value(key: str) -> str:
    lines = (ROOT / "systemd" / "accord.service").read_text().splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith(f"{key}="))


def test_a_second_sigterm_does_not_wait_for_transactions(daemon: DaemonProcess, lab: Path) -> None:
    plan = daemon.intend(DEMO)["plan"]["id"]
    delay(lab, "commit", 10 * PATIENCE_SECONDS)
    commit = Commit(daemon, plan)
    eventually(lambda: in_phase(daemon, "committing"), "the commit is under way")
    daemon.signal(signal.SIGTERM)
    eventually(lambda: any(line["event"] == "stopping" for line in daemon.log_lines), "it is stopping")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0
    commit.join(PATIENCE_SECONDS)
    lab_command("faults", "--clear", "--dir", str(lab))
    daemon.start()
    eventually(lambda: in_phase(daemon, "committed", "aborted"), "the next start finds a verdict")


def test_the_port_is_chosen_by_the_settings(tmp_path: Path, lab: Path) -> None:
    port = kept_port()
    with DaemonProcess(tmp_path, lab, settings={"listen": {"host": "127.0.0.1", "port": port}}) as daemon:
        assert daemon.url.endswith(f":{port}")
        assert daemon.get("/api/v1/status").status_code == 200
        answer = daemon.get("/nothing/here")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert answer.headers["strict-transport-security"]
