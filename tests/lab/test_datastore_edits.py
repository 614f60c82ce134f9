"""edit-config on every kind of node, and properties of random edit sequences."""

from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from lab.router.datastore import ConfigStore
from lab.router.edit import TreeEditor
from lab.router.profiles import PROFILES
from lab.router.rpc_errors import RpcError
from lab.router.schema import ModuleSet, load_schema
from lab.router.validation import check_tree
from lab.router.xml import YANG, data, serialise
from tests.lab.conftest import IETF, IP, NC, config, interface

PROBE = ModuleSet("probe", ("lab-probe", "lab-probe-extra"), (Path(__file__).parent / "yang",))
NS = "urn:accord:tests:lab-probe"
EXTRA = "urn:accord:tests:lab-probe-extra"


class Never:
    def call_later(self, delay, callback):
        raise AssertionError("nothing here waits")


@pytest.fixture
def store() -> ConfigStore:
    return ConfigStore(load_schema(PROBE), PROFILES["full"], scheduler=Never(), now=lambda: datetime.now(UTC))


def edit(store, inner, **options):
    content = (
        f'<nc:config xmlns:nc="{NC}" xmlns:yang="urn:ietf:params:xml:ns:yang:1" xmlns:lp="{NS}" xmlns:x="{EXTRA}" '
        f'xmlns:wd="urn:ietf:params:xml:ns:netconf:default:1.0"><top xmlns="{NS}">{inner}</top></nc:config>'
    )
    store.edit("candidate", etree.fromstring(content), session_id=1, **options)


def texts(store, name):
    return [item.text for item in store.get("candidate").iter(f"{{{NS}}}{name}")]


def refusal(call, *args, **kwargs) -> RpcError:
    with pytest.raises(RpcError) as caught:
        call(*args, **kwargs)
    return caught.value


def rule(number, attributes="", action="permit"):
    return f"<rule {attributes}><zone>z</zone><id>{number}</id><action>{action}</action></rule>"


def test_user_ordered_entries_keep_the_order_they_came_in(store):
    edit(store, rule(2) + rule(1))
    edit(store, rule(3))
    assert texts(store, "id") == ["2", "1", "3"]


@pytest.mark.parametrize(
    "attributes,expected",
    [
        ('yang:insert="first"', ["9", "1", "2"]),
        ('yang:insert="last"', ["1", "2", "9"]),
        ("""yang:insert="before" yang:key="[lp:zone='z'][lp:id='2']\"""", ["1", "9", "2"]),
        ("""yang:insert="after" yang:key="[lp:zone='z'][lp:id='1']\"""", ["1", "9", "2"]),
    ],
)
def test_insert_places_a_new_and_moves_an_old_entry(store, attributes, expected):
    edit(store, rule(1) + rule(2))
    edit(store, rule(9, attributes))
    assert texts(store, "id") == expected
    edit(store, rule(9, 'yang:insert="last"'))
    assert texts(store, "id") == ["1", "2", "9"]
    edit(store, rule(9, attributes))
    assert texts(store, "id") == expected


@pytest.mark.parametrize(
    "zone,literal",
    [
        ("a][b", "'a][b'"),
        ("a='1'][x='2", "\"a='1'][x='2\""),
        ("it's", '"it\'s"'),
        ('say "x"', "'say \"x\"'"),
        ('it\'s "x"', '"it\'s &quot;x&quot;"'),
        ("'quoted'", "\"'quoted'\""),
    ],
)
def test_insert_finds_keys_whatever_characters_they_hold(store, zone, literal):
    def made(zone, number, key=None):
        entry = etree.fromstring(
            f'<top xmlns="{NS}"><rule><zone/><id>{number}</id><action>permit</action></rule></top>'
        )
        entry[0][0].text = zone
        if key is not None:
            entry[0].set(f"{{{YANG}}}insert", "before")
            entry[0].set(f"{{{YANG}}}key", key)
        request = etree.Element(f"{{{NC}}}config")
        request.append(entry)
        store.edit("candidate", request, session_id=1)

    made("z", 1)
    made(zone, 1)
    made("z", 2, f"[lp:zone={literal}] [id = '1']")
    assert texts(store, "zone") == ["z", "z", zone]


@pytest.mark.parametrize("key", ["", "zone='z'", "[zone=z][id='1']", "[zone='z'][id='1'", "[zone='z']"])
def test_a_key_that_is_none_is_refused(store, key):
    edit(store, rule(1))
    error = refusal(edit, store, rule(2, f'yang:insert="before" yang:key="{key}"'))
    assert (error.tag, error.app_tag) == ("bad-attribute", "missing-instance")


