"""Owns stored projections: one SQLite file beside the log, a shortcut for replay that may be deleted at any time.

A snapshot counts only while the event at its position still has the hash it was taken at and all its parts are there.
Each part carries its own digest, checked when the part is read: a start pays for what it touches.
"""

import hashlib
import os
import sqlite3
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.adapters.event_log_files import storage_error
from controller.model.errors import InvalidInputError, PermanentError

_LAYOUT = 2
"""Of the tables below, as PRAGMA user_version; a file with another one is started anew."""
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS snapshots (
  name TEXT PRIMARY KEY, position INTEGER NOT NULL, hash BLOB NOT NULL, digest BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS parts (
  name TEXT NOT NULL, key TEXT NOT NULL, digest BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (name, key)) STRICT;
CREATE INDEX IF NOT EXISTS digests ON parts (name, key, digest);
PRAGMA user_version = {_LAYOUT};
"""
_OTHER_VERSIONS = "(name = ?1 OR substr(name, 1, length(?1) + 1) = ?1 || '@')"
_Digests = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """One loaded snapshot; parts are read when asked for."""

    position: int
    _name: str
    _store: "SnapshotStore"

    def part(self, key: str) -> bytes | None:
        """One part; None when it is not there or was altered."""
        rows = self._store.query("SELECT digest, body FROM parts WHERE name = ? AND key = ?", (self._name, key))
        return bytes(rows[0][1]) if rows and hashlib.sha256(rows[0][1]).digest() == rows[0][0] else None

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

    def save(
        self, name: str, position: int, event_hash: bytes, parts: Mapping[str, bytes], kept: Collection[str] = ()
    ) -> None:
        """Replace snapshot `name`, whole or not at all; its `kept` parts stay as they are stored.

        `name@VERSION` replaces every version of `name`. `InvalidInputError` when a part to keep is not there.
        """
        rows = [(name, key, hashlib.sha256(body).digest(), body) for key, body in sorted(parts.items())]
        base = name.partition("@")[0]
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                digests = self._keep_only(name, set(kept))
                digests += [(key, digest) for _, key, digest, _ in rows]
                others = f"DELETE FROM parts WHERE {_OTHER_VERSIONS} AND name <> ?2"  # noqa: S608 - constants
                self._connection.execute(others, (base, name))
                self._connection.execute(f"DELETE FROM snapshots WHERE {_OTHER_VERSIONS}", (base,))  # noqa: S608
                self._connection.executemany("INSERT INTO parts VALUES (?,?,?,?)", rows)
                head = (name, position, event_hash, _digest(sorted(digests)))
                self._connection.execute("INSERT INTO snapshots VALUES (?,?,?,?)", head)
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise storage_error(error, self.path) from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def _keep_only(self, name: str, kept: set[str]) -> list[tuple[str, bytes]]:
        """Delete the parts of a snapshot that are not kept; keys and digests of those that are."""
        stored = self._connection.execute("SELECT key, digest FROM parts WHERE name = ?", (name,)).fetchall()
        gone = [(name, key) for key, _ in stored if key not in kept]
        self._connection.executemany("DELETE FROM parts WHERE name = ? AND key = ?", gone)
        found = [(key, digest) for key, digest in stored if key in kept]
        if missing := kept.difference(key for key, _ in found):
            raise InvalidInputError(f"the snapshot '{name}' has no part '{min(missing)}' to keep")
        return found

    def load(self, name: str) -> tuple[StoredSnapshot, bytes] | None:
        """The snapshot and the event hash it was taken at; None when there is none or parts of it are missing."""
        rows = self.query("SELECT position, hash, digest FROM snapshots WHERE name = ?", (name,))
        if not rows:
            return None
        position, event_hash, digest = rows[0]
        if _digest(self.query("SELECT key, digest FROM parts WHERE name = ? ORDER BY key", (name,))) != digest:
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
    if connection.execute("PRAGMA user_version").fetchone()[0] != _LAYOUT:
        connection.executescript("DROP TABLE IF EXISTS snapshots; DROP TABLE IF EXISTS parts;")
    connection.executescript(_SCHEMA)
    return connection


def _digest(digests: _Digests) -> bytes:
    """SHA-256 over names and digests of the parts in key order, lengths included."""
    whole = hashlib.sha256()
    for key, digest in digests:
        name = key.encode()
        whole.update(len(name).to_bytes(8) + name + digest)
    return whole.digest()
