"""Owns the declared subset of FRR's configuration (vtysh) in the words of the `ietf` profile.

VRFs, interfaces with description and addresses, BGP instances with route distinguisher and targets (`ipv4 unicast`),
static routes of VRFs. What else is in a device's configuration is told as unknown and left alone.
"""

from controller.datastore.cli_template import TEXT, WORD, Row, Table, TemplateSyntax

_INTERFACE = "/ietf-interfaces:interfaces/interface[name='$interface']"
_INSTANCE = "/ietf-network-instance:network-instances/network-instance[name='$vrf']"
_VPN = f"{_INSTANCE}/accord-router:l3vpn"
_TARGETS = f"{_VPN}/vpn-targets"
_ROUTE = f"{_VPN}/static-route[prefix='$prefix{{}}'][next-hop='$hop{{}}']"
_ETHERNET = "iana-if-type:ethernetCsmacd"

_FORMS = {
    "interface": WORD,
    "vrf": WORD,
    "text": TEXT,
    "ip": r"\d+(?:\.\d+){3}",
    "ipv_six": r"[0-9a-f:]*:[0-9a-f:.]*",
    "length": r"\d{1,3}",
    "rd": r"[\d.]+:\d+",
    "target": r"[\d.]+:\d+",
    "prefix": r"\d+(?:\.\d+){3}/\d+",
    "hop": r"\d+(?:\.\d+){3}",
    "prefix_six": r"[0-9a-f:]*:[0-9a-f:.]*/\d+",
    "hop_six": r"[0-9a-f:]*:[0-9a-f:.]*",
    "tag": r"[1-9]\d{0,9}",
    # FRR shows no distance of 1, so one that is written out could not be read back.
    "distance": r"(?:[2-9]|[1-9]\d{1,2})",
    "router_id": r"\d+(?:\.\d+){3}",
}
_NOISE = (
    r"!.*|end|Building configuration\.\.\.|Current configuration:|frr (?:version|defaults) .*|hostname .*"
    r"|service integrated-vtysh-config|log .*|(?:no )?ip(?:v6)? forwarding"
)


def _interfaces() -> tuple[Row, ...]:
    kind = (f"{_INTERFACE}/type", _ETHERNET)
    vrf = (f"{_INTERFACE}/ietf-network-instance:bind-ni-name", "$vrf")
    four, six = f"{_INTERFACE}/ietf-ip:ipv4", f"{_INTERFACE}/ietf-ip:ipv6"
    return (
        Row("interface $interface vrf $vrf", ((_INTERFACE, ""), kind, vrf), opens="interface"),
        Row("interface $interface", ((_INTERFACE, ""), kind), opens="interface"),
        Row("description $text", ((f"{_INTERFACE}/description", "$text"),), "interface", delete="no description"),
        Row(
            "ip address $ip/$length",
            ((f"{four}/address[ip='$ip']", ""), (f"{four}/address[ip='$ip']/prefix-length", "$length"), (four, "")),
            "interface",
            delete_first=True,
        ),
        Row(
            "ipv6 address $ipv_six/$length",
            (
                (f"{six}/address[ip='$ipv_six']", ""),
                (f"{six}/address[ip='$ipv_six']/prefix-length", "$length"),
                (six, ""),
            ),
            "interface",
            delete_first=True,
        ),
        Row("shutdown", ((f"{_INTERFACE}/enabled", "false"),), "interface"),
    )


def _static_routes(command: str, suffix: str) -> tuple[Row, ...]:
    entry = _ROUTE.format(suffix, suffix)
    line = f"{command} $prefix{suffix} $hop{suffix}"
    tag, distance = (f"{entry}/tag", "$tag"), (f"{entry}/preference", "$distance")
    exists = ((entry, ""), (_VPN, ""))
    return (
        Row(f"{line} tag $tag $distance", (*exists, tag, distance), "vrf", delete_first=True),
        Row(f"{line} tag $tag", (*exists, tag), "vrf", delete_first=True),
        Row(f"{line} $distance", (*exists, distance), "vrf", delete_first=True),
        Row(line, exists, "vrf", delete_first=True),
    )


def _bgp(autonomous_system: int) -> tuple[Row, ...]:
    instance = f"router bgp {autonomous_system}"
    both = ((f"{_TARGETS}/import[.='$*target']", ""), (f"{_TARGETS}/export[.='$*target']", ""))
    family = "family"
    return (
        Row(instance, (("/accord-router:router/asn", str(autonomous_system)),), opens="bgp", takes_children=True),
        Row(
            "bgp router-id $router_id",
            (("/accord-router:router/router-id", "$router_id"),),
            "bgp",
            delete="no bgp router-id",
        ),
        Row(f"{instance} vrf $vrf", ((_VPN, ""), (_INSTANCE, "")), opens="bgp-vrf", takes_children=True),
        Row(
            "address-family ipv4 unicast",
            ((f"{_VPN}/route-distinguisher", "$rd"),),
            "bgp-vrf",
            family,
            "exit-address-family",
            is_heading=True,
        ),
        Row("rd vpn export $rd", ((f"{_VPN}/route-distinguisher", "$rd"),), family, delete="no rd vpn export $rd"),
        Row("rt vpn both $*target", both, family, delete="no rt vpn both"),
        Row("rt vpn import $*target", both[:1], family, delete="no rt vpn import"),
        Row("rt vpn export $*target", both[1:], family, delete="no rt vpn export"),
    )


def frr_syntax(autonomous_system: int) -> TemplateSyntax:
    """FRR's CLI for a router of this autonomous system (its number stands in the lines of every VRF's BGP)."""
    vrf = Row("vrf $vrf", ((_INSTANCE, ""),), opens="vrf", close="exit-vrf", takes_children=True)
    routes = (*_static_routes("ip route", ""), *_static_routes("ipv6 route", "_six"))
    return TemplateSyntax(Table((vrf, *routes, *_interfaces(), *_bgp(autonomous_system)), _FORMS, _NOISE))
