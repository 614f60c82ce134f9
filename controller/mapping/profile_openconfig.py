"""Owns how the network model is told to an OpenConfig router: network-instance, interfaces, routing-policy, QoS.

What OpenConfig's published modules cannot say (address assignment, export filters, access preference and more) is
refused, with the L3SM node that asked for it, relative to its access or site (`check_node`, `check_access`).
"""

from collections.abc import Callable

from controller.mapping.network_model import (
    BfdSession,
    BgpNeighbor,
    IpConnection,
    NetworkAccess,
    RouteLimit,
    VpnNode,
    VrrpGroup,
)
from controller.mapping.profile import Row, Section, always, exists, only, render_sections
from controller.mapping.profile_openconfig_qos import QOS, check_qos
from controller.model.errors import NotSupportedError
from controller.model.yang_path import Path

_DEFAULT_PREFERENCE = 100
_BFD_MULTIPLIER = 3
_TYPES = "openconfig-policy-types"
_VRF = "/openconfig-network-instance:network-instances/network-instance[name='{vrf}']"
_TABLES = tuple(
    (protocol, family)
    for protocol in (f"{_TYPES}:BGP", f"{_TYPES}:STATIC", f"{_TYPES}:DIRECTLY_CONNECTED")
    for family in ("openconfig-types:IPV4", "openconfig-types:IPV6")
)
_POLICY = "/openconfig-routing-policy:routing-policy/policy-definitions/policy-definition[name='{vrf}-announced']"
_PORT = "/openconfig-interfaces:interfaces/interface[name='{port}']"
_BFD = Row("/enable-bfd/config/enabled", only("bfd", "bfd"))


def _untyped(text: str) -> str:
    """A distinguisher or target without the leading type that IETF's form has."""
    return text.partition(":")[2]


def _limits(family: str) -> Callable[[VpnNode], tuple[RouteLimit, ...]]:
    return lambda node: tuple(limit for limit in node.maximum_routes if limit.family == family)


def _connections_of(family: str) -> Callable[[NetworkAccess], tuple[IpConnection, ...]]:
    return lambda access: tuple(found for found in access.connections if found.family == family)


def _has(family: str) -> Callable[[NetworkAccess], bool]:
    return lambda access: access.connection(family) is not None


def _groups(family: str) -> Callable[[NetworkAccess], tuple[VrrpGroup, ...]]:
    return lambda access: tuple(group for group in access.vrrp if group.family == family)


def _neighbors(family: str) -> Callable[[NetworkAccess], tuple[BgpNeighbor, ...]]:
    return lambda access: tuple(neighbor for neighbor in access.bgp if neighbor.family == family)


def _first_bfd(access: NetworkAccess) -> tuple[BfdSession, ...]:
    return access.bfd[:1]


def _interval_microseconds(session: BfdSession) -> int:
    return session.detection_milliseconds * 1000 // _BFD_MULTIPLIER


def _protocol(identity: str, name: str) -> str:
    return f"/protocols/protocol[identifier='{_TYPES}:{identity}'][name='{name}']"


def _announced(identity: str, name: str) -> tuple[Row, ...]:
    path = _protocol(identity, name)
    return (
        Row(path, exists),
        Row(f"{path}/config/identifier", always(f"{_TYPES}:{identity}")),
        Row(f"{path}/config/name", always(name)),
    )


def _tables() -> tuple[Row, ...]:
    rows = []
    for protocol, family in _TABLES:
        path = f"/tables/table[protocol='{protocol}'][address-family='{family}']"
        rows += [
            Row(path, exists),
            Row(f"{path}/config/protocol", always(protocol)),
            Row(f"{path}/config/address-family", always(family)),
        ]
    return tuple(rows)


def _connections() -> tuple[Row, ...]:
    """Static routes go into the VPN as they are, subnets only where the policy of the VRF accepts them."""
    rows = []
    bgp = f"{_TYPES}:BGP"
    for protocol, family in _TABLES[2:]:
        path = f"/table-connections/table-connection[src-protocol='{protocol}'][dst-protocol='{bgp}']"
        path += f"[address-family='{family}']"
        rows += [
            Row(path, exists),
            Row(f"{path}/config/src-protocol", always(protocol)),
            Row(f"{path}/config/dst-protocol", always(bgp)),
            Row(f"{path}/config/address-family", always(family)),
        ]
        if protocol.endswith("STATIC"):
            rows.append(Row(f"{path}/config/default-import-policy", always("ACCEPT_ROUTE")))
        else:
            rows.append(Row(f"{path}/config/import-policy[.='{{}}']", lambda node: (f"{node.vrf}-announced",)))
    return tuple(rows)


