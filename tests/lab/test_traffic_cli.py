"""`accord lab traffic` as a user runs it: a lab in a process of its own, on each plane that this machine has."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bench.traffic_edits import HEAD, TAIL, vpn_edit
from bench.traffic_lab import LONG_HOP_SECONDS, SHORT_HOP_SECONDS, topology
from lab.cli import app
from lab.planes.choose import namespaces_refused
from lab.topology_file import topology_document
from tests.lab.test_lab_cli import connect
from tests.patience import PATIENCE_SECONDS

NETNS = pytest.mark.netns, pytest.mark.skipif(bool(namespaces_refused()), reason=namespaces_refused() or "they work")


def run(*words: str, home: Path) -> Result:
    return CliRunner().invoke(app, [*words, "--dir", str(home)])


def answer(*words: str, home: Path) -> list[dict[str, Any]]:
    done = run(*words, "-o", "json", home=home)
    assert done.exit_code == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["items"]
    return found


@pytest.fixture(scope="module", params=["memory", pytest.param("netns", marks=NETNS)])
def plane(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def home(plane: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running lab with a VPN at two routers."""
    root = tmp_path_factory.mktemp(plane)
    file, where = root / "two-ways.json", root / "lab"
    file.write_text(json.dumps(topology_document(topology())))
    started = run("up", "--topology", str(file), "--plane", plane, "--detach", home=where)
    assert started.exit_code == 0, started.stderr
    try:
        for router in (HEAD, TAIL):
            (root / f"{router}.xml").write_text(vpn_edit(router))
            answer("drift", router, "--edit", str(root / f"{router}.xml"), home=where)
        yield where
    finally:
        run("down", home=where)


def start(home: Path, *words: str) -> dict[str, Any]:
    (started,) = answer("traffic", "start", "--from", HEAD, "--to", TAIL, "--vpn", "red", *words, home=home)
    return started


def until_sent(home: Path, flow: str, packets: int) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        (found,) = answer("traffic", "report", flow, home=home)
        if found["sent"] >= packets:
            return found
    pytest.fail(f"{flow} did not send {packets} packets")


def test_a_flow_is_started_reported_and_stopped_and_every_answer_names_the_plane(home: Path, plane: str) -> None:
    started = start(home, "--rate", "500")
    assert started["plane"].split()[0] == plane
    assert (started["source"], started["target"]) == ("pe1:access0.100 10.1.0.2", "pe2:access0.100 10.2.0.2")
    running = until_sent(home, started["flow"], 100)
    (stopped,) = answer("traffic", "stop", started["flow"], home=home)
    for found in (running, stopped):
        assert (found["plane"], found["flow"]) == (started["plane"], started["flow"])
        assert (found["source"], found["target"]) == (started["source"], started["target"])
    assert stopped["lost"] == 0
    assert stopped["received"] == stopped["sent"] >= running["sent"]
    assert stopped["delay_minimum_seconds"] >= 0.0015
    assert answer("traffic", "report", home=home) == []


def test_the_table_shows_counts_and_delays_in_milliseconds(home: Path, plane: str) -> None:
    flow = start(home)["flow"]
    until_sent(home, flow, 100)
    done = run("traffic", "stop", flow, home=home)
    head, row = done.stdout.splitlines()
    assert head.split()[:6] == ["FLOW", "PLANE", "SENT", "RECEIVED", "LOST", "REORDERED"]
    assert "DELAY MEDIAN MS" in head
    assert row.split()[:2] == [flow, plane]


def test_a_cut_shows_in_the_loss(home: Path) -> None:
    flow = start(home, "--rate", "1000")["flow"]
    until_sent(home, flow, 50)
    for link in ("pe1--p1", "pe1--p3"):
        assert run("link", link, "down", home=home).exit_code == 0
    until_sent(home, flow, until_sent(home, flow, 50)["sent"] + 200)
    for link in ("pe1--p1", "pe1--p3"):
        assert run("link", link, "up", home=home).exit_code == 0
    (found,) = answer("traffic", "stop", flow, home=home)
    assert found["lost"] >= 100
    assert found["longest_gap_seconds"] >= 0.1


