"""A network of routers as a data plane sees it, for tests: day 0, and VPNs between its edges."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from lab.addressing import address_plan
from lab.day0 import day0_configuration
from lab.planes import (
    CandidatePath,
    Interface,
    RouterForwarding,
    SegmentList,
    SrPolicy,
    StaticRoute,
    VpnInstance,
)
from lab.router.forwarding import read_forwarding
from lab.router.schema import default_module_set, load_schema
from lab.topology import Link, Node, PortRef, Role, Site, Topology
from lab.topology_file import load_topology

DEMO = Path(__file__).parents[2] / "config" / "lab" / "demo.yaml"


class Routers:
    """Configurations that a plane reads, and that a test changes."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.plan = address_plan(topology)
        schema = load_schema(default_module_set())
        self.of: dict[str, RouterForwarding] = {
            node.name: read_forwarding(day0_configuration(topology, node, self.plan, schema)) for node in topology.nodes
        }

    def __call__(self, router: str) -> RouterForwarding:
        return self.of[router]

    def add_site(
        self,
        router: str,
        vpn: str,
        number: int,
        interface: str,
        *addresses: str,
        lan: str = "",
        color: int = 0,
        **rates: int,
    ) -> None:
        """A VRF with one interface; VPN segments are the function `number`; the LAN lies behind the first customer."""
        own = self.of[router]
        segment = own.locators[0].replace("::/48", f":{number:x}::")
        statics = []
        for prefix in filter(None, lan.split()):
            family = next(a for a in addresses if (":" in a) == (":" in prefix))
            base, _, _ = family.partition("/")
            next_hop = base[:-1] + "2"
            statics.append(StaticRoute(prefix, next_hop))
        vrf = VpnInstance(
            name=vpn,
            segment=segment,
            imports=frozenset({vpn}),
            exports=frozenset({vpn}),
            interfaces=frozenset({interface}),
            static_routes=tuple(statics),
            color=color,
        )
        port = Interface(interface, enabled=True, addresses=addresses, announce_subnet=True, **rates)
        self.of[router] = replace(own, interfaces={**own.interfaces, interface: port}, instances=(*own.instances, vrf))

    def sid(self, router: str, port: str) -> str:
        """The adjacency segment of a port."""
        return next(s for s, p in self.of[router].adjacency_segments.items() if p == port)

    def along(self, *hops: str) -> tuple[str, ...]:
        """The adjacency segments from router to router."""
        found = []
        for here, there in pairwise(hops):
            link = next(x for x in self.topology.links_of(here) if x.other_end(here).node == there)
            found.append(self.sid(here, link.end_at(here).port))
        return tuple(found)

    def set_policy(self, color: int, *paths: tuple[str, ...]) -> None:
        """A policy from the first to the last router of the paths; the first path is the preferred one."""
        head, tail = paths[0][0], paths[0][-1]
        endpoint = self.plan[tail].loopback6
        candidates = tuple(
            CandidatePath(number, 200 - number, (SegmentList(self.along(*path)),))
            for number, path in enumerate(paths, 1)
        )
        own = self.of[head]
        others = tuple(p for p in own.policies if (p.color, p.endpoint) != (color, endpoint))
        self.of[head] = replace(own, policies=(*others, SrPolicy(color, endpoint, "test", candidates)))


def demo() -> Routers:
    """The demo network."""
    return Routers(load_topology(DEMO))


def chain(*links: dict[str, object]) -> Routers:
    """Routers r0, r1, ... in a row; each link is what it does to packets, and nothing by default."""
    site = Site("Bonn", "DE", 50.7, 7.1, "BN1")
    last = len(links)
    nodes = tuple(
        Node(f"r{number}", Role.PE, site, ("core0", "core1")[: 1 if number in {0, last} else 2], ("access0",))
        for number in range(last + 1)
    )
    wires = tuple(
        Link(
            f"wire{number}",
            PortRef(f"r{number}", nodes[number].core_ports[-1]),
            PortRef(f"r{number + 1}", "core0"),
            **{"capacity_bit_rate": 10**10, "delay_seconds": 0.0, **kind},
        )
        for number, kind in enumerate(links)
    )
    routers = Routers(Topology("chain", nodes, wires))
    for router, site_number in (("r0", 1), (f"r{last}", 2)):
        routers.add_site(router, "red", 1, "access0", f"192.168.{site_number}.1/24")
    return routers
