"""The command line against a real daemon on real emulated routers: what it prints where, and how it ends."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.cli.main import main
from controller.northbound.auth import Role
from tests.e2e.daemon import DaemonProcess, Result, eventually, lab_command, lab_of_routers

ACCORD = (sys.executable, "-m", "controller.cli.main")
DEMO = "Create L3VPN service with 2 VPN sites in London and Paris using L3SM Service Model"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lab_of_routers(tmp_path_factory.mktemp("lab") / "lab") as directory:
        yield directory


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, lab: Path) -> Iterator[DaemonProcess]:
    command = (*ACCORD, "serve")
    with DaemonProcess(tmp_path_factory.mktemp("accord"), lab, command=command) as daemon:
        for role in Role:
            (daemon.directory / role.value).write_text(daemon.tokens[role.value] + "\n")
            (daemon.directory / role.value).chmod(0o600)
        daemon.wait_until_read()
        yield daemon


@pytest.fixture
def accord(
    daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Result]:
    """Run a command in this process, as the operator."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("ACCORD_URL", daemon.url)
    monkeypatch.setenv("ACCORD_CA", str(daemon.certificate))
    monkeypatch.setenv("ACCORD_TOKEN_FILE", str(daemon.directory / "operator"))
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def run(*words: str) -> Result:
        capfd.readouterr()
        code = main(words)
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return run


Accord = Callable[..., Result]


@pytest.fixture
def committed(accord: Accord) -> Iterator[dict[str, Any]]:
    """A committed service, withdrawn afterwards whatever the test did to it."""
    done = accord("intent", "submit", DEMO, "--commit", "--yes", "--comment", "a test", "-o", "json")
    assert done.code == 0, done.err
    yield done.document
    for service in accord("service", "list", "-o", "json").document["items"]:
        gone = accord("service", "delete", service["vpn_id"], "--yes")
        assert gone.code == 0, gone.err


def test_an_intent_is_planned_shown_committed_and_rolled_back(accord: Accord) -> None:
    planned = accord("intent", "submit", DEMO, "-o", "json")
    assert planned.code == 0, planned.err
    plan = planned.document["plan"]
    assert "nothing was sent" in planned.err
    assert accord("service", "list", "-o", "json").document["items"] == []

    shown = accord("diff", plan["id"])
    assert "[edit pe-london]" in shown.out
    assert "impact: hitless" in shown.out
    assert plan["checksum"] in shown.out

    done = accord("commit", plan["id"], "--yes", "--comment", "ticket 4711", "-o", "json")
    assert done.code == 0, done.err
    assert (done.document["phase"], done.document["comment"]) == ("committed", "ticket 4711")
    assert done.document["schema_version"] == 1
    assert "[edit pe-london]" in done.err

    undone = accord("rollback", done.document["id"], "--yes")
    assert undone.code == 0, undone.err
    assert "committed" in undone.out
    assert accord("service", "list", "-o", "json").document["items"] == []


def test_a_plan_shows_in_every_format_and_its_reverse(accord: Accord, committed: dict[str, Any]) -> None:
    plan = committed["plan"]
    assert "nc:operation" not in accord("diff", plan, "--format", "xml").out
    assert 'operation="delete"' in accord("diff", plan, "--format", "xml", "--reverse").out
    paths = accord("plan", plan, "--format", "paths").out
    assert "\n+ /ietf-interfaces:interfaces/interface[name=" in paths
    assert (
        "\n- /ietf-interfaces:interfaces/interface[name=" in accord("plan", plan, "--format", "paths", "--reverse").out
    )
    as_json = accord("diff", plan, "--format", "json").document
    assert as_json == accord("diff", plan, "-o", "json").document
    assert as_json["schema_version"] == 1
    assert yaml.safe_load(accord("diff", plan, "-o", "yaml").out) == as_json
    assert accord("diff", plan, "--format", "cli").code == 0


def test_owners_are_said_only_where_they_change(accord: Accord, committed: dict[str, Any]) -> None:
    lines = accord("diff", committed["plan"]).out.splitlines()
    owned = [line.partition("  # ")[2] for line in lines if "  # " in line]
    assert owned
    assert all(one != other for one, other in pairwise(owned))
    assert len(owned) < sum(1 for line in lines if line.startswith("+"))


def test_detailed_exitcode_is_2_for_a_difference_and_0_without_one(accord: Accord, committed: dict[str, Any]) -> None:
    assert accord("diff", committed["plan"]).code == 0
    assert accord("diff", committed["plan"], "--detailed-exitcode").code == 2
    assert accord("diff", "--repair", "pe-london", "--detailed-exitcode").code == 0


def test_a_stale_plan_is_refused_with_4_and_says_what_moved(accord: Accord, committed: dict[str, Any]) -> None:
    again = accord("commit", committed["plan"], "--yes")
    assert again.code == 4
    assert "out of date" in again.err
    assert "plan again" in again.err


