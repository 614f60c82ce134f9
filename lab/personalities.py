"""What a router's configuration is written in: named module sets, and their day 0 beside that of our own set.

Owns the `openconfig` personality: it runs when its modules are on the search path that the user gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lxml import etree

from lab.addressing import LOOPBACK, RouterAddresses
from lab.router.schema import ModuleSet, default_module_set
from lab.router.xml import add, data
from lab.topology import Node, Topology

OPENCONFIG = "openconfig"
_OPENCONFIG_MODULES = (
    "openconfig-interfaces",
    "openconfig-if-ip",
    "openconfig-if-ethernet",
    "openconfig-vlan",
    "openconfig-network-instance",
    "openconfig-routing-policy",
    "openconfig-qos",
    "iana-if-type",
)
_IF = "{http://openconfig.net/yang/interfaces}"
_IP = "{http://openconfig.net/yang/interfaces/ip}"
_IANA = "urn:ietf:params:xml:ns:yang:iana-if-type"


def personality(name: str, search_path: Sequence[Path] = ()) -> ModuleSet:
    """The module set called `accord` or `openconfig`; ValueError names what there is, or what to give."""
    if name == "accord":
        return default_module_set()
    if name != OPENCONFIG:
        raise ValueError(f"there is no personality {name}: it is accord or {OPENCONFIG}")
    folders = sorted({path.parent for root in search_path for path in root.rglob("openconfig-*.yang")})
    if not folders:
        raise ValueError(f"no {OPENCONFIG} modules are below {', '.join(map(str, search_path)) or 'any --yang-path'}")
    return ModuleSet(OPENCONFIG, _OPENCONFIG_MODULES, tuple(folders))


def openconfig_day0(topology: Topology, node: Node, own: RouterAddresses) -> etree._Element:
    """Ports and loopback, addressed in the core: what an OpenConfig router boots with the first time."""
    tree = data()
    interfaces = add(tree, f"{_IF}interfaces")
    for port in node.access_ports:
        _interface(interfaces, port, "ethernetCsmacd", "customer facing")
    for link in topology.links_of(node.name):
        port = link.end_at(node.name).port
        interface = _interface(interfaces, port, "ethernetCsmacd", f"to {link.other_end(node.name)}")
        _addresses(interface, *own.ports[port])
    _addresses(_interface(interfaces, LOOPBACK, "softwareLoopback", ""), f"{own.loopback}/32", f"{own.loopback6}/128")
    return tree


def _interface(parent: etree._Element, name: str, kind: str, description: str) -> etree._Element:
    interface = add(parent, f"{_IF}interface")
    add(interface, f"{_IF}name", name)
    config = add(interface, f"{_IF}config")
    add(config, f"{_IF}name", name)
    add(config, f"{_IF}type", f"ianaift:{kind}", ianaift=_IANA)
    if description:
        add(config, f"{_IF}description", description)
    add(config, f"{_IF}enabled", "true")
    return interface


def _addresses(interface: etree._Element, *addresses: str) -> None:
    subinterface = add(add(interface, f"{_IF}subinterfaces"), f"{_IF}subinterface")
    add(subinterface, f"{_IF}index", "0")
    add(add(subinterface, f"{_IF}config"), f"{_IF}index", "0")
    for text in addresses:
        ip, _, length = text.partition("/")
        family = add(subinterface, f"{_IP}ipv6" if ":" in ip else f"{_IP}ipv4")
        address = add(add(family, f"{_IP}addresses"), f"{_IP}address")
        add(address, f"{_IP}ip", ip)
        config = add(address, f"{_IP}config")
        add(config, f"{_IP}ip", ip)
        add(config, f"{_IP}prefix-length", length)
