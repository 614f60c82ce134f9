"""Owns what devices tell of the network between them: their configuration and state, read as an RFC 8345 network.

Links come from LLDP neighbours, and where nobody tells of one, from core interfaces in a subnet of two. The words of
accord-router give metric, segments (RFC 8986) and traffic engineering (RFC 8795); other devices take part as far as
they tell.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address, IPv6Network, ip_interface
from math import asin, cos, radians, sin, sqrt
from types import MappingProxyType

from lxml import etree

from controller.datastore.codec_xml import parse
from controller.datastore.config_tree import ConfigTree
from controller.model.identifiers import DeviceName
from controller.model.inventory import DeviceRecord, Place
from controller.model.units import BitRate
from controller.model.yang_path import Path, Step
from controller.topology.network import Link, LinkId, Network, Node, TerminationPoint, TopologyError

_IF = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
_ROUTER = "urn:accord:router"
_ROOTS: tuple[Path, ...] = (
    (Step("ietf-interfaces", "interfaces"),),
    (Step("openconfig-interfaces", "interfaces"),),
)
_SRV6: Path = (Step("accord-router", "router"), Step("accord-router", "srv6"))
_STAMP: Path = (Step("accord-router", "router"), Step("accord-router", "oam"))
_ROUTER_ID: Path = (Step("accord-router", "router"), Step("accord-router", "router-id"))
_FUNCTION_BITS = 16
_UNKNOWN_RATE = BitRate(10**10)
_EARTH_KILOMETRES = 6371.0
_FIBRE_KILOMETRES_PER_SECOND = 200_000.0
_ROUTE_FACTOR = 1.3
"""Fibre does not run in straight lines."""
_LLDP = f'<lldp-neighbor xmlns="{_ROUTER}"/>'
STATE_FILTERS = (
    f'<interfaces xmlns="{_IF}"><interface><name/><oper-status/><speed/>{_LLDP}</interface></interfaces>',
    f'<router xmlns="{_ROUTER}"><oam><stamp-session/></oam></router>',
)
STATE_RESOURCES = ("ietf-interfaces:interfaces", "accord-router:router/oam")


@dataclass(frozen=True, slots=True)
class PortState:
    """A port as its device sees it. `neighbours` are (system, port)."""

    is_up: bool = True
    speed: BitRate | None = None
    neighbours: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What a device told of its ports, and the one-way delays its STAMP sessions measured, by number, in seconds."""

    ports: Mapping[str, PortState] = field(default_factory=dict)
    delays: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CorePort:
    """A port towards another router, as configured."""

    name: str
    is_core: bool = False
    subnets: tuple[str, ...] = ()
    metric: int = 10
    segment: str = ""
    srlgs: frozenset[int] = frozenset()
    admin_group: int = 0
    reservable: BitRate | None = None
    availability: float = 1.0


@dataclass(frozen=True, slots=True)
class Router:
    """A device as its configuration describes it. `probed` are the segment lists of its STAMP sessions."""

    node: Node
    ports: Mapping[str, CorePort]
    probed: Mapping[int, tuple[str, ...]]
    place: Place


@dataclass(frozen=True, slots=True)
class GivenTopology:
    """What somebody wrote down: it goes before what is found. `links` are whole, in both directions."""

    nodes: tuple[Node, ...] = ()
    links: tuple[Link, ...] = ()


def read_router(name: DeviceName, config: ConfigTree, record: DeviceRecord) -> Router:
    """What a configuration says of the router and its ports."""
    locators = _locators(config)
    prefix, function = next(iter(locators.values()), ("", ""))
    loopbacks: list[str] = []
    ports = {}
    for port, lines in _interfaces(config):
        if lines.get("type", "").endswith("softwareLoopback"):
            loopbacks += [address for address in _addresses(lines) if ":" in address]
        elif "bind-ni-name" not in lines and "vlan-subinterface" not in lines:
            ports[port] = _port(port, lines, prefix)
    node = Node(
        name=name,
        endpoint=record.loopback.ipv6 or next((text.partition("/")[0] for text in loopbacks), ""),
        segment=_segment(prefix, function),
        router_id=config.get(_ROUTER_ID, "") or record.router_id,
        role=record.role,
    )
    return Router(node, ports, probed(config), record.place)


def read_state(body: bytes) -> DeviceState:
    """What a device answered to `STATE_FILTERS`."""
    if not body.strip():
        return DeviceState()
    root = parse(body)
    ports = {
        found.findtext(f"{{{_IF}}}name", ""): _port_state(found)
        for found in root.iter(f"{{{_IF}}}interface")
        if found.find(f"{{{_IF}}}oper-status") is not None
    }
    delays = {
        int(found.findtext(f"{{{_ROUTER}}}id", "0")): int(text) / 1e6
        for found in root.iter(f"{{{_ROUTER}}}stamp-session")
        if (text := found.findtext(f"{{{_ROUTER}}}forward-delay"))
    }
    return DeviceState(ports, delays)


