"""The VPN routing of a network: BGP sessions, and the routes of VRFs that they carry.

Owns the rules: a session is established when both routers configure each other and a path joins them (RFC 4271 section
8, seen from outside); a VRF imports what a target it imports is exported with (RFC 4364 section 4.3), over sessions or
through one route reflector (RFC 4456). What follows from configurations is remembered until one of them changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from lab.planes import BgpPeer, Forwarding, PeerState, RouterForwarding, VpnInstance, VpnRoute
from lab.planes.fib_links import LinkStates
from lab.planes.fib_prefixes import covers, host, prefix_order, subnet
from lab.topology import Topology


class Routing:
    """Sessions and routes of every router."""

    def __init__(self, topology: Topology, forwarding: Forwarding, links: LinkStates) -> None:
        self._topology = topology
        self._forwarding = forwarding
        self._links = links
        self._islands_by_router: dict[str, int] = {}
        self._owner_by_address: dict[str, str] = {}
        self._peer_states: dict[str, tuple[PeerState, ...]] = {}
        self._core_of: dict[str, tuple[object, ...]] = {}
        self._local: dict[str, dict[str, tuple[VpnRoute, ...]]] = {}
        self._exported: dict[str, Mapping[str, Sequence[VpnRoute]]] = {}

    def configuration_changed(self, router: str) -> None:
        """Forget what followed from the old configuration.

        A change of services touches this router only; one of its core makes everything that was derived suspect.
        """
        self._peer_states.pop(router, None)
        self._local.pop(router, None)
        self._exported.pop(router, None)
        if router in self._core_of and self._core_of[router] != _core(self._forwarding(router)):
            self.forget()

    def forget(self) -> None:
        """Drop everything that was derived."""
        self._islands_by_router.clear()
        self._owner_by_address.clear()
        self._peer_states.clear()
        self._core_of.clear()
        self._local.clear()
        self._exported.clear()

    def peers(self, router: str) -> tuple[PeerState, ...]:
        """The state of each configured BGP session; one to an address outside the network faces a customer."""
        self._topology.node(router)
        if router not in self._peer_states:
            own = self._forwarding(router)
            self._peer_states[router] = tuple(self._peer_state(router, own, peer) for peer in own.peers)
        return self._peer_states[router]

    def vpn_routes(self, router: str) -> tuple[VpnRoute, ...]:
        """The best route of each VRF to each prefix: a connected one, else a static, else an imported one."""
        self._topology.node(router)
        own = self._forwarding(router)
        heard = sorted({router, *self._heard(router)}) if own.instances else []  # its other VRFs' routes count as heard
        local = self._local_routes(router)
        routes: list[VpnRoute] = []
        for instance in own.instances:
            if instance.enabled:
                candidates = (*local[instance.name], *self._imported_routes(heard, instance))
                best: dict[str, VpnRoute] = {}
                for route in sorted(candidates, key=_route_rank):
                    best.setdefault(route.prefix, route)
                routes += sorted(best.values(), key=lambda route: prefix_order(route.prefix))
        return tuple(routes)

    def _peer_state(self, router: str, own: RouterForwarding, peer: BgpPeer) -> PeerState:
        if peer.instance:
            return self._customer_session(router, own, peer)
        neighbour = self._address_owners().get(host(peer.address), "")
        reason = self._obstacle(router, own, peer, neighbour)
        return PeerState(peer.address, peer.instance, established=not reason, neighbour=neighbour, reason=reason)

    def _customer_session(self, router: str, own: RouterForwarding, peer: BgpPeer) -> PeerState:
        """The lab's customers answer on every subnet of a VRF whose interface is up."""
        instance = next((found for found in own.instances if found.name == peer.instance), None)
        for name in sorted(instance.interfaces) if instance and instance.enabled else ():
            interface = own.interfaces.get(name)
            if interface and self._links.is_up(router, name) and covers(interface.addresses, peer.address):
                return PeerState(peer.address, peer.instance, established=True, neighbour="customer")
        return PeerState(
            peer.address, peer.instance, established=False, reason="no interface of the instance reaches it"
        )

    def _obstacle(self, router: str, own: RouterForwarding, peer: BgpPeer, neighbour: str) -> str:
        """Why the session is down; empty when it is established."""
        if not neighbour or neighbour == router:
            return "no router has this address"
        theirs = self._forwarding(neighbour)
        mine = {host(address) for interface in own.interfaces.values() for address in interface.addresses}
        back = [p for p in theirs.peers if not p.instance and host(p.address) in mine]
        islands = self._islands()
        checks = {
            f"{neighbour} has no session towards this router": bool(back),
            f"{neighbour} is in AS {theirs.local_as}, not {peer.remote_as}": peer.remote_as == theirs.local_as,
            f"{neighbour} expects another AS than {own.local_as}": own.local_as in {p.remote_as for p in back},
            f"{neighbour} shares no address family": any(peer.families & p.families for p in back),
            f"no path to {neighbour}": islands.get(router) == islands.get(neighbour),
        }
        return next((reason for reason, holds in checks.items() if not holds), "")

    def _address_owners(self) -> Mapping[str, str]:
        """Router by core address; VRF addresses belong to customers and may repeat."""
        if not self._owner_by_address:
            for node in self._topology.nodes:
                own = self._forwarding(node.name)
                self._core_of[node.name] = _core(own)
                private = {name for instance in own.instances for name in instance.interfaces}
                core = [interface for name, interface in own.interfaces.items() if name not in private]
                for interface in core:
                    self._owner_by_address.update((host(address), node.name) for address in interface.addresses)
        return self._owner_by_address

    def _islands(self) -> Mapping[str, int]:
        """A number for each router, equal where a path of links that are up joins two."""
        if not self._islands_by_router:
            self._address_owners()  # takes the cores, so that a change of one is noticed
            for number, node in enumerate(self._topology.nodes):
                self._flood(node.name, number, self._islands_by_router)
        return self._islands_by_router

    def _flood(self, start: str, number: int, islands: dict[str, int]) -> None:
        waiting = [start]
        while waiting:
            router = waiting.pop()
            if router not in islands:
                islands[router] = number
                waiting += [adjacency.neighbour for adjacency in self._links.adjacencies(router)]

    def _heard(self, router: str) -> set[str]:
        """The routers whose VPN routes arrive: direct peers, and through a reflector unless both are non-clients."""
        heard: set[str] = set()
        for state in self.peers(router):
            if state.established and state.neighbour != "customer":
                heard.add(state.neighbour)
                heard |= self._reflected(router, state.neighbour)
        heard.discard(router)
        return heard

    def _reflected(self, router: str, reflector: str) -> set[str]:
        clients: set[str] = set()
        others: set[str] = set()
        theirs = self._forwarding(reflector)
        for peer, state in zip(theirs.peers, self.peers(reflector), strict=True):
            if state.established and state.neighbour != "customer":
                (clients if peer.reflector_client else others).add(state.neighbour)
        return clients | others if router in clients else clients

    def _local_routes(self, router: str) -> Mapping[str, tuple[VpnRoute, ...]]:
        """The connected and static routes of each VRF that is enabled, by its name."""
        if router not in self._local:
            own = self._forwarding(router)
            self._local[router] = {
                instance.name: tuple(self._originated(router, own, instance))
                for instance in own.instances
                if instance.enabled
            }
        return self._local[router]

    def _originated(self, router: str, own: RouterForwarding, instance: VpnInstance) -> Iterator[VpnRoute]:
        up = [
            own.interfaces[n]
            for n in sorted(instance.interfaces)
            if n in own.interfaces and self._links.is_up(router, n)
        ]
        for interface in up:
            for prefix in sorted(set(map(subnet, interface.addresses))):
                targets = instance.targets_of(prefix) if interface.announce_subnet else frozenset()
                preference = interface.local_preference
                yield VpnRoute(instance.name, prefix, "direct", router, interface.name, targets, preference)
        for route in instance.static_routes:
            through = next((found for found in up if covers(found.addresses, route.next_hop)), None)
            if through is not None:
                targets = instance.targets_of(route.prefix, route.tag)
                preference = through.local_preference
                yield VpnRoute(instance.name, route.prefix, "static", router, route.next_hop, targets, preference)

    def _imported_routes(self, heard: Iterable[str], instance: VpnInstance) -> Iterator[VpnRoute]:
        targets = sorted(instance.imports)
        for router in heard:
            exported = self._exported_routes(router)
            found = dict.fromkeys(route for target in targets for route in exported.get(target, ()))
            for route in found:
                yield replace(route, instance=instance.name)

    def _exported_routes(self, router: str) -> Mapping[str, Sequence[VpnRoute]]:
        """The routes that a router tells the others, by each route target they carry."""
        if router not in self._exported:
            own = self._forwarding(router)
            local = self._local_routes(router)
            exported: dict[str, list[VpnRoute]] = {}
            for instance in own.instances:
                next_hop = instance.segment or own.router_id
                for route in local.get(instance.name, ()):
                    told = replace(route, source="vpn", next_hop=next_hop)
                    for target in route.targets:
                        exported.setdefault(target, []).append(told)
            self._exported[router] = exported
        return self._exported[router]


def _core(own: RouterForwarding) -> tuple[object, ...]:
    """The part of a configuration that other routers' sessions depend on."""
    private = {name for instance in own.instances for name in instance.interfaces}
    core = {name: found for name, found in own.interfaces.items() if name not in private}
    return core, own.local_as, own.router_id, tuple(peer for peer in own.peers if not peer.instance)


def _route_rank(route: VpnRoute) -> tuple[int, int]:
    """Low is good; what is equal is taken in the order of interfaces and router names."""
    return ("direct", "static", "vpn").index(route.source), -route.preference
