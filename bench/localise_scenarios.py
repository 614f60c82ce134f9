"""Owns seeded faults on published networks and what sensors tell of them, by rules that the diagnosis does not share.

Loss is drawn packet by packet from the faults on a path, carriers from what is down, and what is true is known.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from bench.published_networks import published
from controller.assurance.root_cause_groups import RiskGroup, RiskKind, risk_groups
from controller.assurance.root_cause_observations import Observation, ObservationKind, path_elements
from controller.topology.constraints import PathRequest
from controller.topology.network import LinkId, Network, Path
from controller.topology.paths import k_shortest
from controller.topology.te_database import TeDatabase

PACKETS = 1000
MOST_PAIRS = 150
PATHS_PER_PAIR = 2
NOISE = 1e-4
"""Of packets lost on a healthy path."""
BURSTS = 0.01
"""Of healthy probes that meet a short congestion, and how much is lost in it."""
BURST_LOSS = (0.003, 0.02)
DEAF = 0.03
"""Of carriers whose change is not told."""
MUTE = 0.02
"""Of healthy devices that do not answer."""
LEAST_SRLGS = 4
LEAST_LOSS, MOST_LOSS = 0.005, 0.05
KINDS = ("one fault", "two faults", "silent loss")
SENSORS = ("all sensors", "10 % of sensors missing", "one sensor lying")


@dataclass(frozen=True, slots=True)
class Ground:
    """A network, its risks, and the paths that are probed."""

    name: str
    network: Network
    groups: tuple[RiskGroup, ...]
    probes: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """A group that is down, or loses this share of packets in these elements without anybody being told."""

    group: RiskGroup
    elements: frozenset[str]
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is observed, and what is true."""

    ground: Ground
    observations: tuple[Observation, ...]
    failures: tuple[Failure, ...]

    @property
    def truth(self) -> frozenset[tuple[str, str]]:
        return frozenset((failure.group.kind, failure.group.name) for failure in self.failures)


@cache
def ground(name: str) -> Ground:
    """The published network with conduits, two ports to a line card, and two paths of each of up to 150 pairs."""
    draw = random.Random(name)
    network = _with_conduits(published(name)[0], draw)
    cards: dict[str, list[LinkId]] = {}
    for node in sorted(network.nodes):
        links = network.out_of(node)
        for number, link in enumerate(links):
            if len(links) > PATHS_PER_PAIR:
                cards.setdefault(f"{node}/card{number // 2}", []).append(link.id)
    whole = {card: links for card, links in cards.items() if len(links) > 1}
    nodes = sorted(network.nodes)
    pairs = [(a, b) for a in nodes for b in nodes if a != b]
    database = TeDatabase(network)
    probes = [
        path
        for a, b in draw.sample(pairs, min(MOST_PAIRS, len(pairs)))
        for path in k_shortest(database, PathRequest(a, b), PATHS_PER_PAIR)
    ]
    # What consists of the same links cannot be told apart by anybody; one of each is kept.
    groups = {(group.elements, group.direction): group for group in risk_groups(network, whole)}
    return Ground(name, network, tuple(groups.values()), tuple(probes))


def _with_conduits(network: Network, draw: random.Random) -> Network:
    """At least four shared risks: where none are published, two or three links of one node, not of one card."""
    links = dict(network.links)
    shared = {srlg for link in links.values() for srlg in link.srlgs}
    nodes = [node for node in sorted(network.nodes) if len(network.out_of(node)) > 2]
    for number in range(LEAST_SRLGS - len(shared)):
        node = draw.choice(nodes)
        first, *others = network.out_of(node)
        for link in (first, *draw.sample(others[1:], draw.choice([1, 1, 2]) if len(others) > 2 else 1)):
            for link_id in network.both_directions([link.id]):
                links[link_id] = replace(links[link_id], srlgs=links[link_id].srlgs | {9000 + number})
    return Network.of(network.nodes.values(), links.values())


