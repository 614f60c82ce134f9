"""Owns what the daemon does unasked: reading devices never read, looking for drift on idle ones, storing snapshots.

Plain calls without timers of their own; whoever runs the process decides when. A device in a transaction is left
alone. Nothing here changes a device.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from controller.model.errors import AccordError, BusyError
from controller.model.identifiers import DeviceName
from controller.ports import DeviceSession
from controller.runtime.controller import Controller
from controller.runtime.device_care import SyncReport

_log = structlog.get_logger(__name__)
_ACTOR = "accord"
_LEASE_WAIT_SECONDS = 0.05
_Work = Callable[[DeviceName], Awaitable[None]]


@dataclass(slots=True)
class Upkeep:
    """Looks after devices in the background, a bounded number at a time."""

    controller: Controller
    concurrency: int = 16
    reports: dict[DeviceName, SyncReport] = field(default_factory=dict)
    """The last check of each device that is in the inventory."""
    unreadable: dict[DeviceName, str] = field(default_factory=dict)
    """Why the last reading failed, for devices whose last reading did."""
    events_between_snapshots: int = 10_000

    async def read_new(self) -> int:
        """Read every device of the inventory that was never read; returns how many could be."""
        known = self.controller.world.network
        names = [name for name in self.controller.records() if name not in known]
        return await self._each(names, self._read)

    async def check_idle(self) -> int:
        """Compare every known, idle device with its mirror; returns how many were looked at."""
        self._forget_gone()
        known = self.controller.world.network
        names = [name for name in self.controller.records() if name in known]
        return await self._each(names, self._check)

    async def save(self) -> bool:
        """Store a snapshot once enough has happened since the last one and no transaction is open.

        Devices are encoded ahead, one at a time, so that the loop is held for what is left only.
        """
        world = self.controller.world
        if world.position - world.snapshot_position < self.events_between_snapshots:
            return False
        for name in world.network.to_encode:
            world.network.encode(name)
            await asyncio.sleep(0)
        return world.save(self.controller.log)

    def drift(self) -> Mapping[DeviceName, int]:
        """Differing lines of each device at its last check, for devices that are still in the inventory."""
        records = self.controller.records()
        return {name: len(report.differences) for name, report in self.reports.items() if name in records}

    async def probe(self, name: DeviceName, seconds: float) -> str:
        """Whether a device answers within the deadline: why not, or an empty string.

        Reads one line of its configuration. A device in a transaction is not disturbed: its session speaks for it.
        """
        if self.controller.leases.holder(name) is not None:
            status = self.controller.device(name)
            return "" if status.state == "connected" else status.error or "no session"
        try:
            async with asyncio.timeout(seconds):
                await self.controller.sessions.ask(name, lambda session: self._read_one_line(name, session))
        except TimeoutError:
            return f"no answer within {seconds:g} s"
        except AccordError as error:
            return str(error)
        return ""

    async def _read_one_line(self, name: DeviceName, session: DeviceSession) -> None:
        network = self.controller.world.network
        config = network.device(name).config if name in network else ()
        line = next(iter(config), None)
        if line is not None:
            await session.read(self.controller.codecs(name).encode_filters([line]))

    async def _each(self, names: Iterable[DeviceName], work: _Work) -> int:
        turn = asyncio.Semaphore(self.concurrency)

        async def one(name: DeviceName) -> bool:
            async with turn:
                return await self._try(name, work)

        return sum(await asyncio.gather(*(one(name) for name in names)))

    async def _try(self, name: DeviceName, work: _Work) -> bool:
        try:
            async with self.controller.leases.hold([name], _ACTOR, "looking after it", _LEASE_WAIT_SECONDS):
                await work(name)
        except BusyError:
            return False
        except AccordError as error:
            if self.unreadable.get(name) != str(error):
                _log.warning("device_unreadable", device=name, error=str(error))
            self.unreadable[name] = str(error)
            return False
        except Exception:  # noqa: BLE001 - a fault of ours with one device must not keep the others from being read
            _log.exception("upkeep_failed", device=name)
            return False
        self.unreadable.pop(name, None)
        return True

    async def _read(self, name: DeviceName) -> None:
        known = await self.controller.care.sync_from(name, _ACTOR)
        _log.info("device_read", device=name, lines=len(known.config), participant=known.participant.value)

    async def _check(self, name: DeviceName) -> None:
        report = await self.controller.check_sync(name)
        before = self.reports.get(name)
        self.reports[name] = report
        if report.differences and (before is None or before.differences != report.differences):
            first = report.differences[0].explain()
            _log.warning("device_drifted", device=name, lines=len(report.differences), first=first)

    def _forget_gone(self) -> None:
        records = self.controller.records()
        for kept in (self.reports, self.unreadable):
            for name in [name for name in kept if name not in records]:
                kept.pop(name)
