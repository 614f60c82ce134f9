"""Owns what running transactions are about to take: their service changes hold in memory from the start of the commit.

A plan made meanwhile sees them and chooses other identifiers and ports. When the transaction commits, its event finds
the change already in place; when it aborts, the change is taken back. Nothing is committed that builds on a change
whose verdict is still open.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from controller.events import types
from controller.mapping.infrastructure import Infrastructure
from controller.mapping.service import L3smState
from controller.mapping.service_change import L3smChange
from controller.mapping.service_staleness import refuse_stale, relied_on_by, touched_by
from controller.mapping.tunnel import Tunnel
from controller.mapping.tunnel_book import TunnelChange
from controller.model.errors import UndecidedError
from controller.model.identifiers import TransactionId
from controller.ports import Event, NewEvent
from controller.transaction.plan import Plan
from controller.transaction.plan_json import Json


def tunnel_changes(plan: Plan) -> tuple[TunnelChange, ...]:
    """What a plan makes of tunnels."""
    found: list[Json] = [effect.data for effect in plan.effects if effect.type == types.TUNNELS_CHANGED]
    return tuple(TunnelChange.from_json(data["change"]) for data in found)


@dataclass(frozen=True, slots=True)
class _Reservation:
    back: tuple[L3smChange, ...]
    """What takes it back, in order."""
    touched: set[Hashable]
    relied: set[Hashable]
    tunnels: tuple[TunnelChange, ...]


@dataclass(slots=True)
class Reservations:
    """Changes of running transactions, already visible in `services`. `infrastructure` is what the inventory offers."""

    services: L3smState
    infrastructure: Callable[[], Infrastructure] = lambda: Infrastructure(routers=())
    _running: dict[TransactionId, _Reservation] = field(default_factory=dict)
    _read: tuple[tuple[NewEvent, ...], Sequence[tuple[L3smChange, L3smChange]]] = ((), ())

    def refuse_stale(self, plan: Plan) -> None:
        """Refuse a plan whose service changes were decided on a state that has moved.

        `StalePlanError` says what moved; `UndecidedError` which transaction has to come to its verdict first.
        """
        for change, back in self._changes(plan):
            self._refuse_undecided(touched_by(change, back), relied_on_by(change))
            refuse_stale(self.services, change, back, self.infrastructure())

    def _refuse_undecided(self, touched: set[Hashable], relied: set[Hashable]) -> None:
        for transaction, running in self._running.items():
            shared = running.touched & (touched | relied) or running.relied & touched
            if shared:
                what = min(" ".join(map(str, key)) for key in shared if isinstance(key, tuple))
                raise UndecidedError(
                    f"the transaction '{transaction}' is about to change the same ({what})",
                    remedy="wait for its verdict, then plan again",
                    path=transaction,
                    tag="in-use",
                )

    def reserve(self, transaction: TransactionId, plan: Plan) -> None:
        """Make the plan's changes visible to planning."""
        pairs = self._changes(plan)
        self._read = (), ()
        for change, _ in pairs:
            self.services.apply(change)
        self._running[transaction] = _Reservation(
            back=tuple(back for _, back in reversed(pairs)),
            touched={key for change, back in pairs for key in touched_by(change, back)},
            relied={key for change, _ in pairs for key in relied_on_by(change)},
            tunnels=tunnel_changes(plan),
        )

    def tunnels(self) -> Iterator[tuple[TransactionId, Tunnel]]:
        """Tunnels as running transactions are about to have them."""
        for transaction, running in self._running.items():
            for change in running.tunnels:
                yield from ((transaction, tunnel) for tunnel in change.upserted)

    def release(self, transaction: TransactionId) -> None:
        """Take back what a transaction without a commit had reserved; does nothing after its commit."""
        reservation = self._running.pop(transaction, None)
        for back in reservation.back if reservation else ():
            self.services.apply(back)

    def settle(self, event: Event) -> None:
        """Fold a committed change, unless it is in place already."""
        transaction = TransactionId(event.cause)
        if transaction in self._running:
            del self._running[transaction]
            return
        data: Json = event.data
        self.services.apply(L3smChange.from_json(data["change"]))

    def remember(self, plan: Plan, change: L3smChange, back: L3smChange) -> None:
        """A plan that was just made has this one change of services: most are committed at once."""
        self._read = plan.effects, ((change, back),)

    def _changes(self, plan: Plan) -> Sequence[tuple[L3smChange, L3smChange]]:
        """The plan's changes of services and what takes each back; read once for the check and the reservation."""
        read, pairs = self._read
        if read is not plan.effects:
            found: list[Json] = [effect.data for effect in plan.effects if effect.type == types.SERVICES_CHANGED]
            pairs = [(L3smChange.from_json(pair["change"]), L3smChange.from_json(pair["back"])) for pair in found]
            self._read = plan.effects, pairs
        return pairs
