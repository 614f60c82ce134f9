"""Owns what the core does with a packet: shortest paths by the configured metrics, segments, policies.

RFC 8986 section 4 for segments, RFC 9256 section 2 for policies: of the valid paths the one with the highest
preference carries, of equals the one with the highest discriminator. Without a known topology the core is taken to be
connected, and only segments are resolved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush

from controller.model.errors import NotFoundError
from controller.model.identifiers import DeviceName
from controller.topology.network import Link, LinkId, Network
from controller.twin.configuration import CandidatePath, DeviceForwarding, Interface, Policy, network_of
from controller.twin.verdict import Fault, Hop

CONNECTED = "no topology is known: the core between edge routers is taken to be connected"
_UNREACHABLE = 1 << 60


@dataclass(frozen=True, slots=True)
class Failure:
    """What is down at once. Links are named in both directions."""

    name: str = "now"
    links: frozenset[LinkId] = frozenset()
    nodes: frozenset[DeviceName] = frozenset()

    def hits(self, link: Link) -> bool:
        """Whether the link carries nothing."""
        return link.id in self.links or link.source.node in self.nodes or link.target.node in self.nodes


@dataclass(frozen=True, slots=True)
class Way:
    """A share of the traffic between two routers and the links it takes."""

    share: float
    links: tuple[Link, ...]

    @property
    def delay_seconds(self) -> float:
        """Propagation."""
        return sum(link.delay_seconds for link in self.links)


@dataclass(frozen=True, slots=True)
class Carriage:
    """How packets get from one router to another; a `fault` says that they do not."""

    ways: tuple[Way, ...] = ()
    fault: Fault | None = None
    explanation: str = ""
    hops: tuple[Hop, ...] = ()
    policy: tuple[int, str] | None = None
    discriminator: int | None = None

    @property
    def delay_seconds(self) -> float:
        """That of the longest way."""
        return max((way.delay_seconds for way in self.ways), default=0.0)


@dataclass(frozen=True, slots=True)
class _Owner:
    device: DeviceName
    interface: str = ""
    instance: str = ""
    is_known: bool = True
    """False for a segment of a locator that this router has, which it does nothing with."""


@dataclass(slots=True)
class Core:
    """The core under one failure. What was worked out once is remembered; nothing in it ever changes."""

    devices: Mapping[DeviceName, DeviceForwarding]
    network: Network | None = None
    failure: Failure = field(default_factory=Failure)
    _distances: dict[DeviceName, dict[DeviceName, int]] = field(default_factory=dict)
    _carried: dict[tuple[DeviceName, DeviceName, str, int], Carriage] = field(default_factory=dict)
    _locators: dict[str, DeviceName] = field(default_factory=dict)
    _usable: dict[LinkId, int] = field(default_factory=dict)
    """Metric by link that carries."""

    def __post_init__(self) -> None:
        """Take what the configurations say of links and locators."""
        for name, device in self.devices.items():
            self._locators.update((locator.prefix, name) for locator in device.router.locators.values())
        for link in self.network.links.values() if self.network else ():
            metric = self._metric(link)
            if metric is not None:
                self._usable[link.id] = metric

    def _metric(self, link: Link) -> int | None:
        if not link.is_up or self.failure.hits(link):
            return None
        metric = link.metric
        for point, is_source in ((link.source, True), (link.target, False)):
            interface = self._interface(point.node, point.name)
            if interface is None:
                continue
            if not interface.enabled or interface.metric is None:
                return None
            metric = interface.metric if is_source else metric
        return metric

    def _interface(self, node: DeviceName, port: str) -> Interface | None:
        """A core interface of a device whose configuration says something of the core at all."""
        device = self.devices.get(node)
        if device is None or not any(each.metric is not None for each in device.interfaces.values()):
            return None
        return device.interfaces.get(port, Interface(port, enabled=False))

    # -- shortest paths ----------------------------------------------------------------------------------------

    def distances(self, target: DeviceName) -> Mapping[DeviceName, int]:
        """The metric from every router that reaches the target."""
        known = self._distances.get(target)
        if known is None:
            known = self._distances[target] = self._search(target)
        return known

    def _search(self, target: DeviceName) -> dict[DeviceName, int]:
        if self.network is None:
            return {}
        arcs = self.network.arcs
        best = {self.network.node_position(target): 0}
        waiting = [(0, self.network.node_position(target))]
        while waiting:
            cost, node = heappop(waiting)
            if cost > best[node]:
                continue
            for position, source in arcs.entering[node]:
                metric = self._usable.get(arcs.ids[position])
                if metric is not None and cost + metric < best.get(source, _UNREACHABLE):
                    best[source] = cost + metric
                    heappush(waiting, (cost + metric, source))
        down = self.failure.nodes
        return {arcs.nodes[node]: cost for node, cost in best.items() if arcs.nodes[node] not in down}

    def next_links(self, node: DeviceName, target: DeviceName) -> tuple[Link, ...]:
        """The first links of all shortest paths."""
        distances = self.distances(target)
        here = distances.get(node)
        if self.network is None or here is None or node == target:
            return ()
        return tuple(
            link
            for link in self.network.out_of(node)
            if link.id in self._usable and distances.get(link.target.node, _UNREACHABLE) + self._usable[link.id] == here
        )

    def shortest(self, source: DeviceName, target: DeviceName) -> tuple[Way, ...]:
        """All shortest paths with their shares; none when there is no path."""
        return tuple(self._spread(source, target, 1.0, ()))

    def _spread(self, node: DeviceName, target: DeviceName, share: float, taken: tuple[Link, ...]) -> Iterator[Way]:
        if node == target:
            yield Way(share, taken)
            return
        onward = self.next_links(node, target)
        for link in onward:
            yield from self._spread(link.target.node, target, share / len(onward), (*taken, link))

    def is_connected(self, source: DeviceName, target: DeviceName) -> bool:
        """Whether packets get from one to the other by the shortest path."""
        if self.network is None or source not in self.network.nodes or target not in self.network.nodes:
            return source not in self.failure.nodes and target not in self.failure.nodes
        return source in self.distances(target)

    # -- segments ----------------------------------------------------------------------------------------------

    def owner(self, segment: str) -> _Owner | None:
        """Whose segment it is; None when no locator holds it."""
        prefix = next((each for each in self._locators if network_of(segment).subnet_of(network_of(each))), "")  # type: ignore[arg-type]
        if not prefix:
            return self._given(segment)
        name = self._locators[prefix]
        device = self.devices[name]
        if segment in device.node_segments:
            return _Owner(name)
        if segment in device.adjacency_segments:
            return _Owner(name, interface=device.adjacency_segments[segment])
        instance = device.vpn_segments.get(segment, "")
        return _Owner(name, instance=instance, is_known=bool(instance))

    def _given(self, segment: str) -> _Owner | None:
        """What the topology says of a router whose configuration is not known."""
        for link in self.network.links.values() if self.network else ():
            if segment == link.segment:
                return _Owner(link.source.node, interface=link.source.name)
        for node in self.network.nodes.values() if self.network else ():
            if segment == node.segment:
                return _Owner(node.name)
        return None

    def resolve(self, source: DeviceName, segments: tuple[str, ...]) -> Carriage:
        """Where a list of segments leads from its head end."""
        ways: tuple[Way, ...] = (Way(1.0, ()),)
        hops: list[Hop] = []
        at = source
        for segment in segments:
            owner = self.owner(segment)
            if owner is None or not owner.is_known or owner.instance:
                why = "is nobody's" if owner is None else f"is no segment of a link or router of {owner.device}"
                return Carriage((), Fault.SEGMENT, f"segment {segment} {why}", (*hops, Hop(at, f"drops {segment}")))
            onward = self._onward(at, owner)
            if onward is None:
                why = f"{owner.device} cannot be reached" if not self.is_connected(at, owner.device) else "link down"
                return Carriage((), Fault.POLICY, f"segment {segment}: {why}", (*hops, Hop(at, f"holds {segment}")))
            ways = tuple(
                Way(first.share * then.share, (*first.links, *then.links)) for first in ways for then in onward
            )
            hops.append(Hop(owner.device, f"segment {segment} {owner.interface}".rstrip()))
            at = onward[0].links[-1].target.node if onward[0].links else owner.device
        loop = next((way for way in ways if _turns_back(source, way)), None)
        if loop is not None:
            return Carriage(ways, Fault.LOOP, "the path comes back to where it was", tuple(_hops(loop)))
        return Carriage(ways, hops=tuple(hops))

    def _onward(self, at: DeviceName, owner: _Owner) -> tuple[Way, ...] | None:
        """From one router to where a segment leads; None when it cannot be reached."""
        if self.network is None:
            return (Way(1.0, ()),)
        there = self.shortest(at, owner.device) if self.is_connected(at, owner.device) else ()
        if not there:
            return None
        if not owner.interface:
            return there
        out = (link for link in self.network.out_of(owner.device) if link.source.name == owner.interface)
        link = next((link for link in out if link.id in self._usable), None)
        return None if link is None else tuple(Way(way.share, (*way.links, link)) for way in there)

    # -- policies and transport --------------------------------------------------------------------------------

    def valid_paths(self, head: DeviceName, policy: Policy) -> tuple[tuple[CandidatePath, Carriage], ...]:
        """The paths of which at least one list resolves, the one that carries first."""
        found = []
        for path in policy.paths:
            lists = [(each.weight, self.resolve(head, each.segments)) for each in path.lists]
            alive = [(weight, each) for weight, each in lists if each.ways]
            if alive:
                whole = sum(weight for weight, _ in alive)
                ways = tuple(Way(way.share * weight / whole, way.links) for weight, each in alive for way in each.ways)
                bad = next((each for _, each in alive if each.fault), alive[0][1])
                found.append((path, Carriage(ways, bad.fault, bad.explanation, bad.hops)))
        found.sort(key=lambda each: (-each[0].preference, -each[0].discriminator))
        return tuple(found)

    def endpoint_owner(self, endpoint: str) -> DeviceName | None:
        """The router that has this core address."""
        for name, device in self.devices.items():
            if endpoint in device.core_addresses:
                return name
        nodes = self.network.nodes.values() if self.network else ()
        return next((node.name for node in nodes if node.endpoint == endpoint), None)

    def carry(self, source: DeviceName, target: DeviceName, segment: str, color: int) -> Carriage:
        """How packets into a VRF of another router get there."""
        key = (source, target, segment if color else "", color)
        if key not in self._carried:
            self._carried[key] = self._carry(source, target, color)
        return self._carried[key]

    def _carry(self, source: DeviceName, target: DeviceName, color: int) -> Carriage:
        head = self.devices.get(source)
        for policy in head.router.policies.values() if head and color else ():
            if policy.color != color or self.endpoint_owner(policy.endpoint) != target:
                continue
            for path, carried in self.valid_paths(source, policy)[:1]:
                return self._to_the_end(source, target, policy, path, carried)
        if not self.is_connected(source, target):
            return Carriage((), Fault.BLACKHOLE, f"{source} has no path to {target}", (Hop(source, "drops it"),))
        if self.network is None or source not in self.network.nodes or target not in self.network.nodes:
            return Carriage((Way(1.0, ()),))
        return self._along(self.shortest(source, target))

    def _to_the_end(
        self, source: DeviceName, target: DeviceName, policy: Policy, path: CandidatePath, carried: Carriage
    ) -> Carriage:
        """After the last segment of the path the VPN's own leads on by the shortest path."""
        ways: list[Way] = []
        for way in carried.ways:
            end = way.links[-1].target.node if way.links else source
            rest = self.shortest(end, target) if self.network and way.links else (Way(1.0, ()),)
            if not rest:
                why = f"after the path of color {policy.color} {end} has no path to {target}"
                return Carriage((), Fault.BLACKHOLE, why, tuple(_hops(way)))
            ways += [Way(way.share * each.share, (*way.links, *each.links)) for each in rest]
        loop = next((way for way in ways if _turns_back(source, way)), None)
        fault = Fault.LOOP if loop else carried.fault
        why = f"the path of color {policy.color} comes back to where it was" if loop else carried.explanation
        key = (policy.color, policy.endpoint)
        return Carriage(tuple(ways), fault, why, tuple(_hops(loop or ways[0])), key, path.discriminator)

    @staticmethod
    def _along(ways: tuple[Way, ...]) -> Carriage:
        return Carriage(ways, hops=tuple(_hops(ways[0])))