def test_insert_at_an_entry_that_is_not_there_is_missing_instance(store):
    error = refusal(edit, store, rule(9, """yang:insert="before" yang:key="[lp:zone='z'][lp:id='7']\""""))
    assert (error.tag, error.app_tag) == ("bad-attribute", "missing-instance")
    assert refusal(edit, store, rule(9, 'yang:insert="before"')).tag == "missing-attribute"
    assert refusal(edit, store, rule(9, 'yang:insert="sideways"')).tag == "bad-attribute"


def test_a_leaf_list_in_users_order_takes_values_before_and_after(store):
    edit(store, "<tag>a</tag><tag>c</tag>")
    edit(store, '<tag yang:insert="before" yang:value="c">b</tag>')
    edit(store, '<tag yang:insert="first">z</tag>')
    assert texts(store, "tag") == ["z", "a", "b", "c"]


def test_replacing_a_container_replaces_the_order_of_its_user_ordered_entries(store):
    edit(store, rule(1) + rule(2) + rule(3))
    edit(store, rule(3) + rule(1), default_operation="replace")
    assert texts(store, "id") == ["3", "1"]


def test_a_leaf_list_in_systems_order_sorts_numbers_by_value(store):
    edit(store, "<port>100</port><port>20</port><port>3</port>")
    assert texts(store, "port") == ["3", "20", "100"]
    edit(store, '<port nc:operation="delete">20</port>')
    assert texts(store, "port") == ["3", "100"]
    assert refusal(edit, store, '<port nc:operation="create">3</port>').tag == "data-exists"


def test_a_choice_holds_one_case(store):
    edit(store, "<left>a</left>")
    edit(store, "<right>b</right>")
    assert texts(store, "left") == []
    assert texts(store, "right") == ["b"]


def test_a_presence_container_stays_when_empty(store):
    edit(store, "<feature/>")
    assert len(texts(store, "feature")) == 1
    edit(store, '<feature nc:operation="delete"/>')
    assert serialise(store.get("candidate")) == serialise(data())


def test_a_violated_must_is_refused_at_validate_with_its_own_message(store):
    edit(store, "<feature><level>60</level></feature>")
    error = refusal(store.validate, "candidate")
    assert (error.tag, error.app_tag) == ("operation-failed", "must-violation")
    assert error.message == "level must stay below 50"
    assert error.path == "/lab-probe:top/lab-probe:feature/lab-probe:level"


def test_a_mandatory_leaf_of_an_entry_is_missed(store):
    edit(store, "<rule><zone>z</zone><id>1</id></rule>")
    assert ("bad-element", "action") in refusal(store.validate, "candidate").info


@pytest.mark.parametrize(
    "content",
    [
        "<small>101</small>",
        "<big>-1</big>",
        "<ratio>1.234</ratio>",
        "<flag>yes</flag>",
        "<paint>green</paint>",
        "<access>fly</access>",
        "<hostname>a!</hostname>",
        "<blob>*</blob>",
    ],
)
def test_a_value_that_is_not_of_its_type_is_refused_at_once(store, content):
    assert refusal(edit, store, content).tag == "invalid-value"
    assert not store.candidate_is_dirty


def test_deleting_needs_no_value(store):
    edit(store, "<small>5</small>")
    edit(store, '<small nc:operation="delete"/>')
    assert not serialise(store.get("candidate")).count(b"small")


def test_equal_values_of_other_spelling_are_no_change(store):
    edit(store, "<ratio>1.50</ratio><small>7</small><paint>lp:red</paint>")
    store.commit(1)
    edit(store, "<ratio> 1.5 </ratio><small>007</small><paint>red</paint>")
    assert not store.candidate_is_dirty


def test_names_that_repeat_in_two_namespaces_are_two_leaves(store):
    edit(store, "<hostname>one</hostname><x:hostname>two</x:hostname>")
    edit(store, '<x:hostname nc:operation="delete"/>')
    assert texts(store, "hostname") == ["one"]


def test_a_value_marked_as_default_takes_the_explicit_one_away(store):
    edit(store, "<small>9</small>")
    edit(store, '<small wd:default="true">7</small>')
    assert texts(store, "small") == []


@pytest.mark.parametrize("name", ["it's", 'a "b"', "a/b[c]", "ü ]]&gt; &amp;"])
def test_keys_may_hold_any_character(store, name):
    edit(store, f"<entry><name>{name}</name><note>n</note></entry>")
    store.validate("candidate")
    error = refusal(edit, store, f'<entry nc:operation="create"><name>{name}</name></entry>')
    assert error.tag == "data-exists"
    edit(store, f'<entry nc:operation="delete"><name>{name}</name></entry>')
    assert texts(store, "name") == []


