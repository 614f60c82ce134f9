"""Owns what a service is carved into: the offers between its two sites, and what stands behind each segment.

An access segment is a placed site-network-access (RFC 8299), an IP segment a path of the TE database, an optical
segment a link that a domain can bring up, or has up with room left. `optical_carving` chooses among the offers.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_

from controller.mapping.optical import OpticalSegment, best_route, candidate_links, slots_for
from controller.mapping.optical_carving import Carving, Portion, Requirement, SegmentKind, SegmentOffer, carve
from controller.mapping.optical_domain import OpticalDomain, OpticalTunnel, as_te_database
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.constraints import Objective, PathRequest
from controller.topology.network import Link, LinkId, Path
from controller.topology.paths import NoPathError, shortest_path
from controller.topology.te_database import TeDatabase


@dataclass(frozen=True, slots=True)
class Attachment:
    """Where a site is attached to a router, and what it may carry there."""

    site: str
    access: str
    device: DeviceName
    port: str
    vlan: int
    inward: BitRate
    """From the customer into the network."""
    outward: BitRate


def site_point(site: str) -> str:
    """What a site is called among the points of a carving: no router is called so."""
    return f"site {site}"


@dataclass(frozen=True, slots=True)
class Resource:
    """What stands behind an offer. `links` lead from its source to its target; an access has an `interface` instead."""

    interface: str = ""
    links: tuple[Link, ...] = ()
    domain: DeviceName | None = None
    """Of an optical segment."""
    tunnel: str = ""
    """The optical tunnel that has the link up already."""
    slots: int = 0
    free_slots: int = 0
    route: tuple[str, ...] = ()
    """The fibres of an optical segment."""


Offer = tuple[SegmentOffer, Resource]


@dataclass(frozen=True, slots=True)
class Segment:
    """A portion of the carving and its resource, in the direction of the service."""

    portion: Portion
    source: str
    target: str
    resource: Resource

    @property
    def is_to_be_lit(self) -> bool:
        """Whether an optical tunnel has to be provisioned for it."""
        return self.portion.offer.kind is SegmentKind.OPTICAL and not self.resource.tunnel


@dataclass(frozen=True, slots=True)
class ServiceCarving:
    """A service between two of its sites, as the segments that carry it."""

    requirement: Requirement
    carving: Carving
    segments: tuple[Segment, ...]

    @property
    def ends(self) -> tuple[DeviceName, DeviceName]:
        """The routers between which it crosses the network."""
        return DeviceName(self.segments[0].target), DeviceName(self.segments[-1].source)

    @property
    def links(self) -> tuple[LinkId, ...]:
        """The way across the network."""
        return tuple(link.id for segment in self.segments for link in segment.resource.links)

    @property
    def lit(self) -> tuple[Link, ...]:
        """Links that optical tunnels are to bring up for it."""
        return tuple(link for segment in self.segments if segment.is_to_be_lit for link in segment.resource.links)

    @property
    def affinity(self) -> int:
        """Administrative groups that all its links have: whoever replaces a path keeps to links like these."""
        groups = [link.admin_group for segment in self.segments for link in segment.resource.links]
        return reduce(and_, groups) if groups else 0


def carve_service(
    requirement: Requirement,
    attachments: Collection[Attachment],
    database: TeDatabase,
    domains: Collection[OpticalDomain],
) -> ServiceCarving:
    """The segments for a service between two sites; `CarvingError` names those that stand in the way."""
    offers: dict[SegmentOffer, Resource] = {}
    for at in attachments:
        offers.update([_access_offer(requirement, at)])
    for domain in domains:
        offers.update(optical_offers(domain, database, requirement.bandwidth))
    over = frozenset(link for domain in domains for link in optical_links(domain, database.network.links.values()))
    for source, target in _pairs(attachments, offers, database):
        try:
            offers.update([packet_offer(database, source, target, over, requirement.bandwidth)])
        except NoPathError:
            continue
    carving = carve(requirement, offers)
    return ServiceCarving(requirement, carving, tuple(_segments(requirement, carving, offers, database)))


def packet_offer(
    database: TeDatabase,
    source: DeviceName,
    target: DeviceName,
    over: Collection[LinkId] = (),
    bandwidth: BitRate = BitRate(0),  # noqa: B008 - frozen
) -> Offer:
    """What the packet network offers between two routers: its path of least delay, not `over` the optical links.

    Where no path has room for the bandwidth, the one of least delay is offered with the room it has.
    """
    links = database.network.links
    nameless = (link.id for link in links.values() if not link.segment or link.reverse_id not in links)
    avoided = frozenset(nameless) | frozenset(over)
    request = PathRequest(source, target, bandwidth, objective=Objective.DELAY, avoid_links=avoided)
    try:
        path = shortest_path(database, request)
    except NoPathError:
        path = shortest_path(database, replace(request, bandwidth=BitRate(0)))
    available = min(database.residual(link) for link in _both(path.links))
    delay_seconds = database.path_delay_seconds(path)
    offer = SegmentOffer(f"ip {source} {target}", SegmentKind.IP, source, target, available, delay_seconds)
    return offer, Resource(links=path.links)


def optical_offers(domain: OpticalDomain, database: TeDatabase, bandwidth: BitRate) -> Iterator[Offer]:
    """What an optical domain offers: each link that it can bring up, and what is left of each that it has up.

    Where no route has the slots for the bandwidth, the one of least delay is offered with the slots it has.
    """
    network = database.network
    for source in sorted({port.attached.node for port in domain.client_ports} & network.nodes.keys()):
        for target in sorted({link.target.node for link in network.out_of(source) if source < link.target.node}):
            for link in candidate_links(domain, network, source, target):
                yield from _dark(domain, link, bandwidth)
    for tunnel in domain.tunnels:
        yield from _lit(domain, database, tunnel)


def optical_links(domain: OpticalDomain, links: Iterable[Link]) -> frozenset[LinkId]:
    """The links that the domain's tunnels bring up."""
    attached = {port.attached for port in domain.client_ports}
    return frozenset(link.id for link in links if attached.issuperset((link.source, link.target)))


