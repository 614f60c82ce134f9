"""Day 0: what a router is configured with before anybody's service, as an XML tree for its module set.

Owns the initial configuration: loopback, addressed core links in the IGP, access ports ready for customers, BGP
sessions for VPN routes (RFC 4364) as a mesh or towards reflectors (RFC 4456), an SRv6 locator (RFC 8986), a STAMP
reflector (RFC 8762). Nodes that the module set lacks are left out.
"""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree

from lab.addressing import AUTONOMOUS_SYSTEM, LOOPBACK, RouterAddresses
from lab.router.schema import Schema
from lab.router.xml import add, data
from lab.topology import Link, Node, Topology

LOCATOR = "main"
_IF = "{urn:ietf:params:xml:ns:yang:ietf-interfaces}"
_IP = "{urn:ietf:params:xml:ns:yang:ietf-ip}"
_IANA = "urn:ietf:params:xml:ns:yang:iana-if-type"
_ACCORD = "{urn:accord:router}"
_MICROSECONDS_PER_METRIC = 10
_LEAST_WANTED = 16777214  # only who is steered there goes over an optical tunnel
OPTICAL_ADMIN_GROUP = 1
"""Administrative group of links over the optical domain."""
_NODE_FUNCTION = 0xE000
_FIRST_ADJACENCY_FUNCTION = 0xA000  # one more for each core port; VPN segments start at 1


def day0_configuration(
    topology: Topology, node: Node, plan: Mapping[str, RouterAddresses], schema: Schema
) -> etree._Element:
    """The configuration a router boots with the first time: a <data> tree, empty for a set without ietf-interfaces."""
    tree = data()
    if "ietf-interfaces" not in schema.namespaces:
        return tree
    ours = "accord-router" in schema.namespaces
    own = plan[node.name]
    interfaces = add(tree, f"{_IF}interfaces")
    for port in node.access_ports:
        _interface(interfaces, port, "ethernetCsmacd", "customer facing")
    for link in topology.links_of(node.name):
        port = link.end_at(node.name).port
        interface = _interface(interfaces, port, "ethernetCsmacd", f"to {link.other_end(node.name)}")
        _addresses(interface, *own.ports[port])
        if ours:
            _core_link(interface, link, node.core_ports.index(port))
    loopback = _interface(interfaces, LOOPBACK, "softwareLoopback", "")
    _addresses(loopback, f"{own.loopback}/32", f"{own.loopback6}/128")
    if ours:
        add(loopback, f"{_ACCORD}igp")
        _router(tree, own, plan)
    return tree


def _interface(parent: etree._Element, name: str, kind: str, description: str) -> etree._Element:
    interface = add(parent, f"{_IF}interface")
    add(interface, f"{_IF}name", name)
    if description:
        add(interface, f"{_IF}description", description)
    add(interface, f"{_IF}type", f"ianaift:{kind}", ianaift=_IANA)
    add(interface, f"{_IF}enabled", "true")
    return interface


def _core_link(interface: etree._Element, link: Link, position: int) -> None:
    """Routing over the link, the segment that leaves over it, and what traffic engineering must know."""
    igp = add(interface, f"{_ACCORD}igp")
    metric = max(1, round(link.delay_seconds * 1e6 / _MICROSECONDS_PER_METRIC))
    add(igp, f"{_ACCORD}metric", str(_LEAST_WANTED if link.over else metric))
    add(igp, f"{_ACCORD}adjacency-function", str(_FIRST_ADJACENCY_FUNCTION + position))
    te = add(igp, f"{_ACCORD}te")
    if link.over:
        add(te, f"{_ACCORD}admin-group", str(OPTICAL_ADMIN_GROUP))
    for group in link.srlgs:
        add(te, f"{_ACCORD}srlg", str(group))
    add(te, f"{_ACCORD}maximum-reservable-bandwidth", str(link.capacity_bit_rate))


def _addresses(interface: etree._Element, *addresses: str) -> None:
    for text in addresses:
        ip, _, length = text.partition("/")
        family = add(interface, f"{_IP}ipv6" if ":" in ip else f"{_IP}ipv4")
        address = add(family, f"{_IP}address")
        add(address, f"{_IP}ip", ip)
        add(address, f"{_IP}prefix-length", length)


def _router(tree: etree._Element, own: RouterAddresses, plan: Mapping[str, RouterAddresses]) -> None:
    router = add(tree, f"{_ACCORD}router")
    add(router, f"{_ACCORD}asn", str(AUTONOMOUS_SYSTEM))
    add(router, f"{_ACCORD}router-id", own.loopback)
    if own.peers:
        bgp = add(router, f"{_ACCORD}bgp")
        for name, address in own.peers.items():
            _neighbor(bgp, name, address, client=own.reflector and not plan[name].reflector)
    srv6 = add(router, f"{_ACCORD}srv6")
    add(srv6, f"{_ACCORD}source-address", own.loopback6)
    locator = add(srv6, f"{_ACCORD}locator")
    add(locator, f"{_ACCORD}name", LOCATOR)
    add(locator, f"{_ACCORD}prefix", own.locator)
    add(locator, f"{_ACCORD}node-function", str(_NODE_FUNCTION))
    add(add(router, f"{_ACCORD}oam"), f"{_ACCORD}stamp-reflector")


def _neighbor(bgp: etree._Element, name: str, address: str, *, client: bool) -> None:
    neighbor = add(bgp, f"{_ACCORD}neighbor")
    add(neighbor, f"{_ACCORD}remote-address", address)
    add(neighbor, f"{_ACCORD}description", name)
    add(neighbor, f"{_ACCORD}remote-as", str(AUTONOMOUS_SYSTEM))
    add(neighbor, f"{_ACCORD}update-source", LOOPBACK)
    for family in ("vpnv4", "vpnv6"):
        add(neighbor, f"{_ACCORD}address-family", family)
    if client:
        add(neighbor, f"{_ACCORD}route-reflector-client", "true")
