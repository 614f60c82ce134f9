"""Owns which faults there are, since when and until when they were seen: localised, flapping, and drifted devices."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from controller.assurance.root_cause_groups import wire_name
from controller.assurance.root_cause_observations import Observation, ObservationKind
from controller.model.identifiers import DeviceName
from controller.recovery.history import Recovery
from controller.recovery.situation import Fault, FaultKind
from controller.runtime.device_care import SyncReport
from controller.runtime.localisation import Localisation
from controller.runtime.world import World
from controller.topology.network import LinkId
from controller.transaction.out_of_band import Policy

_FLAPPING = "flapping "
_MOST_TOLD = 10


@dataclass(slots=True)
class Faults:
    """The faults of now. `see` is called at each tick. Times in UTC seconds."""

    world: World
    localisation: Localisation
    drift: Callable[[], Mapping[DeviceName, SyncReport]] = dict
    """What the last look at each device found to differ from what is known of it."""
    since: dict[str, float] = field(default_factory=dict)
    """By cause, since when it is seen without a break."""
    last: dict[str, float] = field(default_factory=dict)
    """By cause, when it was last seen."""
    now: dict[str, Fault] = field(default_factory=dict)
    """By cause."""

    def see(self, now: float, clear_seconds: float) -> None:
        """Look again; a fault that was not seen for so long is over."""
        found = {fault.cause: fault for fault in (*self._flapping(now), *self._drifted(), *self.localisation.faults)}
        flapping = frozenset(e for fault in found.values() if _is_flapping(fault) for e in fault.elements)
        self.now = {
            cause: fault
            for cause, fault in found.items()
            if _is_flapping(fault) or fault.kind != FaultKind.LINK or not flapping.issuperset(fault.elements)
        }
        for cause in self.now:
            self.last[cause] = now
            self.since.setdefault(cause, now)
        for cause in [cause for cause, last in self.last.items() if now - last > clear_seconds]:
            del self.last[cause]
            self.since.pop(cause, None)

    def _flapping(self, now: float) -> list[Fault]:
        """A wire that keeps going and coming back is one fault until it has been quiet."""
        network = self.localisation.topology.network
        faults = []
        for wire in self.world.recoveries.damping.suppressed(now):
            if wire in network.links:
                both = tuple(sorted(map(str, network.both_directions([wire]))))
                quiet = self.world.recoveries.damping.quiet_at(wire) - now
                reason = f"{wire} keeps losing its carrier; it is not relied on for another {quiet:.0f} s at least"
                name = wire_name(network, LinkId(wire))
                faults.append(Fault(_FLAPPING + name, FaultKind.LINK.value, both, confidence=1.0, reason=reason))
        return faults

    def _drifted(self) -> list[Fault]:
        """Devices on which somebody changed what has owners; one that a recovery is changing is left to it."""
        busy = {source for one in self.world.recoveries if one.is_touched for source in _sources(one)}
        faults = []
        for device, report in self.drift().items():
            owned = [one for one in report.differences if one.owners]
            if owned and device not in busy:
                text = tuple(one.explain() for one in owned[:_MOST_TOLD])
                reason = f"{len(owned)} lines of {device} that have owners were changed by somebody else"
                faults.append(Fault(drift_on(device), FaultKind.DRIFT.value, (device,), False, 1.0, text, (), reason))
        return faults

    def owners(self, fault: Fault) -> tuple[str, ...]:
        """The services and tunnels whose lines were changed on a device that drifted."""
        report = self.drift().get(DeviceName(fault.elements[0]))
        owners = {owner for one in report.differences for owner in one.owners} if report else set()
        names = {owner.partition("/")[0].removeprefix("l3vpn:") for owner in owners if owner.startswith("l3vpn:")}
        return tuple(sorted(names | {owner for owner in owners if owner.startswith("tunnel/")}))

    def is_guarded(self, fault: Fault) -> bool:
        """Whether it is drift of which policy says that nothing is to be changed: that needs an operator's word."""
        if fault.kind != FaultKind.DRIFT:
            return False
        report = self.drift().get(DeviceName(fault.elements[0]))
        return report is None or any(each.policy == Policy.ABORT for each in report.differences if each.owners)

    def area(self, fault: Fault) -> list[DeviceName]:
        """The routers at the ends of what failed, and those whose traffic took it; all that is suspected of it."""
        network, elements = self.localisation.topology.network, frozenset(fault.elements)
        if fault.kind == FaultKind.UNKNOWN:
            elements = elements.union(*map(self._suspected, self.localisation.symptoms()))
        ends = {network.links[LinkId(e)].source.node for e in elements if e in network.links}
        ends |= {network.links[LinkId(e)].target.node for e in elements if e in network.links}
        ends |= {DeviceName(element) for element in elements if element in network.nodes}
        if self.localisation.now is not None:
            ends |= {flow.source for flow in self.localisation.now.flows if fault.hits(flow.links, flow.nodes)}
        return sorted(ends)

    def _suspected(self, symptom: Observation) -> frozenset[str]:
        """What a symptom may come from; whether a router that is silent forwards is told by its neighbours."""
        network = self.localisation.topology.network
        silent = symptom.elements & network.nodes.keys() if symptom.kind is ObservationKind.SILENCE else ()
        return symptom.elements.union(*({link.id for link in network.out_of(DeviceName(name))} for name in silent))


def drift_on(device: DeviceName) -> str:
    """The cause of what a device that drifted makes others suffer."""
    return f"drift on {device}"


def _is_flapping(fault: Fault) -> bool:
    return fault.cause.startswith(_FLAPPING)


def _sources(one: Recovery) -> tuple[DeviceName, ...]:
    """The head ends that the chosen remedy changes."""
    return tuple(tunnel.source for tunnel in one.candidate.remedy.wanted.upserted) if one.candidate else ()
