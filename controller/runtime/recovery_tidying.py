"""Owns what remedies leave behind: their tunnels are taken away and who got less gets all again, once all is well.

Beside the clockwork and one at a time: a transaction that waits for a router must not keep faults from being seen. What
a remedy was for has to have been well for long enough; longer where nobody looks there, and each time it comes back.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Any

import structlog

from controller.events import types
from controller.mapping.tunnel import Tunnel
from controller.ports import EventLog, NewEvent
from controller.recovery.history import Recovery
from controller.recovery.situation import FaultKind
from controller.recovery.states import Mode
from controller.runtime.recovery_evidence import Verification
from controller.runtime.recovery_faults import Faults
from controller.runtime.recovery_work import ACTOR, RecoveryWork
from controller.runtime.world import World

_log = structlog.get_logger(__name__)
_UNSEEN = 6
"""So many times as long is waited where nobody measures what the fault was on."""
_MOST_DOUBLINGS = 6


@dataclass(slots=True)
class Tidying:
    """Puts things back. `tick` is called after each look; `changing` is held while anything changes the network."""

    world: World
    log: EventLog
    work: RecoveryWork
    faults: Faults
    verification: Verification
    changing: asyncio.Lock
    _calm_since: float = inf
    """Since when there is no fault at all."""
    _well_since: dict[str, float] = field(default_factory=dict)
    """By recovery, since when its own fault is not seen."""
    _task: "asyncio.Task[None] | None" = None

    def tick(self, now: float, calm_seconds: float, mode: Mode) -> None:
        """Begin to put back what has been waited for long enough; of what remedies made, only where nobody is asked."""
        made, owed = self.work.made(), self.work.owed()
        self._look([*made.values(), *(one for one, _ in owed.values())], now)
        if self._task is not None:
            return
        for one, _ in owed.values():
            if self._is_due(one, self._well_since.get(one.id, inf), now, calm_seconds):
                self._well_since[one.id] = now
                promised = tuple(tunnel for other, tunnel in owed.values() if other is one)
                self._begin(self._give_back(one, promised))
                return
        spare = [name for name, one in sorted(made.items()) if self._is_spare(one, now, calm_seconds)]
        if spare and mode is Mode.AUTO:
            self._calm_since = now
            self._begin(self._take_away(tuple(spare)))

    async def stop(self) -> None:
        """What is under way is left to the transactions."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _look(self, left: Iterable[Recovery], now: float) -> None:
        is_calm = not self.faults.now and all(one.is_over for one in self.world.recoveries)
        self._calm_since = min(self._calm_since, now) if is_calm else inf
        well = {o.id for o in left if o.cause not in self.faults.last and not self.verification.is_bad(o.fault)}
        self._well_since = {id_: self._well_since.get(id_, now) for id_ in well}

    def _is_spare(self, one: Recovery, now: float, calm_seconds: float) -> bool:
        since = max(self._calm_since, self._well_since.get(one.id, inf))
        return self._is_due(one, since, now, calm_seconds)

    def _is_due(self, one: Recovery, since: float, now: float, calm_seconds: float) -> bool:
        times = sum(other.cause == one.cause and bool(other.transactions) for other in self.world.recoveries)
        patience = calm_seconds * 2 ** min(max(0, times - 1), _MOST_DOUBLINGS)
        waited = now - since
        return waited >= patience and (waited >= _UNSEEN * patience or self.verification.is_crossed(one.fault))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.get_running_loop().create_task(work, name="recovery tidies")
        self._task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if not task.cancelled() and task.exception() is not None:
            _log.error("recovery_tidying_stopped", exc_info=task.exception())

    async def _take_away(self, names: tuple[str, ...]) -> None:
        async with self.changing:
            done = await self.work.take_away(names)
        _log.info("recovery_tidied", tunnels=list(names), failure=done.failure)

    async def _give_back(self, one: Recovery, promised: tuple[Tunnel, ...]) -> None:
        """What was promised; an event keeps it from being given back again when an operator takes it away."""
        bad = [e for fault in self.faults.now.values() if fault.kind != FaultKind.DELAY for e in fault.elements]
        async with self.changing:
            given, done = await self.work.give_back(one, promised, bad)
        _log.info("recovery_gave_back", recovery=one.id, tunnels=list(given), failure=done.failure)
        if given and not done.failure:
            data = {"reason": "all that was promised", "transactions": list(done.ids), "given_back": list(given)}
            await self.log.append([NewEvent(f"recovery/{one.id}", types.RECOVERY_UNDONE, data)], actor=ACTOR)
