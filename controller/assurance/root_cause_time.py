"""Owns the temporal gate: symptoms that begin close together belong to one incident, others to another one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from controller.assurance.root_cause_observations import Observation, ObservationKind

GAP_SECONDS = 60.0
"""Without a new symptom for so long, an incident has shown itself."""
_Series = tuple[ObservationKind, str, str]


@dataclass(frozen=True, slots=True)
class Incident:
    """What is observed of one: its symptoms, and what was good meanwhile. Times are None where none were given."""

    start: float | None
    end: float | None
    observations: tuple[Observation, ...]


def incidents(observations: Iterable[Observation], gap_seconds: float = GAP_SECONDS) -> tuple[Incident, ...]:
    """The incidents in the order of time; none without symptoms. A symptom that was there before is of the one before.

    A symptom without a time belongs to each of them, since it may.
    """
    series: dict[_Series, list[Observation]] = {}
    for one in sorted(observations, key=lambda one: (one.time is not None, one.time or 0.0)):
        series.setdefault((one.kind, one.subject, one.sensor), []).append(one)
    onsets = sorted(one.time for each in series.values() for one in _onsets(each) if one.time is not None)
    spans = list(_spans(onsets, gap_seconds))
    if not spans:
        last = tuple(each[-1] for each in series.values())
        return (Incident(None, None, last),) if any(one.is_symptom for one in last) else ()
    return tuple(Incident(start, end, tuple(_within(series.values(), start, end, gap_seconds))) for start, end in spans)


def _onsets(series: list[Observation]) -> Iterator[Observation]:
    """The first of each run of symptoms."""
    for is_symptom, run in groupby(series, key=lambda one: one.is_symptom):
        if is_symptom:
            yield next(run)


def _spans(times: list[float], gap_seconds: float) -> Iterator[tuple[float, float]]:
    start = end = times[0] if times else None
    for time in times[1:]:
        if end is not None and start is not None and time - end > gap_seconds:
            yield start, end
            start = time
        end = time
    if start is not None and end is not None:
        yield start, end


def _within(many: Iterable[list[Observation]], start: float, end: float, gap_seconds: float) -> Iterator[Observation]:
    """Of each series the symptom that began in the incident, or else the last that was good around it."""
    for series in many:
        begun = [one for one in _onsets(series) if one.time is None or start <= one.time <= end]
        near = (one for one in series if one.time is None or start - gap_seconds <= one.time <= end + gap_seconds)
        good = [one for one in near if not one.is_symptom]
        yield from (begun or good)[-1:]
