"""Owns the words of ACTN (RFC 8453) that we speak: roles, abstraction levels, virtual networks and their members.

Towards a customer (CMI) accord is the multi-domain coordinator: it shows topologies (RFC 8795), TE tunnels (ietf-te)
and virtual networks (ietf-vn). Towards a domain (MPI) it stands above our routers and the optical controller.
The payloads are RFC 7951 JSON; `actn_topology`, `actn_te` and `actn_vn` write them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import frexp
from typing import Any
from urllib.parse import quote

from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.te_database import TeDatabase

Json = Any
_MANTISSA_BITS = 23
_OCTET = 8


class Role(StrEnum):
    """Who is who (RFC 8453 section 3)."""

    CUSTOMER = "customer network controller"
    COORDINATOR = "multi-domain service coordinator"
    PROVISIONING = "provisioning network controller"


class Abstraction(StrEnum):
    """How much of a domain its customer sees (RFC 8453 section 5.2)."""

    WHITE = "white"
    """Everything: each node, link and attribute."""
    GREY = "grey"
    """The nodes that customers are attached to, and an abstract link where there is a way between two of them."""
    BLACK = "black"
    """One node with the ports that customers are attached to."""


@dataclass(frozen=True, slots=True)
class DomainView:
    """A domain as its owner sees it. `access_ports` are those that customers are attached to, by node."""

    name: str
    database: TeDatabase
    access_ports: Mapping[DeviceName, tuple[str, ...]]

    @property
    def borders(self) -> tuple[DeviceName, ...]:
        """The nodes with access ports, by name."""
        return tuple(sorted(name for name, ports in self.access_ports.items() if ports and name in self._nodes))

    @property
    def _nodes(self) -> Iterable[DeviceName]:
        return self.database.network.nodes


def uri(name: str) -> str:
    """An identifier of RFC 8345, which is a URI, for a network, node, port or link of that name."""
    return f"urn:accord:{quote(name, safe=':')}"


def te_bandwidth(rate: BitRate) -> Json:
    """A rate as RFC 8776 writes it for packets: octets per second as an IEEE float32 in hexadecimal (RFC 8294)."""
    octets = rate.bits_per_second / _OCTET
    if octets < 1:
        return {"generic": "0x0p0"}
    fraction, exponent = frexp(octets)
    mantissa, exponent = round((2 * fraction - 1) * 2**_MANTISSA_BITS), exponent - 1
    if mantissa >> _MANTISSA_BITS:
        mantissa, exponent = 0, exponent + 1
    digits = f"{mantissa << 1:06x}".rstrip("0")
    return {"generic": f"0x1{'.' if digits else ''}{digits}p+{exponent}"}


def te_node_ids(view: DomainView) -> Mapping[DeviceName, str]:
    """A dotted quad for each node: its router identifier, or a number of its own (0.0.x.y) where it has none."""
    network = view.database.network
    return {
        name: network.nodes[name].router_id or f"0.0.{number >> 8 & 255}.{number & 255}"
        for number, name in enumerate(network.arcs.nodes, start=1)
    }
