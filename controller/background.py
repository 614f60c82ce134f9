"""Owns the daemon's clockwork: which upkeep runs when, the watchdog, and the line of `systemctl status`.

Jobs only start what `runtime.upkeep` does; none keeps state of its own, so nothing is lost when one is missed.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from controller.adapters.sd_notify import SystemdNotifier
from controller.bootstrap import Daemon
from controller.runtime.due import Due
from controller.runtime.pulse import Pulse
from controller.runtime.upkeep import Upkeep

_STATUS_SECONDS = 15.0
TELEMETRY_TICK_SECONDS = 0.1
_FOLLOW_SECONDS = 5.0
"""How soon a new device is read for telemetry."""
_COMPARE_SECONDS = 10.0
_MEASURE_SECONDS = 1.0
"""How soon a new service is measured."""
_DUE_SECONDS = 10.0
"""How late an intent may begin or end."""


async def first_of(*waits: Coroutine[Any, Any, object] | Awaitable[object]) -> None:
    """Return when the first of these has ended; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


@dataclass(slots=True)
class Background:
    """The jobs of one daemon."""

    daemon: Daemon
    notifier: SystemdNotifier
    upkeep: Upkeep = field(init=False)
    pulse: Pulse = field(init=False)
    _scheduler: Any = field(init=False)

    def __post_init__(self) -> None:
        """Prepare; `start` begins."""
        controller = self.daemon.controller
        self.upkeep = Upkeep(controller, self.daemon.settings.current.upkeep.concurrency)
        self.pulse = Pulse(controller)
        controller.recoveries.faults.drift = lambda: self.upkeep.reports
        self._scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )

    def start(self) -> None:
        """Schedule everything; new devices are read at once."""
        self.pulse.start()
        self.daemon.controller.collection.start()
        self._scheduler.start()
        self.reschedule()
        if self.daemon.plane is not None:
            self._scheduler.add_job(self.daemon.plane.start)

    def stop(self) -> None:
        """No job starts from now on."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def reschedule(self) -> None:
        """Take the intervals of the settings in force; devices that are new in the inventory are read at once."""
        settings = self.daemon.settings.current.upkeep
        self.upkeep.concurrency = settings.concurrency
        self._scheduler.remove_all_jobs()
        self._scheduler.add_job(self._read_new)
        self._scheduler.add_job(self._learn_topology)
        self._every(settings.read_new_seconds, self._read_new)
        self._every(self.daemon.settings.current.topology.refresh_seconds, self._learn_topology)
        self._every(settings.snapshot_seconds, self._save)
        self._every(_STATUS_SECONDS, self._tell_status)
        self._every(_DUE_SECONDS, Due(self.daemon.controller).run)
        self._every(TELEMETRY_TICK_SECONDS, self.daemon.controller.collection.tick)
        self._every(_FOLLOW_SECONDS, self._follow_telemetry)
        self._every(self.daemon.settings.current.telemetry.interval_seconds or _COMPARE_SECONDS, self._compare)
        if self.daemon.plane is not None:
            self._every(self.daemon.settings.current.negotiation.tick_seconds, self.daemon.plane.tick)
        self._every(_MEASURE_SECONDS, self.daemon.controller.service_probes.reconcile)
        self._every(self.daemon.settings.current.assurance.tick_seconds, self.daemon.controller.assurance.tick)
        self._every(self.daemon.settings.current.recovery.tick_seconds, self.daemon.controller.recoveries.tick)
        if settings.check_sync_seconds:
            self._every(settings.check_sync_seconds, self.upkeep.check_idle)
        if self.notifier.watchdog_seconds:
            self._every(self.notifier.watchdog_seconds / 3, self.beat)

    def status(self) -> str:
        """One line: how many devices are how, how many transactions run."""
        controller = self.daemon.controller
        states = Counter(device.state for device in controller.devices())
        devices = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
        return f"devices: {devices}; transactions running: {len(controller.transactions.running())}"

    async def beat(self) -> None:
        """Feed the watchdog if log and transactions make progress."""
        if await self.pulse.is_beating():
            self.notifier.watchdog()

    def _every(self, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        self._scheduler.add_job(work, "interval", seconds=seconds)

    async def _read_new(self) -> None:
        if await self.upkeep.read_new():
            await self._learn_topology()

    async def _learn_topology(self) -> None:
        """Ask the devices that are known, listen to those that have links, and see to tunnels that were left broken."""
        await self.daemon.controller.topology.refresh()
        self.daemon.link_events.follow()
        await self.daemon.repair.repair(frozenset(), asyncio.get_running_loop().time())

    async def _follow_telemetry(self) -> None:
        self.daemon.controller.collection.follow()
        self.daemon.controller.pushes.follow()

    async def _compare(self) -> None:
        self.daemon.controller.witnesses.compare()

    async def _save(self) -> None:
        await self.upkeep.save()

    async def _tell_status(self) -> None:
        self.notifier.status(self.status())
