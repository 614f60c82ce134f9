"""Owns the one connection that writes the event log: many appends, one commit, all of it or nothing."""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controller.adapters.event_log_files import COLUMNS, open_writable, storage_error
from controller.events.chain import Draft, Head, Origin, Record, refuse_moved_streams, seal
from controller.model.errors import AccordError, PermanentError

_INSERT = f"INSERT INTO events ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 - both parts are constants
_BY_KEY = f"SELECT {COLUMNS} FROM events WHERE idempotency_key = ? AND idempotency_key <> '' ORDER BY position"  # noqa: S608 - constants
_LAST_VERSION = "SELECT version FROM events WHERE stream = ? ORDER BY position DESC LIMIT 1"
_MOST_VERSIONS = 20_000
"""Streams whose last version is remembered; of others the file is asked."""
_HEAD = "SELECT position, hash FROM events ORDER BY position DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Append:
    """One caller's wish: all its events or none."""

    drafts: Sequence[Draft]
    origin: Origin
    expected_versions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of an `Append`: its records (`is_new` unless they were there already), or why not."""

    records: Sequence[Record] = ()
    is_new: bool = False
    error: AccordError | None = None


@dataclass(slots=True)
class LogStatistics:
    """Counted since the log was opened, for the metrics."""

    commits: int = 0
    events: int = 0
    failed_commits: int = 0
    commit_seconds: float = 0.0
    """Time spent storing, flushes included."""


@dataclass(slots=True)
class LogWriter:
    """Used by one thread. After a failure nothing is assumed: head and versions are read from the file again."""

    path: Path
    connection: sqlite3.Connection = field(init=False)
    statistics: LogStatistics = field(default_factory=LogStatistics)
    _head: Head | None = None
    _versions: dict[str, int] = field(default_factory=dict)
    _is_broken: bool = False

    def __post_init__(self) -> None:
        """Open or create the file."""
        self.connection = open_writable(self.path)

    def head(self) -> Head:
        """The newest stored event."""
        if self._head is None:
            row = self.connection.execute(_HEAD).fetchone()
            self._head = Head(*row) if row else Head()
        return self._head

    def store(self, appends: Sequence[Append]) -> Sequence[Appended]:
        """Store in one commit; each append succeeds or fails by itself, a failing commit fails all. Never raises."""
        started = time.monotonic()
        try:
            if self._is_broken:
                self.connection = open_writable(self.path)
                self._is_broken = False
            self.connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._store_one(append) for append in appends]
            self.connection.execute("COMMIT")
            if len(self._versions) > _MOST_VERSIONS:
                self._versions.clear()
            self._count(outcomes, time.monotonic() - started)
        except Exception as error:  # noqa: BLE001 - whatever it is, callers must be told and the thread must live on
            self._forget()
            self.statistics.failed_commits += 1
            return [Appended(error=self._explain(error)) for _ in appends]
        return outcomes

    def _count(self, outcomes: Sequence[Appended], seconds: float) -> None:
        self.statistics.commits += 1
        self.statistics.events += sum(len(outcome.records) for outcome in outcomes if outcome.is_new)
        self.statistics.commit_seconds += seconds

    def _explain(self, error: Exception) -> AccordError:
        if isinstance(error, AccordError):
            return error
        if isinstance(error, sqlite3.Error):
            return storage_error(error, self.path)
        return PermanentError(f"the event log failed: {type(error).__name__}: {error}", path=str(self.path))

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _store_one(self, append: Append) -> Appended:
        if append.origin.idempotency_key:
            rows = self.connection.execute(_BY_KEY, (append.origin.idempotency_key,)).fetchall()
            if rows:
                return Appended([Record(*row) for row in rows])
        try:
            refuse_moved_streams(append.expected_versions, self._version_of)
        except AccordError as error:
            return Appended(error=error)
        records = list(seal(append.drafts, self.head(), self._version_of, append.origin))
        self.connection.executemany(_INSERT, records)
        for record in records:
            self._versions[record.stream] = record.version
        if records:
            self._head = Head(records[-1].position, records[-1].hash)
        return Appended(records, is_new=True)

    def _version_of(self, stream: str) -> int:
        version = self._versions.get(stream)
        if version is None:
            row = self.connection.execute(_LAST_VERSION, (stream,)).fetchone()
            version = self._versions[stream] = row[0] if row else 0
        return version

    def _forget(self) -> None:
        """Back to what the file says. Where even the rollback fails, a new connection recovers the file."""
        self._head = None
        self._versions.clear()
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            # A commit whose flush failed may have left its frames in the WAL; a crash now must not bring it back.
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            self.connection.close()
            self._is_broken = True
