"""Owns what is observed of the network and how likely that is under each way of failing.

A noisy-OR over the faults on a path (as in Sherlock and Flock): what survives one fault has to survive the next. Losses
are beta-binomial, because nobody knows how much a bad link loses, and a healthy one loses in bursts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from math import exp, lgamma, log

import numpy as np
from numpy.typing import NDArray

from controller.assurance.root_cause_groups import RiskKind
from controller.model.errors import InvalidInputError
from controller.topology.network import Path

Array = NDArray[np.float64]
LIES = 0.02
"""How many sensors lie."""


class ObservationKind(StrEnum):
    """What an observation says."""

    LOSS = "loss"
    """So many packets sent along a path, so many lost."""
    CARRIER = "carrier"
    """A port has carrier, or has not."""
    SILENCE = "silence"
    """A device answers, or does not."""
    VERDICT = "verdict"
    """A detector found a series good or bad, such as a delay or a count of discards."""
    DELAY = "delay"
    """A link's own session found that packets take far longer over it than they usually do, or that they do not."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing that `sensor`, the device that says so, tells of `subject`, a path, port or node over `elements`.

    `time` is in seconds UTC, None where it holds throughout; `quality` from 0 (tells nothing) to 1.
    """

    kind: ObservationKind
    subject: str
    sensor: str
    elements: frozenset[str]
    is_bad: bool = False
    sent: int = 0
    lost: int = 0
    time: float | None = None
    quality: float = 1.0
    lies: float = LIES
    """How likely its sensor is to lie, before anything is seen."""
    is_presumed: bool = False
    """Whether nobody said so: it is taken as good because its sensor, if it is alive, would have said otherwise."""

    def __post_init__(self) -> None:
        """Refuse what cannot have been observed."""
        if not 0 <= self.quality <= 1:
            raise InvalidInputError(
                f"observation of '{self.subject}' has quality {self.quality}", remedy="give one between 0 and 1"
            )
        if not 0 <= self.lost <= self.sent or (self.kind is ObservationKind.LOSS and not self.sent):
            raise InvalidInputError(
                f"observation of '{self.subject}' lost {self.lost} of {self.sent} packets",
                remedy="give at least one packet sent, and no more lost than sent",
            )

    @property
    def is_symptom(self) -> bool:
        """Whether some fault explains it much better than no fault does."""
        told = likelihood(self)
        return self.quality * (float(told.alone.max()) - told.healthy) > _SYMPTOM

    def __str__(self) -> str:
        if self.kind is ObservationKind.LOSS:
            return f"{self.subject}: {self.lost} of {self.sent} lost"
        return f"{self.subject}: {_WORDS[self.kind][self.is_bad]}"


_WORDS = {
    ObservationKind.CARRIER: ("carrier", "no carrier"),
    ObservationKind.SILENCE: ("answers", "silent"),
    ObservationKind.VERDICT: ("good", "bad"),
    ObservationKind.DELAY: ("in time", "late"),
}
_SYMPTOM = 2.0


def path_elements(paths: Iterable[Path]) -> frozenset[str]:
    """What packets along these paths depend on, such as a test packet's way out and back."""
    return frozenset(element for path in paths for element in (*path.link_ids, *path.nodes))


@dataclass(frozen=True, slots=True)
class Mode:
    """A way of failing: the share of packets it loses, and how surely each kind of sensor shows it."""

    name: str
    loss: float
    carrier: float
    silence: float
    verdict: float
    share: float
    """Of all faults."""
    delay: float = 0.3


