"""Owns `accord audit verify`: reads an event log as an auditor does, without the daemon and without writing to it.

Found: any changed byte in any column, missing, swapped, added and repeated records, altered tables, indexes that lead
elsewhere than the records. Not found without a head kept elsewhere: see `controller.events.audit`.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from controller.adapters.event_log_files import APPLICATION_ID, COLUMNS, SCHEMA, read_head, storage_error
from controller.events.audit import AuditFinding, AuditReport, ChainAuditor, parse_head
from controller.events.chain import Head, Record
from controller.model.errors import AccordError, InvalidInputError, NotFoundError

_MOST_FINDINGS = 100
_COLUMN_NAMES = COLUMNS.split(", ")
_COLUMN_TYPES = (int, str, int, str, int, str, str, str, bytes, bytes, bytes)


def verify(path: Path, expect_head: str = "") -> AuditReport:
    """Verify the log in `path`, in one streaming pass.

    `expect_head` is `POSITION:HASH` as kept elsewhere; the head file beside the log is compared too. Raises
    `NotFoundError` when there is no such file and `InvalidInputError` when it is no event log.
    """
    if not path.is_file():
        raise NotFoundError("there is no event log", path=str(path))
    findings: list[AuditFinding] = []
    heads = _kept_heads(path, expect_head, findings)
    auditor = ChainAuditor(expected_heads=tuple(head for _, head in heads))
    is_complete = True
    try:
        with closing(_connect(path)) as connection:
            _refuse_other_files(connection, path)
            for finding in _all_findings(connection, auditor):
                if len(findings) == _MOST_FINDINGS:
                    is_complete = False
                    break
                findings.append(finding)
    except sqlite3.Error as error:
        findings.append(AuditFinding(auditor.head.position + 1, f"the file cannot be read from here on: {error}"))
        is_complete = False
    names = tuple(name for name, _ in heads)
    return AuditReport(str(path), auditor.events, str(auditor.head), names, tuple(findings), is_complete)


def _kept_heads(path: Path, expect_head: str, findings: list[AuditFinding]) -> list[tuple[str, Head]]:
    heads = [("--expect-head", parse_head(expect_head))] if expect_head else []
    try:
        beside = read_head(path)
    except AccordError as error:
        findings.append(AuditFinding(0, f"the head kept beside the log is unusable: {error}"))
        beside = None
    return heads + ([("the head file beside the log", beside)] if beside else [])


def _connect(path: Path) -> sqlite3.Connection:
    """Read-only; as an immutable file where not even the shared-memory file can be made and nothing is pending."""
    location = f"file:{path.resolve().as_posix().replace('%', '%25').replace('?', '%3f').replace('#', '%23')}"
    try:
        connection = sqlite3.connect(f"{location}?mode=ro", uri=True, isolation_level=None)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        pending = path.with_name(path.name + "-wal")
        if pending.exists() and pending.stat().st_size:
            raise
        connection = sqlite3.connect(f"{location}?immutable=1", uri=True, isolation_level=None)
    # Text that is no UTF-8 any more must reach the auditor as it is, not stop the reading.
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    return connection


def _refuse_other_files(connection: sqlite3.Connection, path: Path) -> None:
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.DatabaseError as error:
        raise storage_error(error, path) from error
    if application != APPLICATION_ID:
        raise InvalidInputError("this file is not an event log of accord", path=str(path))


def _all_findings(connection: sqlite3.Connection, auditor: ChainAuditor) -> Iterator[AuditFinding]:
    """Tables, then every record in file order, then SQLite's own check of pages and indexes."""
    stored = {row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
    if stored != set(SCHEMA):
        yield AuditFinding(0, "the tables, indexes or triggers are not those that accord made")
    rows = connection.execute(f"SELECT {COLUMNS} FROM events NOT INDEXED ORDER BY position")  # noqa: S608 - constants
    damaged: list[AuditFinding] = []
    yield from auditor.findings(_records(rows, damaged))
    yield from damaged
    for (message,) in connection.execute("PRAGMA integrity_check(10)"):
        if message != "ok":
            yield AuditFinding(0, f"the file's structure is damaged: {message}")


def _records(rows: sqlite3.Cursor, damaged: list[AuditFinding]) -> Iterator[Record]:
    """The rows; values of the wrong kind are noted, the chain check then stumbles over them too."""
    for row in rows:
        for name, kind, value in zip(_COLUMN_NAMES, _COLUMN_TYPES, row, strict=True):
            if type(value) is not kind:
                damaged.append(AuditFinding(int(row[0]), f"column {name} holds {type(value).__name__}"))
        yield Record(*row)
