"""Owns the search for the most probable set of at most two faults: exact, with the weight of every other set beside it.

Observations of one sensor stand or fall together: a sensor may lie, and then all it says counts as drawn at random. A
second fault changes only what it shares with the first, so a pair costs the overlap and not the whole (as in Flock);
and no pair is looked at that could not win even if every observation not on its first fault were explained for free.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from controller.assurance.root_cause_groups import RiskGroup, RiskKind
from controller.assurance.root_cause_observations import (
    DOWN,
    LATE,
    MODES,
    Array,
    Observation,
    ObservationKind,
    likelihood,
    log_prior,
)

_LOG_LAST_WORDS = -3.5
"""Of a node that went down and yet told of symptoms first."""
_MARGIN = 3.0
"""Pairs so far below the best count for confidence and are looked at too."""
_MOST_ROWS = 1500
"""More faults than any network here has left after pruning; a bound on time and memory all the same."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A risk group, by position, that fails in a mode."""

    group: int
    mode: int


@dataclass(frozen=True, slots=True)
class Posterior:
    """`faults` is the most probable set; `groups` and `modes` say how probable each is of being in the true one."""

    faults: tuple[Fault, ...]
    log_likelihood: float
    groups: Array
    modes: Array
    """By group and mode."""
    lies: Array
    """By sensor, if the most probable set is the true one."""


@dataclass(frozen=True, slots=True)
class _Faults:
    """Faults one by one: (group, mode) and prior of each, gains and likelihood by sensor, score in all."""

    columns: NDArray[np.intp]
    priors: Array
    gains: Array
    scored: Array
    scores: Array


