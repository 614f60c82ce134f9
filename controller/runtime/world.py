"""Owns the daemon's state: every projection of the event log, folded in one place, restored from a snapshot.

Nothing changes it but events, with one declared exception: what a running transaction is about to take (identifiers,
ports) is reserved in memory, so that plans made meanwhile choose others. A crash forgets reservations, as it must.
"""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import cast

import orjson

from controller.assurance.book import AssuranceBook
from controller.events import types
from controller.intent.book import IntentBook
from controller.mapping.service import L3smState
from controller.mapping.service_snapshot import services_from_json, services_to_json
from controller.mapping.tunnel_book import TunnelBook
from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.identifiers import PlanId, TransactionId
from controller.ports import Event, EventLog, NewEvent, Snapshot
from controller.recovery.history import RecoveryHistory
from controller.runtime.reservations import Reservations
from controller.transaction.history import TransactionHistory
from controller.transaction.network_state import NetworkState
from controller.transaction.plan import Plan
from controller.transaction.plan_json import Json, plan_from_json, plan_to_json
from controller.transaction.stage_history import StagedHistory

_SNAPSHOT = "world@7"
"""The version is of the form of its parts: a snapshot of another version is passed over, and replay takes its place."""
_HEAD = (
    "services",
    "tunnels",
    "intents",
    "transactions",
    "changes",
    "assurance",
    "recoveries",
    "numbers",
    "plans",
    "authors",
    "approvals",
    "lines",
)
"""The parts that a start reads; the others are of one device each."""
_PLANS_KEPT = 200
_Kept = Plan | Json | Callable[[], Json]
"""A plan, as JSON until somebody asks for it, or the way to the event that has it."""


