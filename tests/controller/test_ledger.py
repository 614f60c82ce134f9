"""The ledger never gives more than the envelope: whoever asks, however often, by whatever paper, killed wherever."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from controller.adapters.ledger_audit import verify_ledger
from controller.adapters.ledger_sqlite import SqliteLedger
from controller.model.errors import AccordError, InvalidInputError, NotFoundError
from controller.negotiation.checks import Check, Refusal
from controller.negotiation.ledger import MOVES, Account, EntryKind, Limit, Order, Posted, sealed
from controller.negotiation.ledger_state import LedgerState
from tests.controller import ledger_debits
from tests.controller.ledger_debits import CHILD, LIMITS, NOW, ROOT, orders
from tests.controller.wallet_samples import CHILD as CHILD_WALLET
from tests.controller.wallet_samples import ROOT as ROOT_WALLET
from tests.controller.wallet_samples import euro

HOUR = 3_600


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request, path):
    """The same rules in memory and on disk."""
    found = LedgerState() if request.param == "memory" else SqliteLedger(path)
    yield found
    if request.param == "sqlite":
        found.close()


def reserve(key, minor, *, envelope=ROOT, workload_class="bulk", limits=None, reservation="", currency="EUR"):
    limits = limits or (LIMITS if envelope == CHILD else LIMITS[:1])
    return Order(EntryKind.RESERVE, envelope, reservation or key, key, minor, currency, workload_class, limits)


def draw(kind, reservation, key, minor=None):
    return Order(kind, ROOT, reservation, key, minor, "EUR" if minor else "")


def refusal(ledger, order, now=NOW):
    answer = ledger.post(order, now)
    assert isinstance(answer, Refusal)
    assert answer.check is Check.LEDGER
    return answer.text


def posted(ledger, order, now=NOW):
    answer = ledger.post(order, now)
    assert isinstance(answer, Posted), answer
    return answer


def held(ledger, reservation):
    holding = ledger.holding(ROOT, reservation)
    return holding.reserved, holding.committed


# -- the four moves --------------------------------------------------------------------------------------------------


def test_money_goes_from_the_envelope_to_reserved_to_committed_and_back(ledger):
    posted(ledger, reserve("a", 300))
    assert (held(ledger, "a"), ledger.taken(ROOT)) == ((300, 0), 300)
    posted(ledger, draw(EntryKind.COMMIT, "a", "b", 200))
    assert (held(ledger, "a"), ledger.taken(ROOT)) == ((100, 200), 300)
    posted(ledger, draw(EntryKind.RELEASE, "a", "c"))
    assert (held(ledger, "a"), ledger.taken(ROOT)) == ((0, 200), 200)
    posted(ledger, draw(EntryKind.REFUND, "a", "d", 50))
    assert (held(ledger, "a"), ledger.taken(ROOT)) == ((0, 150), 150)
    assert [holding.id for holding in ledger.holdings(ROOT)] == ["a"]
    posted(ledger, draw(EntryKind.REFUND, "a", "e"))
    assert (ledger.taken(ROOT), ledger.holdings(ROOT)) == (0, ())


def test_every_entry_is_two_postings_that_sum_to_nothing(ledger):
    for order in orders():
        answer = ledger.post(order, NOW)
        if isinstance(answer, Posted):
            source, target = answer.entry.postings
            assert source.minor + target.minor == 0
            assert (source.account, target.account) == MOVES[answer.entry.kind]
            assert target.minor > 0


def test_every_kind_of_entry_moves_between_two_accounts():
    assert MOVES.keys() == set(EntryKind)
    assert {account for move in MOVES.values() for account in move} == set(Account)


@pytest.mark.parametrize(
    "kind, minor", [(EntryKind.COMMIT, 301), (EntryKind.RELEASE, 301), (EntryKind.REFUND, 1), (EntryKind.REFUND, None)]
)
def test_no_more_is_drawn_than_a_reservation_has(ledger, kind, minor):
    posted(ledger, reserve("a", 300))
    assert "the reservation has" in refusal(ledger, draw(kind, "a", "b", minor))
    assert held(ledger, "a") == (300, 0)


def test_nothing_is_drawn_from_a_reservation_that_is_not_there(ledger):
    assert "no reservation" in refusal(ledger, draw(EntryKind.COMMIT, "a", "b"))


# -- the invariant ---------------------------------------------------------------------------------------------------


def test_a_ceiling_is_reached_to_the_last_cent_and_not_passed(ledger):
    limits = (Limit(ROOT, 1_000, 1_000),)
    posted(ledger, reserve("a", 999, limits=limits))
    assert "ceiling" in refusal(ledger, reserve("b", 2, limits=limits))
    posted(ledger, reserve("c", 1, limits=limits))
    assert "ceiling" in refusal(ledger, reserve("d", 1, limits=limits))


def test_a_class_has_a_ceiling_of_its_own(ledger):
    limits = (Limit(ROOT, 1_000, 400),)
    posted(ledger, reserve("a", 400, limits=limits))
    assert "class 'bulk'" in refusal(ledger, reserve("b", 1, limits=limits))
    posted(ledger, reserve("c", 400, workload_class="burst", limits=limits))


def test_what_a_child_takes_is_taken_of_all_above_it(ledger):
    posted(ledger, reserve("a", 500, envelope=CHILD))
    assert (ledger.taken(ROOT), ledger.taken(CHILD)) == (500, 500)
    assert CHILD in refusal(ledger, reserve("b", 101, envelope=CHILD))
    limits = (Limit(ROOT, 1_000, 1_000), Limit(CHILD, 10_000, 10_000))
    assert f"'{ROOT}'" in refusal(ledger, reserve("c", 501, envelope=CHILD, limits=limits))


def test_a_neighbour_with_a_similar_name_is_another(ledger):
    posted(ledger, reserve("a", 500, envelope=CHILD))
    other = f"{ROOT}/retail-2"
    limits = (Limit(ROOT, 1_000, 1_000, 1_000), Limit(other, 100, 100, 100))
    posted(ledger, reserve("b", 100, envelope=other, limits=limits))
    assert (ledger.taken(other), ledger.taken_since(other, 0), ledger.taken_since(CHILD, 0)) == (100, 100, 500)


def test_a_forked_or_reissued_wallet_finds_the_envelope_as_the_others_left_it(ledger):
    posted(ledger, reserve("a", 700, limits=(Limit(ROOT, 1_000, 1_000),)))
    assert "ceiling" in refusal(ledger, reserve("b", 301, limits=(Limit(ROOT, 1_000, 1_000),)))
    posted(ledger, reserve("c", 301, limits=(Limit(ROOT, 1_200, 1_200),)))
    assert "ceiling" in refusal(ledger, reserve("d", 1, limits=(Limit(ROOT, 500, 500),)))


def test_limits_that_leave_out_a_scope_are_refused(ledger):
    for limits in ((), LIMITS[1:], LIMITS[::-1], (*LIMITS, LIMITS[1])):
        order = Order(EntryKind.RESERVE, CHILD, "a", "a", 1, "EUR", "bulk", limits)
        assert "limits" in refusal(ledger, order)


def test_the_hourly_rate_counts_what_is_kept_of_the_last_hour(ledger):
    limits = (Limit(ROOT, 10_000, 10_000, 300),)
    posted(ledger, reserve("a", 200, limits=limits), NOW)
    assert "rate" in refusal(ledger, reserve("b", 101, limits=limits), NOW + HOUR - 1)
    posted(ledger, draw(EntryKind.RELEASE, "a", "c", 50), NOW + 10)
    posted(ledger, reserve("b", 101, limits=limits), NOW + HOUR - 1)
    posted(ledger, reserve("d", 199, limits=limits), NOW + HOUR)


def test_a_clock_that_is_set_back_does_not_open_the_hour_again(ledger):
    limits = (Limit(ROOT, 10_000, 10_000, 300),)
    posted(ledger, reserve("a", 300, limits=limits), NOW)
    assert "rate" in refusal(ledger, reserve("b", 1, limits=limits), NOW - 10 * HOUR)
    assert posted(ledger, reserve("c", 1), NOW - HOUR).entry.time_microseconds == NOW * 1_000_000


def test_a_root_has_one_currency(ledger):
    posted(ledger, reserve("a", 1))
    assert "EUR" in refusal(ledger, reserve("b", 1, currency="JPY"))
    assert "EUR" in refusal(ledger, Order(EntryKind.COMMIT, ROOT, "a", "c", 1, "JPY"))


# -- once ------------------------------------------------------------------------------------------------------------


def test_the_same_order_again_is_the_same_entry_again(ledger):
    first = posted(ledger, reserve("a", 300))
    again = posted(ledger, reserve("a", 300, limits=(Limit(ROOT, 1, 1),)), NOW + 99)
    assert (again.is_replay, again.entry) == (True, first.entry)
    assert not first.is_replay
    commit = posted(ledger, draw(EntryKind.COMMIT, "a", "b"))
    assert posted(ledger, draw(EntryKind.COMMIT, "a", "b")).entry == commit.entry
    assert (ledger.taken(ROOT), ledger.head()[0]) == (300, 2)


@pytest.mark.parametrize(
    "order",
    [
        reserve("a", 301),
        reserve("a", 300, workload_class="burst"),
        reserve("a", 300, reservation="other"),
        reserve("a", 300, currency="JPY"),
        reserve("a", 300, envelope=CHILD),
        draw(EntryKind.COMMIT, "a", "a"),
    ],
)
def test_a_key_is_not_used_for_something_else(ledger, order):
    posted(ledger, reserve("a", 300))
    assert "key" in refusal(ledger, order)


def test_keys_are_each_roots_own(ledger):
    other = "did:web:bank.example/line-8"
    posted(ledger, reserve("a", 300))
    posted(ledger, reserve("a", 300, envelope=other, limits=(Limit(other, 300, 300),)))


def test_a_refused_order_leaves_its_key_free(ledger):
    refusal(ledger, reserve("a", 1_001))
    posted(ledger, reserve("a", 10))


def test_a_reservation_is_made_once(ledger):
    posted(ledger, reserve("a", 10))
    assert "reservation of this name" in refusal(ledger, reserve("b", 10, reservation="a"))


def test_nonces_are_taken_once_for_each_holder_even_when_the_clock_is_set_back(ledger):
    assert ledger.claim_nonce("shop", "n", NOW + 60, NOW)
    assert not ledger.claim_nonce("shop", "n", NOW + 60, NOW + 59)
    assert ledger.claim_nonce("other", "n", NOW + 60, NOW)
    assert ledger.claim_nonce("shop", "m", NOW + 9_000, NOW + 8_000)
    assert not ledger.claim_nonce("shop", "n", NOW + 60, NOW)


@pytest.mark.parametrize(
    "make",
    [
        lambda: reserve("a", 0),
        lambda: reserve("a", -5),
        lambda: reserve("a", 10**15 + 1),
        lambda: reserve("a", 1.5),
        lambda: reserve("a", 5, currency="XYZ"),
        lambda: reserve("", 5),
        lambda: reserve("x" * 201, 5),
        lambda: reserve("a\n", 5),
        lambda: reserve("\ud800", 5),
        lambda: reserve("a", 5, workload_class=""),
        lambda: Order(EntryKind.RESERVE, ROOT, "a", "a"),
        lambda: Order(EntryKind.COMMIT, "no envelope", "a", "a").root,
    ],
)
def test_an_order_that_makes_no_sense_is_refused_before_it_reaches_the_ledger(make):
    with pytest.raises(InvalidInputError):
        make()


def test_an_admitted_chain_brings_its_limits(ledger):
    order = Order.reserve([ROOT_WALLET, CHILD_WALLET], "premium", reservation="r", key="k", amount=euro("250.00"))
    assert order.limits == (Limit(ROOT, 50_000, 30_000, 40_000), Limit(CHILD, 25_000, 25_000, 40_000))
    posted(ledger, order)
    assert ledger.taken(ROOT, "premium") == 25_000


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


def run_debits(path, statement):
    command = [sys.executable, ledger_debits.__file__, str(path), str(statement)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)


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
    whole = run_debits(tmp_path / "whole", 0)
    assert whole.returncode == 0, whole.stderr
    statements = int(whole.stdout.split()[1])
    end = after_all(tmp_path / "whole")
    assert end == (((0, 150), (250, 0), None, 400), 5)
    assert statements > 40
    seen = set()
    for statement in range(1, statements + 1):
        path = tmp_path / f"killed-{statement}"
        assert run_debits(path, statement).returncode == -signal.SIGKILL
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


# -- anything in any order -------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["", "/retail", "/retail/wholesale", "/other"])
AMOUNTS = st.integers(1, 400)
CLASSES = st.sampled_from(["bulk", "premium"])


class AnyOrder(RuleBasedStateMachine):
    """Debits, repeats, forks, children, clock steps and crashes against a second account of what must be so."""

    reservations = Bundle("reservations")
    sent = Bundle("sent")

    @initialize()
    def begin(self):
        import tempfile

        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "ledger"
        self.ledgers = [SqliteLedger(self.path), SqliteLedger(self.path)]
        self.now, self.latest, self.count, self.widest = NOW, 0.0, 0, {}
        self.accounts: dict[str, list] = {}
        self.answers: dict[str, object] = {}

    def ledger(self):
        self.count += 1
        return self.ledgers[self.count % 2]

    @rule(
        target=sent,
        name=NAMES,
        minor=AMOUNTS,
        workload_class=CLASSES,
        ceiling=st.sampled_from([500, 700, 900]),
        rate=st.sampled_from([None, 300, 600]),
    )
    def reserve(self, name, minor, workload_class, ceiling, rate):
        """By a wallet that may be a fork of another: the same envelope with another ceiling."""
        key = f"k{len(self.answers)}"
        parts = [part for part in name.split("/") if part]
        scopes = ["/".join([ROOT, *parts[:depth]]) for depth in range(len(parts) + 1)]
        limits = tuple(Limit(scope, ceiling - 100 * n, ceiling // 2, rate) for n, scope in enumerate(scopes))
        order = Order(EntryKind.RESERVE, scopes[-1], key, key, minor, "EUR", workload_class, limits)
        answer = self.ledger().post(order, self.now)
        fits = all(
            self.under(limit.scope) + minor <= limit.ceiling
            and self.under(limit.scope, workload_class) + minor <= limit.class_ceiling
            and (rate is None or self.under(limit.scope, since=max(self.now, self.latest) - HOUR) + minor <= rate)
            for limit in limits
        )
        assert isinstance(answer, Posted) is fits
        self.answers[key] = answer
        if fits:
            self.latest = max(self.now, self.latest)
            self.accounts[key] = [scopes[-1], workload_class, minor, 0, self.latest]
            for limit in limits:
                self.widest[limit.scope] = max(self.widest.get(limit.scope, 0), limit.ceiling)
        return order

    def under(self, scope, workload_class="", since=0.0):
        return sum(
            reserved + committed
            for envelope, of, reserved, committed, made in self.accounts.values()
            if made > since and (envelope == scope or envelope.startswith(f"{scope}/")) and workload_class in {"", of}
        )

    @rule(target=sent, order=sent, kind=st.sampled_from([*EntryKind][1:]), minor=st.none() | AMOUNTS)
    def draw(self, order, kind, minor):
        key = f"k{len(self.answers)}"
        drawn = Order(kind, ROOT, order.reservation, key, minor, "EUR" if minor else "")
        answer = self.ledger().post(drawn, self.now)
        account = self.accounts.get(order.reservation, [None, None, 0, 0, 0])
        place = 3 if kind is EntryKind.REFUND else 2
        amount = account[place] if minor is None else minor
        assert isinstance(answer, Posted) is (0 < amount <= account[place])
        self.answers[key] = answer
        if isinstance(answer, Posted):
            self.latest = max(self.now, self.latest)
            account[place] -= amount
            if kind is EntryKind.COMMIT:
                account[3] += amount
        return drawn

    @rule(order=sent)
    def repeat(self, order):
        """The answer of a taken order is the same for ever; nothing moves by it."""
        first = self.answers[order.key]
        if isinstance(first, Posted):
            again = self.ledger().post(order, self.now)
            assert again == Posted(first.entry, is_replay=True)

    @rule(seconds=st.sampled_from([-100_000.0, -1.0, 0.5, 1_800.0, 5_000.0]))
    def step_the_clock(self, seconds):
        self.now += seconds

    @rule(which=st.integers(0, 1))
    def crash(self, which):
        """A connection dies within a transaction, with something half written."""
        dying = self.ledgers[which]
        dying._connection.execute("BEGIN IMMEDIATE")
        dying._connection.execute("UPDATE taken SET minor = minor + 1")
        dying._connection.close()
        self.ledgers[which] = SqliteLedger(self.path)

    @invariant()
    def the_accounts_are_those_of_the_second_account(self):
        if not hasattr(self, "ledgers"):
            return
        for ledger in self.ledgers:
            assert ledger.taken(ROOT) == self.under(ROOT)
            for scope, widest in self.widest.items():
                assert ledger.taken(scope) == self.under(scope) <= widest
        times = [entry.time_microseconds for entry in self.ledgers[0].entries()]
        assert times == sorted(times)

    def teardown(self):
        if hasattr(self, "ledgers"):
            for ledger in self.ledgers:
                ledger.close()
            assert verify_ledger(self.path).findings == ()
            self.directory.cleanup()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(settings.get_profile("gate"), max_examples=40, stateful_step_count=40)
