"""Owns what running transactions are about to take: their service changes hold in memory from the start of the commit.

A plan made meanwhile sees them and chooses other identifiers and ports. When the transaction commits, its event finds
the change already in place; when it aborts, the change is taken back.
"""

from dataclasses import dataclass, field

from controller.events import types
from controller.mapping.service import L3smState
from controller.mapping.service_change import L3smChange
from controller.mapping.service_inverse import refuse_stale
from controller.model.identifiers import TransactionId
from controller.ports import Event
from controller.transaction.plan import Plan
from controller.transaction.plan_json import Json


@dataclass(slots=True)
class Reservations:
    """Changes of running transactions, already visible in `services`."""

    services: L3smState
    _back: dict[TransactionId, list[L3smChange]] = field(default_factory=dict)
    _read: tuple[Plan, list[tuple[L3smChange, L3smChange]]] | None = None
    """The plan whose changes were read last: it is checked, then reserved."""

    def refuse_stale(self, plan: Plan) -> None:
        """Refuse a plan whose service changes were decided on a state that has moved."""
        for change, back in self._changes(plan):
            refuse_stale(self.services, change, back)

    def reserve(self, transaction: TransactionId, plan: Plan) -> None:
        """Make the plan's changes visible to planning."""
        self._back[transaction] = []
        for change, back in self._changes(plan):
            self.services.apply(change)
            self._back[transaction].insert(0, back)

    def release(self, transaction: TransactionId) -> None:
        """Take back what a transaction without a commit had reserved; does nothing after its commit."""
        for back in self._back.pop(transaction, ()):
            self.services.apply(back)

    def settle(self, event: Event) -> None:
        """Fold a committed change, unless it is in place already."""
        transaction = TransactionId(event.cause)
        if transaction in self._back:
            del self._back[transaction]
            return
        data: Json = event.data
        self.services.apply(L3smChange.from_json(data["change"]))

    def _changes(self, plan: Plan) -> list[tuple[L3smChange, L3smChange]]:
        if self._read is None or self._read[0] is not plan:
            self._read = plan, _changes(plan)
        return self._read[1]


def _changes(plan: Plan) -> list[tuple[L3smChange, L3smChange]]:
    pairs: list[Json] = [effect.data for effect in plan.effects if effect.type == types.SERVICES_CHANGED]
    return [(L3smChange.from_json(pair["change"]), L3smChange.from_json(pair["back"])) for pair in pairs]
