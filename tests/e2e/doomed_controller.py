"""A controller in a process of its own that dies, or runs out of disk, at a chosen record of its journal.

The event log is the production one; a subclass stores journal records one by one, so that there is an instant between
any two of them, and acts on the process after, or before, the chosen one.
"""

import asyncio
import os
import resource
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from controller import bootstrap
from controller.adapters.event_log_sqlite import SqliteEventLog
from controller.adapters.settings_loader import load_settings
from controller.adapters.yang_schema import PROFILE_MODULES, default_search_path, load_schema
from controller.model.errors import AccordError
from controller.model.identifiers import DeviceName
from controller.ports import Event, NewEvent
from tests.e2e.world import OTHER, QUICK, description, plan_of, until
from tests.patience import PATIENCE_SECONDS

load_schema(PROFILE_MODULES["ietf"], tuple(map(str, default_search_path())))  # once, for every process forked from here
_PREFIX = "transaction."


@dataclass(frozen=True, slots=True)
class Doom:
    """What to do and when to die. Records are counted from 1, `planned` being the first, or named by their type."""

    devices: tuple[str, ...]
    label: str = ""
    wanted: dict[str, str] = field(default_factory=dict)
    next_label: str = ""
    kill_after: int | str = 0
    full_at: int = 0
    full_seconds: float = 0.0
    """0: the disk stays full."""


class DoomedLog(SqliteEventLog):
    """The log that carries out the doom."""

    doom = Doom(())
    is_armed = False
    written = 0
    was_full = False
    tell: Connection | None = None

    async def append(self, events: Sequence[NewEvent], **options: Any) -> Sequence[Event]:
        """Store one at a time; see the module."""
        if not self.is_armed or not events[0].type.startswith(_PREFIX):
            return await super().append(events, **options)
        stored: list[Event] = []
        for event in events:
            if self.written + 1 == self.doom.full_at:
                self._fill_the_disk()
            stored += await super().append([event], **options)
            self.written += 1
            if self.doom.kill_after in {self.written, event.type.removeprefix(_PREFIX)}:
                os.kill(os.getpid(), signal.SIGKILL)
        return stored

    def _fill_the_disk(self) -> None:
        if self.was_full:
            return
        self.was_full = True
        if self.tell is not None:
            self.tell.send(("full", self.written))
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        if self.doom.full_seconds:
            restore = threading.Timer(self.doom.full_seconds, resource.setrlimit, (resource.RLIMIT_FSIZE, (hard, hard)))
            restore.daemon = True
            restore.start()


def live(settings: Path, doom: Doom, says: Connection) -> None:
    """Be the process: tell `says` (word, value) pairs, the last one being `end` unless killed."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    asyncio.run(_live(settings, doom, says))
    says.send(("end", ""))


async def _live(settings: Path, doom: Doom, says: Connection) -> None:
    bootstrap.SqliteEventLog = DoomedLog  # type: ignore[misc]  # the one place where the log is named
    daemon = await bootstrap.open_daemon(load_settings(settings))
    says.send(("open", ""))
    try:
        await _work(daemon, doom, says)
    except AccordError as error:
        says.send(("error", str(error)))
    await daemon.stop(1.0)


async def _work(daemon: bootstrap.Daemon, doom: Doom, says: Connection) -> None:
    controller = daemon.controller
    await until(lambda: not controller.transactions.running(), PATIENCE_SECONDS)
    says.send(
        ("history", [(summary.id, summary.phase.value, summary.reason) for summary in controller.world.transactions])
    )
    for name in map(DeviceName, doom.devices):
        if name not in controller.world.network:
            await controller.sync_from(name, "tester")
    if doom.next_label:
        plan = plan_of(controller, doom.devices, description(doom.next_label, "access2"), OTHER)
        summary = await controller.transactions.commit(plan, QUICK, "tester")
        says.send(("next", (summary.phase.value, summary.reason)))
        reports = [await controller.check_sync(DeviceName(name)) for name in doom.devices]
        says.send(("drift", [drift.explain() for report in reports for drift in report.differences]))
    if doom.label:
        assert isinstance(daemon.log, DoomedLog)
        daemon.log.doom, daemon.log.is_armed, daemon.log.tell = doom, True, says
        plan = plan_of(controller, doom.devices, description(doom.label) | doom.wanted)
        summary = await controller.transactions.commit(plan, QUICK, "tester")
        says.send(("verdict", (summary.phase.value, summary.reason)))
