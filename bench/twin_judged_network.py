"""Owns the network that the twin is judged on: a published topology with VPNs, tunnels, traffic, spelled twice."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import ip_network

from lxml import etree

from bench.synthetic import edit, service, site
from controller.datastore.config_tree import ConfigTree
from controller.datastore.diff import Edit, apply, diff
from controller.mapping.fragment import render
from controller.mapping.infrastructure import Infrastructure, PeInfo, PortInfo
from controller.mapping.service import L3smState
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.model.yang_path import Path, parse_path
from controller.topology.constraints import PathRequest
from controller.topology.network import Link, Network, Node, TerminationPoint
from controller.topology.paths import k_shortest
from controller.topology.te_database import TeDatabase
from controller.twin.configuration import DeviceForwarding
from controller.twin.entry import vrf_of
from controller.twin.intended import Attachment, Intended, Member
from controller.twin.intended_l3sm import read_site, read_vpn
from controller.twin.model import Model
from controller.twin.reading import read_device
from lab.addressing import RouterAddresses, address_plan
from lab.topologies_topohub import topohub_topology
from lab.topology import Demand, Topology

PUBLISHED = "sndlib/nobel-germany"
VPNS = 8
SITES = 4
_ACCESS_BIT_RATE = 10**9
_LOSSY_EVERY, _LOSS_RATIO = 4, 0.02
_COLORS = (100, 101)
_ADJACENCY, _NODE = 0xA000, 0xE000
_NAMESPACES = {
    "ietf-interfaces": "urn:ietf:params:xml:ns:yang:ietf-interfaces",
    "ietf-ip": "urn:ietf:params:xml:ns:yang:ietf-ip",
    "ietf-network-instance": "urn:ietf:params:xml:ns:yang:ietf-network-instance",
    "accord-router": "urn:accord:router",
    "iana-if-type": "urn:ietf:params:xml:ns:yang:iana-if-type",
}


@dataclass
class JudgedNetwork:
    """The same network for the twin (lines) and for the lab (documents)."""

    topology: Topology
    network: Network
    trees: dict[DeviceName, ConfigTree]
    intended: Intended

    @cached_property
    def documents(self) -> dict[str, etree._Element]:
        """Each router's configuration as the lab reads it."""
        return {name: document(tree) for name, tree in self.trees.items()}

    @cached_property
    def devices(self) -> dict[DeviceName, DeviceForwarding]:
        """Each router as the twin reads it."""
        return {name: read_device(name, tree) for name, tree in self.trees.items()}

    @cached_property
    def model(self) -> Model:
        """The twin's model."""
        return Model(self.devices, self.network)

    @cached_property
    def members(self) -> list[Member]:
        """Everybody who is attached."""
        return [member for members in self.intended.members.values() for member in members.values()]

    @cached_property
    def addresses(self) -> list[str]:
        """One address of every network that anybody has, and one that nobody has."""
        return [*map(self.address_of, self.members), "198.51.100.1"]

    @staticmethod
    def address_of(member: Member) -> str:
        """An address behind an attachment."""
        return str(ip_network(next(iter(member.prefixes)))[65])

    def color_of(self, member: Member) -> int:
        """The color of the VRF that somebody sends into."""
        key = vrf_of(self.model, member.attachment)
        instance = self.model.instance(key) if key else None
        return instance.color if instance else 0

    def loaded(self, factor: float) -> Topology:
        """The topology with so many times its demands."""
        demands = tuple(Demand(each.source, each.target, int(each.bit_rate * factor)) for each in self.topology.demands)
        return replace(self.topology, demands=demands)

    def edit(self, name: str, change: Mapping[str, str | None]) -> Edit:
        """Lines set, and lines gone with all below them (None)."""
        tree = self.trees[DeviceName(name)]
        after = dict(tree)
        for text, value in change.items():
            for gone in tree.below(parse_path(text)) if value is None else ():
                after.pop(gone, None)
        after.update({parse_path(text): value for text, value in change.items() if value is not None})
        return diff(dict(tree), after)

    def after(self, name: str, change: Edit) -> etree._Element:
        """A router's configuration after an edit, as the lab reads it."""
        return document(apply(dict(self.trees[DeviceName(name)]), change))


