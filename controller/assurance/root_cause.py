"""Owns the diagnosis: causes of what is observed, ranked by calibrated confidence, or the admission that none is known.

The obvious is answered by set cover; the rest by the likelihood of every set of at most two simultaneous faults.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from controller.assurance.root_cause_calibration import calibrated
from controller.assurance.root_cause_cover import obvious
from controller.assurance.root_cause_groups import RiskGroup, RiskKind
from controller.assurance.root_cause_likelihood import FaultModel, Posterior
from controller.assurance.root_cause_observations import MODES, Observation
from controller.assurance.root_cause_time import GAP_SECONDS, incidents

CONFIDENT = 0.55
"""Below it a cause is a suspicion: it is listed, and not acted on."""
_WORTH_LISTING = 0.01
_CONTRADICTS = 1.0
_LIES = 0.5


@dataclass(frozen=True, slots=True)
class Cause:
    """One fault that may be behind the symptoms.

    `alike` names what cannot be told from it by what is observed; `directions` is set where only one direction fails.
    """

    kind: RiskKind
    name: str
    confidence: float
    posterior: float
    mode: str
    explains: tuple[str, ...]
    contradicted_by: tuple[str, ...]
    alike: tuple[str, ...] = ()
    direction: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is behind one incident: `causes` from the most to the least confident, of which `known` are sure enough."""

    start: float | None
    end: float | None
    symptoms: tuple[Observation, ...]
    causes: tuple[Cause, ...]
    unexplained: tuple[str, ...]
    """Symptoms that the most probable faults leave over."""
    doubtful_sensors: tuple[str, ...]
    """Sensors that rather lie, if the most probable faults are the true ones."""
    threshold: float = CONFIDENT

    @property
    def known(self) -> tuple[Cause, ...]:
        """The causes that may be acted on."""
        return tuple(cause for cause in self.causes if cause.confidence >= self.threshold)

    @property
    def abstains(self) -> bool:
        """Whether no cause is known."""
        return not self.known

    @property
    def reason(self) -> str:
        """One sentence for people."""
        if self.known:
            return "the cause is " + " and ".join(map(str, self.known))
        if not self.causes:
            return "no cause known: nothing that can fail explains the symptoms better than noise"
        first = self.causes[0]
        others = f", not to be told from {', '.join(first.alike)}" if first.alike else ""
        return f"no cause known: {first} is the likeliest at {first.confidence:.0%}{others}"


def localise(
    groups: Sequence[RiskGroup],
    observations: Iterable[Observation],
    *,
    gap_seconds: float = GAP_SECONDS,
    threshold: float = CONFIDENT,
) -> tuple[Diagnosis, ...]:
    """One diagnosis for each incident in the observations; none where there is no symptom."""
    found = []
    for incident in incidents(observations, gap_seconds):
        model = FaultModel(groups, incident.observations)
        posterior = model.search(pairs=obvious(model.covers, model.is_symptom) is None)
        explained = model.explained(posterior.faults)
        left_over = model.is_symptom & (explained <= model.healthy)
        found.append(
            Diagnosis(
                start=incident.start,
                end=incident.end,
                symptoms=tuple(one for one in incident.observations if one.is_symptom),
                causes=_causes(model, posterior),
                unexplained=_named(model, left_over),
                doubtful_sensors=tuple(np.array(model.sensors)[posterior.lies > _LIES].tolist()),
                threshold=threshold,
            )
        )
    return tuple(found)


def _causes(model: FaultModel, posterior: Posterior) -> tuple[Cause, ...]:
    """A link and its directions are one cause: what fails is the link, the direction is told beside it."""
    together: dict[tuple[RiskKind, str], list[int]] = {}
    for number in np.flatnonzero(posterior.groups > 0):
        group = model.groups[number]
        together.setdefault((group.kind, group.name), []).append(int(number))
    causes = [_cause(model, posterior, numbers) for numbers in together.values()]
    listed = [cause for cause in causes if cause.posterior >= _WORTH_LISTING]
    return tuple(sorted(listed, key=lambda cause: (-cause.posterior, cause.kind, cause.name)))


def _cause(model: FaultModel, posterior: Posterior, numbers: Sequence[int]) -> Cause:
    number = max(numbers, key=lambda number: posterior.groups[number])
    group, mode = model.groups[number], int(posterior.modes[number].argmax())
    covered = model.covers[:, number]
    against = covered & ~model.is_symptom & (model.alone[:, mode] < model.healthy - _CONTRADICTS)
    weight = min(1.0, float(posterior.groups[list(numbers)].sum()))
    return Cause(
        kind=group.kind,
        name=group.name,
        confidence=calibrated(weight),
        posterior=weight,
        mode=MODES[mode].name,
        explains=_named(model, covered & model.is_symptom),
        contradicted_by=_named(model, against),
        alike=_alike(model, number),
        direction=group.direction,
    )


def _alike(model: FaultModel, number: int) -> tuple[str, ...]:
    same = np.flatnonzero((model.covers == model.covers[:, [number]]).all(axis=0))
    name = str(model.groups[number])
    return tuple(dict.fromkeys(str(model.groups[other]) for other in same if str(model.groups[other]) != name))


def _named(model: FaultModel, chosen: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> tuple[str, ...]:
    return tuple(str(model.observations[number]) for number in np.flatnonzero(chosen))
