"""Owns `accord ledger verify`: reads a ledger as an auditor does, without the daemon and without writing to it.

Every entry is computed again from the ones before it by the rules themselves: its hash, its place, its amount, and
whether the envelope allowed it. Then the sums beside the entries are compared with what the entries say. What was cut
off at the end, sums included, shows only against a head that was kept elsewhere.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from controller.adapters.ledger_files import ENTRY_COLUMNS, SCHEMA, entry_of_row
from controller.adapters.ledger_sqlite import holdings_in, reader
from controller.model.errors import AccordError, InvalidInputError
from controller.negotiation.ledger_state import LedgerState

_MOST_FINDINGS = 100
_HEAD = re.compile(r"([0-9]{1,15}):([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class LedgerFinding:
    """What is not as it was posted; position 0 where it is no single entry."""

    position: int
    message: str


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """What an audit found. `head` is `POSITION:HASH`, to be kept out of reach of whoever can write the ledger."""

    path: str
    entries: int
    head: str
    findings: tuple[LedgerFinding, ...]

    @property
    def is_intact(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def verify_ledger(path: Path, expect_head: str = "") -> LedgerReport:
    """Verify the ledger in `path`; `expect_head` is a head that was kept elsewhere."""
    expected = _parse_head(expect_head) if expect_head else None
    state, findings = LedgerState(), list[LedgerFinding]()
    passed: dict[int, bytes] = {0: state.head()[1]}
    try:
        with closing(reader(path)) as connection:
            # One read transaction, so that a daemon that posts meanwhile is not mistaken for a forger.
            connection.execute("BEGIN")
            for finding in _findings(connection, state, passed, expected[0] if expected else 0):
                findings.append(finding)
                if len(findings) == _MOST_FINDINGS:
                    break
    except sqlite3.Error as error:
        findings.append(LedgerFinding(state.head()[0] + 1, f"the file cannot be read from here on: {error}"))
    if expected and passed.get(expected[0]) != expected[1]:
        findings.append(
            LedgerFinding(expected[0], "the entry of the kept head is not here as it was: cut off, or another")
        )
    position, digest, _ = state.head()
    return LedgerReport(str(path), position, f"{position}:{digest.hex()}", tuple(findings))


def _findings(
    connection: sqlite3.Connection, state: LedgerState, passed: dict[int, bytes], kept: int
) -> Iterator[LedgerFinding]:
    stored = {row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
    if stored != set(SCHEMA):
        yield LedgerFinding(0, "the tables, indexes or triggers are not those that accord made")
    fault = None
    rows = connection.execute(f"SELECT {ENTRY_COLUMNS}, root FROM entries NOT INDEXED ORDER BY position")  # noqa: S608
    for *row, root in rows:
        fault = _take(tuple(row), str(root), state)
        if fault:
            yield fault
            yield LedgerFinding(fault.position, "what follows it was not looked at: nothing holds it up")
            break
        if state.head()[0] == kept:
            passed[kept] = state.head()[1]
    if not fault:
        yield from _differing_sums(connection, state)
    for (message,) in connection.execute("PRAGMA integrity_check(10)"):
        if message != "ok":
            yield LedgerFinding(0, f"the file's structure is damaged: {message}")


def _take(row: tuple[object, ...], root: str, state: LedgerState) -> LedgerFinding | None:
    """Apply a stored entry, or say what is wrong with it."""
    position = row[0] if isinstance(row[0], int) else 0
    try:
        entry = entry_of_row(row)
        fault = state.fault_of(entry) or ("" if entry.root == root else "it stands under another root")
        if not fault:
            state.apply(entry)
    except (AccordError, ValueError, TypeError) as error:
        fault = f"it is not an entry: {error}"
    return LedgerFinding(position, fault) if fault else None


def _differing_sums(connection: sqlite3.Connection, state: LedgerState) -> Iterator[LedgerFinding]:
    stored = {(scope, name): minor for scope, name, minor in connection.execute("SELECT * FROM taken") if minor}
    for scope, name in sorted(dict(stored.items() ^ state.all_taken().items())):
        yield LedgerFinding(0, f"what is taken of '{scope}' by class '{name}' is not what the entries say")
    said, meant = set(holdings_in(connection)), set(state.holdings())
    for holding in sorted(said ^ meant, key=lambda held: held.id):
        yield LedgerFinding(0, f"the reservation '{holding.id}' is not what the entries say")


def _parse_head(said: str) -> tuple[int, bytes]:
    match = _HEAD.fullmatch(said)
    if not match:
        raise InvalidInputError("a head is POSITION:HASH, as 'accord ledger verify' prints it")
    return int(match[1]), bytes.fromhex(match[2])
