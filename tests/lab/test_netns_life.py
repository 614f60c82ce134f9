"""Namespaces come for root and for others, and go with the lab, however it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from shutil import which

import pytest

from lab.planes.choose import PlaneError, choose, namespaces_refused
from lab.planes.memory import MemoryPlane
from lab.planes.netns.plane import NetnsPlane
from lab.topology_file import load_topology
from tests.patience import PATIENCE_SECONDS

HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "config" / "lab" / "demo.yaml"
LAB = [sys.executable, str(HERE / "netns_lab.py")]
DEADLINE_SECONDS = PATIENCE_SECONDS
needs_namespaces = [
    pytest.mark.netns,
    pytest.mark.skipif(bool(namespaces_refused()), reason=namespaces_refused() or "namespaces forward here"),
]


def marked(test):
    for mark in needs_namespaces:
        test = mark(test)
    return test


def descendants(process: int) -> set[int]:
    """The processes below one, as /proc tells."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.parent.name)] = int(words[1]), words[0]
    found = {process}
    while True:
        more = {child for child, (parent, state) in parents.items() if parent in found and state != "Z"} - found
        if not more:
            return found - {process}
        found |= more


def alive(processes: set[int]) -> set[int]:
    found = set()
    for process in processes:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            found.add(process)
    return found


def namespaces_of(processes: set[int]) -> set[str]:
    return {str(Path(f"/proc/{process}/ns/net").readlink()) for process in processes}


@marked
def test_a_lab_that_is_killed_leaves_no_process_and_so_no_namespace() -> None:
    lab = subprocess.Popen([*LAB, "stay"], stdout=subprocess.PIPE)
    try:
        host = json.loads(lab.stdout.readline())["host"]
        below = descendants(lab.pid)
        assert host in below
        assert len(namespaces_of(below)) >= 8  # six routers, wires, a host
        assert str(Path("/proc/self/ns/net").readlink()) not in namespaces_of(below)
    finally:
        lab.kill()
        lab.wait()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while alive(below):
        assert time.monotonic() < deadline, alive(below)
        time.sleep(0.02)


@marked
def test_a_lab_that_ends_leaves_no_process_and_does_not_touch_this_namespace() -> None:
    before = Path("/proc/self/net/dev").read_text().count("\n"), Path("/proc/self/net/ipv6_route").read_text()
    done = subprocess.run([*LAB, "flow"], capture_output=True, timeout=DEADLINE_SECONDS, check=True)
    found = json.loads(done.stdout)
    assert found["received"] > 300
    assert (found["lost"], found["problems"]) == (0, [])
    assert done.stderr == b""
    assert before == (Path("/proc/self/net/dev").read_text().count("\n"), Path("/proc/self/net/ipv6_route").read_text())


@marked
@pytest.mark.skipif(os.geteuid() != 0 or not which("setpriv"), reason="needs root and setpriv, to become somebody else")
def test_somebody_who_is_not_root_forwards_packets_too() -> None:
    nobody = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
    nobody += ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]  # to read this directory
    probe = [*nobody, sys.executable, "-c", "from lab.planes.netns.processes import why_not; print(why_not())"]
    refused = subprocess.run(probe, capture_output=True, timeout=DEADLINE_SECONDS, check=True, text=True).stdout.strip()
    if refused:
        pytest.skip(f"nobody cannot have namespaces here: {refused}")
    done = subprocess.run([*nobody, *LAB, "flow"], capture_output=True, timeout=DEADLINE_SECONDS, check=True)
    found = json.loads(done.stdout)
    assert found["plane"] == "netns user"
    assert found["received"] > 300
    assert (found["lost"], found["problems"]) == (0, [])


@marked
def test_namespaces_are_chosen_when_they_are_possible() -> None:
    topology = load_topology(DEMO)
    for wanted in ("auto", "netns"):
        assert isinstance(choose(topology, lambda _: None, wanted, time.time), NetnsPlane)
    assert isinstance(choose(topology, lambda _: None, "memory", time.time), MemoryPlane)


def test_memory_is_chosen_where_namespaces_are_refused_and_insisting_says_why(monkeypatch) -> None:
    topology = load_topology(DEMO)
    monkeypatch.setattr("lab.planes.choose.namespaces_refused", lambda: "this kernel has no wings")
    assert isinstance(choose(topology, lambda _: None, "auto", time.time), MemoryPlane)
    with pytest.raises(PlaneError, match=r"this kernel has no wings\. Run as root"):
        choose(topology, lambda _: None, "netns", time.time)
