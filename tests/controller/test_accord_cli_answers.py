"""What the command line makes of answers that a healthy daemon seldom gives: a real HTTP server gives them here."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from controller.cli.main import main
from controller.cli.terminal import Color, Terminal

PROBLEM = "application/problem+json"
PLAN = {
    "id": "plan-1",
    "summary": "a change",
    "checksum": "c" * 64,
    "impact": "hitless",
    "impact_reason": "only adds",
    "waves": [],
    "is_empty": False,
    "devices": [
        {
            "device": "r[1]",
            "participant": "candidate+confirmed-commit:1.1",
            "impact": "hitless",
            "impact_reason": "only adds",
            "edit": [["/m:a[name='x']", None, ""], ["/m:a[name='x']/b", "1", "2"]],
            "base": {"/m:a[name='x']/b": "1"},
            "delta": {"wanted": [], "withdrawn": []},
            "owners": {"/m:a[name='x']": ["one"], "/m:a[name='x']/b": ["one", "two"]},
            "conflicts": [["/m:a[name='x']/b", [["one", "2"], ["two", "3"]]]],
            "replaced": [],
        }
    ],
}
TRANSACTION = {
    "id": "tx-1",
    "phase": "committed",
    "plan": "plan-1",
    "summary": "a change",
    "actor": "me",
    "comment": "",
    "started": 1.0,
    "ended": 2.0,
    "reason": "",
    "devices": ["r[1]"],
    "astray": [],
}


PROOF = {"is_proved": True, "text": "twin: proved (3 packet classes)"}


@dataclass
class Daemon:
    """Canned answers by method and path, and what was asked."""

    url: str = ""
    answers: dict[str, tuple[int, str, bytes]] = field(
        default_factory=lambda: {
            "GET /api/v1/plans/plan-1/proof": (200, "application/json", json.dumps(PROOF).encode())
        }
    )
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def say(self, request: str, document: object, status: int = 200, media_type: str = "application/json") -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.answers[request] = (status, media_type, body)


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Daemon]:
    daemon = Daemon()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path.partition("?")[0]
            daemon.asked.append((f"{self.command} {path}", json.loads(body) if body else None))
            status, media_type, answer = daemon.answers[f"{self.command} {path}"]
            if status == 0:
                self.connection.close()
                return
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self.answer
            raise AttributeError(name)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        daemon.url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("ACCORD_URL", daemon.url)
        monkeypatch.setenv("ACCORD_TOKEN", "any")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        yield daemon
        server.shutdown()


@pytest.fixture
def accord(daemon: Daemon, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(words)
        return code, *capfd.readouterr()

    return run


Accord = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    "status, code",
    [(400, 1), (401, 77), (403, 77), (404, 1), (409, 4), (412, 4), (422, 1), (429, 1), (500, 1), (503, 1)],
)
def test_each_refusal_has_its_exit_code(daemon: Daemon, accord: Accord, status: int, code: int) -> None:
    problem = {"title": "it will not do", "remedy": "do this", "device": "r1", "causes": [{"message": "its words"}]}
    daemon.say("GET /api/v1/plans/plan-1", problem, status, PROBLEM)
    found, out, err = accord("diff", "plan-1")
    assert (found, out) == (code, "")
    assert "r1: it will not do" in err
    assert "its words" in err


def test_errors_of_the_restconf_door_are_told_in_their_words(daemon: Daemon, accord: Accord, tmp_path: Any) -> None:
    errors = [{"error-tag": "invalid-value", "error-path": "/a/b", "error-message": "no such site"}]
    path = "/restconf/data/ietf-l3vpn-svc:l3vpn-svc"
    daemon.say(f"PATCH {path}", {"ietf-restconf:errors": {"error": errors}}, 400, "application/yang-data+json")
    (tmp_path / "service.yaml").write_text("ietf-l3vpn-svc:l3vpn-svc:\n  sites: {}\n")
    code, out, err = accord("diff", "-f", str(tmp_path / "service.yaml"))
    assert (code, out) == (1, "")
    assert "no such site (at /a/b)" in err
    assert daemon.asked == [(f"PATCH {path}", {"ietf-l3vpn-svc:l3vpn-svc": {"sites": {}}})]


def test_a_plan_is_shown_with_the_packet_that_forbids_it(daemon: Daemon, accord: Accord) -> None:
    daemon.say("GET /api/v1/plans/plan-1", PLAN)
    assert "twin: proved (3 packet classes)" in accord("diff", "plan-1")[2]
    refused = "twin: refused, 1 counter-example(s)\nVPN a: leak\n  packet from x to y"
    daemon.say("GET /api/v1/plans/plan-1/proof", {"is_proved": False, "text": refused})
    assert "packet from x to y" in accord("diff", "plan-1")[2]


def test_a_document_may_replace_all_there_is(daemon: Daemon, accord: Accord, tmp_path: Any) -> None:
    daemon.say("PUT /restconf/data/ietf-l3vpn-svc:l3vpn-svc", PLAN)
    (tmp_path / "service.json").write_text('{"ietf-l3vpn-svc:l3vpn-svc": {}}')
    assert accord("diff", "-f", str(tmp_path / "service.json"), "--replace", "--detailed-exitcode")[0] == 2


def test_a_plan_is_shown_with_changes_owners_conflicts_and_checksum(daemon: Daemon, accord: Accord) -> None:
    daemon.say("GET /api/v1/plans/plan-1", PLAN)
    code, out, _ = accord("diff", "plan-1")
    assert code == 0
    assert out.splitlines() == [
        "[edit r[1]]  candidate+confirmed-commit:1.1  impact: hitless (only adds)",
        "+ m:a x  # one",
        "-   b 1",
        "+   b 2  # one, two",
        "",
        "conflict on r[1]: /m:a[name='x']/b",
        "  '2' of one holds",
        "  '3' of two waits until it is withdrawn",
        "plan      plan-1  a change",
        "changes   2 lines on 1 devices",
        "impact    hitless (only adds)",
        "base      1 lines as last read in the places it touches",
        f"checksum  {'c' * 64}",
    ]


def test_a_commit_sends_what_was_shown_and_how_it_is_wanted(daemon: Daemon, accord: Accord) -> None:
    daemon.say("GET /api/v1/plans/plan-1", PLAN)
    daemon.say("POST /api/v1/transactions", TRANSACTION, 201)
    words = ("--yes", "--strict", "--confirm-timeout", "600", "--canary", "r[1]", "-m", "why", "-o", "json")
    code, out, _ = accord("commit", "plan-1", *words)
    assert code == 0
    assert json.loads(out)["id"] == "tx-1"
    assert daemon.asked[-1][1] == {
        "plan": "plan-1",
        "checksum": "c" * 64,
        "comment": "why",
        "canary": ["r[1]"],
        "on_drift": "strict",
        "fresh": False,
        "confirm_timeout_seconds": 600.0,
    }


@pytest.mark.parametrize("phase, code", [("committed", 0), ("aborted", 3), ("unknown", 1)])
def test_the_verdict_decides_the_exit_code(daemon: Daemon, accord: Accord, phase: str, code: int) -> None:
    daemon.say("GET /api/v1/plans/plan-1", PLAN)
    daemon.say("POST /api/v1/transactions", {**TRANSACTION, "phase": phase, "astray": ["r[1]"]}, 201)
    found, out, err = accord("commit", "plan-1", "--yes")
    assert found == code
    assert phase in out
    assert ("r[1] cannot be reached" in err) == (phase == "unknown")


def test_a_connection_that_ends_during_a_commit_leaves_the_outcome_open(daemon: Daemon, accord: Accord) -> None:
    daemon.say("GET /api/v1/plans/plan-1", PLAN)
    daemon.say("POST /api/v1/transactions", b"", 0)
    code, _, err = accord("commit", "plan-1", "--yes")
    assert code == 1
    assert "not known" in err
    assert "accord transaction list" in err


@pytest.mark.parametrize("status", [200, 502])
def test_something_that_is_no_accord_daemon_is_told_so(daemon: Daemon, accord: Accord, status: int) -> None:
    daemon.say("GET /api/v1/status", b"<html>hello</html>", status, "text/html")
    code, out, err = accord("status")
    assert (code, out) == (1, "")
    assert daemon.url in err


def test_names_are_quoted_in_paths(daemon: Daemon, accord: Accord) -> None:
    daemon.say("GET /api/v1/devices/a%2Fb%20c%3F", {"name": "a/b c?"})
    assert accord("device", "show", "a/b c?")[0] == 0


def test_a_verdict_is_waited_for_with_one_line_off_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    is_shown = threading.Event()
    terminal = Terminal(color=Color.NEVER)
    say = terminal.say
    Terminal.say, restore = lambda self, *words: (say(*words), is_shown.set())[0], Terminal.say  # type: ignore[method-assign]
    try:
        with terminal.progress("committing"):
            assert is_shown.wait(10.0)
    finally:
        Terminal.say = restore  # type: ignore[method-assign]
    out, err = capfd.readouterr()
    assert (out, err) == ("", "committing ...\n")


def test_what_is_done_at_once_needs_no_progress(capfd: pytest.CaptureFixture[str]) -> None:
    with Terminal(color=Color.NEVER).progress("committing"):
        pass
    assert capfd.readouterr() == ("", "")


def test_the_persons_token_file_that_others_can_read_is_warned_about(
    daemon: Daemon, accord: Accord, tmp_path: Any
) -> None:
    daemon.say("GET /api/v1/status", {"position": 1})
    file = tmp_path / "token"
    file.write_text("any")
    file.chmod(0o644)
    code, _, err = accord("status", "--token-file", str(file))
    assert code == 0
    assert f"chmod 600 {file}" in err


def test_colours_are_there_when_they_are_asked_for(daemon: Daemon, accord: Accord) -> None:
    daemon.say("GET /api/v1/plans/plan-1", PLAN)
    assert "\x1b[" not in accord("diff", "plan-1")[1]
    assert "\x1b[32m" in accord("--color", "always", "diff", "plan-1")[1]
    assert "\x1b[" not in accord("diff", "plan-1", "--color", "never")[1]


def test_a_heartbeat_ends_a_tail_that_does_not_follow(daemon: Daemon, accord: Accord) -> None:
    event = {"position": 7, "time": 0.0, "actor": "me", "type": "t", "stream": "s", "data": {}}
    stream = f"retry: 1\n\nid: 7\nevent: t\ndata: {json.dumps(event)}\n\n: still here\n\nid: 8\ndata: broken"
    daemon.say("GET /api/v1/status", {"position": 9})
    daemon.say("GET /api/v1/events", stream.encode(), 200, "text/event-stream")
    code, out, _ = accord("events", "tail", "--after", "6")
    assert code == 0
    assert out.split() == ["POSITION", "TIME", "ACTOR", "TYPE", "STREAM", "7", "1970-01-01T00:00:00Z", "me", "t", "s"]


def test_a_feed_that_breaks_off_is_no_traceback(daemon: Daemon, accord: Accord) -> None:
    daemon.say("GET /api/v1/status", {"position": 9})
    daemon.say("GET /api/v1/events", b"", 0)
    code, _, err = accord("events", "tail", "--after", "6")
    assert code == 69
    assert "Traceback" not in err


def test_an_approval_shows_the_plan_first_and_refuses_where_nobody_agreed(daemon: Daemon, accord: Accord) -> None:
    daemon.say("GET /api/v1/plans/plan-1", PLAN)
    daemon.say("POST /api/v1/plans/plan-1/approve", PLAN)
    assert accord("approve", "plan-1")[0] == 64
    assert daemon.asked == []
    code, out, err = accord("approve", "plan-1", "--yes")
    assert (code, out) == (0, "")
    assert err.index("[edit r[1]]") < err.index("approved; commit it with: accord commit plan-1")
    assert [request for request, _ in daemon.asked] == ["GET /api/v1/plans/plan-1", "POST /api/v1/plans/plan-1/approve"]


def test_approving_what_one_asked_for_is_not_allowed(daemon: Daemon, accord: Accord) -> None:
    daemon.say("GET /api/v1/plans/plan-1", PLAN)
    daemon.say("POST /api/v1/plans/plan-1/approve", {"title": "'me' asked for 'plan-1'"}, 403, PROBLEM)
    code, _, err = accord("approve", "plan-1", "--yes")
    assert code == 77
    assert "'me' asked for" in err


def test_what_a_device_says_cannot_steer_the_terminal(daemon: Daemon, accord: Accord) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
    daemon.say("GET /api/v1/plans/plan-1", {"title": evil, "causes": [{"message": evil}]}, 502, PROBLEM)
    daemon.say("GET /api/v1/transactions", [{**TRANSACTION, "summary": evil, "comment": evil}])
    daemon.say("GET /api/v1/transactions/tx-1", {**TRANSACTION, "reason": evil})
    for words in (("diff", "plan-1"), ("transaction", "list"), ("transaction", "show", "tx-1")):
        _, out, err = accord(*words)
        assert "owned" in out + err
        assert not set("\x1b\x07\x9b\u202e") & set(out + err)


NEGOTIATION: dict[str, Any] = {
    "id": "enterprise-1-1",
    "domain": "enterprise",
    "stage": "done",
    "opened_by": "consumer",
    "agreement": "agr-1",
    "strategy": "as asked",
    "offering": "ip-200M-any-basic",
    "total": {"amount": "4.80", "currency": "EUR"},
    "rounds": 1,
    "service": "naas-1",
    "refusal": None,
}


def test_an_intent_that_was_negotiated_is_shown_and_listed_as_each_party_has_it(daemon: Daemon, accord: Accord) -> None:
    bss = {**NEGOTIATION, "domain": "bss", "stage": "refused", "refusal": {"check": "ledger", "text": "nothing left"}}
    daemon.say("GET /api/v1/intents/enterprise-1-1", {"title": "there is no intent"}, 404, PROBLEM)
    daemon.say("GET /api/v1/negotiations/enterprise-1-1", [NEGOTIATION, bss])
    daemon.say("GET /api/v1/negotiations", [bss])
    code, out, _ = accord("intent", "show", "enterprise-1-1")
    assert code == 0
    assert "4.80 EUR" in out
    assert "ledger: nothing left" in out
    assert "ledger: nothing left" in accord("intent", "list", "--negotiated")[1]


def test_an_intent_that_nobody_knows_is_unknown_whoever_negotiates(daemon: Daemon, accord: Accord) -> None:
    daemon.say("GET /api/v1/intents/nope", {"title": "there is no intent 'nope'"}, 404, PROBLEM)
    daemon.say("GET /api/v1/negotiations/nope", {"title": "this daemon takes no part"}, 501, PROBLEM)
    code, out, err = accord("intent", "show", "nope")
    assert (code, out) == (1, "")
    assert "there is no intent 'nope'" in err


@pytest.mark.parametrize("rounds, is_less", [(0, False), (1, True)])
def test_who_ends_with_less_than_was_asked_is_told_so(
    daemon: Daemon, accord: Accord, rounds: int, is_less: bool
) -> None:
    daemon.say("POST /api/v1/negotiations", {**NEGOTIATION, "rounds": rounds}, 201)
    code, _, err = accord("intent", "negotiate", "--from", "a", "--to", "b", "--bandwidth", "200M")
    assert code == 0
    assert ("less than was asked" in err) is is_less
