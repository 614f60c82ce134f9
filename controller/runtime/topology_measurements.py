"""Owns what telemetry tells of links: load from counters (RFC 8343), delay and loss from STAMP (RFC 8762), while fresh.

A session belongs to the link whose segment is the only one of its list. Its loss is of test packets there and back: the
share of them that was not answered, over several readings, as one has few of them.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.telemetry.sample import Provenance, Sample, SeriesKey
from controller.topology.network import LinkId, Network
from controller.topology.te_database import Measurement

_LOAD, _DELAY, _SENT, _LOST = "out-octets", "forward-delay", "sent-packets", "lost-packets"
_KINDS = frozenset({_LOAD, _DELAY, _SENT, _LOST})
_OCTET = 8
_LOSS_READINGS = 6
"""Over so many readings the loss is told: at one test packet a second, one reading alone says little."""
_FRESH_INTERVALS = 3.0
_LEAST_SECONDS = 2.0


@dataclass(slots=True)
class LinkMeasurements:
    """The last usable values. `interval_seconds` says how often a device is expected to tell something new."""

    now: Callable[[], float]
    interval_seconds: Callable[[DeviceName], float]
    version: int = 0
    """Counts the batches that held something of links."""
    _latest: dict[SeriesKey, deque[Sample]] = field(default_factory=dict)
    delay_series: dict[LinkId, SeriesKey] = field(default_factory=dict)
    """What tells the delay of a link, as far as any series does."""
    _ever: set[SeriesKey] = field(default_factory=set)
    """Delays that telemetry has told at least once."""

    def take(self, samples: Sequence[Sample]) -> None:
        """Keep what was measured; what was only imputed is no measurement."""
        found = [sample for sample in samples if sample.key.kind in _KINDS and _is_measured(sample)]
        for sample in found:
            self._latest.setdefault(sample.key, deque(maxlen=_LOSS_READINGS)).append(sample)
        self._ever.update(sample.key for sample in found if sample.key.kind == _DELAY)
        self.version += bool(found)

    def of(
        self,
        network: Network,
        sessions: Mapping[DeviceName, Mapping[int, tuple[str, ...]]],
        told_delays: Mapping[LinkId, float],
    ) -> tuple[dict[LinkId, Measurement], float]:
        """What is known of the links, and until when it holds. `sessions` has the segment lists of STAMP sessions.

        `told_delays` were told when devices were last asked for the topology: they stand where telemetry never did.
        """
        self._forget_stale()
        numbers = {
            (device, segments): str(number) for device, lists in sessions.items() for number, segments in lists.items()
        }
        found: dict[LinkId, Measurement] = {}
        used: list[Sample] = []
        for link in network.arcs.links:
            device = link.source.node
            session = numbers.get((device, (link.segment,)), "")
            delay = SeriesKey(device, _DELAY, session)
            seen = Measurement(
                self._load(device, link.source.name, used),
                told_delays.get(link.id) if delay not in self._ever else self._value(delay, used),
                self._loss(device, session, used),
            )
            if seen != _NOTHING:
                found[link.id] = seen
            if session:
                self.delay_series[link.id] = delay
        return found, min(map(self._until, used), default=inf)

    def _load(self, device: DeviceName, port: str, used: list[Sample]) -> BitRate | None:
        rate = self._value(SeriesKey(device, _LOAD, port), used)
        return None if rate is None else BitRate(round(rate * _OCTET))

    def _value(self, key: SeriesKey, used: list[Sample]) -> float | None:
        samples = self._latest.get(key)
        if not samples or not key.object:
            return None
        used.append(samples[-1])
        return max(0.0, samples[-1].value)

    def _loss(self, device: DeviceName, session: str, used: list[Sample]) -> float | None:
        sent, lost = (self._latest.get(SeriesKey(device, kind, session)) for kind in (_SENT, _LOST))
        if not sent or not lost:
            return None
        lost_at = {sample.source_time: sample.value for sample in lost}
        both = [(sample.value, lost_at[sample.source_time]) for sample in sent if sample.source_time in lost_at]
        packets = sum(rate for rate, _ in both)
        if not packets > 0:
            return None
        used.append(sent[-1])
        return min(1.0, max(0.0, sum(rate for _, rate in both) / packets))

    def _until(self, sample: Sample) -> float:
        patience = max(_LEAST_SECONDS, _FRESH_INTERVALS * self.interval_seconds(sample.key.device))
        return sample.receive_time + patience

    def _forget_stale(self) -> None:
        """A series whose last value is too old says nothing any more, and its older ones not either."""
        now = self.now()
        for key in [key for key, samples in self._latest.items() if self._until(samples[-1]) <= now]:
            del self._latest[key]


_NOTHING = Measurement()


def _is_measured(sample: Sample) -> bool:
    return sample.is_usable and sample.provenance is not Provenance.IMPUTED
