"""Owns turning what telemetry and carriers tell into observations for the search for causes.

Carriers of both ends of each link; devices that answer or are silent; packets of STAMP sessions (RFC 8762) counted over
a window; discards and delays of links. What is new has to last before it counts, and what is old does not count at all.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite

from controller.assurance.root_cause_observations import Observation, ObservationKind
from controller.mapping.measurement import Measurement, measurements_of
from controller.mapping.tunnel import STAMP
from controller.mapping.tunnel_probes import PROBES
from controller.model.identifiers import DeviceName
from controller.model.yang_path import Path
from controller.runtime.collection_series import SeriesBook
from controller.runtime.recovery_flows import Flows
from controller.runtime.world import World
from controller.telemetry.sample import Sample, SeriesKey
from controller.topology.network import LinkId
from controller.topology.te_database import TeDatabase

CONTROLLER = "management network"
"""The sensor that says whether devices answer: if it fails, all of them are silent at once."""
_Subject = tuple[ObservationKind, str, str]
_COUNTED = frozenset({"sent-packets", "lost-packets"})
_DELAYS = frozenset({"last-forward-delay", "forward-delay"})
_USUAL_MEMORY = 0.02
_LATE_SHARE, _LATE_SECONDS = 0.5, 0.002
"""A link's delay that is off by more than this share and time of the usual one is a symptom."""
_MOST_LATE = 6
"""So many readings in a row tell as much as can be told of it."""
_USUAL_AFTER_SECONDS = 3600.0
"""What has been late for so long is how it is."""
VPN = "l3vpn:"
"""What begins the holder of a session in a VPN."""
AGO = " ago"
"""What ends the name of an older reading of the same."""
_SEGMENT_STEPS = 5
_FULL = 0.9
"""Of a link's capacity, from which on a symptom of it is taken for congestion."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long something has to last before it counts, and how far back is looked. Seconds."""

    carrier: float = 1.0
    silence: float = 5.0
    verdict: float = 2.0
    window: float = 30.0
    long_window: float = 300.0
    """A little loss takes many packets to be told from none."""
    again: float = 5.0
    """How often the same symptoms are looked into again."""
    stale: float = 45.0
    """Without anything from a device for so long, what it told is not evidence any more."""


@dataclass(slots=True)
class _Session:
    """What one STAMP session told: (time, sent, lost) of each reading."""

    counts: "deque[tuple[float, float, float]]" = field(default_factory=lambda: deque(maxlen=600))
    last: dict[str, float] = field(default_factory=dict)
    delay: float = 0.0
    usual: float | None = None
    delay_at: float = 0.0
    late: int = 0
    """Readings in a row of which every delay was late."""
    late_since: float = 0.0


