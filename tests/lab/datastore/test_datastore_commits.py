"""The datastores by themselves: locks, commits and their confirmation, startup, quirks."""

from datetime import UTC, datetime

from lab.router.datastore import ConfigChange, ConfigStore
from lab.router.profiles import PROFILES
from tests.lab.conftest import NC, config, interface
from tests.lab.datastore_words import edit, names, refusal, text

# -- locks


def test_a_lock_held_elsewhere_is_denied_naming_its_holder(store):
    store.lock("running", 1)
    error = refusal(store.lock, "running", 2)
    assert (error.tag, error.info) == ("lock-denied", (("session-id", "1"),))
    assert refusal(store.lock, "running", 1).tag == "lock-denied"


def test_a_dirty_candidate_cannot_be_locked(store):
    edit(store, interface("eth0"))
    assert refusal(store.lock, "candidate", 1).tag == "lock-denied"
    store.discard(1)
    store.lock("candidate", 1)


def test_what_is_locked_cannot_be_edited_discarded_or_committed_by_others(store):
    store.lock("candidate", 1)
    for call in (
        lambda: edit(store, interface("eth0"), session_id=2),
        lambda: store.discard(2),
        lambda: store.commit(2),
        lambda: store.copy("running", "candidate", session_id=2),
    ):
        assert refusal(call).tag == "in-use"


def test_unlocking_the_candidate_discards_it(store):
    store.lock("candidate", 1)
    edit(store, interface("eth0"))
    store.unlock("candidate", 1)
    assert names(store) == []


def test_unlocking_what_another_holds_is_refused(store):
    store.lock("running", 1)
    assert refusal(store.unlock, "running", 2).tag == "operation-failed"


def test_a_closed_session_leaves_no_lock_and_no_half_done_candidate(store):
    store.lock("candidate", 1)
    store.lock("running", 1)
    edit(store, interface("eth0"))
    store.session_closed(1)
    store.lock("candidate", 2)
    store.lock("running", 2)
    assert names(store) == []


# -- commits


def test_commit_makes_the_candidate_running_and_changes_the_entity_tag(store):
    before = store.etag
    edit(store, interface("eth0"))
    assert store.etag == before
    store.commit(1)
    assert names(store, "running") == ["eth0"]
    assert store.etag != before
    assert not store.candidate_is_dirty


def test_an_unconfirmed_commit_returns_byte_for_byte_when_its_time_is_over(store, clock):
    before = text(store, "running")
    edit(store, interface("eth0"))
    store.commit(1, confirmed=True, timeout=30)
    assert names(store, "running") == ["eth0"]
    clock.advance(29)
    assert names(store, "running") == ["eth0"]
    clock.advance(1)
    assert text(store, "running") == before
    store.lock("candidate", 1)


def test_a_confirming_commit_ends_the_timer(store, clock):
    edit(store, interface("eth0"))
    store.commit(1, confirmed=True, timeout=30)
    store.commit(1)
    clock.advance(100)
    assert names(store, "running") == ["eth0"]
    assert store.pending_commit is None


def test_a_follow_up_confirmed_commit_extends_and_undoes_to_the_first_base(store, clock):
    edit(store, interface("eth0"))
    store.commit(1, confirmed=True, timeout=30)
    clock.advance(20)
    edit(store, interface("eth1"))
    store.commit(1, confirmed=True, timeout=30)
    clock.advance(20)
    assert names(store, "running") == ["eth0", "eth1"]
    clock.advance(10)
    assert names(store, "running") == []


def test_cancel_commit_undoes_at_once(store):
    edit(store, interface("eth0"))
    store.commit(1, confirmed=True)
    store.cancel_commit(1)
    assert names(store, "running") == []
    assert refusal(store.cancel_commit, 1).tag == "operation-failed"


def test_a_session_bound_confirmed_commit_dies_with_its_session(store):
    edit(store, interface("eth0"))
    store.commit(1, confirmed=True)
    store.session_closed(1)
    assert names(store, "running") == []


