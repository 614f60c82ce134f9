"""A network of router configurations that a test may change, for the data planes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

from lab.addressing import address_plan
from lab.day0 import day0_configuration
from lab.planes import CandidatePath, Interface, RouterForwarding, SegmentList, SrPolicy, StaticRoute, VpnInstance
from lab.router.forwarding import read_forwarding
from lab.router.schema import default_module_set, load_schema
from lab.topology import Topology
from lab.topology_file import load_topology

DEMO = Path(__file__).parents[2] / "config" / "lab" / "demo.yaml"


class Configurations:
    """What each router is configured with: day 0 at first."""

    def __init__(self, topology: Topology | None = None) -> None:
        self.topology = topology or load_topology(DEMO)
        self.plan = address_plan(self.topology)
        schema = load_schema(default_module_set())
        self.routers: dict[str, RouterForwarding] = {
            node.name: read_forwarding(day0_configuration(self.topology, node, self.plan, schema))
            for node in self.topology.nodes
        }

    def __call__(self, router: str) -> RouterForwarding:
        return self.routers[router]

    def add_site(
        self, router: str, site: int, *, vpn: str = "acme", color: int = 0, function: int = 1, port: str = "access0"
    ) -> None:
        """A VRF with the subnet 10.N.0.0/24 and the customer's network 192.168.N.0/24 behind it."""
        own = self.routers[router]
        name = f"{port}.{site}"
        interface = Interface(name, enabled=True, parent=port, addresses=(f"10.{site}.0.1/24",), announce_subnet=True)
        vrf = VpnInstance(
            vpn,
            segment=self.plan[router].locator.replace("::/48", f":{function:x}::"),
            imports=frozenset({vpn}),
            exports=frozenset({vpn}),
            interfaces=frozenset({name}),
            static_routes=(StaticRoute(f"192.168.{site}.0/24", f"10.{site}.0.2"),),
            color=color,
        )
        self.routers[router] = replace(
            own, interfaces={**own.interfaces, name: interface}, instances=(*own.instances, vrf)
        )

    def change(self, router: str, **fields: object) -> None:
        self.routers[router] = replace(self.routers[router], **fields)

    def change_interface(self, router: str, name: str, **fields: object) -> None:
        own = self.routers[router]
        changed = replace(own.interfaces[name], **fields)
        self.change(router, interfaces={**own.interfaces, name: changed})

    def adjacency(self, router: str, neighbour: str) -> str:
        """The segment that leaves `router` towards `neighbour`."""
        link = next(found for found in self.topology.links_of(router) if found.other_end(router).node == neighbour)
        port = link.end_at(router).port
        return next(sid for sid, found in self.routers[router].adjacency_segments.items() if found == port)

    def segments(self, *routers: str) -> tuple[str, ...]:
        """The adjacency segments from each router to the next."""
        return tuple(self.adjacency(a, b) for a, b in itertools.pairwise(routers))

    def policy(self, color: int, *ways: tuple[str, ...]) -> SrPolicy:
        """A policy to the last router of each way; the first way is preferred, the others stand by."""
        paths = tuple(
            CandidatePath(number, 200 - number, (SegmentList(self.segments(*way)),))
            for number, way in enumerate(ways, start=1)
        )
        return SrPolicy(color, self.plan[ways[0][-1]].loopback6, paths=paths)
