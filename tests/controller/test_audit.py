"""`verify` finds whatever was done to a log, says how far it can be trusted, and needs no daemon."""

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.adapters.clock import SystemClock
from controller.adapters.event_log_audit import verify
from controller.adapters.event_log_sqlite import SqliteEventLog
from controller.events.audit import AuditReport, ChainAuditor, parse_head
from controller.events.chain import Draft, Head, Origin, Record, record_hash, seal
from controller.model.errors import InvalidInputError, NotFoundError
from controller.ports import NewEvent

EVENTS = 40
COLUMNS = {
    "position": int, "stream": str, "version": int, "type": str, "time_microseconds": int, "actor": str, "cause": str,
    "idempotency_key": str, "data": bytes, "previous_hash": bytes, "hash": bytes,
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "events.db"

    async def write() -> None:
        log = SqliteEventLog(path, clock=SystemClock())
        for i in range(EVENTS):
            event = NewEvent(f"stream{i % 3}", "happened", {"n": i, "text": "ä" * (i % 5)})
            await log.append([event], actor="me", cause=f"request {i}", idempotency_key=f"k{i}" if i % 2 else "")
        log.close()

    asyncio.run(write())
    return path


@pytest.fixture(scope="module")
def image(written: Path) -> bytes:
    """The log's file with a rollback journal kept in memory, so that a mutation costs no fsync."""
    copy = written.with_name("image.db")
    shutil.copy(written, copy)
    connection = sqlite3.connect(copy)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    return copy.read_bytes()


@pytest.fixture
def log(written: Path, tmp_path: Path) -> Path:
    for file in written.parent.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path / written.name


def run(log: Path, *statements: str) -> None:
    connection = sqlite3.connect(log)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def messages(report: AuditReport) -> str:
    return "\n".join(f"{finding.position}: {finding.message}" for finding in report.findings)


def test_an_untouched_log_is_intact(log: Path) -> None:
    report = verify(log)
    assert report.is_intact
    assert report.is_complete
    assert report.events == EVENTS
    assert report.heads == ("the head file beside the log",)
    assert report.head == log.with_name("events.db.head").read_text().strip()
    assert verify(log, expect_head=report.head).heads == ("--expect-head", "the head file beside the log")


@settings(max_examples=150)
@given(
    position=st.integers(1, EVENTS), column=st.sampled_from(sorted(COLUMNS)), at=st.integers(0), bit=st.integers(0, 7)
)
def test_any_flipped_bit_in_any_column_is_found(image: bytes, position: int, column: str, at: int, bit: int) -> None:
    if column == "idempotency_key" and position % 2:
        position = position % EVENTS + 1
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "events.db"
        log.write_bytes(image)
        connection = sqlite3.connect(log, isolation_level=None)
        connection.execute("PRAGMA synchronous = OFF")
        (value,) = connection.execute(f"SELECT {column} FROM events WHERE position = ?", (position,)).fetchone()
        changed = flipped(value, at, bit)
        if column == "position" and 0 < changed <= EVENTS:  # type: ignore[operator]
            connection.execute("DELETE FROM events WHERE position = ?", (changed,))
        connection.execute(f"UPDATE events SET {column} = ? WHERE position = ?", (changed, position))
        connection.close()
        report = verify(log)
    assert not report.is_intact
    assert column == "position" or any(finding.position in {position, position + 1} for finding in report.findings)


def flipped(value: object, at: int, bit: int) -> int | str | bytes:
    """The value with one bit turned over; text stays text."""
    if isinstance(value, int):
        return value ^ (1 << (at % 50))
    raw = bytearray(value.encode() if isinstance(value, str) else bytes(value))  # type: ignore[arg-type]
    raw[at % len(raw)] ^= 1 << bit
    return raw.decode("latin-1") if isinstance(value, str) else bytes(raw)


@pytest.mark.parametrize(
    "statements, words",
    [
        (["DELETE FROM events WHERE position = 1"], "events 1 to 1 are missing"),
        (["DELETE FROM events WHERE position BETWEEN 7 AND 9"], "events 7 to 9 are missing"),
        (["DELETE FROM events WHERE position > 38"], "the log ends at 38: cut off"),
        (["DELETE FROM events"], "the log ends at 0: cut off"),
        (
            [
                "UPDATE events SET position = 1000 WHERE position = 5",
                "UPDATE events SET position = 5 WHERE position = 6",
                "UPDATE events SET position = 6 WHERE position = 1000",
            ],
            "5: does not follow",
        ),
        (
            ["INSERT INTO events SELECT 41, stream, 14, type, 0, actor, '', '', data, hash, hash FROM events LIMIT 1"],
            "41: its content does not match its hash",
        ),
        (
            [
                "CREATE TEMPORARY TABLE last AS SELECT * FROM events WHERE position = 40",
                "UPDATE last SET position = 41",
                "INSERT INTO events SELECT * FROM last",
            ],
            "41: does not follow",
        ),
        (["CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM events; END"], "tables, indexes or triggers"),
        (["DROP INDEX events_by_stream"], "tables, indexes or triggers"),
        (["CREATE TABLE more (c)"], "tables, indexes or triggers"),
        (["UPDATE events SET data = x'ff' WHERE position = 3"], "3: its content does not match"),
        (["UPDATE events SET actor = CAST(x'fffe' AS TEXT) WHERE position = 3"], "3: its content does not match"),
    ],
)
def test_missing_swapped_added_and_altered_records_are_found(log: Path, statements: list[str], words: str) -> None:
    run(log, *statements)
    assert words in messages(verify(log))


def test_a_value_of_another_type_is_found_even_where_the_table_no_longer_forbids_it(log: Path) -> None:
    run(
        log,
        "CREATE TABLE loose (position INTEGER PRIMARY KEY, stream, version, type, time_microseconds, actor, cause, "
        "idempotency_key, data, previous_hash, hash)",
        "INSERT INTO loose SELECT * FROM events",
        "DROP TABLE events",
        "ALTER TABLE loose RENAME TO events",
        "UPDATE events SET data = CAST(data AS TEXT), hash = NULL WHERE position = 2",
    )
    found = messages(verify(log))
    assert "2: column data holds str" in found
    assert "2: column hash holds NoneType" in found


def test_an_index_that_hides_a_record_is_found(log: Path) -> None:
    connection = sqlite3.connect(log)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'events_by_stream'").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    raw = bytearray(log.read_bytes())
    at = raw.index(b"stream1", (page - 1) * size, page * size)
    raw[at : at + 7] = b"strean1"
    log.write_bytes(raw)
    assert "structure is damaged" in messages(verify(log))


@pytest.mark.parametrize("offset", [0, 16, 30, 100, 4096 + 1, 4096 + 9, 2 * 4096 + 3, -4096, -1])
def test_a_byte_of_the_file_turned_over_is_found_or_harmless(log: Path, offset: int) -> None:
    before = list(sqlite_rows(log))
    raw = bytearray(log.read_bytes())
    raw[offset] ^= 0xFF
    log.write_bytes(raw)
    try:
        report = verify(log)
    except InvalidInputError:
        return
    if report.is_intact:
        assert list(sqlite_rows(log)) == before


def sqlite_rows(log: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(log)
    rows = connection.execute("SELECT * FROM events NOT INDEXED ORDER BY position").fetchall()
    connection.close()
    return rows


def rewritten(log: Path) -> None:
    """What somebody does who can write the file and knows how: another past, every hash right."""
    connection = sqlite3.connect(log)
    rows = [Record(*row) for row in connection.execute("SELECT * FROM events ORDER BY position")]
    head = Head()
    for row in rows:
        forged = row._replace(data=b'{"n":99}' if row.position == 5 else row.data, previous_hash=head.hash)
        head = Head(row.position, record_hash(forged))
        connection.execute(
            "UPDATE events SET data = ?, previous_hash = ?, hash = ? WHERE position = ?",
            (forged.data, forged.previous_hash, head.hash, row.position),
        )
    connection.commit()
    connection.close()


def cut_off(log: Path) -> None:
    run(log, "DELETE FROM events WHERE position > 30")


@pytest.mark.parametrize("tamper", [rewritten, cut_off])
def test_a_rewritten_or_cut_log_shows_only_against_a_kept_head_and_the_report_says_so(
    log: Path, tamper: Callable[[Path], None]
) -> None:
    kept = verify(log).head
    tamper(log)
    assert not verify(log).is_intact
    log.with_name("events.db.head").unlink()
    blind = verify(log)
    assert blind.is_intact
    assert "No head was compared" in blind.limits
    seeing = verify(log, expect_head=kept)
    assert not seeing.is_intact
    assert "rewritten" in messages(seeing) or "cut off" in messages(seeing)


def test_what_is_newer_than_the_kept_head_is_accepted_and_named_as_the_limit(log: Path) -> None:
    old = Head(10, Record(*sqlite_rows(log)[9]).hash)  # type: ignore[arg-type]
    report = verify(log, expect_head=str(old))
    assert report.is_intact
    assert "newer than the kept head" in report.limits


@pytest.mark.parametrize("text", ["", "7", "x:00", "7:zz", "7:00", "-1:" + "00" * 32])
def test_a_head_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="POSITION:HASH"):
        parse_head(text)


def test_an_unreadable_head_file_is_a_finding(log: Path) -> None:
    log.with_name("events.db.head").write_text("rubbish")
    assert "the head kept beside the log is unusable" in messages(verify(log))


def test_files_that_are_no_log_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        verify(tmp_path / "none.db")
    empty = tmp_path / "empty.db"
    empty.touch()
    with pytest.raises(InvalidInputError, match="not an event log"):
        verify(empty)


def test_a_log_in_use_and_a_log_that_may_only_be_read_are_verified(log: Path) -> None:
    writer = SqliteEventLog(log, clock=SystemClock())
    asyncio.run(writer.append([NewEvent("s", "happened", {})], actor="me"))
    assert verify(log).events == EVENTS + 1
    writer.close()
    log.chmod(0o400)
    log.parent.chmod(0o500)
    assert verify(log).is_intact
    log.parent.chmod(0o700)


def test_the_list_of_findings_has_an_end(log: Path) -> None:
    run(log, "UPDATE events SET data = x'7b7d', previous_hash = hash")
    report = verify(log)
    assert not report.is_complete or len(report.findings) < 100


@given(st.lists(st.tuples(st.sampled_from("ab"), st.binary(max_size=5)), max_size=8), st.data())
def test_no_reordering_omission_or_repetition_of_records_passes(
    items: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    drafts = [Draft(stream, "t", body) for stream, body in items]
    records = list(seal(drafts, Head(), lambda _: 0, Origin("me", "", "", 1)))
    assert list(ChainAuditor().findings(records)) == []
    kept = (Head(records[-1].position, records[-1].hash),) if records else ()
    chosen = data.draw(st.lists(st.sampled_from(records), max_size=9)) if records else []
    if chosen != records:
        assert list(ChainAuditor(expected_heads=kept).findings(chosen))
