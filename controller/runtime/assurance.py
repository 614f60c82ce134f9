"""Owns the loop of assurance: at each tick every service is measured, what is foreseen of it moves its agreement.

Nothing is remembered here that has to outlive a restart: what happens and what is decided becomes events first, and
the book of the world is their fold; what was learnt of the series is kept beside the log (`assurance_keeping`).
Whether anything is done is decided there; doing it is recovery's (`Remedies`).
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

import structlog

from controller.assurance.breach import Breach, unforeseen
from controller.assurance.foresight import Foresight, Seen
from controller.assurance.instance import Happening, InstanceState
from controller.assurance.objectives import ErrorBudget, Objective, ObjectiveName
from controller.assurance.objectives_l3sm import PER_PAIR, Access, accesses_of, promised, refuse_unknown_subjects
from controller.assurance.reports import Observed
from controller.assurance.standing import Symptoms, availability_breach, health
from controller.assurance.symptoms import Symptom
from controller.events import types
from controller.intent.book import IntentRecord
from controller.intent.codec import decode
from controller.intent.model import Intent
from controller.model.errors import AccordError, NotFoundError
from controller.ports import Clock, EventLog, NewEvent
from controller.runtime.assurance_deciding import Deciding
from controller.runtime.assurance_keeping import Keeping
from controller.runtime.assurance_links import LateLinks
from controller.runtime.assurance_measures import Measured, Measures, Session
from controller.runtime.assurance_reporting import Reporting
from controller.runtime.world import World
from controller.telemetry.detectors import Shape

_log = structlog.get_logger(__name__)
ACTOR = "accord"
_AT_ONCE = 10
"""Services looked at before others have their turn: a link that fails does not wait for us."""
_TELL_SECONDS = 60.0
"""What a crash forgets of availability at most."""
_RECENT = 60


@dataclass(frozen=True, slots=True)
class Pace:
    """How often services are looked at, and how far ahead."""

    tick_seconds: float = 10.0
    horizon_seconds: float = 300.0
    report_seconds: float = 3600.0
    jitter_seconds: float = 30.0

    @property
    def horizons(self) -> tuple[int, ...]:
        """In ticks: the next one, a fifth of the way, and the whole."""
        whole = max(1, round(self.horizon_seconds / self.tick_seconds))
        return tuple(sorted({1, max(1, whole // 5), whole}))


@dataclass(frozen=True, slots=True)
class Terms:
    """What a service is, as far as assurance is concerned."""

    intent: IntentRecord | None
    accesses: tuple[Access, ...]
    objectives: tuple[Objective, ...]


@dataclass(frozen=True, slots=True)
class ObjectiveStanding:
    """How an objective stands: what is measured, what is foreseen, and what is left of its error budget."""

    objective: Objective
    measured: Measured
    breach: Breach
    budget: ErrorBudget | None = None
    anomaly: Shape = Shape.NONE
    """What is unusual of its values, whether or not a breach is foreseen."""

    @property
    def observed(self) -> Observed:
        """For reports."""
        value = self.measured.value if isfinite(self.measured.value) else None
        return Observed(self.objective, value, self.measured.quality, self.breach)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a service stood at a tick. Time in UTC seconds."""

    time: float
    objectives: tuple[ObjectiveStanding, ...]
    symptoms: tuple[Symptom, ...]
    health: int

    @property
    def breaches(self) -> tuple[Breach, ...]:
        """What is foreseen."""
        return tuple(one.breach for one in self.objectives)

    @property
    def worst(self) -> Breach | None:
        """The likeliest breach, as far as it can be trusted."""
        return max(self.breaches, key=lambda one: one.confidence, default=None)


