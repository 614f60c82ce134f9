"""Owns the answer to "is this change service-affecting?": an impact class per change, with its reason."""

from collections.abc import Sequence
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
    """A change whose path holds `node` has this impact, because of `reason`; first match wins."""

    node: str
    impact: Impact
    reason: str
    on_change_only: bool = True
    """Only when something that exists is changed or removed; adding new is hitless."""


RULES: tuple[ImpactRule, ...] = (
    ImpactRule("description", Impact.HITLESS, "a description carries no packets", on_change_only=False),
    ImpactRule("enabled", Impact.TRAFFIC_AFFECTING, "switches an interface or protocol on or off"),
    ImpactRule("mtu", Impact.TRAFFIC_AFFECTING, "an MTU change restarts the interface"),
    ImpactRule("bind-ni-name", Impact.TRAFFIC_AFFECTING, "moves an interface between network instances"),
    ImpactRule("address", Impact.TRAFFIC_AFFECTING, "changes the addresses of an interface in use"),
    ImpactRule("vlan-id", Impact.TRAFFIC_AFFECTING, "changes the encapsulation of an attachment in use"),
    ImpactRule("asn", Impact.SESSION_RESET, "an AS number change restarts every BGP session"),
    ImpactRule("remote-as", Impact.SESSION_RESET, "an AS number change restarts the BGP session"),
    ImpactRule("neighbor", Impact.SESSION_RESET, "a BGP neighbour restarts when its settings change"),
    ImpactRule("neighbour", Impact.SESSION_RESET, "a BGP neighbour restarts when its settings change"),
    ImpactRule("route-distinguisher", Impact.SESSION_RESET, "a new route distinguisher re-advertises the VPN"),
    ImpactRule("qos", Impact.HITLESS, "traffic conditioning is replaced in place", on_change_only=False),
)


def impact_of(edit: Edit) -> tuple[Impact, str]:
    """The worst impact in an edit and why; `(NONE, "no change")` for an empty one."""
    worst = (Impact.NONE, "no change")
    for change in edit:
        found = _impact_of_change(change)
        if found[0] > worst[0]:
            worst = found
    return worst


def _impact_of_change(change: Change, rules: Sequence[ImpactRule] = RULES) -> tuple[Impact, str]:
    names = {step.name for step in change.path}
    for rule in rules:
        if rule.node in names and not (rule.on_change_only and change.old is None):
            return rule.impact, rule.reason
    if change.old is None:
        return Impact.HITLESS, "only adds what was not there"
    if change.new is None:
        return Impact.TRAFFIC_AFFECTING, "removes configuration in use"
    return Impact.TRAFFIC_AFFECTING, f"changes '{change.path[-1].name}' in use; no rule says it is hitless"
