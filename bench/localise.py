"""Owns `make bench-localise`: how often the cause that is named is the true one, beside set cover alone.

Seeded faults on five published networks, of which nothing was calibrated on. F1 is over all faults of a row: an
abstention counts as a fault missed. `python -m bench.localise`.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from bench.localise_scenarios import KINDS, SENSORS, Ground, Scenario, ground, scenario
from bench.table import Row, row, write
from controller.assurance.root_cause import Diagnosis, localise
from controller.assurance.root_cause_cover import LEAST_HIT_RATIO, greedy_cover
from controller.assurance.root_cause_likelihood import FaultModel
from controller.assurance.root_cause_observations import Observation

NETWORKS = ("abilene", "geant", "germany50", "nobel-eu", "ta2")
SEEDS = 12
TARGETS = dict(zip(KINDS, (0.9, 0.75, 0.6), strict=True))
Named = frozenset[tuple[str, str]]


@dataclass(slots=True)
class Tally:
    """Faults found, named wrongly and missed, and how many times nothing was named."""

    found: int = 0
    wrong: int = 0
    missed: int = 0
    missed_in_silence: int = 0
    silent: int = 0
    milliseconds: list[float] = field(default_factory=list)

    def count(self, named: Named, truth: Named) -> None:
        self.found += len(named & truth)
        self.wrong += len(named - truth)
        self.missed += len(truth - named)
        if not named:
            self.silent += 1
            self.missed_in_silence += len(truth)

    @property
    def f1(self) -> float:
        return 2 * self.found / max(1, 2 * self.found + self.wrong + self.missed)

    @property
    def answered_f1(self) -> float:
        """Without the scenarios in which nothing was named."""
        return 2 * self.found / max(1, 2 * self.found + self.wrong + self.missed - self.missed_in_silence)


def _timed(tally: Tally, work: Callable[[], Named], truth: Named) -> None:
    start = time.process_time()
    named = work()
    tally.milliseconds.append(1000 * (time.process_time() - start))
    tally.count(named, truth)


def covered(place: Ground, observations: Sequence[Observation]) -> Named:
    """The nearest simple method: weighted set cover alone."""
    model = FaultModel(place.groups, observations)
    costs = np.ones(len(place.groups))
    chosen = greedy_cover(model.covers, model.is_symptom, costs, LEAST_HIT_RATIO)
    return frozenset((place.groups[number].kind, place.groups[number].name) for number in chosen)


def _diagnosed(drawn: Scenario, told: list[tuple[float, float, bool]]) -> Named:
    diagnoses: tuple[Diagnosis, ...] = localise(drawn.ground.groups, drawn.observations)
    causes = [cause for diagnosis in diagnoses for cause in diagnosis.causes]
    told += [(cause.confidence, cause.posterior, (cause.kind, cause.name) in drawn.truth) for cause in causes]
    return frozenset((cause.kind, cause.name) for diagnosis in diagnoses for cause in diagnosis.known)


def calibration_error(told: Sequence[tuple[float, bool]], bins: int = 10) -> float:
    """How far confidence is from the share of true causes, on average over ten bins."""
    placed: dict[int, list[tuple[float, bool]]] = {}
    for confidence, is_true in told:
        placed.setdefault(min(bins - 1, int(confidence * bins)), []).append((confidence, is_true))
    gaps = [abs(sum(one - is_true for one, is_true in inside)) for inside in placed.values()]
    return sum(gaps) / max(1, len(told))


def _rows() -> Iterator[Row]:
    told: list[tuple[float, float, bool]] = []
    everything, cover_times = [], []
    for kind, sensors in product(KINDS, SENSORS):
        ours, cover = Tally(), Tally()
        for name, seed in product(NETWORKS, range(SEEDS)):
            drawn = scenario(ground(f"sndlib/{name}"), kind, sensors, str(seed))
            _timed(ours, lambda drawn=drawn: _diagnosed(drawn, told), drawn.truth)
            _timed(cover, lambda drawn=drawn: covered(drawn.ground, drawn.observations), drawn.truth)
        n, what = len(ours.milliseconds), f"{kind}, {sensors}"
        yield row(f"{what}: F1 (target {TARGETS[kind]})", n, ours.f1, cover.f1, "set cover alone", "ratio")
        yield row(f"{what}: F1 where it answers", n, ours.answered_f1, cover.answered_f1, "set cover alone", "ratio")
        yield row(f"{what}: abstains", n, 100 * ours.silent / n, 100 * cover.silent / n, "set cover alone", "%")
        everything += ours.milliseconds
        cover_times += cover.milliseconds
    for what, part in (("p50", 50), ("p99", 99)):
        figures = [statistics.quantiles(times, n=100)[part - 1] for times in (everything, cover_times)]
        count = len(everything)
        yield row(f"a diagnosis, {what}", count, *figures, "set cover alone", "ms", less_is_better=True)
    error = 100 * calibration_error([(confidence, is_true) for confidence, _, is_true in told])
    raw = 100 * calibration_error([(posterior, is_true) for _, posterior, is_true in told])
    yield row("calibration error", len(told), error, raw, "the posterior as it is", "%", less_is_better=True)


def main() -> None:
    """All rows."""
    write("localise", list(_rows()))


if __name__ == "__main__":
    main()
