"""Owns the ledger's SQLite file: its tables, its connections, and what its rows mean.

`entries` is the truth; `holdings` and `taken` are sums over it, kept in the same transaction so that a check is a few
look-ups, and computed again by `accord ledger verify`. Several processes may have the file open.
"""

import os
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import orjson

from controller.adapters.event_log_files import storage_error
from controller.model.errors import AccordError, InvalidInputError, PermanentError
from controller.negotiation.ledger import Entry, EntryKind, Limit

APPLICATION_ID = 0xACC1ED
SCHEMA_VERSION = 1
ENTRY_COLUMNS = (
    "position, kind, envelope, workload_class, reservation, key, minor, currency, limits, time_microseconds, "
    "previous_hash, hash"
)
_ENTRIES = (
    "CREATE TABLE entries ("
    "position INTEGER PRIMARY KEY, root TEXT NOT NULL, kind TEXT NOT NULL, envelope TEXT NOT NULL, "
    "workload_class TEXT NOT NULL, reservation TEXT NOT NULL, key TEXT NOT NULL, minor INTEGER NOT NULL, "
    "currency TEXT NOT NULL, limits TEXT NOT NULL, time_microseconds INTEGER NOT NULL, "
    "previous_hash BLOB NOT NULL, hash BLOB NOT NULL, UNIQUE (root, key)) STRICT"
)
_HOLDINGS = (
    "CREATE TABLE holdings ("
    "root TEXT NOT NULL, id TEXT NOT NULL, envelope TEXT NOT NULL, workload_class TEXT NOT NULL, "
    "currency TEXT NOT NULL, made_microseconds INTEGER NOT NULL, "
    "reserved INTEGER NOT NULL CHECK (reserved >= 0), committed INTEGER NOT NULL CHECK (committed >= 0), "
    "PRIMARY KEY (root, id)) STRICT, WITHOUT ROWID"
)
_TAKEN = (
    "CREATE TABLE taken ("
    "scope TEXT NOT NULL, workload_class TEXT NOT NULL, minor INTEGER NOT NULL CHECK (minor >= 0), "
    "PRIMARY KEY (scope, workload_class)) STRICT, WITHOUT ROWID"
)
_NONCES = (
    "CREATE TABLE nonces ("
    "holder TEXT NOT NULL, nonce TEXT NOT NULL, until REAL NOT NULL, "
    "PRIMARY KEY (holder, nonce)) STRICT, WITHOUT ROWID"
)
SCHEMA = (
    _ENTRIES,
    _HOLDINGS,
    "CREATE INDEX holdings_by_time ON holdings (root, made_microseconds)",
    _TAKEN,
    _NONCES,
    "CREATE INDEX nonces_by_time ON nonces (until)",
    "CREATE TABLE forgotten (id INTEGER PRIMARY KEY CHECK (id = 1), until REAL NOT NULL) STRICT",
)
_BUSY_TIMEOUT_SECONDS = 30.0


def open_ledger(path: Path) -> sqlite3.Connection:
    """A connection that may write; creates the ledger, mode 0600, where there is none. Commits are on disk."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise PermanentError(f"cannot open the ledger: {error.strerror}", path=str(path)) from error
    with ExitStack() as cleanup:
        try:
            connection = cleanup.enter_context(closing(_connect(str(path))))
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            _create_or_check(connection, path)
        except sqlite3.Error as error:
            raise ledger_error(error, path) from error
        cleanup.pop_all()
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; refuses what is no ledger."""
    location = path.resolve().as_posix().replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    with ExitStack() as cleanup:
        try:
            connection = cleanup.enter_context(closing(_connect(f"file:{location}?mode=ro")))
            _refuse_other_files(connection, path)
        except sqlite3.Error as error:
            raise ledger_error(error, path) from error
        cleanup.pop_all()
    return connection


def ledger_error(error: sqlite3.Error, path: Path) -> AccordError:
    """What SQLite met, as one of ours."""
    found = storage_error(error, path)
    found.message = found.message.replace("the event log", "the ledger").replace("this event log", "this ledger")
    found.remedy = found.remedy.replace("accord audit verify", "accord ledger verify")
    return found


def row_of(entry: Entry) -> tuple[Any, ...]:
    """An entry as a row, in the order of `ENTRY_COLUMNS` with its root behind."""
    limits = [[limit.scope, limit.ceiling, limit.class_ceiling, limit.rate_per_hour] for limit in entry.limits]
    return (
        entry.position,
        entry.kind.value,
        entry.envelope,
        entry.workload_class,
        entry.reservation,
        entry.key,
        entry.minor,
        entry.currency,
        orjson.dumps(limits).decode(),
        entry.time_microseconds,
        entry.previous_hash,
        entry.hash,
        entry.root,
    )


def entry_of_row(row: tuple[Any, ...]) -> Entry:
    """The entry in a row; `ValueError` or `TypeError` where the row is not one of ours."""
    position, kind, envelope, workload_class, reservation, key, minor, currency, limits, time, previous, digest = row
    return Entry(
        position,
        EntryKind(kind),
        envelope,
        workload_class,
        reservation,
        key,
        minor,
        currency,
        tuple(Limit(*limit) for limit in orjson.loads(limits)),
        time,
        previous,
        digest,
    )


def _connect(location: str) -> sqlite3.Connection:
    return sqlite3.connect(
        location,
        uri=location.startswith("file:"),
        timeout=_BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def _create_or_check(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new ledger, once, whoever else is opening it."""
    connection.execute("BEGIN IMMEDIATE")
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables == 0:
        for statement in SCHEMA:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")
    _refuse_other_files(connection, path)


def _refuse_other_files(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise InvalidInputError("this file is not a ledger of accord", path=str(path))
    if version != SCHEMA_VERSION:
        raise InvalidInputError(
            f"the ledger has format {version}, this program knows {SCHEMA_VERSION}",
            remedy="use the version of accord that wrote it, or a newer one",
            path=str(path),
        )
