"""The event log in SQLite keeps the contract, and what it acknowledged survives every way of ending."""

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.adapters.clock import SystemClock
from controller.adapters.event_log_audit import verify
from controller.adapters.event_log_sqlite import SqliteEventLog
from controller.model.errors import BusyError, ConflictError, InvalidInputError, LockedError, PermanentError
from controller.ports import Event, NewEvent
from tests.controller.event_log_contract import EventLogContract, SteppingClock, lifted, something

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
def log(path: Path, clock: SteppingClock) -> Iterator[SqliteEventLog]:
    log = SqliteEventLog(path, clock=clock, upcasters=lifted())
    yield log
    log.close()


class TestSqliteEventLog(EventLogContract):
    """The contract, on disk."""


def reopened(path: Path) -> SqliteEventLog:
    return SqliteEventLog(path, clock=SystemClock())


@pytest.mark.parametrize("kind", ["service.thing", "assurance.decision", "recovery.planned", "transaction.thing"])
async def test_what_subscribers_are_told_is_what_is_read_again(log: SqliteEventLog, kind: str) -> None:
    """What they keep of it may go into a snapshot; a transaction's own records, which no snapshot holds, are lazy."""
    told: list[Event] = []
    log.subscribe(told.extend)
    await log.append([NewEvent("s", kind, {"a": {"b": [1]}})], actor="me")
    (read,) = log.read()
    assert {**told[0].data} == read.data == {"a": {"b": [1]}}
    assert (type(told[0].data) is dict) is (kind != "transaction.thing")


async def test_a_log_goes_on_where_it_was_closed(path: Path, log: SqliteEventLog) -> None:
    stored = await log.append([something(), something()], actor="me", idempotency_key="k")
    log.close()
    log.close()
    with pytest.raises(PermanentError, match="closed"):
        await log.append([something()], actor="me")
    again = reopened(path)
    assert list(again.read()) == list(stored)
    assert again.last_position() == 2
    assert list(await again.append([something()], actor="me", idempotency_key="k")) == list(stored)
    (third,) = await again.append([something()], actor="me", expected_versions={"s": 2})
    assert (third.position, third.version, third.previous_hash) == (3, 3, stored[1].hash)
    again.close()
    assert verify(path).is_intact


async def test_the_files_are_for_their_owner_only(path: Path, log: SqliteEventLog) -> None:
    await log.append([something()], actor="me")
    log.save_snapshot("s", 1, {})
    log.close()
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes) == {"events.db", "events.db.lock", "events.db.head", "events.db.snapshots"}
    assert set(modes.values()) == {0o600}


async def test_closing_stores_what_still_waits(path: Path, log: SqliteEventLog) -> None:
    waiting = [asyncio.ensure_future(log.append([something(i=i)], actor="me")) for i in range(50)]
    await asyncio.sleep(0)
    log.close()
    await asyncio.gather(*waiting)
    again = reopened(path)
    assert again.last_position() == 50
    again.close()


async def test_a_cancelled_append_disturbs_nobody(log: SqliteEventLog) -> None:
    cancelled = asyncio.ensure_future(log.append([something()], actor="me"))
    await asyncio.sleep(0)
    cancelled.cancel()
    await log.append([something()], actor="me")
    assert cancelled.cancelled()
    assert log.last_position() == 2


def test_a_second_writer_is_refused_and_told_who_the_first_is(path: Path, log: SqliteEventLog) -> None:
    with pytest.raises(LockedError, match=f"pid {os.getpid()}") as refused:
        reopened(path)
    assert refused.value.app_tag == f"pid {os.getpid()}"
    script = "import sys;from tests.controller.test_event_log_sqlite import *;reopened(Path(sys.argv[1]))"
    other = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert f"another process writes this event log: pid {os.getpid()}" in other.stderr
    log.close()
    reopened(path).close()


def test_a_file_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to be read as one" * 30)
    with pytest.raises(PermanentError, match="damaged"):
        reopened(text)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (c)")
    connection.close()
    with pytest.raises(InvalidInputError, match="not an event log"):
        reopened(other)
    with pytest.raises(PermanentError, match="cannot"):
        reopened(tmp_path / "no such directory" / "events.db")


def test_a_log_of_a_newer_program_is_refused(path: Path, log: SqliteEventLog) -> None:
    log.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(InvalidInputError, match="has format 9, this program knows 1"):
        reopened(path)


