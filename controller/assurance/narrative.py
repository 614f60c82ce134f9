"""Owns narratives: what happened, in a sentence each of whose clauses says which samples and events it rests on.

Draft ps-agentic-ai, Objective 5 (anomaly narratives, each sentence traced back to verifiable samples). Every number in
a sentence is a figure: a rule over named samples. `doubts` computes all of them again, from the samples alone, and
compares what comes out with what is said. Values that nobody measured bear no sentence.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from statistics import fmean
from types import MappingProxyType
from typing import Any

from controller.model.amounts import digits
from controller.model.errors import InvalidInputError
from controller.telemetry.sample import Sample

Json = Any
_MANY_TIMES = 10.0
"""From this growth or shrinking on a proportion says less than the two values."""
_TENTH = 0.1
CERTAIN = 0.9
"""From this confidence on a cause is named without 'probably'."""


@dataclass(frozen=True, slots=True, order=True)
class SampleReference:
    """A sample by its series, as `SeriesKey` is written, and its source time in UTC seconds."""

    series: str
    time: float


@dataclass(frozen=True, slots=True, order=True)
class EventReference:
    """An event by its position in the event log."""

    position: int


class Rule(StrEnum):
    """How a figure follows from its groups of samples."""

    FIRST_TIME = "first time"
    LAST_TIME = "last time"
    MEAN = "mean"
    CHANGE = "change of the mean, second group against the first, in proportion"
    SHARE = "growth of the mean, second group against the first, as a share of the third's"


@dataclass(frozen=True, slots=True)
class Notation:
    """How a value is written: multiplied by `factor`, then the symbol. Times have a pattern instead."""

    symbol: str
    factor: float = 1.0
    pattern: str = ""

    def write(self, value: float) -> str:
        """The value alone, as it stands in a sentence."""
        if self.pattern:
            return datetime.fromtimestamp(value, UTC).strftime(self.pattern)
        shown = value * self.factor
        return format(shown, ".0f") if self is PERCENT and 10 <= abs(shown) < 100 else digits(shown)


PERCENT = Notation("%", 100.0)
CLOCK = Notation("UTC", pattern="%H:%M")
DATE = Notation("UTC", pattern="%Y-%m-%d %H:%M")
PLAIN = Notation("")
_SECONDS = (Notation("us", 1e6), Notation("ms", 1e3), Notation("s"))
_BIT_RATES = tuple(
    Notation(f"{prefix}bit/s", 8.0 / 1000**power) for power, prefix in enumerate(("", "k", "M", "G", "T"))
)
"""Octets per second, as people write them."""
NOTATIONS: Mapping[str, tuple[Notation, ...]] = MappingProxyType(
    {
        **{f"{when}{what}-delay": _SECONDS for when in ("", "last-") for what in ("round-trip", "forward")},
        "delay-variation": _SECONDS,
        "in-octets": _BIT_RATES,
        "out-octets": _BIT_RATES,
        "loss-ratio": (PERCENT,),
    }
)
"""By kind of series, from the smallest unit to the largest."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in a sentence: the rule and the samples that it follows from, and how it is written."""

    rule: Rule
    groups: tuple[tuple[SampleReference, ...], ...]
    notation: Notation
    text: str


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a sentence and what it rests on; never on nothing."""

    text: str
    figures: tuple[Figure, ...] = ()
    events: tuple[EventReference, ...] = ()

    @property
    def samples(self) -> tuple[SampleReference, ...]:
        """Every sample that one of its figures follows from."""
        return tuple(sorted({one for figure in self.figures for group in figure.groups for one in group}))


@dataclass(frozen=True, slots=True)
class Narrative:
    """A sentence, clause by clause."""

    clauses: tuple[Clause, ...]

    def __str__(self) -> str:
        return " ".join(clause.text for clause in self.clauses) + "."

    def to_json(self) -> Json:
        """The sentence with its references, so that anybody can compute it again."""
        return {"text": str(self), "clauses": [_clause_json(clause) for clause in self.clauses]}


def _clause_json(clause: Clause) -> Json:
    return {
        "text": clause.text,
        "events": [event.position for event in clause.events],
        "figures": [
            {
                "text": one.text,
                "unit": one.notation.symbol,
                "rule": one.rule,
                "samples": [[[sample.series, sample.time] for sample in group] for group in one.groups],
            }
            for one in clause.figures
        ],
    }


@dataclass(frozen=True, slots=True)
class SeriesChange:
    """A series that went from one level to another. `what` names it to people: 'one-way delay London to Paris'."""

    what: str
    before: Sequence[Sample]
    during: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class LoadMove:
    """Load that went onto another link: the link's rates before and meanwhile, and meanwhile the whole load's."""

    onto: str
    before: Sequence[Sample]
    during: Sequence[Sample]
    whole: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class CauseEvent:
    """What localisation found: the event that began it, such as 'p1-p2' 'lost carrier'. Time in UTC seconds.

    Without a subject no cause is known, and the event is localisation's own record that it abstained.
    """

    event: EventReference
    time: float
    subject: str = ""
    what: str = ""
    confidence: float = 1.0


def explain(
    change: SeriesChange,
    moved: LoadMove | None = None,
    cause: CauseEvent | None = None,
    then: CauseEvent | None = None,
) -> Narrative:
    """The sentence about a change, the load that moved meanwhile, what began it, and what was done about that `then`.

    `InvalidInputError` where nothing was measured, or where the cause comes after all that it is said to have caused.
    """
    before, during = _measured(change.before, change.what), _measured(change.during, change.what)
    if cause is not None and cause.subject and cause.time > during[-1].source_time:
        raise InvalidInputError(
            f"'{cause.subject} {cause.what}' came after the change of {change.what}",
            remedy="explain a longer time, or look at the clocks",
            path=change.what,
        )
    clauses = [_between(during), _changed(change.what, before, during)]
    share = _moved(moved) if moved else None
    because = "because" if cause is None or cause.confidence >= CERTAIN else "probably because"
    if share:
        clauses.append(Clause(f"{because} {share.text}", share.figures))
    if cause:
        clauses.append(_caused(cause, "after" if share else because))
    if cause and then:
        clauses.append(_caused(then, "and then"))
    return Narrative(tuple(clauses))


def as_of(samples: Sequence[Sample], text: str) -> Narrative:
    """What was found when the last of these had been told."""
    last = _figure(Rule.LAST_TIME, CLOCK, samples)
    return Narrative((Clause(f"At {last.text} UTC {text}", (last,)),))


def takes(samples: Sequence[Sample], what: str, beside: str) -> Narrative:
    """How much something is by these samples, between what it is and what is said beside it."""
    last = _figure(Rule.LAST_TIME, CLOCK, samples)
    value = _figure(Rule.MEAN, _notation(samples[0].key.kind, abs(_mean(samples))), samples)
    return Narrative((Clause(f"At {last.text} UTC {what} {_written(value)}{beside}", (last, value)),))


def _measured(samples: Sequence[Sample], what: str) -> list[Sample]:
    """In their order; what was imputed is left out."""
    found = sorted((one for one in samples if one.counts_for_billing), key=lambda one: one.source_time)
    if not found:
        raise InvalidInputError(f"nothing was measured of {what}", remedy="explain another time", path=what)
    return found


def _between(during: Sequence[Sample]) -> Clause:
    days = {datetime.fromtimestamp(one.source_time, UTC).date() for one in (during[0], during[-1])}
    notation = CLOCK if len(days) == 1 else DATE
    first = _figure(Rule.FIRST_TIME, notation, during)
    last = _figure(Rule.LAST_TIME, notation, during)
    text = f"At {first.text} UTC" if first.text == last.text else f"Between {first.text} and {last.text} UTC"
    return Clause(text, (first, last))


def _changed(what: str, before: Sequence[Sample], during: Sequence[Sample]) -> Clause:
    low, high = sorted((_mean(before), _mean(during)))
    kind, largest = before[0].key.kind, max(abs(low), abs(high))
    old, new = (_figure(Rule.MEAN, _notation_beside(kind, _mean(one), largest), one) for one in (before, during))
    if _written(old) == _written(new):
        return Clause(f"{what} stayed at {_written(new)}", (old, new))
    went = "rose" if _mean(during) > _mean(before) else "fell"
    first = old.text if old.notation == new.notation or old.text == "0" else _written(old)
    if low <= 0 or high > _MANY_TIMES * low:
        return Clause(f"{what} {went} from {first} to {_written(new)}", (old, new))
    change = _figure(Rule.CHANGE, PERCENT, before, during)
    return Clause(f"{what} {went} {change.text.lstrip('-')} % ({first} to {_written(new)})", (change, old, new))


def _written(figure: Figure) -> str:
    return f"{figure.text} {figure.notation.symbol}".rstrip()


def _moved(moved: LoadMove) -> Clause | None:
    """None where no load moved."""
    groups = [_measured(one, f"load of {moved.onto}") for one in (moved.before, moved.during, moved.whole)]
    if _mean(groups[1]) <= _mean(groups[0]) or _mean(groups[2]) <= 0:
        return None
    share = _figure(Rule.SHARE, PERCENT, *groups)
    if share.text == "0":
        return None
    return Clause(f"{share.text} % of the load moved to {moved.onto}", (share,))


def _caused(cause: CauseEvent, because: str) -> Clause:
    if not cause.subject:
        return Clause("and what began it is not known", events=(cause.event,))
    return Clause(f"{because} {cause.subject} {cause.what}", events=(cause.event,))


def _mean(samples: Sequence[Sample]) -> float:
    return fmean(one.value for one in samples)


def _notation(kind: str, largest: float) -> Notation:
    """The largest unit in which the value is at least 1, or else the smallest."""
    fitting = [one for one in NOTATIONS.get(kind, (PLAIN,)) if largest * one.factor >= 1]
    return min(fitting, key=lambda one: one.factor, default=NOTATIONS.get(kind, (PLAIN,))[0])


def _notation_beside(kind: str, value: float, largest: float) -> Notation:
    """The unit of the larger of two values, unless the smaller would be next to nothing in it and is not nothing."""
    shared, own = _notation(kind, largest), _notation(kind, abs(value))
    is_small = abs(value * shared.factor) < _TENTH and own.write(value) != "0"
    return own if is_small else shared


def _figure(rule: Rule, notation: Notation, *groups: Sequence[Sample]) -> Figure:
    named = tuple(tuple(SampleReference(str(one.key), one.source_time) for one in group) for group in groups)
    values = {SampleReference(str(one.key), one.source_time): one.value for group in groups for one in group}
    return Figure(rule, named, notation, notation.write(compute(rule, named, values.__getitem__)))


def compute(
    rule: Rule, groups: Sequence[Sequence[SampleReference]], value_of: Callable[[SampleReference], float]
) -> float:
    """What a rule makes of samples."""
    if rule is Rule.FIRST_TIME:
        return min(one.time for one in groups[0])
    if rule is Rule.LAST_TIME:
        return max(one.time for one in groups[0])
    means = [fmean(map(value_of, group)) for group in groups]
    if rule is Rule.MEAN:
        return means[0]
    return (means[1] - means[0]) / (means[0] if rule is Rule.CHANGE else means[2])


def doubts(narrative: Narrative, value_of: Callable[[SampleReference], float]) -> Iterator[str]:
    """Each figure that doesn't follow from the samples, or doesn't stand in its clause; `value_of` knows them all."""
    for clause in narrative.clauses:
        if not clause.figures and not clause.events:
            yield f"'{clause.text}' rests on nothing"
        for figure in clause.figures:
            again = figure.notation.write(compute(figure.rule, figure.groups, value_of))
            if again != figure.text:
                yield f"'{clause.text}': {figure.text} should be {again}"
            elif figure.text.lstrip("-") not in clause.text:
                yield f"'{clause.text}' doesn't say {figure.text}"
