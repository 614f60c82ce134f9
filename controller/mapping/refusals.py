"""Owns the list of what L3SM (RFC 8299) can say and this program does not do.

`yang/accord-l3vpn-svc-deviations.yang` is the same list for machines. Schema paths below /l3vpn-svc, without prefixes;
a node stands for all below it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_SITE = "/sites/site"
_ACCESS = f"{_SITE}/site-network-accesses/site-network-access"
_SERVICE = "/vpn-services/vpn-service"
_QOS_RULE = "/service/qos/qos-classification-policy/rule/match-flow/target-sites"

NOT_SUPPORTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "/vpn-profiles/valid-provider-identifiers/cloud-identifier": "access to public clouds is not offered",
        "/vpn-profiles/valid-provider-identifiers/encryption-profile-identifier": "encryption is not offered",
        f"{_SERVICE}/cloud-accesses": "access to public clouds is not offered",
        f"{_SERVICE}/multicast": "multicast is not offered",
        f"{_SERVICE}/carrierscarrier": "carrier's carrier is not offered",
        f"{_SERVICE}/extranet-vpns": "extranets are not offered; attach the site to both VPNs by a VPN policy",
        f"{_SITE}/requested-site-start": "a site starts when it is committed; schedule the intent instead",
        f"{_SITE}/requested-site-stop": "a site stops when it is deleted; schedule the intent instead",
        f"{_SITE}/actual-site-start": "state, which nobody can set",
        f"{_SITE}/actual-site-stop": "state, which nobody can set",
        f"{_SITE}/devices": "customer routers are not managed",
        f"{_ACCESS}/device-reference": "customer routers are not managed",
        f"{_SITE}/traffic-protection": "fast reroute is not offered per site",
        **{
            f"{where}{node}": reason
            for where in (_SITE, _ACCESS)
            for node, reason in (
                ("/security/encryption", "encryption is not offered"),
                ("/service/carrierscarrier", "carrier's carrier is not offered"),
                ("/service/multicast", "multicast is not offered"),
                (_QOS_RULE, "classification by target site is not offered; match its prefixes"),
                ("/routing-protocols/routing-protocol/rip", "RIP is not offered"),
                ("/routing-protocols/routing-protocol/ospf/sham-links", "sham links are not offered"),
            )
        },
    }
)
"""Schema path -> why."""

RESTRICTED: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        f"{_SITE}/management/type": (
            ". = 'svc:customer-managed'",
            "customer routers are not managed",
        ),
        f"{_SITE}/site-vpn-flavor": (
            ". != 'svc:site-vpn-flavor-nni'",
            "interconnection with other providers is not offered",
        ),
        f"{_ACCESS}/bearer/always-on": (". = 'true'", "every bearer is always on"),
        **{
            f"{where}/routing-protocols/routing-protocol/type": (". != 'svc:rip'", "RIP is not offered")
            for where in (_SITE, _ACCESS)
        },
    }
)
"""Schema path -> the XPath that its value has to satisfy (prefix `svc` for ietf-l3vpn-svc), and why."""


def reason_of(schema_path: str) -> str:
    """Why a node is refused; a node that only has no use where it stands gets a general answer."""
    path = schema_path.partition("l3vpn-svc:l3vpn-svc")[2] or schema_path
    while path:
        if path in NOT_SUPPORTED:
            return NOT_SUPPORTED[path]
        path = path.rpartition("/")[0]
    return "the node has no effect where it stands"
