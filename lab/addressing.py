"""The lab's addressing plan: loopbacks, link subnets, locators and the autonomous system, by position in the topology.

Owns the numbers; day 0 and the inventory read them. Loopbacks are 10.255.0.0/16 and fc00:0:N::1, core links /31 of
10.128.0.0/10 (RFC 3021) and /127 of fd00:1::/32 (RFC 6164), SRv6 locators fc00:0:N::/48 (RFC 8986 section 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from lab.topology import Role, Topology

AUTONOMOUS_SYSTEM = 65000
LOOPBACK = "lo0"
_MESH_LIMIT = 8
_LOOPBACKS = int(IPv4Address("10.255.0.0"))
_LINKS = int(IPv4Address("10.128.0.0"))
_LINKS6 = int(IPv6Address("fd00:1::"))
_LOCATORS = int(IPv6Address("fc00::"))


@dataclass(frozen=True, slots=True)
class RouterAddresses:
    """What one router is called in the network. `ports` holds an IPv4 and an IPv6 address with length by core port."""

    loopback: str
    loopback6: str
    locator: str
    ports: dict[str, tuple[str, str]]
    peers: dict[str, str]
    """Name of each router it has a VPN session with, and that router's IPv4 loopback."""
    reflector: bool


def address_plan(topology: Topology) -> dict[str, RouterAddresses]:
    """The addresses of every router, the same for the same topology."""
    numbers = {node.name: number for number, node in enumerate(topology.nodes, start=1)}
    ports: dict[str, dict[str, tuple[str, str]]] = {node.name: {} for node in topology.nodes}
    for number, link in enumerate(topology.links):
        for side, end in enumerate((link.a, link.b)):
            ports[end.node][end.port] = (
                f"{IPv4Address(_LINKS + 2 * number + side)}/31",
                f"{IPv6Address(_LINKS6 + (number << 16) + side)}/127",
            )
    reflectors = route_reflectors(topology)
    sessions = _sessions(topology, reflectors)
    return {
        name: RouterAddresses(
            loopback=_loopback(number),
            loopback6=str(IPv6Address(_locator(number) + 1)),
            locator=f"{IPv6Address(_locator(number))}/48",
            ports=ports[name],
            peers={peer: _loopback(numbers[peer]) for peer in sessions[name]},
            reflector=name in reflectors,
        )
        for name, number in numbers.items()
    }


def route_reflectors(topology: Topology) -> tuple[str, ...]:
    """None for a small network, which is a full mesh; else the two best connected routers, core routers first."""
    if len(topology.edge_nodes()) <= _MESH_LIMIT:
        return ()
    ranked = sorted(
        topology.nodes, key=lambda node: (node.role is not Role.P, -len(topology.links_of(node.name)), node.name)
    )
    return tuple(node.name for node in ranked[:2])


def _sessions(topology: Topology, reflectors: tuple[str, ...]) -> dict[str, list[str]]:
    edges = [node.name for node in topology.edge_nodes()]
    speakers = [*edges, *(name for name in reflectors if name not in edges)]
    hubs = set(reflectors or edges)
    return {
        node.name: [peer for peer in speakers if peer != node.name and (peer in hubs or node.name in hubs)]
        if node.name in speakers
        else []
        for node in topology.nodes
    }


def _loopback(number: int) -> str:
    return str(IPv4Address(_LOOPBACKS + number))


def _locator(number: int) -> int:
    return _LOCATORS + (number << 80)
