"""Owns whether a remedy helped: the telemetry that saw the fault is asked again, and only what came since counts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from controller.assurance.root_cause_observations import Observation, ObservationKind
from controller.recovery.history import Recovery
from controller.recovery.situation import Fault, FaultKind, Flow
from controller.runtime.localisation import Localisation
from controller.runtime.localisation_observations import VPN
from controller.runtime.recovery_flows import Flows
from controller.topology.te_database import TeDatabase

LEAST_PACKETS = 5
"""Test packets that have to have come back from a path before it is taken for good."""


_RENEWAL_SECONDS = 25.0
"""So long after a change it takes at most until a service's own sessions go its new way and have told of it."""


class Finding(StrEnum):
    """What the evidence says so far."""

    HELPED = "helped"
    NO_HELP = "no-help"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A finding and the sentence that says what it rests on."""

    finding: Finding
    text: str


@dataclass(slots=True)
class Verification:
    """Judges remedies by carriers, polls and STAMP sessions along the new ways."""

    localisation: Localisation

    async def judge(self, recovery: Recovery, since: float) -> Evidence:
        """Whether those who suffered are well, by what was told after a time (UTC seconds)."""
        localisation = self.localisation
        flows = await localisation.flows.current()
        database = localisation.topology.database
        helped = frozenset(recovery.candidate.remedy.flows) if recovery.candidate else frozenset()
        moved = [flow for flow in flows.flows if flow.name in helped]
        still = [flow.name for flow in moved if recovery.fault.hits(flow.links, flow.nodes)]
        if still:
            return Evidence(Finding.NO_HELP, f"{', '.join(still)} still takes {recovery.cause}")
        carried = {flow.name for flow in moved if flow.is_carried}
        if lost := sorted(helped - carried):
            return Evidence(Finding.NO_HELP, f"{', '.join(lost)} is not carried at all")
        if full := self._still_full(recovery, database, since):
            return full
        return self._along(recovery, moved, flows, database, since)

    def is_bad(self, fault: Fault) -> bool:
        """Whether anything bad is seen where a fault is, by whatever name, or nothing can be seen at all."""
        localisation = self.localisation
        return bool(localisation.blind) or any(fault.hits(symptom.elements) for symptom in localisation.symptoms())

    def is_crossed(self, fault: Fault) -> bool:
        """Whether what saw a fault goes on looking: of a loss, that packets have come over it lately."""
        localisation, witness = self.localisation, self.localisation.witness
        if not fault.elements or localisation.now is None or not any(each.endswith(" lost") for each in fault.symptoms):
            return True
        since = localisation.clock.now() - localisation.patience.window
        crossing = (each for each in witness.sessions(localisation.now) if fault.hits(each[3]))
        came = (witness.loss(device, number, since) for device, number, *_ in crossing)
        return any(sent - lost >= LEAST_PACKETS for sent, lost in came)

    def _still_full(self, recovery: Recovery, database: TeDatabase, since: float) -> Evidence | None:
        if recovery.fault.kind != FaultKind.CONGESTION:
            return None
        witness = self.localisation.witness
        for link in recovery.fault.elements:
            if not witness.is_load_newer(database, link, since):
                return Evidence(Finding.WAIT, f"the load of {link} was not told since")
        if witness.is_full(database, recovery.fault.elements):
            return Evidence(Finding.NO_HELP, f"{recovery.fault.elements[0]} is as full as before")
        return None

    def _along(
        self, recovery: Recovery, moved: Sequence[Flow], flows: Flows, database: TeDatabase, since: float
    ) -> Evidence:
        """Everything that is measured on the ways that are taken now."""
        taken = {element for flow in moved for element in (*flow.links, *flow.nodes, flow.source)}
        heads = {flow.source for flow in moved}
        unheard = sorted(heads - self.localisation.witness.heard_since(heads, since))
        if down := sorted(str(link) for link in database.network.links if link in taken and not database.is_up(link)):
            return Evidence(Finding.NO_HELP, f"{down[0]} is on the new way and has no carrier")
        is_young = self.localisation.clock.now() - since < _RENEWAL_SECONDS
        good, waiting = 0, self._unmeasured(recovery, moved, flows) if is_young else 0
        for one in self._measured(recovery, taken, flows, since):
            if one.sent < LEAST_PACKETS:
                waiting += 1
            elif one.is_symptom:
                return Evidence(Finding.NO_HELP, str(one))
            else:
                good += 1
        if unheard:
            return Evidence(Finding.WAIT, f"nothing was heard from {', '.join(unheard)} since")
        if waiting:
            return Evidence(Finding.WAIT, f"{waiting} measurements on the new way have too few packets yet")
        measured = f"{good} measurements on it lose nothing" if good else "nothing measures it"
        return Evidence(Finding.HELPED, f"the new way has carriers, its routers answer, {measured}")

    def _unmeasured(self, recovery: Recovery, moved: Iterable[Flow], flows: Flows) -> int:
        """Sessions of those who moved that told nothing yet, or still cross the fault until they are renewed."""
        witness, own = self.localisation.witness, {f"{VPN}{flow.name}" for flow in moved}
        found = [(device, number, at) for device, number, subject, at in witness.sessions(flows) if subject in own]
        return sum(not witness.tells(device, number) or recovery.fault.hits(at) for device, number, at in found)

    def _measured(self, recovery: Recovery, taken: set[str], flows: Flows, since: float) -> Iterator[Observation]:
        """Sessions that share a link with the new ways and none with the fault."""
        links = taken & flows.network.links.keys()
        for device, number, subject, elements in self.localisation.witness.sessions(flows):
            witness = self.localisation.witness
            if links.isdisjoint(elements) or recovery.fault.hits(elements) or not witness.tells(device, number):
                continue
            sent, lost = witness.loss(device, number, since)
            yield Observation(ObservationKind.LOSS, subject, device, elements, sent=max(1, sent), lost=lost)
