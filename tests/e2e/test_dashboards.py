"""Every panel of every dashboard has something to show on a real Prometheus, of a network in which things happened.

The network is driven through what is rare as well (transactions aborted and undone, a device that is lost, drift, a
tunnel that is cut and repaired, requests that fail), so that no series may be missing; there is no list of exceptions.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.controller.grafana_panels import FILES, SAMPLE, Asked, queries, read, selectors
from tests.e2e.daemon import DaemonProcess, eventually, lab_command, lab_of_routers
from tests.e2e.negotiating import PARTIES, make_keys
from tests.e2e.prometheus_server import prometheus_of, query, tool, until_nothing_of

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(900)]
WIRE = "pe-london--p-brussels"
SETTINGS = {
    "upkeep": {"check_sync_seconds": 2},
    "telemetry": {"interval_seconds": 1, "core_interval_seconds": 1, "service_probes": "auto"},
    "assurance": {"tick_seconds": 1, "horizon_seconds": 5},
}
WISH = {"from": "pe-madrid", "to": "pe-frankfurt", "bandwidth": "200M", "class": "general"}
PROMISE = " with latency below 50 ms and availability 99.9%"
SENTENCE = "Create L3VPN service with 2 VPN sites in {} and {} using L3SM Service Model"


class Network:
    """A daemon on a lab, and what is done to them."""

    def __init__(self, daemon: DaemonProcess, lab: Path) -> None:
        self.daemon = daemon
        self.lab = lab

    def live_through(self, number: int) -> None:
        """All that there is to be seen, once."""
        self._ask_wrongly()
        kept = self._commit(self._planned("London", "Paris", promise=PROMISE))
        self._undo(self._commit(self._planned("Paris", "Frankfurt")))
        for fault in ("reject", "close"):
            self._fail_a_commit(fault)
        assert kept["phase"] == "committed"
        self._negotiate()
        self._cut_a_tunnel(f"gold-{number}")
        lab_command("drift", "pe-madrid", "--dir", str(self.lab))

    # -- what happens ------------------------------------------------------------------------------------------

    def _fail_a_commit(self, fault: str) -> None:
        """Measurements of services are committed by themselves, and may be what meets the fault."""
        for _ in range(10):
            self._fault("pe-paris", "edit-config", fault)
            done = self.daemon.commit(self._planned("London", "Paris"))
            if done["phase"] == "aborted":
                return
            self._undo(done)
        pytest.fail(f"no commit met the fault {fault}")

    def _planned(self, *cities: str, promise: str = "") -> str:
        return str(self.daemon.intend(SENTENCE.format(*cities) + promise)["plan"]["id"])

    def _commit(self, plan: str) -> dict[str, Any]:
        done = self.daemon.commit(plan)
        assert done["phase"] == "committed", done
        return done

    def _undo(self, transaction: dict[str, Any]) -> None:
        self._commit(self._made("/api/v1/plans", {"kind": "rollback", "transaction": transaction["id"]}))

    def _made(self, path: str, document: object) -> str:
        response = self.daemon.post(path, document)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    def _fault(self, *words: str) -> None:
        lab_command("fault", *words, "--dir", str(self.lab))

    def _ask_wrongly(self) -> None:
        """Of the caller's, then of a device's making."""
        assert self.daemon.post("/api/v1/intents", {"text": "Make me a coffee"}).status_code == 422
        assert self.daemon.get("/api/v1/intents/nobody").status_code == 404
        self._fault("p-lyon", "get-config", "reject", "--count", "0")
        assert self.daemon.post("/api/v1/devices/p-lyon/check-sync").status_code == 502
        lab_command("faults", "--clear", "--router", "p-lyon", "--dir", str(self.lab))

    def _negotiate(self) -> None:
        """An agreement that is made, changed and stays; and a wish that the wallet does not cover."""
        eventually(lambda: self.daemon.post("/api/v1/quotes", WISH).status_code == 200, "there is a price")
        agreed = self.daemon.post("/api/v1/negotiations", WISH).json()
        assert agreed["stage"] == "done", agreed
        path = f"/api/v1/agreements/{agreed['agreement']}/renegotiate"
        changed = self.daemon.post(path, {"bandwidth": "1G"}).json()
        assert changed["stage"] == "done", changed
        refused = self.daemon.post("/api/v1/negotiations", WISH | {"duration": "20d"}).json()
        assert refused["stage"] == "refused", refused

    def _cut_a_tunnel(self, name: str) -> None:
        """London to Frankfurt takes the north, until that is cut."""
        ends = {"name": name, "source": "pe-london", "target": "pe-frankfurt"}
        self._commit(self._made("/api/v1/tunnels", ends))
        before = self._route(name)
        lab_command("link", WIRE, "down", "--dir", str(self.lab))
        try:
            eventually(lambda: self._route(name) != before, "the tunnel was repaired")
        finally:
            lab_command("link", WIRE, "up", "--dir", str(self.lab))

    def _route(self, name: str) -> str:
        return str(self.daemon.get(f"/api/v1/tunnels/{name}").json()["route"])

    @property
    def devices(self) -> list[str]:
        return [device["name"] for device in self.daemon.get("/api/v1/devices").json()]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    tool("prometheus")
    parties = make_keys(tmp_path_factory.mktemp("keys") / "keys").parties(
        tmp_path_factory.mktemp("parties") / "parties.yaml", PARTIES
    )
    settings = SETTINGS | {"negotiation": {"parties": str(parties), "tick_seconds": 1}}
    with (
        lab_of_routers(tmp_path_factory.mktemp("lab") / "lab") as lab,
        DaemonProcess(tmp_path_factory.mktemp("accord"), lab, settings=settings) as daemon,
    ):
        daemon.wait_until_read()
        eventually(lambda: len(daemon.get("/api/v1/topology").json()["links"]) == 18, "the topology was learnt")
        yield Network(daemon, lab)


@pytest.fixture(scope="module")
def prometheus(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """It has scraped between the first time and the second, so that there are rates of everything."""
    with prometheus_of(network.daemon, tmp_path_factory.mktemp("prometheus")) as client:
        for number in (1, 2):
            network.live_through(number)
            position = network.daemon.get("/api/v1/status").json()["position"]
            eventually(lambda at=position: _is_at(client, at), "what happened was scraped")
        eventually(lambda: query(client, "accord_drift_lines > 0"), "the drift was found")
        forecast = 'accord_objective_forecast{objective="delay-one-way"}'
        eventually(lambda: query(client, forecast), "the delay of a service is forecast")
        eventually(lambda: query(client, "accord_objective_burn_rate"), "a service has an error budget")
        eventually(lambda: query(client, "ALERTS"), "an alert is pending")
        yield client


def _is_at(prometheus: httpx2.Client, position: int) -> bool:
    return bool(query(prometheus, f"accord_event_log_position >= {position}"))


def _is_empty(prometheus: httpx2.Client, expression: str) -> bool:
    """Neither a series, nor one that only says that there is no number."""
    return all(math.isnan(float(series["value"][1])) for series in query(prometheus, expression))


def _empty(prometheus: httpx2.Client, asked: list[Asked]) -> list[str]:
    """Queries without an answer, and those that have one although a part of them selects nothing."""
    found = [str(one) for one in asked if _is_empty(prometheus, one.expression)]
    parts = {(one, part) for one in asked for part in selectors(one.expression)}
    return sorted(found + [f"{one}\n    selects nothing: {part}" for one, part in parts if not query(prometheus, part)])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_panel_has_something_to_show(network: Network, prometheus: httpx2.Client, file: Path) -> None:
    dashboard = read(file)
    chosen = network.devices if "$device" in file.read_text() else ["none"]
    asked = [one for device in chosen for one in queries(dashboard, SAMPLE | {"$device": device})]
    assert asked
    assert until_nothing_of(lambda: _empty(prometheus, asked)) == []


def test_every_choice_of_a_dashboard_has_something_to_choose(prometheus: httpx2.Client) -> None:
    for dashboard in map(read, FILES):
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                series, label = variable["query"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
                selected = series.replace("$job", "accord")

                def is_chosen_from(selected: str = selected, label: str = label) -> set[str]:
                    return {one["metric"].get(label, "") for one in query(prometheus, selected)} - {""}

                eventually(is_chosen_from, str(variable))


def test_a_misspelt_metric_is_found(prometheus: httpx2.Client) -> None:
    hidden = Asked("planted", "half of it", "sum(accord_services or accord_servces)")
    assert len(_empty(prometheus, [hidden])) == 1
    assert len(_empty(prometheus, [Asked("planted", "all of it", "accord_servces")])) == 2


def test_every_rule_selects_series_that_there_are(prometheus: httpx2.Client) -> None:
    groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]

    def missing() -> list[tuple[str, str]]:
        parts = [(rule["name"], part) for rule in rules for part in selectors(rule["query"])]
        return [(name, part) for name, part in parts if not query(prometheus, part)]

    assert rules
    assert until_nothing_of(missing) == []
