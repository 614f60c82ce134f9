"""Owns service level objectives: what is promised of a service, and how much of the promise's error budget is left.

The properties are those of RFC 9543 section 5.1.1.1 (guaranteed bandwidth, delay, jitter, loss, availability); values
are in base units: seconds, bit/s, ratios. An error budget is the share of a window that may be bad; its burn rate says
how many times faster than allowed it is being used up.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from math import isfinite

from controller.intent.model import Intent, Property, PropertyExpectation
from controller.model.errors import InvalidInputError
from controller.model.identifiers import ServiceId

WINDOW_SECONDS = 30 * 86_400.0
SPELLS_KEPT = 512
_PARTS_PER_MILLION = 1e6
_MICROSECONDS = 1e6


class ObjectiveName(StrEnum):
    """What an objective is about."""

    BANDWIDTH = "bandwidth"
    ONE_WAY_DELAY = "delay-one-way"
    ROUND_TRIP_DELAY = "delay-round-trip"
    JITTER = "jitter"
    LOSS = "loss"
    AVAILABILITY = "availability"

    @property
    def unit(self) -> str:
        """The base unit of its values."""
        return _UNITS[self]

    @property
    def is_floor(self) -> bool:
        """Whether the target is the least and not the most."""
        return self in {ObjectiveName.BANDWIDTH, ObjectiveName.AVAILABILITY}


_UNITS = {
    ObjectiveName.BANDWIDTH: "bit/s",
    ObjectiveName.ONE_WAY_DELAY: "s",
    ObjectiveName.ROUND_TRIP_DELAY: "s",
    ObjectiveName.JITTER: "s",
    ObjectiveName.LOSS: "ratio",
    ObjectiveName.AVAILABILITY: "ratio",
}


@dataclass(frozen=True, slots=True)
class Objective:
    """A promise about a service. `target` in the unit of its name; `window_seconds` is what it is averaged over.

    `subject` tells objectives of one name apart where a service has several, such as one for each pair of sites.
    """

    service: ServiceId
    name: ObjectiveName
    target: float
    window_seconds: float = WINDOW_SECONDS
    subject: str = ""

    def __post_init__(self) -> None:
        """Refuse a promise that cannot be one."""
        highest = 1.0 if self.unit == "ratio" else float("inf")
        if not (isfinite(self.target) and 0.0 <= self.target <= highest):
            raise InvalidInputError(f"a target of {self.target:g} {self.unit} is no {self.name}", path=str(self))
        if not self.window_seconds > 0:
            raise InvalidInputError(f"a window of {self.window_seconds:g} s is no time", path=str(self))

    def __str__(self) -> str:
        return f"{self.service}/{self.subject}/{self.name}" if self.subject else f"{self.service}/{self.name}"

    @property
    def label(self) -> str:
        """What it is called within its service."""
        return f"{self.name} {self.subject}" if self.subject else str(self.name)

    @property
    def unit(self) -> str:
        """The unit of the target."""
        return self.name.unit

    def is_kept_by(self, observed: float) -> bool:
        """Whether a value keeps the promise; one that is not known keeps nothing."""
        return observed >= self.target if self.name.is_floor else observed <= self.target

    @property
    def allowed_ratio(self) -> float:
        """The share of the window in which the service may be bad; only availability allows any."""
        return 1.0 - self.target if self.name is ObjectiveName.AVAILABILITY else 0.0


def objectives_of(intent: Intent, service: ServiceId) -> tuple[Objective, ...]:
    """What an intent promises; the bandwidths of both directions are one, and the larger is kept."""
    found: dict[ObjectiveName, Objective] = {}
    for expectation in intent.properties:
        name, target = _target(expectation)
        if name not in found or target > found[name].target:
            found[name] = Objective(service, name, target)
    return tuple(found.values())


def _target(expectation: PropertyExpectation) -> tuple[ObjectiveName, float]:
    if expectation.about is Property.LATENCY:
        return ObjectiveName.ONE_WAY_DELAY, expectation.value / _MICROSECONDS
    if expectation.about is Property.AVAILABILITY:
        return ObjectiveName.AVAILABILITY, expectation.value / _PARTS_PER_MILLION
    return ObjectiveName.BANDWIDTH, float(expectation.value)


@dataclass(frozen=True, slots=True)
class Spell:
    """A time that was measured, and the share of it that was bad. What was not measured is in no spell."""

    start: float
    end: float
    bad_ratio: float

    @property
    def measured_seconds(self) -> float:
        """How long it is."""
        return self.end - self.start

    @property
    def bad_seconds(self) -> float:
        """How much of it was bad."""
        return self.bad_ratio * self.measured_seconds

    def since(self, moment: float) -> "Spell":
        """The part after a moment; the bad time of a spell of both kinds counts as spread evenly."""
        return replace(self, start=max(self.start, min(moment, self.end)))

    def joined(self, later: "Spell") -> "Spell":
        """This and the one that begins where it ends."""
        length = later.end - self.start
        same = self.bad_ratio == later.bad_ratio
        ratio = self.bad_ratio if same else (self.bad_seconds + later.bad_seconds) / length
        return Spell(self.start, later.end, ratio)


@dataclass(frozen=True, slots=True)
class Availability:
    """When a service was measured and when it was bad: bounded, and exact but where the oldest spells were joined."""

    spells: tuple[Spell, ...] = ()

    def measured(self, start: float, end: float, *, is_good: bool, window_seconds: float) -> "Availability":
        """With one more measured time; what overlaps the last one, or goes backwards, counts once."""
        start = max(start, self.spells[-1].end) if self.spells else start
        if end <= start:
            return self
        spell = Spell(start, end, 0.0 if is_good else 1.0)
        kept = [one for one in self.spells if one.end > end - window_seconds]
        if kept and kept[-1].end == start and kept[-1].bad_ratio == spell.bad_ratio:
            spell = kept.pop().joined(spell)
        return Availability(_bounded((*kept, spell)))

    def budget(self, objective: Objective, now: float, over_seconds: float | None = None) -> "ErrorBudget":
        """The budget over the objective's window, or over a shorter time before now."""
        begin = now - (objective.window_seconds if over_seconds is None else over_seconds)
        recent = [spell.since(begin) for spell in self.spells if spell.end > begin]
        measured = sum(spell.measured_seconds for spell in recent)
        bad = sum(spell.bad_seconds for spell in recent)
        return ErrorBudget(objective.allowed_ratio, objective.window_seconds, measured, bad)