def test_a_persistent_confirmed_commit_survives_and_is_confirmed_by_another_session(store):
    edit(store, interface("eth0"))
    store.commit(1, confirmed=True, persist="tx-1")
    store.session_closed(1)
    assert names(store, "running") == ["eth0"]
    assert refusal(store.commit, 2).tag == "invalid-value"
    assert refusal(store.commit, 2, persist_id="tx-2").tag == "invalid-value"
    store.commit(2, persist_id="tx-1")
    assert store.pending_commit is None


def test_a_persistent_confirmed_commit_is_cancelled_by_another_session(store):
    edit(store, interface("eth0"))
    store.commit(1, confirmed=True, persist="tx-1")
    assert refusal(store.cancel_commit, 2).tag == "invalid-value"
    store.cancel_commit(2, "tx-1")
    assert names(store, "running") == []


def test_persist_id_without_a_pending_commit_is_refused(store):
    assert refusal(store.commit, 1, persist_id="tx-1").tag == "invalid-value"


def test_another_session_can_neither_commit_nor_lock_running_during_a_session_bound_one(store):
    edit(store, interface("eth0"))
    store.commit(1, confirmed=True)
    assert refusal(store.commit, 2).tag == "in-use"
    error = refusal(store.lock, "running", 2)
    assert (error.tag, error.info) == ("lock-denied", (("session-id", "1"),))


def test_a_reboot_undoes_an_unconfirmed_commit_and_forgets_locks(store, clock):
    store.lock("running", 1)
    edit(store, interface("eth0"))
    store.commit(1, confirmed=True, timeout=30, persist="tx-1")
    store.reboot()
    assert names(store, "running") == []
    store.session_opened(9, "again")
    store.lock("running", 9)
    clock.advance(60)


def test_a_router_that_boots_from_startup_forgets_what_was_not_copied_there(schema, clock):
    store = ConfigStore(schema, PROFILES["startup"], scheduler=clock, now=lambda: datetime.now(UTC))
    edit(store, interface("eth0"))
    store.commit(1)
    store.copy("running", "startup", session_id=1)
    edit(store, interface("eth1"))
    store.commit(1)
    store.reboot()
    assert names(store, "running") == ["eth0"]


# -- what listeners hear, and quirks


def test_a_commit_tells_who_changed_what(store):
    heard: list[ConfigChange] = []
    store.subscribe(heard.append)
    edit(store, interface("eth0"))
    store.commit(1)
    change = heard[-1]
    assert (change.datastore, change.session_id, change.username) == ("running", 1, "user1")
    assert [(item.operation, item.path) for item in change.edits] == [
        ("create", "/ietf-interfaces:interfaces/ietf-interfaces:interface[ietf-interfaces:name='eth0']")
    ]


def test_an_edit_without_effect_is_no_change(store):
    edit(store, interface("eth0"))
    store.commit(1)
    heard: list[ConfigChange] = []
    store.subscribe(heard.append)
    before = store.etag
    edit(store, interface("eth0"))
    store.commit(1)
    assert heard == []
    assert store.etag == before


def test_the_netconfd_quirk_drops_the_candidate_at_validate(schema, clock):
    profile = PROFILES["full"].with_quirks(validate_drops_candidate=True)
    store = ConfigStore(schema, profile, scheduler=clock, now=lambda: datetime.now(UTC))
    edit(store, interface("eth0"))
    store.validate("candidate")
    store.commit(1)
    assert names(store, "running") == []


def test_the_rewriting_quirk_stores_another_spelling(schema, clock):
    profile = PROFILES["full"].with_quirks(rewrite_at_commit=True)
    store = ConfigStore(schema, profile, scheduler=clock, now=lambda: datetime.now(UTC))
    edit(store, interface("eth0", "<description>To London</description>"))
    store.commit(1)
    assert "<description>to london</description>" in text(store, "running")


def test_day_0_stands_in_running_and_startup(schema, clock):
    store = ConfigStore(
        schema,
        PROFILES["full"],
        scheduler=clock,
        now=lambda: datetime.now(UTC),
        initial=config(interface("eth1") + interface("eth0")),
    )
    assert names(store, "running") == names(store, "startup") == ["eth0", "eth1"]
    assert store.get("running").tag == f"{{{NC}}}data"