class FaultModel:
    """Observations against risk groups, as numbers."""

    def __init__(self, groups: Sequence[RiskGroup], observations: Sequence[Observation]) -> None:
        self.groups = tuple(groups)
        self.observations = tuple(sorted(observations, key=lambda one: one.sensor))
        sensors = [one.sensor for one in self.observations]
        self.sensors = tuple(dict.fromkeys(sensors))
        numbers = {sensor: number for number, sensor in enumerate(self.sensors)}
        self._sensor_of = np.array([numbers[sensor] for sensor in sensors], dtype=np.intp)
        self._starts = np.unique(self._sensor_of, return_index=True)[1]
        self.covers = _covers(self.groups, self.observations)
        self.is_symptom = np.array([one.is_symptom for one in self.observations], dtype=bool)
        told = [likelihood(one) for one in self.observations]
        quality = np.array([one.quality for one in self.observations])
        self.healthy: Array = quality * np.array([one.healthy for one in told])
        self.alone: Array = quality[:, None] * np.array([one.alone for one in told])
        self._together: Array = quality[:, None, None] * np.array([one.together for one in told])
        lies: Array = np.maximum.reduceat(np.array([one.lies for one in self.observations]), self._starts)
        self._lies: Array = np.log(lies) + self._by_sensor(quality * np.array([one.lie for one in told]))
        self._base: Array = np.log1p(-lies) + self._by_sensor(self.healthy)

    def search(self, *, pairs: bool = True) -> Posterior:
        """The most probable faults: none, one, or, unless that is left out, two."""
        single = self._faults(*self._columns())
        nothing = float(self._scored(np.zeros((len(self.sensors), 1))).sum())
        rows = np.array([], dtype=np.intp)
        if pairs and len(single.columns):
            rows = self._rows(single, max(nothing, self._climbed(single)))
        paired = self._faults(single.columns[rows], single.priors[rows])
        return self._posterior(nothing, single, paired, self._pairs(paired))

    def _columns(self) -> tuple[NDArray[np.intp], Array]:
        """(group, mode) of every fault that touches a symptom, and their priors; others gain less than they cost.

        A device that told of symptoms was hardly down itself; nothing is late that nobody found to be late.
        """
        symptoms = [one for one in self.observations if one.is_symptom]
        told_of_it = {one.sensor for one in symptoms}
        is_late = any(one.kind is ObservationKind.DELAY for one in symptoms)
        touched = np.flatnonzero(self.covers[self.is_symptom].any(axis=0))
        found = []
        for group, mode in product(map(int, touched), range(len(MODES))):
            risk = self.groups[group]
            prior = log_prior(risk.kind, mode, risk.direction)
            if prior is not None and (is_late or mode != LATE):
                is_heard = mode == DOWN and risk.kind is RiskKind.NODE and risk.name in told_of_it
                found.append(((group, mode), prior + (_LOG_LAST_WORDS if is_heard else 0.0)))
        columns = np.array([column for column, _ in found], dtype=np.intp).reshape(-1, 2)
        return columns, np.array([prior for _, prior in found])

    def _by_sensor(self, values: Array) -> Array:
        summed: Array = np.add.reduceat(values, self._starts, axis=0)
        return summed

    def _gains(self, columns: NDArray[np.intp], of_mode: Array) -> Array:
        """By sensor and column: the sum of `of_mode` (observation, mode) over what the column's group covers."""
        gains = np.empty((len(self.sensors), len(columns)))
        for mode in range(len(MODES)):
            of = columns[:, 1] == mode
            gains[:, of] = self._by_sensor(self.covers[:, columns[of, 0]] * of_mode[:, mode, None])
        return gains

    def _scored(self, gains: Array, sensors: NDArray[np.intp] | None = None) -> Array:
        """By sensor and column: the log-likelihood with these gains over the healthy state; sensors may lie."""
        base, lies = (self._base, self._lies) if sensors is None else (self._base[sensors], self._lies[sensors])
        scored: Array = np.logaddexp(base[:, None] + gains, lies[:, None])
        return scored

    def _faults(self, columns: NDArray[np.intp], priors: Array) -> "_Faults":
        gains = self._gains(columns, self.alone - self.healthy[:, None])
        scored = self._scored(gains)
        return _Faults(columns, priors, gains, scored, scored.sum(axis=0) + priors)

    def _climbed(self, faults: "_Faults") -> float:
        """The score of a good set of faults: the best one, and while that helps the best partner of the newest one."""
        newest, best = int(faults.scores.argmax()), float(faults.scores.max())
        while True:
            scores = self._row(faults, newest, np.flatnonzero(faults.columns[:, 0] != faults.columns[newest, 0]))
            if scores.max(initial=-np.inf) <= best:
                return best
            newest, best = int(scores.argmax()), float(scores.max())

    def _rows(self, faults: "_Faults", best: float) -> NDArray[np.intp]:
        """The faults that can be in a pair that comes near the best: everything else explained for free."""
        free = np.maximum(self.healthy, self.alone.max(axis=1))
        covered = np.maximum(self.alone, self._together.max(axis=2))
        gains = self._gains(faults.columns, covered - free[:, None]) + self._by_sensor(free - self.healthy)[:, None]
        bound = self._scored(gains).sum(axis=0) + faults.priors + faults.priors.max()
        rows = np.flatnonzero(bound >= best - _MARGIN)
        return rows[np.argsort(-bound[rows], kind="stable")[:_MOST_ROWS]]

    def _pairs(self, faults: "_Faults") -> Array:
        """The scores of all pairs of faults of different groups, each once; the rest are minus infinity."""
        groups = faults.columns[:, 0]
        scores = np.full((len(groups), len(groups)), -np.inf)
        for row in range(len(groups) - 1):
            scores[row] = self._row(faults, row, row + 1 + np.flatnonzero(groups[row + 1 :] != groups[row]))
        return scores

    def _row(self, faults: "_Faults", row: int, others: NDArray[np.intp]) -> Array:
        """The scores of one fault with each of `others`; minus infinity with the rest.

        To the score of the other alone comes what changes at the sensors that see this one.
        """
        group, mode = faults.columns[row]
        seen = np.flatnonzero(self.covers[:, group])
        sensors, starts = np.unique(self._sensor_of[seen], return_index=True)
        alone = self.alone[seen]
        extra = self._together[seen, mode] - alone[:, [mode]] - alone + self.healthy[seen, None]
        shared = self.covers[np.ix_(seen, faults.columns[others, 0])] * extra[:, faults.columns[others, 1]]
        gains = np.add.reduceat(shared, starts, axis=0) + faults.gains[np.ix_(sensors, others)]
        change = (
            self._scored(gains + faults.gains[sensors, row][:, None], sensors) - faults.scored[np.ix_(sensors, others)]
        )
        scores: Array = np.full(len(faults.columns), -np.inf)
        scores[others] = faults.scores[others] + change.sum(axis=0) + faults.priors[row]
        return scores

    def _posterior(self, nothing: float, single: "_Faults", paired: "_Faults", double: Array) -> Posterior:
        best = max(nothing, float(single.scores.max(initial=-np.inf)), float(double.max(initial=-np.inf)))
        alone, pairs = np.exp(single.scores - best), np.exp(double - best)
        total = np.exp(nothing - best) + alone.sum() + pairs.sum()
        modes = np.zeros((len(self.groups), len(MODES)))
        np.add.at(modes, tuple(single.columns.T), alone / total)
        np.add.at(modes, tuple(paired.columns.T), (pairs.sum(axis=0) + pairs.sum(axis=1)) / total)
        faults: tuple[Fault, ...] = ()
        if double.max(initial=-np.inf) == best:
            row, column = np.unravel_index(int(double.argmax()), double.shape)
            faults = (Fault(*map(int, paired.columns[row])), Fault(*map(int, paired.columns[column])))
        elif single.scores.max(initial=-np.inf) == best:
            faults = (Fault(*map(int, single.columns[int(single.scores.argmax())])),)
        return Posterior(faults, best, modes.sum(axis=1), modes, self._lying(faults))

    def _lying(self, faults: Sequence[Fault]) -> Array:
        gains = self._base + self._by_sensor(self.explained(faults) - self.healthy)
        lying: Array = np.exp(self._lies - np.logaddexp(gains, self._lies))
        return lying

    def explained(self, faults: Sequence[Fault]) -> Array:
        """The log-likelihood of each observation with these faults, two at most."""
        told = self.healthy.copy()
        for fault in faults:
            told = np.where(self.covers[:, fault.group], self.alone[:, fault.mode], told)
        if len(faults) > 1:
            one, other = faults
            both = self.covers[:, one.group] & self.covers[:, other.group]
            told = np.where(both, self._together[:, one.mode, other.mode], told)
        return told


def _covers(groups: Sequence[RiskGroup], observations: Sequence[Observation]) -> NDArray[np.bool_]:
    """By observation and group: whether the group's fault can be seen there.

    What is presumed of a router that told of nothing is no word against its being down.
    """
    of_element: dict[str, list[int]] = {}
    for number, group in enumerate(groups):
        for element in group.elements:
            of_element.setdefault(element, []).append(number)
    covers = np.zeros((len(observations), len(groups)), dtype=bool)
    for number, observation in enumerate(observations):
        for element in observation.elements:
            covers[number, of_element.get(element, [])] = True
    nodes = {group.name: number for number, group in enumerate(groups) if group.kind is RiskKind.NODE}
    silent = nodes.keys() - {one.sensor for one in observations if one.is_symptom}
    for number, observation in enumerate(observations):
        if observation.is_presumed and observation.sensor in silent:
            covers[number, nodes[observation.sensor]] = False
    return covers