def test_drift_is_explained_and_repaired(accord: Accord, lab: Path, committed: dict[str, Any]) -> None:
    lab_command("drift", "pe-london", "--description", "somebody was here", "--dir", str(lab))
    checked = accord("device", "compare", "pe-london", "--detailed-exitcode")
    assert checked.code == 2
    assert "somebody was here" in checked.out
    assert "l3vpn:" in checked.out
    assert "accord commit --repair pe-london" in checked.err
    repaired = accord("commit", "--repair", "pe-london", "--yes")
    assert repaired.code == 0, repaired.err
    assert accord("device", "compare", "pe-london", "--detailed-exitcode").code == 0
    nothing = accord("commit", "--repair", "pe-london", "--yes", "-o", "json")
    assert (nothing.code, nothing.document["summary"]) == (0, "nothing to repair")


def test_a_commit_that_a_device_refuses_is_rolled_back_with_3(accord: Accord, lab: Path) -> None:
    plan = accord("intent", "submit", DEMO, "-o", "json").document["plan"]["id"]
    lab_command("fault", "pe-paris", "commit", "reject", "--dir", str(lab))
    done = accord("commit", plan, "--yes", "-o", "json")
    assert done.code == 3, done.err
    assert done.document["phase"] == "aborted"
    assert "rolled back" in done.err
    assert accord("service", "list", "-o", "json").document["items"] == []


def test_a_service_is_shown_validated_and_deleted(accord: Accord, committed: dict[str, Any]) -> None:
    (service,) = accord("service", "list", "-o", "json").document["items"]
    shown = accord("service", "show", service["vpn_id"])
    assert "pe-london" in shown.out
    assert "pe-paris" in shown.out
    assert accord("service", "validate").code == 0
    assert accord("diff", "--delete-service", service["vpn_id"], "--detailed-exitcode").code == 2
    gone = accord("service", "delete", service["vpn_id"], "--yes")
    assert gone.code == 0, gone.err
    assert accord("service", "show", service["vpn_id"]).code == 1


def test_an_l3sm_document_is_planned_and_committed_from_a_file(
    accord: Accord, committed: dict[str, Any], tmp_path: Path
) -> None:
    (service,) = accord("service", "list", "-o", "json").document["items"]
    shown = accord("service", "show", service["vpn_id"], "-o", "json").document
    tree = {"vpn-services": {"vpn-service": [shown["service"]]}, "sites": {"site": shown["sites"]}}
    text = yaml.safe_dump({"ietf-l3vpn-svc:l3vpn-svc": tree})
    same, other, wrong = (tmp_path / f"{name}.yaml" for name in ("same", "other", "wrong"))
    same.write_text(text)
    other.write_text(text.replace(service["vpn_id"], "another-1"))
    wrong.write_text(text.replace("any-to-any", "any-to-none"))
    assert accord("diff", "-f", str(same), "--detailed-exitcode").code == 0
    assert accord("diff", "-f", str(other), "--detailed-exitcode").code == 2
    refused = accord("diff", "-f", str(wrong))
    assert refused.code == 1
    assert "vpn-service-topology" in refused.err
    done = accord("commit", "-f", str(other), "--yes", "--canary", "pe-paris")
    assert done.code == 0, done.err
    assert len(accord("service", "list", "-o", "json").document["items"]) == 2


def test_history_tells_who_why_and_what(accord: Accord, committed: dict[str, Any]) -> None:
    newest = accord("transaction", "list", "--limit", "1").out
    assert committed["id"] in newest
    assert "a test" in newest
    shown = accord("transaction", "show", committed["id"], "--diff")
    assert "operator" in shown.out
    assert "[edit pe-paris]" in shown.out


def test_an_intent_is_listed_shown_and_withdrawn(accord: Accord, committed: dict[str, Any]) -> None:
    intents = accord("intent", "list", "-o", "json").document["items"]
    (intent,) = [item for item in intents if item["plan"] == committed["plan"]]
    assert DEMO in accord("intent", "show", intent["id"]).out
    gone = accord("intent", "withdraw", intent["id"], "--commit", "--yes")
    assert gone.code == 0, gone.err


def test_what_is_not_understood_is_asked_back_with_its_words(accord: Accord) -> None:
    result = accord("intent", "submit", "make me a sandwich")
    assert (result.code, result.out) == (1, "")
    assert "'make me a sandwich'" in result.err


def test_one_unknown_device_does_not_stop_the_others(accord: Accord) -> None:
    result = accord("device", "check-sync", "nowhere", "pe-london", "-o", "json")
    assert result.code == 1
    assert [item["device"] for item in result.document["items"]] == ["pe-london"]
    assert "nowhere" in result.err


def test_devices_are_listed_read_and_asked_what_they_are(accord: Accord) -> None:
    names = [device["name"] for device in accord("device", "list", "-o", "json").document["items"]]
    assert "pe-london" in names
    assert "London" in accord("device", "show", "pe-london").out
    assert accord("device", "facts", "pe-london", "-o", "json").document["transport"] == "netconf"
    synced = accord("device", "sync-from", "--all", "-o", "json")
    assert [item["name"] for item in synced.document["items"]] == names


