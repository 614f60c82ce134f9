"""Owns what is to happen by itself at a time: intents whose validity begins or ends (TS 28.312 contexts of time).

A plan that was approved for an intent with a later beginning is committed when it begins, against the network of that
day. A service whose validity is over is withdrawn.
"""

from collections.abc import Coroutine, Iterable
from dataclasses import dataclass

import structlog

from controller.intent.book import IntentRecord
from controller.intent.codec import decode
from controller.intent.lifecycle import IntentState
from controller.intent.model import Intent, Validity
from controller.model.errors import AccordError
from controller.runtime.controller import Controller
from controller.runtime.transactions import CommitOptions

_log = structlog.get_logger(__name__)


def validity_of(record: IntentRecord) -> Validity:
    """From when until when an intent holds; always, when nothing was said or understood."""
    wish = decode(record.intent) if record.intent else None
    return wish.validity if isinstance(wish, Intent) else Validity()


@dataclass(frozen=True, slots=True)
class Due:
    """Carries out what is due; called by a scheduler, any number of times."""

    controller: Controller

    def beginning(self, now: float) -> Iterable[IntentRecord]:
        """Approved intents whose time has come."""
        for record in self.controller.world.intents:
            if record.state is IntentState.PLANNED and record.approved_by:
                start = validity_of(record).start
                if start is None or start.timestamp() <= now:
                    yield record

    def ending(self, now: float) -> Iterable[IntentRecord]:
        """Running intents whose time is over."""
        for record in self.controller.world.intents:
            if record.state in {IntentState.ACTIVE, IntentState.DEGRADED}:
                end = validity_of(record).end
                if end is not None and end.timestamp() <= now:
                    yield record

    async def run(self) -> int:
        """Carry out everything that is due; returns how much. A failure is logged and tried again at the next call."""
        now = self.controller.clock.now()
        beginning, ending = list(self.beginning(now)), list(self.ending(now))
        for record in beginning:
            await self._carefully(record, self._begin(record))
        for record in ending:
            await self._carefully(record, self._end(record))
        return len(beginning) + len(ending)

    async def _begin(self, record: IntentRecord) -> None:
        plan = await self.controller.intents.replan(record.id, record.approved_by)
        await self.controller.commit(plan.id, CommitOptions(comment=f"{record.id} begins"), record.approved_by)

    async def _end(self, record: IntentRecord) -> None:
        plan = await self.controller.withdraw_intent(record.id, "accord")
        await self.controller.commit(plan.id, CommitOptions(comment=f"{record.id} is over"), "accord")

    async def _carefully(self, record: IntentRecord, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except AccordError as error:
            _log.warning("due_intent_failed", intent=record.id, error=str(error))
