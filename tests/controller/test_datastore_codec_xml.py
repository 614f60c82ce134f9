"""XML instance data: what is encoded reads back, and a router of the lab (which knows none of our code) makes of an
edit exactly what was meant.
"""

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from controller.datastore.codec_xml import NETCONF, XmlCodec, parse
from controller.datastore.diff import Change, Edit, diff, inverse
from controller.model.errors import InvalidInputError, ProtocolViolationError
from controller.model.yang_path import Path, Step, is_within
from lab.router import schema as lab_schema
from lab.router.edit import TreeEditor
from lab.router.validation import check_payload, check_tree
from lab.router.xml import data, serialise
from tests.controller.datastore_samples import (
    EXTRA,
    MODULES,
    PROBE,
    TEXT,
    TOP,
    YANG,
    configs,
    entry,
    leaf,
    port,
    probe_schema,
    rule,
)

NS = {"nc": NETCONF, "p": PROBE, "x": EXTRA}


@functools.cache
def router_schema() -> lab_schema.Schema:
    return lab_schema.load_schema(lab_schema.ModuleSet("codec-probe", MODULES, (YANG,)))


def codec() -> XmlCodec:
    return XmlCodec(probe_schema())


def encoded(edit: Edit) -> etree._Element:
    return etree.fromstring(codec().encode_edit(edit))


def reply(content: str) -> bytes:
    return f'<data xmlns="{NETCONF}"><top xmlns="{PROBE}">{content}</top></data>'.encode()


def edited(tree: etree._Element, edit: Edit) -> etree._Element:
    """What a router's running configuration is after the edit."""
    config = encoded(edit)
    check_payload(router_schema(), config)
    TreeEditor(router_schema(), "rollback-on-error").apply(tree, config, "merge")
    check_tree(router_schema(), tree)
    return tree


@given(configs())
@settings(max_examples=50)
def test_what_is_encoded_reads_back_as_it_was(config: dict[Path, str]) -> None:
    assert codec().decode(codec().encode_edit(diff({}, config))) == config


@given(configs(), configs())
@settings(max_examples=50)
def test_a_router_that_carries_out_an_edit_holds_the_target_and_after_the_reverse_the_base(
    base: dict[Path, str], target: dict[Path, str]
) -> None:
    tree = edited(data(), diff({}, base))
    before = serialise(tree)
    assert codec().decode(before) == base
    edit = diff(base, target)
    assert codec().decode(serialise(edited(tree, edit))) == target
    assert codec().decode(serialise(edited(tree, inverse(edit)))) == base
    assert codec().decode(serialise(edited(tree, diff(base, {})))) == {}


@given(configs(), configs())
@settings(max_examples=50)
def test_only_the_topmost_deleted_nodes_are_named_and_nothing_of_what_stays(
    base: dict[Path, str], target: dict[Path, str]
) -> None:
    edit = diff(base, target)
    marked = encoded(edit).findall(f".//*[@{{{NETCONF}}}operation]")
    assert {element.get(f"{{{NETCONF}}}operation") for element in marked} <= {"delete"}
    assert not any(element in list(other.iter()) for element in marked for other in marked if element is not other)
    assert codec().decode(codec().encode_edit(edit)).keys() >= {
        change.path for change in edit if change.new is not None
    }


@given(configs(), st.lists(st.sampled_from([entry("a"), leaf("small"), leaf("feature"), rule("z", "1"), port("7")])))
@settings(max_examples=50)
def test_a_filter_selects_every_path_of_its_scope(config: dict[Path, str], scope: list[Path]) -> None:
    filters = codec().encode_filters(scope)
    assert len(filters) == bool(scope)
    for text in filters:
        selected = codec().decode(f'<data xmlns="{NETCONF}">{text}</data>'.encode())
        assert all(any(is_within(path, root) for path in selected) for root in scope)


def test_deleting_an_entry_takes_its_content_along_in_one_word() -> None:
    config = {entry("a"): "", (*entry("a"), Step("lab-probe", "note")): "n", entry("b"): ""}
    tree = encoded(diff(config, {entry("b"): ""}))
    (gone,) = tree.findall(".//p:entry", NS)
    assert gone.get(f"{{{NETCONF}}}operation") == "delete"
    assert [child.tag for child in gone] == [f"{{{PROBE}}}name"]


def test_keys_come_first_and_in_the_order_of_the_schema() -> None:
    path = rule("z\"/'[&]", "7")
    tree = encoded((Change((*path, Step("lab-probe", "action")), None, "permit"),))
    (made,) = tree.findall(".//p:rule", NS)
    assert [(etree.QName(child).localname, child.text) for child in made] == [
        ("zone", "z\"/'[&]"),
        ("id", "7"),
        ("action", "permit"),
    ]


