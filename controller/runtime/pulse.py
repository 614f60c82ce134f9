"""Owns telling whether the daemon makes progress: the proof behind the watchdog (sd_notify(3), WATCHDOG=1).

Alive means: the event log's writer answers a (void) append in time, and every running transaction that is not waiting
for a lost device has done something lately. A loop that merely turns proves neither.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from controller.events import types
from controller.model.errors import AccordError
from controller.model.identifiers import TransactionId
from controller.ports import Event
from controller.runtime.controller import Controller
from controller.transaction.states import Act, Phase

_log = structlog.get_logger(__name__)
_APPEND_SECONDS = 10.0
_STALLED_AFTER_SECONDS = 300.0


@dataclass(slots=True)
class Pulse:
    """Watches the log and the acts of transactions. `stalled_after_seconds` is far above the deadline of any call."""

    controller: Controller
    stalled_after_seconds: float = _STALLED_AFTER_SECONDS
    append_seconds: float = _APPEND_SECONDS
    _last_act: float = 0.0
    _seen: dict[TransactionId, float] = field(default_factory=dict)

    def start(self) -> None:
        """Begin to watch."""
        self._last_act = self.controller.clock.monotonic()
        self.controller.log.subscribe(self._note_events)

    def note_act(self, _act: Act, _seconds: float, _outcome: str) -> None:
        """An act on a device has ended, well or badly."""
        self._last_act = self.controller.clock.monotonic()

    async def is_beating(self) -> bool:
        """Whether log and transactions make progress."""
        return await self._log_answers() and not self.stalled()

    def stalled(self) -> list[TransactionId]:
        """Running transactions of which nothing was heard for too long."""
        running = self.controller.transactions.running()
        now = self.controller.clock.monotonic()
        self._seen = {id_: self._seen.get(id_, now) for id_ in running}
        history = self.controller.world.transactions
        return [
            id_
            for id_ in running
            if history.get(id_).phase is not Phase.UNKNOWN
            and now - max(self._seen[id_], self._last_act) > self.stalled_after_seconds
        ]

    async def _log_answers(self) -> bool:
        try:
            async with asyncio.timeout(self.append_seconds):
                await self.controller.log.append([], actor="accord")
        except (TimeoutError, AccordError) as error:
            _log.error("event_log_silent", error=str(error) or repr(error))
            return False
        return True

    def _note_events(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.type.startswith(types.TRANSACTION_PREFIX):
                id_ = TransactionId(event.stream.partition("/")[2])
                self._seen[id_] = self.controller.clock.monotonic()