def test_a_path_as_value_keeps_its_prefix_whatever_moves_around_it(store):
    edit(store, "<pointer>/lp:top/lp:entry[lp:name='a']/x:weight</pointer><entry><name>b</name></entry>")
    edit(store, "<entry><name>a</name></entry><hostname>h</hostname>")
    edit(store, rule(2) + rule(1, 'yang:insert="first"'))
    store.commit(1)
    pointer = next(store.get("running").iter(f"{{{NS}}}pointer"))
    assert pointer.nsmap["lp"] == NS
    assert pointer.nsmap["lpx"] == EXTRA
    assert pointer.text == "/lp:top/lp:entry[lp:name='a']/lpx:weight"


# -- properties

NAMES = st.sampled_from(["eth0", "eth1", "eth2", "lo", "a'b", "x/y"])
MTUS = st.integers(68, 9000)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("merge"), NAMES, st.one_of(st.none(), MTUS), st.one_of(st.none(), st.just("text"))),
        st.tuples(st.just("replace"), NAMES, st.one_of(st.none(), MTUS), st.one_of(st.none(), st.just("text"))),
        st.tuples(st.just("remove"), NAMES, st.none(), st.none()),
    ),
    max_size=8,
)


def step_config(step):
    operation, name, mtu, description = step
    inner = f"<description>{description}</description>" if description else ""
    inner += f'<ipv4 xmlns="{IP}"><mtu>{mtu}</mtu></ipv4>' if mtu else ""
    return config(interface(name, inner, operation=operation))


def applied(tree, content, default_operation="merge"):
    result = deepcopy(tree)
    editor = TreeEditor(load_schema(IETF))
    editor.apply(result, content, default_operation)
    return result, editor.edits


def inverse(before, step):
    """Return the edit that undoes `step`: the entry as it was, or its removal."""
    name = step[1]
    for entry in before.iter("{*}interface"):
        if entry[0].text == name:
            old = deepcopy(entry)
            old.set(f"{{{NC}}}operation", "replace")
            content = config(f'<if:interfaces xmlns="{entry.nsmap[None]}"/>')
            content[0].append(old)
            return content
    return config(interface(name, operation="remove"))


@given(STEPS, STEPS)
def test_random_edits_and_their_reverse_leave_the_tree_byte_for_byte(start, steps):
    tree = data()
    for step in start:
        tree, _ = applied(tree, step_config(step))
    begin = serialise(tree)
    undo = []
    for step in steps:
        undo.append(inverse(tree, step))
        tree, _ = applied(tree, step_config(step))
    for content in reversed(undo):
        tree, _ = applied(tree, content)
    assert serialise(tree) == begin


@given(STEPS, STEPS)
def test_replacing_everything_with_an_earlier_tree_restores_it_byte_for_byte(start, steps):
    tree = data()
    for step in start:
        tree, _ = applied(tree, step_config(step))
    earlier = tree
    for step in steps:
        tree, _ = applied(tree, step_config(step))
    restored, _ = applied(tree, earlier, "replace")
    assert serialise(restored) == serialise(earlier)


@given(STEPS)
def test_an_edit_repeated_changes_nothing_and_reports_no_edit(steps):
    tree = data()
    for step in steps:
        tree, _ = applied(tree, step_config(step))
        again, edits = applied(tree, step_config(step))
        assert serialise(again) == serialise(tree)
        assert edits == []


@given(STEPS)
def test_every_tree_that_edits_build_is_valid_and_reads_back_the_same(steps):
    tree = data()
    for step in steps:
        tree, _ = applied(tree, step_config(step))
    check_tree(load_schema(IETF), tree)
    again, _ = applied(data(), etree.fromstring(serialise(tree)))
    assert serialise(again) == serialise(tree)


@given(st.permutations(["eth0", "eth1", "eth2", "lo"]))
def test_the_order_of_edits_does_not_show(order):
    tree = data()
    for name in order:
        tree, _ = applied(tree, config(interface(name, f'<ipv4 xmlns="{IP}"><mtu>1500</mtu></ipv4>')))
    other = data()
    for name in sorted(order):
        other, _ = applied(other, config(interface(name, f'<ipv4 xmlns="{IP}"><mtu>1500</mtu></ipv4>')))
    assert serialise(tree) == serialise(other)
