"""The file of a ledger: there after a restart, shared by many, whole when killed, and any change to it is found."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

from controller.adapters.ledger_audit import verify_ledger
from controller.adapters.ledger_sqlite import SqliteLedger
from controller.model.errors import AccordError, InvalidInputError, NotFoundError
from controller.negotiation.ledger import Limit, Posted, sealed
from tests.controller import ledger_debits
from tests.controller.ledger_samples import NOW, ROOT, held, orders, posted, reserve


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


# -- on disk ---------------------------------------------------------------------------------------------------------


def test_what_was_posted_is_there_after_a_restart_and_only_its_owner_may_read_it(path):
    ledger = SqliteLedger(path)
    first = posted(ledger, reserve("a", 300)).entry
    ledger.close()
    ledger = SqliteLedger(path)
    assert list(ledger.entries(ROOT)) == list(ledger.entries()) == [first]
    assert list(ledger.entries("did:web:x/y")) == list(ledger.entries(after=1)) == []
    assert posted(ledger, reserve("a", 300)).is_replay
    ledger.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_another_file_is_not_taken_for_a_ledger(tmp_path):
    text = tmp_path / "text"
    text.write_text("hello " * 200)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    for file in (text, other):
        before = file.read_bytes()
        with pytest.raises(Exception, match=r"not a ledger|damaged"):
            SqliteLedger(file)
        assert file.read_bytes() == before or file == other
    with pytest.raises(NotFoundError):
        verify_ledger(tmp_path / "nothing")


def test_many_who_debit_at_once_share_one_envelope(path):
    """Eight threads, each with a connection of its own, ask for more than there is, each order twice."""
    taken, start = [], threading.Barrier(8)

    def debit(number):
        ledger = SqliteLedger(path)
        start.wait(timeout=60)
        for turn in range(12):
            order = reserve(f"{number}-{turn}", 17, limits=(Limit(ROOT, 1_000, 1_000),))
            answers = [ledger.post(order, NOW), ledger.post(order, NOW)]
            if isinstance(answers[0], Posted):
                assert answers[1].is_replay
                taken.append(answers[0].entry.minor)
        ledger.close()

    SqliteLedger(path).close()
    threads = [threading.Thread(target=debit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger = SqliteLedger(path)
    assert sum(taken) == ledger.taken(ROOT) == 1_000 // 17 * 17
    ledger.close()
    assert verify_ledger(path).is_intact


def run_debits(directory):
    """How the processes ended that were to be killed, one before each statement."""
    command = [sys.executable, ledger_debits.__file__, str(directory)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def after_all(path):
    """What the accounts are once every order was posted, again or for the first time."""
    ledger = SqliteLedger(path)
    for order in orders():
        ledger.post(order, NOW)
    accounts = (held(ledger, "r-1"), held(ledger, "r-3"), ledger.holding(ROOT, "r-2"), ledger.taken(ROOT))
    entries = ledger.head()[0]
    ledger.close()
    return accounts, entries


@pytest.mark.timeout(900)
def test_killed_before_any_statement_the_ledger_is_whole_and_goes_on_to_the_same_end(tmp_path):
    ends = run_debits(tmp_path)
    assert len(ends) > 40
    assert set(ends) == {-signal.SIGKILL}
    end = after_all(tmp_path / "whole")
    assert end == (((0, 150), (250, 0), None, 400), 5)
    seen = set()
    for statement in range(1, len(ends) + 1):
        path = tmp_path / f"killed-{statement}"
        report = verify_ledger(path)
        assert report.findings == ()
        seen.add(report.entries)
        assert after_all(path) == end
        assert verify_ledger(path).is_intact
    assert seen == {0, 1, 2, 3, 4}


# -- tampering -------------------------------------------------------------------------------------------------------


@pytest.fixture
def full(path):
    ledger = SqliteLedger(path)
    for order in orders():
        ledger.post(order, NOW)
    ledger.close()
    return path


def tamper(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return verify_ledger(path)


CHANGES = {
    "an amount": "UPDATE entries SET minor = minor + 1 WHERE position = 2",
    "a kind": "UPDATE entries SET kind = 'refund' WHERE position = 2",
    "no kind": "UPDATE entries SET kind = 'gift' WHERE position = 2",
    "a class": "UPDATE entries SET workload_class = 'x' WHERE position = 1",
    "a key": "UPDATE entries SET key = 'k-9' WHERE position = 3",
    "a root": "UPDATE entries SET root = 'did:web:x.example/y' WHERE position = 3",
    "an envelope": "UPDATE entries SET envelope = root WHERE position = 1",
    "a reservation": "UPDATE entries SET reservation = 'r-9' WHERE position = 1",
    "a currency": "UPDATE entries SET currency = 'USD'",
    "a time": "UPDATE entries SET time_microseconds = time_microseconds + 1 WHERE position = 5",
    "limits": "UPDATE entries SET limits = replace(limits, '1000', '9000')",
    "no limits": "UPDATE entries SET limits = 'x' WHERE position = 1",
    "a hash": "UPDATE entries SET hash = zeroblob(32) WHERE position = 5",
    "a missing entry": "DELETE FROM entries WHERE position = 3",
    "the first one missing": "DELETE FROM entries WHERE position = 1",
    "the last one missing": "DELETE FROM entries WHERE position = 5",
    "all entries missing": "DELETE FROM entries",
    "two swapped": "UPDATE entries SET position = CASE position WHEN 2 THEN -3 ELSE position END",
    "a holding": "UPDATE holdings SET committed = 0",
    "a holding missing": "DELETE FROM holdings WHERE id = 'r-1'",
    "a sum": "UPDATE taken SET minor = 0",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM taken; END",
}


@pytest.mark.parametrize("name", CHANGES)
def test_any_change_behind_the_ledgers_back_is_found(full, name):
    assert verify_ledger(full).is_intact
    assert not tamper(full, CHANGES[name]).is_intact


def test_an_entry_that_is_chained_well_but_breaks_a_rule_is_found(full):
    """A forger who knows how hashes are made, and adds a refund of money that was never committed."""
    ledger = SqliteLedger(full)
    last = list(ledger.entries())[-1]
    forged = {"position": last.position + 1, "previous_hash": last.hash, "minor": 100_000, "key": "k-9"}
    entry = sealed(type(last)(**{name: getattr(last, name) for name in last.__slots__} | forged))
    with ledger._transaction():
        ledger._connection.execute("PRAGMA ignore_check_constraints = ON")
        ledger._rows.store(entry)
    ledger.close()
    report = verify_ledger(full)
    assert "should have been refused" in report.findings[0].message
    assert report.findings[0].position == last.position + 1


def test_a_ledger_that_was_cut_back_whole_is_found_by_a_head_kept_elsewhere(tmp_path):
    short, full = tmp_path / "short", tmp_path / "full"
    for path, count in ((short, 3), (full, 6)):
        ledger = SqliteLedger(path)
        for order in orders()[:count]:
            ledger.post(order, NOW)
        ledger.close()
    early, late = verify_ledger(short).head, verify_ledger(full).head
    assert verify_ledger(short).is_intact
    assert not verify_ledger(short, late).is_intact
    assert verify_ledger(full, early).is_intact
    assert verify_ledger(full, late).is_intact
    for head in ("x", "1:zz", "1", f"-1:{'0' * 64}"):
        with pytest.raises(InvalidInputError):
            verify_ledger(full, head)


def test_any_flipped_byte_of_the_file_is_found_or_was_in_no_use(full):
    """Bytes of the file that hold nothing may differ; the accounts may not, without its being found."""
    good = full.read_bytes()
    with sqlite3.connect(full) as connection:
        before = list(connection.iterdump())
    connection.close()
    for at in range(3, len(good), 211):
        full.write_bytes(good[:at] + bytes([good[at] ^ 0x15]) + good[at + 1 :])
        try:
            is_found = not verify_ledger(full).is_intact
        except (AccordError, sqlite3.Error) as error:
            is_found = bool(str(error))
        if not is_found:
            with sqlite3.connect(full) as connection:
                assert list(connection.iterdump()) == before
            connection.close()
