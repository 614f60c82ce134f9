"""Owns what is forecast of live agreements: room on their links and delay along their path, against what is promised.

Two series for each agreement: the least that its links have left for it (a floor at its rate) and the delay along them
(a ceiling at its bound). Both come from the TE database, which holds what telemetry measured while that is fresh.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from controller.assurance.breach import Breach, predict
from controller.assurance.objectives import Objective, ObjectiveName
from controller.model.identifiers import ServiceId
from controller.negotiation.agreement import Terms
from controller.negotiation.catalogue import Axis
from controller.negotiation.records import Standing
from controller.negotiation.strategy import Risk
from controller.telemetry.forecast import Forecaster
from controller.topology.network import LinkId
from controller.topology.te_database import TeDatabase

HORIZONS = (1, 3, 6)
_UNBOUNDED_SECONDS = 1e6


@dataclass(slots=True)
class _Watched:
    issue: str
    objectives: tuple[Objective, Objective]
    forecaster: Forecaster


@dataclass(slots=True)
class AgreementForecasts:
    """One forecaster for each agreement in force, begun anew when its terms change."""

    tick_seconds: float
    _watched: dict[str, _Watched] = field(default_factory=dict)

    def look(
        self, standings: Iterable[Standing], links: Mapping[str, Sequence[LinkId]], database: TeDatabase
    ) -> dict[str, tuple[tuple[Breach, ...], Risk]]:
        """What is forecast now, by agreement, and which links it is about. `links` by reservation."""
        found: dict[str, tuple[tuple[Breach, ...], Risk]] = {}
        live = [one for one in standings if not one.is_over]
        for root in self._watched.keys() - {one.root for one in live}:
            del self._watched[root]
        for standing in live:
            path = [link for link in links.get(standing.terms.quote.reservation, ()) if link in database.network.links]
            if path:
                found[standing.root] = self._of(standing, path, database)
        return found

    def _of(self, standing: Standing, path: Sequence[LinkId], database: TeDatabase) -> tuple[tuple[Breach, ...], Risk]:
        watched = self._watched.get(standing.root)
        if watched is None or watched.issue != standing.current.id:
            watched = _Watched(standing.current.id, _objectives(standing), Forecaster(2, HORIZONS))
            self._watched[standing.root] = watched
        room = {link: room_for(standing.terms, link, database) for link in path}
        delay = sum(database.delay_seconds(link) for link in path)
        is_up = all(database.is_up(link) for link in path)
        values = np.array([min(room.values()) if is_up else 0.0, delay if is_up else _UNBOUNDED_SECONDS])
        breaches = predict(watched.objectives, watched.forecaster.step(values), self.tick_seconds, (1.0, 1.0))
        return breaches, _risk(standing.terms, breaches, room, database)


def room_for(terms: Terms, link: LinkId, database: TeDatabase) -> float:
    """What a link has for an agreement, in bit/s: its own share of what all that is there leaves.

    What is measured counts where it is more than what is reserved: others' traffic takes room whether booked or not.
    """
    capacity = database.capacity(link).bits_per_second
    own = terms.level.bit_rate
    used = max(database.load(link).bits_per_second, database.reserved(link).bits_per_second)
    return float(max(0, capacity - max(0, used - own)))


def _objectives(standing: Standing) -> tuple[Objective, Objective]:
    service, level = ServiceId(standing.root), standing.terms.level
    late = level.latency_microseconds
    bound = _UNBOUNDED_SECONDS if late is None else late / 1_000_000
    return (
        Objective(service, ObjectiveName.BANDWIDTH, float(level.bit_rate)),
        Objective(service, ObjectiveName.ONE_WAY_DELAY, bound),
    )


def _risk(terms: Terms, breaches: Sequence[Breach], room: Mapping[LinkId, float], database: TeDatabase) -> Risk:
    """The axis on which a breach is likeliest, and the links that bring it."""
    worst = max(breaches, key=lambda one: one.confidence)
    down = tuple(link for link in room if not database.is_up(link))
    if down or worst.objective.name is ObjectiveName.BANDWIDTH:
        tightest = min(room, key=lambda link: room[link])
        return Risk(Axis.BANDWIDTH, down or (tightest,))
    slowest = max(room, key=lambda link: database.delay_seconds(link) - database.network.link(link).delay_seconds)
    return Risk(Axis.LATENCY, (slowest,) if terms.level.latency_microseconds else ())
