"""Owns every series that the daemon keeps: readings in, judged samples out to whoever listens, the recent past kept."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite

from controller.model.errors import NotFoundError
from controller.model.identifiers import DeviceName
from controller.runtime.collection_reading import COUNTERS, Told
from controller.telemetry.quality import FLOOR, Expectation, Score, SeriesJudge
from controller.telemetry.sample import Reading, Sample, SeriesKey
from controller.telemetry.store import SeriesStore

Listener = Callable[[Sequence[Sample]], None]
_OCTETS = frozenset({"in-octets", "out-octets"})
_OCTET = 8
_SOUND = 0.9
_COUNT_SECONDS = 10.0


@dataclass(slots=True)
class SeriesBook:
    """All series. `interval_seconds` is the store's tick and what is expected where nobody said otherwise."""

    interval_seconds: float = 10.0
    history_seconds: float = 1800.0
    store: SeriesStore = field(init=False)
    latest: dict[SeriesKey, Sample] = field(default_factory=dict)
    """The last usable sample of each series; the last of any kind where there was none yet."""
    speeds: dict[tuple[DeviceName, str], int] = field(default_factory=dict)
    """Bit/s by device and interface, as devices tell."""
    samples: Counter[str] = field(default_factory=Counter)
    """Samples so far by provenance."""
    _judges: dict[SeriesKey, SeriesJudge] = field(default_factory=dict)
    _listeners: list[Listener] = field(default_factory=list)
    _counted: dict[str, int] = field(default_factory=dict)
    _counted_at: float = 0.0

    def __post_init__(self) -> None:
        """Room for the history."""
        self.store = SeriesStore(self.interval_seconds, max(2, round(self.history_seconds / self.interval_seconds)))

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each batch of samples; returns the unsubscribe."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def take(self, device: DeviceName, told: Told, interval_seconds: float) -> list[Sample]:
        """Judge and keep what a device told; it is expected to tell again after the interval."""
        for name, speed in told.speeds.items():
            self.speeds[device, name] = speed
        samples = [self._judged(reading, interval_seconds) for reading in told.readings]
        self.store.put_all(samples)
        for sample in samples:
            if sample.is_usable or sample.key not in self.latest:
                self.latest[sample.key] = sample
        for provenance, count in Counter(sample.provenance for sample in samples).items():
            self.samples[provenance.value] += count
        for listener in tuple(self._listeners):
            listener(samples)
        return samples

    def judge(self, key: SeriesKey) -> SeriesJudge:
        """Who judges a series, to tell it of contradictions; `NotFoundError` when there is none."""
        judge = self._judges.get(key)
        if judge is None:
            raise NotFoundError(
                f"there is no series '{key}'", remedy="list them: accord telemetry series", path=str(key)
            )
        return judge

    def score(self, key: SeriesKey, now: float) -> Score:
        """How far a series can be trusted; nothing at all for one that never was."""
        judge = self._judges.get(key)
        return Score(key, 0.0) if judge is None else judge.score(now, key)

    def trusted(self, now: float) -> dict[str, int]:
        """How many series are sound, doubtful and below the floor; counted anew after a while."""
        if now - self._counted_at > _COUNT_SECONDS:
            self._counted_at = now
            found = Counter(_quality(judge.score(now, key).value) for key, judge in self._judges.items())
            self._counted = {word: found[word] for word in ("sound", "doubtful", "below-floor")}
        return self._counted

    def keys(self, device: str = "", kind: str = "", object_: str = "") -> list[SeriesKey]:
        """The series that match what is given, sorted."""
        wanted = (device, kind, object_)
        return sorted(
            key
            for key in self._judges
            if all(
                not want or want == has for want, has in zip(wanted, (key.device, key.kind, key.object), strict=True)
            )
        )

    def retire(self, gone: Iterable[SeriesKey]) -> None:
        """Forget series whose device or measurement is no more."""
        for key in tuple(gone):
            self._judges.pop(key, None)
            self.latest.pop(key, None)
            self.store.drop(key)

    def retire_devices(self, left: Iterable[DeviceName]) -> None:
        """Forget the series of devices that are not among these."""
        known = set(left)
        self.retire([key for key in self._judges if key.device not in known])
        for device, name in [place for place in self.speeds if place[0] not in known]:
            del self.speeds[device, name]

    def _judged(self, reading: Reading, interval_seconds: float) -> Sample:
        judge = self._judges.get(reading.key)
        if judge is None:
            judge = self._judges[reading.key] = SeriesJudge(self._expectation(reading.key, interval_seconds))
        elif judge.expectation.interval_seconds != interval_seconds:
            judge.expectation = self._expectation(reading.key, interval_seconds)
        return judge.judge(reading)

    def _expectation(self, key: SeriesKey, interval_seconds: float) -> Expectation:
        if key.kind in COUNTERS:
            speed = self.speeds.get((key.device, key.object), 0) if key.kind in _OCTETS else 0
            return Expectation(interval_seconds, highest=speed / _OCTET if speed else inf, counter_bits=64)
        return Expectation(interval_seconds, highest=1.0 if key.kind == "oper-status" else inf)


def _quality(score: float) -> str:
    if score < FLOOR:
        return "below-floor"
    return "sound" if score >= _SOUND else "doubtful"


def value_of(sample: Sample) -> float | None:
    """A sample's value where it has one."""
    return sample.value if isfinite(sample.value) else None