def judged_network() -> JudgedNetwork:
    """The network, always the same."""
    published = topohub_topology(PUBLISHED)
    links = tuple(
        replace(link, loss_ratio=0.0 if number % _LOSSY_EVERY else _LOSS_RATIO)
        for number, link in enumerate(published.links)
    )
    topology = replace(published, links=links)
    plan = address_plan(topology)
    network = _network(topology, plan)
    state = _services(topology, plan)
    lines = {node.name: day0(topology, node.name, plan) for node in topology.nodes}
    for fragment in state.fragments.values():
        lines[fragment.device] |= render(fragment)
    for number, head in enumerate(sorted(lines)):
        lines[head] |= _tunnel(network, plan, sorted(lines), number)
        vrfs = sorted({path[1].keys[0][1] for path in lines[head] if path[0].name == "network-instances"})
        for vrf, color in zip(vrfs[::2], _COLORS, strict=False):
            root = f"/ietf-network-instance:network-instances/network-instance[name='{vrf}']"
            lines[head][parse_path(f"{root}/accord-router:l3vpn/color")] = str(color)
    trees = {DeviceName(name): ConfigTree(each) for name, each in lines.items()}
    return JudgedNetwork(topology, network, trees, _promised(state))


def _network(topology: Topology, plan: Mapping[str, RouterAddresses]) -> Network:
    links = []
    for link in topology.links:
        for a, b in ((link.a, link.b), (link.b, link.a)):
            position = topology.node(a.node).core_ports.index(a.port)
            links.append(
                Link(
                    TerminationPoint(DeviceName(a.node), a.port),
                    TerminationPoint(DeviceName(b.node), b.port),
                    BitRate(link.capacity_bit_rate),
                    delay_seconds=link.delay_seconds,
                    metric=_metric(link.delay_seconds),
                    srlgs=frozenset(link.srlgs),
                    loss_ratio=link.loss_ratio,
                    segment=_segment(plan[a.node], _ADJACENCY + position),
                )
            )
    return Network.of(
        [Node(DeviceName(node.name), endpoint=plan[node.name].loopback6) for node in topology.nodes], links
    )


def _segment(own: RouterAddresses, function: int) -> str:
    base = ip_network(own.locator)
    return str(base[function << (128 - base.prefixlen - 16)])


def _metric(delay_seconds: float) -> int:
    return max(1, round(delay_seconds * 1e5))


def day0(topology: Topology, name: str, plan: Mapping[str, RouterAddresses]) -> dict[Path, str]:
    """What a router has before anybody's service."""
    own, node = plan[name], topology.node(name)
    port = "/ietf-interfaces:interfaces/interface[name='{}']"
    texts = {
        f"{port.format('lo0')}/type": "iana-if-type:softwareLoopback",
        f"{port.format('lo0')}/enabled": "true",
        f"{port.format('lo0')}/accord-router:igp": "",
        f"{port.format('lo0')}/ietf-ip:ipv4/address[ip='{own.loopback}']/prefix-length": "32",
        f"{port.format('lo0')}/ietf-ip:ipv6/address[ip='{own.loopback6}']/prefix-length": "128",
        "/accord-router:router/asn": "65000",
        "/accord-router:router/router-id": own.loopback,
        "/accord-router:router/srv6/locator[name='main']": "",
        "/accord-router:router/srv6/locator[name='main']/prefix": own.locator,
        "/accord-router:router/srv6/locator[name='main']/node-function": str(_NODE),
    }
    texts |= {f"{port.format(access)}/enabled": "true" for access in node.access_ports}
    for link in topology.links_of(name):
        core = link.end_at(name).port
        texts[f"{port.format(core)}/enabled"] = "true"
        texts[f"{port.format(core)}/accord-router:igp"] = ""
        texts[f"{port.format(core)}/accord-router:igp/metric"] = str(_metric(link.delay_seconds))
        function = str(_ADJACENCY + node.core_ports.index(core))
        texts[f"{port.format(core)}/accord-router:igp/adjacency-function"] = function
    for peer, address in own.peers.items():
        root = f"/accord-router:router/bgp/neighbor[remote-address='{address}']"
        client = "true" if own.reflector and not plan[peer].reflector else "false"
        texts |= {root: "", f"{root}/remote-as": "65000", f"{root}/route-reflector-client": client}
        texts[f"{root}/address-family[.='vpnv4']"] = ""
    return {parse_path(path): value for path, value in texts.items()}


