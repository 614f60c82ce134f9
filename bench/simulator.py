"""Owns `make bench-simulator`: how many seconds the memory plane simulates in one of the processor.

Published networks with all their demands and a 1 Hz measurement along each; links are cut and mended while it runs
(one every ten minutes), every router's counters and results are read every five. On fifty routers also with a full mesh
of measurements, each router to every other. `python -m bench.simulator`.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import permutations

from bench.table import Row, row, write
from lab.addressing import address_plan
from lab.day0 import day0_configuration
from lab.planes import RouterForwarding, StampSession
from lab.planes.fluid_clock import VirtualClock
from lab.planes.memory import MemoryPlane
from lab.router.forwarding import read_forwarding
from lab.router.schema import default_module_set, load_schema
from lab.topologies_topohub import topohub_topology
from lab.topology import Topology

SIZES = (10, 50, 100)
MESH_SIZE = 50
SIMULATED_SECONDS = 6_000
READ_EVERY_SECONDS = 300
CUT_EVERY_SECONDS = 600
LEAST_RATIO = 1000.0
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Run:
    routers: int
    demands: int
    measurements: int
    probes: int
    lost: int
    seconds: float


def _forwardings(topology: Topology, pairs: Iterable[Pair]) -> dict[str, RouterForwarding]:
    """Day 0, and a measurement each second between the routers of each pair."""
    targets: dict[str, list[str]] = {}
    for source, target in pairs:
        targets.setdefault(source, []).append(target)
    plan, schema = address_plan(topology), load_schema(default_module_set())
    return {
        node.name: replace(
            read_forwarding(day0_configuration(topology, node, plan, schema)),
            stamp_sessions=tuple(
                StampSession(number, plan[target].loopback)
                for number, target in enumerate(targets.get(node.name, ()), start=1)
            ),
        )
        for node in topology.nodes
    }


def _run(topology: Topology, pairs: Iterable[Pair]) -> _Run:
    forwardings = _forwardings(topology, pairs)
    clock = VirtualClock()
    start = time.process_time()
    plane = MemoryPlane(topology, forwardings.__getitem__, now=clock)
    for node in topology.nodes:
        plane.configuration_changed(node.name)
    probes = lost = 0
    for step in range(SIMULATED_SECONDS // READ_EVERY_SECONDS):
        if step % (CUT_EVERY_SECONDS // READ_EVERY_SECONDS) == 0:
            plane.set_link(topology.links[step % len(topology.links)].name, up=False)
        else:
            plane.set_link(topology.links[(step - 1) % len(topology.links)].name, up=True)
        clock.advance(READ_EVERY_SECONDS)
        results = [result for node in topology.nodes for result in plane.stamp(node.name)]
        probes, lost = sum(result.sent for result in results), sum(result.lost for result in results)
        for node in topology.nodes:
            plane.interfaces(node.name)
    spent = time.process_time() - start
    sessions = sum(len(own.stamp_sessions) for own in forwardings.values())
    return _Run(len(topology.nodes), len(topology.demands), sessions, probes, lost, spent)


def _row(found: _Run) -> Row:
    what = f"{found.routers} routers, {found.demands} demands, {found.measurements} measurements"
    print(f"{what}: {found.probes} probes, {found.lost} lost")
    speed = SIMULATED_SECONDS / found.seconds
    return row(f"memory simulated seconds a second: {what}", found.probes, speed, LEAST_RATIO, "goal", "x")


def main() -> None:
    rows: list[Row] = []
    speeds = []
    for size in SIZES:
        topology = topohub_topology("sndlib/germany50", routers=size)
        found = _run(topology, [(demand.source, demand.target) for demand in topology.demands])
        speeds.append(SIMULATED_SECONDS / found.seconds)
        rows.append(_row(found))
        if size == MESH_SIZE:
            rows.append(_row(_run(topology, permutations([node.name for node in topology.nodes], 2))))
    rows.append(
        row("memory cost of an hour, growth", SIZES[-1], speeds[0] / speeds[-1], SIZES[-1] / SIZES[0], "routers", "x")
    )
    write("simulator", rows)


if __name__ == "__main__":
    main()
