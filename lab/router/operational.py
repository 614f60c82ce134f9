"""A router's operational state in the words of its module set: what the data plane says, as a <data> tree.

Owns the writing side of RFC 8343 (interfaces, interfaces-state) and of accord-router's `config false` nodes: BGP
session states, VRF routes, LLDP neighbours, segment routing policies, BFD and STAMP results. A node that the module set
lacks is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256

from lxml import etree

from lab.planes import Adjacency, DataPlane, InterfaceState, PeerState, VpnRoute
from lab.router.datastore import ConfigStore
from lab.router.forwarding import ACCORD, IF, IP, NI
from lab.router.schema import Schema, SchemaNode
from lab.router.xml import add, data

_IANA = "urn:ietf:params:xml:ns:yang:iana-if-type"
_MICROSECONDS = 1_000_000


class OperationalState:
    """The state of one router: computed when asked for, from its running configuration and the data plane."""

    def __init__(self, router: str, schema: Schema, store: ConfigStore, plane: DataPlane) -> None:
        self._router = router
        self._schema = schema
        self._store = store
        self._plane = plane
        self._indices: dict[str, int] = {}

    def state_tree(self) -> etree._Element:
        """Return a <data> tree of `config false` nodes, with the keys of the lists they hang in."""
        tree = data()
        if "ietf-interfaces" in self._schema.namespaces:
            running = self._store.get("running")
            states = self._plane.interfaces(self._router)
            self._add_interfaces(tree, running, states)
            self._add_interfaces_state(tree, running, states)
            if "accord-router" in self._schema.namespaces:
                self._add_instances(tree, running)
                self._add_router(tree, running)
        return tree

    # Interfaces

    def _add_interfaces(
        self, tree: etree._Element, running: etree._Element, states: Mapping[str, InterfaceState]
    ) -> None:
        configured = running.findall(f"{IF}interfaces/{IF}interface")
        if not configured:
            return
        parent = add(tree, f"{IF}interfaces")
        adjacencies = {adjacency.port: adjacency for adjacency in self._plane.adjacencies(self._router)}
        node = self._schema.root.children[f"{IF}interfaces"].children[f"{IF}interface"]
        for config in configured:
            name = config.findtext(f"{IF}name", "")
            element = add(parent, f"{IF}interface")
            add(element, f"{IF}name", name)
            self._add_status(element, node, config, states[name])
            if f"{ACCORD}lldp-neighbor" in node.children:
                _add_customer_side(element, config, states[name], adjacencies.get(name))

    def _add_interfaces_state(
        self, tree: etree._Element, running: etree._Element, states: Mapping[str, InterfaceState]
    ) -> None:
        """The deprecated tree, which clients that know RFC 7223 still read; it has unconfigured ports too."""
        node = self._schema.root.children.get(f"{IF}interfaces-state")
        if node is None:
            return
        configs = {c.findtext(f"{IF}name", ""): c for c in running.findall(f"{IF}interfaces/{IF}interface")}
        parent = add(tree, f"{IF}interfaces-state")
        for name in sorted(states):
            config = configs.get(name)
            kind = (config.findtext(f"{IF}type", "") if config is not None else "").rpartition(":")[2]
            element = add(parent, f"{IF}interface")
            add(element, f"{IF}name", name)
            add(element, f"{IF}type", f"ianaift:{kind or 'ethernetCsmacd'}", ianaift=_IANA)
            self._add_status(element, node.children[f"{IF}interface"], config, states[name])
            if config is not None and states[name].up:
                _add_addresses(element, config)

    def _add_status(
        self, element: etree._Element, node: SchemaNode, config: etree._Element | None, state: InterfaceState
    ) -> None:
        enabled = config is not None and config.findtext(f"{IF}enabled", "true") != "false"
        lower = config.findtext(f"{ACCORD}vlan-subinterface/{ACCORD}parent") if config is not None else None
        leaves = {
            "admin-status": "up" if enabled else "down",
            "oper-status": _oper_status(state),
            "last-change": _date_and_time(state.changed_at),
            "if-index": str(self._index(state.name)),
            "phys-address": _mac(self._router, lower or state.name) if state.speed_bit_rate else None,
            "lower-layer-if": lower,
            "speed": str(state.speed_bit_rate) if state.speed_bit_rate else None,
        }
        for name, text in leaves.items():
            if text is not None and f"{IF}{name}" in node.children:
                add(element, f"{IF}{name}", text)
        _add_statistics(element, state)

    def _index(self, name: str) -> int:
        return self._indices.setdefault(name, len(self._indices) + 1)

    # Network instances and the router

    def _add_instances(self, tree: etree._Element, running: etree._Element) -> None:
        configured = running.findall(f"{NI}network-instances/{NI}network-instance")
        vpns = [element for element in configured if element.find(f"{ACCORD}l3vpn") is not None]
        if not vpns:
            return
        parent = add(tree, f"{NI}network-instances")
        routes = self._plane.vpn_routes(self._router)
        peers = self._plane.peers(self._router)
        for config in vpns:
            name = config.findtext(f"{NI}name", "")
            element = add(parent, f"{NI}network-instance")
            add(element, f"{NI}name", name)
            vpn = add(element, f"{ACCORD}l3vpn")
            _add_sessions(vpn, [peer for peer in peers if peer.instance == name])
            for route in routes:
                if route.instance == name:
                    _add_route(vpn, route)

    def _add_router(self, tree: etree._Element, running: etree._Element) -> None:
        config = running.find(f"{ACCORD}router")
        if config is None:
            return
        router = add(tree, f"{ACCORD}router")
        _add_sessions(router, [peer for peer in self._plane.peers(self._router) if not peer.instance])
        self._add_policies(router, config)
        self._add_measurements(router)

    def _add_policies(self, router: etree._Element, config: etree._Element) -> None:
        states = self._plane.policies(self._router)
        configured = config.findall(f"{ACCORD}srv6/{ACCORD}policy")
        srv6 = add(router, f"{ACCORD}srv6") if states else router
        for policy, state in zip(configured, states, strict=True):
            entry = add(srv6, f"{ACCORD}policy")
            for key in ("color", "endpoint"):
                add(entry, f"{ACCORD}{key}", policy.findtext(f"{ACCORD}{key}"))
            if state.active is not None:
                add(entry, f"{ACCORD}active-path", str(state.active))
            for discriminator in policy.findall(f"{ACCORD}candidate-path/{ACCORD}discriminator"):
                path = add(entry, f"{ACCORD}candidate-path")
                add(path, f"{ACCORD}discriminator", discriminator.text)
                add(path, f"{ACCORD}valid", "true" if int(discriminator.text or 0) in state.valid else "false")

    def _add_measurements(self, router: etree._Element) -> None:
        results = self._plane.stamp(self._router)
        oam = add(router, f"{ACCORD}oam") if results else router
        for result in results:
            entry = add(oam, f"{ACCORD}stamp-session")
            add(entry, f"{ACCORD}id", str(result.number))
            for leaf, seconds in (
                ("round-trip-delay", result.round_trip_seconds),
                ("forward-delay", result.forward_seconds),
                ("backward-delay", result.backward_seconds),
                ("delay-variation", result.variation_seconds),
                ("last-round-trip-delay", result.last_round_trip_seconds),
                ("last-forward-delay", result.last_forward_seconds),
            ):
                if seconds is not None:
                    add(entry, f"{ACCORD}{leaf}", str(round(seconds * _MICROSECONDS)))
            add(entry, f"{ACCORD}sent-packets", str(result.sent))
            add(entry, f"{ACCORD}lost-packets", str(result.lost))


def _oper_status(state: InterfaceState) -> str:
    if state.up:
        return "up"
    return "down" if state.present or state.speed_bit_rate else "not-present"


def _add_statistics(element: etree._Element, state: InterfaceState) -> None:
    counters = state.counters
    statistics = add(element, f"{IF}statistics")
    add(statistics, f"{IF}discontinuity-time", _date_and_time(counters.since))
    add(statistics, f"{IF}in-octets", str(counters.in_octets))
    add(statistics, f"{IF}in-unicast-pkts", str(counters.in_packets))
    add(statistics, f"{IF}in-discards", "0")
    add(statistics, f"{IF}in-errors", "0")
    add(statistics, f"{IF}out-octets", str(counters.out_octets))
    add(statistics, f"{IF}out-unicast-pkts", str(counters.out_packets))
    add(statistics, f"{IF}out-discards", str(counters.out_discards))
    add(statistics, f"{IF}out-errors", "0")


def _add_addresses(element: etree._Element, config: etree._Element) -> None:
    for family in (f"{IP}ipv4", f"{IP}ipv6"):
        addresses = config.findall(f"{family}/{IP}address")
        if addresses:
            parent = add(element, family)
            for address in addresses:
                entry = add(parent, f"{IP}address")
                add(entry, f"{IP}ip", address.findtext(f"{IP}ip"))
                add(entry, f"{IP}prefix-length", address.findtext(f"{IP}prefix-length"))
                add(entry, f"{IP}origin", "static")


def _add_customer_side(
    element: etree._Element, config: etree._Element, state: InterfaceState, adjacency: Adjacency | None
) -> None:
    """What answers at the far end: BFD on any interface that is up, LLDP on core links."""
    for session in config.findall(f"{ACCORD}bfd-session"):
        entry = add(element, f"{ACCORD}bfd-session")
        add(entry, f"{ACCORD}remote-address", session.findtext(f"{ACCORD}remote-address"))
        add(entry, f"{ACCORD}session-up", "true" if state.up else "false")
    if adjacency is not None:
        entry = add(element, f"{ACCORD}lldp-neighbor")
        add(entry, f"{ACCORD}remote-system", adjacency.neighbour)
        add(entry, f"{ACCORD}remote-port", adjacency.neighbour_port)


def _add_sessions(parent: etree._Element, peers: list[PeerState]) -> None:
    if peers:
        bgp = add(parent, f"{ACCORD}bgp")
        for peer in peers:
            neighbor = add(bgp, f"{ACCORD}neighbor")
            add(neighbor, f"{ACCORD}remote-address", peer.address)
            add(neighbor, f"{ACCORD}session-state", "established" if peer.established else "active")


def _add_route(vpn: etree._Element, route: VpnRoute) -> None:
    entry = add(vpn, f"{ACCORD}route")
    add(entry, f"{ACCORD}prefix", route.prefix)
    add(entry, f"{ACCORD}source", route.source)
    add(entry, f"{ACCORD}next-hop", route.next_hop)


def _date_and_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _mac(router: str, port: str) -> str:
    """A locally administered address that is the same in every run."""
    octets = sha256(f"{router}\x1f{port}".encode()).digest()[:5]
    return ":".join(f"{octet:02x}" for octet in (0x02, *octets))
