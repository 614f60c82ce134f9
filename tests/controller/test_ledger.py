"""The ledger never gives more than the envelope: whoever asks, however often, by whatever paper, in any order."""

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from controller.adapters.ledger_audit import verify_ledger
from controller.adapters.ledger_sqlite import SqliteLedger
from controller.model.errors import InvalidInputError
from controller.negotiation.ledger import MOVES, Account, EntryKind, Limit, Order, Posted
from controller.negotiation.ledger_state import LedgerState
from tests.controller.ledger_samples import CHILD, LIMITS, NOW, ROOT, draw, held, orders, posted, refusal, reserve
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
