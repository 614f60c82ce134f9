"""Debian's Prometheus reads a live daemon with our configuration, and finds what the list of metrics promises."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.daemon import DaemonProcess, eventually, lab_of_routers
from tests.e2e.prometheus_server import CONFIG, prometheus_of, query, tool

pytestmark = pytest.mark.prometheus


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    tool("prometheus")
    with (
        lab_of_routers(tmp_path_factory.mktemp("lab") / "lab") as lab,
        DaemonProcess(tmp_path_factory.mktemp("accord"), lab) as running,
    ):
        running.wait_until_read()
        yield running


@pytest.fixture(scope="module")
def prometheus(daemon: DaemonProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    with prometheus_of(daemon, tmp_path_factory.mktemp("prometheus")) as client:
        yield client


def test_the_daemon_and_every_device_are_scraped(daemon: DaemonProcess, prometheus: httpx2.Client) -> None:
    devices = {device["name"] for device in daemon.get("/api/v1/devices").json()}
    eventually(lambda: query(prometheus, 'up{job="accord"} == 1'), "the daemon is scraped")

    def probed() -> bool:
        return {found["metric"]["device"] for found in query(prometheus, "probe_success == 1")} == devices

    eventually(probed, "every device was probed")


def test_every_metric_of_the_list_has_a_type_and_help_in_prometheus(prometheus: httpx2.Client) -> None:
    eventually(lambda: query(prometheus, "accord_build_info"), "the daemon is scraped")
    known = prometheus.get("/api/v1/metadata").json()["data"]
    listed = [line.split("`")[1] for line in (CONFIG / "METRICS.md").read_text().splitlines() if line.startswith("| `")]
    assert listed
    missing = [name for name in listed if name not in known and name.removesuffix("_total") not in known]
    assert missing == []


def test_a_transaction_shows_in_counters_and_durations(daemon: DaemonProcess, prometheus: httpx2.Client) -> None:
    plan = daemon.intend("Create L3VPN service with 2 VPN sites in London and Paris using L3SM Service Model")["plan"]
    assert daemon.commit(plan["id"])["phase"] == "committed"
    for expression in (
        'accord_transactions_total{outcome="committed"} >= 1',
        'accord_transaction_duration_seconds_count{outcome="committed"} >= 1',
        "accord_services == 1",
        'accord_rpcs_total{act="commit", outcome="done"} >= 2',
        "accord_plan_duration_seconds_count >= 1",
        "job:accord_transaction_duration_seconds:p95_5m",
    ):
        eventually(lambda of=expression: query(prometheus, of), expression)


def test_no_rule_fails_and_no_alert_fires_on_a_healthy_network(prometheus: httpx2.Client) -> None:
    def evaluated() -> list[dict[str, Any]]:
        """Both groups, once every rule of theirs was evaluated."""
        groups: list[dict[str, Any]] = prometheus.get("/api/v1/rules").json()["data"]["groups"]
        whole = [group for group in groups if all(rule["health"] == "ok" for rule in group["rules"])]
        return whole if {group["name"] for group in whole} == {"accord-recordings", "accord-alerts"} else []

    groups = eventually(evaluated, "the rules were evaluated")
    assert [rule["name"] for group in groups for rule in group["rules"] if rule.get("state") == "firing"] == []


def test_the_rules_and_their_own_tests_pass(tmp_path: Path) -> None:
    promtool = tool("promtool")
    shutil.copytree(CONFIG, tmp_path / "prometheus")
    (tmp_path / "prometheus" / "accord-ca.crt").touch()
    for directory, *arguments in (
        ("prometheus", "check", "config", "prometheus.yml"),
        ("prometheus/rules", "test", "rules", "accord_test.yml"),
    ):
        done = subprocess.run(
            [promtool, *arguments], cwd=tmp_path / directory, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_exposition_is_free_of_lint(daemon: DaemonProcess) -> None:
    text = daemon.get("/metrics", token="").content
    done = subprocess.run([tool("promtool"), "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
