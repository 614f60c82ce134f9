"""Tunnels on the command line against a real daemon on real emulated routers."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.cli.main import main
from controller.northbound.auth import Role
from tests.e2e.daemon import DaemonProcess, Result, eventually, lab_command, lab_of_routers


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lab_of_routers(tmp_path_factory.mktemp("lab") / "lab") as directory:
        yield directory


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, lab: Path) -> Iterator[DaemonProcess]:
    with DaemonProcess(tmp_path_factory.mktemp("accord"), lab) as daemon:
        token = daemon.directory / "operator"
        token.write_text(daemon.tokens[Role.OPERATOR.value] + "\n")
        token.chmod(0o600)
        daemon.wait_until_read()
        eventually(lambda: len(links(daemon)) == 18, "the topology was learnt")
        yield daemon


def links(daemon: DaemonProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.get("/api/v1/topology").json()["links"]
    return found


Accord = Callable[..., Result]


@pytest.fixture
def accord(
    daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Accord:
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


@pytest.fixture
def gold(accord: Accord) -> Iterator[dict[str, Any]]:
    """A tunnel from London to Frankfurt, deleted afterwards."""
    ends = ("--from", "pe-london", "--to", "pe-frankfurt", "--bandwidth", "1G", "--delay", "12ms")
    done = accord("tunnel", "create", "gold", *ends, "--yes", "-o", "json")
    assert done.code == 0, done.err
    yield accord("tunnel", "show", "gold", "-o", "json").document
    assert accord("tunnel", "delete", "gold", "--yes").code == 0
    assert accord("tunnel", "list", "-o", "json").document["items"] == []


def test_a_dry_run_shows_the_policy_and_sends_nothing(accord: Accord) -> None:
    shown = accord("tunnel", "create", "t", "--from", "pe-london", "--to", "pe-paris", "--both-ways", "--dry-run")
    assert shown.code == 0, shown.err
    assert "tunnel/t-back" in shown.out
    assert "policy 100" in shown.out
    assert accord("tunnel", "list", "-o", "json").document["items"] == []


def test_a_tunnel_is_shown_with_its_path_and_state(accord: Accord, gold: dict[str, Any]) -> None:
    assert (gold["state"], gold["route"]) == ("up", "pe-london > p-brussels > pe-frankfurt")
    assert (gold["bandwidth_bit_rate"], gold["delay_bound_seconds"]) == (10**9, 0.012)
    assert "gold" in accord("tunnel", "list").out


def test_a_move_goes_through_the_stages_and_keeps_the_colour(accord: Accord, gold: dict[str, Any]) -> None:
    moved = accord("tunnel", "move", "gold", "--avoid", "p-brussels", "--yes", "-o", "json")
    assert moved.code == 0, moved.err
    stages = [step["stage"] for step in moved.document["steps"]]
    assert stages == ["building", "verifying", "moving", "draining", "removing", "done"]
    now = accord("tunnel", "show", "gold", "-o", "json").document
    assert (now["route"], now["color"]) == ("pe-london > p-lyon > pe-frankfurt", gold["color"])


def test_a_change_without_a_path_is_refused_with_the_reason(accord: Accord, gold: dict[str, Any]) -> None:
    refused = accord("tunnel", "change", "gold", "--bandwidth", "500G", "--yes")
    assert refused.code == 4
    assert "bandwidth" in refused.err
    assert accord("tunnel", "show", "gold", "-o", "json").document == gold


@pytest.mark.parametrize(
    "words, said",
    [
        (("move", "gold", "--avoid", "a-b", "--dry-run"), "no link 'a-b'"),
        (("change", "gold", "--delay", "soon", "--dry-run"), "'soon' is not a duration"),
        (("change", "gold", "--protect", "all", "--dry-run"), "'all'"),
        (("change", "gold", "--exclude-color", "77", "--dry-run"), "0 to 31"),
        (("change", "gold", "--link-loss", "much", "--dry-run"), "'much' is no share of packets"),
        (("show", "nobody"), "no tunnel 'nobody'"),
    ],
)
def test_bad_words_are_named(accord: Accord, gold: dict[str, Any], words: tuple[str, ...], said: str) -> None:
    refused = accord("tunnel", *words)
    assert refused.code != 0
    assert said in refused.err


@pytest.mark.parametrize(
    "words, said",
    [
        ("tunnel create t --from pe-moon --to pe-paris --dry-run", "no node 'pe-moon'"),
        ("tunnel create t --from pe-london --to pe-mars --dry-run", "no node 'pe-mars'"),
        ("tunnel create t --from pe-london --to pe-paris --delay=-3ms --dry-run", "'-3ms' is not a duration"),
        ("twin what-if --link-down p1-p99", "no link 'p1-p99'"),
        ("twin what-if --node-down p99", "no node 'p99'"),
        ("twin what-if --demand=x-2", "'x-2' is not a factor"),
        ("optical carve nobody", "no VPN 'nobody'"),
        ("optical create otn gold --link a:0>b:0 --bandwidth 1Gbit/s --dry-run", "no optical domain 'otn'"),
    ],
)
def test_what_is_not_there_or_cannot_be_is_named_at_the_command_line(accord: Accord, words: str, said: str) -> None:
    refused = accord(*words.split())
    assert refused.code != 0
    assert said in refused.err


@pytest.mark.parametrize(
    "path, body, status, said",
    [
        ("tunnels", {"source": "pe-moon"}, 404, "no node 'pe-moon'"),
        ("tunnels", {"delay_bound": -0.003}, 400, "a delay bound of -0.003 cannot be kept"),
        ("tunnels", {"delay_bound": "-3 ms"}, 400, "'-3 ms' is not a duration"),
        ("tunnels", {"bandwidth": -1}, 400, "bandwidth -1 is not a bit rate"),
        ("tunnels", {"link_loss": -0.1}, 400, "-0.1 is no share of packets"),
        ("twin/what-if", {"link_down": ["p1-p99"]}, 404, "no link 'p1-p99'"),
        ("twin/what-if", {"demand": -1}, 400, "demand"),
        ("optical/carve", {"service": "nobody"}, 404, "no VPN 'nobody'"),
    ],
)
def test_what_is_not_there_or_cannot_be_is_named_at_the_api(
    daemon: DaemonProcess, path: str, body: dict[str, Any], status: int, said: str
) -> None:
    if path == "tunnels":
        body = {"name": "t", "source": "pe-london", "target": "pe-paris", **body}
    refused = daemon.post(f"/api/v1/{path}", body)
    assert (refused.status_code, said in refused.json()["detail"]) == (status, True), refused.text


def test_links_are_measured_and_asked_for_again_at_the_command_line(accord: Accord) -> None:
    assert "stamp-session" in accord("topology", "measure", "--dry-run").out
    assert accord("topology", "measure", "--yes").code == 0
    twice = accord("topology", "measure", "--yes")
    assert (twice.code, "links are all measured already" in twice.err) == (1, True)

    def is_measured() -> bool:
        links = accord("topology", "refresh", "-o", "json").document["links"]
        return all(link["is_delay_measured"] for link in links)

    eventually(is_measured, "every link was measured")
    assert accord("topology", "measure", "--off", "--yes").code == 0


def test_two_tunnels_on_one_link_are_spread_over_two(accord: Accord, gold: dict[str, Any]) -> None:
    ends = ("--from", "pe-london", "--to", "pe-frankfurt", "--bandwidth", "1G")
    assert accord("tunnel", "create", "silver", *ends, "--yes").code == 0
    try:
        done = accord("tunnel", "reoptimise", "--yes", "-o", "json")
        assert done.code == 0, done.err
        assert (done.document["utilisation_before"], done.document["utilisation_after"]) == (0.02, 0.01)
        routes = {t["route"] for t in accord("tunnel", "list", "-o", "json").document["items"]}
        assert len(routes) == 2
        assert accord("tunnel", "reoptimise", "--dry-run", "-o", "json").document["steps"] == []
    finally:
        assert accord("tunnel", "delete", "silver", "--yes").code == 0


def test_a_restarted_daemon_knows_its_tunnels_and_repairs_what_failed_meanwhile(
    daemon: DaemonProcess, lab: Path, accord: Accord, gold: dict[str, Any]
) -> None:
    daemon.stop()
    lab_command("link", "pe-london--p-brussels", "down", "--dir", str(lab))
    try:
        daemon.start()

        def is_repaired() -> bool:
            now = daemon.get("/api/v1/tunnels/gold").json()
            return bool(now["state"] == "up" and now["route"] != gold["route"])

        eventually(is_repaired, "the tunnel was repaired")
        for metric in ('accord_repairs_total{outcome="repaired"} 1.0', 'accord_tunnels{state="up"} 1.0'):
            eventually(lambda sought=metric: sought in daemon.get("/metrics").text, metric)
    finally:
        lab_command("link", "pe-london--p-brussels", "up", "--dir", str(lab))