def _bounded(spells: tuple[Spell, ...]) -> tuple[Spell, ...]:
    """Where there are too many, the two oldest become one, or the oldest is forgotten if nothing joins them."""
    if len(spells) <= SPELLS_KEPT:
        return spells
    first, second, *rest = spells
    return (first.joined(second), *rest) if first.end == second.start else (second, *rest)


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """What a window allowed, and what of it was used in the time that was measured."""

    allowed_ratio: float
    window_seconds: float
    measured_seconds: float
    bad_seconds: float

    @property
    def availability(self) -> float:
        """The share of the measured time that was good; NaN where nothing was measured."""
        return 1.0 - self.bad_seconds / self.measured_seconds if self.measured_seconds else float("nan")

    @property
    def remaining_ratio(self) -> float:
        """The share of the window's budget that is left; below zero when it is overdrawn."""
        allowed = self.allowed_ratio * self.window_seconds
        if not allowed:
            return 1.0 if not self.bad_seconds else float("-inf")
        return 1.0 - self.bad_seconds / allowed

    @property
    def burn_rate(self) -> float:
        """How many times faster than allowed it was used: at 1 it lasts exactly the window."""
        if not self.bad_seconds:
            return 0.0
        return self.bad_seconds / self.measured_seconds / self.allowed_ratio if self.allowed_ratio else float("inf")

    @property
    def exhausted_in_seconds(self) -> float:
        """When the budget is gone if it goes on like this; infinite when nothing is used."""
        rate = self.burn_rate
        return max(0.0, self.remaining_ratio) * self.window_seconds / rate if rate else float("inf")
