"""Owns what is published of scarcity: a band per link and axis, and which bandwidth grades are withdrawn.

Bands are entered at one price and left at a lower one, and stay for a while, so that they neither flap nor tell the
price behind them. A grade that a link has no room for any more is withdrawn at once; it comes back when there is room
and some to spare, after the same while.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf, isfinite

from controller.model.errors import InvalidInputError


class Band(StrEnum):
    """How scarce something is, as far as anybody is told."""

    BASELINE = "baseline"
    MODEST = "modest"
    STEEP = "steep"
    WITHDRAWN = "withdrawn"

    @property
    def rank(self) -> int:
        """0 for the cheapest."""
        return BANDS.index(self)


BANDS = tuple(Band)
WITHDRAWN_RANK = BANDS.index(Band.WITHDRAWN)


@dataclass(frozen=True, slots=True)
class Threshold:
    """The shadow price at which a band is entered, and the lower one below which it is left."""

    enter: float
    leave: float


@dataclass(frozen=True, slots=True)
class BandPolicy:
    """Thresholds of the bands above baseline, in order; how long each is kept at least; how much room brings one back.

    `reopen_margin`: a withdrawn grade comes back when the room is this share above what the grade takes.
    """

    thresholds: tuple[Threshold, Threshold, Threshold]
    dwell_seconds: float = 30.0
    reopen_margin: float = 0.25

    def __post_init__(self) -> None:
        """Refuse thresholds out of order, and bands that could flap."""
        below = 0.0
        for threshold, band in zip(self.thresholds, BANDS[1:], strict=True):
            if not (isfinite(threshold.enter) and below < threshold.leave < threshold.enter):
                raise InvalidInputError(
                    f"the band '{band}' is entered at {threshold.enter} and left at {threshold.leave}",
                    remedy="leave each band below where it is entered and above where the one before is left",
                )
            below = threshold.leave
        entries = [threshold.enter for threshold in self.thresholds]
        if entries != sorted(set(entries)):
            raise InvalidInputError(f"the bands are entered at {entries}", remedy="enter each above the one before")
        if not (isfinite(self.dwell_seconds) and self.dwell_seconds >= 0 and 0 <= self.reopen_margin <= 10):
            raise InvalidInputError(
                f"a dwell of {self.dwell_seconds} s and a margin of {self.reopen_margin} are not possible"
            )


@dataclass(frozen=True, slots=True)
class Level:
    """Where something stands on a ladder, and since when (UTC seconds)."""

    rank: int
    since: float


def banded(level: Level, price: float, now: float, policy: BandPolicy) -> Level:
    """The band's level after a look at the shadow price."""
    if (waiting := _waiting(level, now, policy)) is not None:
        return waiting
    rank = level.rank
    while rank < WITHDRAWN_RANK and price >= policy.thresholds[rank].enter:
        rank += 1
    while rank > 0 and price < policy.thresholds[rank - 1].leave:
        rank -= 1
    return level if rank == level.rank else Level(rank, now)


def opened(
    level: Level, room: float, rates: Sequence[int], now: float, policy: BandPolicy, *, whole: float = inf
) -> Level:
    """How many of the bandwidth grades (`rates`, rising) are sold, after a look at the room in bit/s.

    `whole` is the room when nothing is sold: with that much free there is enough to spare for any grade that fits.

    What does not fit is closed whatever the dwell says: what is on sale can always be held.
    """
    fits = sum(rate <= room for rate in rates)
    if fits < level.rank:
        return Level(fits, now)
    if (waiting := _waiting(level, now, policy)) is not None:
        return waiting
    with_margin = sum(rate <= room and min(rate * (1 + policy.reopen_margin), whole) <= room for rate in rates)
    return Level(with_margin, now) if with_margin > level.rank else level


def _waiting(level: Level, now: float, policy: BandPolicy) -> Level | None:
    """The level as it stays while its time is not over; a clock that was set back begins that time anew."""
    if now < level.since:
        return Level(level.rank, now)
    return level if now - level.since < policy.dwell_seconds else None
