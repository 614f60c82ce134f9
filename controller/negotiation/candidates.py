"""Owns the paths that a service between two places could take, kept until a link that matters to them changes.

The few quickest, and for each link of the quickest the best way around it, so that whichever link is scarce there is
one without it wherever the network has one. What a pair was given stays right while its own links keep their state and
delay and no other link gets better.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from controller.model.identifiers import DeviceName
from controller.topology.network import Network, Path
from controller.topology.search import BLOCKED, Hops, cheapest, cheapest_first
from controller.topology.te_database import NANOSECONDS, TeDatabase

_QUICKEST = 3
_HOPS_PER_COST = 1 << 20
"""More than any path has hops, so that these decide among equal delays only."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A path with what is asked of it for every quote; `links` are both directions of it, by position in the arcs."""

    path: Path
    links: tuple[int, ...]
    delay_seconds: float
    availability: float
    of_links: Callable[[Sequence[int]], tuple[int, ...]] = field(repr=False, compare=False)
    """Picks what belongs to its links out of a list over all links."""


_Pair = tuple[DeviceName, DeviceName]


class CandidatePaths:
    """The candidates of every pair that was asked for, quickest first."""

    def __init__(self, database: TeDatabase) -> None:
        self._database = database
        self._costs = _costs(database)
        self._found: dict[_Pair, tuple[Candidate, ...]] = {}
        self._users: dict[int, set[_Pair]] = {}
        self.searched = 0
        """How often paths had to be searched."""

    @property
    def network(self) -> Network:
        """The network the paths are in."""
        return self._database.network

    def between(self, a: DeviceName, z: DeviceName) -> tuple[Candidate, ...]:
        """The candidates from `a` to `z`, quickest first; none when they are not connected.

        `NotFoundError` names a node that is not there.
        """
        pair = a, z
        found = self._found.get(pair)
        return self._search(pair) if found is None else found

    def renew(self, database: TeDatabase) -> None:
        """Another state of the network: forget what it makes wrong, and nothing else."""
        costs, before = _costs(database), self._costs
        is_same, self._database, self._costs = database.network == self.network, database, costs
        changed = [link for link, (old, new) in enumerate(zip(before, costs, strict=is_same)) if old != new]
        if not is_same or any(_is_better(costs[link], before[link]) for link in changed):
            self._found, self._users = {}, {}
            return
        for link in changed:
            for pair in self._users.pop(link, ()):
                self._found.pop(pair, None)

    def _search(self, pair: _Pair) -> tuple[Candidate, ...]:
        network = self.network
        ends = network.node_position(pair[0]), network.node_position(pair[1])
        self.searched += 1
        hops = _quickest_and_around(network, self._costs, *ends) if ends[0] != ends[1] else ()
        found = tuple(self._candidate(each) for each in hops)
        self._found[pair] = found
        for link in {link for each in found for link in each.links}:
            self._users.setdefault(link, set()).add(pair)
        return found

    def _candidate(self, hops: Hops) -> Candidate:
        path = Path(tuple(self.network.arcs.links[link] for link in hops))
        delay = sum(self._database.delays_nanoseconds[link] for link in hops) / NANOSECONDS
        back = (self.network.arcs.link_positions.get(link.reverse_id) for link in path.links)
        links = (*hops, *(link for link in back if link is not None))
        return Candidate(path, links, delay, path.availability, _picker(links))


def _costs(database: TeDatabase) -> tuple[int, ...]:
    """The delay of each link and then its hop; `BLOCKED` where it or the way back is down: services go both ways."""
    arcs, states = database.network.arcs, database.states
    back = (arcs.link_positions.get(link.reverse_id, position) for position, link in enumerate(arcs.links))
    pairs = zip(database.delays_nanoseconds, states, back, strict=True)
    return tuple(delay * _HOPS_PER_COST + 1 if is_up and states[other] else BLOCKED for delay, is_up, other in pairs)


def _is_better(new: int, old: int) -> bool:
    return new != BLOCKED and (old == BLOCKED or new < old)


def _quickest_and_around(network: Network, costs: Sequence[int], source: int, target: int) -> tuple[Hops, ...]:
    quickest: list[Hops] = []
    for hops in cheapest_first(network.arcs, costs, source, target):
        quickest.append(hops)
        if len(quickest) == _QUICKEST:
            break
    around = []
    for link in quickest[0] if quickest else ():
        without = list(costs)
        without[link] = BLOCKED
        around.append(cheapest(network.arcs, without, source, target))
    found = {hops for hops in (*quickest, *around) if hops}
    return tuple(sorted(found, key=lambda hops: (sum(costs[link] for link in hops), hops)))


def _picker(hops: Sequence[int]) -> Callable[[Sequence[int]], tuple[int, ...]]:
    """`itemgetter` gives one item bare."""
    if len(hops) == 1:
        only = hops[0]
        return lambda values: (values[only],)
    return itemgetter(*hops)
