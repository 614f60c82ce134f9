"""Owns the second half of a proof: nobody reaches what was not promised to him, nor is reached by a stranger."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from controller.twin.entry import Source, State, exit_of, sources_of, strangers_in, vrf_of
from controller.twin.intended import Attachment
from controller.twin.routes import Key, Route
from controller.twin.scope import Scope
from controller.twin.verdict import CounterExample, Fault, Hop


@dataclass(frozen=True, slots=True)
class _Relations:
    """How a VPN was held together before the change."""

    imports: frozenset[str] = frozenset()
    exports: frozenset[str] = frozenset()
    keys: frozenset[Key] = frozenset()


@dataclass(slots=True)
class Isolation:
    """Looks for leaks in a state. Strangers that were in a VPN `before` are let be: they were there first."""

    before: State
    state: State
    scope: Scope
    classes: int = 0
    _relations: dict[str, _Relations] = field(default_factory=dict)

    def faults(self) -> Iterator[CounterExample]:
        """Every leak that the scope shows."""
        model = self.state.model
        for key in sorted(self.scope.keys | self.scope.ports):
            senders = self._senders(key)
            for route in model.visible(key) if senders else ():
                for source in senders:
                    yield from self._leak(source, route)
        for key, destinations in sorted(self.scope.routes.items()):
            table = model.table(key).routes
            for route in (route for name in sorted(destinations) for route in table.get(name, ())):
                for listener in sorted(model.importing(route.targets) | {key}):
                    if listener == key or model.sessions.hears(listener[0], key[0]):
                        for source in self._senders(listener):
                            yield from self._leak(source, route)

    def _senders(self, key: Key) -> list[Source]:
        instance = self.state.model.instance(key)
        if instance is None or not instance.enabled:
            return []
        return [*sources_of(self.state, key), *strangers_in(self.state, key)]

    def _leak(self, source: Source, route: Route) -> Iterator[CounterExample]:
        self.classes += 1
        place = exit_of(self.state.model, route)
        there = self.state.intended.at.get(place, ())
        if not source.members and not there:
            return
        if self._is_promised(source, route, place) or self._was_there(source, route, place):
            return
        hops = [Hop(source.key[0], f"takes it in on {source.attachment}, VRF {source.key[1]}")]
        if route.key != source.key:
            hops.append(Hop(source.key[0], f"has {route.destination} from {route.device}"))
        hops.append(Hop(route.device, f"VRF {route.instance} sends it out of {route.interface}"))
        vpns = sorted({f"VPN {each.vpn}" for each in there or source.members})
        why = f"{source.attachment} reaches {route.destination} behind {place}, which was not promised"
        yield CounterExample(
            Fault.LEAK, ", ".join(vpns), str(source.attachment), route.destination, why, tuple(hops), source.entry
        )

    def _is_promised(self, source: Source, route: Route, place: Attachment) -> bool:
        """Whether somebody here may send to somebody there, and the destination is one that is there.

        Inside a VRF its subnets are reachable whether they are announced or not, and so is what a filter keeps back.
        """
        is_local = route.key == source.key
        for member in self.state.intended.at.get(place, ()):
            if not any(each is member or self.state.intended.may_send(each, member) for each in source.members):
                continue
            if route.destination in member.prefixes:
                return True
            if is_local and (route.source == "connected" or route.destination in member.kept):
                return True
        return False

    # strangers

    def _was_there(self, source: Source, route: Route, place: Attachment) -> bool:
        """Whether one of the two is a stranger who was in the other's VPN before the change."""
        there = self.state.intended.at.get(place, ())
        if source.members and there:
            return False
        before = self.before.model
        if source.members:
            stranger, vpns = place, {each.vpn for each in source.members}
        else:
            stranger, vpns = source.attachment, {each.vpn for each in there}
        key = vrf_of(before, stranger)
        instance = before.instance(key) if key else None
        if key is None or instance is None:
            return False
        relations = [self._relation(vpn) for vpn in vpns]
        if any(key in each.keys for each in relations):
            return True
        if source.members:
            return any(route.targets & each.imports for each in relations)
        return any(instance.imports & each.exports for each in relations)

    def _relation(self, vpn: str) -> _Relations:
        if vpn not in self._relations:
            model = self.before.model
            members = self.before.intended.members.get(vpn, {}).values()
            keys = frozenset(key for key in (vrf_of(model, each.attachment) for each in members) if key)
            instances = [instance for instance in map(model.instance, keys) if instance]
            self._relations[vpn] = _Relations(
                frozenset[str]().union(*(each.imports for each in instances)),
                frozenset[str]().union(*(each.all_targets for each in instances)),
                keys,
            )
        return self._relations[vpn]