@pytest.mark.parametrize("value", ["lab-probe:red", "lab-probe-extra:blue"])
def test_an_identity_is_written_so_that_its_namespace_can_be_found(value: str) -> None:
    module, _, name = value.partition(":")
    (paint,) = encoded((Change(leaf("paint"), None, value),)).findall(".//p:paint", NS)
    prefix, colon, local = (paint.text or "").rpartition(":")
    assert local == name
    assert paint.nsmap[prefix if colon else None] == probe_schema().namespaces[module]


@pytest.mark.parametrize(
    "leaf_text",
    [
        f'<paint xmlns:any="{EXTRA}">any:blue</paint>',
        f'<p:paint xmlns:p="{PROBE}" xmlns="{EXTRA}">blue</p:paint>',
        "<paint> lab-probe-extra:blue\n</paint>",
    ],
)
def test_an_identity_is_read_whatever_prefix_the_device_chose(leaf_text: str) -> None:
    assert codec().decode(reply(leaf_text)) == {leaf("paint"): "lab-probe-extra:blue"}


def test_presence_empty_leaves_and_leaf_lists_exist_without_a_value() -> None:
    config = {leaf("feature"): "", leaf("marker"): "", port("1"): "", port("2"): ""}
    assert codec().decode(codec().encode_edit(diff({}, config))) == config
    tree = encoded((Change(port("2"), "", None), Change(leaf("feature"), "", None)))
    assert [element.text for element in tree.findall(".//p:port", NS)] == ["2"]
    assert len(tree.findall(".//*[@nc:operation='delete']", NS)) == 2


def test_state_unknown_nodes_and_foreign_namespaces_are_left_out_of_a_reading() -> None:
    body = reply(
        "<small>5</small><status><uptime>9</uptime></status><entry><name>a</name><hits>3</hits></entry>"
        '<novelty>1</novelty><small xmlns="urn:elsewhere">6</small>'
    )
    assert codec().decode(body) == {leaf("small"): "5", entry("a"): ""}


@pytest.mark.parametrize("body", [b"", b"  \n", b'<data xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"/>'])
def test_nothing_reads_as_nothing(body: bytes) -> None:
    assert codec().decode(body) == {}


def test_text_keeps_its_blanks_and_numbers_lose_theirs() -> None:
    body = reply(
        "<small>\n 5 </small><entry><name> a </name><note>two\nlines </note></entry>"
        "<!-- no --><hostname>a<!-- -->b</hostname>"
    )
    note = (*entry(" a "), Step("lab-probe", "note"))
    assert codec().decode(body) == {leaf("small"): "5", entry(" a "): "", note: "two\nlines ", leaf("hostname"): "ab"}


@pytest.mark.parametrize(
    "body",
    [
        b"<data><top></data>",
        b"<data>&undeclared;</data>",
        b"\x00\x01",
        b"not xml",
        b'<data xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">\xff</data>',
        b"<data/><data/>",
    ],
)
def test_broken_xml_is_the_devices_fault_and_says_so(body: bytes) -> None:
    with pytest.raises(ProtocolViolationError, match="broken XML"):
        codec().decode(body)


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE data [<!ENTITY e "text">]>',
        '<!DOCTYPE data [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE data SYSTEM "http://127.0.0.1:9/x.dtd">',
        "<!DOCTYPE data>",
    ],
)
def test_a_document_type_is_refused_before_anything_is_made_of_it(declaration: str) -> None:
    use = "&e;" if "ENTITY" in declaration else ""
    body = f'{declaration}<data xmlns="{NETCONF}"><top xmlns="{PROBE}"><hostname>{use}</hostname></top></data>'
    with pytest.raises(ProtocolViolationError):
        codec().decode(body.encode())


def test_entities_that_multiply_are_refused_at_once() -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    body = f'<!DOCTYPE a [<!ENTITY e0 "x">{entities}]><a b="&e9;"/>'
    with pytest.raises(ProtocolViolationError):
        parse(body.encode())


def test_an_entry_without_its_key_is_the_devices_fault_and_names_the_list() -> None:
    with pytest.raises(ProtocolViolationError, match="list 'rule' came without its key 'id'"):
        codec().decode(reply("<rule><zone>z</zone></rule>"))


def test_a_path_that_the_schema_lacks_is_refused_by_its_name() -> None:
    with pytest.raises(InvalidInputError, match="no node 'lab-probe:nothing'"):
        codec().encode_edit((Change((TOP, Step("lab-probe", "nothing")), None, "1"),))


def test_text_that_xml_cannot_carry_is_refused_with_the_node() -> None:
    with pytest.raises(InvalidInputError, match="hostname"):
        codec().encode_edit((Change(leaf("hostname"), None, "bell\x07"),))


@given(TEXT)
def test_any_text_survives_as_a_value_and_as_a_key(text: str) -> None:
    config = {leaf("extra", module="lab-probe-extra"): text, entry(text): ""}
    assert codec().decode(codec().encode_edit(diff({}, config))) == config
