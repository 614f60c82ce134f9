"""Owns what is known to be wrong: observations of the moment, the causes behind them, and whom they hurt.

A tick observes and searches (`assurance.root_cause`); a diagnosis that has changed is an event. Where telemetry itself
is lost, nothing is concluded from it and the reason is said. Symptoms lead to services and services to symptoms through
the assurance graph (RFC 9417).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from controller.assurance.decision import CauseFinding
from controller.assurance.impact import Impact, subjects_of
from controller.assurance.root_cause import CONFIDENT, Cause, Diagnosis, localise
from controller.assurance.root_cause_groups import RiskGroup, RiskKind, risk_groups
from controller.assurance.root_cause_observations import LATE, MODES, Observation
from controller.assurance.symptoms import Symptom
from controller.events import types
from controller.model.errors import AccordError
from controller.model.identifiers import DeviceName
from controller.ports import Clock, EventLog, NewEvent
from controller.recovery.situation import Fault, FaultKind
from controller.runtime.collection import Collection
from controller.runtime.localisation_observations import Patience, Witness
from controller.runtime.recovery_flows import Flows, FlowView
from controller.runtime.topology_discovery import TopologyView
from controller.topology.network import Network
from controller.topology.te_database import TeDatabase

_log = structlog.get_logger(__name__)
STREAM = "diagnosis"
LEAST_HEARD = 0.5
"""Of the devices that are read: with less, nothing is concluded."""
BLIND = "telemetry lost"
_AFTER_START_SECONDS = 30.0
_MOST_SYMPTOMS = 50
_DEAD_MODES = frozenset({"down", "blackhole"})
_LINK, _LATE = "link ", "delay of "
_NOTHING = Diagnosis(None, None, (), (), (), ())


@dataclass(slots=True)
class Localisation:
    """Finds causes. `diagnose` is called by a scheduler; the rest tells of what it found last."""

    flows: FlowView
    topology: TopologyView
    collection: Collection
    log: EventLog
    clock: Clock
    patience: Patience = field(default_factory=Patience)
    witness: Witness = field(init=False)
    diagnoses: tuple[Diagnosis, ...] = ()
    """One for each incident, the oldest first."""
    blind: str = ""
    """Why nothing can be concluded; empty where telemetry can be relied on."""
    faults: tuple[Fault, ...] = ()
    """What is wrong, as far as it is known; the surest first."""
    before: Flows | None = None
    """The flows when nothing was wrong: whom a fault has hurt is told by where they went then."""
    now: Flows | None = None
    _groups: tuple[Network, tuple[RiskGroup, ...]] | None = None
    _told: object = None
    _began: float = 0.0
    _searched: tuple[frozenset[object], float] = (frozenset(), 0.0)
    """The symptoms that were looked into last, and when."""
    _leave: Callable[[], None] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        """Nothing is heard before `start`."""
        self.witness = Witness(self.flows.world, self.collection.series, self.patience)

    def start(self) -> None:
        """Listen to the series from now on."""
        if self._leave is None:
            self.witness.series = self.collection.series
            self._leave = self.collection.series.subscribe(self.witness.hear)

    def stop(self) -> None:
        """Listen no more."""
        if self._leave is not None:
            self._leave()
            self._leave = None

    # -- finding -----------------------------------------------------------------------------------------------

    async def diagnose(self) -> Diagnosis:
        """Look now; the diagnosis of the latest incident, or one without causes where nothing is wrong."""
        async with self._turn:
            self.start()
            now, database = self.clock.now(), self.topology.database
            self._began = self._began or now
            self.blind = self._blindness(now)
            if self._has_to_know_flows(now):
                self.now = await self.flows.current()
            observed = self._observed(database, self.now or Flows(database.network), now)
            symptoms = frozenset((one.kind, one.subject) for one in observed if one.is_symptom)
            if symptoms and self.now is None:
                self.now = await self.flows.current()
            if self.witness.is_calm and not self.blind:
                self.before = self.now
            await self._search(database, observed, symptoms, now)
            await self._tell()
            return self.diagnoses[-1] if self.diagnoses else _NOTHING

    def _has_to_know_flows(self, now: float) -> bool:
        """Working them out reads every device: not at once after a start, unless there is something to go by."""
        return self.now is not None or self.witness.has_sessions or now - self._began >= _AFTER_START_SECONDS

    async def _search(
        self, database: TeDatabase, observed: tuple[Observation, ...], symptoms: frozenset[object], now: float
    ) -> None:
        """Beside the loop; the same symptoms are not searched at each tick."""
        if not symptoms or self.blind:
            self.diagnoses, self._searched = (), (frozenset(), 0.0)
        elif self._searched[0] != symptoms or now - self._searched[1] >= self.patience.again:
            groups = self._risk_groups(database.network)
            self.diagnoses = await asyncio.to_thread(localise, groups, observed)
            self._searched = (symptoms, now)
        self.faults = tuple(self._faults(database, self._risk_groups(database.network)))

    def _observed(self, database: TeDatabase, flows: Flows, now: float) -> tuple[Observation, ...]:
        read = self._read()
        silent = {name: why for name, why in self.collection.unread.items() if name in read}
        return self.witness.observations(database, flows, silent, read, now)

    def _read(self) -> frozenset[DeviceName]:
        return frozenset(self.collection.schedule.devices)

    def _blindness(self, now: float) -> str:
        """Whether so little was heard lately that it is telemetry that failed, and not the network."""
        read = self._read()
        silent = self.collection.unread.keys() & read
        heard = self.witness.heard_lately(read, now) - silent
        if not read or not silent or len(heard) >= LEAST_HEARD * len(read):
            return ""
        return f"telemetry is lost: {len(heard)} of {len(read)} routers have told anything lately"

    def _risk_groups(self, network: Network) -> tuple[RiskGroup, ...]:
        if self._groups is None or self._groups[0] is not network:
            self._groups = (network, risk_groups(network))
        return self._groups[1]

    def _faults(self, database: TeDatabase, groups: Iterable[RiskGroup]) -> list[Fault]:
        if self.blind:
            return [Fault(BLIND, FaultKind.UNKNOWN.value, reason=self.blind, severity="minor")]
        elements = {str(group): group.elements for group in groups if not group.direction}
        found: dict[str, Fault] = {}
        for diagnosis in self.diagnoses:
            for fault in _of_diagnosis(diagnosis, elements):
                full = tuple(link for link in fault.elements if self.witness.is_full(database, [link]))
                is_full = fault.kind in {FaultKind.LINK, FaultKind.DELAY} and not fault.is_down and full
                named = _congested(fault, full) if is_full else fault
                found.setdefault(named.cause, named)
        return sorted(found.values(), key=lambda fault: (-fault.confidence, fault.cause))

    async def _tell(self) -> None:
        """A diagnosis that is another one than the last is an event."""
        told = (self.blind, tuple((fault.cause, fault.kind, fault.is_down) for fault in self.faults))
        if told == self._told or (self._told is None and not self.faults):
            return
        data = {
            "reason": self.reason,
            "causes": [fault.to_json() for fault in self.faults],
            "services": list(self.hit()),
            "symptoms": [str(one) for one in self.symptoms()][:_MOST_SYMPTOMS],
        }
        try:
            await self.log.append([NewEvent(STREAM, types.DIAGNOSIS_CHANGED, data)], actor="accord")
        except AccordError as error:
            _log.warning("diagnosis_not_recorded", error=str(error))
            return
        self._told = told

    def has_looked_since(self, seconds: float) -> bool:
        """Whether it has been looking for so long."""
        return self._began > 0 and self.clock.now() - self._began >= seconds

    # -- telling -----------------------------------------------------------------------------------------------

    @property
    def reason(self) -> str:
        """One sentence for people."""
        if self.blind:
            return self.blind
        return "; ".join(diagnosis.reason for diagnosis in self.diagnoses) or "nothing is wrong"

    def symptoms(self) -> tuple[Observation, ...]:
        """Everything bad that is observed."""
        return tuple(one for diagnosis in self.diagnoses for one in diagnosis.symptoms)

    def hit(self) -> tuple[str, ...]:
        """The services that some known fault touches, or touched before they went elsewhere."""
        return tuple(sorted({name for fault in self.faults for name in self.touched(fault.elements)}))

    def touched(self, elements: Iterable[str]) -> frozenset[str]:
        """The services that take these links or nodes now, or took them when all was well."""
        found = tuple(elements)
        return frozenset(name for flows in (self.before, self.now) if flows for name in flows.over(found))

    def impacts(self, elements: Iterable[str]) -> tuple[Impact, ...]:
        """Whom ill health of these links and nodes reaches now: hit, or warned where only a standby path takes them."""
        if self.now is None or self.now.graph is None:
            return ()
        known = {str(link) for link in self.now.network.links} | set(map(str, self.now.network.nodes))
        return self.now.graph.impacts(subjects_of(self.now.network, known.intersection(elements)))

    def symptoms_of(self, service: str) -> tuple[Symptom, ...]:
        """What is bad of all that a service rests on, the heaviest first."""
        flows = self.now
        if flows is None or flows.graph is None or service not in flows.graph.dependencies:
            return ()
        found = [
            Symptom(f"{one.sensor} {one}", subject, one.kind.value, one.time or 0.0)
            for one in self.symptoms()
            for subject in subjects_of(flows.network, one.elements)
            if subject in flows.graph.dependencies
        ]
        return flows.graph.symptoms_of(service, found)

    def finding_for(self, service: str) -> CauseFinding | None:
        """The surest cause that touches a service, or that none is known; None before anything was looked at."""
        if self.now is None:
            return None
        for fault in self.faults:
            if fault.kind != FaultKind.UNKNOWN and service in self.touched(fault.elements):
                return CauseFinding(fault.cause, fault.confidence)
        return CauseFinding()


def _of_diagnosis(diagnosis: Diagnosis, elements: Mapping[str, frozenset[str]]) -> Iterable[Fault]:
    """What may be acted on: known causes, or several that cannot be told apart and are sure enough together."""
    symptoms = tuple(str(one) for one in diagnosis.symptoms)[:_MOST_SYMPTOMS]
    for cause in diagnosis.known:
        yield _fault(cause, [cause], elements, symptoms, diagnosis.reason)
    if diagnosis.known or not diagnosis.causes:
        if not diagnosis.known:
            yield Fault(
                "unknown", FaultKind.UNKNOWN.value, symptoms=symptoms, reason=diagnosis.reason, severity="minor"
            )
        return
    first = diagnosis.causes[0]
    together = [cause for cause in diagnosis.causes if cause is first or str(cause) in first.alike]
    if len(together) > 1 and sum(cause.confidence for cause in together) >= CONFIDENT:
        yield _fault(first, together, elements, symptoms, diagnosis.reason)
        return
    alike = tuple(str(cause) for cause in diagnosis.causes)
    yield Fault(
        "unknown", FaultKind.UNKNOWN.value, symptoms=symptoms, alike=alike, reason=diagnosis.reason, severity="minor"
    )


def _fault(
    cause: Cause, together: list[Cause], elements: Mapping[str, frozenset[str]], symptoms: tuple[str, ...], reason: str
) -> Fault:
    kinds = {RiskKind.LINK: FaultKind.LINK, RiskKind.NODE: FaultKind.NODE, RiskKind.SRLG: FaultKind.SRLG}
    # Both directions, whichever is the likelier: test packets go there and back, and nobody is hurt by moving.
    hit = frozenset[str]().union(*(elements.get(str(one), frozenset()) for one in together))
    is_down = cause.mode in _DEAD_MODES
    is_late = cause.mode == MODES[LATE].name
    return Fault(
        # One that loses as well is another fault, which must not wait for what is done about this one.
        cause=_LATE + str(cause).removeprefix(_LINK) if is_late else str(cause),
        kind=(FaultKind.DELAY if is_late else kinds.get(cause.kind, FaultKind.LINE_CARD)).value,
        elements=tuple(sorted(hit)),
        is_down=is_down,
        confidence=min(1.0, sum(one.confidence for one in together)),
        symptoms=cause.explains[:_MOST_SYMPTOMS] or symptoms,
        alike=tuple(str(one) for one in together[1:]) or cause.alike,
        reason=f"{reason} ({cause.mode})",
        severity="critical" if is_down else "major",
    )


def _congested(fault: Fault, full: tuple[str, ...]) -> Fault:
    return Fault(
        cause="congestion of " + fault.cause.removeprefix(_LINK).removeprefix(_LATE),
        kind=FaultKind.CONGESTION.value,
        elements=full,
        confidence=fault.confidence,
        symptoms=fault.symptoms,
        reason=f"{fault.reason}; it carries about as much as it can",
        severity="major",
    )