@dataclass(slots=True)
class Witness:
    """Keeps what is told, and says what is observed. `hear` is subscribed to the series."""

    world: World
    series: SeriesBook
    patience: Patience = field(default_factory=Patience)
    _sessions: dict[tuple[DeviceName, str], _Session] = field(default_factory=lambda: defaultdict(_Session))
    _heard: dict[DeviceName, float] = field(default_factory=dict)
    _since: dict[_Subject, float] = field(default_factory=dict)
    """When what is bad began to be so."""
    _back: dict[str, float] = field(default_factory=dict)
    """When the carrier of a link came back."""
    _held: dict[DeviceName, "_Held"] = field(default_factory=dict)

    # -- hearing -----------------------------------------------------------------------------------------------

    def hear(self, samples: Sequence[Sample]) -> None:
        """A batch of samples of one device."""
        counted: dict[tuple[DeviceName, str, float], dict[str, float]] = {}
        for sample in samples:
            key = sample.key
            self._heard[key.device] = max(self._heard.get(key.device, 0.0), sample.receive_time)
            if key.kind in _COUNTED:
                session = self._sessions[key.device, key.object]
                before = session.last.get(key.kind)
                session.last[key.kind] = sample.source_time
                if sample.is_usable and before is not None and sample.source_time > before:
                    told = counted.setdefault((key.device, key.object, sample.source_time), {})
                    told[key.kind] = sample.value * (sample.source_time - before)
            elif key.kind in _DELAYS and sample.is_usable:
                self._take_delay(self._sessions[key.device, key.object], sample)
        for (device, number, time), told in counted.items():
            if told.keys() == _COUNTED:
                self._sessions[device, number].counts.append((time, told["sent-packets"], told["lost-packets"]))

    def _take_delay(self, session: _Session, sample: Sample) -> None:
        value, is_new = sample.value, sample.source_time > session.delay_at
        session.delay, session.delay_at = value, sample.source_time
        is_late = session.usual is not None and _is_late(value, session.usual)
        if session.usual is None or (session.late and sample.source_time - session.late_since >= _USUAL_AFTER_SECONDS):
            session.usual, session.late = value, 0
        elif is_late:
            session.late_since = session.late_since if session.late else sample.source_time
            session.late += is_new
        else:
            session.usual += _USUAL_MEMORY * (value - session.usual)
            session.late = 0

    @property
    def is_calm(self) -> bool:
        """Whether nothing was bad at the last look, not even for a moment."""
        return not self._since

    @property
    def has_sessions(self) -> bool:
        """Whether any measurement has told anything."""
        return bool(self._sessions)

    def heard_lately(self, devices: Iterable[DeviceName], now: float) -> frozenset[DeviceName]:
        """Which of these have told something that is not stale."""
        return frozenset(name for name in devices if now - self._heard.get(name, 0.0) <= self.patience.stale)

    def heard_since(self, devices: Iterable[DeviceName], since: float) -> frozenset[DeviceName]:
        """Which of these have told something after a time."""
        return frozenset(name for name in devices if self._heard.get(name, 0.0) > since)

    def is_load_newer(self, database: TeDatabase, link: str, since: float) -> bool:
        """Whether the load of a link was told after a time."""
        if link not in database.network.links:
            return True
        source = database.network.links[LinkId(link)].source
        sample = self.series.latest.get(SeriesKey(source.node, "out-octets", source.name))
        return sample is not None and sample.source_time > since

    def tells(self, device: DeviceName, number: int) -> bool:
        """Whether a session has ever told how many packets it sent."""
        session = self._sessions.get((device, str(number)))
        return session is not None and bool(session.counts)

    def loss(self, device: DeviceName, number: int, since: float, until: float = inf) -> tuple[int, int]:
        """Packets that a session sent and lost between two times."""
        counts = self._sessions[device, str(number)].counts if (device, str(number)) in self._sessions else ()
        found = [(sent, lost) for time, sent, lost in counts if since < time <= until]
        sent, lost = round(sum(one for one, _ in found)), round(sum(one for _, one in found))
        return sent, min(sent, max(0, lost))

    def utilisation(self, database: TeDatabase, link: str) -> float:
        """The share of a link that is used, as its sender counts; 0 where it does not."""
        load = self.load(database, LinkId(link))
        return 0.0 if load is None else load / database.capacity(LinkId(link)).bits_per_second

    def load(self, database: TeDatabase, link: LinkId) -> float | None:
        """Bit/s that the sender of a link counts."""
        if link not in database.network.links:
            return None
        source = database.network.links[link].source
        sample = self.series.latest.get(SeriesKey(source.node, "out-octets", source.name))
        return sample.value * 8 if sample is not None and sample.is_usable and isfinite(sample.value) else None

    def is_full(self, database: TeDatabase, links: Iterable[str]) -> bool:
        """Whether any of these links carries about as much as it can."""
        return any(self.utilisation(database, link) >= _FULL for link in links)

    # -- observing ---------------------------------------------------------------------------------------------

    def observations(
        self,
        database: TeDatabase,
        flows: Flows,
        silent: Mapping[DeviceName, str],
        answering: Iterable[DeviceName],
        now: float,
    ) -> tuple[Observation, ...]:
        """Everything that is observed now; what is bad since too short a time is left out."""
        found = [
            *self._carriers(database, now),
            *self._silences(silent, answering, now),
            *self._losses(flows, now),
            *self._verdicts(database, now),
        ]
        told = (one for one in found if one.is_bad or one.kind is ObservationKind.LOSS)
        known = {(one.kind, one.subject, one.sensor) for one in told}
        for gone in self._since.keys() - known:
            del self._since[gone]
        lasting = (self._lasting(one, now) for one in found)
        return tuple(one for one in lasting if one is not None)

    def _lasting(self, one: Observation, now: float) -> Observation | None:
        """With the time at which it began where it is bad; None as long as that may be nothing."""
        key = (one.kind, one.subject, one.sensor)
        if not (one.is_bad or (one.kind is ObservationKind.LOSS and one.is_symptom)):
            self._since.pop(key, None)
            return one
        since = self._since.setdefault(key, now)
        patience = {
            ObservationKind.CARRIER: self.patience.carrier,
            ObservationKind.SILENCE: self.patience.silence,
            ObservationKind.VERDICT: self.patience.verdict,
            ObservationKind.DELAY: self.patience.verdict,
        }.get(one.kind, 0.0)
        return _at(one, since) if now - since >= patience else None

    def _carriers(self, database: TeDatabase, now: float) -> Iterator[Observation]:
        fresh = self.heard_lately({link.source.node for link in database.network.links.values()}, now)
        for link in database.network.links.values():
            point, is_up = link.source, database.is_up(link.id)
            told = self.series.latest.get(SeriesKey(point.node, "oper-status", point.name))
            if told is not None and point.node in fresh and told.is_usable:
                is_up = is_up and told.value > 0
            elif is_up and point.node not in fresh:
                continue  # nobody has said so lately
            if is_up and (ObservationKind.CARRIER, str(point), point.node) in self._since:
                self._back[str(link.id)] = now
            wire = frozenset(map(str, database.network.both_directions([link.id])))
            yield Observation(ObservationKind.CARRIER, str(point), point.node, wire, is_bad=not is_up)

    def _silences(
        self, silent: Mapping[DeviceName, str], answering: Iterable[DeviceName], now: float
    ) -> Iterator[Observation]:
        fresh = self.heard_lately(answering, now)
        for name in sorted(fresh | silent.keys()):
            yield Observation(ObservationKind.SILENCE, name, CONTROLLER, frozenset({name}), is_bad=name in silent)

    def _losses(self, flows: Flows, now: float) -> Iterator[Observation]:
        for device, number, subject, elements in self.sessions(flows):
            since = max((self._back[link] for link in elements & self._back.keys()), default=-inf)
            for age, (sent, lost) in enumerate(self._losing(device, number, since, now) if elements else ()):
                name = f"{subject}, {age} windows{AGO}" if age else subject
                yield Observation(ObservationKind.LOSS, name, device, elements, sent=sent, lost=lost)

    def _losing(self, device: DeviceName, number: int, since: float, now: float) -> Iterator[tuple[int, int]]:
        """Packets of the last window, and of those before it as long as each lost some: a burst is over sooner.

        Where the last one lost nothing, the long window is looked at: a little loss is not in every short one. What
        was lost before a carrier on the way came back, or in the reading that it came back in, says nothing of today.
        """
        window = self.patience.window
        since += self.series.interval_seconds
        sent, lost = self.loss(device, number, max(since, now - window))
        if sent and lost:
            yield sent, lost
            for age in range(1, max(1, round(self.patience.long_window / window))):
                sent, lost = self.loss(device, number, max(since, now - (age + 1) * window), now - age * window)
                if not lost:
                    return
                yield sent, lost
        elif sent:
            yield self.loss(device, number, max(since, now - self.patience.long_window))

    def _verdicts(self, database: TeDatabase, now: float) -> Iterator[Observation]:
        """Of single links: discards at the sender, and the delay where it is measured."""
        fresh = self.heard_lately({link.source.node for link in database.network.links.values()}, now)
        by_segment = {link.segment: link.id for link in database.network.links.values() if link.segment}
        probes = {
            by_segment[segment]: str(number)
            for name in self.world.network
            for number, segment in self._held_by(name).links
            if segment in by_segment
        }
        for link in database.network.links.values():
            point = link.source
            if point.node not in fresh or not database.is_up(link.id):
                continue
            on = frozenset({str(link.id)})
            discards = self.series.latest.get(SeriesKey(point.node, "out-discards", point.name))
            if discards is not None and discards.is_usable:
                name = f"discards on {link.id}"
                yield Observation(ObservationKind.VERDICT, name, point.node, on, is_bad=discards.value > 0)
            session = self._sessions.get((point.node, probes.get(link.id, "")))
            if session is not None and session.usual is not None and session.delay_at > now - self.patience.stale:
                for age in range(max(1, min(session.late, _MOST_LATE))):
                    name = f"delay of {link.id}" + (f", {age} readings{AGO}" if age else "")
                    yield Observation(ObservationKind.DELAY, name, point.node, on, is_bad=session.late > 0)

    # -- sessions ----------------------------------------------------------------------------------------------

    def sessions(self, flows: Flows) -> Iterator[tuple[DeviceName, int, str, frozenset[str]]]:
        """Every measurement of links, services and campaigns: device, number, name, and what its packets depend on."""
        by_segment = {link.segment: link for link in flows.network.links.values() if link.segment}
        for name in self.world.network:
            held = self._held_by(name)
            for number, segment in held.links:
                link = by_segment.get(segment)
                if link is not None:
                    back = flows.links(link.target.node, name)
                    yield name, number, f"link probe of {link.id}", back | {link.id, name, link.target.node}
            for one in held.others:
                there, back = (self._way(flows, one, is_back=is_back) for is_back in (False, True))
                yield name, one.number, f"{one.holder} from {name} to {one.target}", there | back if there else there

    def _way(self, flows: Flows, one: Measurement, *, is_back: bool) -> frozenset[str]:
        """What test packets in a VPN share with its traffic; others go by their segments or the shortest path."""
        source, target = (one.target, one.device) if is_back else (one.device, one.target)
        segments = tuple(getattr(one, "segments", ()))
        if segments and not is_back:
            return flows.along(source, target, segments)
        vpn = one.holder.removeprefix(VPN)
        for flow in flows.of(vpn) if one.instance else ():
            if (flow.source, flow.target) == (source, target):
                return frozenset({*flow.links, *flow.nodes, source, target})
        return flows.links(source, target)

    def _held_by(self, name: DeviceName) -> "_Held":
        """Read again when what is wanted of the device has changed."""
        known = self.world.network.device(name)
        held = self._held.get(name)
        if held is None or held.version != known.version:
            links = _single_segments(known.contributions.of(PROBES))
            others = tuple(measurements_of(name, known.contributions))
            held = self._held[name] = _Held(known.version, links, others)
            self._forget(name, {number for number, _ in links} | {one.number for one in others})
        return held

    def _forget(self, name: DeviceName, kept: set[int]) -> None:
        """What sessions told that a device has no more: campaigns come and go."""
        numbers = {str(number) for number in kept}
        for key in [key for key in self._sessions if key[0] == name and key[1] not in numbers]:
            del self._sessions[key]


@dataclass(frozen=True, slots=True)
class _Held:
    """Sessions of a device: over one link (number, segment), and others."""

    version: int
    links: tuple[tuple[int, str], ...]
    others: tuple[Measurement, ...]


def _single_segments(lines: Mapping[Path, str]) -> tuple[tuple[int, str], ...]:
    found: dict[int, list[str]] = {}
    for path, value in lines.items():
        if len(path) == _SEGMENT_STEPS and path[:2] == STAMP:
            found.setdefault(int(path[2].keys[0][1]), []).append(value)
    return tuple((number, segments[0]) for number, segments in sorted(found.items()) if len(segments) == 1)


def _is_late(value: float, usual: float) -> bool:
    return value > usual * (1 + _LATE_SHARE) and value > usual + _LATE_SECONDS


def _at(one: Observation, time: float) -> Observation:
    return replace(one, time=time)
