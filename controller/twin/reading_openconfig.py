"""Owns reading OpenConfig: sub-interfaces, network instances, and the policies that announce subnets into a VPN.

What OpenConfig's published modules leave unsaid (segments of a VRF, core sessions) is taken as given.
"""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network

from controller.model.yang_path import Path, parse_path
from controller.twin.configuration import Instance, Interface, StaticRoute, bare_target
from controller.twin.reading_ietf import Names, key_of, keys_of, relative

PORTS = parse_path("/openconfig-interfaces:interfaces/interface")
SUBINTERFACES = parse_path("/openconfig-interfaces:interfaces/interface/subinterfaces/subinterface")
INSTANCES = parse_path("/openconfig-network-instance:network-instances/network-instance")
POLICIES = parse_path("/openconfig-routing-policy:routing-policy/policy-definitions/policy-definition")
Lines = Mapping[Path, str]
_VLAN: Names = ("vlan", "match", "single-tagged", "config", "vlan-id")


def read_port(entry: Path, lines: Lines) -> tuple[str, Interface | None]:
    """A port as a whole; its sub-interfaces are entries of their own."""
    name = key_of(entry[-1])
    leaves = {names: value for names, _, value in relative(entry, lines)}
    return name, Interface(name, enabled=leaves.get(("config", "enabled")) != "false") if leaves else None


def read_subinterface(entry: Path, lines: Lines) -> tuple[str, Interface | None]:
    """A sub-interface, named PORT.INDEX. Index 0 is the port's own untagged traffic."""
    port, index = key_of(entry[1]), key_of(entry[3])
    name = f"{port}.{index}"
    if not lines:
        return name, None
    leaves: dict[Names, str] = {}
    addresses: list[str] = []
    for names, steps, value in relative(entry, lines):
        leaves[names] = value
        if names[1:] == ("addresses", "address", "config", "prefix-length"):
            addresses.append(f"{key_of(steps[2])}/{value}")
    return name, Interface(
        name=name,
        enabled=leaves.get(("config", "enabled")) != "false",
        parent=port,
        vlan=int(leaves.get(_VLAN, "0")),
        addresses=tuple(sorted(addresses)),
    )


def read_instance(entry: Path, lines: Lines) -> tuple[str, Instance | None]:
    """An L3VRF; another kind of instance is None."""
    name = key_of(entry[-1])
    leaves: dict[Names, str] = {}
    lists: dict[Names, list[Path]] = {}
    for names, steps, value in relative(entry, lines):
        leaves[names] = value
        lists.setdefault(names, []).append(steps)
    if not leaves.get(("config", "type"), "").endswith(":L3VRF"):
        return name, None

    def texts(*names: str) -> frozenset[str]:
        return frozenset(bare_target(key_of(steps[-1])) for steps in lists.get(names, ()))

    targets = ("inter-instance-policies", "import-export-policy", "config")
    neighbours = lists.get(("protocols", "protocol", "bgp", "neighbors", "neighbor"), ())
    ospf = lists.get(("protocols", "protocol", "ospfv2", "areas", "area", "interfaces", "interface"), ())
    return name, Instance(
        name=name,
        needs_segment=False,
        imports=texts(*targets, "import-route-target"),
        exports=texts(*targets, "export-route-target"),
        static_routes=_static_routes(entry, lines),
        neighbours=tuple(sorted(keys_of(steps[-1])["neighbor-address"] for steps in neighbours)),
        ospf=frozenset(("ipv4", key_of(steps[-1])) for steps in ospf),
        interfaces=frozenset(key_of(steps[-1]) for steps in lists.get(("interfaces", "interface"), ())),
        announcing=texts("table-connections", "table-connection", "config", "import-policy"),
    )


def _static_routes(entry: Path, lines: Lines) -> tuple[StaticRoute, ...]:
    found = []
    for names, steps, value in relative(entry, lines):
        if names[2:] == ("static-routes", "static", "next-hops", "next-hop", "config", "next-hop"):
            prefix = keys_of(steps[3])["prefix"]
            found.append(StaticRoute(str(ip_network(prefix, strict=False)), str(ip_address(value))))
    return tuple(sorted(found, key=lambda route: (route.prefix, route.next_hop)))


def read_policy(entry: Path, lines: Lines) -> tuple[str, frozenset[str] | None]:
    """The interfaces whose subnets a policy accepts."""
    if not lines:
        return key_of(entry[-1]), None
    parts: dict[str, dict[str, str]] = {}
    for names, steps, value in relative(entry, lines):
        if names[:2] == ("statements", "statement"):
            parts.setdefault(key_of(steps[1]), {})[names[-1]] = value
    accepted = (each for each in parts.values() if each.get("policy-result") == "ACCEPT_ROUTE")
    return key_of(entry[-1]), frozenset(f"{each.get('interface')}.{each.get('subinterface')}" for each in accepted)
