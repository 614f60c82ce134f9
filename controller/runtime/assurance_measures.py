"""Owns what an objective is measured by: which series tell its value now, and how far they can be trusted.

Delays, jitter and loss come from the STAMP sessions (RFC 8762) of the service, or from sessions of others between the
same routers as long as it has none. Bandwidth is what an access could have: the least that is free on the links that
its traffic takes - those of the tunnel that carries it (RFC 9256 steering), or else of the shortest path - and what it
sends itself. A service is available where test packets come back and an access port is up.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from math import isfinite, nan

import numpy as np

from controller.assurance.objectives import Objective, ObjectiveName
from controller.assurance.objectives_l3sm import Access
from controller.mapping.fragment import service_id
from controller.mapping.measurement import Measurement, measurements_of
from controller.mapping.tunnel import STAMP, Tunnel
from controller.mapping.tunnel_paths import is_alive
from controller.model.errors import AccordError
from controller.model.identifiers import DeviceName, ServiceId
from controller.runtime.collection_series import SeriesBook
from controller.runtime.topology_discovery import TopologyView
from controller.runtime.world import World
from controller.telemetry.quality import FLOOR, Score, objective_score, refusal
from controller.telemetry.sample import SeriesKey
from controller.topology.constraints import PathRequest
from controller.topology.network import Link
from controller.topology.paths import shortest_path
from controller.topology.te_database import TeDatabase

_OCTET = 8.0
_LOSS_TICKS = 6
"""Readings that a loss is counted over: one alone has few test packets."""
_ELSEWHERE = frozenset({"segment", "network-instance"})
"""What leads test packets another way than those of everybody."""
_KINDS = {
    ObjectiveName.ONE_WAY_DELAY: "last-forward-delay",
    ObjectiveName.ROUND_TRIP_DELAY: "last-round-trip-delay",
    ObjectiveName.JITTER: "delay-variation",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """An objective's value now, NaN where nothing tells it; `why` when it is not to be trusted."""

    value: float
    quality: float
    series: tuple[SeriesKey, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """A STAMP session between two routers."""

    head: DeviceName
    tail: DeviceName
    number: int

    def key(self, kind: str) -> SeriesKey:
        """One of its series."""
        return SeriesKey(self.head, kind, str(self.number))


@dataclass(slots=True)
class Measures:
    """Reads objectives off the series. `sessions_of` gives the sessions that are a service's own."""

    world: World
    series: Callable[[], SeriesBook]
    topology: TopologyView
    sessions_of: Callable[[ServiceId], Iterable[Measurement]] | None = None
    _configured: dict[DeviceName, tuple[int, tuple[tuple[int, str], ...]]] = field(default_factory=dict)
    """By router and revision of its configuration: sessions through the core as (number, address)."""
    _paths: dict[tuple[DeviceName, DeviceName], tuple[Link, ...]] = field(default_factory=dict)
    _paths_of: TeDatabase | None = None
    _steered: Mapping[tuple[ServiceId, DeviceName, DeviceName], Tunnel] = field(default_factory=dict)
    _steered_of: int = -1
    _scores: dict[SeriesKey, Score] = field(default_factory=dict)
    _scored_at: float = -1.0

    def sessions(self, vpn_id: str, accesses: Sequence[Access]) -> tuple[Session, ...]:
        """One for each pair of routers that has any: its own, or else another's on the same way."""
        own = self._own(service_id(vpn_id), {access.device for access in accesses})
        found = {(one.device, one.target): Session(one.device, one.target, one.number) for one in own}
        for head, tail in permutations(sorted({access.device for access in accesses}), 2):
            if (head, tail) not in found and (number := self._borrowed(head, tail)) is not None:
                found[head, tail] = Session(head, tail, number)
        return tuple(found[pair] for pair in sorted(found))

    def look(
        self, objective: Objective, accesses: Sequence[Access], sessions: Sequence[Session], now: float
    ) -> Measured:
        """The value of an objective that is told by series."""
        if objective.name is ObjectiveName.BANDWIDTH:
            access = next((one for one in accesses if one.subject == objective.subject), None)
            return self._free(objective, access, accesses, now) if access else _nothing(objective)
        session = _between(objective, sessions)
        if session is None:
            return _nothing(objective, "; telemetry.service_probes: auto has provider edges measure one another")
        if objective.name is ObjectiveName.LOSS:
            keys = (session.key("sent-packets"), session.key("lost-packets"))
            return self._judged(objective, self._loss(keys), keys, now)
        key = session.key(_KINDS[objective.name])
        return self._judged(objective, self._latest(key), (key,), now)

    def reachable(self, accesses: Sequence[Access], sessions: Sequence[Session], now: float) -> tuple[str, float]:
        """`good` where every two sites reach each other, `bad` where two do not, `unknown`; and how far to trust it."""
        ports = {one: self._port(one, now) for one in accesses}
        down = {
            access.site
            for access in accesses
            if all(ports[one] == "bad" for one in accesses if one.site == access.site)
        }
        told = {(one.head, one.tail): self._answers(one, now) for one in sessions}
        pairs = list(_site_pairs(accesses))
        verdicts = [_verdict([told[ends] for ends in pair if ends in told]) for pair in pairs]
        qualities = [self._trust(one.key("sent-packets"), now) for one in sessions]
        quality = min(qualities, default=0.0)
        if down or "bad" in verdicts:
            return "bad", 1.0 if down else quality
        if (not pairs and "good" in ports.values()) or "good" in verdicts:
            return "good", quality if sessions else 1.0
        return "unknown", 0.0

    def way(self, service: ServiceId, head: DeviceName, tail: DeviceName) -> tuple[Link, ...]:
        """The links that a service's traffic takes: a tunnel of its own that carries, or else the shortest path."""
        database = self.topology.database
        if self._steered_of != self.world.tunnels.version:
            self._steered, self._steered_of = _steered(self.world.tunnels), self.world.tunnels.version
        tunnel = self._steered.get((service, head, tail))
        for path in tunnel.ranked if tunnel else ():
            if is_alive(database, path):
                return tuple(database.network.links[hop] for hop in path.hops)
        return self.path(head, tail)

    def path(self, head: DeviceName, tail: DeviceName) -> tuple[Link, ...]:
        """The links that the shortest path takes, none where there is no path."""
        database = self.topology.database
        if self._paths_of is not database:
            self._paths, self._paths_of = {}, database
        if (head, tail) not in self._paths:
            try:
                found = shortest_path(database, PathRequest(head, tail)).links
            except AccordError:
                found = ()
            self._paths[head, tail] = found
        return self._paths[head, tail]

    # -- sessions ----------------------------------------------------------------------------------------------

    def _own(self, service: ServiceId, devices: Iterable[DeviceName]) -> Iterable[Measurement]:
        if self.sessions_of is not None:
            return self.sessions_of(service)
        return [
            one
            for name in sorted(devices)
            if name in self.world.network
            for one in measurements_of(name, self.world.network.device(name).contributions)
            if one.holder == service
        ]

    def _borrowed(self, head: DeviceName, tail: DeviceName) -> int | None:
        """The lowest session through the core from one to the other that takes the way that all packets take."""
        node = self.topology.network.nodes.get(tail)
        if node is None or not node.endpoint or head not in self.world.network:
            return None
        return min((number for number, address in self._through_core(head) if address == node.endpoint), default=None)

    def _through_core(self, name: DeviceName) -> tuple[tuple[int, str], ...]:
        config = self.world.network.device(name).config
        known = self._configured.get(name)
        if known is None or known[0] != config.revision:
            lines = {path: config[path] for path in config.below(STAMP)}
            bound = {path[2].keys for path in lines if len(path) > 3 and path[3].name in _ELSEWHERE}
            found = tuple(
                (int(path[2].keys[0][1]), value)
                for path, value in lines.items()
                if len(path) == 4 and path[3].name == "remote-address" and path[2].keys not in bound
            )
            known = self._configured[name] = (config.revision, found)
        return known[1]

    # -- values ------------------------------------------------------------------------------------------------

    def _judged(self, objective: Objective, value: float, keys: Sequence[SeriesKey], now: float) -> Measured:
        scores = [(self._score(key, now),) for key in keys]
        quality = objective_score(scores)
        why = "" if quality >= FLOOR else refusal(str(objective), scores, FLOOR) or ""
        return Measured(value if quality else nan, quality, tuple(keys), why)

    def _score(self, key: SeriesKey, now: float) -> Score:
        """Each series is scored once at a time: several objectives rest on it."""
        if self._scored_at != now:
            self._scores, self._scored_at = {}, now
        if key not in self._scores:
            self._scores[key] = self.series().score(key, now)
        return self._scores[key]

    def _latest(self, key: SeriesKey) -> float:
        sample = self.series().latest.get(key)
        return sample.value if sample is not None and sample.is_usable else nan

    def _loss(self, keys: tuple[SeriesKey, SeriesKey]) -> float:
        book = self.series()
        if not set(keys) <= book.latest.keys():
            return nan
        kept = max(2, round(book.history_seconds / book.interval_seconds))
        table = book.store.table(keys, min(_LOSS_TICKS, kept))
        rows = table[np.isfinite(table).all(axis=1)]
        sent, lost = rows.sum(axis=0) if len(rows) else (0.0, 0.0)
        return min(1.0, max(0.0, float(lost / sent))) if sent > 0 else nan

    def _free(self, objective: Objective, access: Access, accesses: Sequence[Access], now: float) -> Measured:
        """Bit/s that the access could have; a series of the paths that tells nothing leaves it unknown."""
        book = self.series()
        others = sorted({one.device for one in accesses} - {access.device})
        links = {link.id: link for tail in others for link in self.way(objective.service, access.device, tail)}
        keys = {id_: SeriesKey(link.source.node, "out-octets", link.source.name) for id_, link in links.items()}
        speed = book.speeds.get((access.device, access.port), 0)
        if not links:
            key = SeriesKey(access.device, "oper-status", access.port)
            status = self._latest(key)
            return self._judged(objective, float(speed) * status if speed else nan, (key,), now)
        own = self._latest(SeriesKey(access.device, "in-octets", access.port))
        rates = {id_: self._latest(key) for id_, key in keys.items()}
        series = tuple(keys[id_] for id_ in sorted(keys))
        if not all(map(isfinite, rates.values())):
            return self._judged(objective, nan, series, now)
        free = min(links[id_].capacity.bits_per_second - _OCTET * rate for id_, rate in rates.items())
        value = max(0.0, free) + (_OCTET * own if isfinite(own) else 0.0)
        return self._judged(objective, min(value, float(speed)) if speed else value, series, now)

    # -- availability ------------------------------------------------------------------------------------------

    def _trust(self, key: SeriesKey, now: float) -> float:
        return self._score(key, now).value

    def _answers(self, session: Session, now: float) -> str:
        """Whether test packets come back, by the last reading."""
        sent, lost = session.key("sent-packets"), session.key("lost-packets")
        rates = self._latest(sent), self._latest(lost)
        if min(self._trust(sent, now), self._trust(lost, now)) < FLOOR or not all(map(isfinite, rates)) or not rates[0]:
            return "unknown"
        return "bad" if rates[1] >= rates[0] else "good"

    def _port(self, access: Access, now: float) -> str:
        key = SeriesKey(access.device, "oper-status", access.port)
        value = self._latest(key)
        if not isfinite(value) or self._trust(key, now) < FLOOR:
            return "unknown"
        return "good" if value else "bad"


def _steered(tunnels: Iterable[Tunnel]) -> Mapping[tuple[ServiceId, DeviceName, DeviceName], Tunnel]:
    """The tunnel that the colour of a service's VRF steers into, by the service and the ends."""
    return {(service_id(vpn), one.source, one.target): one for one in tunnels for vpn in one.services}


def _nothing(objective: Objective, remedy: str = "") -> Measured:
    return Measured(nan, 0.0, (), f"{objective.name} is not measured: no series tells it{remedy}")


def _between(objective: Objective, sessions: Sequence[Session]) -> Session | None:
    """The session of a pair; there and back is the same from either end."""
    by_pair = {f"{one.head}>{one.tail}": one for one in sessions}
    if objective.subject in by_pair or objective.name is not ObjectiveName.ROUND_TRIP_DELAY:
        return by_pair.get(objective.subject)
    head, _, tail = objective.subject.partition(">")
    return by_pair.get(f"{tail}>{head}")


def _site_pairs(accesses: Sequence[Access]) -> Iterator[list[tuple[DeviceName, DeviceName]]]:
    """For each two sites: the pairs of routers over which they can reach each other; none where one router has both."""
    devices: dict[str, set[DeviceName]] = {}
    for access in accesses:
        devices.setdefault(access.site, set()).add(access.device)
    names = sorted(devices)
    seen: set[frozenset[frozenset[DeviceName]]] = set()
    for position, one in enumerate(names):
        for other in names[position + 1 :]:
            if devices[one] & devices[other]:
                continue
            ends = frozenset((frozenset(devices[one]), frozenset(devices[other])))
            if ends in seen:
                continue
            seen.add(ends)
            yield [pair for a in devices[one] for b in devices[other] for pair in ((a, b), (b, a))]


def _verdict(told: Sequence[str]) -> str:
    """Of two sites: one way that works is enough; nothing is known of those that nobody measures."""
    if "good" in told:
        return "good"
    return "bad" if "bad" in told else "unknown"