def test_events_are_tailed_to_the_end_of_the_log(accord: Accord) -> None:
    events = accord("events", "tail", "--after", "0", "-o", "json").document["items"]
    assert [event["position"] for event in events] == list(range(1, len(events) + 1))
    last = accord("events", "tail", "--after", str(len(events) - 1), "-o", "json").document["items"]
    assert last[0]["position"] == len(events)
    assert accord("events", "tail", "--after", str(len(events) + 1_000), "-o", "json").document["items"] == []


def test_following_events_prints_them_as_they_come(daemon: DaemonProcess, accord: Accord) -> None:
    words = [*ACCORD, "events", "tail", "--follow", "--after", "0", "-o", "json"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    try:
        first = json.loads(process.stdout.readline())
        assert (first["position"], first["type"]) == (1, "daemon.started")
        end = int(accord("status", "-o", "json").document["position"])
        accord("device", "sync-from", "p-lyon")
        seen = first
        while seen["position"] <= end:
            seen = json.loads(process.stdout.readline())
        assert seen["stream"] == "device/p-lyon"
    finally:
        process.kill()
        process.communicate()


def test_the_log_is_verified_beside_the_running_daemon(accord: Accord, daemon: DaemonProcess) -> None:
    result = accord("audit", "verify", "--config", str(daemon.file), "-o", "json")
    assert result.code == 0, result.err
    assert result.document["is_intact"] is True
    wrong = f"1:{'0' * 64}"
    found = accord("audit", "verify", "--log", str(daemon.state / "events.sqlite"), "--expect-head", wrong)
    assert found.code == 1
    assert "history was rewritten" in found.out


def test_a_reader_may_look_but_not_plan(accord: Accord, daemon: DaemonProcess) -> None:
    reader = str(daemon.directory / "reader")
    assert accord("device", "list", "--token-file", reader).code == 0
    refused = accord("--token-file", reader, "intent", "submit", DEMO)
    assert (refused.code, refused.out) == (77, "")


def test_no_token_and_a_wrong_one_are_77(accord: Accord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACCORD_TOKEN_FILE")
    result = accord("status")
    assert result.code == 77
    assert "--token-file" in result.err
    monkeypatch.setenv("ACCORD_TOKEN", "wrong")
    assert accord("status").code == 77


def test_a_certificate_that_is_not_trusted_is_69(accord: Accord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACCORD_CA")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    result = accord("status")
    assert result.code == 69
    assert "--ca FILE" in result.err


def test_status_names_what_is_open(accord: Accord) -> None:
    assert accord("status", "-o", "json").document["devices"] == 6
    assert "position" in accord("status").out


def test_device_names_are_completed_by_the_daemon(accord: Accord) -> None:
    environment = os.environ | {
        "_ACCORD_COMPLETE": "complete_bash",
        "COMP_WORDS": "accord device show pe-l",
        "COMP_CWORD": "3",
    }

    def completed() -> str:
        return subprocess.run(
            [sys.executable, "-c", "from controller.cli.main import main; main()"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()

    # The budget is 300 ms and the machine may be busy: an empty answer is allowed, a wrong one is not.
    assert eventually(completed, "an answer within the budget") == "pe-london"


def _on_a_terminal(words: list[str], answer: bytes) -> tuple[int, bytes]:
    """Run with a pseudo-terminal as keyboard and screen, answering the first question."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen([*ACCORD, *words], stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    seen, is_answered = b"", False
    while True:
        try:
            seen += os.read(controller, 4096)
        except OSError:
            break
        if not is_answered and b"[y/N]" in seen:
            os.write(controller, answer)
            is_answered = True
    os.close(controller)
    return process.wait(), seen


def test_commit_asks_on_a_terminal_and_no_means_no(accord: Accord) -> None:
    plan = accord("intent", "submit", DEMO, "-o", "json").document["plan"]["id"]
    code, seen = _on_a_terminal(["commit", plan], b"n\n")
    assert code == 4
    assert b"Commit this to 2 devices?" in seen
    assert b"nothing was sent" in seen
    assert b"\x1b[32m+ " in seen
    assert accord("service", "list", "-o", "json").document["items"] == []


def test_no_color_is_honoured_on_a_terminal(accord: Accord, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = accord("intent", "submit", DEMO, "-o", "json").document["plan"]["id"]
    monkeypatch.setenv("NO_COLOR", "1")
    code, seen = _on_a_terminal(["diff", plan], b"")
    assert code == 0
    assert not re.search(rb"\x1b\[[\d;]*m", seen), seen  # a spinner moves the cursor, where that takes long


def test_commit_off_a_terminal_without_yes_is_a_usage_error(accord: Accord) -> None:
    result = accord("commit", "-i", DEMO)
    assert result.code == 64
    assert "--yes" in result.err
