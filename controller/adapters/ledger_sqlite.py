"""Owns the ledger in SQLite: `controller.negotiation.ledger.Ledger`, each order judged and stored in one transaction.

The transaction begins by taking the write lock, so what the rules read is what they write on, whichever thread or
process asks. It is on disk (WAL, synchronous=FULL) when `post` returns; killed before, nothing of it is there.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from controller.adapters.ledger_files import (
    ENTRY_COLUMNS,
    entry_of_row,
    ledger_error,
    open_for_reading,
    open_ledger,
    row_of,
)
from controller.model.errors import NotFoundError
from controller.negotiation.checks import Refusal
from controller.negotiation.ledger import GENESIS, Entry, Holding, Order, Posted, judge
from controller.negotiation.wallet import root_of, scopes_of

_HOLDING = "id, envelope, workload_class, currency, made_microseconds, reserved, committed"
_PAGE = 1_000


class Rows:
    """The accounts as the tables have them; `controller.negotiation.ledger.Accounts` over one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def head(self) -> tuple[int, bytes, int]:
        """Position, hash and time of the newest entry."""
        row = self._row("SELECT position, hash, time_microseconds FROM entries ORDER BY position DESC LIMIT 1")
        return (row[0], row[1], row[2]) if row else (0, GENESIS, 0)

    def entry_of(self, root: str, key: str) -> Entry | None:
        """The entry under an idempotency key."""
        row = self._row(f"SELECT {ENTRY_COLUMNS} FROM entries WHERE root = ? AND key = ?", root, key)  # noqa: S608
        return entry_of_row(row) if row else None

    def holding(self, root: str, reservation: str) -> Holding | None:
        """A reservation."""
        row = self._row(f"SELECT {_HOLDING} FROM holdings WHERE root = ? AND id = ?", root, reservation)  # noqa: S608
        return Holding(*row) if row else None

    def currency_of(self, root: str) -> str:
        """The one currency of a root."""
        row = self._row("SELECT currency FROM entries WHERE root = ? LIMIT 1", root)
        return row[0] if row else ""

    def taken(self, scope: str, workload_class: str = "") -> int:
        """What is reserved and committed under a scope."""
        row = self._row("SELECT minor FROM taken WHERE scope = ? AND workload_class = ?", scope, workload_class)
        return row[0] if row else 0

    def taken_since(self, scope: str, microseconds: int) -> int:
        """What is still taken of the reservations made after that time. In the order of texts, `0` follows `/`."""
        row = self._row(
            "SELECT coalesce(sum(reserved + committed), 0) FROM holdings "
            "WHERE root = ? AND made_microseconds > ? AND (envelope = ? OR (envelope > ? AND envelope < ?))",
            root_of(scope),
            microseconds,
            scope,
            f"{scope}/",
            f"{scope}0",
        )
        return int(row[0]) if row else 0

    def store(self, entry: Entry) -> None:
        """Add an entry and what it changes."""
        marks = ", ".join("?" * 13)
        self._connection.execute(f"INSERT INTO entries ({ENTRY_COLUMNS}, root) VALUES ({marks})", row_of(entry))  # noqa: S608
        root = entry.root
        before = self.holding(root, entry.reservation) or Holding(
            entry.reservation, entry.envelope, entry.workload_class, entry.currency, entry.time_microseconds
        )
        after = before.after(entry)
        self._connection.execute(
            f"INSERT INTO holdings (root, {_HOLDING}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608
            "ON CONFLICT DO UPDATE SET reserved = excluded.reserved, committed = excluded.committed",
            (
                root,
                after.id,
                after.envelope,
                after.workload_class,
                after.currency,
                after.made_microseconds,
                after.reserved,
                after.committed,
            ),
        )
        self._add_taken(entry, after.taken - before.taken)

    def _add_taken(self, entry: Entry, change: int) -> None:
        if not change:
            return
        scopes = scopes_of(entry.envelope)
        # Read and written, as a negative change as an insert would not pass the table's own check.
        rows = [(s, c, self.taken(s, c) + change) for s in scopes for c in ("", entry.workload_class)]
        self._connection.executemany(
            "INSERT INTO taken (scope, workload_class, minor) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET minor = excluded.minor",
            rows,
        )

    def _row(self, statement: str, *arguments: object) -> Any:
        return self._connection.execute(statement, arguments).fetchone()