NODE = (
    Section(_VRF, (
        Row("", exists),
        Row("/config/name", "vrf"),
        Row("/config/type", always("openconfig-network-instance-types:L3VRF")),
        Row("/config/description", "description"),
        Row("/config/router-id", "router_id"),
        Row("/config/route-distinguisher", lambda node: _untyped(node.route_distinguisher)),
        Row("/encapsulation/config/encapsulation-type", always("openconfig-network-instance-types:MPLS")),
        Row("/encapsulation/config/label-allocation-mode", always("openconfig-network-instance-types:INSTANCE_LABEL")),
        Row("/inter-instance-policies/import-export-policy/config/import-route-target[.='{}']",
            lambda node: tuple(map(_untyped, node.import_targets))),
        Row("/inter-instance-policies/import-export-policy/config/export-route-target[.='{}']",
            lambda node: tuple(map(_untyped, node.export_targets))),
        *(
            Section(f"/route-limits/route-limit[afi='openconfig-types:{family}']", (
                Row("", exists),
                Row("/config/afi", always(f"openconfig-types:{family}")),
                Row("/config/maximum", "limit"),
                Row("/config/warning-only", always("false")),
            ), each=_limits(family.lower()))
            for family in ("IPV4", "IPV6")
        ),
        *_announced("BGP", "bgp"),
        Row(f"{_protocol('BGP', 'bgp')}/bgp/global/config/as", "asn"),
        Row(f"{_protocol('BGP', 'bgp')}/bgp/global/config/router-id", "router_id"),
        *_announced("STATIC", "static"),
        *_announced("DIRECTLY_CONNECTED", "direct"),
        *_tables(),
        *_connections(),
    )),
    Section(_POLICY, (
        Row("", exists),
        Row("/config/name", lambda node: f"{node.vrf}-announced"),
    )),
)  # fmt: skip


def _reference(path: str) -> tuple[Row, ...]:
    return (Row(f"{path}/config/interface", "{port}"), Row(f"{path}/config/subinterface", "{vlan}"))


def _family(family: str) -> tuple[Row | Section, ...]:
    """Addresses, MTU and virtual routers of one family on a sub-interface."""
    base = f"/openconfig-if-ip:{family}"
    address = f"{base}/addresses/address[ip='{{provider_address}}']"
    return (
        Row(f"{base}/config/enabled", only(_has(family), always("true"))),
        Row(f"{base}/config/mtu", only(_has(family), "mtu")),
        Section(address, (
            Row("", exists),
            Row("/config/ip", "provider_address"),
            Row("/config/prefix-length", "prefix_length"),
        ), each=_connections_of(family)),
        Section(f"{address}/vrrp/vrrp-group[virtual-router-id='{{group}}']", (
            Row("", exists),
            Row("/config/virtual-router-id", "group"),
            Row("/config/virtual-address[.='{}']", lambda group: (group.virtual_address,)),
            Row("/config/priority", "priority"),
        ), each=_groups(family)),
    )  # fmt: skip


def _bgp_family(family: str) -> Section:
    name = f"openconfig-bgp-types:{family.upper()}_UNICAST"
    exchanged = f"/afi-safis/afi-safi[afi-safi-name='{name}']"
    return Section("/bgp/neighbors/neighbor[neighbor-address='{address}']", (
        Row("", exists),
        Row("/config/neighbor-address", "address"),
        Row("/config/peer-as", "remote_as"),
        Row("/as-path-options/config/replace-peer-as", always("true")),
        _BFD,
        Row(exchanged, exists),
        Row(f"{exchanged}/config/afi-safi-name", always(name)),
        Row(f"{exchanged}/config/enabled", always("true")),
        Row(f"{exchanged}/{family}-unicast/prefix-limit/config/max-prefixes", "prefix_limit"),
    ), each=_neighbors(family))  # fmt: skip


SUBINTERFACE = Section(f"{_PORT}/subinterfaces/subinterface[index='{{vlan}}']", (
    Row("", exists),
    Row("/config/index", "vlan"),
    Row("/config/description", lambda access: "; customer ".join((access.description, *access.neighbors))),
    Row("/config/enabled", always("true")),
    Row("/openconfig-vlan:vlan/match/single-tagged/config/vlan-id", "vlan"),
    *_family("ipv4"),
    *_family("ipv6"),
    Section("/openconfig-if-ip:ipv6/router-advertisement", (
        Row("/config/enable", always("true")),
        Row("/config/managed", only("managed", "managed")),
        Row("/prefixes/prefix[prefix='{advertised_prefix}']", exists),
        Row("/prefixes/prefix[prefix='{advertised_prefix}']/config/prefix", "advertised_prefix"),
    ), each=lambda access: [found for found in access.connections if found.advertised_prefix]),
))  # fmt: skip

