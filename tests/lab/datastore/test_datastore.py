"""The datastores by themselves: edit-config's operations and options, copies."""

from tests.lab.conftest import IANA, IF, IP, NI, RT, config, interface
from tests.lab.datastore_words import edit, names, refusal, text

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
