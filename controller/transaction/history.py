"""Owns the record of transactions: who changed what, when, why, and how it ended. A fold of `transaction.*` events."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace

from controller.events import types
from controller.model.errors import ConflictError, NotFoundError
from controller.model.identifiers import DeviceName, PlanId, TransactionId
from controller.model.yang_path import Path
from controller.ports import Event
from controller.transaction.messages import PHASE_RECORDS, Record
from controller.transaction.plan import DevicePlan, Plan
from controller.transaction.plan_json import Json
from controller.transaction.states import FINAL, Phase

_PHASES = {f"{types.TRANSACTION_PREFIX}{record}": phase for phase, record in PHASE_RECORDS.items()}


@dataclass(frozen=True, slots=True)
class TransactionSummary:
    """One transaction as people look at it. Times in UTC seconds; `ended` 0 while it runs."""

    id: TransactionId
    plan: PlanId
    summary: str
    actor: str
    comment: str
    phase: Phase
    started: float
    ended: float = 0.0
    reason: str = ""
    devices: tuple[DeviceName, ...] = ()
    astray: tuple[DeviceName, ...] = ()
    position: int = 0
    """Log position of its plan."""

    @property
    def is_final(self) -> bool:
        """Whether it has its verdict; UNKNOWN has not."""
        return self.phase in FINAL


@dataclass(slots=True)
class _Open:
    plan: Plan
    data: Json
    records: list[Record] = field(default_factory=list)


class TransactionHistory:
    """All transactions, newest last; the open ones with their journal."""

    def __init__(self) -> None:
        self._summaries: dict[TransactionId, TransactionSummary] = {}
        self._open: dict[TransactionId, _Open] = {}

    def __iter__(self) -> Iterator[TransactionSummary]:
        return iter(self._summaries.values())

    def __len__(self) -> int:
        return len(self._summaries)

    def get(self, id_: TransactionId) -> TransactionSummary:
        """One; `NotFoundError` names it."""
        if id_ not in self._summaries:
            raise NotFoundError(f"there is no transaction '{id_}'", remedy="list them: accord transaction list")
        return self._summaries[id_]

    def committed_after(self, id_: TransactionId) -> Iterator[TransactionSummary]:
        """Later transactions that hold, on any of the same devices, oldest first."""
        earlier = self.get(id_)
        for summary in self._summaries.values():
            is_later = summary.position > earlier.position and summary.phase is Phase.COMMITTED
            if is_later and not set(earlier.devices).isdisjoint(summary.devices):
                yield summary

    def open(self) -> dict[TransactionId, tuple[Plan, Json, list[Record]]]:
        """Transactions without a verdict: plan, the planned event's data, journal records."""
        return {id_: (entry.plan, entry.data, entry.records) for id_, entry in self._open.items()}

    def to_json(self) -> list[Json]:
        """Every summary, for a snapshot."""
        return [asdict(summary) for summary in self._summaries.values()]

    def load_json(self, summaries: list[Json]) -> None:
        """Put back what `to_json` gave."""
        for data in summaries:
            lists = {"devices": tuple(data["devices"]), "astray": tuple(data["astray"])}
            summary = TransactionSummary(**{**data, "phase": Phase(data["phase"]), **lists})
            self._summaries[summary.id] = summary

    def apply(self, event: Event) -> None:
        """Fold one event."""
        if not event.type.startswith(types.TRANSACTION_PREFIX):
            return
        id_ = TransactionId(event.stream.partition("/")[2])
        entry = self._open.get(id_)
        if entry is None:
            return
        entry.records.append(Record(event.type.removeprefix(types.TRANSACTION_PREFIX), event.data))
        phase = _PHASES.get(event.type)
        if phase is not None:
            self._advance(id_, phase, event)

    def begin(self, event: Event, plan: Plan, comment: str) -> None:
        """Fold a `transaction.planned` event, whose plan and comment have been decoded."""
        id_ = TransactionId(event.stream.partition("/")[2])
        self._open[id_] = _Open(plan, event.data)
        self._summaries[id_] = TransactionSummary(
            id=id_,
            plan=plan.id,
            summary=plan.summary,
            actor=event.actor,
            comment=comment,
            phase=Phase.PREPARING,
            started=event.time,
            devices=tuple(device.device for device in plan.changed),
            position=event.position,
        )

    def _advance(self, id_: TransactionId, phase: Phase, event: Event) -> None:
        data: Json = event.data
        is_final = phase in FINAL
        self._summaries[id_] = replace(
            self._summaries[id_],
            phase=phase,
            reason=str(data.get("reason", "") or self._summaries[id_].reason),
            ended=event.time if is_final else 0.0,
            astray=tuple(map(DeviceName, data.get("devices", ()))) if phase is Phase.UNKNOWN else (),
        )
        if is_final:
            del self._open[id_]


def refuse_overlap(undone: Plan, later: Plan, later_id: TransactionId) -> None:
    """Refuse to undo a transaction when later work touched the same paths: `ConflictError` names the first."""
    mine = {(device.device, change.path) for device in undone.devices for change in device.edit}
    for device in later.devices:
        _refuse_device(device, mine, later_id)


def _refuse_device(device: DevicePlan, mine: set[tuple[DeviceName, Path]], later_id: TransactionId) -> None:
    for change in device.edit:
        if (device.device, change.path) in mine:
            raise ConflictError(
                f"transaction '{later_id}' changed '{change.path[-1].name}' on the same device since",
                remedy=f"roll back '{later_id}' first",
                device=device.device,
            )
