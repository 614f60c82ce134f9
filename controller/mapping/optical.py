"""Owns optical segments: what is asked of an optical domain, and the lines that ask for it (yang/accord-otn.yang).

A segment is a tunnel between two client ports with slots for its bandwidth; when it is up, the routers attached to the
two ports have a link. Its lines belong to `optical/NAME`: it comes before and leaves after the packet tunnel over it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from controller.mapping.optical_domain import ClientPort, OpticalDomain, OpticalTunnel, as_te_database
from controller.model.errors import ConflictError, InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName, Owner
from controller.model.units import BitRate
from controller.model.yang_path import Path, Step
from controller.topology.constraints import Objective, PathRequest
from controller.topology.network import Link, Network, TerminationPoint
from controller.topology.network import Path as NetworkPath
from controller.topology.paths import shortest_path

_MODULE = "accord-otn"
_MICROSECONDS = 10**6


@dataclass(frozen=True, slots=True)
class OpticalSegment:
    """A tunnel to have in the domain; `source` and `target` are client ports `node:port`."""

    name: str
    domain: DeviceName
    source: str
    target: str
    slots: int
    delay_bound_seconds: float | None = None
    is_enabled: bool = True

    @property
    def owner(self) -> Owner:
        """Who wants its lines."""
        return segment_owner(self.name)


def segment_owner(name: str) -> Owner:
    """Who wants the lines of a segment."""
    return Owner(f"optical/{name}")


def slots_for(bandwidth: BitRate, slot: BitRate) -> int:
    """The slots that hold a bandwidth, at least one; `InvalidInputError` for a bandwidth below nothing."""
    if bandwidth.bits_per_second < 0 or slot.bits_per_second <= 0:
        raise InvalidInputError(f"{bandwidth} cannot be carried in slots of {slot}", remedy="ask for more than nothing")
    return max(1, -(-bandwidth.bits_per_second // slot.bits_per_second))


def segment_over(
    domain: OpticalDomain, name: str, link: Link, bandwidth: BitRate, delay_bound_seconds: float | None = None
) -> OpticalSegment:
    """The segment that brings up `link`, a link between two routers' ports that are attached to the domain.

    Refused with the name of the port that is not attached (`NotFoundError`) or has another tunnel (`ConflictError`), of
    the fibre that is full, or as paths are refused (`NoPathError`). A tunnel of this name is resized on its route.
    """
    source, target = (_client_port(domain, end) for end in (link.source, link.target))
    slots = slots_for(bandwidth, domain.slot)
    for port in (source, target):
        _check_port(domain, port, name, slots)
    segment = OpticalSegment(name, domain.device, str(source), str(target), slots, delay_bound_seconds)
    standing = domain.tunnel(name)
    if standing is not None and (standing.source, standing.target) == (segment.source, segment.target):
        _check_resize(domain, standing, segment)
    else:
        best_route(domain, segment)
    return segment


def candidate_links(domain: OpticalDomain, network: Network, source: DeviceName, target: DeviceName) -> Iterator[Link]:
    """Links between two routers that the domain can bring up, whatever their state, whose client ports are free."""
    for link in network.out_of(source):
        if link.target.node == target:
            ports = [domain.attached_to(end) for end in (link.source, link.target)]
            if all(port is not None and str(port) not in domain.taken_ports for port in ports):
                yield link


def best_route(domain: OpticalDomain, segment: OpticalSegment) -> NetworkPath:
    """The route of least delay that has the slots; `NoPathError` says what stands in the way."""
    request = PathRequest(
        source=DeviceName(domain.client_port(segment.source).node),
        target=DeviceName(domain.client_port(segment.target).node),
        bandwidth=BitRate(segment.slots * domain.slot.bits_per_second),
        delay_bound_seconds=segment.delay_bound_seconds,
        objective=Objective.DELAY,
    )
    database = as_te_database(domain)
    if segment.name in database.reservations:
        database = database.without_reservation(segment.name)
    return shortest_path(database, request)


def segment_lines(segment: OpticalSegment) -> Mapping[DeviceName, dict[Path, str]]:
    """What the segment wants on the domain's controller."""
    root = (Step(_MODULE, "domain"), Step(_MODULE, "tunnel", (("name", segment.name),)))
    lines = {root: "", (*root, Step(_MODULE, "slots")): str(segment.slots)}
    for end, client in (("source", segment.source), ("target", segment.target)):
        node, _, port = client.partition(":")
        lines[*root, Step(_MODULE, end), Step(_MODULE, "node")] = node
        lines[*root, Step(_MODULE, end), Step(_MODULE, "port")] = port
    if segment.delay_bound_seconds is not None:
        lines[*root, Step(_MODULE, "delay-bound")] = str(round(segment.delay_bound_seconds * _MICROSECONDS))
    if not segment.is_enabled:
        lines[*root, Step(_MODULE, "enabled")] = "false"
    return {segment.domain: lines}


def _client_port(domain: OpticalDomain, point: TerminationPoint) -> ClientPort:
    port = domain.attached_to(point)
    if port is None:
        raise NotFoundError(
            f"port '{point}' is not attached to the optical domain '{domain.device}'",
            remedy="take a link between ports that are",
        )
    return port


def _check_port(domain: OpticalDomain, port: ClientPort, name: str, slots: int) -> None:
    taken = [tunnel.name for tunnel in domain.tunnels if str(port) in {tunnel.source, tunnel.target}]
    if taken and taken != [name]:
        raise ConflictError(
            f"client port '{port}' of '{domain.device}' has the tunnel '{taken[0]}'",
            remedy="take another pair of ports, or resize that tunnel",
        )
    if slots > port.slots:
        raise InvalidInputError(
            f"client port '{port}' of '{domain.device}' takes {port.slots} slots of {domain.slot}, not {slots}",
            remedy="ask for less",
        )


def _check_resize(domain: OpticalDomain, standing: OpticalTunnel, segment: OpticalSegment) -> None:
    for fibre in domain.links:
        free = fibre.free_slots + standing.slots
        if fibre.name in standing.route and free < segment.slots:
            raise ConflictError(
                f"link '{fibre.name}' of '{domain.device}' has {free} slots for '{segment.name}', not {segment.slots}",
                remedy="ask for less, or for a tunnel of another name: it takes another route",
            )
    bound = segment.delay_bound_seconds
    if bound is not None and standing.delay_seconds > bound:
        raise ConflictError(
            f"tunnel '{segment.name}' of '{domain.device}' takes {standing.delay_seconds * 1000:g} ms, more than "
            f"{bound * 1000:g} ms, and keeps its route",
            remedy="ask for a tunnel of another name: it takes another route",
        )
