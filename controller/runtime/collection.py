"""Owns collecting telemetry: a tick posts who is due, workers read them over pooled sessions, pushes come beside.

Reading never gets in the way of a change: a device that is leased, or whose session is at work, is left for later. A
device that pushes (RFC 8641) is only polled now and then, to notice what a push may have lost.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from controller.model.errors import AccordError
from controller.model.identifiers import DeviceName
from controller.model.inventory import DeviceRecord
from controller.ports import Clock
from controller.runtime.collection_reading import Told, ask, read_answer
from controller.runtime.collection_series import SeriesBook
from controller.runtime.leases import Leases
from controller.runtime.optical_domains import is_optical
from controller.runtime.sessions import SessionPool
from controller.telemetry.sample import Provenance, Reading, SeriesKey
from controller.telemetry.schedule import Outcome, PollSchedule

_log = structlog.get_logger(__name__)
LAG_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_READ_SECONDS = 30.0
_PUSHED_SHARE = 6.0
"""Intervals between polls of a device that pushes."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often devices are read, in seconds, and how many at once. `by_role` goes before `interval_seconds`."""

    interval_seconds: float = 10.0
    by_role: Mapping[str, float] = field(default_factory=dict)
    jitter: float = 0.1
    concurrency: int = 16
    longest_back_off_seconds: float = 300.0

    def of(self, record: DeviceRecord) -> float:
        """The interval of a device."""
        return self.by_role.get(record.role, self.interval_seconds)

    def reads(self, record: DeviceRecord) -> bool:
        """Whether it is read at all."""
        return self.of(record) > 0 and not is_optical(record)


@dataclass(slots=True)
class Lags:
    """How long after their time readings were in: a cumulative histogram."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(LAG_SECONDS) + 1))
    total_seconds: float = 0.0

    def observe(self, seconds: float) -> None:
        """One reading."""
        self.total_seconds += seconds
        self.buckets[next((n for n, most in enumerate(LAG_SECONDS) if seconds <= most), len(LAG_SECONDS))] += 1


@dataclass(slots=True)
class Collection:
    """Reads every known router. `start` begins; `tick` posts commands and is called by a scheduler."""

    sessions: SessionPool
    leases: Leases
    records: Callable[[], Mapping[DeviceName, DeviceRecord]]
    known: Callable[[], Iterable[DeviceName]]
    """Devices whose configuration has been read once."""
    clock: Clock
    pace: Pace = field(default_factory=Pace)
    series: SeriesBook = field(default_factory=SeriesBook)
    schedule: PollSchedule = field(init=False)
    polls: Counter[str] = field(default_factory=Counter)
    """Readings so far by outcome."""
    lags: Lags = field(default_factory=Lags)
    unread: dict[DeviceName, str] = field(default_factory=dict)
    """Why the last reading failed, for devices whose last one did."""
    pushing: set[DeviceName] = field(default_factory=set)
    """Devices that tell by themselves."""
    _due: "asyncio.Queue[tuple[DeviceName, float]]" = field(default_factory=asyncio.Queue)
    _workers: list["asyncio.Task[None]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Nobody has a turn yet."""
        pace = self.pace
        self.schedule = PollSchedule(jitter=pace.jitter, longest_seconds=pace.longest_back_off_seconds)

    def start(self) -> None:
        """Let the workers wait for commands."""
        for number in range(len(self._workers), self.pace.concurrency):
            task = asyncio.get_running_loop().create_task(self._work(), name=f"telemetry reader {number}")
            self._workers.append(task)

    async def stop(self) -> None:
        """End every reading."""
        workers, self._workers = self._workers, []
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    def take_over(self, pace: Pace) -> None:
        """Another pace from now on; fewer workers only after a restart."""
        self.pace = pace
        self.schedule.jitter, self.schedule.longest_seconds = pace.jitter, pace.longest_back_off_seconds
        if self._workers:
            self.start()
        self.follow()

    def follow(self) -> None:
        """Give turns to every known router of the inventory, and forget those that have gone."""
        records = self.records()
        routers = [name for name in self.known() if name in records and self.pace.reads(records[name])]
        self.schedule.follow({name: self._interval_seconds(records[name]) for name in routers}, self.clock.monotonic())
        self.series.retire_devices(routers)
        for gone in self.unread.keys() - set(routers):
            del self.unread[gone]

    async def tick(self) -> None:
        """Post a command for every device whose turn it is."""
        for command in self.schedule.due(self.clock.monotonic()):
            self._due.put_nowait(command)

    def hasten(self, devices: Iterable[DeviceName], interval_seconds: float, seconds: float) -> tuple[DeviceName, ...]:
        """Read an area more often for a bounded time (enhanced monitoring); it ends by itself. Who is."""
        now = self.clock.monotonic()
        return self.schedule.hasten(devices, interval_seconds, now + seconds, now)

    def take(self, device: DeviceName, told: Told) -> None:
        """Readings that came in by whatever way."""
        self.series.take(device, told, self.told_every_seconds(device))

    def note_state(self, device: DeviceName, port: str, *, is_up: bool) -> None:
        """A device told by itself that an interface came up or went down (RFC 5277, or RESTCONF's event stream)."""
        now = self.clock.now()
        key = SeriesKey(device, "oper-status", port)
        self.take(device, Told((Reading(key, now, now, float(is_up), Provenance.NOTIFIED),)))

    async def read(self, device: DeviceName) -> Outcome:
        """Read one device now, unless it is in other hands."""
        connection = self.sessions.connections().get(device)
        if self.leases.holder(device) is not None or (connection is not None and connection.busy.locked()):
            return Outcome.YIELDED
        record = self.records()[device]
        begun = self.clock.now()
        try:
            async with asyncio.timeout(_READ_SECONDS):
                body = await self.sessions.ask(device, lambda session: ask(session, record))
            ended = self.clock.now()
            self.take(device, read_answer(device, body, (begun + ended) / 2, ended))
        except (AccordError, TimeoutError) as error:
            self._note_failure(device, str(error) or f"no answer within {_READ_SECONDS:g} s")
            return Outcome.FAILED
        self.unread.pop(device, None)
        return Outcome.READ

    # -- working -----------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            device, due = await self._due.get()
            outcome = Outcome.FAILED
            try:
                outcome = await self.read(device)
            except Exception:  # noqa: BLE001 - a fault of ours with one device must not keep the others from being read
                _log.exception("telemetry_failed", device=device)
            finally:
                self._ended(device, due, outcome)

    def _ended(self, device: DeviceName, due: float, outcome: Outcome) -> None:
        now = self.clock.monotonic()
        self.polls[outcome.value] += 1
        if outcome is Outcome.READ:
            self.lags.observe(max(0.0, now - due))
        self.schedule.ended(device, outcome, now)

    def _note_failure(self, device: DeviceName, reason: str) -> None:
        if device not in self.unread:
            _log.warning("telemetry_unread", device=device, error=reason)
        self.unread[device] = reason

    def _interval_seconds(self, record: DeviceRecord) -> float:
        seconds = self.pace.of(record)
        return seconds * _PUSHED_SHARE if record.name in self.pushing else seconds

    def told_every_seconds(self, device: DeviceName) -> float:
        """How often something new is expected of a device."""
        record = self.records().get(device)
        usual = self.pace.of(record) if record is not None else self.pace.interval_seconds
        if device in self.pushing or device not in self.schedule.devices:
            return usual
        return self.schedule.interval_seconds(device)
