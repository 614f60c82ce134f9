"""Owns explaining a service: what changed in what is measured of it, what began it, where it stands, what was decided.

Every clause names the samples and events that it rests on, and all of them come along, so that anybody can check it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from controller.assurance.instance import InstanceEvent
from controller.assurance.narrative import (
    Clause,
    EventReference,
    Narrative,
    SampleReference,
    SeriesChange,
    as_of,
    explain,
    takes,
)
from controller.assurance.objectives import ObjectiveName
from controller.assurance.standing import UNUSUAL
from controller.assurance.turning import levels
from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName
from controller.model.inventory import DeviceRecord
from controller.runtime.assurance import Assurance, ObjectiveStanding
from controller.runtime.assurance_origins import Origins, Turn
from controller.telemetry.sample import Sample, SeriesKey

Json = Any
_MOST = 10
_WORDS = {
    ObjectiveName.ONE_WAY_DELAY: "one-way delay",
    ObjectiveName.ROUND_TRIP_DELAY: "round-trip delay",
    ObjectiveName.JITTER: "delay variation",
    ObjectiveName.LOSS: "test packets lost a second",
    ObjectiveName.BANDWIDTH: "load",
}


@dataclass(frozen=True, slots=True)
class Explaining:
    """Explains services out of the series, the book and the log."""

    assurance: Assurance
    records: Callable[[], Mapping[DeviceName, DeviceRecord]]

    def explain(self, agreement: str) -> Json:
        """The sentences about a service, the samples and the events that they rest on."""
        self.assurance.terms(agreement)
        stories = [
            *self._standing(agreement),
            *self._changes(agreement),
            *self._untrusted(agreement),
            *self._diagnosed(agreement),
            *self._unusual(agreement),
            *self._late(agreement),
            *self._decided(agreement),
        ]
        return {
            "service": agreement,
            "state": self.assurance.state(agreement).value,
            "sentences": [story.to_json() for story in stories],
            "samples": self._samples(stories),
            "events": self._events(stories),
        }

    # -- sentences ---------------------------------------------------------------------------------------------

    def _standing(self, agreement: str) -> Iterator[Narrative]:
        book = self.assurance.world.assurance
        instance = book.loop.get(agreement)
        steps = list(zip(instance.steps[-len(book.positions(agreement)) :], book.positions(agreement), strict=True))
        came = next(((step, at) for step, at in reversed(steps) if step.happening.time == instance.since), None)
        if came is not None:
            step, position = came
            is_risk = step.happening.event not in {InstanceEvent.ASSURE, InstanceEvent.CLEAR}
            reason = f": {step.happening.reason}" if step.happening.reason and is_risk else ""
            text = f"{agreement} is {instance.state} since {_clock(instance.since)} UTC{reason}"
            yield Narrative((Clause(text, events=(EventReference(position),)),))

    def _changes(self, agreement: str) -> Iterator[Narrative]:
        """Loads last, and of each what changed most first; where nothing changed, that is said of one of each kind."""
        standing = self.assurance.standings.get(agreement)
        told = [
            (one, what, key, found)
            for one in (standing.objectives if standing else ())
            for what, key in self._told_by(one)
            if (found := levels(self._kept(key))) is not None
        ]
        told.sort(key=lambda each: (each[0].objective.name is ObjectiveName.BANDWIDTH, -_size(*each[3])))
        for one, what, _, (before, during) in told[:_MOST]:
            yield self._changed(agreement, one, what, before, during)
        if not told and standing:
            yield from self._unchanged(standing.objectives)

    def _changed(
        self, agreement: str, one: ObjectiveStanding, what: str, before: list[Sample], during: list[Sample]
    ) -> Narrative:
        head, _, tail = one.objective.subject.partition(">")
        ends = (DeviceName(head), DeviceName(tail)) if tail else None
        origin = Origins(self.assurance).of(agreement, Turn(before, during, ends))
        change = SeriesChange(what, before, during)
        try:
            return explain(change, origin.moved, origin.cause, origin.then)
        except InvalidInputError:
            return explain(change)

    def _unchanged(self, objectives: Iterable[ObjectiveStanding]) -> Iterator[Narrative]:
        named: set[ObjectiveName] = set()
        for one in sorted(objectives, key=lambda one: one.objective.name is ObjectiveName.BANDWIDTH):
            for what, key in self._told_by(one) if one.objective.name not in named else ():
                samples = [sample for sample in self._kept(key) if sample.counts_for_billing]
                if len(samples) > 1:
                    yield explain(SeriesChange(what, samples, samples))
                    named.add(one.objective.name)
                    break

    def _diagnosed(self, agreement: str) -> Iterator[Narrative]:
        """The last that was found to be wrong on its way, for as long as what it did to the series is remembered."""
        book, kept = self.assurance.world.assurance, self.assurance.measures.series().history_seconds
        found = [one for one in book.diagnoses if agreement in one.data["services"]]
        if found and self.assurance.clock.now() - found[-1].time <= kept:
            causes = "; ".join(f"{one['cause']} at fault ({one['reason']})" for one in found[-1].data["causes"])
            text = f"At {_clock(found[-1].time)} UTC localisation found {causes}"
            yield Narrative((Clause(text, events=(EventReference(found[-1].position),)),))

    def _untrusted(self, agreement: str) -> Iterator[Narrative]:
        """What is not measured well enough to say anything of it now, and since when."""
        standing = self.assurance.standings.get(agreement)
        bad = [one for one in standing.objectives if one.measured.why] if standing else []
        for one in bad[:_MOST]:
            samples = [sample for key in one.measured.series if (sample := self._latest(key)) is not None]
            if samples:
                yield as_of(samples, f"the last that counts of {one.objective.label} was told: {one.measured.why}")

    def _unusual(self, agreement: str) -> Iterator[Narrative]:
        """What takes of the health without having broken anything."""
        standing = self.assurance.standings.get(agreement)
        found = [one for one in standing.symptoms if one.kind == UNUSUAL] if standing else []
        odd = [one for one in standing.objectives if one.anomaly.word] if standing else []
        samples = [sample for one in odd for key in one.measured.series if (sample := self._latest(key)) is not None]
        if standing and found and samples:
            text = f"at least two of three detectors found unusual: {found[0].reason}"
            yield as_of(samples, f"{text} (health {standing.health} of 100)")

    def _late(self, agreement: str) -> Iterator[Narrative]:
        """Links that may have been late before anybody looked."""
        for one in self.assurance.late_links.of(agreement, self.assurance.terms(agreement).accesses)[:_MOST]:
            key = self.assurance.measures.topology.measurements.delay_series.get(one.link.id)
            if key is not None and (sample := self._latest(key)) is not None:
                yield takes([sample], f"{one.name} takes", f", {one.expectation} (low confidence)")

    def _latest(self, key: SeriesKey) -> Sample | None:
        return next((one for one in reversed(self._kept(key)) if one.counts_for_billing), None)

    def _decided(self, agreement: str) -> Iterator[Narrative]:
        book = self.assurance.world.assurance
        kept = book.decisions(agreement)
        if not kept:
            return
        last = kept[-1]
        against = [reason["text"] for reason in last.data["reasons"] if not reason["holds"]]
        what = f"it was decided to {last.data['remedy']}" if last.data["acts"] else "it was decided to do nothing"
        why = f" ({'; '.join(against)})" if against else ""
        text = f"At {_clock(last.data['time'])} UTC {what}{why}"
        yield Narrative((Clause(text, events=(EventReference(last.position),)),))

    # -- what it rests on --------------------------------------------------------------------------------------

    def _told_by(self, standing: ObjectiveStanding) -> Iterator[tuple[str, SeriesKey]]:
        """The series of an objective that can be told by themselves, with what they are to people."""
        objective = standing.objective
        word = _WORDS.get(objective.name)
        if word is None:
            return
        if objective.name is ObjectiveName.BANDWIDTH:
            for key in standing.measured.series:
                if key.kind == "out-octets":
                    yield f"{word} of {self._link_name(key)}", key
            return
        head, _, tail = objective.subject.partition(">")
        series = standing.measured.series[-1:] if objective.name is ObjectiveName.LOSS else standing.measured.series
        for key in series:
            yield f"{word} {self._place(head)} to {self._place(tail)}", key

    def _kept(self, key: SeriesKey) -> list[Sample]:
        return self.assurance.measures.series().store.samples(key, float("-inf"), float("inf"))

    def _samples(self, stories: Iterable[Narrative]) -> Json:
        """Each series that a sentence names, with the values at the times that it names."""
        wanted: dict[str, set[float]] = {}
        for reference in (one for story in stories for clause in story.clauses for one in clause.samples):
            wanted.setdefault(reference.series, set()).add(reference.time)
        known = {str(key): key for key in self.assurance.measures.series().keys()}  # noqa: SIM118 - not a dict
        return {
            name: [[one.source_time, one.value] for one in self._kept(known[name]) if one.source_time in times]
            for name, times in wanted.items()
            if name in known
        }

    def _events(self, stories: Iterable[Narrative]) -> Json:
        positions = {event.position for story in stories for clause in story.clauses for event in clause.events}
        found = {}
        for position in sorted(positions):
            event = next(iter(self.assurance.log.read(position - 1, limit=1)))
            found[str(position)] = {
                "type": event.type,
                "time": event.time,
                "stream": event.stream,
                "data": dict(event.data),
            }
        return found

    # -- names -------------------------------------------------------------------------------------------------

    def _place(self, name: str) -> str:
        """The city of a router where it is the only one there, or else the router."""
        records = self.records()
        record = records.get(DeviceName(name))
        city = record.place.city if record else ""
        alike = [other for other in records.values() if other.place.city == city and other.role == "pe"]
        return city if city and len(alike) == 1 else name

    def _link_name(self, key: SeriesKey) -> str:
        for link in self.assurance.measures.topology.network.links.values():
            if (link.source.node, link.source.name) == (key.device, key.object):
                return f"{link.source.node}-{link.target.node}"
        return f"{key.device}:{key.object}"


def value_of(explanation: Json) -> Callable[[SampleReference], float]:
    """The values that an explanation brings along, for checking its sentences."""
    values = {(name, time): value for name, samples in explanation["samples"].items() for time, value in samples}
    return lambda reference: float(values[reference.series, reference.time])


def _mean(samples: list[Sample]) -> float:
    return sum(one.value for one in samples) / len(samples) if samples else 0.0


def _size(before: list[Sample], during: list[Sample]) -> float:
    """How much a level changed, in proportion."""
    low, high = sorted((abs(_mean(before)), abs(_mean(during))))
    return (high - low) / high if high else 0.0


def _clock(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M")