def assemble(
    routers: Mapping[DeviceName, Router],
    states: Mapping[DeviceName, DeviceState],
    given: GivenTopology,
    remembered: Iterable[tuple[TerminationPoint, TerminationPoint]] = (),
    told_delays: Mapping[LinkId, float] = MappingProxyType({}),
) -> Network:
    """The network of these routers; what was `given` goes before what was found.

    A link that nobody tells of any more was there when it is `remembered`, and is down when one of its ports is. A
    domain below that tells a link's delay knows it better than the distance does.
    """
    _refuse_unknown_ports(routers, states, given)
    nodes = {name: router.node for name, router in routers.items()} | {node.name: node for node in given.nodes}
    links: dict[LinkId, Link] = {}
    for a, b in _wires(routers, states, remembered):
        for source, target in ((a, b), (b, a)):
            link = _link(source, target, routers, states)
            links[link.id] = replace(link, delay_seconds=told_delays.get(link.id, link.delay_seconds))
    links |= {link.id: _completed(link, links.get(link.id)) for link in given.links}
    return Network.of(nodes.values(), links.values())


def _refuse_unknown_ports(
    routers: Mapping[DeviceName, Router], states: Mapping[DeviceName, DeviceState], given: GivenTopology
) -> None:
    """`TopologyError` names the ports that were written down and that their routers do not have, where these tell."""
    problems = []
    for link in given.links:
        for end in (link.source, link.target):
            router = routers.get(end.node)
            known = {*router.ports, *states.get(end.node, DeviceState()).ports} if router is not None else set()
            if known and end.name not in known:
                problems.append(f"link '{link.id}' is at '{end}', which is not a port of '{end.node}'")
    if problems:
        raise TopologyError(f"the given topology is not of this network: {'; '.join(problems)}", remedy="correct it")


def measured_delays(
    network: Network, routers: Mapping[DeviceName, Router], states: Mapping[DeviceName, DeviceState]
) -> dict[LinkId, float]:
    """One-way delays of links over which a STAMP session goes and over no other."""
    found = {}
    for name, router in routers.items():
        delays = states.get(name, DeviceState()).delays
        by_segments = {segments: delays[n] for n, segments in router.probed.items() if n in delays}
        for link in network.out_of(name) if by_segments else ():
            if (link.segment,) in by_segments:
                found[link.id] = by_segments[link.segment,]
    return found


# -- configuration -------------------------------------------------------------------------------------------------


def _interfaces(config: ConfigTree) -> Iterator[tuple[str, dict[str, str]]]:
    """Each interface with its lines: `type`, `igp/metric`, `address/192.0.2.1/prefix-length`, ..."""
    found: dict[str, dict[str, str]] = {}
    for root in _ROOTS:
        for path in config.below(root):
            name = dict(path[1].keys)["name"]
            found.setdefault(name, {})["/".join(_words(path[2:]))] = config[path]
    return iter(found.items())


def _words(steps: Path) -> Iterator[str]:
    for step in steps:
        if step.name not in {"config", "te"}:
            yield step.name
        if step.name in {"address", "srlg"}:
            yield step.keys[0][1]


def _addresses(lines: Mapping[str, str]) -> Iterator[str]:
    for words, value in lines.items():
        if words.endswith("/prefix-length"):
            yield f"{words.split('/')[-2]}/{value}"


def _port(name: str, lines: Mapping[str, str], locator: str) -> CorePort:
    reservable = lines.get("igp/maximum-reservable-bandwidth")
    return CorePort(
        name=name,
        is_core="igp" in lines,
        subnets=tuple(str(ip_interface(text).network) for text in _addresses(lines)),
        metric=int(lines.get("igp/metric", "10")),
        segment=_segment(locator, lines.get("igp/adjacency-function", "")),
        srlgs=frozenset(int(words.rpartition("/")[2]) for words in lines if words.startswith("igp/srlg/")),
        admin_group=int(lines.get("igp/admin-group", "0")),
        reservable=BitRate(int(reservable)) if reservable else None,
        availability=float(lines.get("igp/availability", "1")),
    )


def _locators(config: ConfigTree) -> dict[str, tuple[str, str]]:
    """Prefix and End function by locator."""
    found: dict[str, tuple[str, str]] = {}
    for path in config.below(_SRV6):
        if len(path) == 4 and path[2].name == "locator":
            name = path[2].keys[0][1]
            prefix, function = found.get(name, ("", ""))
            if path[3].name == "prefix":
                found[name] = (config[path], function)
            elif path[3].name == "node-function":
                found[name] = (prefix, config[path])
    return found


