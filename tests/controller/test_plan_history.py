"""Out-of-band policies, the record of transactions, and when an undoing is refused."""

import pytest
from hypothesis import given

from controller.datastore.diff import diff
from controller.events import types
from controller.model.errors import ConflictError, NotFoundError
from controller.model.identifiers import DeviceName, PlanId, TransactionId
from controller.model.yang_path import parse_path
from controller.ports import Event
from controller.transaction.history import TransactionHistory, refuse_overlap
from controller.transaction.out_of_band import Policy, PolicyRule, policy_for, settle
from controller.transaction.plan import Plan
from controller.transaction.states import Phase
from tests.controller.datastore_samples import configs
from tests.controller.plan_samples import GOLD, IRON, PORT, R1, VRF, Device, lines

MTU, TEXT = f"{PORT}/ietf-ip:ipv4/mtu", f"{PORT}/description"
RULES = (
    PolicyRule((), Policy.ABORT),
    PolicyRule(("interfaces",), Policy.ACCEPT),
    PolicyRule(("interfaces", "interface", "description"), Policy.RESTORE),
    PolicyRule(("ietf-interfaces:interfaces", "interface", "ietf-ip:ipv4"), Policy.ADOPT),
)


@pytest.mark.parametrize(
    "path, policy",
    [
        (f"{VRF}/enabled", Policy.ABORT),
        (f"{PORT}/enabled", Policy.ACCEPT),
        (TEXT, Policy.RESTORE),
        (MTU, Policy.ADOPT),
        (PORT, Policy.ACCEPT),
    ],
)
def test_the_longest_matching_rule_decides(path: str, policy: Policy) -> None:
    assert policy_for(parse_path(path), RULES) is policy
    assert policy_for(parse_path(path), tuple(reversed(RULES))) is policy
    assert policy_for(parse_path(path), ()) is Policy.ABORT


def test_each_change_behind_the_controllers_back_meets_its_policy() -> None:
    base = lines({TEXT: "ours", MTU: "1500", f"{PORT}/enabled": "true"})
    observed = lines({TEXT: "theirs", MTU: "1400", f"{PORT}/enabled": "false", f"{VRF}/enabled": "true"})
    met = settle(R1, base, observed, RULES)
    assert met.moved == diff(base, observed)
    assert [change.path for change in met.refused] == [parse_path(f"{VRF}/enabled")]
    assert met.base[parse_path(TEXT)] == "ours"
    assert met.base[parse_path(f"{PORT}/enabled")] == "false"
    assert met.adopted.wanted == ((parse_path(MTU), "oob@r1", "1400"),)


def test_what_was_removed_is_put_back_under_restore_and_never_adopted() -> None:
    base = lines({TEXT: "ours", MTU: "1500"})
    met = settle(R1, base, {}, RULES)
    assert met.base == lines({TEXT: "ours"})
    assert not met.adopted
    assert not met.refused


@given(configs(), configs())
def test_one_policy_everywhere_has_one_outcome(base: dict[object, str], observed: dict[object, str]) -> None:
    def everywhere(policy: Policy):
        return settle(R1, base, observed, (PolicyRule((), policy),))

    assert everywhere(Policy.RESTORE).base == base
    assert everywhere(Policy.ACCEPT).base == everywhere(Policy.ADOPT).base == observed
    assert everywhere(Policy.ABORT).refused == everywhere(Policy.ABORT).moved == diff(base, observed)
    assert settle(R1, base, base, ()).moved == ()


def plan(id_: str = "plan-1", texts: dict[str, str] | None = None) -> Plan:
    return Plan(PlanId(id_), f"summary of {id_}", (Device().plan((GOLD, texts or {MTU: "1400"})),))


class Journal:
    """Feeds a history."""

    def __init__(self) -> None:
        self.history, self.position = TransactionHistory(), 0

    def event(self, id_: str, type_: str, **data: object) -> Event:
        self.position += 1
        return Event(self.position, f"transaction/{id_}", 1, type_, 100.0 + self.position, "ann", "", data, "", "")

    def begin(self, id_: str, what: Plan) -> None:
        self.history.begin(self.event(id_, types.TRANSACTION_PLANNED), what, "because")

    def record(self, id_: str, name: str, **data: object) -> None:
        self.history.apply(self.event(id_, f"transaction.{name}", **data))


def test_a_transaction_is_recorded_with_who_why_what_and_how_it_ended() -> None:
    journal = Journal()
    journal.begin("tx-1", plan())
    journal.record("tx-1", "prepared", device="r1")
    running = journal.history.get(TransactionId("tx-1"))
    assert (running.phase, running.ended, running.is_final) == (Phase.PREPARING, 0.0, False)
    assert list(journal.history.open()) == ["tx-1"]
    journal.record("tx-1", "aborting", reason="post-checks failed")
    journal.record("tx-1", "aborted")
    done = journal.history.get(TransactionId("tx-1"))
    assert (done.actor, done.comment, done.summary, done.plan) == ("ann", "because", "summary of plan-1", "plan-1")
    assert (done.phase, done.reason, done.started, done.ended) == (Phase.ABORTED, "post-checks failed", 101.0, 104.0)
    assert done.devices == (R1,)
    assert not journal.history.open()


def test_an_unknown_verdict_names_its_devices_until_it_has_healed() -> None:
    journal = Journal()
    journal.begin("tx-1", plan())
    journal.record("tx-1", "unknown", devices=["r1"], reason="no answer")
    assert journal.history.get(TransactionId("tx-1")).astray == (R1,)
    assert not journal.history.get(TransactionId("tx-1")).is_final
    journal.record("tx-1", "committed")
    assert journal.history.get(TransactionId("tx-1")).astray == ()


def test_history_survives_a_snapshot() -> None:
    journal = Journal()
    for id_, end in (("tx-1", "committed"), ("tx-2", "aborted")):
        journal.begin(id_, plan())
        journal.record(id_, end)
    again = TransactionHistory()
    again.load_json(journal.history.to_json())
    assert list(again) == list(journal.history)
    assert len(again) == 2


def test_only_later_transactions_that_hold_on_the_same_devices_stand_in_the_way() -> None:
    journal = Journal()
    elsewhere = Plan(PlanId("plan-9"), "s", ())
    for id_, what, end in (
        ("tx-1", plan(), "committed"),
        ("tx-2", plan(), "committed"),
        ("tx-3", plan(), "aborted"),
        ("tx-4", elsewhere, "committed"),
        ("tx-5", plan(), "committed"),
    ):
        journal.begin(id_, what)
        journal.record(id_, end)
    assert [later.id for later in journal.history.committed_after(TransactionId("tx-2"))] == ["tx-5"]
    assert [later.id for later in journal.history.committed_after(TransactionId("tx-1"))] == ["tx-2", "tx-5"]


def test_a_transaction_that_never_was_is_named() -> None:
    with pytest.raises(NotFoundError, match="tx-404"):
        TransactionHistory().get(TransactionId("tx-404"))


def test_an_undoing_is_refused_where_later_work_touched_the_same_line_and_says_which() -> None:
    later = Plan(PlanId("p2"), "s", (Device().plan((IRON, {TEXT: "x", MTU: "1500"})),))
    with pytest.raises(ConflictError, match=r"tx-2.*'mtu'") as caught:
        refuse_overlap(plan(), later, TransactionId("tx-2"))
    assert caught.value.device == DeviceName("r1")
    assert "tx-2" in caught.value.remedy
    refuse_overlap(plan(), Plan(PlanId("p3"), "s", (Device().plan((IRON, {TEXT: "x"})),)), TransactionId("tx-3"))
