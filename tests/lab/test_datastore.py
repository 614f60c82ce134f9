"""The datastores by themselves: edit-config's operations and options, locks, commits, startup."""

from datetime import UTC, datetime

import pytest

from lab.router.datastore import ConfigChange, ConfigStore
from lab.router.profiles import PROFILES
from lab.router.rpc_errors import RpcError
from lab.router.schema import Schema
from tests.lab.conftest import IANA, IF, IP, NC, NI, RT, config, interface


class ManualScheduler:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls = []

    def call_later(self, delay, callback):
        timer = ManualTimer(self.now + delay, callback)
        self.calls.append(timer)
        return timer

    def advance(self, seconds):
        self.now += seconds
        for timer in [timer for timer in self.calls if timer.at <= self.now and timer.live]:
            timer.live = False
            timer.callback()


class ManualTimer:
    def __init__(self, at, callback):
        self.at, self.callback, self.live = at, callback, True

    def cancel(self):
        self.live = False


@pytest.fixture
def clock() -> ManualScheduler:
    return ManualScheduler()


@pytest.fixture
def store(schema: Schema, clock: ManualScheduler) -> ConfigStore:
    store = ConfigStore(schema, PROFILES["full"], scheduler=clock, now=lambda: datetime.now(UTC))
    for session in (1, 2, 3):
        store.session_opened(session, f"user{session}")
    return store


def edit(store, content, **options):
    store.edit("candidate", config(content), **{"session_id": 1, **options})


def text(store, datastore="candidate"):
    return store.serialised(datastore).decode()


def refusal(call, *args, **kwargs) -> RpcError:
    with pytest.raises(RpcError) as caught:
        call(*args, **kwargs)
    return caught.value


def names(store, datastore="candidate"):
    return store.get(datastore).xpath("//i:interface/i:name/text()", namespaces={"i": IF})


# -- operations


def test_merge_adds_what_is_not_there_and_leaves_the_rest(store):
    edit(store, interface("eth0", "<description>one</description>"))
    edit(store, interface("eth0", "<enabled>false</enabled>"))
    assert "<description>one</description>" in text(store)
    assert "<enabled>false</enabled>" in text(store)


def test_replace_of_an_entry_takes_away_what_it_does_not_hold(store):
    edit(store, interface("eth0", "<description>one</description>"))
    edit(store, interface("eth1"))
    edit(store, interface("eth0", "<enabled>false</enabled>", operation="replace"))
    assert "description" not in text(store)
    assert names(store) == ["eth0", "eth1"]


def test_create_of_what_exists_is_data_exists_with_its_path(store):
    edit(store, interface("eth0"))
    error = refusal(edit, store, interface("eth0", operation="create"))
    assert error.tag == "data-exists"
    assert error.path == "/ietf-interfaces:interfaces/ietf-interfaces:interface[ietf-interfaces:name='eth0']"


def test_delete_of_what_is_missing_is_data_missing_but_remove_is_content(store):
    error = refusal(edit, store, interface("eth0", operation="delete"))
    assert error.tag == "data-missing"
    edit(store, interface("eth0", operation="remove"))
    assert not store.candidate_is_dirty


def test_an_unknown_operation_is_a_bad_attribute(store):
    error = refusal(edit, store, interface("eth0", operation="upsert"))
    assert error.tag == "bad-attribute"
    assert ("bad-attribute", "operation") in error.info


def test_default_operation_none_changes_only_what_is_marked(store):
    edit(store, interface("eth0", "<description>one</description>"))
    edit(
        store,
        f'<interfaces xmlns="{IF}"><interface><name>eth0</name>'
        '<description nc:operation="delete"/></interface></interfaces>',
        default_operation="none",
    )
    assert "description" not in text(store)


def test_default_operation_none_below_what_is_missing_is_data_missing(store):
    error = refusal(
        edit,
        store,
        f'<interfaces xmlns="{IF}"><interface><name>eth9</name><enabled nc:operation="merge">true</enabled>'
        "</interface></interfaces>",
        default_operation="none",
    )
    assert error.tag == "data-missing"


