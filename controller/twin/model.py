"""Owns the forwarding model of the whole network: VRFs related by route targets, over a core.

A model never changes. `changed` makes another one that differs in some devices and shares all that they leave alone,
so a change of three devices among many costs what those three cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from controller.model.identifiers import DeviceName
from controller.topology.network import Network
from controller.twin.configuration import DeviceForwarding, Instance
from controller.twin.provider_core import Carriage, Core, Failure
from controller.twin.routes import EMPTY, Key, Route, Table, length_of, originated
from controller.twin.sessions import Sessions, sessions
from controller.twin.verdict import Fault, Hop


@dataclass(slots=True)
class _Index:
    """VRFs by route target, and the routes of each."""

    importing: dict[str, set[Key]] = field(default_factory=dict)
    exporting: dict[str, set[Key]] = field(default_factory=dict)
    tables: dict[Key, Table] = field(default_factory=dict)

    def add(self, device: DeviceForwarding, names: Iterable[str]) -> None:
        for name in names:
            instance = device.instances.get(name)
            if instance is not None:
                key = (device.device, name)
                self.tables[key] = originated(device, instance)
                for index, targets in self._sides(instance):
                    for target in targets:
                        index.setdefault(target, set()).add(key)

    def remove(self, device: DeviceForwarding, names: Iterable[str]) -> None:
        for name in names:
            instance = device.instances.get(name)
            if instance is not None:
                key = (device.device, name)
                self.tables.pop(key, None)
                for index, targets in self._sides(instance):
                    for target in targets:
                        index[target].discard(key)

    def _sides(self, instance: Instance) -> tuple[tuple[dict[str, set[Key]], frozenset[str]], ...]:
        return (self.importing, instance.imports), (self.exporting, instance.all_targets)


@dataclass(frozen=True, slots=True)
class Exit:
    """Where a packet leaves the network, or the fault that keeps it in."""

    route: Route | None = None
    fault: Fault | None = None
    explanation: str = ""
    hops: tuple[Hop, ...] = ()
    carriages: tuple[Carriage, ...] = ()

    @property
    def delay_seconds(self) -> float:
        """Propagation through the core, at most."""
        return sum(each.delay_seconds for each in self.carriages)


class Model:
    """All devices. Use `Model.of` and `changed`; `advance` is for the one who keeps the present network's model."""

    def __init__(
        self,
        devices: Mapping[DeviceName, DeviceForwarding],
        network: Network | None = None,
        base: Model | None = None,
    ) -> None:
        """All of `devices`, or these in place of those of `base`."""
        self.network = network
        self.base = base
        self.devices: dict[DeviceName, DeviceForwarding] = {**base.devices, **devices} if base else dict(devices)
        self.index = _Index()
        self.replaced: frozenset[Key] = frozenset()
        """VRFs that are not as in the model this one was made from."""
        self._cores: dict[str, Core] = {}
        is_core = has_policies = base is None
        replaced: set[Key] = set()
        for name, device in devices.items():
            before = base.devices.get(name) if base else None
            names = different(before or DeviceForwarding(name), device)
            self.index.add(device, names)
            replaced |= {(name, vrf) for vrf in names}
            is_core = is_core or core_differs(before, device)
            has_policies = has_policies or before is None or before.router.policies != device.router.policies
        self._shares_core = not is_core and not has_policies
        self.replaced = frozenset(replaced)
        self.sessions: Sessions = sessions(self.devices.values()) if is_core or base is None else base.sessions

    def advance(self, devices: Iterable[DeviceForwarding]) -> None:
        """Take devices as they are now. Models made by `changed` before must not be used any more."""
        devices = list(devices)
        is_core = any(core_differs(self.devices.get(device.device), device) for device in devices)
        has_policies = any(
            device.device not in self.devices or self.devices[device.device].router.policies != device.router.policies
            for device in devices
        )
        for device in devices:
            before = self.devices.get(device.device, DeviceForwarding(device.device))
            names = different(before, device)
            self.index.remove(before, names)
            self.index.add(device, names)
            self.devices[device.device] = device
        if is_core:
            self.sessions = sessions(self.devices.values())
        if is_core or has_policies:
            self._cores.clear()

    def on(self, network: Network | None) -> None:
        """Take the topology as it is now."""
        if network is not self.network:
            self.network = network
            self._cores.clear()

    def changed(self, devices: Sequence[DeviceForwarding]) -> Model:
        """The model with these devices instead."""
        return Model({device.device: device for device in devices}, self.network, self)

    def has_other_core(self, other: Model) -> bool:
        """Whether shortest paths, segments or sessions may differ from those of another model."""
        return self.network is not other.network or any(
            core_differs(other.devices.get(name), device)
            for name, device in self.devices.items()
            if other.devices.get(name) is not device
        )

    def heads(self, other: Model) -> dict[DeviceName, frozenset[int]]:
        """Routers whose policies are not those of another model, and the colors of those that differ."""
        found = {}
        for name, device in self.devices.items():
            known = other.devices.get(name)
            mine, theirs = device.router.policies, known.router.policies if known else {}
            if mine is not theirs and mine != theirs:
                keys = mine.keys() | theirs.keys()
                found[name] = frozenset(key[0] for key in keys if mine.get(key) != theirs.get(key))
        return found

    def core(self, failure: Failure | None = None) -> Core:
        """The core, now or under a failure."""
        if self.base is not None and self._shares_core:
            return self.base.core(failure)
        wanted = failure or Failure()
        if wanted.name not in self._cores:
            self._cores[wanted.name] = Core(self.devices, self.network, wanted)
        return self._cores[wanted.name]

    # -- relations ---------------------------------------------------------------------------------------------

    def instance(self, key: Key) -> Instance | None:
        """A VRF, if it is there."""
        device = self.devices.get(key[0])
        return None if device is None else device.instances.get(key[1])

    def table(self, key: Key) -> Table:
        """What a VRF originates."""
        if key in self.index.tables:
            return self.index.tables[key]
        if self.base is None or key in self.replaced:
            return EMPTY
        return self.base.table(key)

    def importing(self, targets: Iterable[str]) -> set[Key]:
        """The VRFs that import one of the targets."""
        return self.related(targets, "importing")

    def exporting(self, targets: Iterable[str]) -> set[Key]:
        """The VRFs that export with one of the targets."""
        return self.related(targets, "exporting")

    def related(self, targets: Iterable[str], side: str) -> set[Key]:
        """The VRFs on one side of the targets: `importing` or `exporting`."""
        targets = tuple(targets)
        own = self.index.importing if side == "importing" else self.index.exporting
        found: set[Key] = set().union(*(own.get(target, ()) for target in targets))
        if self.base is not None:
            found |= self.base.related(targets, side) - self.replaced
        return found

    def heard(self, key: Key) -> Iterator[Key]:
        """The other VRFs whose routes this one may take."""
        instance = self.instance(key)
        if instance is not None and instance.enabled:
            for other in sorted(self.exporting(instance.imports)):
                if other != key and self.sessions.hears(key[0], other[0]):
                    yield other

    def visible(self, key: Key) -> Iterator[Route]:
        """Every route that the VRF has: its own, and those it takes from others."""
        instance = self.instance(key)
        if instance is None:
            return
        for routes in self.table(key).routes.values():
            yield from routes
        for other in self.heard(key):
            for routes in self.table(other).routes.values():
                yield from (route for route in routes if route.targets & instance.imports)

    # -- packets -----------------------------------------------------------------------------------------------

    def lookup(self, key: Key, destination: str, core: Core | None = None) -> Route | None:
        """The route that the VRF sends the destination's packets by: longest prefix, own before taken.

        Routes of a router that cannot be reached are not there: the session that brought them is down.
        """
        instance = self.instance(key)
        if instance is None or not instance.enabled:
            return None
        best: tuple[tuple[int, ...], Route] | None = None
        for route in self.table(key).covering(destination)[:1]:
            best = ((-length_of(route.destination), 0, 0, 0), route)
        core = core or self.core()
        for order, other in enumerate(self.heard(key)):
            if not core.is_connected(key[0], other[0]):
                continue
            taken = (route for route in self.table(other).covering(destination) if route.targets & instance.imports)
            for route in taken:
                rank = (-length_of(route.destination), 1, -route.preference, order)
                if best is None or rank < best[0]:
                    best = (rank, route)
        return None if best is None else best[1]

    def follow(self, key: Key, destination: str, core: Core | None = None) -> Exit:
        """Send a packet from a VRF until it leaves the network, or see why it does not."""
        core = core or self.core()
        hops: list[Hop] = []
        carriages: list[Carriage] = []
        visited: set[Key] = set()
        while key not in visited:
            visited.add(key)
            route = self.lookup(key, destination, core)
            if route is None:
                hops.append(Hop(key[0], f"VRF {key[1]} has no route to {destination}"))
                return Exit(None, Fault.BLACKHOLE, f"{key[0]} has no route to {destination}", tuple(hops))
            if route.key == key:
                hops.append(Hop(key[0], f"VRF {key[1]} sends it out of {route.interface} ({route.destination})"))
                return Exit(route, None, "", tuple(hops), tuple(carriages))
            hops.append(Hop(key[0], f"VRF {key[1]} has {route.destination} from {route.device}"))
            found = self._cross(key, route, core)
            hops += found.hops
            if found.fault:
                return Exit(None, found.fault, found.explanation, tuple(hops))
            carriages.append(found)
            key = self._delivered(route)
        hops.append(Hop(key[0], f"VRF {key[1]} has seen this packet before"))
        return Exit(None, Fault.LOOP, f"the packet comes back to {key[0]}", tuple(hops))

    def _cross(self, key: Key, route: Route, core: Core) -> Carriage:
        """From a VRF over the core into the VRF that a route comes from."""
        far = self.instance(route.key)
        if far is not None and far.needs_segment and not route.segment and self.devices[route.device].router.locators:
            why = f"VRF {route.instance} of {route.device} has no segment that its locators hold"
            return Carriage((), Fault.SEGMENT, why, (Hop(key[0], "has nothing to send it to"),))
        mine = self.instance(key)
        return core.carry(key[0], route.device, route.segment, mine.color if mine else 0)

    def _delivered(self, route: Route) -> Key:
        """The VRF that the segment of a route really delivers into."""
        segments = self.devices[route.device].vpn_segments
        return route.device, segments.get(route.segment, route.instance)