def scenario(place: Ground, kind: str, sensors: str, seed: str) -> Scenario:
    """One draw of each."""
    draw = random.Random(f"{place.name}/{kind}/{sensors}/{seed}")
    failures = tuple(_failures(place, kind, draw))
    told = list(_observed(place, failures, draw))
    devices = sorted(place.network.nodes)
    if sensors == SENSORS[1]:
        gone = set(draw.sample(devices, max(1, round(len(devices) / 10))))
        told = [one for one in told if one.sensor not in gone and one.subject not in gone]
    elif sensors == SENSORS[2]:
        liar = draw.choice(sorted({one.sensor for one in told if one.kind is ObservationKind.CARRIER}))
        told = [_lie(one, draw) if one.sensor == liar else one for one in told]
    return Scenario(place, tuple(told), failures)


def _failures(place: Ground, kind: str, draw: random.Random) -> Iterator[Failure]:
    whole = [group for group in place.groups if not group.direction]
    if kind == KINDS[2]:
        links = [group for group in whole if group.kind in {RiskKind.LINK, RiskKind.LINE_CARD}]
        group = draw.choice([group for group in links if _is_probed(place, group.elements)])
        elements = group.elements
        if group.kind is RiskKind.LINK and draw.random() < 0.5:
            ways = [frozenset({element}) for element in sorted(elements)]
            elements = draw.choice([way for way in ways if _is_probed(place, way)])
        yield Failure(group, elements, draw.uniform(LEAST_LOSS, MOST_LOSS))
        return
    taken: frozenset[str] = frozenset()
    for _ in range(KINDS.index(kind) + 1):
        risk = draw.choice(list(RiskKind))
        group = draw.choice([one for one in whole if one.kind is risk and not one.elements & taken])
        taken |= group.elements
        yield Failure(group, group.elements)


def _is_probed(place: Ground, elements: frozenset[str]) -> bool:
    return any(not elements.isdisjoint(path.link_ids) for path in place.probes)


def _observed(place: Ground, failures: Sequence[Failure], draw: random.Random) -> Iterator[Observation]:
    down = frozenset(element for failure in failures if failure.loss is None for element in failure.elements)
    crashed = {failure.group.name for failure in failures if failure.group.kind is RiskKind.NODE}
    generator = np.random.default_rng(draw.getrandbits(64))
    for number, path in enumerate(place.probes):
        source = path.nodes[0]
        if source not in crashed:
            elements = path_elements([path])
            survives = 1 - NOISE if elements.isdisjoint(down) else 0.0
            if draw.random() < BURSTS:
                survives *= 1 - draw.uniform(*BURST_LOSS)
            for failure in failures:
                if failure.loss is not None and not elements.isdisjoint(failure.elements):
                    survives *= 1 - failure.loss
            lost = int(generator.binomial(PACKETS, 1 - survives))
            yield Observation(ObservationKind.LOSS, f"probe-{number}", source, elements, sent=PACKETS, lost=lost)
    for link in place.network.links.values():
        if link.source.node not in crashed:
            wire = place.network.both_directions([link.id])
            is_told = not wire.isdisjoint(down) and draw.random() >= DEAF
            subject, sensor = str(link.source), link.source.node
            yield Observation(ObservationKind.CARRIER, subject, sensor, frozenset(wire), is_bad=is_told)
    for node in place.network.nodes:
        silent = node in crashed or draw.random() < MUTE
        yield Observation(ObservationKind.SILENCE, node, "controller", frozenset({node}), is_bad=silent)


def _lie(one: Observation, draw: random.Random) -> Observation:
    """Half of what a liar says is turned round."""
    if draw.random() < 0.5:
        return one
    if one.kind is ObservationKind.LOSS:
        lost = draw.randint(PACKETS // 50, PACKETS // 2) if one.lost * 100 < PACKETS else 0
        return replace(one, lost=lost)
    return replace(one, is_bad=not one.is_bad)