def _access_offer(requirement: Requirement, at: Attachment) -> Offer:
    point = site_point(at.site)
    available = at.inward if point == requirement.source else at.outward
    offer = SegmentOffer(f"access {at.site}/{at.access}", SegmentKind.ACCESS, point, at.device, available, 0.0)
    return offer, Resource(f"{at.device}:{at.port}.{at.vlan}")


def _dark(domain: OpticalDomain, link: Link, bandwidth: BitRate) -> Iterator[Offer]:
    ends = [domain.attached_to(end) for end in (link.source, link.target)]
    slots = slots_for(bandwidth, domain.slot)
    path = _route(domain, str(ends[0]), str(ends[1]), slots) or _route(domain, str(ends[0]), str(ends[1]), 1)
    if path is None or not link.segment:
        return
    fibres = as_te_database(domain)
    rates = [fibres.residual(fibre).bits_per_second for fibre in path.link_ids]
    rates += [end.slots * domain.slot.bits_per_second for end in ends if end is not None]
    available = BitRate(min(link.capacity.bits_per_second, *rates))
    route = tuple(fibre.source.name for fibre in path.links)
    yield (
        SegmentOffer(str(link.id), SegmentKind.OPTICAL, *_nodes(link), available, path.delay_seconds),
        _optical_resource(domain, link, slots, available, route),
    )


def _lit(domain: OpticalDomain, database: TeDatabase, tunnel: OpticalTunnel) -> Iterator[Offer]:
    attached = {str(port): port.attached for port in domain.client_ports}
    name = LinkId(f"{attached.get(tunnel.source)}>{attached.get(tunnel.target)}")
    link = database.network.links.get(name)
    if link is None or not (tunnel.is_up and database.is_up(link.id) and link.segment):
        return
    taken = max(database.reserved(each).bits_per_second for each in _both((link,)))
    available = BitRate(max(0, tunnel.slots * domain.slot.bits_per_second - taken))
    yield (
        SegmentOffer(f"{link.id} ({tunnel.name})", SegmentKind.OPTICAL, *_nodes(link), available, tunnel.delay_seconds),
        replace(_optical_resource(domain, link, tunnel.slots, available, tunnel.route), tunnel=tunnel.name),
    )


def _optical_resource(
    domain: OpticalDomain, link: Link, slots: int, available: BitRate, route: tuple[str, ...]
) -> Resource:
    free_slots = available.bits_per_second // domain.slot.bits_per_second
    return Resource(links=(link,), domain=domain.device, slots=slots, free_slots=free_slots, route=route)


def _route(domain: OpticalDomain, source: str, target: str, slots: int) -> Path | None:
    try:
        return best_route(domain, OpticalSegment("", domain.device, source, target, slots))
    except NoPathError:
        return None


def _nodes(link: Link) -> tuple[DeviceName, DeviceName]:
    return link.source.node, link.target.node


def _both(links: Iterable[Link]) -> list[LinkId]:
    """These links in both directions: a segment carries both ways."""
    return [each for link in links for each in (link.id, link.reverse_id)]


def _pairs(
    attachments: Iterable[Attachment], offers: Iterable[SegmentOffer], database: TeDatabase
) -> Iterator[tuple[DeviceName, DeviceName]]:
    """Routers between which a packet segment may be of use: those of the accesses, and those of optical segments."""
    optical = [offer for offer in offers if offer.kind is SegmentKind.OPTICAL]
    found = {at.device for at in attachments}
    found |= {DeviceName(end) for offer in optical for end in (offer.source, offer.target)}
    known = sorted(found & database.network.nodes.keys())
    return ((source, target) for source in known for target in known if source < target)


def _segments(
    requirement: Requirement, carving: Carving, offers: Mapping[SegmentOffer, Resource], database: TeDatabase
) -> Iterator[Segment]:
    point = requirement.source
    for portion in carving.portions:
        offer, resource, following = portion.offer, offers[portion.offer], portion.offer.target
        if offer.source != point:
            links = tuple(database.network.link(link.reverse_id) for link in reversed(resource.links))
            resource, following = replace(resource, links=links, route=resource.route[::-1]), offer.source
        yield Segment(portion, point, following, resource)
        point = following
