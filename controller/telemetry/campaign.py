"""Owns the sequential test of a measurement campaign: whether a quantity exceeds a bound more than now and then.

Each measurement either exceeds the bound or does not. A confidence sequence (a beta mixture martingale, Robbins 1970,
Ville's inequality) holds for the share that does at every moment at once, so one may look after each measurement and
stop as soon as it is known: the answer is wrong with at most 1 - confidence, however often it was looked at.
Measurements one after the other resemble each other: they count for as many as independent ones would tell the same.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from math import isfinite, isnan, lgamma, log, log1p

from controller.model.errors import InvalidInputError

_PRIOR = 0.5
_STEPS = 60
_FEWEST = 20
_RECENT = 200
_LOOK_EVERY = 10
_MOST_ALIKE = 0.95
_LEAST = 1e-12


class Answer(StrEnum):
    """What a campaign knows."""

    UNKNOWN = "unknown"
    EXCEEDS = "exceeds"
    STAYS_BELOW = "stays-below"


@dataclass(frozen=True, slots=True)
class Question:
    """Whether a quantity is above `bound` in more than `tolerated_ratio` of all cases."""

    bound: float
    confidence: float = 0.95
    tolerated_ratio: float = 0.01

    def __post_init__(self) -> None:
        """What cannot be answered is refused."""
        if not (isfinite(self.bound) and self.bound > 0):
            raise InvalidInputError(f"{self.bound:g} is no bound", remedy="give a positive one", path="above")
        if not 0.5 <= self.confidence < 1:
            raise InvalidInputError(
                f"a confidence of {self.confidence:g} is not from 0.5 to below 1", path="confidence"
            )
        if not 0 < self.tolerated_ratio < 1:
            raise InvalidInputError(f"a ratio of {self.tolerated_ratio:g} is not between 0 and 1", path="ratio")


@dataclass(slots=True)
class SequentialTest:
    """Takes measurements one by one. `answer` is final once it is known."""

    question: Question
    taken: int = 0
    above: int = 0
    lost: int = 0
    highest: float = 0.0
    answer: Answer = Answer.UNKNOWN
    alike: float = 0.0
    """How much a measurement resembles the one before: the lag-1 autocorrelation, from 0 up."""
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))

    def take(self, value: float) -> Answer:
        """A measurement; infinity is a test packet that never came."""
        if self.answer is not Answer.UNKNOWN or isnan(value):
            return self.answer
        self.taken += 1
        self.above += value > self.question.bound
        if isfinite(value):
            self.highest = max(self.highest, value)
            self._recent.append(value)
        else:
            self.lost += 1
        if self.taken % _LOOK_EVERY == 0:
            self.alike = _alike(self._recent)
        if self.taken >= _FEWEST:  # before, nobody knows how much they resemble each other
            self.answer = self._known()
        return self.answer

    def go_on(self, taken: int, above: int, lost: int, highest: float, alike: float) -> None:
        """Take over what an earlier test of the same question had seen; its answer is not known yet."""
        self.taken, self.above, self.lost, self.highest, self.alike = taken, above, lost, highest, alike

    @property
    def effective_share(self) -> float:
        """What part of a measurement counts."""
        return (1.0 - self.alike) / (1.0 + self.alike)

    def interval(self) -> tuple[float, float]:
        """Where the share above the bound lies, with the question's confidence."""
        share = self.effective_share
        return interval(self.above * share, self.taken * share, 1.0 - self.question.confidence)

    def _known(self) -> Answer:
        share, tolerated = self.effective_share, self.question.tolerated_ratio
        hits, trials = self.above * share, self.taken * share
        if not _is_excluded(tolerated, hits, trials, 1.0 - self.question.confidence):
            return Answer.UNKNOWN
        return Answer.EXCEEDS if self.above > tolerated * self.taken else Answer.STAYS_BELOW


def interval(hits: float, trials: float, error: float) -> tuple[float, float]:
    """The confidence sequence's interval for a share after `hits` of `trials`."""
    if trials <= 0:
        return 0.0, 1.0
    middle = hits / trials

    def is_excluded(share: float) -> bool:
        return _is_excluded(share, hits, trials, error)

    low = _border(0.0, middle, is_excluded) if hits > 0 else 0.0
    high = _border(1.0, middle, is_excluded) if hits < trials else 1.0
    return low, high


def _is_excluded(share: float, hits: float, trials: float, error: float) -> bool:
    """Whether the martingale against this share has grown beyond what chance allows (Ville)."""
    evidence = _log_beta(_PRIOR + hits, _PRIOR + trials - hits) - _log_beta(_PRIOR, _PRIOR)
    against = hits * log(max(share, _LEAST)) + (trials - hits) * log1p(-min(share, 1 - _LEAST))
    return evidence - against > -log(error)


def _alike(recent: Sequence[float]) -> float:
    values = list(recent)
    if len(values) < _FEWEST:
        return 0.0
    mean = sum(values) / len(values)
    spread = sum((value - mean) ** 2 for value in values)
    if spread <= (_LEAST * mean) ** 2 * len(values):
        return 0.0
    paired = sum((a - mean) * (b - mean) for a, b in pairwise(values))
    return min(max(paired / spread, 0.0), _MOST_ALIKE)


def _border(outside: float, inside: float, is_excluded: Callable[[float], bool]) -> float:
    """Where being excluded begins, on the way from inside to outside; the outer end of the last step."""
    if not is_excluded(outside):
        return outside
    for _ in range(_STEPS):
        between = (outside + inside) / 2
        if is_excluded(between):
            outside = between
        else:
            inside = between
    return outside


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def samples_needed(question: Question) -> int:
    """How many independent measurements, none of them above the bound, tell that it stays below."""
    trials = _FEWEST
    while not _is_excluded(question.tolerated_ratio, 0.0, trials, 1.0 - question.confidence):
        trials += max(1, trials // 1000)
    return trials