def _hops(way: Way) -> Iterator[Hop]:
    for link in way.links:
        yield Hop(link.source.node, f"over {link.source.name} to {link.target.node}")


def _turns_back(source: DeviceName, way: Way) -> bool:
    nodes = [source, *(link.target.node for link in way.links)]
    return len(set(nodes)) < len(nodes)


def single_failures(network: Network) -> tuple[Failure, ...]:
    """Each wire, each node, each shared risk link group, on its own."""
    links: dict[str, Failure] = {}
    groups: dict[int, set[LinkId]] = {}
    for link in network.links.values():
        both = network.both_directions([link.id])
        name = f"link {link.source}-{link.target}"
        links.setdefault(min(both), Failure(name, links=both))
        for group in link.srlgs:
            groups.setdefault(group, set()).update(both)
    nodes = [Failure(f"node {name}", nodes=frozenset([name])) for name in network.nodes]
    srlgs = [Failure(f"SRLG {number}", links=frozenset(links)) for number, links in sorted(groups.items())]
    return (*links.values(), *nodes, *srlgs)


def link_failure(network: Network, text: str) -> Failure:
    """`A-B`: every wire between two nodes, or `A:PORT-B:PORT` or a link's name; `NotFoundError` when there is none."""
    found = [link.id for link in network.links.values() if text in _names(link)]
    if not found:
        raise NotFoundError(
            f"the network has no link '{text}'",
            remedy="name two nodes that are joined, such as p1-p2, or a link as 'a:port>b:port'",
            path=text,
        )
    return Failure(f"link {text}", links=network.both_directions(found))


def _names(link: Link) -> tuple[str, ...]:
    ends = (link.source, link.target)
    return (
        link.id,
        *(f"{a.node}-{b.node}" for a, b in (ends, ends[::-1])),
        *(f"{a}-{b}" for a, b in (ends, ends[::-1])),
    )


def node_failure(network: Network, name: str) -> Failure:
    """One node; `NotFoundError` when there is none of that name."""
    network.node_position(DeviceName(name))
    return Failure(f"node {name}", nodes=frozenset([DeviceName(name)]))


def srlg_failure(network: Network, number: int) -> Failure:
    """All links of a shared risk link group; `NotFoundError` when no link is in it."""
    links = [link.id for link in network.links.values() if number in link.srlgs]
    if not links:
        known = sorted({group for link in network.links.values() for group in link.srlgs})
        raise NotFoundError(
            f"no link is in the shared risk link group {number}",
            remedy=f"use one of: {', '.join(map(str, known[:10])) or 'none, the network has no groups'}",
            path=str(number),
        )
    return Failure(f"SRLG {number}", links=network.both_directions(links))
