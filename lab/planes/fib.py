"""Forwarding tables: what every router does with a packet, resolved from all configurations and the links that are up.

Owns `Fib`, the table of one router, and `Tables`, which resolves them: shortest paths (`fib_igp`), VPN routes
(`fib_vpn`), segments (RFC 8986 section 4) and policies (RFC 9256 section 2). Both planes forward by these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.planes import CandidatePath, Forwarding, PolicyState, RouterForwarding, SrPolicy, VpnRoute
from lab.planes.fib_igp import CoreRoutes, Igp
from lab.planes.fib_links import LinkStates, NextHop
from lab.planes.fib_prefixes import PrefixTable, host
from lab.planes.fib_vpn import Routing
from lab.topology import Topology

_REMEMBERED_STATES = 4  # of the network's links: a cut and its end come back to the state before


@dataclass(frozen=True, slots=True)
class End:
    """This router is visited; the next segment follows."""


@dataclass(frozen=True, slots=True)
class EndX:
    """The packet leaves over `port`; `next_hop` is None while the adjacency is down."""

    port: str
    next_hop: NextHop | None


@dataclass(frozen=True, slots=True)
class EndDt46:
    """The packet inside is looked up in a VRF (End.DT46)."""

    instance: str


SegmentAction = End | EndX | EndDt46


@dataclass(frozen=True, slots=True)
class Local:
    """Out of an interface of the VRF; to `next_hop` there, or to the destination itself when it is empty."""

    interface: str
    next_hop: str = ""


@dataclass(frozen=True, slots=True)
class Encapsulation:
    """Segments to visit, the egress router's own last, and its share against the others."""

    weight: int
    segments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Steering:
    """Into the core to the VPN segment `segment`: by `policy` (color, endpoint), or the shortest path without one."""

    segment: str
    encapsulations: tuple[Encapsulation, ...]
    policy: tuple[int, str] | None = None


VpnEntry = Local | Steering


@dataclass(frozen=True, slots=True)
class Fib:
    """The forwarding table of one router. Tables that are equal forward equally."""

    router: str
    routes: CoreRoutes
    """Next hops by core prefix; those of the router itself are absent."""
    addresses: frozenset[str] = frozenset()
    """Its own core addresses."""
    segments: Mapping[str, SegmentAction] = field(default_factory=dict)
    vpn: Mapping[str, Mapping[str, VpnEntry]] = field(default_factory=dict)
    """What each VRF that is enabled does, by prefix."""
    policies: tuple[PolicyState, ...] = ()
    lookup_tables: Mapping[str, PrefixTable[VpnEntry]] = field(default_factory=dict, compare=False, repr=False)

    def lookup(self, instance: str, address: str) -> VpnEntry | None:
        """What the VRF does with a packet to the address; None when it has no route or there is no such VRF."""
        table = self.lookup_tables.get(instance)
        return None if table is None else table.lookup(address)


@dataclass(frozen=True, slots=True)
class View:
    """Links that routers hold down: `converged` by the routes of the IGP, `flooded` by the heads of policies.

    What a router sees of its own ports counts at once and is in neither.
    """

    converged: frozenset[str] = frozenset()
    flooded: frozenset[str] = frozenset()


