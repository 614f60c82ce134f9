"""`accord recovery` and `accord inbox` against a real daemon with two recoveries in its log that wait for a word."""

import asyncio
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.clock import SystemClock
from controller.adapters.event_log_sqlite import SqliteEventLog
from controller.cli.exits import Exit
from controller.cli.main import main
from controller.events import types
from controller.northbound.auth import Role
from controller.ports import NewEvent
from controller.recovery.remedies import candidates
from controller.recovery.scoring import ranked
from controller.recovery.situation import Situation
from controller.recovery.states import Cue
from tests.controller.test_recovery_remedies import NORTH, fault, flow, held
from tests.controller.test_tunnel_paths import database, tunnel
from tests.e2e.daemon import DaemonProcess, Result, eventually

LOOKS_FOR_NOTHING = {"mode": "ask", "tick_seconds": 86_400}
OPERATOR, APPROVER, READER = (role.value for role in (Role.OPERATOR, Role.APPROVER, Role.READER))
STEPS: tuple[tuple[Cue, str, dict[str, object]], ...] = (
    (Cue.LOCALISE, "link m, confidence 0.97", {}),
    (Cue.PLAN, "two remedies", {"chosen": 0}),
    (Cue.PROVE, "the twin proves it", {"verdict": "proved by the twin", "asked": True}),
    (Cue.ASK, "an operator decides", {}),
)


def waiting(id_: str, cause: str) -> list[NewEvent]:
    """What the log says of a recovery that an operator is asked about."""
    shared = {"srlgs": frozenset({7})}
    base, tunnels = held(database(m=shared, n=shared), tunnel("gold", services=("acme",)))
    situation = Situation(
        replace(fault(NORTH, symptoms=("acme loses packets",)), cause=cause), base, tunnels, (flow(name="gold"),)
    )
    found = [one.to_json() for one in ranked(situation, candidates(situation))]
    assert len(found) > 1
    begun = {"fault": situation.fault.to_json(), "services": ["acme"], "reason": "no carrier"}
    events = [NewEvent(f"recovery/{id_}", types.RECOVERY_BEGUN, begun)]
    for cue, reason, more in STEPS:
        data = {"cue": cue.value, "reason": reason, **more} | ({"candidates": found} if cue is Cue.PLAN else {})
        events.append(NewEvent(f"recovery/{id_}", types.RECOVERY_ADVANCED, data))
    return events


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """Without routers, and set to look for nothing by itself: what there is stands in its log."""
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "inventory.yaml").write_text("hosts: {}\n")
    credentials = lab / "credentials.yaml"
    credentials.write_text("credentials: {}\n")
    credentials.chmod(0o600)
    daemon = DaemonProcess(tmp_path / "accord", lab, settings={"recovery": LOOKS_FOR_NOTHING})
    daemon.state.mkdir(mode=0o700)
    log = SqliteEventLog(daemon.state / "events.sqlite", clock=SystemClock())
    asyncio.run(log.append([*waiting("recovery-1", "link m"), *waiting("recovery-2", "link n")], actor="accord"))
    log.close()
    with daemon:
        yield daemon


Accord = Callable[..., Result]


