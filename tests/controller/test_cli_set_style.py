"""`set` lines for any YANG tree, both ways without loss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.yang_schema import PROFILE_MODULES, load_schema
from controller.datastore.cli_set_style import SetStyleSyntax, quote, tokens
from controller.datastore.diff import Change, diff
from controller.datastore.schema import NodeKind
from controller.model.errors import InvalidInputError
from controller.model.yang_path import Step, parse_path

SCHEMA = load_schema(PROFILE_MODULES["ietf"])
SYNTAX = SetStyleSyntax(SCHEMA)
ETH = "/ietf-interfaces:interfaces/interface[name='eth 0']"


def paths_of(node, above=()):
    for child in node.children.values():
        is_key = node.kind is NodeKind.LIST and child.name in node.keys
        if child.is_config and not is_key:
            yield (*above, child)
            yield from paths_of(child, (*above, child))


NODES = [nodes for nodes in paths_of(SCHEMA.root) if nodes[-1].kind is not NodeKind.CONTAINER or nodes[-1].is_presence]
values = st.text(st.characters(codec="utf-8"))


@st.composite
def configs(draw):
    config = {}
    for nodes in draw(st.lists(st.sampled_from(NODES), max_size=8)):
        path = ()
        for node in nodes:
            names = (".",) if node.kind is NodeKind.LEAF_LIST else node.keys if node.kind is NodeKind.LIST else ()
            path = (*path, Step(node.module, node.name, tuple((name, draw(values)) for name in names)))
            if node.kind is NodeKind.LEAF:
                config[path] = "" if node.type == "empty" else draw(values)
            elif node.kind is not NodeKind.CONTAINER or node.is_presence:
                config[path] = ""
    return config


@given(configs())
def test_what_is_rendered_is_parsed_back(config):
    parsed = SYNTAX.parse(SYNTAX.render(config))
    assert parsed.config == config
    assert parsed.unknown == ()


@given(values)
def test_any_value_is_one_word(value):
    assert tokens(f"set x {quote(value)} y") == ["set", "x", value, "y"]
    assert len(f"{quote(value)}".splitlines()) == 1


def test_lines_are_as_people_write_them():
    config = {
        parse_path(ETH): "",
        parse_path(f"{ETH}/description"): 'to "London"\n2',
        parse_path(f"{ETH}/ietf-ip:ipv4"): "",
        parse_path(f"{ETH}/ietf-ip:ipv4/address[ip='10.0.0.1']"): "",
        parse_path(f"{ETH}/ietf-ip:ipv4/address[ip='10.0.0.1']/prefix-length"): "24",
        parse_path("/ietf-interfaces:interfaces/interface[name='eth1']"): "",
    }
    assert SYNTAX.render(config).splitlines() == [
        'set interfaces interface "eth 0" description "to \\"London\\"\\n2"',
        'set interfaces interface "eth 0" ipv4 address 10.0.0.1 prefix-length 24',
        "set interfaces interface eth1",
    ]
    assert SYNTAX.parse(SYNTAX.render(config)).config == config


def test_an_edit_deletes_the_topmost_and_sets_the_rest():
    described = {parse_path(ETH): "", parse_path(f"{ETH}/description"): "x"}
    assert SYNTAX.render_edit(diff(described, {})) == ('delete interfaces interface "eth 0"',)
    assert SYNTAX.render_edit(diff(described, {parse_path(ETH): ""})) == (
        'delete interfaces interface "eth 0" description',
    )
    changed = (Change(parse_path(f"{ETH}/description"), "x", "y z"),)
    assert SYNTAX.render_edit(changed) == ('set interfaces interface "eth 0" description "y z"',)


@pytest.mark.parametrize(
    "line",
    [
        "version 1.2",
        "set",
        "set interfaces",
        "set interfaces interface",
        "set interfaces colour red",
        "set interfaces interface eth0 description",
        "set interfaces interface eth0 description a b",
        'set interfaces interface eth0 description "open',
        "set interfaces interface eth0 description a | b",
        "deactivate interfaces interface eth0",
    ],
)
def test_a_line_the_schema_does_not_know_is_kept_apart(line):
    parsed = SYNTAX.parse(f"\n{line}\nset interfaces interface eth1\n")
    assert [(item.number, item.line) for item in parsed.unknown] == [(2, line)]
    assert list(parsed.config) == [parse_path("/ietf-interfaces:interfaces/interface[name='eth1']")]


def test_a_path_outside_the_schema_cannot_be_written():
    with pytest.raises(InvalidInputError):
        SYNTAX.render({parse_path("/ietf-interfaces:interfaces/colour"): "red"})
