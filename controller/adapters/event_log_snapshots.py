"""Owns stored projections: one SQLite file beside the log, a shortcut for replay that may be deleted at any time.

A snapshot counts only while the event at its position still has the hash it was taken at, and its own parts still have
their digest.
"""

import hashlib
import os
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.adapters.event_log_files import storage_error
from controller.model.errors import PermanentError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS snapshots (
  name TEXT PRIMARY KEY, position INTEGER NOT NULL, hash BLOB NOT NULL, digest BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS parts (
  name TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (name, key)) STRICT;
"""


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """One loaded snapshot; parts are read when asked for."""

    position: int
    _name: str
    _store: "SnapshotStore"

    def part(self, key: str) -> bytes | None:
        """One part."""
        rows = self._store.query("SELECT body FROM parts WHERE name = ? AND key = ?", (self._name, key))
        return bytes(rows[0][0]) if rows else None

    def keys(self) -> Sequence[str]:
        """All part names, sorted."""
        return [row[0] for row in self._store.query("SELECT key FROM parts WHERE name = ? ORDER BY key", (self._name,))]


class SnapshotStore:
    """All snapshots of one log. Usable from any thread, one at a time."""

    def __init__(self, log: Path) -> None:
        self.path = log.with_name(log.name + ".snapshots")
        self._lock = threading.Lock()
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._connection = self._open()
        except OSError as error:
            raise PermanentError(f"cannot open the snapshots: {error.strerror}", path=str(self.path)) from error
        except sqlite3.Error as error:
            raise storage_error(error, self.path) from error

    def save(self, name: str, position: int, event_hash: bytes, parts: Mapping[str, bytes]) -> None:
        """Replace snapshot `name`, whole or not at all."""
        digest = _digest(sorted(parts.items()))
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.execute("DELETE FROM parts WHERE name = ?", (name,))
                self._connection.executemany(
                    "INSERT INTO parts VALUES (?,?,?)", [(name, key, body) for key, body in parts.items()]
                )
                self._connection.execute(
                    "INSERT OR REPLACE INTO snapshots VALUES (?,?,?,?)", (name, position, event_hash, digest)
                )
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise storage_error(error, self.path) from error

    def load(self, name: str) -> tuple[StoredSnapshot, bytes] | None:
        """The snapshot and the event hash it was taken at; None when there is none or its parts were altered."""
        rows = self.query("SELECT position, hash, digest FROM snapshots WHERE name = ?", (name,))
        if not rows:
            return None
        position, event_hash, digest = rows[0]
        parts = self.query("SELECT key, body FROM parts WHERE name = ? ORDER BY key", (name,))
        if _digest(sorted(parts)) != digest:
            return None
        return StoredSnapshot(position, name, self), event_hash

    def query(self, statement: str, arguments: tuple[str, ...]) -> list[tuple[Any, ...]]:
        """All rows."""
        with self._lock:
            try:
                return self._connection.execute(statement, arguments).fetchall()
            except sqlite3.Error as error:
                raise storage_error(error, self.path) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _open(self) -> sqlite3.Connection:
        """Open; a file that is no database any more is started anew, since the log can rebuild it."""
        try:
            return _connect(self.path)
        except sqlite3.DatabaseError as error:
            if not getattr(error, "sqlite_errorname", "").startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
                raise
        self.path.write_bytes(b"")
        return _connect(self.path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(_SCHEMA)
    return connection


def _digest(parts: Sequence[tuple[str, bytes]]) -> bytes:
    """SHA-256 over the parts in key order, lengths included."""
    digest = hashlib.sha256()
    for key, body in parts:
        name = key.encode()
        digest.update(len(name).to_bytes(8) + name + len(body).to_bytes(8) + body)
    return digest.digest()
