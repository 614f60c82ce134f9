"""Owns the answer to "is this change service-affecting?": an impact class per change, with its reason."""

from dataclasses import dataclass
from enum import IntEnum

from controller.datastore.diff import Change, Edit


class Impact(IntEnum):
    """Ordered by how much it hurts; a plan has the worst of its changes."""

    NONE = 0
    HITLESS = 1
    """Adds something new, or changes what carries no packets."""
    SESSION_RESET = 2
    """A routing session or adjacency restarts."""
    TRAFFIC_AFFECTING = 3
    """Packets of a running service may be lost while it is applied."""


@dataclass(frozen=True, slots=True)
class ImpactRule:
    """A change of something that exists, whose path holds `node`, has this impact because of `reason`; first wins.

    Adding what was not there is hitless; removing is as bad as changing unless the rule is `always` so.
    """

    node: str
    impact: Impact
    reason: str
    always: bool = False


_H, _R, _T = Impact.HITLESS, Impact.SESSION_RESET, Impact.TRAFFIC_AFFECTING
RULES: tuple[ImpactRule, ...] = (
    ImpactRule("description", _H, "a description carries no packets", always=True),
    ImpactRule("qos", _H, "traffic conditioning is replaced in place", always=True),
    ImpactRule("maximum-routes", _H, "a route limit drops nothing that is within it", always=True),
    ImpactRule("lldp", _H, "neighbour discovery carries no customer's packets", always=True),
    ImpactRule("enabled", _T, "switches an interface or protocol on or off"),
    ImpactRule("mtu", _T, "an MTU change restarts the interface"),
    ImpactRule("bind-ni-name", _T, "moves an interface between network instances"),
    ImpactRule("address", _T, "changes the addresses of an interface in use"),
    ImpactRule("vlan-id", _T, "changes the encapsulation of an attachment in use"),
    ImpactRule("vpn-targets", _T, "changes which sites reach each other"),
    ImpactRule("static-route", _T, "changes where packets to a prefix go"),
    ImpactRule("asn", _R, "an AS number change restarts every BGP session"),
    ImpactRule("remote-as", _R, "an AS number change restarts the BGP session"),
    ImpactRule("peer-as", _R, "an AS number change restarts the BGP session"),
    ImpactRule("bgp", _R, "a BGP neighbour restarts when its settings change"),
    ImpactRule("ospf", _R, "an OSPF adjacency restarts when its settings change"),
    ImpactRule("vrrp-group", _R, "the master is elected anew"),
    ImpactRule("bfd-session", _R, "the BFD session, and what rests on it, restarts"),
    ImpactRule("route-distinguisher", _R, "a new route distinguisher re-advertises the VPN"),
)


def impact_of(edit: Edit) -> tuple[Impact, str]:
    """The worst impact in an edit and why; `(NONE, "no change")` for an empty one."""
    worst = (Impact.NONE, "no change")
    for change in edit:
        found = _impact_of_change(change)
        if found[0] > worst[0]:
            worst = found
    return worst


def _impact_of_change(change: Change) -> tuple[Impact, str]:
    if change.old is None:
        return Impact.HITLESS, "only adds what was not there"
    names = {step.name for step in change.path}
    rule = next((rule for rule in RULES if rule.node in names), None)
    if change.new is None and not (rule and rule.always):
        return Impact.TRAFFIC_AFFECTING, "removes configuration in use"
    if rule is None:
        return Impact.TRAFFIC_AFFECTING, f"changes '{change.path[-1].name}' in use; no rule says it is hitless"
    return rule.impact, rule.reason
