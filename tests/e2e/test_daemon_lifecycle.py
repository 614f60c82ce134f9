"""The daemon as a process: it starts, serves, survives and ends as promised."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.daemon import DaemonProcess, lab_of_routers

DEMO = "Create L3VPN service with 2 VPN sites in London and Paris using L3SM Service Model"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lab_of_routers(tmp_path_factory.mktemp("lab") / "lab") as directory:
        yield directory


def test_an_intent_is_committed_over_the_api_and_survives_kill_and_restart(tmp_path: Path, lab: Path) -> None:
    with DaemonProcess(tmp_path, lab) as daemon:
        daemon.wait_until_read()
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