def test_packets_are_lost_by_chance_in_memory_and_wires_refuse_to(home: Path, plane: str) -> None:
    if plane == "memory":
        for loss in ("50%", "0"):
            for link in ("pe1--p1", "pe1--p3"):
                assert run("link", link, "up", "--loss", loss, home=home).exit_code == 0
            flow = start(home, "--rate", "1000")["flow"]
            until_sent(home, flow, 200)
            (found,) = answer("traffic", "stop", flow, home=home)
            assert (found["lost"] > 0) is (loss == "50%")
            assert found["received"] > 0
        status = json.loads(run("status", "-o", "json", home=home).stdout)
        assert set(status["links"].values()) == {"up"}
    else:
        refused = run("link", "pe1--p1", "up", "--loss", "50%", home=home)
        assert refused.exit_code == 1
        assert "the loss of link pe1--p1 cannot be 0.5: only the memory plane changes losses" in refused.stderr


def test_a_link_is_slowed_in_memory_and_wires_refuse_to(home: Path, plane: str) -> None:
    if plane == "memory":
        for slowed in (True, False):
            for link, usual in (("pe1--p1", SHORT_HOP_SECONDS), ("pe1--p3", LONG_HOP_SECONDS)):
                delay = "20" if slowed else f"{usual * 1000:g}"
                assert run("link", link, "up", "--delay", delay, home=home).exit_code == 0
            flow = start(home, "--rate", "1000")["flow"]
            until_sent(home, flow, 200)
            (found,) = answer("traffic", "stop", flow, home=home)
            assert (found["delay_minimum_seconds"] >= 0.02) is slowed
    else:
        refused = run("link", "pe1--p1", "up", "--delay", "20", home=home)
        assert refused.exit_code == 1
        assert "only the memory plane changes delays" in refused.stderr


def test_a_router_is_managed_though_every_link_of_its_own_is_cut(home: Path) -> None:
    links = [link.name for link in topology().links if HEAD in {link.a.node, link.b.node}]
    assert len(links) == 2
    with connect(home, HEAD) as before:
        for link in links:
            assert run("link", link, "down", home=home).exit_code == 0
        try:
            flow = start(home, "--rate", "1000")["flow"]
            sent = until_sent(home, flow, 200)
            with connect(home, HEAD) as session:
                for each in (before, session):
                    assert "access0.100" in each.get_config("running").data_xml
                with session.locked("candidate"):
                    session.discard_changes()
            (found,) = answer("traffic", "stop", flow, home=home)
        finally:
            for link in links:
                assert run("link", link, "up", home=home).exit_code == 0
    assert found["sent"] >= sent["sent"]
    assert found["received"] == 0


@pytest.mark.parametrize(
    "words, message",
    [
        (["start", "--from", "pe9:access0.100", "--to", "pe2:access0.100"], "no router 'pe9'"),
        (["start", "--from", "pe1:access9", "--to", "pe2:access0.100"], "pe1: interface access9 is not configured"),
        (["start", "--from", "pe1", "--to", "pe2", "--vpn", "blue"], "pe1: there is no VPN blue (its VPNs: red)"),
        (["start", "--from", "pe1", "--to", "pe2", "--vpn", "red", "--ipv6"], "access0.100 has no IPv6 address"),
        (["start", "--from", "pe1", "--to", "pe2", "--vpn", "red", "--rate", "0"], "0 packets/s"),
        (["start", "--from", "pe1", "--to", "pe2", "--vpn", "red", "--size", "10"], "packets of 10 octets"),
        (["report", "flow-99"], "there is no flow 'flow-99'"),
        (["stop", "flow-99"], "there is no flow 'flow-99'"),
    ],
)
def test_what_is_not_there_is_named(home: Path, words: list[str], message: str) -> None:
    refused = run("traffic", *words, home=home)
    assert refused.exit_code == 1
    assert message in refused.stderr


def test_tcp_is_measured_on_namespaces_and_refused_in_memory(home: Path, plane: str) -> None:
    words = ["traffic", "tcp", "--from", HEAD, "--to", TAIL, "--vpn", "red", "--seconds", "1"]
    if plane == "memory":
        assert "the plane of this lab (memory) carries no TCP" in run(*words, home=home).stderr
    elif shutil.which("iperf3") is None:
        assert "iperf3 is not installed" in run(*words, home=home).stderr
    else:
        (found,) = answer(*words, home=home)
        assert found["plane"].split()[0] == "netns"
        assert found["received_bit_rate"] > 1e5