STATIC = Section(f"{_protocol('STATIC', 'static')}/static-routes/static[prefix='{{prefix}}']", (
    Row("", exists),
    Row("/config/prefix", "prefix"),
    Section("/next-hops/next-hop[index='{next_hop}']", (
        Row("", exists),
        Row("/config/index", "next_hop"),
        Row("/config/next-hop", "next_hop"),
        _BFD,
    )),
), each=lambda access: access.static_routes)  # fmt: skip

OSPF = Section(_protocol("OSPF", "ospf"), (
    Row("", exists),
    Row("/config/identifier", always(f"{_TYPES}:OSPF")),
    Row("/config/name", always("ospf")),
    Section("/ospfv2/areas/area[identifier='{area}']", (
        Row("", exists),
        Row("/config/identifier", "area"),
        Section("/interfaces/interface[id='{interface}']", (
            Row("", exists),
            Row("/config/id", "{interface}"),
            Row("/config/metric", "metric"),
            *_reference("/interface-ref"),
            _BFD,
        )),
    )),
), each=lambda access: access.ospf)  # fmt: skip

ACCESS = (
    SUBINTERFACE,
    Section(_VRF, (
        Section("/interfaces/interface[id='{interface}']", (
            Row("", exists),
            Row("/config/id", "interface"),
            *_reference(""),
        )),
        STATIC,
        Section(_protocol("BGP", "bgp"), (_bgp_family("ipv4"), _bgp_family("ipv6"))),
        OSPF,
    )),
    Section(f"{_POLICY}/statements/statement[name='{{interface}}']", (
        Row("", exists),
        Row("/config/name", "interface"),
        *_reference("/conditions/match-interface"),
        Row("/actions/config/policy-result", always("ACCEPT_ROUTE")),
    ), each=lambda access: (access,) if access.announce_subnet else ()),
    Section("/openconfig-bfd:bfd/interfaces/interface[id='{interface}']", (
        Row("", exists),
        Row("/config/id", "{interface}"),
        Row("/config/enabled", always("true")),
        Row("/config/desired-minimum-tx-interval", _interval_microseconds),
        Row("/config/required-minimum-receive", _interval_microseconds),
        Row("/config/detection-multiplier", always(str(_BFD_MULTIPLIER))),
        *_reference("/interface-ref"),
    ), each=_first_bfd),
    *QOS,
)  # fmt: skip


def check_node(node: VpnNode) -> None:
    """Refuse what OpenConfig cannot say of a VPN."""
    if node.prefix_exports:
        raise _cannot("vpn-policies", "filter what a VPN exports")


def check_access(access: NetworkAccess) -> None:
    """Refuse what OpenConfig cannot say of an access, naming the L3SM node below the access."""
    if access.kind == "multipoint":
        raise _cannot("site-network-access-type", "tell a multipoint access from another")
    if access.local_preference != _DEFAULT_PREFERENCE:
        raise _cannot("availability/access-priority", "prefer one access to another")
    for connection in access.connections:
        if connection.is_dhcp_server or connection.relay_servers:
            raise _cannot(f"ip-connection/{connection.family}/address-allocation-type", "assign addresses by DHCP")
    if any(route.tag for route in access.static_routes):
        raise _cannot("routing-protocols/routing-protocol[type='static']/static", "tag a route with a text")
    if any(process.family == "ipv6" for process in access.ospf):
        raise _cannot("routing-protocols/routing-protocol[type='ospf']/ospf/address-family", "run OSPFv3")
    check_qos(access)


def _cannot(path: str, what: str) -> NotSupportedError:
    return NotSupportedError(f"OpenConfig's models cannot {what}", path=path, remedy="use a router of another profile")


def render_node(node: VpnNode) -> dict[Path, str]:
    """A VPN node as configuration lines; `NotSupportedError` for what cannot be said."""
    check_node(node)
    return render_sections(NODE, node)


def render_access(access: NetworkAccess) -> dict[Path, str]:
    """A network access as configuration lines; `NotSupportedError` for what cannot be said."""
    check_access(access)
    return render_sections(ACCESS, access)
