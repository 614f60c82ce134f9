"""Owns: showing configuration in braces, and the difference of two configurations (`show | compare`)."""

from collections.abc import Iterator

from lxml import etree

from lab.router.cli_syntax import instance_place, instance_words, shown_children
from lab.router.restconf_target import Place
from lab.router.schema import Schema, SchemaNode

_INDENT = "    "

Children = dict[Place, tuple[SchemaNode, etree._Element]]  # noqa: SLF001  # lxml has no public name for it


def braces(schema: Schema, node: SchemaNode, element: etree._Element, indent: str = "") -> Iterator[str]:
    """The lines of what is below `element`, nested in braces."""
    for below, child in shown_children(node, element):
        yield from _instance(schema, below, child, indent)


def _instance(schema: Schema, node: SchemaNode, element: etree._Element, indent: str) -> Iterator[str]:
    head = indent + " ".join(instance_words(schema, node, element))
    inner = [] if node.kind in {"leaf", "leaf-list"} else list(braces(schema, node, element, indent + _INDENT))
    if inner:
        yield head + " {"
        yield from inner
        yield indent + "}"
    else:
        yield head + ";"


def compare(schema: Schema, old: etree._Element, new: etree._Element) -> Iterator[str]:
    """The lines that tell `new` from `old`: `[edit path]`, then lines marked -, + or ! (moved); none when equal."""
    yield from _compare(schema, schema.root, old, new, [])


def _compare(
    schema: Schema, node: SchemaNode, old: etree._Element, new: etree._Element, path: list[str]
) -> Iterator[str]:
    before, after = _children(schema, node, old), _children(schema, node, new)
    here = [
        *_removed_and_changed(schema, before, after),
        *_added(schema, before, after),
        *_moved(schema, before, after),
    ]
    if here:
        yield " ".join(["[edit", *path]) + "]"
        yield from here
    for place, (below, child) in after.items():
        if place in before and below.kind in {"container", "list"}:
            words = instance_words(schema, below, child)
            yield from _compare(schema, below, before[place][1], child, [*path, *words])


def _children(schema: Schema, node: SchemaNode, element: etree._Element) -> Children:
    return {instance_place(schema, below, child): (below, child) for below, child in shown_children(node, element)}


def _removed_and_changed(schema: Schema, before: Children, after: Children) -> Iterator[str]:
    for place, (node, element) in before.items():
        kept = after.get(place)
        if kept is None:
            yield from ("-  " + line for line in _instance(schema, node, element, ""))
        elif node.kind == "leaf":
            lines = [next(_instance(schema, node, leaf, "")) for leaf in (element, kept[1])]
            if lines[0] != lines[1]:
                yield "-  " + lines[0]
                yield "+  " + lines[1]


def _added(schema: Schema, before: Children, after: Children) -> Iterator[str]:
    for place, (node, element) in after.items():
        if place not in before:
            yield from ("+  " + line for line in _instance(schema, node, element, ""))


def _moved(schema: Schema, before: Children, after: Children) -> Iterator[str]:
    """Every entry kept of a list whose kept entries stand in another order than before."""
    for node in {place.node for place in after if place.node.user_ordered}:
        old = [place for place in before if place.node is node and place in after]
        new = [place for place in after if place.node is node and place in before]
        if old != new:
            yield from ("!  " + " ".join(instance_words(schema, *after[place])) + ";" for place in new)