async def test_a_log_that_lost_its_end_is_not_opened(path: Path, log: SqliteEventLog) -> None:
    await log.append([something(), something(), something()], actor="me")
    log.close()
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM events WHERE position = 3")
    connection.commit()
    connection.close()
    with pytest.raises(ConflictError, match=r"event 3.*remove .*events\.db\.head"):
        reopened(path)
    path.with_name("events.db.head").unlink()
    reopened(path).close()


async def test_a_snapshot_counts_only_while_the_chain_still_holds_its_event(path: Path, log: SqliteEventLog) -> None:
    await log.append([something(i=i) for i in range(3)], actor="me")
    log.save_snapshot("state", 3, {"a": b"1"})
    log.close()
    path.with_name("events.db.head").unlink()
    for statement in ("UPDATE events SET hash = zeroblob(32) WHERE position = 3", "DELETE FROM events"):
        connection = sqlite3.connect(path)
        connection.execute(statement)
        connection.commit()
        connection.close()
        again = reopened(path)
        assert again.load_snapshot("state") is None
        again.close()
        path.with_name("events.db.head").unlink()


def change_snapshots(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path.with_name("events.db.snapshots"))
    connection.executescript(statement)
    connection.close()


async def test_a_damaged_part_of_a_snapshot_is_as_good_as_none_and_the_others_count(log: SqliteEventLog) -> None:
    await log.append([something()], actor="me")
    log.save_snapshot("state", 1, {"a": b"1", "b": b"1"})
    change_snapshots(log._path, "UPDATE parts SET body = x'32' WHERE key = 'a'")
    snapshot = log.load_snapshot("state")
    assert snapshot is not None
    assert snapshot.part("a") is None
    assert snapshot.part("b") == b"1"


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM parts WHERE key = 'a'",
        "UPDATE parts SET digest = zeroblob(32) WHERE key = 'a'",
        "UPDATE parts SET key = 'c' WHERE key = 'a'",
        "UPDATE snapshots SET digest = zeroblob(32)",
    ],
)
async def test_a_snapshot_whose_parts_are_not_those_it_was_saved_with_is_none(log: SqliteEventLog, damage: str) -> None:
    await log.append([something()], actor="me")
    log.save_snapshot("state", 1, {"a": b"1", "b": b"1"})
    change_snapshots(log._path, damage)
    assert log.load_snapshot("state") is None


@pytest.mark.parametrize("former", ["state@1", "state", "state@3"])
async def test_another_version_of_a_snapshot_is_not_there_and_goes_with_the_next_save(
    log: SqliteEventLog, former: str
) -> None:
    await log.append([something()], actor="me")
    for name in (former, "statement@1"):
        log.save_snapshot(name, 1, {"a": b"1"})
    assert log.load_snapshot("state@2") is None
    log.save_snapshot("state@2", 1, {"a": b"2"})
    assert log.load_snapshot(former) is None
    assert log.load_snapshot("statement@1") is not None


async def test_snapshots_in_a_layout_of_another_release_are_left_behind(path: Path, log: SqliteEventLog) -> None:
    await log.append([something()], actor="me")
    log.close()
    path.with_name("events.db.snapshots").unlink()
    change_snapshots(
        path,
        "CREATE TABLE snapshots (name TEXT PRIMARY KEY, position INTEGER, hash BLOB, digest BLOB);"
        "CREATE TABLE parts (name TEXT, key TEXT, body BLOB, PRIMARY KEY (name, key));"
        "INSERT INTO snapshots VALUES ('state', 1, x'00', x'00');",
    )
    again = reopened(path)
    assert again.load_snapshot("state") is None
    again.save_snapshot("state", 1, {"a": b"1"})
    assert again.load_snapshot("state") is not None
    again.close()


async def test_a_snapshot_file_that_is_no_database_is_started_anew(path: Path, log: SqliteEventLog) -> None:
    await log.append([something()], actor="me")
    log.close()
    path.with_name("events.db.snapshots").write_bytes(b"no database at all, but a file long enough" * 100)
    again = reopened(path)
    assert again.load_snapshot("state") is None
    again.save_snapshot("state", 1, {"a": b"1"})
    assert again.load_snapshot("state") is not None
    again.close()


