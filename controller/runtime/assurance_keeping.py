"""Owns that what assurance has learnt outlives the daemon: a snapshot beside the log, now and then and at the end.

Stored whole or not at all, so a daemon that is killed leaves the one before. Its version is of the form of its parts.
"""

import asyncio
from dataclasses import dataclass
from math import inf

import structlog

from controller.assurance.book import AssuranceBook
from controller.assurance.foresight import Foresight
from controller.assurance.foresight_keeping import Keepsake, keepsake, recall
from controller.assurance.instance import STEPS_KEPT, IntentInstance
from controller.mapping.fragment import service_id
from controller.model.errors import AccordError
from controller.model.identifiers import ServiceId
from controller.ports import EventLog

_log = structlog.get_logger(__name__)
_SNAPSHOT = "foresight@1"
KEEP_SECONDS = 300.0
"""What a crash forgets at most."""


@dataclass(slots=True)
class Keeping:
    """Keeps foresight of the services in the book."""

    log: EventLog
    book: AssuranceBook
    _kept_at: float | None = None

    def recall(self, foresight: Foresight, now: float) -> str:
        """Take up what was kept; why it is learnt anew, or an empty text."""
        began = {service_id(one.agreement): _began(one) for one in self.book.loop if not one.state.is_final}

        def is_same(objective: str, since: float) -> bool:
            return began.get(ServiceId(objective.partition("/")[0]), inf) <= since

        try:
            snapshot = self.log.load_snapshot(_SNAPSHOT)
            why = "nothing is kept" if snapshot is None else recall(foresight, snapshot.part, now, is_same)
        except AccordError as error:
            why = str(error)
        if why:
            _log.info("foresight_learnt_anew", reason=why)
        return why

    def is_due(self, now: float) -> bool:
        """Whether it is time again."""
        self._kept_at = now if self._kept_at is None else self._kept_at
        return abs(now - self._kept_at) >= KEEP_SECONDS

    async def keep(self, foresight: Foresight, now: float) -> None:
        """Store it beside the loop; one that cannot be stored is tried again later."""
        self._kept_at = now
        await asyncio.to_thread(self._store, keepsake(foresight, now))

    def _store(self, taken: Keepsake) -> None:
        try:
            self.log.save_snapshot(_SNAPSHOT, self.log.last_position(), taken.parts())
        except AccordError as error:
            _log.warning("foresight_not_kept", error=str(error))


def _began(instance: IntentInstance) -> float:
    """A service that ended, and began again, is another one of the same name."""
    if len(instance.steps) == STEPS_KEPT:
        return -inf
    return instance.steps[0].happening.time if instance.steps else instance.since