def _segment(locator: str, function: str) -> str:
    """The segment's address: locator, then function (RFC 8986 section 3.1)."""
    if not locator or not function:
        return ""
    network = IPv6Network(locator)
    shift = max(0, 128 - network.prefixlen - _FUNCTION_BITS)
    return str(IPv6Address(int(network.network_address) + (int(function) << shift)))


def probed(config: ConfigTree) -> dict[int, tuple[str, ...]]:
    """The segment lists of the STAMP sessions that are configured."""
    found: dict[int, dict[int, str]] = {}
    for path in config.below(_STAMP):
        if len(path) == 5 and path[4].name == "sid":
            session, index = int(path[2].keys[0][1]), int(path[3].keys[0][1])
            found.setdefault(session, {})[index] = config[path]
    return {session: tuple(sid for _, sid in sorted(sids.items())) for session, sids in found.items()}


# -- state ---------------------------------------------------------------------------------------------------------


def _port_state(element: etree._Element) -> PortState:
    speed = element.findtext(f"{{{_IF}}}speed")
    return PortState(
        is_up=element.findtext(f"{{{_IF}}}oper-status") == "up",
        speed=BitRate(int(speed)) if speed else None,
        neighbours=tuple(
            (found.findtext(f"{{{_ROUTER}}}remote-system", ""), found.findtext(f"{{{_ROUTER}}}remote-port", ""))
            for found in element.iter(f"{{{_ROUTER}}}lldp-neighbor")
        ),
    )


# -- links ---------------------------------------------------------------------------------------------------------

_Wire = tuple[TerminationPoint, TerminationPoint]


def _wires(
    routers: Mapping[DeviceName, Router], states: Mapping[DeviceName, DeviceState], remembered: Iterable[_Wire]
) -> Iterator[_Wire]:
    """Pairs of ports, each port in one: as LLDP tells, else as subnets tell, else as it was."""
    used: set[TerminationPoint] = set()
    for wire in (*_neighbours(states), *_subnets(routers), *remembered):
        a, b = wire
        is_sound = a.node in routers and b.node in routers and a.node != b.node
        if is_sound and not used.intersection(wire):
            used.update(wire)
            yield (a, b) if a < b else (b, a)


def _neighbours(states: Mapping[DeviceName, DeviceState]) -> Iterator[_Wire]:
    for name, state in states.items():
        for port, seen in state.ports.items():
            for system, remote in seen.neighbours[:1]:
                yield TerminationPoint(name, port), TerminationPoint(DeviceName(system), remote)


def _subnets(routers: Mapping[DeviceName, Router]) -> Iterator[_Wire]:
    members: dict[str, dict[TerminationPoint, bool]] = {}
    for name, router in routers.items():
        for port in router.ports.values():
            for subnet in port.subnets:
                members.setdefault(subnet, {})[TerminationPoint(name, port.name)] = port.is_core
    for found in members.values():
        if len(found) == 2 and any(found.values()):
            a, b = found
            yield a, b


def _link(
    source: TerminationPoint,
    target: TerminationPoint,
    routers: Mapping[DeviceName, Router],
    states: Mapping[DeviceName, DeviceState],
) -> Link:
    port = routers[source.node].ports.get(source.name, CorePort(source.name))
    here, there = (states.get(end.node, DeviceState()).ports.get(end.name, PortState()) for end in (source, target))
    other = routers[target.node].ports.get(target.name, port)
    return Link(
        source=source,
        target=target,
        capacity=port.reservable or here.speed or other.reservable or there.speed or _UNKNOWN_RATE,
        delay_seconds=_distance_seconds(routers[source.node].place, routers[target.node].place),
        metric=port.metric,
        srlgs=port.srlgs | other.srlgs,
        admin_group=port.admin_group,
        availability=port.availability,
        is_up=here.is_up and there.is_up,
        segment=port.segment,
    )


def _completed(given: Link, found: Link | None) -> Link:
    """What was written down knows neither state nor segment."""
    return given if found is None else replace(given, is_up=found.is_up, segment=given.segment or found.segment)


def _distance_seconds(a: Place, b: Place) -> float:
    """What fibre between two places may take; 0 where nobody said where they are."""
    if None in {a.latitude, a.longitude, b.latitude, b.longitude}:
        return 0.0
    lat_a, lon_a, lat_b, lon_b = (radians(x or 0.0) for x in (a.latitude, a.longitude, b.latitude, b.longitude))
    chord = sin((lat_b - lat_a) / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin((lon_b - lon_a) / 2) ** 2
    kilometres = 2 * _EARTH_KILOMETRES * asin(min(1.0, sqrt(chord)))
    return _ROUTE_FACTOR * kilometres / _FIBRE_KILOMETRES_PER_SECOND