def test_default_operation_none_creates_below_an_empty_container(store):
    edit(store, interface("eth0", operation="create"), default_operation="none")
    assert names(store) == ["eth0"]


def test_default_operation_replace_replaces_the_whole_datastore(store):
    edit(store, interface("eth0"))
    edit(store, f'<routing xmlns="{RT}"><router-id>1.2.3.4</router-id></routing>')
    edit(store, interface("eth1"), default_operation="replace")
    assert names(store) == ["eth1"]
    assert "router-id" not in text(store)


def test_the_same_entry_twice_in_one_edit_is_one_entry(store):
    edit(store, interface("eth0") + interface("eth0", "<enabled>true</enabled>"))
    assert names(store) == ["eth0"]


def test_entries_stand_in_the_order_of_their_keys_however_they_came(store):
    for name in ("eth2", "eth0", "eth1"):
        edit(store, interface(name))
    assert names(store) == ["eth0", "eth1", "eth2"]


def test_leaves_stand_in_the_order_of_the_schema_however_they_came(store):
    edit(store, interface("eth0", "<enabled>true</enabled>"))
    edit(store, interface("eth0", "<description>d</description>"))
    assert text(store).index("description") < text(store).index("ethernetCsmacd") < text(store).index("enabled")


def test_adding_then_deleting_leaves_not_even_an_empty_container(store):
    before = text(store)
    edit(store, interface("eth0", f'<ipv4 xmlns="{IP}"><mtu>1500</mtu></ipv4>'))
    edit(store, interface("eth0", operation="delete"))
    assert text(store) == before


def test_a_leaf_of_another_case_takes_the_place_of_the_first(store):
    address = '<ipv4 xmlns="{}"><address><ip>10.0.0.1</ip>{}</address></ipv4>'
    edit(store, interface("eth0", address.format(IP, "<prefix-length>24</prefix-length>")))
    edit(store, interface("eth0", address.format(IP, "<netmask>255.255.0.0</netmask>")))
    assert "netmask" in text(store)
    assert "prefix-length" not in text(store)


def test_numbers_are_stored_in_canonical_spelling(store):
    edit(store, interface("eth0", f'<ipv4 xmlns="{IP}"><mtu>01500</mtu></ipv4>'))
    assert "<mtu>1500</mtu>" in text(store)


def test_an_identity_means_the_same_under_any_prefix(store):
    edit(store, interface("eth0"))
    before = text(store)
    edit(
        store,
        f'<interfaces xmlns="{IF}"><interface><name>eth0</name>'
        f'<type xmlns:zz="{IANA}">zz:ethernetCsmacd</type></interface></interfaces>',
    )
    assert text(store) == before
    assert f'<type xmlns:ianaift="{IANA}">ianaift:ethernetCsmacd</type>' in before


def test_an_identity_of_its_own_module_survives_edit_copy_and_validation(store):
    routing = (
        f'<routing xmlns="{RT}"><control-plane-protocols><control-plane-protocol>'
        "<type>rt:static</type><name>s</name></control-plane-protocol></control-plane-protocols></routing>"
    )
    edit(store, routing)
    store.validate("candidate")
    store.commit(1)
    edit(store, routing.replace("rt:static", "static"))
    assert not store.candidate_is_dirty


# -- refusals


def test_an_unknown_leaf_is_an_unknown_element_with_its_name(store):
    error = refusal(edit, store, interface("eth0", "<colour>red</colour>"))
    assert (error.tag, error.info) == ("unknown-element", (("bad-element", "colour"),))


def test_an_unknown_namespace_is_named(store):
    error = refusal(edit, store, '<system xmlns="urn:example:other"/>')
    assert error.tag == "unknown-namespace"
    assert ("bad-namespace", "urn:example:other") in error.info


def test_a_list_entry_without_its_key_is_a_missing_element(store):
    error = refusal(
        edit, store, f'<interfaces xmlns="{IF}"><interface><enabled>true</enabled></interface></interfaces>'
    )
    assert (error.tag, error.info) == ("missing-element", (("bad-element", "name"),))