KILLED = """
import asyncio, sys
from tests.controller.test_event_log_sqlite import *

async def main():
    log = reopened(Path(sys.argv[1]))
    async def one(worker):
        for i in range(10**9):
            events = await log.append([something(f"s{worker}", i=i), something("all")], actor="me")
            print(events[-1].position, events[-1].hash, flush=True)
    await asyncio.gather(*(one(worker) for worker in range(8)))

asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledged", [1, 57, 500])
def test_after_kill_9_every_acknowledged_event_is_there_and_the_chain_holds(path: Path, acknowledged: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as writer:
        assert writer.stdout is not None
        lines = [next(writer.stdout) for _ in range(acknowledged)]
        writer.send_signal(signal.SIGKILL)
        lines += [line for line in writer.stdout if line.endswith("\n")]
    log = reopened(path)
    hashes = {event.position: event.hash for event in log.read()}
    for line in lines:
        position, digest = line.split()
        assert hashes[int(position)] == digest
    assert log.last_position() % 2 == 0, "an append was stored by half"
    asyncio.run(log.append([something()], actor="me"))
    log.close()
    assert verify(path).is_intact


NO_ROOM = """
import asyncio, resource, sys
from tests.controller.test_event_log_sqlite import *

async def main():
    log = reopened(Path(sys.argv[1]))
    await log.append([something(pad="x" * 1000)], actor="me")
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    stored, refused = 1, []
    for i in range(400):
        try:
            batch = [something(i=i, pad="x" * 1000), something("t")]
            await log.append(batch, actor="me", expected_versions={"t": stored - 1})
            stored += 1
        except BusyError as error:
            refused.append(str(error))
    assert refused, "the limit was never met"
    assert "nothing was stored" in refused[0] and "free space" in refused[0], refused[0]
    assert log.last_position() == 2 * stored - 1 == sum(1 for _ in log.read())
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await log.append([something("t")], actor="me", expected_versions={"t": stored - 1})
    assert log.last_position() == 2 * stored
    log.close()
    print("stored", stored)

asyncio.run(main())
"""


def test_a_full_disk_is_a_clear_refusal_and_work_goes_on_when_there_is_room(path: Path) -> None:
    writer = subprocess.run(
        [sys.executable, "-c", NO_ROOM, str(path)], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert writer.returncode == 0, writer.stderr
    assert writer.stdout.startswith("stored ")
    assert verify(path).is_intact


async def test_a_log_that_may_not_be_written_says_so(log: SqliteEventLog, path: Path) -> None:
    await log.append([something()], actor="me")
    log._writer.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(PermanentError, match="may not be written here, nothing was stored"):
        await log.append([something()], actor="me")
    log._writer.connection.execute("PRAGMA query_only = OFF")
    (event,) = await log.append([something()], actor="me")
    assert event.position == 2


async def test_a_failure_nobody_foresaw_reaches_the_caller_and_the_next_append_works(log: SqliteEventLog) -> None:
    log._writer.connection.close()
    with pytest.raises(PermanentError, match="event log failed"):
        await log.append([something()], actor="me")
    (event,) = await log.append([something()], actor="me")
    assert event.position == 1
    assert (log.statistics.commits, log.statistics.events, log.failed_commits()) == (1, 1, 1)
    assert log.statistics.commit_seconds > 0
    assert log.waiting == 0


async def test_a_failing_upcaster_is_told_and_the_log_goes_on(log: SqliteEventLog) -> None:
    with pytest.raises(PermanentError, match="stored, but an upcaster failed: KeyError"):
        await log.append([NewEvent("s", "old@2", {})], actor="me")
    (event,) = await log.append([something()], actor="me")
    assert event.position == 2


async def test_too_many_waiting_appends_are_refused(log: SqliteEventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.adapters.event_log_sqlite._MOST_WAITING", 0)
    with pytest.raises(BusyError, match="too many"):
        await log.append([something()], actor="me")


async def test_reading_in_another_thread_while_writing_sees_a_prefix(log: SqliteEventLog) -> None:
    async def write() -> None:
        for i in range(100):
            await log.append([NewEvent("s", "happened", {"i": i})] * 30, actor="me")

    def read() -> list[int]:
        return [event.position for event in log.read()]

    writing = asyncio.ensure_future(write())
    while not writing.done():
        positions = await asyncio.to_thread(read)
        assert positions == list(range(1, len(positions) + 1))
    assert log.last_position() == 3_000
