"""Owns the daemon's state: every projection of the event log, folded in one place, restored from a snapshot.

Nothing changes it but events, with one declared exception: what a running transaction is about to take (identifiers,
ports) is reserved in memory, so that plans made meanwhile choose others. A crash forgets reservations, as it must.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import orjson

from controller.events import types
from controller.intent.book import IntentBook
from controller.mapping.service import L3smState
from controller.mapping.service_snapshot import services_from_json, services_to_json
from controller.model.errors import NotFoundError
from controller.model.identifiers import PlanId, TransactionId
from controller.ports import Event, EventLog, NewEvent, Snapshot
from controller.runtime.reservations import Reservations
from controller.transaction.history import TransactionHistory
from controller.transaction.network_state import NetworkState
from controller.transaction.plan import Plan
from controller.transaction.plan_json import Json, plan_from_json, plan_to_json

_SNAPSHOT = "world"
_PLAN_PART = "plan/"
_PLANS_KEPT = 200
_Kept = Plan | Json | Callable[[], bytes]
"""A plan, as JSON until somebody asks for it, or where the snapshot has it."""


class World:
    """All projections. `apply` folds one event into each of them."""

    def __init__(self) -> None:
        self.network = NetworkState()
        self.transactions = TransactionHistory()
        self.services = L3smState()
        self.intents = IntentBook()
        self.reservations = Reservations(self.services)
        self.position = 0
        self._plans: dict[PlanId, _Kept] = {}
        self._authors: dict[PlanId, str] = {}
        self._approvals: dict[PlanId, str] = {}
        self._expected: dict[str, Plan] = {}
        self._numbers = {"transaction": 0, "plan": 0, "intent": 0}

    def apply(self, event: Event) -> None:
        """Fold one event."""
        if event.type == types.TRANSACTION_PLANNED:
            plan = self._plan_in(event)
            self.network.begin(event.stream, plan)
            self.transactions.begin(event, plan)
        self.network.apply(event)
        self.transactions.apply(event)
        self.intents.apply(event)
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
        """The next `tx-N`, `plan-N` or `intent-N`; numbers are never used twice."""
        self._numbers[kind] += 1
        return f"{_PREFIXES[kind]}{self._numbers[kind]}"

    def expect(self, stream: str, plan: Plan) -> None:
        """The event that is about to be stored in `stream` holds this plan: it need not be decoded again."""
        self._expected[stream] = plan

    def _plan_in(self, event: Event) -> Plan:
        expected = self._expected.pop(event.stream, None)
        data: Json = event.data
        return expected if expected is not None else plan_from_json(data["plan"])

    def plan(self, id_: PlanId) -> Plan:
        """A plan that was made and is still kept; `NotFoundError` otherwise."""
        if id_ not in self._plans:
            raise NotFoundError(f"there is no plan '{id_}'", remedy="make one with: accord diff")
        plan = self._plans[id_]
        if not isinstance(plan, Plan):
            data: Json = orjson.loads(plan()) if callable(plan) else plan
            plan = self._plans[id_] = plan_from_json(data)
        return plan

    def author_of(self, id_: PlanId) -> str:
        """Who asked for a plan."""
        return self._authors.get(id_, "")

    def approver_of(self, id_: PlanId) -> str:
        """Who approved a plan; empty when nobody has."""
        return self._approvals.get(id_, "")

    def _keep(self, id_: PlanId, event: Event) -> None:
        data: Json = event.data
        self._plans[id_] = self._expected.pop(event.stream, data["plan"])
        self._authors[id_] = event.actor
        while len(self._plans) > _PLANS_KEPT:
            oldest = next(iter(self._plans))
            for kept in (self._plans, self._authors, self._approvals):
                kept.pop(oldest, None)

    # -- snapshots ---------------------------------------------------------------------------------------------

    def load(self, log: EventLog) -> int:
        """Restore from the snapshot, if one fits, and fold the rest of the log; returns how many events were folded."""
        with _without_collector():
            snapshot = log.load_snapshot(_SNAPSHOT)
            if snapshot is not None:
                self._restore(snapshot)
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
            "intents": self.intents.to_json(),
            "transactions": self.transactions.to_json(),
            "numbers": self._numbers,
            "authors": self._authors,
            "approvals": self._approvals,
        }
        parts = {key: orjson.dumps(value) for key, value in head.items()}
        parts |= {f"{_PLAN_PART}{id_}": _stored(plan) for id_, plan in self._plans.items()}
        log.save_snapshot(_SNAPSHOT, self.position, parts | self.network.to_parts())
        return True

    def _restore(self, snapshot: Snapshot) -> None:
        def read(key: str) -> bytes:
            return snapshot.part(key) or b"null"

        services_from_json(self.services, orjson.loads(read("services")))
        self.intents.load_json(orjson.loads(read("intents")))
        self.transactions.load_json(orjson.loads(read("transactions")))
        self._numbers = orjson.loads(read("numbers"))
        self._authors = orjson.loads(read("authors"))
        self._approvals = orjson.loads(read("approvals"))
        for key in snapshot.keys():  # noqa: SIM118 - a port, not a dict
            if key.startswith("device/"):
                self.network.load_part(key, _reader(read, key))
            elif key.startswith(_PLAN_PART):
                self._plans[PlanId(key.removeprefix(_PLAN_PART))] = _reader(read, key)
        self._plans = dict(sorted(self._plans.items(), key=lambda item: _number(item[0])))
        self.position = snapshot.position


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
        gc.freeze()


def _reader(read: Callable[[str], bytes], key: str) -> Callable[[], bytes]:
    return lambda: read(key)


_PREFIXES = {"transaction": "tx-", "plan": "plan-", "intent": "intent-"}
_COUNTED = {"transaction/tx": "transaction", "plan/plan": "plan", "intent/intent": "intent"}


def _stored(plan: "_Kept") -> bytes:
    if isinstance(plan, Plan):
        return orjson.dumps(plan_to_json(plan))
    return plan() if callable(plan) else orjson.dumps(plan)


def _number(id_: PlanId) -> int:
    return int(id_.rpartition("-")[2])


def plan_created(plan: Plan) -> NewEvent:
    """The event that keeps a plan for a later commit."""
    return NewEvent(f"plan/{plan.id}", types.PLAN_CREATED, {"plan": plan_to_json(plan)})


def transaction_stream(id_: TransactionId) -> str:
    """Where a transaction's journal is."""
    return f"transaction/{id_}"
