"""Owns a measured value and what is known of it: which series, when, how far it can be trusted and where it is from.

The series of a counter hold its rate per second (RFC 8343 counts octets; nobody acts on a count).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import NamedTuple

from controller.model.identifiers import DeviceName

_IMPUTED_QUALITY = 0.5
"""Below the floor of quality: nothing is done on the strength of imputed values alone."""


class SeriesKey(NamedTuple):
    """What is measured: `kind` of `object` (an interface, session or tunnel, "" for the device itself)."""

    device: DeviceName
    kind: str
    object: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.device, self.object, self.kind) if part)


class Provenance(StrEnum):
    """How a value came here."""

    POLLED = "polled"
    PUSHED = "pushed"
    NOTIFIED = "notified"
    PROBED = "probed"
    DERIVED = "derived"
    IMPUTED = "imputed"


class Problem(StrEnum):
    """What is wrong with a value or with the series that it is from."""

    RESET = "reset"
    """The counter began anew; what was counted in between is lost."""
    WRAP = "wrap"
    AMBIGUOUS = "ambiguous"
    """The counter may have gone round more than once between two readings."""
    DUPLICATE = "duplicate"
    GAP = "gap"
    STALE = "stale"
    """Older than it may be, or nothing new came."""
    FROZEN = "frozen"
    """Stands still although it used to move."""
    SKEW = "skew"
    """The source's clock is not ours."""
    IMPOSSIBLE = "impossible"
    CONTRADICTED = "contradicted"
    """Another witness says otherwise."""


class Reading(NamedTuple):
    """A value as it came in. `discontinuity` is when the source says that its counter began (RFC 8343)."""

    key: SeriesKey
    source_time: float
    receive_time: float
    value: float
    provenance: Provenance = Provenance.POLLED
    discontinuity: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A judged value; times are seconds UTC. `value` is NaN when a reading told none, such as a counter's first."""

    key: SeriesKey
    source_time: float
    receive_time: float
    value: float
    quality: float = 1.0
    provenance: Provenance = Provenance.POLLED
    deviation: float = 0.0
    """Standard deviation of an imputed value."""
    problems: tuple[Problem, ...] = ()

    @property
    def is_usable(self) -> bool:
        """Whether anything may be concluded from it."""
        return isfinite(self.value) and self.quality > 0

    @property
    def counts_for_billing(self) -> bool:
        """Whether money, SLA credit and training labels may rest on it: never on what nobody measured."""
        return self.is_usable and self.provenance is not Provenance.IMPUTED


def imputed(key: SeriesKey, time: float, value: float, deviation: float) -> Sample:
    """A value that nobody measured."""
    return Sample(key, time, time, value, _IMPUTED_QUALITY, Provenance.IMPUTED, deviation)


def derived(key: SeriesKey, value: float, sources: Sequence[Sample], deviation: float = 0.0) -> Sample:
    """A value worked out of others: no better than the worst of them, and imputed if one of them is."""
    is_imputed = any(source.provenance is Provenance.IMPUTED for source in sources)
    return Sample(
        key,
        min(source.source_time for source in sources),
        max(source.receive_time for source in sources),
        value,
        min(source.quality for source in sources),
        Provenance.IMPUTED if is_imputed else Provenance.DERIVED,
        deviation,
        tuple(dict.fromkeys(problem for source in sources for problem in source.problems)),
    )
