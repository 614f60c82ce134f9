"""Owns the event log in SQLite: `controller.ports.EventLog`, hash-chained, durable when `append` returns.

One thread writes. Appends that arrive while it is in `fsync` share the next commit (group commit), so durability costs
one flush for many. WAL with `synchronous=FULL`. Readers take pages, never a cursor that would hold the WAL back.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.adapters.event_log_files import (
    COLUMNS,
    WriterLock,
    open_readable,
    refuse_if_behind,
    storage_error,
    write_head,
)
from controller.adapters.event_log_snapshots import SnapshotStore, StoredSnapshot
from controller.adapters.event_log_writer import Append, Appended, LogStatistics, LogWriter
from controller.events.chain import Head, Origin, Record, draft, unicode_text
from controller.events.upcasting import Upcasters
from controller.model.errors import BusyError, InvalidInputError, PermanentError
from controller.ports import Clock, Event, NewEvent

_PAGE = 1_000
_MOST_APPENDS_PER_COMMIT = 2_000
_MOST_WAITING = 20_000
Listener = Callable[[Sequence[Event]], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    append: Append
    future: "asyncio.Future[Sequence[Event]]"
    loop: asyncio.AbstractEventLoop


class SqliteEventLog:
    """The log in file `path`, for one process. `close()` it: that writes the kept head and frees the lock.

    `append` and `subscribe` belong to the event loop; `read`, `last_position` and the snapshots to any thread.
    A cancelled `append` may still be stored.
    """

    def __init__(self, path: Path, *, clock: Clock, upcasters: Upcasters | None = None) -> None:
        """Open or create; `LockedError` when another process writes it, `ConflictError` when it lost its end."""
        self._path = path
        self._clock = clock
        self._upcasters = upcasters or Upcasters()
        self._listeners: list[Listener] = []
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._is_closed = False
        self._lock = WriterLock(path)
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        self._thread = threading.Thread(target=self._write, name="event-log", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        self._writer = LogWriter(self._path)
        try:
            refuse_if_behind(self._writer.connection, self._path)
            self._head = self._writer.head()
        except sqlite3.Error as error:
            self._writer.close()
            raise storage_error(error, self._path) from error
        except BaseException:
            self._writer.close()
            raise
        self._reader = open_readable(self._path)
        self._reading = threading.Lock()
        self._snapshots = SnapshotStore(self._path)

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        actor: str,
        cause: str = "",
        expected_versions: Mapping[str, int] | None = None,
        idempotency_key: str = "",
    ) -> Sequence[Event]:
        """Store all or nothing, durably; see `controller.ports.EventLog`.

        Besides `ConflictError`: `InvalidInputError` for data without canonical JSON, `BusyError` when the disk is full
        or too much waits, `PermanentError` when the file may not be written or the log is closed.
        """
        if self._is_closed:
            raise PermanentError("the event log is closed", path=str(self._path))
        if self._requests.qsize() >= _MOST_WAITING:
            raise BusyError("too many appends wait for the event log", remedy="try again later", tag="resource-denied")
        microseconds = round(self._clock.now() * 1_000_000)
        origin = Origin(unicode_text(actor), unicode_text(cause), unicode_text(idempotency_key), microseconds)
        append = Append(
            [draft(event) for event in events],
            origin,
            {unicode_text(name): last for name, last in (expected_versions or {}).items()},
        )
        loop = asyncio.get_running_loop()
        request = _Request(append, loop.create_future(), loop)
        self._requests.put(request)
        return await request.future

    def read(self, after: int = 0, *, stream: str = "", limit: int = 0) -> Iterator[Event]:
        """Events with position > `after`, in order; those stored while reading may be included."""
        left = limit if limit > 0 else None
        while left is None or left > 0:
            page = self._page(after, stream, _PAGE if left is None else min(_PAGE, left))
            for record in page:
                yield self._upcasters.lift(record.event())
            if len(page) < _PAGE:
                return
            after = page[-1].position
            left = None if left is None else left - len(page)

    def last_position(self) -> int:
        """Position of the newest durable event, 0 when empty."""
        return self._head.position

    def failed_commits(self) -> int:
        """Commits that could not be stored since the log was opened."""
        return self.statistics.failed_commits

    @property
    def head(self) -> str:
        """`POSITION:HASH` of the newest durable event, to be kept elsewhere for `accord audit verify`."""
        return str(self._head)

    @property
    def statistics(self) -> LogStatistics:
        """Commits, events, failures and the time they took since the log was opened."""
        return self._writer.statistics

    @property
    def waiting(self) -> int:
        """Appends not yet stored."""
        return self._requests.qsize()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each batch after it is durable and before its `append` returns."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def save_snapshot(self, name: str, position: int, parts: Mapping[str, bytes], kept: Collection[str] = ()) -> None:
        """Replace snapshot `name`; `InvalidInputError` when there is no event at `position`, or a kept part is not."""
        self._snapshots.save(name, position, self._hash_at(position), parts, kept)

    def load_snapshot(self, name: str) -> StoredSnapshot | None:
        """The latest snapshot whose position still matches the chain, or None."""
        found = self._snapshots.load(name)
        if found is None or found[0].position > self._head.position:
            return None
        snapshot, event_hash = found
        return snapshot if event_hash == self._hash_at(snapshot.position) else None

    def close(self) -> None:
        """Store what waits, keep the head beside the log, let go. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._requests.put(None)
        self._thread.join()
        try:
            write_head(self._path, self._head)
        finally:
            for part in (self._reader, self._snapshots, self._writer):
                part.close()
            self._lock.release()

    def _page(self, after: int, stream: str, size: int) -> list[Record]:
        where, arguments = ("stream = ? AND ", (stream,)) if stream else ("", ())
        statement = f"SELECT {COLUMNS} FROM events WHERE {where}position > ? ORDER BY position LIMIT ?"  # noqa: S608 - constants
        return [Record(*row) for row in self._select(statement, (*arguments, after, size))]

    def _hash_at(self, position: int) -> bytes:
        if position == 0:
            return Head().hash
        rows = self._select("SELECT hash FROM events WHERE position = ?", (position,))
        if not rows:
            raise InvalidInputError(f"the event log has no event {position}", path=str(self._path))
        return bytes(rows[0][0])

    def _select(self, statement: str, arguments: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._reading:
            try:
                return self._reader.execute(statement, arguments).fetchall()
            except sqlite3.Error as error:
                raise storage_error(error, self._path) from error

    def _write(self) -> None:
        """The writer thread: gather, commit, report; ends when `close` says so and nothing is left."""
        is_open = True
        while is_open:
            requests: list[_Request] = []
            is_open = self._gather(requests)
            if requests:
                self._store(requests)

    def _gather(self, requests: list[_Request]) -> bool:
        """Wait for one request and take the others that are there; False when the log is being closed."""
        item = self._requests.get()
        while item is not None:
            requests.append(item)
            if len(requests) >= _MOST_APPENDS_PER_COMMIT:
                return True
            try:
                item = self._requests.get_nowait()
            except queue.Empty:
                return True
        return False

    def _store(self, requests: Sequence[_Request]) -> None:
        outcomes = self._writer.store([request.append for request in requests])
        if any(outcome.is_new for outcome in outcomes):
            self._head = self._writer.head()
        done = [(request, *self._lifted(outcome)) for request, outcome in zip(requests, outcomes, strict=True)]
        for loop in dict.fromkeys(request.loop for request in requests):
            mine = [item for item in done if item[0].loop is loop]
            try:
                loop.call_soon_threadsafe(self._deliver, loop, mine)
            except RuntimeError:
                # That loop was closed with appends under way: nobody is left to be told.
                continue

    def _lifted(self, outcome: Appended) -> tuple[Appended, list[Event]]:
        """The outcome and its events; an upcaster that fails must not take the writer with it."""
        try:
            return outcome, [self._upcasters.lift(record.unread_event()) for record in outcome.records]
        except Exception as error:  # noqa: BLE001 - upcasters are anybody's code
            words = f"the events are stored, but an upcaster failed: {type(error).__name__}: {error}"
            return Appended(error=PermanentError(words, path=str(self._path))), []

    def _deliver(
        self, loop: asyncio.AbstractEventLoop, done: Sequence[tuple[_Request, Appended, Sequence[Event]]]
    ) -> None:
        """On the event loop: first the listeners, so that an `append` that returns has been seen by projections."""
        fresh = [event for _, outcome, events in done if outcome.is_new for event in events]
        for listener in tuple(self._listeners) if fresh else ():
            try:
                listener(fresh)
            except Exception as error:  # noqa: BLE001 - one broken listener must not stop the others or the appends
                loop.call_exception_handler({"message": "a listener of the event log failed", "exception": error})
        for request, outcome, events in done:
            if request.future.done():
                continue
            if outcome.error is not None:
                request.future.set_exception(outcome.error)
            else:
                request.future.set_result(events)