class Tables:
    """The tables of all routers; nothing is resolved before it is asked for, nor twice while nothing changes.

    `forwarding` answers what a configuration asks for; call `configuration_changed` when one is another,
    `links_changed` when a carrier is, and `see` when routers have learnt of it.
    """

    def __init__(self, topology: Topology, forwarding: Forwarding) -> None:
        self._topology = topology
        self._read = forwarding
        self._own: dict[str, RouterForwarding] = {}
        self.links = LinkStates(topology, self.forwarding)
        """What carries at the moment; what routers know of it is the view."""
        self.routing = Routing(topology, self.forwarding, self.links)
        self._view = View()
        self._igps: dict[frozenset[str], Igp] = {}
        self._fibs: dict[str, Fib] = {}
        self.core_version = 0
        """Another number whenever the core may forward otherwise; changes of services leave it."""

    def forwarding(self, router: str) -> RouterForwarding:
        """What the router's configuration asked for when it was last told to be another one."""
        found = self._own.get(router)
        if found is None:
            self._topology.node(router)
            found = self._own[router] = self._read(router)
        return found

    def configuration_changed(self, router: str) -> None:
        """Take the router's configuration as it is now."""
        self._topology.node(router)
        before = self._own.pop(router, None)
        self.links.configuration_changed(router)
        self.routing.configuration_changed(router)
        if before is None:
            self._forget()
            return
        after = self.forwarding(router)
        if _core_part(before) != _core_part(after):
            self._forget()
        elif before.interfaces != after.interfaces or before.instances != after.instances:
            self._fibs.clear()
        else:
            self._fibs.pop(router, None)

    def links_changed(self) -> None:
        """Take notice that `links` were cut, restored, enabled or disabled."""
        self.core_version += 1
        self.routing.forget()
        self._fibs.clear()

    def see(self, view: View) -> None:
        """Let the routers know of other links that are down."""
        if view != self._view:
            if view.converged != self._view.converged:
                self.core_version += 1
            self._view = view
            self._fibs.clear()

    @property
    def view(self) -> View:
        """What routers know of links that are down."""
        return self._view

    @property
    def igp(self) -> Igp:
        """The routing that packets follow."""
        return self._igp(self._view.converged)

    @property
    def flooded_igp(self) -> Igp:
        """The routing that heads of policies resolve segments by."""
        return self._igp(self._view.flooded)

    def fib(self, router: str) -> Fib:
        """The table of one router; KeyError for one that the topology does not have."""
        found = self._fibs.get(router)
        if found is None:
            found = self._fibs[router] = self._resolve(router)
        return found

    def _forget(self) -> None:
        self.core_version += 1
        self._igps.clear()
        self._fibs.clear()

    def _igp(self, down: frozenset[str]) -> Igp:
        found = self._igps.get(down)
        if found is None:
            if len(self._igps) >= _REMEMBERED_STATES:
                del self._igps[next(iter(self._igps))]
            found = self._igps[down] = Igp(self._topology, self.forwarding, down)
        return found

    def _resolve(self, router: str) -> Fib:
        own = self.forwarding(router)
        states = {policy: self._policy_state(router, policy) for policy in own.policies}
        vpn = self._vpn(router, own, states)
        return Fib(
            router=router,
            routes=CoreRoutes(self.igp, router),
            addresses=frozenset(
                host(address)
                for interface in own.interfaces.values()
                if interface.metric is not None
                for address in interface.addresses
            ),
            segments=self._segments(router, own),
            vpn=vpn,
            policies=tuple(states.values()),
            lookup_tables={name: PrefixTable(entries) for name, entries in vpn.items()},
        )

    def _segments(self, router: str, own: RouterForwarding) -> dict[str, SegmentAction]:
        actions: dict[str, SegmentAction] = {segment: End() for segment in own.node_segments}
        for segment, port in own.adjacency_segments.items():
            actions[segment] = EndX(port, self.links.neighbour(router, port))
        actions |= {vrf.segment: EndDt46(vrf.name) for vrf in own.instances if vrf.segment and vrf.enabled}
        return actions

    # Policies

    def _policy_state(self, router: str, policy: SrPolicy) -> PolicyState:
        """Valid is a path with a list whose segments resolve; of equal preferences the higher discriminator wins."""
        valid = [path for path in policy.paths if self._valid_lists(router, path)]
        active = max(valid, key=lambda path: (path.preference, path.discriminator), default=None)
        discriminators = frozenset(path.discriminator for path in valid)
        return PolicyState(
            policy.color, policy.endpoint, discriminators, None if active is None else active.discriminator
        )

    def _valid_lists(self, router: str, path: CandidatePath) -> list[Encapsulation]:
        return [
            Encapsulation(found.weight, found.segments)
            for found in path.segment_lists
            if self.resolves(router, found.segments)
        ]

    def resolves(self, router: str, segments: tuple[str, ...]) -> bool:
        """Whether each segment can be reached from the one before, as the router knows the network."""
        igp, at = self.flooded_igp, router
        for segment in segments:
            owner = igp.owner_of_segment(segment)
            if owner is None or not self._reaches(igp, router, at, owner.router):
                return False
            at = owner.router
            if owner.port:
                hop = igp.adjacency(owner.router, owner.port)
                if hop is None or (at == router and not self.links.is_up(router, owner.port)):
                    return False
                at = hop.router
        return bool(segments)

    def _reaches(self, igp: Igp, router: str, at: str, target: str) -> bool:
        if at == target:
            return True
        hops = igp.next_hops(at, target)
        return any(at != router or self.links.is_up(at, hop.port) for hop in hops)

    # VPNs

    def _vpn(
        self, router: str, own: RouterForwarding, states: Mapping[SrPolicy, PolicyState]
    ) -> dict[str, dict[str, VpnEntry]]:
        tables: dict[str, dict[str, VpnEntry]] = {vrf.name: {} for vrf in own.instances if vrf.enabled}
        colors = {vrf.name: vrf.color for vrf in own.instances}
        routes = self.routing.vpn_routes(router)
        through = _connected(routes)
        carriers = self._carriers(router, states)
        steerings: dict[tuple[int, str, str], Steering] = {}
        for route in routes:
            entry: VpnEntry | None
            if route.source != "vpn":
                entry = _local(route, through[route.instance])
            elif ":" not in route.next_hop:
                entry = None  # the far VRF has no segment: nothing can deliver into it
            else:
                key = (colors[route.instance], route.origin, route.next_hop)
                entry = steerings.get(key)
                if entry is None:
                    entry = steerings[key] = _steering(route, carriers.get(key[:2]))
            if entry is not None:
                tables[route.instance][route.prefix] = entry
        return tables

    def _carriers(
        self, router: str, states: Mapping[SrPolicy, PolicyState]
    ) -> dict[tuple[int, str], tuple[SrPolicy, list[Encapsulation]]]:
        """The policies that carry, with the lists that do, by color and the router they lead to."""
        found = {}
        for policy, state in states.items():
            towards = self.flooded_igp.owner_of_address(policy.endpoint)
            if towards is not None and state.active is not None:
                active = next(path for path in policy.paths if path.discriminator == state.active)
                found[policy.color, towards] = policy, self._valid_lists(router, active)
        return found