def different(before: DeviceForwarding, after: DeviceForwarding) -> set[str]:
    """The VRFs that are not the same in two states of a device."""
    names = before.instances.keys() | after.instances.keys()
    if before.router.locators != after.router.locators or _ports(before) != _ports(after):
        return set(names)
    if before.announced != after.announced:
        return set(names)
    return {
        name
        for name in names
        if before.instances.get(name) != after.instances.get(name)
        or before.bound.get(name, ()) != after.bound.get(name, ())
    }


def _ports(device: DeviceForwarding) -> dict[str, bool]:
    """Ports that are shut: what lies on them is down."""
    return {each.name: each.enabled for each in device.interfaces.values() if not each.enabled and not each.parent}


def core_differs(before: DeviceForwarding | None, after: DeviceForwarding) -> bool:
    """Whether anything but services and policies is another in two states of a device."""
    if before is None:
        return True
    if before.router is not after.router:
        parts = [
            (each.autonomous_system, each.router_id, each.peers, each.locators)
            for each in (before.router, after.router)
        ]
        if parts[0] != parts[1]:
            return True
    return before.interfaces is not after.interfaces and _core_interfaces(before) != _core_interfaces(after)


def _core_interfaces(device: DeviceForwarding) -> dict[str, object]:
    return {
        each.name: (each.enabled, each.metric, each.adjacency_function, each.addresses)
        for each in device.interfaces.values()
        if each.metric is not None
    }
