"""Owns: turning RESTCONF edits into edit-config content (RFC 8040 sections 4.4 to 4.7 and 4.8.5, 4.8.6).

Shared by the plain methods and by YANG Patch. Everything here works on trees; nothing is applied.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lxml import etree

from lab.router.restconf_errors import RestconfError, refuse
from lab.router.restconf_query import Insert
from lab.router.restconf_target import Place, Target, append_instance, place_of, resolve
from lab.router.restconf_uri import parse_api_path
from lab.router.schema import Schema, SchemaNode
from lab.router.xml import NC, OPERATION, YANG, local, namespace_of, nsmap, quoted

Operation = Literal["create", "replace", "merge", "delete", "remove"]


@dataclass(frozen=True, slots=True)
class Position:
    """Where an entry of an `ordered-by user` list goes; `point` is the entry to stand before or after."""

    insert: Insert
    point: Target | None = None


def edit_of(
    target: Target, operation: Operation, value: etree._Element | None, position: Position | None = None
) -> etree._Element:
    """The <config> that does `operation` at `target`, with `value` as its new content (None when deleting).

    Raises `RestconfError` when the value is not the target's, or the position does not fit.
    """
    require_config(target)
    config = new_config()
    if value is None:
        element = target.build(config)
    else:
        check_value(target, value)
        # A position's key attribute names keys by module: its prefix must be known on the element.
        element = graft(target.parent.build(config), value, {target.node.module: target.node.namespace})
    element.set(OPERATION, operation)
    if position is not None:
        _set_position(element, target, position)
    return config


def graft(parent: etree._Element, source: etree._Element, prefixes: Mapping[str, str] | None = None) -> etree._Element:
    """Append a copy of `source` to `parent` and return it.

    Appending the element itself would not do: lxml drops a namespace declaration when an ancestor has the same
    namespace under another prefix, and with it the prefix that a leaf's value uses.
    """
    used = source.nsmap.items() if ":" in (source.text or "") else ()
    declared: dict[str, str] = {prefix: uri for prefix, uri in used if prefix}
    declared.update(prefixes or {})
    attributes = {str(name): str(value) for name, value in source.items()}
    element = etree.SubElement(parent, source.tag, attributes, nsmap=nsmap(namespace_of(source.tag), **declared))
    element.text = source.text
    for child in source:
        graft(element, child)
    return element


def new_config() -> etree._Element:
    """An empty <config>."""
    return etree.Element(f"{{{NC}}}config", nsmap=nsmap(NC))


def replacement(schema: Schema, old: etree._Element, new: etree._Element) -> etree._Element:
    """The <config> that makes `old` equal `new`; what is equal in both is no change when it is applied."""
    config = new_config()
    for child in new:
        graft(config, child).set(OPERATION, "replace")
    kept = {_top_place(schema, child) for child in new}
    for child in old:
        place = _top_place(schema, child)
        if place not in kept:
            append_instance(schema, config, place).set(OPERATION, "delete")
    return config


def _top_place(schema: Schema, element: etree._Element) -> Place:
    return place_of(schema, schema.root.children[element.tag], element)


def require_config(target: Target) -> None:
    """Raises `RestconfError` (405) when the target is state, (400) when it names a whole list."""
    if not target.node.config:
        raise refuse("operation-not-supported", f"{target.path()} is state data, it cannot be edited")
    if target.is_bare_list:
        raise refuse("invalid-value", f"{target.path()} is a whole list; name one instance by its key values")


def check_value(target: Target, value: etree._Element) -> None:
    """Raises `RestconfError` (invalid-value) unless `value` is the instance that the target names."""
    if value.tag != target.node.tag:
        raise refuse("invalid-value", f"the body holds {local(value.tag)!r}, the target is {target.node.name!r}")
    place = place_of(target.schema, target.node, value)
    if place.keys != target.places[-1].keys:
        raise refuse(
            "invalid-value",
            f"the keys in the body {place.keys} are not those of the target {target.places[-1].keys}",
            path=target.path(),
        )


def child_target(parent: Target, value: etree._Element) -> Target:
    """The resource that posting `value` to `parent` makes. Raises `RestconfError` for a child the schema lacks."""
    node = parent.node.children.get(value.tag)
    if node is None:
        raise refuse("unknown-element", f"{parent.path()} has no child {local(value.tag)!r}", path=parent.path())
    return Target(parent.schema, (*parent.places, place_of(parent.schema, node, value)))


def _set_position(element: etree._Element, target: Target, position: Position) -> None:
    if not target.node.user_ordered:
        raise refuse("invalid-value", f"{target.path()} is not ordered by the user: no 'insert' here")
    element.set(f"{{{YANG}}}insert", position.insert)
    if position.point is None:
        return
    anchor = _anchor(target, position.point)
    if target.node.kind == "leaf-list":
        element.set(f"{{{YANG}}}value", (anchor.keys or ("",))[0])
    else:
        element.set(f"{{{YANG}}}key", _predicates(anchor.node, anchor.keys or ()))


def parse_point(schema: Schema, point: str) -> Target:
    """The entry that a `point` parameter names, a path below the datastore. Raises `RestconfError` (invalid-value)."""
    try:
        return resolve(schema, parse_api_path(point.removeprefix("/restconf/data")))
    except RestconfError as error:
        raise refuse("invalid-value", f"point={point!r}: {error}") from None


def _anchor(target: Target, point: Target) -> Place:
    """The place of `point`: it must be a sibling of the target."""
    if point.parent != target.parent or point.node is not target.node or point.is_bare_list:
        raise refuse("invalid-value", f"point {point.path()} is no other entry of the list that {target.path()} is in")
    return point.places[-1]


def _predicates(node: SchemaNode, keys: tuple[str, ...]) -> str:
    names = (node.children[tag] for tag in node.keys)
    return "".join(f"[{key.module}:{key.name}={quoted(value)}]" for key, value in zip(names, keys, strict=True))