@dataclass(slots=True)
class Assurance:
    """Call `tick` each `pace.tick_seconds`; `resume` once after a start."""

    world: World
    log: EventLog
    clock: Clock
    measures: Measures
    pace: Pace = field(default_factory=Pace)
    standings: dict[str, Standing] = field(default_factory=dict)
    deciding: Deciding = field(init=False)
    reporting: Reporting = field(init=False)
    foresight: Foresight = field(init=False)
    keeping: Keeping = field(init=False)
    late_links: LateLinks = field(init=False)
    observe: Callable[[float], None] = lambda _: None
    """Called with the seconds that a tick took."""
    _symptoms: Symptoms = field(init=False)
    _terms: dict[str, Terms] = field(default_factory=dict)
    _terms_of: int = -1
    _ticking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        """Nothing is foreseen before the first tick."""
        self.deciding = Deciding(self.world, self.log, self.clock)
        self.reporting = Reporting(self.world, self.log, self.measures.way)
        self.keeping = Keeping(self.log, self.world.assurance)
        self.late_links = LateLinks(self.measures)
        self._symptoms = Symptoms(self.world.assurance.loop.trigger)
        self.foresight = Foresight(self.pace.horizons, self.pace.tick_seconds)
        self.take_over(self.pace)

    def take_over(self, pace: Pace) -> None:
        """Another pace from now on; what was learnt at the one before is of no use."""
        if (pace.tick_seconds, pace.horizons) != (self.pace.tick_seconds, self.pace.horizons):
            self.foresight = Foresight(pace.horizons, pace.tick_seconds)
        self.pace = pace
        guards = self.world.assurance.loop.guards
        guards.limits = replace(
            guards.limits,
            horizon_seconds=pace.horizon_seconds,
            tick_seconds=pace.tick_seconds,
            jitter_seconds=pace.jitter_seconds,
        )

    async def resume(self) -> None:
        """What was under way when the daemon went is not waited for; what was learnt is taken up."""
        self.keeping.recall(self.foresight, self.clock.now())
        await self.deciding.resume()

    async def stop(self) -> None:
        """Begin nothing any more, and keep what was learnt."""
        await self.deciding.stop()
        await self.keeping.keep(self.foresight, self.clock.now())

    def terms(self, agreement: str) -> Terms:
        """What a service is; `NotFoundError` for one that is not served."""
        self._refresh()
        if agreement not in self._terms:
            if agreement in self.world.assurance.agreements:
                raise NotFoundError(
                    f"nothing of '{agreement}' is served yet", remedy="commit its plan first", path=agreement
                )
            raise NotFoundError(
                f"no service '{agreement}' is assured", remedy="list them: accord assurance list", path=agreement
            )
        return self._terms[agreement]

    async def tick(self) -> None:
        """Look at every service once; a log that cannot be written is tried again at the next tick."""
        if self._ticking.locked():
            return
        async with self._ticking:
            begun = self.clock.monotonic()
            try:
                await self._tick(self.clock.now())
            except AccordError as error:
                _log.warning("assurance_not_recorded", error=str(error))
            self.observe(self.clock.monotonic() - begun)

    async def set_objectives(self, agreement: str, objectives: Sequence[Objective], actor: str) -> None:
        """Set objectives beside the service's own, in place of those that were set before."""
        refuse_unknown_subjects(self.terms(agreement).accesses, objectives)
        documents = [
            {"name": one.name.value, "target": one.target, "window_seconds": one.window_seconds, "subject": one.subject}
            for one in objectives
        ]
        event = NewEvent(f"assurance/{agreement}", types.ASSURANCE_OBJECTIVES, {"objectives": documents})
        await self.log.append([event], actor=actor)

    def recent(self, objective: Objective) -> list[float]:
        """Its values at the last ticks, oldest first; NaN where there was none."""
        return self.foresight.recent(objective, _RECENT)

    # -- a tick ------------------------------------------------------------------------------------------------

    async def _tick(self, now: float) -> None:
        self._refresh()
        measured, told = await self._measure(now)
        await self._tell_availability(told, now)
        breaches = self.foresight.step(
            {one: Seen(found.value, found.quality) for one, found in measured.items() if not _is_availability(one)}, now
        )
        await self._stand(measured, breaches, now)
        await self._look(now)
        await self.deciding.decide({name: one.worst for name, one in self.standings.items()}, now)
        await self.reporting.send(self._terms_of_all(), self.standings, self.pace.report_seconds, now)
        if self.keeping.is_due(now):
            await self.keeping.keep(self.foresight, now)

    def _refresh(self) -> None:
        """Work out anew what services are when any has changed."""
        book = self.world.assurance
        if self._terms_of == book.version:
            return
        self._terms_of = book.version
        serving = {one.agreement for one in book.loop if one.state.is_serving}
        self._terms = {name: self._terms_now(name) for name in sorted(serving) if name in self.world.services.services}
        gone = self.standings.keys() - self._terms.keys()
        self._symptoms.forget(gone)
        for name in gone:
            del self.standings[name]

    def _terms_now(self, agreement: str) -> Terms:
        services = self.world.services
        sites = {site: services.sites[site] for site in services.vpn_sites.get(agreement, ()) if site in services.sites}
        places = {key: (at.device, at.port) for key, at in services.placements.items() if key[0] in sites}
        accesses = accesses_of(agreement, sites, places)
        record = self.world.intents.of_vpn(agreement)
        wish = decode(record.intent) if record is not None and record.intent else None
        intent = wish if isinstance(wish, Intent) else None
        return Terms(
            record, accesses, promised(agreement, accesses, intent, self.world.assurance.objectives(agreement))
        )

    def _terms_of_all(self) -> Mapping[str, tuple[IntentRecord | None, tuple[Access, ...]]]:
        return {name: (terms.intent, terms.accesses) for name, terms in self._terms.items()}

    async def _measure(self, now: float) -> tuple[dict[Objective, Measured], dict[str, str]]:
        """Every objective's value, and whether each service is available."""
        found: dict[Objective, Measured] = {}
        told: dict[str, str] = {}
        for count, (name, terms) in enumerate(tuple(self._terms.items()), start=1):
            sessions = self.measures.sessions(name, terms.accesses)
            told[name], quality = self.measures.reachable(terms.accesses, sessions, now)
            for objective in _measurable(terms.objectives, sessions):
                if not _is_availability(objective):
                    found[objective] = self.measures.look(objective, terms.accesses, sessions, now)
                    continue
                found[objective] = self._availability(name, objective, sessions, quality, now)
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return found, told

    def _availability(
        self, agreement: str, objective: Objective, sessions: Sequence[Session], quality: float, now: float
    ) -> Measured:
        budget = self.world.assurance.availability(agreement).budget(objective, now)
        series = tuple(one.key("lost-packets") for one in sessions)
        why = "" if quality else f"{objective.name} is not measured: no test packets of the service are told"
        return Measured(budget.availability, quality, series, why)

    async def _tell_availability(self, told: Mapping[str, str], now: float) -> None:
        """An event when any changes, and now and then: all are as they were told until then."""
        book = self.world.assurance
        known = set(told) | {name for name in book.agreements if book.told(name) != "unknown"}
        changed = {
            name: told.get(name, "unknown") for name in sorted(known) if book.told(name) != told.get(name, "unknown")
        }
        is_any_told = any(one != "unknown" for one in told.values())
        if changed or (is_any_told and now - book.told_at >= _TELL_SECONDS):
            event = NewEvent("assurance", types.ASSURANCE_AVAILABILITY, {"time": now, "changed": changed})
            await self.log.append([event], actor=ACTOR)

    async def _stand(
        self, measured: Mapping[Objective, Measured], breaches: Mapping[Objective, Breach], now: float
    ) -> None:
        book = self.world.assurance
        for count, (name, terms) in enumerate(tuple(self._terms.items()), start=1):
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)
            stand = []
            for objective in terms.objectives:
                if objective not in measured:
                    continue
                found = measured[objective]
                if _is_availability(objective):
                    availability = book.availability(name)
                    horizon = self.pace.horizon_seconds
                    breach = availability_breach(objective, availability, now, horizon, found.quality)
                    known = breach if availability.spells else unforeseen(objective)
                    stand.append(ObjectiveStanding(objective, found, known, availability.budget(objective, now)))
                else:
                    foreseen, shape = breaches.get(objective) or unforeseen(objective), self.foresight.shape(objective)
                    stand.append(ObjectiveStanding(objective, found, foreseen, anomaly=shape))
            shapes = {one.objective: one.anomaly for one in stand}
            late = [str(one) for one in self.late_links.of(name, terms.accesses)]
            symptoms = self._symptoms.look(name, [one.observed for one in stand], now, shapes, late)
            self.standings[name] = Standing(now, tuple(stand), symptoms, health(symptoms, now))
        for gone in self.standings.keys() - self._terms.keys():  # services end while others have their turn
            del self.standings[gone]

    async def _look(self, now: float) -> None:
        """Where what is foreseen moves agreements to, all of a tick in one append."""
        loop = self.world.assurance.loop
        standings = [(name, one) for name, one in self.standings.items() if name in loop]
        happenings = [loop.look(name, standing.breaches, now) for name, standing in standings]
        events = [happened(one) for one in happenings if one is not None]
        if events:
            await self.log.append(events, actor=ACTOR)

    def state(self, agreement: str) -> InstanceState:
        """Where its instance stands."""
        return self.world.assurance.loop.get(agreement).state


def happened(happening: Happening) -> NewEvent:
    """A happening as the event that makes it true."""
    data = {
        "event": happening.event.value,
        "time": happening.time,
        "cause": happening.cause,
        "reason": happening.reason,
    }
    return NewEvent(f"assurance/{happening.agreement}", types.ASSURANCE_HAPPENING, data)


def _measurable(objectives: Sequence[Objective], sessions: Sequence[Session]) -> Iterator[Objective]:
    """Of a service whose pairs are measured in part (there may be many), what is promised between those that are."""
    ends = {f"{one.head}>{one.tail}" for one in sessions}
    for objective in objectives:
        if not ends or objective.name not in PER_PAIR or objective.subject in ends:
            yield objective


def _is_availability(objective: Objective) -> bool:
    return objective.name is ObjectiveName.AVAILABILITY
