"""Owns the lab's network for a scenario: a router at each place, a fibre for each wire, an optical domain beside.

Routers are called as the places are; a consumer's spur leads to a router of its own. The deterministic tier is the
domain: its fibres are that tier's wires, and a link of light joins routers when a tunnel through the domain does. The
consumer has such links between its own places, others have one along each fibre, so that what they take of it can be
set fibre by fibre.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from controller.negotiation.catalogue import Tier
from controller.scenarios.surroundings import Spur, Wire, Wires
from lab.optical.allocation import least_delay_seconds
from lab.optical.domain import Client, ClientPort, OpticalDomain, OpticalLink, OpticalNode
from lab.topology import Link, Node, PortRef, Role, Site, Topology

DOMAIN = "light"
SLOT_BIT_RATE = 10_000_000
CUSTOMER_ENDS = ("london", "frankfurt")
_CUSTOMER_LIGHTS = 2
_ACCESS_PORTS = 2
_ACCESS_BIT_RATE = 400 * 10**9
_SETUP_SECONDS = 0.2
_SITES = {
    "london": ("GB", 51.507, -0.128),
    "paris": ("FR", 48.857, 2.352),
    "amsterdam": ("NL", 52.373, 4.892),
    "frankfurt": ("DE", 50.110, 8.682),
    "docklands": ("GB", 51.505, -0.020),
}


@dataclass(slots=True)
class _Draft:
    """Ports and links so far."""

    ports: dict[str, list[str]]
    clients: dict[str, list[ClientPort]]
    links: list[Link] = field(default_factory=list)

    def wire(self, name: str, wire: Wire) -> None:
        a, z, milliseconds, gigabits = wire
        begin, end = (self._port(place, f"p{len(self.ports[place])}") for place in (a, z))
        self.links.append(Link(name, begin, end, round(gigabits * 1e9), milliseconds / 1000))

    def light(self, name: str, a: str, z: str, gigabits: float) -> None:
        """Ports at both ends, attached to the domain; the link has its delay from there."""
        begin, end = (self._attached(place, gigabits) for place in (a, z))
        self.links.append(Link(name, begin, end, round(gigabits * 1e9), 0.0, over=DOMAIN))

    def _attached(self, place: str, gigabits: float) -> PortRef:
        number, slots = len(self.clients[place]), round(gigabits * 1e9) // SLOT_BIT_RATE
        port = self._port(place, f"l{number}")
        self.clients[place].append(ClientPort(f"client{number}", place, port.port, slots))
        return port

    def _port(self, place: str, port: str) -> PortRef:
        self.ports[place].append(port)
        return PortRef(place, port)


def topology_of(wires: Wires, spur: Spur | None = None) -> Topology:
    """Routers, fibres, the spur and the domain; `InvalidInputError` comes from the lab for what cannot be."""
    own = () if spur is None else (spur,)
    places = dict.fromkeys(place for tier in (*wires.values(), own) for wire in tier for place in wire[:2])
    draft = _Draft({place: [] for place in places}, {place: [] for place in places})
    for wire in (*wires[Tier.IP], *own):
        draft.wire(f"{wire[0]}--{wire[1]}", wire)
    optical = wires.get(Tier.OPTICAL, ())
    for a, z, _, gigabits in optical:
        draft.light(others_light(a, z), a, z, gigabits)
    for number in range(_CUSTOMER_LIGHTS if optical else 0):
        draft.light(f"light-{number}", *CUSTOMER_ENDS, min(wire[3] for wire in optical))
    domain = _domain(draft, optical) if optical else None
    return Topology("stage", tuple(_node(place, draft) for place in places), _lit(draft, domain), optical=domain)


def customer_ends(spur: Spur | None) -> tuple[str, str]:
    """The consumer's places: the first is behind its spur where it has one."""
    return CUSTOMER_ENDS if spur is None else (spur[0], CUSTOMER_ENDS[1])


def others_light(a: str, z: str) -> str:
    """The name of others' link along a fibre, and of their tunnel under it."""
    return f"others-{a}-{z}"


def _node(place: str, draft: _Draft) -> Node:
    country, latitude, longitude = _SITES[place]
    site = Site(place.title(), country, latitude, longitude, place[:3].upper())
    access = tuple(f"access{number}" for number in range(_ACCESS_PORTS))
    return Node(place, Role.PE, site, tuple(draft.ports[place]), access, _ACCESS_BIT_RATE)


def _domain(draft: _Draft, wires: Sequence[Wire]) -> OpticalDomain:
    return OpticalDomain(
        DOMAIN,
        tuple(OpticalNode(place, tuple(ports)) for place, ports in draft.clients.items()),
        tuple(
            OpticalLink(f"{a}--{z} light", a, z, round(gigabits * 1e9) // SLOT_BIT_RATE, milliseconds / 1000)
            for a, z, milliseconds, gigabits in wires
        ),
        SLOT_BIT_RATE,
        _SETUP_SECONDS,
    )


def _lit(draft: _Draft, domain: OpticalDomain | None) -> tuple[Link, ...]:
    """The links; those of light take as long as the domain's quickest way."""
    return tuple(link if not link.over or domain is None else _delayed(link, domain) for link in draft.links)


def _delayed(link: Link, domain: OpticalDomain) -> Link:
    a, z = (domain.client_of(end.node, end.port) or Client("", "") for end in (link.a, link.b))
    return replace(link, delay_seconds=least_delay_seconds(domain, a, z) or 0.0)
