"""Owns enhanced monitoring: an area is read more often and its links are probed, for a bounded time; it ends by itself.

The extra test packets are of the probe budget, and no more than it has: where it has none, the area is only read more
often. Sessions that a daemon left behind are taken away when it is started again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import structlog

from controller.mapping.measurement import Measurement, measurements_of
from controller.model.errors import AccordError, BusyError
from controller.model.identifiers import DeviceName
from controller.runtime.collection import Collection
from controller.runtime.service_probes import series_of
from controller.runtime.topology_discovery import TopologyView
from controller.runtime.world import World
from controller.telemetry.budget import ProbeBudget

_log = structlog.get_logger(__name__)
_HOLDER = "enhanced-"
_INTERVAL_MILLISECONDS = 100
_MOST_SESSIONS = 32
_SHARE = 0.5
"""Of what is free of the budget, so that a campaign still finds something."""
_RETRY_SECONDS = (1.0, 5.0, 15.0, 60.0)
CommitMeasurements = Callable[[Iterable[Measurement], Iterable[Measurement], str, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Enhanced:
    """What is looked at more closely: routers that are read more often, and how many probes there are besides."""

    devices: tuple[DeviceName, ...]
    probes: int = 0
    reason: str = ""
    """Why there are no more probes; empty when every link of the area is probed."""


@dataclass(slots=True)
class Enhancements:
    """Every area that is looked at more closely. `commit` makes measurements run and others end."""

    world: World
    collection: Collection
    topology: TopologyView
    budget: ProbeBudget
    commit: CommitMeasurements
    account: Callable[[], None] = lambda: None
    """Counts what else is measured against the budget."""
    is_wanted: bool = False
    """Whether the daemon looks closer by itself, after a recovery."""
    _starting: set["asyncio.Task[Enhanced]"] = field(default_factory=set)
    _running: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    _last_number: int = 0

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._running))

    async def begin(
        self, devices: Iterable[DeviceName], interval_seconds: float, seconds: float, actor: str
    ) -> Enhanced:
        """Look closer at once; returns when the probes run, or cannot."""
        hastened = self.collection.hasten(devices, interval_seconds, seconds)
        if not hastened:
            return Enhanced(())
        self._last_number += 1
        holder = f"{_HOLDER}{self._last_number}"
        wanted = self._probes_of(holder, hastened)
        admitted, reason = self._admitted(holder, wanted)
        if admitted:
            begun = asyncio.Event()
            ending = self._end(holder, seconds, begun)
            self._running[holder] = asyncio.get_running_loop().create_task(ending, name=holder)
            try:
                admitted, refused = await self._committed(admitted, f"look closer at {', '.join(hastened)}", actor)
            finally:
                begun.set()
            reason = refused or reason
        return Enhanced(hastened, len(admitted), reason)

    async def _committed(
        self, wanted: Sequence[Measurement], summary: str, actor: str
    ) -> tuple[list[Measurement], str]:
        """Those that run, and why others do not: a router that cannot be told keeps no other from measuring."""
        try:
            await self.commit(wanted, [], summary, actor)
        except AccordError as error:
            refused = str(error)
        else:
            return list(wanted), ""
        running, devices = list[Measurement](), dict.fromkeys(one.device for one in wanted)
        for part in ([one for one in wanted if one.device == name] for name in devices if len(devices) > 1):
            try:
                await self.commit(part, [], summary, actor)
                running += part
            except AccordError as error:
                refused = str(error)
        return running, refused

    def soon(self, devices: Sequence[DeviceName], interval_seconds: float, seconds: float) -> None:
        """Look closer without being waited for, where the daemon may."""
        if self.is_wanted:
            work = self.begin(devices, interval_seconds, seconds, "accord")
            task = asyncio.get_running_loop().create_task(work, name="closer look")
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def stop(self) -> None:
        """The daemon ends: what is left over is taken away when it is started again."""
        tasks, self._running = [*self._running.values(), *self._starting], {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def resume(self) -> None:
        """After a restart: what was looked at more closely is not any more."""
        for holder in sorted({session.holder.partition("/")[0] for session in self._held()}):
            number = holder.removeprefix(_HOLDER)
            self._last_number = max(self._last_number, int(number) if number.isdigit() else 0)
            self._running[holder] = asyncio.get_running_loop().create_task(self._end(holder), name=holder)

    def _probes_of(self, holder: str, devices: Sequence[DeviceName]) -> list[Measurement]:
        """One session over each link out of the area's routers; those within it first, should the budget be short."""
        network = self.topology.network
        known = [name for name in devices if name in network.nodes and name in self.world.network]
        links = [link for name in known for link in network.out_of(name)]
        return [
            Measurement(
                f"{holder}/{link.source.name}",
                link.source.node,
                link.target.node,
                network.nodes[link.target.node].endpoint,
                _INTERVAL_MILLISECONDS,
                segments=(link.segment,),
            )
            for link in sorted(links, key=lambda link: link.target.node not in devices)
            if link.segment and network.nodes[link.target.node].endpoint
        ]

    def _admitted(self, holder: str, wanted: Sequence[Measurement]) -> tuple[list[Measurement], str]:
        self.account()
        rate = 1000.0 / _INTERVAL_MILLISECONDS
        room = int(max(0.0, self.budget.free) * _SHARE / rate)
        admitted = list(wanted[: min(room, _MOST_SESSIONS)])
        if admitted:
            try:
                self.budget.take(holder, rate * len(admitted))
            except BusyError as error:
                return [], str(error)
        short = len(wanted) - len(admitted)
        return admitted, f"{short} links are not probed: that is all that the probe budget allows" if short else ""

    def _held(self, holder: str = "") -> list[Measurement]:
        start = f"{holder}/" if holder else _HOLDER
        known = ((name, self.world.network.device(name).contributions) for name in self.world.network)
        return [one for name, told in known for one in measurements_of(name, told) if one.holder.startswith(start)]

    async def _end(self, holder: str, seconds: float = 0.0, begun: asyncio.Event | None = None) -> None:
        await asyncio.sleep(seconds)
        if begun is not None:
            await begun.wait()  # slow routers may take longer than the look lasts: what comes late is taken away too
        for attempt in range(1_000_000):
            held = self._held(holder)
            try:
                await self.commit([], held, f"{holder} is over", "accord")
                break
            except AccordError as error:
                _log.warning("closer_look_not_ended", holder=holder, error=str(error))
                await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
        self.collection.series.retire(key for session in held for key in series_of(session))
        self.budget.give_back(holder)
        self._running.pop(holder, None)
