"""Owns the files of the SQLite event log: schema, connections, the lock that keeps it to one writer, the kept head.

Beside `events.db` stand `events.db.lock` (an flock: it goes with its holder, however that dies), `events.db.head`
(where the log ended when it was last closed) and `events.db.snapshots` (shortcuts for replay; may be deleted any time).
"""

import fcntl
import os
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

from controller.events.audit import parse_head
from controller.events.chain import Head
from controller.model.errors import (
    AccordError,
    BusyError,
    ConflictError,
    InvalidInputError,
    LockedError,
    PermanentError,
)

APPLICATION_ID = 0xACC02D
SCHEMA_VERSION = 1
COLUMNS = "position, stream, version, type, time_microseconds, actor, cause, idempotency_key, data, previous_hash, hash"
EVENTS_TABLE = (
    "CREATE TABLE events ("
    "position INTEGER PRIMARY KEY, stream TEXT NOT NULL, version INTEGER NOT NULL, type TEXT NOT NULL, "
    "time_microseconds INTEGER NOT NULL, actor TEXT NOT NULL, cause TEXT NOT NULL, idempotency_key TEXT NOT NULL, "
    "data BLOB NOT NULL, previous_hash BLOB NOT NULL, hash BLOB NOT NULL) STRICT"
)
SCHEMA = (
    EVENTS_TABLE,
    "CREATE INDEX events_by_stream ON events (stream)",
    "CREATE INDEX events_by_key ON events (idempotency_key) WHERE idempotency_key <> ''",
)
_BUSY_TIMEOUT_SECONDS = 5.0
_NO_ROOM = {"SQLITE_FULL", "SQLITE_NOMEM"}
_READ_ONLY = {"SQLITE_PERM", "SQLITE_AUTH", "SQLITE_CANTOPEN"}
_DAMAGED = {"SQLITE_NOTADB", "SQLITE_FORMAT"}


class WriterLock:
    """The right to write one log; `LockedError` naming the holder when another process has it."""

    def __init__(self, log: Path) -> None:
        self.path = log.with_name(log.name + ".lock")
        self._descriptor = self._take()

    def release(self) -> None:
        """Give the right back. The file stays, so that two openers can never hold two different files."""
        os.close(self._descriptor)

    def _take(self) -> int:
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise PermanentError(f"cannot create the lock of the event log: {error}", path=str(self.path)) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 100).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise LockedError(
                f"another process writes this event log: {holder}",
                remedy="stop it, or name another state directory",
                path=str(self.path),
                tag="lock-denied",
                app_tag=holder,
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"pid {os.getpid()}\n".encode(), 0)
        return descriptor


def open_writable(path: Path) -> sqlite3.Connection:
    """A connection for the one writer; creates the log, mode 0600, where there is none."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise PermanentError(
            f"cannot open the event log: {error.strerror}",
            remedy="check that the state directory exists and belongs to the user that runs accord",
            path=str(path),
        ) from error
    with ExitStack() as cleanup:
        try:
            connection = cleanup.enter_context(closing(_connect(path)))
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            _create_or_check(connection, path)
        except sqlite3.Error as error:
            raise storage_error(error, path) from error
        cleanup.pop_all()
    return connection


def open_readable(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; sees what is committed."""
    try:
        connection = _connect(path)
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        raise storage_error(error, path) from error
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)


def _create_or_check(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new log; refuse a file that is something else, or newer than this program."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables == 0:
        script = "; ".join(SCHEMA)
        connection.executescript(
            f"BEGIN IMMEDIATE; {script}; PRAGMA application_id = {APPLICATION_ID};"
            f" PRAGMA user_version = {SCHEMA_VERSION}; COMMIT"
        )
    elif application != APPLICATION_ID:
        raise InvalidInputError("this file is not an event log of accord", path=str(path))
    elif version != SCHEMA_VERSION:
        raise InvalidInputError(
            f"the event log has format {version}, this program knows {SCHEMA_VERSION}",
            remedy="use the version of accord that wrote it, or a newer one",
            path=str(path),
        )


def head_file(log: Path) -> Path:
    """Where the log's end is kept when it is closed."""
    return log.with_name(log.name + ".head")


def write_head(log: Path, head: Head) -> None:
    """Keep `head` beside the log, atomically; `AccordError` when the disk does not take it."""
    target = head_file(log)
    temporary = target.with_name(target.name + ".new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{head}\n")
            file.flush()
            os.fsync(descriptor)
        temporary.replace(target)
    except OSError as error:
        raise BusyError(f"cannot keep the event log's head: {error.strerror}", path=str(target)) from error


def read_head(log: Path) -> Head | None:
    """The head kept beside the log, or None."""
    try:
        return parse_head(head_file(log).read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise PermanentError(f"cannot read the event log's kept head: {error}", path=str(head_file(log))) from error


def refuse_if_behind(connection: sqlite3.Connection, log: Path) -> None:
    """`ConflictError` when the log does not hold the event that its kept head names: cut off, or another log."""
    head = read_head(log)
    if head is None or head.position == 0:
        return
    row = connection.execute("SELECT hash FROM events WHERE position = ?", (head.position,)).fetchone()
    if row is None or row[0] != head.hash:
        raise ConflictError(
            f"the event log does not hold event {head.position} as it was when it was last closed",
            remedy=f"run 'accord audit verify'; if an older copy was restored on purpose, remove {head_file(log)}",
            path=str(log),
        )


def storage_error(error: sqlite3.Error, path: Path) -> AccordError:
    """What SQLite met, as one of ours: no room (try later), somebody else's lock, read-only, damage."""
    name = getattr(error, "sqlite_errorname", "") or ""
    where = str(path)
    if name in _NO_ROOM or name.startswith("SQLITE_IOERR"):
        return BusyError(
            f"the event log could not be written or read, nothing was stored: {error} ({name})",
            remedy="free space on its file system and try again",
            path=where,
            tag="resource-denied",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LockedError(f"another process holds the event log: {error}", path=where, tag="lock-denied")
    if name.startswith("SQLITE_READONLY") or name in _READ_ONLY:
        return PermanentError(
            f"the event log may not be written here, nothing was stored: {error}",
            remedy="check the owner and mode of the state directory, and how its file system is mounted",
            path=where,
            tag="access-denied",
        )
    if name.startswith("SQLITE_CORRUPT") or name in _DAMAGED:
        return PermanentError(
            f"the event log is damaged: {error}",
            remedy="run 'accord audit verify', restore the last backup",
            path=where,
        )
    return PermanentError(f"the event log failed: {error} ({name or type(error).__name__})", path=where)