class SqliteLedger:
    """The ledger in file `path`, for any number of threads and processes. `close()` it."""

    def __init__(self, path: Path) -> None:
        """Open or create; `InvalidInputError` for a file that is something else."""
        self._path = path
        self._connection = open_ledger(path)
        self._rows = Rows(self._connection)
        self._lock = threading.Lock()

    def post(self, order: Order, now: float) -> Posted | Refusal:
        """Judge an order and store what comes of it; on disk when this returns. `now` in seconds since the epoch."""
        with self._transaction():
            answer = judge(order, self._rows, now)
            if isinstance(answer, Posted) and not answer.is_replay:
                self._rows.store(answer.entry)
        return answer

    def claim_nonce(self, holder: str, nonce: str, until: float, now: float) -> bool:
        """Whether the nonce is new; those whose time is over are forgotten, and refused after a clock is set back."""
        with self._transaction():
            row = self._connection.execute("SELECT until FROM forgotten").fetchone()
            forgotten = row[0] if row else 0.0
            if self._connection.execute("DELETE FROM nonces WHERE until <= ?", (now,)).rowcount and now > forgotten:
                forgotten = now
                self._connection.execute("INSERT OR REPLACE INTO forgotten VALUES (1, ?)", (now,))
            if until <= forgotten:
                return False
            added = self._connection.execute("INSERT OR IGNORE INTO nonces VALUES (?, ?, ?)", (holder, nonce, until))
            return added.rowcount == 1

    def head(self) -> tuple[int, bytes, int]:
        """Position, hash and time of the newest entry."""
        with self._reading():
            return self._rows.head()

    def entry_of(self, root: str, key: str) -> Entry | None:
        """The entry under an idempotency key."""
        with self._reading():
            return self._rows.entry_of(root, key)

    def holding(self, root: str, reservation: str) -> Holding | None:
        """A reservation."""
        with self._reading():
            return self._rows.holding(root, reservation)

    def holdings(self, root: str) -> tuple[Holding, ...]:
        """The reservations of a root that hold anything."""
        with self._reading():
            return holdings_in(self._connection, root)

    def currency_of(self, root: str) -> str:
        """The one currency of a root."""
        with self._reading():
            return self._rows.currency_of(root)

    def taken(self, scope: str, workload_class: str = "") -> int:
        """What is reserved and committed under a scope, in minor units."""
        with self._reading():
            return self._rows.taken(scope, workload_class)

    def taken_since(self, scope: str, microseconds: int) -> int:
        """What is still taken of the reservations made after that time."""
        with self._reading():
            return self._rows.taken_since(scope, microseconds)

    def entries(self, root: str = "", after: int = 0) -> Iterator[Entry]:
        """The entries of a root, or of all, in order, a page at a time."""
        while True:
            with self._reading():
                page = entries_in(self._connection, root, after)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].position

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._reading():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise ledger_error(error, self._path) from error


def entries_in(connection: sqlite3.Connection, root: str, after: int) -> list[Entry]:
    """One page of entries behind a position."""
    where, arguments = ("root = ? AND ", (root,)) if root else ("", ())
    statement = f"SELECT {ENTRY_COLUMNS} FROM entries WHERE {where}position > ? ORDER BY position LIMIT ?"  # noqa: S608
    return [entry_of_row(row) for row in connection.execute(statement, (*arguments, after, _PAGE))]


def holdings_in(connection: sqlite3.Connection, root: str = "") -> tuple[Holding, ...]:
    """The reservations that hold anything."""
    statement = (
        f"SELECT {_HOLDING} FROM holdings WHERE (root = ? OR ? = '') AND reserved + committed > 0 "  # noqa: S608
        "ORDER BY made_microseconds, id"
    )
    return tuple(Holding(*row) for row in connection.execute(statement, (root, root)))


def reader(path: Path) -> sqlite3.Connection:
    """A connection for looking at a ledger that is there; `NotFoundError` when it is not."""
    if not path.is_file():
        raise NotFoundError(
            "there is no ledger", path=str(path), remedy="say where it is: --ledger FILE, or --config of the daemon"
        )
    return open_for_reading(path)
