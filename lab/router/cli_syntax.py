"""Owns: the CLI's grammar for any YANG tree: `set <path, list keys inline> <leaf> <value>`, both ways without loss.

A node is called by its name; by module:name where two siblings share the name. A list name is followed by its key
values in the order of the key statement. Choices do not appear. anydata and anyxml nodes have no CLI form.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from lxml import etree

from lab.router.cli_tokens import CliError, Token, quote
from lab.router.json_values import text_of_key
from lab.router.restconf_target import Place, Target, lexical
from lab.router.schema import Schema, SchemaNode
from lab.router.xml import nsmap

_STEP = re.compile(r"""/(?:[\w.-]+:)?([\w.-]+)((?:\[[^\]=]*=(?:'[^']*'|"[^"]*")\])*)""")
_PREDICATE = re.compile(r"""\[[^\]=]*=(?:'([^']*)'|"([^"]*)")\]""")


@dataclass(frozen=True, slots=True)
class Statement:
    """A parsed path: the target, a leaf's value, and the column of each word for error markers."""

    target: Target
    value: str | None
    columns: dict[str, int]
    end: int

    def column_of(self, path: str | None) -> int:
        """The column of the word that an instance-identifier ends at; the last word's when it names none."""
        name = _STEP.findall(path)[-1][0] if path and _STEP.search(path) else ""
        return self.columns.get(name, self.end)

    def config(self, root: etree._Element) -> etree._Element:
        """Append the statement's elements to `root`, and return the last of them."""
        node = self.target.node
        if node.kind != "leaf" or self.value is None:
            return self.target.build(root)
        parent = self.target.parent.build(root)
        text, prefixes = text_of_key(self.target.schema, node, self.value)
        leaf = etree.SubElement(parent, node.tag, nsmap=nsmap(node.namespace, **prefixes))
        leaf.text = text or None
        return leaf


@cache
def words(parent: SchemaNode) -> dict[str, SchemaNode]:
    """The configuration children of a node by the word the CLI calls them."""
    nodes = [node for node in parent.children.values() if node.config and node.kind not in {"anydata", "anyxml"}]
    names = [node.name for node in nodes]
    return {node.name if _has_plain_name(parent, node, names) else f"{node.module}:{node.name}": node for node in nodes}


def _has_plain_name(parent: SchemaNode, node: SchemaNode, names: list[str]) -> bool:
    return names.count(node.name) == 1 or (node.module == parent.module and bool(parent.name))


def _child(parent: SchemaNode, token: Token) -> SchemaNode:
    node = words(parent).get(token.text)
    if node is None:
        module, _, name = token.text.rpartition(":")
        node = next((item for item in words(parent).values() if (item.module, item.name) == (module, name)), None)
    if node is None:
        raise CliError(_no_child(parent, token.text), token.column)
    return node


def _no_child(parent: SchemaNode, word: str) -> str:
    full = [name for name, node in words(parent).items() if node.name == word]
    if full:
        return f"'{word}' is ambiguous, say {' or '.join(full)}"
    return f"there is no '{word}' below '{parent.name}'" if parent.name else f"there is no '{word}' at the top"


def parse_path(schema: Schema, tokens: list[Token], *, end: int, whole_lists: bool, values: bool) -> Statement:
    """Parse `tokens` as a path from the top. `end` is the column past the line, where a missing word is marked.

    With `values` a leaf takes its value, else it must be the last word. Raises `CliError` at the first bad word.
    """
    node, at = schema.root, 0
    places: list[Place] = []
    columns: dict[str, int] = {}
    value: str | None = None
    while at < len(tokens):
        if node.kind in {"leaf", "leaf-list"}:
            raise CliError(f"nothing can follow '{node.name}' here", tokens[at].column)
        node = _child(node, tokens[at])
        columns[node.name] = tokens[at].column
        at += 1
        keys, taken = _take_keys(node, tokens[at:], columns, end, whole_lists=whole_lists, values=values)
        at += taken
        if node.kind == "leaf" and values and _takes_value(node):
            if at == len(tokens):
                raise CliError(f"'{node.name}' needs a value", end)
            value, columns[node.name] = tokens[at].text, tokens[at].column
            at += 1
        places.append(Place(node, keys))
    last = tokens[-1].column if tokens else end
    return Statement(Target(schema, tuple(places)), value, columns, last)


def _take_keys(
    node: SchemaNode, rest: list[Token], columns: dict[str, int], end: int, *, whole_lists: bool, values: bool
) -> tuple[tuple[str, ...] | None, int]:
    names = [node.children[tag].name for tag in node.keys]
    if node.kind == "leaf-list" and (values or rest):
        names = ["value"]
    if not names or (whole_lists and not rest):
        return None, 0
    if len(rest) < len(names):
        raise CliError(f"'{node.name}' needs its {names[len(rest)]}", end)
    for name, token in zip(names, rest, strict=False):
        columns[name if node.kind == "list" else node.name] = token.column
    return tuple(token.text for token in rest[: len(names)]), len(names)


def _takes_value(node: SchemaNode) -> bool:
    return node.type is None or node.type.resolved().base != "empty"


def place_words(schema: Schema, place: Place) -> list[str]:
    """The words of one step: the node's, and its keys quoted where need be."""
    parent = place.node.parent or schema.root
    word = next(word for word, node in words(parent).items() if node is place.node)
    return [word, *(quote(key) for key in place.keys or ())]


def instance_place(schema: Schema, node: SchemaNode, element: etree._Element) -> Place:
    """The place of an instance that is in a datastore, where lists always have their keys."""
    if node.kind == "leaf-list":
        return Place(node, (lexical(schema, node, element),))
    keys = tuple(
        lexical(schema, node.children[tag], key) for tag in node.keys if (key := element.find(tag)) is not None
    )
    return Place(node, keys if node.kind == "list" else None)


def shown_children(node: SchemaNode, element: etree._Element) -> Iterator[tuple[SchemaNode, etree._Element]]:
    """The children of an instance that the CLI shows: configuration, list keys left out."""
    for child in element:
        below = node.children.get(child.tag)
        if (
            below is not None
            and below.config
            and child.tag not in node.keys
            and below.kind not in {"anydata", "anyxml"}
        ):
            yield below, child


def instance_words(schema: Schema, node: SchemaNode, element: etree._Element) -> list[str]:
    """The words that stand for an instance on its line: with keys for a list entry, with the value for a leaf."""
    found = place_words(schema, instance_place(schema, node, element))
    if node.kind == "leaf" and _takes_value(node):
        found.append(quote(lexical(schema, node, element)))
    return found


def set_lines(schema: Schema, node: SchemaNode, element: etree._Element, prefix: list[str]) -> Iterator[str]:
    """The `set` commands, in order, that make what is below `element`; `prefix` holds the words down to it."""
    for below, child in shown_children(node, element):
        path = [*prefix, *instance_words(schema, below, child)]
        if below.kind in {"leaf", "leaf-list"}:
            yield "set " + " ".join(path)
            continue
        lines = list(set_lines(schema, below, child, path))
        if not lines and not below.pruned_when_empty:
            lines = ["set " + " ".join(path)]
        yield from lines


def path_words(path: str) -> list[str]:
    """The CLI's words for an instance-identifier, as shown in error messages."""
    found: list[str] = []
    for name, predicates in _STEP.findall(path):
        found.append(name)
        found.extend(quote(single or double) for single, double in _PREDICATE.findall(predicates))
    return found
