"""Owns what a link's delay is compared with when nobody knows what it used to be: the topology, the other direction.

A link that was late before anybody looked is found by nothing else. The confidence is low: a length between two cities
is an estimate of the fibre's, and one-way delays hold as far as clocks agree. Nothing is done for its sake.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from controller.model.amounts import amount
from controller.topology.network import Link
from controller.topology.te_database import Measurement, TeDatabase

LOW_CONFIDENCE = 0.3
_TIMES, _BESIDE = 2.0, 1.5
"""Of what is given, which is an estimate; of what the other direction takes."""
_LEAST_SECONDS = 0.002
_NOTHING = Measurement()


@dataclass(frozen=True, slots=True)
class LateLink:
    """A link over which packets take much longer than is expected."""

    link: Link
    measured_seconds: float
    expected_seconds: float
    of: str

    @property
    def name(self) -> str:
        """Between which routers."""
        return f"{self.link.source.node}-{self.link.target.node}"

    @property
    def expectation(self) -> str:
        """What it is late beside."""
        return f"{amount(self.expected_seconds, 's')} are expected of {self.of}"

    def __str__(self) -> str:
        return f"{self.name} takes {amount(self.measured_seconds, 's')}, {self.expectation}"


def late_links(database: TeDatabase) -> Iterator[LateLink]:
    """Links that are up and late beside what the topology gives, or else beside the other direction."""
    for id_, seen in database.measured.items():
        if seen.delay_seconds is not None and id_ in database.network.links and database.is_up(id_):
            found = _late(database, database.network.link(id_), seen.delay_seconds)
            if found is not None:
                yield found


def has_baseline(database: TeDatabase, link: Link) -> bool:
    """Whether there is anything to compare a link's delay with."""
    return link.delay_seconds > 0 or _measured(database, link) is not None


def _late(database: TeDatabase, link: Link, seconds: float) -> LateLink | None:
    given, other = link.delay_seconds, _measured(database, link)
    if given > 0 and seconds > max(_TIMES * given, given + _LEAST_SECONDS):
        return LateLink(link, seconds, given, "its length or the topology file")
    if other is not None and seconds > max(_BESIDE * other, other + _LEAST_SECONDS):
        return LateLink(link, seconds, other, "the other direction, as far as clocks agree")
    return None


def _measured(database: TeDatabase, link: Link) -> float | None:
    """Of the other direction."""
    return database.measured.get(link.reverse_id, _NOTHING).delay_seconds