class World:
    """All projections. `apply` folds one event into each of them."""

    def __init__(self) -> None:
        self.network = NetworkState()
        self.transactions = TransactionHistory()
        self.services = L3smState()
        self.tunnels = TunnelBook()
        self.intents = IntentBook()
        self.changes = StagedHistory()
        self.assurance = AssuranceBook()
        self.recoveries = RecoveryHistory()
        self.reservations = Reservations(self.services)
        self.position = 0
        self.snapshot_position = 0
        self._plans: dict[PlanId, _Kept] = {}
        self._planned_at: dict[PlanId, int] = {}
        self._authors: dict[PlanId, str] = {}
        self._approvals: dict[PlanId, str] = {}
        self._expected: dict[str, tuple[Plan, str]] = {}
        self._numbers = dict.fromkeys(_PREFIXES, 0)

    def apply(self, event: Event) -> None:
        """Fold one event."""
        if event.type == types.TRANSACTION_PLANNED:
            plan, comment = self._begun_in(event)
            self.network.begin(event.stream, plan)
            self.transactions.begin(event, plan, comment)
        self.network.apply(event)
        self.transactions.apply(event)
        self.intents.apply(event)
        self.changes.apply(event)
        self.recoveries.apply(event)
        self.tunnels.apply(event)
        self.assurance.apply(event)
        if event.type == types.SERVICES_CHANGED:
            self.reservations.settle(event)
        elif event.type == types.PLAN_CREATED:
            self._keep(PlanId(event.stream.partition("/")[2]), event)
        elif event.type == types.PLAN_APPROVED:
            self._approvals[PlanId(event.stream.partition("/")[2])] = event.actor
        kind, _, number = event.stream.rpartition("-")
        if kind in _COUNTED:
            self._numbers[_COUNTED[kind]] = max(self._numbers[_COUNTED[kind]], int(number))
        self.position = event.position

    def apply_all(self, events: Sequence[Event]) -> None:
        """Fold events as they become durable."""
        for event in events:
            self.apply(event)

    def next_id(self, kind: str) -> str:
        """The next `tx-N`, `plan-N`, `intent-N`, `change-N` or `recovery-N`; numbers are never used twice."""
        self._numbers[kind] += 1
        return f"{_PREFIXES[kind]}{self._numbers[kind]}"

    def expect(self, stream: str, plan: Plan, comment: str = "") -> None:
        """The event that is about to be stored in `stream` holds this: it need not be decoded again."""
        self._expected[stream] = plan, comment

    def _begun_in(self, event: Event) -> tuple[Plan, str]:
        data: Json = event.data
        return self._expected.pop(event.stream, None) or (plan_from_json(data["plan"]), str(data.get("comment", "")))

    def plan(self, id_: PlanId) -> Plan:
        """A plan that was made and is still kept; `NotFoundError` otherwise."""
        if id_ not in self._plans:
            raise NotFoundError(f"there is no plan '{id_}'", remedy="make one with: accord diff")
        plan = self._plans[id_]
        if not isinstance(plan, Plan):
            plan = self._plans[id_] = plan_from_json(plan() if callable(plan) else plan)
        return plan

    def author_of(self, id_: PlanId) -> str:
        """Who asked for a plan."""
        return self._authors.get(id_, "")

    def approver_of(self, id_: PlanId) -> str:
        """Who approved a plan; empty when nobody has."""
        return self._approvals.get(id_, "")

    def _keep(self, id_: PlanId, event: Event) -> None:
        data: Json = event.data
        expected, _ = self._expected.pop(event.stream, (None, ""))
        self._plans[id_] = expected or data["plan"]
        self._planned_at[id_] = event.position
        self._authors[id_] = event.actor
        while len(self._plans) > _PLANS_KEPT:
            oldest = next(iter(self._plans))
            for kept in (self._plans, self._planned_at, self._authors, self._approvals):
                kept.pop(oldest, None)

    # -- snapshots ---------------------------------------------------------------------------------------------

    def load(self, log: EventLog) -> int:
        """Restore from the snapshot, if one fits, and fold the rest of the log; returns how many events were folded."""
        with _without_collector():
            self._restore(log)
            folded = 0
            for event in log.read(self.position):
                self.apply(event)
                folded += 1
        return folded

    def save(self, log: EventLog) -> bool:
        """Store a snapshot; False while transactions are open, whose journals it would cut off."""
        if self.network.has_open_transactions:
            return False
        head = {
            "services": services_to_json(self.services),
            "tunnels": self.tunnels.to_json(),
            "intents": self.intents.to_json(),
            "transactions": self.transactions.to_json(),
            "changes": self.changes.to_json(),
            "assurance": self.assurance.to_json(),
            "recoveries": self.recoveries.to_json(),
            "numbers": self._numbers,
            "plans": self._planned_at,
            "authors": self._authors,
            "approvals": self._approvals,
        }
        head["lines"] = {name: self.network.lines(name) for name in self.network}
        self._store(log, {key: orjson.dumps(value) for key, value in head.items()})
        self.network.saved()
        self.snapshot_position = self.position
        return True

    def _store(self, log: EventLog, head: Mapping[str, bytes]) -> None:
        """Devices that have not changed keep the part they have; all of them are written when one is not there."""
        kept = self.network.unchanged_parts() if self.snapshot_position else set()
        if kept:
            with suppress(InvalidInputError):
                log.save_snapshot(_SNAPSHOT, self.position, {**head, **self.network.changed_parts()}, kept)
                return
        log.save_snapshot(_SNAPSHOT, self.position, {**head, **self.network.to_parts()})

    def _restore(self, log: EventLog) -> None:
        """Take what the snapshot has; nothing when there is none, or one of which a part is damaged."""
        snapshot = log.load_snapshot(_SNAPSHOT)
        head = {key: snapshot.part(key) for key in _HEAD} if snapshot else {}
        if snapshot is None or None in head.values():
            return
        read = {key: orjson.loads(part or b"") for key, part in head.items()}
        services_from_json(self.services, read["services"])
        self.tunnels.load_json(read["tunnels"])
        self.intents.load_json(read["intents"])
        self.changes.load_json(read["changes"])
        self.assurance.load_json(read["assurance"])
        self.recoveries.load_json(read["recoveries"])
        self.transactions.load_json(read["transactions"])
        self._numbers, self._planned_at = read["numbers"], read["plans"]
        self._authors, self._approvals = read["authors"], read["approvals"]
        self._plans = {id_: _plan_at(log, position) for id_, position in self._planned_at.items()}
        for key in snapshot.keys():  # noqa: SIM118 - a port, not a dict
            if key.startswith("device/"):
                lines = read["lines"][key.removeprefix("device/")]
                self.network.load_part(key, _device_part(log, snapshot, key), lines)
        self.network.saved()
        self.position = self.snapshot_position = snapshot.position


def _plan_at(log: EventLog, position: int) -> Callable[[], Json]:
    def read() -> Json:
        data: Json = next(iter(log.read(position - 1, limit=1))).data
        return cast("Json", data["plan"])

    return read


def _device_part(log: EventLog, snapshot: Snapshot, key: str) -> Callable[[], bytes]:
    """The way to what the snapshot has of a device; to what replay says when that part is damaged."""

    def read() -> bytes:
        part = snapshot.part(key)
        return _replayed(log, snapshot.position, key) if part is None else part

    return read


def _replayed(log: EventLog, position: int, key: str) -> bytes:
    world = World()
    for event in log.read(limit=position):
        world.apply(event)
    return world.network.to_parts()[key]


@contextmanager
def _without_collector() -> Iterator[None]:
    """Loading makes objects that stay: looking through them for garbage again and again would take most of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


_PREFIXES = {"transaction": "tx-", "plan": "plan-", "intent": "intent-", "change": "change-", "recovery": "recovery-"}
_COUNTED = {f"{kind}/{prefix.removesuffix('-')}": kind for kind, prefix in _PREFIXES.items()}


def plan_created(plan: Plan) -> NewEvent:
    """The event that keeps a plan for a later commit."""
    return NewEvent(f"plan/{plan.id}", types.PLAN_CREATED, {"plan": plan_to_json(plan)})


def transaction_stream(id_: TransactionId) -> str:
    """Where a transaction's journal is."""
    return f"transaction/{id_}"
