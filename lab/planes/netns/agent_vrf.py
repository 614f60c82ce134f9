"""A VRF of a router: a namespace of its own, joined to the router by an uplink that carries encapsulated packets.

Owns what lies inside: the decapsulating segments, the customers' interfaces, nexthop objects and routes. A prefix goes
over a group of nexthops that stays while policies change; another path is another member, in one step for all prefixes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from socket import AF_INET6

from lab.planes.netns import kernel_links, kernel_queues, kernel_routes
from lab.planes.netns.agent_access import Access
from lab.planes.netns.kernel_links import LinkCounters, VethEnd
from lab.planes.netns.kernel_routes import Hop
from lab.planes.netns.netlink import Request
from lab.planes.netns.program import Along, Candidate, Policy, Steer, Via, VpnRoute, Vrf, argument_of
from lab.planes.netns.space import Space, vrf_space
from lab.planes.netns.wiring import UPLINK_MTU

_ROUTER_SIDE, _VRF_SIDE = "fe80::1", "fe80::2"
_ROUTER_MAC, _VRF_MAC = "02:af:00:00:00:01", "02:af:00:00:00:02"
_BUFFER_SECONDS = 0.05
Steerings = Mapping[Steer, tuple[tuple[Along, ...], ...]]
"""By what routes ask for: the ways that can carry it, the best first."""
_Members = tuple[tuple[int, int], ...]


@dataclass(slots=True)
class _Installed:
    """What the kernel has."""

    source: str = ""
    segment: str = ""
    block: str = ""
    input_bit_rate: int = 0
    members: dict[tuple[int, tuple[str, ...]], int] = field(default_factory=dict)
    groups: dict[tuple[int, Steer], int] = field(default_factory=dict)
    group_members: dict[int, _Members] = field(default_factory=dict)
    routes: dict[str, VpnRoute] = field(default_factory=dict)


class VrfSpace:
    """One VRF. `build` adds and replaces what `wanted` asks for, `sweep` removes what it no longer does."""

    def __init__(self, core: Space, number: int) -> None:
        self.device = f"vrf{number}"
        """The router's end of the uplink."""
        self._core = core
        self._space = vrf_space()
        self._has = _Installed()
        self._next_identifier = 1
        ends = VethEnd(self.device, _ROUTER_MAC, UPLINK_MTU), VethEnd("uplink", _VRF_MAC, UPLINK_MTU)
        core_index, self._uplink = core.add_pair(*ends, self._space)
        self._space.ask(kernel_links.add_neighbour(self._uplink, _ROUTER_SIDE, _ROUTER_MAC))
        core.ask(kernel_links.add_neighbour(core_index, _VRF_SIDE, _VRF_MAC))
        sink, _ = self._space.add_pair(VethEnd("sink0"), VethEnd("sink1"), self._space)
        self.access = Access(self._space, sink)
        """The customers' side."""

    @property
    def descriptor(self) -> int:
        """The namespace."""
        return self._space.descriptor

    def towards(self) -> Hop:
        """The way into the VRF, for routes of the router."""
        return Hop(self._core.index(self.device), _VRF_SIDE)

    def build(self, wanted: Vrf, source: str, block: str, steerings: Steerings) -> None:
        """Add and replace: uplink, interfaces, nexthops, groups, routes, in this order."""
        self._build_uplink(wanted, source, block)
        self.access.build(wanted.interfaces, block)
        self._build_nexthops(wanted, steerings)
        changed = {prefix: route for prefix, route in wanted.routes.items() if self._has.routes.get(prefix) != route}
        self._space.ask(*(self._route(prefix, route) for prefix, route in changed.items()))
        self._has.routes.update(changed)

    def steer(self, steerings: Steerings) -> None:
        """Send by other ways what is routed already: one replacement for each group that changes."""
        self._set_groups(steerings, list(self._has.groups))

    def sweep(self, wanted: Vrf, steerings: Steerings) -> None:
        """Remove routes, then what they went over, then interfaces."""
        has = self._has
        gone = [prefix for prefix in has.routes if prefix not in wanted.routes]
        self._space.ask(*(kernel_routes.delete_route(prefix) for prefix in gone))
        for prefix in gone:
            del has.routes[prefix]
        steers = set(_steers(wanted))
        for key in [key for key in has.groups if key not in steers]:
            identifier = has.groups.pop(key)
            has.group_members.pop(identifier, None)
            self._space.ask(kernel_routes.delete_nexthop(identifier))
        needed = {
            (family, self._along(steer, family, along))
            for family, steer in steers
            for way in steerings[steer]
            for along in way
        }
        unused = [key for key in has.members if key not in needed]
        self._space.ask(*(kernel_routes.delete_nexthop(has.members.pop(key)) for key in unused))
        self.access.sweep(wanted.interfaces)

    def counters(self) -> dict[str, LinkCounters]:
        """Counters of the customers' interfaces by name."""
        return self.access.counters()

    def close(self) -> None:
        """Let everything go: pairs end with their namespace."""
        self.access.close()
        self._core.ask(kernel_links.delete_link(self._core.index(self.device)))
        self._core.forget(self.device)
        self._space.close()

    def _build_uplink(self, wanted: Vrf, source: str, block: str) -> None:
        has, uplink = self._has, self._uplink
        if source and source != has.source:
            self._space.ask(kernel_links.add_address(uplink, f"{source}/128"))
            if has.source:
                self._space.ask(kernel_links.delete_address(uplink, f"{has.source}/128"))
            has.source = source
        if block and block != has.block:
            self._space.ask(kernel_routes.route(block, [Hop(uplink, _ROUTER_SIDE)]))
            if has.block:
                self._space.ask(kernel_routes.delete_route(has.block))
            has.block = block
        if wanted.segment != has.segment:
            self._space.ask(*_decapsulation(wanted.segment, uplink))
            old = (f"{argument_of(has.segment, version)}/128" for version in (4, 6) if has.segment)
            self._space.ask(*map(kernel_routes.delete_route, old))
            has.segment = wanted.segment
        if wanted.input_bit_rate != has.input_bit_rate:
            rate = wanted.input_bit_rate
            limit = (
                kernel_queues.limit_rate(uplink, rate, _BUFFER_SECONDS) if rate else kernel_queues.drop_queue(uplink)
            )
            self._space.ask(limit)
            has.input_bit_rate = rate

    def _build_nexthops(self, wanted: Vrf, steerings: Steerings) -> None:
        """Every way is installed before any group uses it, those in reserve too."""
        steers = dict.fromkeys(_steers(wanted))
        for family, steer in steers:
            for way in steerings[steer]:
                for along in way:
                    self._member(family, self._along(steer, family, along))
        for key in steers:
            if key not in self._has.groups:
                self._has.groups[key] = self._identifier()
        self._set_groups(steerings, list(steers))

    def _set_groups(self, steerings: Steerings, keys: list[tuple[int, Steer]]) -> None:
        requests = []
        for family, steer in keys:
            if steer not in steerings:
                continue
            identifier = self._has.groups[family, steer]
            best = steerings[steer][0]
            members = tuple((self._member(family, self._along(steer, family, along)), along.weight) for along in best)
            if self._has.group_members.get(identifier) != members:
                requests.append(kernel_routes.nexthop_group(identifier, members))
                self._has.group_members[identifier] = members
        self._space.ask(*requests)

    def _member(self, family: int, segments: tuple[str, ...]) -> int:
        identifier = self._has.members.get((family, segments))
        if identifier is None:
            identifier = self._identifier()
            self._space.ask(kernel_routes.encapsulating_nexthop(identifier, family, self._uplink, segments))
            self._has.members[family, segments] = identifier
        return identifier

    def _along(self, steer: Steer, family: int, along: Along) -> tuple[str, ...]:
        return (*along.segments, argument_of(steer.segment, 6 if family == AF_INET6 else 4))

    def _identifier(self) -> int:
        identifier, self._next_identifier = self._next_identifier, self._next_identifier + 1
        return identifier

    def _route(self, prefix: str, route: VpnRoute) -> Request:
        if isinstance(route, Via):
            return kernel_routes.route(prefix, [Hop(self.access.index(route.interface), route.next_hop)])
        return kernel_routes.route_over_nexthop(prefix, self._has.groups[kernel_routes.family_of(prefix), route])


def ways(
    steer: Steer, policies: Mapping[Policy, tuple[Candidate, ...]], dead: frozenset[int]
) -> tuple[tuple[Along, ...], ...]:
    """The ways towards a VPN segment, the best first.

    Candidate paths that no dead port breaks, the shortest path, then the broken ones, so that they stay installed.
    """
    candidates = policies.get(steer.policy, ()) if steer.policy else ()
    living = [tuple(along for along in found.lists if not along.ports & dead) for found in candidates]
    broken = [tuple(along for along in found.lists if along.ports & dead) for found in candidates]
    return (*filter(None, living), (Along(()),), *filter(None, broken))


def _steers(wanted: Vrf) -> Iterator[tuple[int, Steer]]:
    for prefix, route in wanted.routes.items():
        if isinstance(route, Steer):
            yield kernel_routes.family_of(prefix), route


def _decapsulation(segment: str, uplink: int) -> tuple[Request, ...]:
    if not segment:
        return ()
    return (
        kernel_routes.end_dt4(argument_of(segment, 4), uplink),
        kernel_routes.end_dt6(argument_of(segment, 6), uplink),
    )
