"""Owns an optical domain as its controller shows it (yang/accord-otn.yang): nodes, client ports, links, tunnels.

What comes over the MPI of RFC 8453, in plain data; and the same domain as a network of RFC 8345, for paths across it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from controller.datastore.codec_xml import parse
from controller.model.errors import NotFoundError, ProtocolViolationError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.network import Link, Network, Node, TerminationPoint
from controller.topology.te_database import Reservation, TeDatabase

STATE_RESOURCE = "accord-otn:domain"
"""What to read of the domain controller over RESTCONF; `read_domain` takes the answer."""
UP = "up"
_OTN = "{urn:accord:otn}"
_MICROSECONDS = 10**6
_MILLISECONDS = 10**3


@dataclass(frozen=True, slots=True)
class ClientPort:
    """A port of the domain, `node:name`, and the router's port attached to it."""

    node: str
    name: str
    slots: int
    attached: TerminationPoint

    def __str__(self) -> str:
        return f"{self.node}:{self.name}"


@dataclass(frozen=True, slots=True)
class OpticalLink:
    """A fibre; slots are taken in both directions at once."""

    name: str
    a: str
    b: str
    slots: int
    free_slots: int
    delay_seconds: float
    srlgs: frozenset[int] = frozenset()
    is_up: bool = True


@dataclass(frozen=True, slots=True)
class OpticalTunnel:
    """A tunnel of the domain: what was asked for, and where it stands. `source` and `target` are `node:port`."""

    name: str
    source: str
    target: str
    slots: int
    status: str
    delay_seconds: float
    route: tuple[str, ...] = ()
    delay_bound_seconds: float | None = None
    reason: str = ""

    @property
    def is_up(self) -> bool:
        """Whether it carries."""
        return self.status == UP


@dataclass(frozen=True, slots=True)
class OpticalDomain:
    """All of it. `device` is the domain controller in the inventory."""

    device: DeviceName
    slot: BitRate
    setup_seconds: float
    nodes: tuple[str, ...]
    client_ports: tuple[ClientPort, ...]
    links: tuple[OpticalLink, ...]
    tunnels: tuple[OpticalTunnel, ...] = ()

    def client_port(self, name: str) -> ClientPort:
        """The client port `node:name`; `NotFoundError` names it when there is none."""
        for port in self.client_ports:
            if str(port) == name:
                return port
        raise NotFoundError(f"'{self.device}' has no client port '{name}'", remedy=f"it has {self._named_ports()}")

    def attached_to(self, point: TerminationPoint) -> ClientPort | None:
        """The client port that a router's port is attached to."""
        return next((port for port in self.client_ports if port.attached == point), None)

    def tunnel(self, name: str) -> OpticalTunnel | None:
        """The tunnel of that name."""
        return next((tunnel for tunnel in self.tunnels if tunnel.name == name), None)

    @property
    def taken_ports(self) -> frozenset[str]:
        """Client ports that have a tunnel."""
        return frozenset(end for tunnel in self.tunnels for end in (tunnel.source, tunnel.target))

    def _named_ports(self) -> str:
        return ", ".join(map(str, self.client_ports)) or "none"


def read_domain(device: DeviceName, body: bytes) -> OpticalDomain:
    """The domain in an XML answer to `STATE_RESOURCE`; `ProtocolViolationError` when it is not one."""
    root = next(parse(body).iter(f"{_OTN}domain"), None)
    if root is None:
        raise ProtocolViolationError("the answer holds no optical domain", device=device)
    nodes = root.findall(f"{_OTN}node")
    try:
        return OpticalDomain(
            device=device,
            slot=BitRate(_number(root, "slot-bandwidth")),
            setup_seconds=_number(root, "setup-time") / _MILLISECONDS,
            nodes=tuple(_text(node, "name") for node in nodes),
            client_ports=tuple(port for node in nodes for port in _client_ports(node)),
            links=tuple(_link(link) for link in root.findall(f"{_OTN}link")),
            tunnels=tuple(_tunnel(tunnel) for tunnel in root.findall(f"{_OTN}tunnel")),
        )
    except ValueError as error:
        raise ProtocolViolationError(f"the optical domain holds what is no number: {error}", device=device) from error


def as_te_database(domain: OpticalDomain) -> TeDatabase:
    """The domain as a network in both directions, with what its tunnels have taken; a port is called as its fibre."""
    nodes = (Node(DeviceName(name), role="optical") for name in domain.nodes)
    links = {fibre.name: tuple(_directions(domain, fibre)) for fibre in domain.links}
    taken = {
        tunnel.name: Reservation(
            tuple(link.id for name in tunnel.route for link in links[name]),
            BitRate(tunnel.slots * domain.slot.bits_per_second),
        )
        for tunnel in domain.tunnels
    }
    return TeDatabase(Network.of(nodes, (link for pair in links.values() for link in pair)), taken)


def _directions(domain: OpticalDomain, fibre: OpticalLink) -> Iterator[Link]:
    ends = tuple(TerminationPoint(DeviceName(node), fibre.name) for node in (fibre.a, fibre.b))
    for source, target in (ends, ends[::-1]):
        yield Link(
            source=source,
            target=target,
            capacity=BitRate(fibre.slots * domain.slot.bits_per_second),
            delay_seconds=fibre.delay_seconds,
            srlgs=fibre.srlgs,
            is_up=fibre.is_up,
        )


def _client_ports(node: etree._Element) -> Iterator[ClientPort]:
    for port in node.findall(f"{_OTN}client-port"):
        attached = TerminationPoint(DeviceName(_text(port, "client-node")), _text(port, "client-node-port"))
        yield ClientPort(_text(node, "name"), _text(port, "name"), _number(port, "slots"), attached)


def _link(link: etree._Element) -> OpticalLink:
    return OpticalLink(
        name=_text(link, "name"),
        a=_text(link, "a-node"),
        b=_text(link, "b-node"),
        slots=_number(link, "slots"),
        free_slots=_number(link, "free-slots"),
        delay_seconds=_number(link, "delay") / _MICROSECONDS,
        srlgs=frozenset(int(group.text or "0") for group in link.findall(f"{_OTN}srlg")),
        is_up=_text(link, "oper-status") != "down",
    )


def _tunnel(tunnel: etree._Element) -> OpticalTunnel:
    bound = _number(tunnel, "delay-bound") / _MICROSECONDS
    return OpticalTunnel(
        name=_text(tunnel, "name"),
        source=f"{_text(tunnel, 'source/{urn:accord:otn}node')}:{_text(tunnel, 'source/{urn:accord:otn}port')}",
        target=f"{_text(tunnel, 'target/{urn:accord:otn}node')}:{_text(tunnel, 'target/{urn:accord:otn}port')}",
        slots=_number(tunnel, "slots"),
        status=_text(tunnel, "status") or "planned",
        delay_seconds=_number(tunnel, "delay") / _MICROSECONDS,
        route=tuple(link.text or "" for link in tunnel.findall(f"{_OTN}route")),
        delay_bound_seconds=bound or None,
        reason=_text(tunnel, "reason"),
    )


def _text(element: etree._Element, name: str) -> str:
    return (element.findtext(f"{_OTN}{name}") or "").strip()


def _number(element: etree._Element, name: str) -> int:
    return int(_text(element, name) or 0)
