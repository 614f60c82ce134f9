"""Owns all intents and where each stands: a fold of `intent.*` events."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from controller.events import types
from controller.intent.lifecycle import IntentEvent, IntentState, advance
from controller.model.errors import ConflictError, NotFoundError
from controller.model.identifiers import IntentId
from controller.ports import Event

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class IntentRecord:
    """One intent: what was said, how it was read, and what became of it."""

    id: IntentId
    text: str
    owner: str
    state: IntentState
    submitted_at: float
    intent: Json = field(default_factory=dict)
    """The understood intent as JSON; empty while it is not understood."""
    questions: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    vpn_id: str = ""
    plan: str = ""
    transaction: str = ""
    reason: str = ""
    approved_by: str = ""
    """Who committed it before its validity began; empty otherwise."""


class IntentBook:
    """Every intent by id. Changed by `apply` only."""

    def __init__(self) -> None:
        self._intents: dict[IntentId, IntentRecord] = {}
        self.version = 0
        """Counts changes, so that what is derived from the book is derived once."""

    def __iter__(self) -> Iterator[IntentRecord]:
        return iter(self._intents.values())

    def get(self, id_: IntentId) -> IntentRecord:
        """One intent; `NotFoundError` names it."""
        if id_ not in self._intents:
            raise NotFoundError(f"there is no intent '{id_}'", remedy="list them: accord intent list")
        return self._intents[id_]

    def of_vpn(self, vpn_id: str) -> IntentRecord | None:
        """The intent that a VPN serves, if one is alive."""
        alive = [r for r in self._intents.values() if r.vpn_id == vpn_id and not r.state.is_over]
        return alive[-1] if alive else None

    def apply(self, event: Event) -> None:
        """Fold one event."""
        if event.type == types.INTENT_SUBMITTED:
            self._submitted(event)
            self.version += 1
        elif event.type == types.INTENT_ADVANCED:
            self._advanced(event)
            self.version += 1
        elif event.type == types.INTENT_APPROVED:
            id_ = IntentId(event.stream.partition("/")[2])
            self._intents[id_] = replace(self._intents[id_], approved_by=event.actor)

    def _submitted(self, event: Event) -> None:
        data: Json = event.data
        id_ = IntentId(event.stream.partition("/")[2])
        self._intents[id_] = IntentRecord(
            id=id_, text=data["text"], owner=event.actor, state=IntentState.RECEIVED, submitted_at=event.time
        )

    def _advanced(self, event: Event) -> None:
        data = dict(event.data)
        id_ = IntentId(event.stream.partition("/")[2])
        record = self._intents[id_]
        happened = IntentEvent(str(data.pop("event")))
        try:
            state = advance(record.state, happened)
        except ConflictError as error:  # the log is the truth: what happened meanwhile is shown, and nothing is lost
            state, data["reason"] = record.state, str(error)
        data.pop("undo", None)
        if happened is IntentEvent.COMMITTED:
            data["transaction"] = event.cause
        changes: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        self._intents[id_] = replace(record, state=state, **changes)

    def to_json(self) -> list[Json]:
        """Everything, for a snapshot."""
        return [
            {name: _plain(getattr(record, name)) for name in IntentRecord.__slots__}
            for record in self._intents.values()
        ]

    def load_json(self, records: list[Json]) -> None:
        """Put back what `to_json` gave."""
        for data in records:
            record = IntentRecord(
                **{
                    **data,
                    "state": IntentState(data["state"]),
                    "questions": tuple(data["questions"]),
                    "assumed": tuple(data["assumed"]),
                }
            )
            self._intents[record.id] = record


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
