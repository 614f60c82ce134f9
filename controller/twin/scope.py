"""Owns what a proof has to look at: the packet classes that a change of configurations and promises may touch."""

from dataclasses import dataclass, field

from controller.model.identifiers import DeviceName
from controller.twin.entry import State, kind_of, vrf_of
from controller.twin.intended import Attachment
from controller.twin.model import Model
from controller.twin.routes import Key


@dataclass(slots=True)
class Scope:
    """What has to be looked at."""

    keys: set[Key] = field(default_factory=set)
    """VRFs that relate to others in another way than before: all their packets."""
    ports: set[Key] = field(default_factory=set)
    """VRFs with new senders."""
    routes: dict[Key, set[str]] = field(default_factory=dict)
    """Destinations that a VRF brings in another way than before."""
    members: set[tuple[str, str]] = field(default_factory=set)
    """(VPN, member) that were promised something else."""
    senders: set[tuple[Key, tuple[str, str, str]]] = field(default_factory=set)
    """Kinds of members that did not send from this VRF before."""
    vpns: set[str] = field(default_factory=set)
    is_core: bool = False
    heads: frozenset[DeviceName] = frozenset()
    """Routers with other policies than before."""


def scope_of(before: State, after: State) -> Scope:
    """What a change may touch. Its cost follows the change."""
    scope = Scope(is_core=after.model.has_other_core(before.model))
    if scope.is_core:
        scope.keys |= {(name, vrf) for name, device in after.model.devices.items() for vrf in device.instances}
        scope.vpns |= after.intended.members.keys()
    colors = after.model.heads(before.model)
    scope.heads = frozenset(colors)
    for name, changed in colors.items():
        instances = after.model.devices[name].instances.values()
        scope.keys |= {(name, each.name) for each in instances if each.color in changed}
    for key in after.model.replaced:
        _compare(before.model, after.model, key, scope)
    _promises(before, after, scope)
    for key in scope.keys | scope.ports | scope.routes.keys():
        device = after.model.devices.get(key[0])
        for interface in device.bound.get(key[1], ()) if device else ():
            for member in _at(after, key, interface.parent, interface.vlan):
                scope.vpns.add(member)
    for key, destinations in scope.routes.items():
        _add_owners(before, after, key, destinations, scope)
    return scope


def whole(state: State, vpns: set[str]) -> Scope:
    """Everything that concerns some VPNs."""
    scope = Scope(vpns=vpns)
    for vpn in vpns:
        for name, member in state.intended.members.get(vpn, {}).items():
            scope.members.add((vpn, name))
            key = vrf_of(state.model, member.attachment)
            if key is not None:
                scope.keys.add(key)
                scope.routes.setdefault(key, set()).update(state.model.table(key).routes)
    return scope


def _compare(before: Model, after: Model, key: Key, scope: Scope) -> None:
    old, new = before.instance(key), after.instance(key)
    relations = [None if each is None else (each.imports, each.color, each.enabled) for each in (old, new)]
    if relations[0] != relations[1]:
        scope.keys.add(key)
    devices = [model.devices.get(key[0]) for model in (before, after)]
    ports = [{each.name for each in device.bound.get(key[1], ())} if device else set() for device in devices]
    if ports[1] - ports[0]:
        scope.ports.add(key)
    was, now = before.table(key).routes, after.table(key).routes
    differing = {name for name in was.keys() | now.keys() if was.get(name) != now.get(name)}
    if differing:
        scope.routes[key] = differing


def _promises(before: State, after: State, scope: Scope) -> None:
    for vpn in before.intended.members.keys() | after.intended.members.keys():
        old, new = before.intended.members.get(vpn, {}), after.intended.members.get(vpn, {})
        is_other = before.intended.vpns.get(vpn) != after.intended.vpns.get(vpn)
        if old is new and not is_other:
            continue
        scope.vpns.add(vpn)
        known = {(vrf_of(before.model, each.attachment), kind_of(each)) for each in old.values()}
        for name in old.keys() | new.keys():
            was, now = old.get(name), new.get(name)
            if not is_other and was == now:
                continue
            scope.members.add((vpn, name))
            key = vrf_of(after.model, now.attachment) if now else None
            if now and key and (is_other or (key, kind_of(now)) not in known):
                scope.senders.add((key, kind_of(now)))
                if is_other or (was and kind_of(was) != kind_of(now)):
                    scope.keys.add(key)


def _at(state: State, key: Key, port: str, vlan: int) -> set[str]:
    return {member.vpn for member in state.intended.at.get(Attachment(key[0], port, vlan), ())}


def _add_owners(before: State, after: State, key: Key, destinations: set[str], scope: Scope) -> None:
    """Members whose destinations came or went with the routes."""
    for state in (before, after):
        table = state.model.table(key).routes
        for destination in destinations:
            for route in table.get(destination, ()):
                interface = state.model.devices[route.device].interfaces[route.interface]
                scope.vpns |= _at(after, key, interface.parent, interface.vlan)
