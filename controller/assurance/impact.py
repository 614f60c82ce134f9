"""Owns the assurance graph of RFC 9417: what services rest on, asked in both directions.

An impacting dependency passes its ill health on; an informational one, such as a standby path, only tells of it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from controller.assurance.root_cause_groups import wire_name
from controller.assurance.symptoms import Symptom, health_score
from controller.model.errors import InvalidInputError, NotFoundError
from controller.topology.network import Network, Path


class DependencyKind(StrEnum):
    """What a dependency means for what depends."""

    IMPACTING = "impacting"
    INFORMATIONAL = "informational"


@dataclass(frozen=True, slots=True)
class Dependency:
    """On which subservice, and how."""

    on: str
    kind: DependencyKind = DependencyKind.IMPACTING


@dataclass(frozen=True, slots=True)
class Impact:
    """A service that a fault reaches; it is hit where only impacting dependencies lie between, and warned otherwise."""

    service: str
    is_hit: bool


@dataclass(frozen=True, slots=True)
class AssuranceGraph:
    """Subservices and what each depends on. Everything named is in it, and nothing depends on itself."""

    dependencies: Mapping[str, tuple[Dependency, ...]]
    _dependents: Mapping[str, tuple[tuple[str, DependencyKind], ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what is not in the graph and circles."""
        dependents: dict[str, list[tuple[str, DependencyKind]]] = {name: [] for name in self.dependencies}
        for name, dependencies in self.dependencies.items():
            for dependency in dependencies:
                if dependency.on not in dependents:
                    raise InvalidInputError(
                        f"'{name}' depends on '{dependency.on}', which is not in the assurance graph",
                        remedy="add it, with no dependencies if it has none",
                    )
                dependents[dependency.on].append((name, dependency.kind))
        object.__setattr__(self, "_dependents", {name: tuple(those) for name, those in dependents.items()})
        if circle := self.dependencies.keys() - set(self._from_below()):
            raise InvalidInputError(
                f"'{min(circle)}' is on or above a circle of dependencies", remedy="break the circle"
            )

    def impacts(self, subjects: Iterable[str]) -> tuple[Impact, ...]:
        """The services that ill health of any of the subjects reaches, by name: what nothing else depends on."""
        reached: dict[str, bool] = {}
        ahead = [(subject, True) for subject in subjects]
        while ahead:
            subject, is_hit = ahead.pop()
            if reached.get(subject, False) or (subject in reached and not is_hit):
                continue
            reached[subject] = is_hit
            ahead += [(name, is_hit and kind is DependencyKind.IMPACTING) for name, kind in self._above(subject)]
        services = (name for name in sorted(reached) if self.dependencies[name] and not self._dependents[name])
        return tuple(Impact(name, reached[name]) for name in services)

    def symptoms_of(self, subject: str, symptoms: Iterable[Symptom]) -> tuple[Symptom, ...]:
        """The symptoms of the subject itself and of everything that it depends on, the heaviest first."""
        below = self._below(subject)
        found = (one for one in symptoms if one.subject in below)
        return tuple(sorted(found, key=lambda one: (-one.weight, one.start, one.id)))

    def health(self, symptoms: Iterable[Symptom], at: float) -> dict[str, int]:
        """The score of every subservice: its own, or that of the worst it depends on for its working."""
        own: dict[str, list[Symptom]] = {}
        for one in symptoms:
            own.setdefault(one.subject, []).append(one)
        scores: dict[str, int] = {}
        for name in self._from_below():
            below = [each.on for each in self.dependencies[name] if each.kind is DependencyKind.IMPACTING]
            scores[name] = min([health_score(own.get(name, ()), at), *(scores[other] for other in below)])
        return scores

    def _above(self, subject: str) -> tuple[tuple[str, DependencyKind], ...]:
        try:
            return self._dependents[subject]
        except KeyError:
            raise NotFoundError(
                f"the assurance graph has no '{subject}'", remedy="name one of its services or subservices"
            ) from None

    def _below(self, subject: str) -> frozenset[str]:
        """The subject and everything that it depends on in any way."""
        self._above(subject)
        found: set[str] = set()
        ahead = [subject]
        while ahead:
            name = ahead.pop()
            if name not in found:
                found.add(name)
                ahead += [dependency.on for dependency in self.dependencies[name]]
        return frozenset(found)

    def _from_below(self) -> Iterator[str]:
        """Every subservice after those that it depends on."""
        waiting = {name: len(dependencies) for name, dependencies in self.dependencies.items()}
        ready = [name for name, number in waiting.items() if not number]
        while ready:
            name = ready.pop()
            yield name
            for other, _ in self._dependents[name]:
                waiting[other] -= 1
                if not waiting[other]:
                    ready.append(other)


@dataclass(frozen=True, slots=True)
class Carriage:
    """The paths that carry a service, and those that wait to."""

    active: tuple[Path, ...]
    standby: tuple[Path, ...] = ()


def assurance_graph(network: Network, services: Mapping[str, Carriage]) -> AssuranceGraph:
    """Services on links and nodes, written `link/NAME` (one name for both directions) and `node/NAME`.

    What both an active and a standby path need is needed.
    """
    graph: dict[str, tuple[Dependency, ...]] = {
        **{f"node/{node}": () for node in network.nodes},
        **{f"link/{wire_name(network, link_id)}": () for link_id in network.links},
    }
    for service, carriage in services.items():
        needed, waiting = _subjects(network, carriage.active), _subjects(network, carriage.standby)
        graph[service] = (
            *(Dependency(name) for name in sorted(needed)),
            *(Dependency(name, DependencyKind.INFORMATIONAL) for name in sorted(waiting - needed)),
        )
    return AssuranceGraph(graph)


def subjects_of(network: Network, elements: Iterable[str]) -> frozenset[str]:
    """What the elements of a risk group are called in the assurance graph."""
    links = {link_id: f"link/{wire_name(network, link_id)}" for link_id in network.links}
    names: dict[str, str] = {str(link_id): name for link_id, name in links.items()}
    return frozenset(names.get(element, f"node/{element}") for element in elements)


def _subjects(network: Network, paths: Iterable[Path]) -> frozenset[str]:
    return subjects_of(network, (element for path in paths for element in (*path.link_ids, *path.nodes)))
