"""Owns an event log that forgets: `controller.ports.EventLog` in memory, for tests and dry runs, chained alike."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from controller.events.chain import Head, Origin, Record, draft, refuse_moved_streams, seal, unicode_text
from controller.events.upcasting import Upcasters
from controller.model.errors import InvalidInputError
from controller.ports import Clock, Event, NewEvent

Listener = Callable[[Sequence[Event]], None]


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """A snapshot kept in memory."""

    position: int
    _parts: Mapping[str, bytes]

    def part(self, key: str) -> bytes | None:
        """One part."""
        return self._parts.get(key)

    def keys(self) -> Sequence[str]:
        """All part names, sorted."""
        return sorted(self._parts)


class MemoryEventLog:
    """The contract of `EventLog` but for durability."""

    def __init__(self, *, clock: Clock, upcasters: Upcasters | None = None) -> None:
        self._clock = clock
        self._upcasters = upcasters or Upcasters()
        self._records: list[Record] = []
        self._streams: dict[str, list[int]] = {}
        self._by_key: dict[str, list[Record]] = {}
        self._listeners: list[Listener] = []
        self._snapshots: dict[str, MemorySnapshot] = {}

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        actor: str,
        cause: str = "",
        expected_versions: Mapping[str, int] | None = None,
        idempotency_key: str = "",
    ) -> Sequence[Event]:
        """Store all or nothing; see `controller.ports.EventLog`."""
        microseconds = round(self._clock.now() * 1_000_000)
        origin = Origin(unicode_text(actor), unicode_text(cause), unicode_text(idempotency_key), microseconds)
        drafts = [draft(event) for event in events]
        await asyncio.sleep(0)
        if idempotency_key and idempotency_key in self._by_key:
            return self._events(self._by_key[idempotency_key])
        refuse_moved_streams(expected_versions or {}, self._version_of)
        records = list(seal(drafts, self._head(), self._version_of, origin))
        self._keep(records)
        fresh = self._events(records)
        self._tell(fresh)
        return fresh

    def read(self, after: int = 0, *, stream: str = "", limit: int = 0) -> Iterator[Event]:
        """Events with position > `after`, in order."""
        positions = self._streams.get(stream, ()) if stream else range(1, len(self._records) + 1)
        left = limit
        for position in tuple(positions):
            if position > after:
                yield self._upcasters.lift(self._records[position - 1].event())
                left -= 1
                if left == 0:
                    return

    def last_position(self) -> int:
        """Position of the newest event, 0 when empty."""
        return len(self._records)

    def failed_commits(self) -> int:
        """None: memory has room as long as there is a process."""
        return 0

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each batch before its `append` returns."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def save_snapshot(self, name: str, position: int, parts: Mapping[str, bytes], kept: Collection[str] = ()) -> None:
        """Replace snapshot `name`; `InvalidInputError` when there is no event at `position`, or a kept part is not."""
        if not 0 <= position <= len(self._records):
            raise InvalidInputError(f"the event log has no event {position}")
        former = self._snapshots.get(name)
        parts_kept = {key: former.part(key) if former else None for key in kept}
        if missing := [key for key, body in parts_kept.items() if body is None]:
            raise InvalidInputError(f"the snapshot '{name}' has no part '{min(missing)}' to keep")
        found = {key: body for key, body in parts_kept.items() if body is not None}
        self._snapshots[name] = MemorySnapshot(position, found | dict(parts))

    def load_snapshot(self, name: str) -> MemorySnapshot | None:
        """The latest snapshot of that name, or None."""
        return self._snapshots.get(name)

    def close(self) -> None:
        """Nothing is held."""

    def _head(self) -> Head:
        return Head(self._records[-1].position, self._records[-1].hash) if self._records else Head()

    def _version_of(self, stream: str) -> int:
        return len(self._streams.get(stream, ()))

    def _events(self, records: Sequence[Record]) -> list[Event]:
        return [self._upcasters.lift(record.event()) for record in records]

    def _keep(self, records: Sequence[Record]) -> None:
        for record in records:
            self._records.append(record)
            self._streams.setdefault(record.stream, []).append(record.position)
            if record.idempotency_key:
                self._by_key.setdefault(record.idempotency_key, []).append(record)

    def _tell(self, fresh: Sequence[Event]) -> None:
        for listener in tuple(self._listeners) if fresh else ():
            try:
                listener(fresh)
            except Exception as error:  # noqa: BLE001 - one broken listener must not stop the others or the append
                context = {"message": "a listener of the event log failed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)
