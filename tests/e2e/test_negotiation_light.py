"""A live daemon sells its optical domain as the deterministic tier: for an order, in life, when none is left."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.daemon import DaemonProcess, eventually, lab_of_routers
from tests.e2e.negotiating import PARTIES, make_keys
from tests.e2e.test_negotiation_daemon import Accord, tunnels

_TOPOLOGY = Path(__file__).parents[2] / "config" / "lab" / "optical.yaml"
_BETWEEN = ("--from", "pe-london", "--to", "pe-paris", "--bandwidth", "200M", "--class", "general")
_IP = (*_BETWEEN, "--tier", "ip")
_STEADY = (*_BETWEEN, "--tier", "optical", "--latency", "2ms")
_LIGHT = "pe-london:core2>pe-paris:core2"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lab_of_routers(tmp_path_factory.mktemp("lab") / "lab", "--topology", str(_TOPOLOGY)) as directory:
        yield directory


def light(daemon: DaemonProcess) -> dict[str, str]:
    """The tunnels of the domain, and how they are."""
    (domain,) = daemon.get("/api/v1/optical").json()["domains"]
    return {one["name"]: one["status"] for one in domain["tunnels"]}


def hops(daemon: DaemonProcess, service: str) -> list[str]:
    return list(tunnels(daemon)[service]["paths"][0]["links"])


def test_an_agreement_moves_onto_light_and_back_and_nobody_is_sold_what_is_not_left(
    tmp_path: Path, lab: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    keys = make_keys(tmp_path / "keys")
    settings: Any = {"parties": str(keys.parties(tmp_path / "parties.yaml", PARTIES)), "tick_seconds": 1}
    with DaemonProcess(tmp_path / "accord", lab, settings={"negotiation": settings}) as daemon:
        accord = Accord(daemon, monkeypatch, capfd, tmp_path)

        def quoted(*words: str) -> bool:
            return accord("quote", *words, "-o", "json").code == 0

        daemon.wait_until_read()
        eventually(lambda: quoted(*_STEADY) and quoted(*_IP), "both tiers are for sale")
        agreed = accord("intent", "negotiate", *_IP, "-o", "json")
        assert agreed.code == 0, agreed.err
        root, service = agreed.document["agreement"], agreed.document["service"]
        assert _LIGHT not in hops(daemon, service)
        assert light(daemon) == {}

        # The upgrade: the light is up before the tunnels move onto it, in stages.
        more = accord("agreement", "renegotiate", root, "--tier", "optical", "--latency", "2ms", "-o", "json")
        assert more.code == 0, more.err
        assert more.document["service"] == service
        assert light(daemon) == {service: "up"}
        assert hops(daemon, service) == [_LIGHT]
        assert [one["stage"] for one in daemon.get("/api/v1/changes").json()] == ["done"]

        # The one pair of ports is taken, and stays so through a crash.
        def refusal() -> str:
            return accord("quote", *_STEADY, "-o", "json").err

        eventually(lambda: "no light is left" in refusal(), "the light is known to be taken")
        daemon.kill()
        daemon.start()
        eventually(lambda: "no light is left" in refusal(), "it is known again")
        other = accord("intent", "negotiate", *_STEADY, "-o", "json")
        assert other.code == 0, other.err
        assert other.document["offering"].startswith("ip-")

        # Its holder changes it where it is.
        less = accord("agreement", "renegotiate", root, "--bandwidth", "50M", "-o", "json")
        assert less.code == 0, less.err
        assert less.document["offering"].startswith("optical-50M")
        assert light(daemon) == {service: "up"}

        back = accord("agreement", "renegotiate", root, "--tier", "ip", "--latency", "50ms", "-o", "json")
        assert back.code == 0, back.err
        assert light(daemon) == {}
        assert _LIGHT not in hops(daemon, service)
        eventually(lambda: quoted(*_STEADY), "the light is for sale again")
        straight = accord("intent", "negotiate", *_STEADY, "-o", "json")
        assert straight.code == 0, straight.err
        assert light(daemon) == {straight.document["service"]: "up"}
        ended = accord("agreement", "terminate", straight.document["agreement"], "-o", "json")
        assert ended.code == 0, ended.err
        assert light(daemon) == {}
