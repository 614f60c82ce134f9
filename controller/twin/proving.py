"""Owns the proof of a change: every packet class that the change may touch is followed through the network after it.

A class is (VRF that the packet enters, kind of its sender, destination); all packets of one meet the same fate. Only
classes whose VRFs, routes or promises differ are followed, so a proof costs what the change costs. What was broken
before and stays so is told and not held against the change.
"""

from collections.abc import Iterable, Iterator

from controller.twin.entry import State, entry_fault
from controller.twin.intended import Intended
from controller.twin.isolation import Isolation
from controller.twin.model import Model
from controller.twin.provider_core import CONNECTED
from controller.twin.reach import Names, Reach
from controller.twin.risks import Risks
from controller.twin.scope import Scope, scope_of, whole
from controller.twin.sessions import ASSUMED
from controller.twin.tunnels import policy_faults, tunnel_faults
from controller.twin.verdict import CounterExample, Verdict


def prove(before: State, after: State, *, failures: bool = True) -> Verdict:
    """What the change breaks. `failures`: what every single failure of the core would break then, where it is known."""
    scope = scope_of(before, after)
    reach = Reach(after, scope, _absent(before, after, scope))
    isolation = Isolation(before, after, scope)
    found = _unique((*reach.faults(), *isolation.faults(), *_of_tunnels(before, after, scope)))
    known = _keys_before(before, scope) if found else frozenset()
    refusals = tuple(each for each in found if each.key not in known)
    risks = Risks(reach, scope)
    at_risk = _unique(risks.faults()) if failures and not refusals else ()
    return Verdict(
        refusals=refusals,
        standing=tuple(each for each in found if each.key in known),
        risks=at_risk,
        classes=reach.classes + isolation.classes,
        failures=risks.tried,
        assumptions=(*_assumptions(after.model), *risks.notes),
    )


def audit(state: State, *, failures: bool = False) -> Verdict:
    """Everything that was promised, and nothing taken for granted."""
    nothing = State(Model({}, state.model.network), Intended())
    after = State(nothing.model.changed(tuple(state.model.devices.values())), state.intended)
    return prove(nothing, after, failures=failures)


def _of_tunnels(before: State, after: State, scope: Scope) -> Iterator[CounterExample]:
    """Tunnels and policies: of the head ends that changed, or all of them when the core or a promise did."""
    heads = frozenset(after.model.devices) if scope.is_core else scope.heads
    core = after.model.core()
    yield from policy_faults(after.model, core, heads)
    if heads or before.intended.tunnels != after.intended.tunnels:
        yield from tunnel_faults(after.model, after.intended, core)


def _keys_before(before: State, scope: Scope) -> frozenset[tuple[str, ...]]:
    """The faults that there were already, in the VPNs concerned."""
    if not before.model.devices:
        return frozenset()
    then = whole(before, set(scope.vpns))
    then.keys |= {key for key in scope.keys if before.model.instance(key)}
    nothing = State(Model({}), Intended())
    then.heads, then.is_core = scope.heads, scope.is_core
    faults = (
        *Reach(before, then).faults(),
        *Isolation(nothing, before, then).faults(),
        *_of_tunnels(nothing, before, then),
    )
    return frozenset(each.key for each in faults)


def _absent(before: State, after: State, scope: Scope) -> Names:
    """Members that were promised before, were not in place then, and are not now: others are at work on them."""
    return frozenset(
        (vpn, name)
        for vpn in scope.vpns
        for name, member in before.intended.members.get(vpn, {}).items()
        if after.intended.members.get(vpn, {}).get(name) == member
        and member.attachment.device in before.model.devices
        and entry_fault(before.model, member) is not None
        and entry_fault(after.model, member) is not None
    )


def _assumptions(model: Model) -> Iterator[str]:
    if model.network is None:
        yield CONNECTED
    if model.sessions.heard is None:
        yield ASSUMED


def _unique(found: Iterable[CounterExample]) -> tuple[CounterExample, ...]:
    return tuple({each.key: each for each in found}.values())
