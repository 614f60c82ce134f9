"""Owns: what a retrieval shows of what it found: `fields` and `depth` (RFC 8040 sections 4.8.2 and 4.8.3)."""

from copy import deepcopy

from lxml import etree

from lab.router.restconf_errors import refuse
from lab.router.restconf_query import FieldsTree
from lab.router.schema import SchemaNode


def pruned(
    node: SchemaNode, found: list[etree._Element], fields: FieldsTree | None, depth: int | None
) -> list[etree._Element]:
    """Copies of the `found` instances of `node` with only the selected fields, and no deeper than `depth` levels.

    List keys stay, so that an entry can be told from its siblings. Raises `RestconfError` (invalid-value) for a field
    that the schema lacks.
    """
    if fields is None and depth is None:
        return found
    copies = [deepcopy(element) for element in found]
    for element in copies:
        if fields is not None:
            _keep_fields(node, element, fields)
        if depth is not None:
            _cut_below(node, element, depth)
    return copies


def _keep_fields(node: SchemaNode, element: etree._Element, fields: FieldsTree) -> None:
    selected = {child.tag: (child, below) for child, below in _selected(node, fields)}
    for child in list(element):
        if child.tag in selected:
            below_node, below = selected[child.tag]
            if not below.whole:
                _keep_fields(below_node, child, below)
        elif child.tag not in node.keys:
            element.remove(child)


def _selected(node: SchemaNode, fields: FieldsTree) -> list[tuple[SchemaNode, FieldsTree]]:
    return [(_field_node(node, name), below) for name, below in fields.children.items()]


def _field_node(parent: SchemaNode, name: str) -> SchemaNode:
    module, colon, local = name.rpartition(":")
    wanted = module if colon else parent.module
    for node in parent.children.values():
        if node.name == local and node.module == wanted:
            return node
    raise refuse("invalid-value", f"fields: {parent.name or 'the datastore'} has no child {name!r}")


def _cut_below(node: SchemaNode, element: etree._Element, depth: int) -> None:
    for child in list(element):
        below = node.children.get(child.tag)
        if depth > 1:
            if below is not None:
                _cut_below(below, child, depth - 1)
        elif child.tag not in node.keys:
            element.remove(child)