@pytest.fixture
def accord(
    daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Accord:
    """Run a command in this process, as whoever has the role."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("ACCORD_URL", daemon.url)
    monkeypatch.setenv("ACCORD_CA", str(daemon.certificate))
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def run(*words: str, role: str = OPERATOR) -> Result:
        monkeypatch.setenv("ACCORD_TOKEN", daemon.tokens[role])
        capfd.readouterr()
        code = main(words)
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return run


def items(done: Result) -> list[Any]:
    found: list[Any] = done.document["items"]
    return found


def steps_of(accord: Accord, id_: str) -> list[tuple[str, str]]:
    """Who brought a recovery to what, as everybody may read it."""
    shown = accord("recovery", "show", id_, "-o", "json", role=READER)
    return [(step["state"], step["actor"]) for step in shown.document["steps"]]


def test_what_waits_is_listed_and_shown_with_everything_to_decide_by(accord: Accord) -> None:
    for words in (("recovery", "list"), ("inbox", "list")):
        assert all(text in accord(*words).out for text in ("recovery-1", "escalated", "link m", "acme"))
        found = items(accord(*words, "-o", "json"))
        assert sorted(one["cause"] for one in found) == ["link m", "link n"]
    for words in (("recovery", "show", "recovery-1"), ("inbox", "show", "recovery-1")):
        shown = accord(*words)
        assert shown.code == 0, shown.err
        for text in ("link m", "acme loses packets", "proved by the twin", "reroute", "an operator decides"):
            assert text in shown.out, text
        document = accord(*words, "-o", "json").document
        assert [one["number"] for one in document["remedies"]] == list(range(1, len(document["remedies"]) + 1))
        assert all(one["reasons"] for one in document["remedies"])


def test_what_is_wrong_now_is_told(accord: Accord) -> None:
    assert "ask" in accord("recovery", "diagnosis").out
    found = accord("recovery", "diagnosis", "-o", "json").document
    assert (found["mode"], found["causes"], found["flapping"]) == ("ask", [], [])


@pytest.mark.parametrize("words", [("recovery", "show"), ("inbox", "show"), ("inbox", "approve"), ("inbox", "dismiss")])
def test_a_recovery_that_is_none_is_named_with_the_way_to_those_there_are(
    accord: Accord, words: tuple[str, ...]
) -> None:
    done = accord(*words, "recovery-99")
    assert done.code == Exit.FAILURE
    assert "there is no recovery 'recovery-99'" in done.err
    assert "accord recovery list" in done.err


@pytest.mark.parametrize("role", [OPERATOR, APPROVER])
def test_operators_and_approvers_decide_and_the_log_says_who(accord: Accord, daemon: DaemonProcess, role: str) -> None:
    agreed = accord("inbox", "approve", "recovery-1", "--remedy", "2", "-o", "json", role=role)
    assert agreed.code == 0, agreed.err
    assert (agreed.document["state"], agreed.document["chosen"]) == ("planned", 2)
    refused = accord("inbox", "dismiss", "recovery-2", "--reason", "planned work", role=role)
    assert refused.code == 0, refused.err
    assert "planned work" in refused.out
    assert items(accord("inbox", "list", "-o", "json")) == []
    eventually(lambda: is_over(daemon, "recovery-1"), "what was agreed to was seen to: nobody suffers from it")
    before = daemon.get("/api/v1/recoveries").json()
    daemon.stop()
    daemon.start()
    assert daemon.get("/api/v1/recoveries").json() == before
    assert ("planned", role) in steps_of(accord, "recovery-1")
    assert steps_of(accord, "recovery-2")[-1] == ("escalated", role)


def is_over(daemon: DaemonProcess, id_: str) -> bool:
    state: str = daemon.get(f"/api/v1/recoveries/{id_}").json()["state"]
    return state == "recovered"


def test_nobody_agrees_to_anything_while_recovery_is_off(accord: Accord, daemon: DaemonProcess) -> None:
    daemon.configure(recovery=LOOKS_FOR_NOTHING | {"mode": "off"})
    daemon.reload()
    done = accord("inbox", "approve", "recovery-1")
    assert done.code == Exit.REFUSED
    assert "recovery is off" in done.err
    assert "recovery.mode" in done.err
    assert accord("inbox", "dismiss", "recovery-1").code == 0


def test_who_may_only_read_decides_nothing(accord: Accord) -> None:
    for words in (("inbox", "approve", "recovery-1"), ("inbox", "dismiss", "recovery-1")):
        done = accord(*words, role=READER)
        assert done.code == Exit.NO_PERMISSION, done.err
    assert steps_of(accord, "recovery-1")[-1] == ("escalated", "accord")


def test_who_sees_to_some_services_decides_for_these_only(accord: Accord, daemon: DaemonProcess) -> None:
    daemon.add_token("theirs", [Role.APPROVER], ["beta-*"])
    daemon.add_token("ours", [Role.APPROVER], ["acme"])
    daemon.reload()
    refused = accord("inbox", "approve", "recovery-1", role="theirs")
    assert refused.code == Exit.NO_PERMISSION
    assert "acme" in refused.err
    assert accord("inbox", "approve", "recovery-1", role="ours").code == 0


def test_a_remedy_that_is_none_and_what_was_decided_already_are_refused(accord: Accord) -> None:
    wrong = accord("inbox", "approve", "recovery-1", "--remedy", "99")
    assert wrong.code == Exit.FAILURE
    assert "accord inbox show recovery-1" in wrong.err
    assert accord("inbox", "dismiss", "recovery-1").code == 0
    late = accord("inbox", "approve", "recovery-1")
    assert late.code == Exit.FAILURE
    assert "waits for nobody" in late.err