_UNSEEN = 0.005
MODES = (
    Mode("down", 0.995, 0.97, 0.97, 0.98, 0.4),
    Mode("blackhole", 0.995, _UNSEEN, _UNSEEN, 0.98, 0.1),
    Mode("loses 40 %", 0.4, _UNSEEN, _UNSEEN, 0.95, 0.07),
    Mode("loses 20 %", 0.2, _UNSEEN, _UNSEEN, 0.95, 0.07),
    Mode("loses 10 %", 0.1, _UNSEEN, _UNSEEN, 0.95, 0.07),
    Mode("loses 5 %", 0.05, _UNSEEN, _UNSEEN, 0.9, 0.07),
    Mode("loses 2.5 %", 0.025, _UNSEEN, _UNSEEN, 0.9, 0.07),
    Mode("loses 1.25 %", 0.0125, _UNSEEN, _UNSEEN, 0.85, 0.07),
    Mode("loses 0.6 %", 0.006, _UNSEEN, _UNSEEN, 0.85, 0.07),
    Mode("loses 0.3 %", 0.003, _UNSEEN, _UNSEEN, 0.8, 0.07),
    Mode("late", 0.0, _UNSEEN, _UNSEEN, _UNSEEN, 0.2, 0.98),
)
DOWN, LATE = 0, len(MODES) - 1
_PRIORS = {RiskKind.LINK: 1e-3, RiskKind.NODE: 5e-4, RiskKind.SRLG: 4e-4, RiskKind.LINE_CARD: 1e-3}


def log_prior(kind: RiskKind, mode: int, direction: str) -> float | None:
    """How likely such a fault is before anything is seen; None for what does not happen.

    A conduit is cut and does not lose a little; one direction alone loses packets, or is late, and keeps its carrier.
    """
    if (kind is RiskKind.SRLG and mode != DOWN) or (direction and mode == DOWN):
        return None
    share = 1.0 if kind is RiskKind.SRLG else MODES[mode].share
    return log(_PRIORS[kind] * share * (0.5 if direction else 1.0))


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The logarithm of how likely an observation is: without a fault, with one of each mode, with two, from a liar."""

    healthy: float
    alone: Array
    together: Array
    lie: float


_LEAKS = {
    ObservationKind.CARRIER: 0.002,
    ObservationKind.SILENCE: 0.02,
    ObservationKind.VERDICT: 0.01,
    ObservationKind.DELAY: 1e-4,
}
"""How often each is bad without a fault."""


def likelihood(observation: Observation) -> Likelihood:
    """What the observation says of every way of failing; its quality is not yet in it."""
    if observation.kind is ObservationKind.LOSS:
        return _of_losses(observation.sent, observation.lost)
    return _of_state(observation.kind, observation.is_bad)


@cache
def _of_state(kind: ObservationKind, is_bad: bool) -> Likelihood:
    shown = np.array([getattr(mode, kind.value) for mode in MODES])
    leak = _LEAKS[kind]
    hidden = (1 - leak) * (1 - shown)
    both = hidden[:, None] * (1 - shown)[None, :]
    if is_bad:
        return Likelihood(log(leak), np.log(1 - hidden), np.log(1 - both), log(0.5))
    return Likelihood(log(1 - leak), np.log(hidden), np.log(both), log(0.5))


_QUIET = (1.0, 5000.0)
"""Beta parameters of the loss of a healthy path; now and then, of a burst."""
_BURST = (0.5, 10.0)
_BURST_SHARE = 0.003
_TOTAL = (3.0, 0.15)
"""Of what is down: nearly everything, less where it went down while packets were on their way."""
_TOTAL_FROM = 0.9
_EVENNESS = 2.0


@lru_cache(maxsize=100_000)
def _of_losses(sent: int, lost: int) -> Likelihood:
    ways = lgamma(sent + 1) - lgamma(lost + 1) - lgamma(sent - lost + 1)

    def beta_binomial(a: float, b: float) -> float:
        top = lgamma(lost + a) + lgamma(sent - lost + b) - lgamma(sent + a + b)
        return ways + top - (lgamma(a) + lgamma(b) - lgamma(a + b))

    def with_loss(ratio: float) -> float:
        if not ratio:
            return healthy
        return beta_binomial(*(_TOTAL if ratio > _TOTAL_FROM else (_EVENNESS, _EVENNESS * (1 - ratio) / ratio)))

    quiet, burst = log(1 - _BURST_SHARE) + beta_binomial(*_QUIET), log(_BURST_SHARE) + beta_binomial(*_BURST)
    healthy = float(np.logaddexp(quiet, burst))
    ratios = [mode.loss for mode in MODES]
    return Likelihood(
        healthy=healthy,
        alone=np.array([with_loss(ratio) for ratio in ratios]),
        together=np.array([[with_loss(1 - (1 - one) * (1 - other)) for other in ratios] for one in ratios]),
        lie=log(0.5 * exp(healthy) + 0.5 / (sent + 1)),
    )
