"""Owns series that are recorded from the lab: delays that its STAMP sessions measure while its links live through days.

The lab's own simulator on a clock of its own: links grow slower and faster over the day and at random, one is cut for
hours each day, so that packets go another way. The same seed gives the same recording.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lab.addressing import address_plan
from lab.day0 import day0_configuration
from lab.planes import RouterForwarding, StampSession
from lab.planes.fluid_clock import VirtualClock
from lab.planes.memory import MemoryPlane
from lab.router.forwarding import read_forwarding
from lab.router.schema import default_module_set, load_schema
from lab.topology import Role, Topology
from lab.topology_file import load_topology

Array = NDArray[np.float64]
DEMO = Path(__file__).parents[1] / "config/lab/demo.yaml"
TICKS_A_DAY = 144
TICK_SECONDS = 60.0
"""A day of the recording is 144 minutes: what counts is its form."""
_CUT_FOR = 20
_MEMORY, _NOISE, _DEPTH = 0.9, 0.02, 0.25


def recorded(days: int, seed: int) -> Array:
    """One-way delays in seconds between every two provider edges of the demonstration's network, (ticks, pairs)."""
    topology, random = load_topology(DEMO), np.random.default_rng(seed)
    edges = [node.name for node in topology.nodes if node.role is Role.PE]
    pairs = list(permutations(edges, 2))
    forwardings = _forwardings(topology, pairs)
    clock = VirtualClock()
    plane = MemoryPlane(topology, forwardings.__getitem__, now=clock, seed=seed)
    for node in topology.nodes:
        plane.configuration_changed(node.name)
    phases = random.uniform(0, 2 * np.pi, len(topology.links))
    noise, rows = np.zeros(len(topology.links)), []
    for tick in range(days * TICKS_A_DAY):
        noise = _MEMORY * noise + _NOISE * random.normal(size=len(topology.links))
        turn = 2 * np.pi * tick / TICKS_A_DAY
        for link, phase, more in zip(topology.links, phases, noise, strict=True):
            factor = max(0.2, 1.0 + _DEPTH * np.sin(turn + phase) + more)
            plane.slow_link(link.name, link.delay_seconds * factor)
        _cut(plane, topology, tick)
        clock.advance(TICK_SECONDS)
        told = {(name, found.number): found.last_forward_seconds for name in edges for found in plane.stamp(name)}
        rows.append([told.get((a, _number(edges, z))) for a, z in pairs])
    return np.array(rows, dtype=float)


def _cut(plane: MemoryPlane, topology: Topology, tick: int) -> None:
    """A link of its own each day, from noon on."""
    day, at = divmod(tick, TICKS_A_DAY)
    link = topology.links[day % len(topology.links)].name
    if at == TICKS_A_DAY // 2:
        plane.set_link(link, up=False)
    elif at == TICKS_A_DAY // 2 + _CUT_FOR:
        plane.set_link(link, up=True)


def _number(edges: list[str], target: str) -> int:
    return 1 + edges.index(target)


def _forwardings(topology: Topology, pairs: list[tuple[str, str]]) -> Mapping[str, RouterForwarding]:
    """Day 0, and a measurement from each edge to every other."""
    edges = list(dict.fromkeys(a for a, _ in pairs))
    plan, schema = address_plan(topology), load_schema(default_module_set())
    return {
        node.name: replace(
            read_forwarding(day0_configuration(topology, node, plan, schema)),
            stamp_sessions=tuple(StampSession(_number(edges, z), plan[z].loopback) for a, z in pairs if a == node.name),
        )
        for node in topology.nodes
    }