def resolve(topology: Topology, forwarding: Forwarding, down: frozenset[str] = frozenset()) -> dict[str, Fib]:
    """The table of every router once all of them know that the links in `down` are."""
    tables = Tables(topology, forwarding)
    for link in down:
        tables.links.set_link(link, up=False)
    without_carrier = tables.links.without_carrier()
    tables.see(View(without_carrier, without_carrier))
    return {node.name: tables.fib(node.name) for node in topology.nodes}


def _core_part(own: RouterForwarding) -> tuple[object, ...]:
    """What packets between other routers, and their answers, depend on."""
    core = {name: found for name, found in own.interfaces.items() if found.metric is not None}
    return core, own.locators, own.node_segments, own.adjacency_segments, own.stamp_reflector


def _connected(routes: tuple[VpnRoute, ...]) -> dict[str, PrefixTable[str]]:
    """The interface by connected prefix of each VRF."""
    prefixes: dict[str, dict[str, str]] = {}
    for route in routes:
        connected = prefixes.setdefault(route.instance, {})
        if route.source == "direct":
            connected[route.prefix] = route.next_hop
    return {instance: PrefixTable(connected) for instance, connected in prefixes.items()}


def _steering(route: VpnRoute, carrier: tuple[SrPolicy, list[Encapsulation]] | None) -> Steering:
    """By the policy of the VRF's color towards the route's router, else by the shortest path."""
    if carrier is None:
        return Steering(route.next_hop, (Encapsulation(1, (route.next_hop,)),))
    policy, lists = carrier
    through = tuple(Encapsulation(found.weight, (*found.segments, route.next_hop)) for found in lists)
    return Steering(route.next_hop, through, (policy.color, policy.endpoint))


def _local(route: VpnRoute, connected: PrefixTable[str]) -> Local | None:
    if route.source == "direct":
        return Local(route.next_hop)
    interface = connected.lookup(route.next_hop)
    return None if interface is None else Local(interface, route.next_hop)
