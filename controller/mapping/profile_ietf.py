"""Owns how the network model is told to a router with IETF modules and our accord-router.

ietf-interfaces (RFC 8343), ietf-ip (RFC 8344), ietf-network-instance (RFC 8529).
"""

from collections.abc import Callable

from controller.mapping.network_model import IpConnection, NetworkAccess, VpnNode
from controller.mapping.profile import Row, Section, always, exists, only, render_sections, when
from controller.model.yang_path import Path

_VRF = "/ietf-network-instance:network-instances/network-instance[name='{vrf}']"
_VPN = f"{_VRF}/accord-router:l3vpn"
_INTERFACE = "/ietf-interfaces:interfaces/interface[name='{interface}']"


def _connections(family: str) -> Callable[[NetworkAccess], tuple[IpConnection, ...]]:
    return lambda access: tuple(found for found in access.connections if found.family == family)


def _has(family: str) -> Callable[[NetworkAccess], bool]:
    return lambda access: access.connection(family) is not None


NODE = (
    Section(_VRF, (
        Row("", exists),
        Row("/enabled", always("true")),
        Row("/description", "description"),
    )),
    Section(_VPN, (
        Row("", exists),
        Row("/route-distinguisher", "route_distinguisher"),
        Row("/vpn-targets/import[.='{}']", "import_targets"),
        Row("/vpn-targets/export[.='{}']", "export_targets"),
        Row("/srv6", exists),
        Row("/srv6/locator", "locator"),
        Row("/srv6/function", "function"),
        Section("/vpn-targets/prefix-export[name='{name}']", (
            Row("", exists),
            Row("/route-target[.='{}']", "targets"),
            Row("/prefix[.='{}']", "prefixes"),
            Row("/tag[.='{}']", "tags"),
        ), each=lambda node: node.prefix_exports),
        Section("/maximum-routes[address-family='{family}']", (
            Row("", exists),
            Row("/limit", "limit"),
            Row("/action", always("drop")),
        ), each=lambda node: node.maximum_routes),
    )),
)  # fmt: skip

ROUTING = Section(_VPN, (
    Section("/static-route[prefix='{prefix}'][next-hop='{next_hop}']", (
        Row("", exists),
        Row("/tag", "tag"),
        Row("/bfd", only("bfd", "bfd")),
    ), each=lambda access: access.static_routes),
    Section("/bgp/neighbor[remote-address='{address}']", (
        Row("", exists),
        Row("/remote-as", "remote_as"),
        Row("/address-family[.='{}']", lambda neighbor: (neighbor.family,)),
        Row("/as-override", always("true")),
        Row("/site-of-origin", "site_of_origin"),
        Row("/prefix-limit", "prefix_limit"),
        Row("/bfd", only("bfd", "bfd")),
    ), each=lambda access: access.bgp),
    Section("/ospf[address-family='{family}']", (
        Row("", exists),
        Row("/area[area-id='{area}']", exists),
        Section("/area[area-id='{area}']/interface[name='{interface}']", (
            Row("", exists),
            Row("/metric", "metric"),
            Row("/bfd", only("bfd", "bfd")),
        )),
    ), each=lambda access: access.ospf),
))  # fmt: skip

QOS = Section("/accord-router:qos", (
    Row("", exists),
    Row("/input-bandwidth", "input_bandwidth"),
    Row("/output-bandwidth", "output_bandwidth"),
    Section("/classification-rule[sequence='{sequence}']", (
        Row("", exists),
        Row("/name", "name"),
        Row("/dscp", "dscp"),
        Row("/dot1p", "dot1p"),
        Row("/source-prefix", "source_prefix"),
        Row("/destination-prefix", "destination_prefix"),
        Row("/protocol", "protocol"),
        Row("/source-port[.='{}']", "source_ports"),
        Row("/destination-port[.='{}']", "destination_ports"),
        Row("/application", "application"),
        Row("/class", "traffic_class"),
    ), each=lambda access: access.rules),
    Section("/class[name='{name}']", (
        Row("", exists),
        Row("/direction", "direction"),
        Row("/input-guarantee", only("input_guarantee", "input_guarantee")),
        Row("/output-guarantee", only("output_guarantee", "output_guarantee")),
        Row("/rate-limit", "rate_limit"),
        Row("/lowest-latency", when("lowest_latency")),
        Row("/latency-bound", "latency_bound_milliseconds"),
        Row("/lowest-jitter", when("lowest_jitter")),
        Row("/jitter-bound", "jitter_bound_microseconds"),
        Row("/end-to-end", only("end_to_end", "end_to_end")),
    ), each=lambda access: access.classes),
))  # fmt: skip

DHCP = Section("/accord-router:dhcp[address-family='{family}']", (
    Row("", exists),
    Row("/server", when("is_dhcp_server")),
    Row("/server/number-of-addresses", "dhcp_addresses"),
    Row("/relay-server[.='{}']", "relay_servers"),
    Section("/server/pool[name='{name}']", (
        Row("", exists),
        Row("/start", "start"),
        Row("/end", "end"),
    ), each=lambda connection: connection.dhcp_pools),
), each=lambda access: [c for c in access.connections if c.is_dhcp_server or c.relay_servers])  # fmt: skip

ACCESS = (
    Section(_INTERFACE, (
        Row("", exists),
        Row("/type", always("iana-if-type:l2vlan")),
        Row("/enabled", always("true")),
        Row("/description", "description"),
        Row("/ietf-network-instance:bind-ni-name", "vrf"),
        Row("/accord-router:vlan-subinterface", exists),
        Row("/accord-router:vlan-subinterface/parent", "port"),
        Row("/accord-router:vlan-subinterface/vlan-id", "vlan"),
        Row("/accord-router:attachment", exists),
        Row("/accord-router:attachment/type", "kind"),
        Row("/accord-router:attachment/neighbor[.='{}']", "neighbors"),
        Row("/accord-router:attachment/announce-subnet", only("announce_subnet", "announce_subnet")),
        Row("/accord-router:attachment/local-preference", "local_preference"),
        QOS,
        DHCP,
        Section("/accord-router:router-advertisement", (
            Row("", exists),
            Row("/prefix[.='{}']", lambda connection: (connection.advertised_prefix,)),
            Row("/managed", only("managed", "managed")),
        ), each=lambda access: [c for c in access.connections if c.advertised_prefix]),
        Section("/accord-router:vrrp-group[address-family='{family}'][id='{group}']", (
            Row("", exists),
            Row("/virtual-address", "virtual_address"),
            Row("/priority", "priority"),
        ), each=lambda access: access.vrrp),
        Section("/accord-router:bfd-session[remote-address='{address}']", (
            Row("", exists),
            Row("/detection-time", "detection_milliseconds"),
        ), each=lambda access: access.bfd),
        *(
            Section(f"/ietf-ip:{family}", (
                Row("", exists),
                Row("/enabled", always("true")),
                Row("/forwarding", always("true")),
                Row("/address[ip='{provider_address}']", exists),
                Row("/address[ip='{provider_address}']/prefix-length", "prefix_length"),
            ), each=_connections(family))
            for family in ("ipv4", "ipv6")
        ),
        *(
            Row(f"/ietf-ip:{family}/mtu", only(_has(family), "mtu"))
            for family in ("ipv4", "ipv6")
        ),
    )),
    ROUTING,
)  # fmt: skip


def render_node(node: VpnNode) -> dict[Path, str]:
    """A VPN node as configuration lines."""
    return render_sections(NODE, node)


def render_access(access: NetworkAccess) -> dict[Path, str]:
    """A network access as configuration lines."""
    return render_sections(ACCESS, access)