def _services(topology: Topology, plan: Mapping[str, RouterAddresses]) -> L3smState:
    cities = [node.name for node in topology.edge_nodes()]
    routers = tuple(
        PeInfo(
            DeviceName(node.name),
            "ietf",
            f"City {number}",
            "DE",
            65000,
            plan[node.name].loopback,
            tuple(PortInfo(port, BitRate(node.access_bit_rate)) for port in node.access_ports),
        )
        for number, node in enumerate(topology.edge_nodes())
    )
    state = L3smState()
    for vpn in range(VPNS):
        places = [(vpn * 3 + step * 5) % len(cities) for step in range(SITES)]
        sites = [
            site(f"vpn-{vpn}-{n}", city, f"vpn-{vpn}", [vpn * SITES + n], _ACCESS_BIT_RATE)
            for n, city in enumerate(places)
        ]
        wanted = edit(service(f"vpn-{vpn}"), *sites)
        state.apply(state.change(wanted, Infrastructure(routers)))
    return state


def _promised(state: L3smState) -> Intended:
    intended = Intended(vpns={name: read_vpn(document) for name, document in state.services.items()})
    for site_id, found in state.sites.items():
        places = {
            access: Attachment(place.device, place.port, place.vlan)
            for (at, access), place in state.placements.items()
            if at == site_id
        }
        for name, member in read_site(found, places):
            intended.put(f"{site_id}/{name}", member)
    return intended


def _tunnel(network: Network, plan: Mapping[str, RouterAddresses], names: list[str], number: int) -> dict[Path, str]:
    """A policy from each router to some others, by the second shortest path, with the shortest behind it."""
    database, head = TeDatabase(network), names[number]
    texts: dict[str, str] = {}
    for step, color in ((5, 100), (10, 101), (3, 100)):
        far = names[(number + step) % len(names)]
        found = k_shortest(database, PathRequest(DeviceName(head), DeviceName(far)), 2)
        root = f"/accord-router:router/srv6/policy[color='{color}'][endpoint='{plan[far].loopback6}']"
        texts |= {root: "", f"{root}/name": f"{color}-{far}"}
        for discriminator, path in enumerate(found, start=1):
            at = f"{root}/candidate-path[discriminator='{discriminator}']"
            texts |= {at: "", f"{at}/preference": str(100 * discriminator), f"{at}/segment-list[id='1']": ""}
            for index, segment in enumerate(path.segments, start=1):
                texts[f"{at}/segment-list[id='1']/segment[index='{index}']/sid"] = segment
    return {parse_path(path): value for path, value in texts.items()}


def document(lines: Mapping[Path, str]) -> etree._Element:
    """Lines as the XML that a router holds: entries with their keys first."""
    root = etree.Element("data", nsmap=_NAMESPACES)
    made: dict[Path, etree._Element] = {(): root}
    for path in sorted(lines):
        _element(made, path).text = lines[path] or _element(made, path).text
    return root


def _element(made: dict[Path, etree._Element], path: Path) -> etree._Element:
    if path not in made:
        step = path[-1]
        namespace = f"{{{_NAMESPACES[step.module]}}}"
        made[path] = etree.SubElement(_element(made, path[:-1]), namespace + step.name)
        for key, value in step.keys:
            if key == ".":
                made[path].text = value
            else:
                etree.SubElement(made[path], namespace + key).text = value
    return made[path]
