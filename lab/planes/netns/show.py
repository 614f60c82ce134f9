"""`make lab-netns`: routers forward real packets while a policy moves and a link fails; or why not on this machine.

Owns a scene of one VPN over the demo topology, told in lines. It needs no controller: routers are configured by hand.
"""

# ruff: noqa: T201 - it speaks to people

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from lab.addressing import address_plan
from lab.day0 import day0_configuration
from lab.planes import (
    Attachment,
    CandidatePath,
    FlowSpec,
    Interface,
    RouterForwarding,
    SegmentList,
    SrPolicy,
    VpnInstance,
)
from lab.planes.choose import namespaces_refused
from lab.planes.netns.plane import NetnsPlane
from lab.router.forwarding import read_forwarding
from lab.router.schema import default_module_set, load_schema
from lab.topology import Topology
from lab.topology_file import load_topology

_DEMO = Path(__file__).parents[3] / "config" / "lab" / "demo.yaml"
_HEAD, _TAIL, _PORT, _COLOR = "pe-london", "pe-paris", "access0", 7
_PATHS = (_HEAD, "p-brussels", _TAIL), (_HEAD, "p-lyon", _TAIL)
_PACKET_RATE = 1000.0
_MOVES = 20


class _Scene:
    """The routers' configurations: one VPN between two edges, steered by a policy with two paths."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._plan = address_plan(topology)
        schema = load_schema(default_module_set())
        self._of = {
            node.name: read_forwarding(day0_configuration(topology, node, self._plan, schema))
            for node in topology.nodes
        }
        for number, router in enumerate((_HEAD, _TAIL), start=1):
            own = self._of[router]
            port = Interface(_PORT, enabled=True, addresses=(f"192.168.{number}.1/24",), announce_subnet=True)
            segment = own.locators[0].replace("::/48", ":1::")
            targets = frozenset({"red"})
            vrf = VpnInstance(
                "red", segment=segment, imports=targets, exports=targets, interfaces=frozenset({_PORT}), color=_COLOR
            )
            self._of[router] = replace(own, interfaces={**own.interfaces, _PORT: port}, instances=(vrf,))
        self.prefer(0)

    def __call__(self, router: str) -> RouterForwarding:
        return self._of[router]

    def prefer(self, number: int) -> None:
        """Let the policy prefer one of its paths; the other is the backup."""
        paths = tuple(
            CandidatePath(position + 1, 200 if position == number else 100, (SegmentList(self._segments(path)),))
            for position, path in enumerate(_PATHS)
        )
        policy = SrPolicy(_COLOR, self._plan[_TAIL].loopback6, paths=paths)
        self._of[_HEAD] = replace(self._of[_HEAD], policies=(policy,))

    def _segments(self, path: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self._segment(here, there) for here, there in pairwise(path))

    def _segment(self, here: str, there: str) -> str:
        port = (
            next(link for link in self.topology.links_of(here) if link.other_end(here).node == there).end_at(here).port
        )
        return next(segment for segment, over in self._of[here].adjacency_segments.items() if over == port)


async def _show() -> None:
    scene = _Scene(load_topology(_DEMO))
    plane = NetnsPlane(scene.topology, scene, now=time.time)
    began = time.monotonic()
    await plane.start()
    try:
        print(f"{len(scene.topology.nodes)} routers forward ({plane.name}), built in {time.monotonic() - began:.1f} s")
        ends = Attachment(_HEAD, _PORT, ""), Attachment(_TAIL, _PORT, "")
        flow = await plane.start_flow(FlowSpec(*ends, packet_rate=_PACKET_RATE))
        for move in range(1, _MOVES + 1):
            scene.prefer(move % 2)
            plane.configuration_changed(_HEAD)
            await plane.settled()
            await asyncio.sleep(0.1)
        report = await plane.stop_flow(flow)
        print(
            f"{_MOVES} moves between two paths: {report.sent} packets sent, {report.lost} lost, "
            f"{report.reordered} reordered, one-way delay {1e3 * (report.delay_median_seconds or 0):.2f} ms"
        )
        flow = await plane.start_flow(FlowSpec(*ends, packet_rate=_PACKET_RATE))
        await asyncio.sleep(0.5)
        plane.set_link("pe-paris--p-brussels", up=False)
        await asyncio.sleep(1.0)
        report = await plane.stop_flow(flow)
        print(f"the far link of the path fails, the head end takes the other: {report.sent} sent, {report.lost} lost")
    finally:
        await plane.stop()


def main() -> None:
    """Show it, or say why it cannot be shown."""
    reason = namespaces_refused()
    if reason:
        print(f"no forwarding in namespaces here: {reason}. The memory plane needs nothing: `make demo`")
        return
    asyncio.run(_show())


if __name__ == "__main__":
    main()