def test_a_value_out_of_range_is_an_invalid_value_with_its_path(store):
    error = refusal(edit, store, interface("eth0", f'<ipv4 xmlns="{IP}"><mtu>12</mtu></ipv4>'))
    assert error.tag == "invalid-value"
    assert error.path.endswith("[ietf-interfaces:name='eth0']/ietf-ip:ipv4/ietf-ip:mtu")


def test_state_data_cannot_be_configured(store):
    error = refusal(edit, store, interface("eth0", "<oper-status>up</oper-status>"))
    assert error.tag == "bad-element"


def test_a_dangling_leafref_is_refused_at_validate_with_instance_required(store):
    edit(store, interface("eth0", f'<bind-ni-name xmlns="{NI}">blue</bind-ni-name>'))
    error = refusal(store.validate, "candidate")
    assert (error.tag, error.app_tag) == ("data-missing", "instance-required")
    assert error.path.endswith("ietf-network-instance:bind-ni-name")
    assert refusal(store.commit, 1).app_tag == "instance-required"


def test_a_missing_mandatory_leaf_is_refused_at_validate(store):
    edit(store, f'<interfaces xmlns="{IF}"><interface><name>eth0</name></interface></interfaces>')
    error = refusal(store.validate, "candidate")
    assert error.tag == "data-missing"
    assert ("bad-element", "type") in error.info


def test_a_missing_mandatory_choice_is_named(store):
    edit(store, interface("eth0", f'<ipv4 xmlns="{IP}"><address><ip>10.0.0.1</ip></address></ipv4>'))
    error = refusal(store.validate, "candidate")
    assert (error.tag, error.app_tag) == ("data-missing", "missing-choice")
    assert ("missing-choice", "subnet") in error.info


def test_running_is_validated_at_once(store):
    bad = config(f'<interfaces xmlns="{IF}"><interface><name>eth0</name></interface></interfaces>')
    before = text(store, "running")
    assert refusal(store.edit, "running", bad, session_id=1).tag == "data-missing"
    assert text(store, "running") == before


# -- options


def test_test_only_changes_nothing(store):
    edit(store, interface("eth0"), test_option="test-only")
    assert names(store) == []


def test_test_then_set_refuses_an_invalid_candidate(store):
    bad = f'<interfaces xmlns="{IF}"><interface><name>eth0</name></interface></interfaces>'
    assert refusal(edit, store, bad, test_option="test-then-set").tag == "data-missing"
    assert not store.candidate_is_dirty


THREE = interface("eth0") + interface("eth5", operation="delete") + interface("eth1")


def test_stop_on_error_keeps_what_came_before_the_error(store):
    assert refusal(edit, store, THREE).tag == "data-missing"
    assert names(store) == ["eth0"]


def test_continue_on_error_does_the_rest_and_reports_every_error(store):
    error = refusal(edit, store, THREE + interface("eth6", operation="delete"), error_option="continue-on-error")
    assert [item.tag for item in error.all()] == ["data-missing", "data-missing"]
    assert names(store) == ["eth0", "eth1"]


def test_rollback_on_error_keeps_nothing(store):
    assert refusal(edit, store, THREE, error_option="rollback-on-error").tag == "data-missing"
    assert names(store) == []
    assert not store.candidate_is_dirty


# -- copy, delete, discard


def test_copy_config_to_startup_and_delete_of_startup(store):
    store.edit("running", config(interface("eth0")), session_id=1)
    store.copy("running", "startup", session_id=1)
    assert names(store, "startup") == ["eth0"]
    store.delete("startup", session_id=1)
    assert names(store, "startup") == []
    assert refusal(store.delete, "running", session_id=1).tag == "invalid-value"


def test_copy_config_of_inline_content_replaces_the_candidate(store):
    edit(store, interface("eth0"))
    store.copy(config(interface("eth1")), "candidate", session_id=1)
    assert names(store) == ["eth1"]


def test_copying_a_datastore_onto_itself_is_refused(store):
    assert refusal(store.copy, "running", "running", session_id=1).tag == "invalid-value"


def test_discard_makes_the_candidate_follow_running_again(store):
    edit(store, interface("eth0"))
    store.discard(1)
    store.edit("running", config(interface("eth1")), session_id=1)
    assert names(store) == ["eth1"]


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
