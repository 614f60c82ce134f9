"""Who is connected to whom: ports, their kernel names and addresses, links and what they do to packets.

Owns the plan of a topology in a kernel's terms. Ports are numbered through the whole topology; a number gives the
port's MAC address and an address that only the lab uses, so that forwarding does not depend on what is configured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address

from lab.planes.netns.kernel_queues import Impairment
from lab.topology import Topology

_WIRE_ADDRESSES = int(IPv6Address("fdff::"))
CORE_MTU = 9000
UPLINK_MTU = CORE_MTU
FASTEST_WIRE_BIT_RATE = 10**9
"""Links that are faster are not slowed down: no packet source in a lab fills them."""


@dataclass(frozen=True, slots=True)
class Port:
    """A core port: its number, its device, and the number at the far end."""

    name: str
    device: str
    number: int
    far_number: int


@dataclass(frozen=True, slots=True)
class WireEnd:
    """Where a wire is plugged in: a port of the router whose agent is that process."""

    process: int
    port: Port


@dataclass(frozen=True, slots=True)
class Wire:
    """A link of the topology as a pair of ends."""

    name: str
    a: WireEnd
    b: WireEnd
    impairment: Impairment


def mac_of(number: int) -> str:
    """The MAC address of a port, locally administered."""
    return "02:ac:" + ":".join(f"{octet:02x}" for octet in number.to_bytes(4, "big"))


def wire_address(number: int) -> str:
    """The address of a port that the lab itself uses."""
    return str(IPv6Address(_WIRE_ADDRESSES + number))


def plan_ports(topology: Topology) -> dict[str, dict[str, Port]]:
    """The core ports that have a link, by router and name."""
    ports: dict[str, dict[str, Port]] = {node.name: {} for node in topology.nodes}
    for position, link in enumerate(topology.links):
        a, b = 2 * position + 1, 2 * position + 2
        for end, own, far in ((link.a, a, b), (link.b, b, a)):
            device = f"core{topology.node(end.node).core_ports.index(end.port)}"
            ports[end.node][end.port] = Port(end.port, device, own, far)
    return ports


def plan_wires(
    topology: Topology, ports: Mapping[str, Mapping[str, Port]], processes: Mapping[str, int]
) -> tuple[Wire, ...]:
    """A wire for each link, between the agents of its routers."""
    return tuple(
        Wire(
            name=link.name,
            a=WireEnd(processes[link.a.node], ports[link.a.node][link.a.port]),
            b=WireEnd(processes[link.b.node], ports[link.b.node][link.b.port]),
            impairment=Impairment(
                delay_seconds=link.delay_seconds,
                jitter_seconds=link.jitter_seconds,
                loss_ratio=link.loss_ratio,
                bit_rate=link.capacity_bit_rate if link.capacity_bit_rate <= FASTEST_WIRE_BIT_RATE else 0,
                buffer_seconds=link.buffer_seconds,
            ),
        )
        for link in topology.links
    )
