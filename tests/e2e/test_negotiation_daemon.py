"""Negotiations on real daemons: what is agreed is what real emulated routers do, in one process and in three."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.cli.main import main
from controller.northbound.auth import Role
from tests.e2e.daemon import DaemonProcess, Result, eventually, lab_of_routers
from tests.e2e.negotiating import PARTIES, Keys, make_certificates, make_keys
from tests.ports import kept_port

_WISH = ("--from", "pe-london", "--to", "pe-frankfurt", "--bandwidth", "200M", "--class", "general")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lab_of_routers(tmp_path_factory.mktemp("lab") / "lab") as directory:
        yield directory


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys") / "keys")


class Accord:
    """The command line as the operator of one daemon."""

    def __init__(self, daemon: DaemonProcess, patch: pytest.MonkeyPatch, capture: Any, home: Path) -> None:
        self.daemon, self.patch, self.capture, self.home = daemon, patch, capture, home

    def __call__(self, *words: str) -> Result:
        token = self.daemon.directory / "operator"
        token.write_text(self.daemon.tokens[Role.OPERATOR.value] + "\n")
        token.chmod(0o600)
        self.patch.setenv("XDG_CONFIG_HOME", str(self.home))
        self.patch.setenv("ACCORD_URL", self.daemon.url)
        self.patch.setenv("ACCORD_CA", str(self.daemon.certificate))
        self.patch.setenv("ACCORD_TOKEN_FILE", str(token))
        self.patch.setattr("sys.stdin", io.StringIO())
        self.capture.readouterr()
        code = main(words)
        out, err = self.capture.readouterr()
        return Result(code, out, err)


def ready(daemon: DaemonProcess) -> None:
    """The network is known and sold, and the status list was read."""
    daemon.wait_until_read()
    wish = {"from": "pe-london", "to": "pe-frankfurt", "bandwidth": "200M", "class": "general"}
    eventually(lambda: daemon.post("/api/v1/quotes", wish).status_code == 200, "there is something to buy")


def tunnels(daemon: DaemonProcess) -> dict[str, Any]:
    return {one["name"]: one for one in daemon.get("/api/v1/tunnels").json()}


def test_an_agreement_lives_on_the_routers_from_its_quote_to_its_end(
    tmp_path: Path, lab: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = {"negotiation": {"parties": str(keys.parties(tmp_path / "parties.yaml", PARTIES)), "tick_seconds": 1}}
    with DaemonProcess(tmp_path / "accord", lab, settings=settings) as daemon:
        accord = Accord(daemon, monkeypatch, capfd, tmp_path)
        ready(daemon)
        quoted = accord("quote", *_WISH, "-o", "json").document["items"]
        vpn = daemon.commit(daemon.intend("Connect London and Frankfurt for acme with 100 Mbit/s")["plan"]["id"])
        assert vpn["phase"] == "committed"
        (carried,) = (one["vpn_id"] for one in daemon.get("/api/v1/services").json())
        unknown = accord("intent", "negotiate", *_WISH, "--vpn", "nobodys", "-o", "json")
        assert "has no VPN 'nobodys'" in unknown.document["refusal"]["text"]
        done = accord("intent", "negotiate", *_WISH, "--vpn", carried, "-o", "json")
        assert done.code == 0, done.err
        agreed = done.document
        assert agreed["stage"] == "done"
        assert agreed["total"] == quoted[0]["total"]
        service = agreed["service"]
        by_party = accord("intent", "show", agreed["id"], "-o", "json").document["items"]
        assert {one["domain"]: one["stage"] for one in by_party} == dict.fromkeys(PARTIES, "done")
        refused = accord("intent", "show", unknown.document["id"], "-o", "json").document["items"][0]
        assert "has no VPN 'nobodys'" in refused["refusal"]["text"]
        assert tunnels(daemon)[service]["bandwidth_bit_rate"] == 200_000_000
        assert {service, f"{service}-back"} <= tunnels(daemon).keys()
        assert daemon.get("/api/v1/transactions").json()[-1]["phase"] == "committed"

        more = accord("agreement", "renegotiate", agreed["agreement"], "--bandwidth", "1G", "-o", "json")
        assert more.code == 0, more.err
        assert more.document["service"] == service
        assert tunnels(daemon)[service]["bandwidth_bit_rate"] == 10**9

        daemon.kill()
        daemon.start()
        shown = accord("agreement", "show", agreed["agreement"], "-o", "json").document
        assert (shown["vpn"], shown["tunnels"]) == (carried, [service, f"{service}-back"])
        assert tunnels(daemon)[service]["services"] == [carried]
        assert tunnels(daemon)[service]["agreement"] == agreed["agreement"]
        (named,) = accord("service", "show", carried, "-o", "json").document["agreements"]
        assert (named["id"], named["tunnel"]) == (agreed["agreement"], service)
        assert [issue["parent"] for issue in shown["issues"]] == ["", shown["issues"][0]["id"]]
        assert shown["issues"][1]["parent_hash"] == shown["issues"][0]["hash"]
        ready(daemon)

        ended = accord("agreement", "terminate", agreed["agreement"], "-o", "json")
        assert ended.code == 0, ended.err
        assert not tunnels(daemon)
        assert accord("agreement", "list", "-o", "json").document["items"][0]["state"] == "over"


def test_what_the_wallet_does_not_cover_is_refused_and_nothing_is_sent(
    tmp_path: Path, lab: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    poor = make_keys(tmp_path / "keys", ceiling="0.05 EUR")
    settings = {"negotiation": {"parties": str(poor.parties(tmp_path / "parties.yaml", PARTIES)), "tick_seconds": 1}}
    with DaemonProcess(tmp_path / "accord", lab, settings=settings) as daemon:
        accord = Accord(daemon, monkeypatch, capfd, tmp_path)
        ready(daemon)
        done = accord("intent", "negotiate", *_WISH, "-o", "json")
        assert done.code == 4
        assert done.document["refusal"]["check"] == "ceiling"
        assert not daemon.get("/api/v1/transactions").json()


def test_three_daemons_with_three_keys_and_three_logs_agree(
    tmp_path: Path, lab: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    certificates = make_certificates(tmp_path / "certificates")
    ports = {name: kept_port() for name in PARTIES}
    urls = {name: f"https://127.0.0.1:{port}" for name, port in ports.items()}
    empty = tmp_path / "nothing"
    empty.mkdir()
    (empty / "inventory.yaml").write_text("{}\n")
    (empty / "credentials.yaml").write_text("{}\n")
    (empty / "credentials.yaml").chmod(0o600)

    def daemon_of(name: str) -> DaemonProcess:
        parties = keys.parties(tmp_path / f"{name}.yaml", [name], urls)
        settings = {"parties": str(parties), "tick_seconds": 1, "peer_port": ports[name], **certificates}
        where = lab if name == "oss" else empty
        return DaemonProcess(tmp_path / name, where, settings={"negotiation": settings})

    with daemon_of("oss") as oss, daemon_of("bss") as bss, daemon_of("enterprise") as enterprise:
        ready(oss)
        accord = Accord(enterprise, monkeypatch, capfd, tmp_path)
        done = accord("intent", "negotiate", *_WISH, "-o", "json")
        assert done.code == 0, done.err
        service = done.document["service"]
        assert service in tunnels(oss)
        roots = [daemon.get("/api/v1/agreements").json()[0]["id"] for daemon in (enterprise, bss, oss)]
        assert roots == [done.document["agreement"]] * 3
        hashes = [daemon.get("/api/v1/agreements").json()[0]["issues"][0]["hash"] for daemon in (enterprise, bss, oss)]
        assert len(set(hashes)) == 1
