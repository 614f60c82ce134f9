"""Owns the operations of RFC 8040 section 4 on an instance document: pure functions from a document to the next.

Documents are RFC 7951 JSON of one module, member names without prefix. Nothing is changed in place: what an operation
does not touch is shared with the document it came from.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from controller.datastore.schema import NodeKind, SchemaNode
from controller.model.errors import ConflictError, InvalidInputError
from controller.northbound.restconf_path import Step, child_named, key_of, plain
from controller.northbound.restconf_problem import RefusedError

Json = Any


class Absent(Enum):
    """There is no such node; distinct from every JSON value."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT
Change = Callable[[Json], Json]
"""From the target's value (or ABSENT) to its next (or ABSENT)."""


def find(document: Json, steps: Sequence[Step]) -> Json:
    """The value at a path, ABSENT when there is none; a step without keys into a list gives the whole array."""
    value = document
    for step in steps:
        if not isinstance(value, Mapping) or step.node.name not in value:
            return ABSENT
        value = value[step.node.name]
        if step.keys:
            value = next((entry for entry in value if step.matches(entry)), ABSENT)
    return value


def changed(document: Json, steps: Sequence[Step], change: Change) -> Json:
    """The document with `change` applied at the path.

    Containers on the way come into being and go with their last child; entries of lists on the way must be there.
    """
    if not steps:
        return change(document)
    step, rest = steps[0], steps[1:]
    members = dict(document) if document is not ABSENT else {}
    old = members.get(step.node.name, ABSENT)
    new = _in_array(old, step, rest, change) if step.keys else _in_member(old, step, rest, change)
    if new is ABSENT or (step.node.kind is NodeKind.CONTAINER and not new and not step.node.is_presence):
        members.pop(step.node.name, None)
    else:
        members[step.node.name] = new
    return members


def _in_member(old: Json, step: Step, rest: Sequence[Step], change: Change) -> Json:
    if rest and old is ABSENT and step.node.is_presence:
        raise missing(step)
    return changed(old, rest, change)


def _in_array(old: Json, step: Step, rest: Sequence[Step], change: Change) -> Json:
    entries = list(old) if old is not ABSENT else []
    at = next((number for number, entry in enumerate(entries) if step.matches(entry)), None)
    if at is None and rest:
        raise missing(step)
    new = changed(ABSENT if at is None else entries[at], rest, change)
    if at is None:
        entries += [] if new is ABSENT else [new]
    elif new is ABSENT:
        del entries[at]
    else:
        entries[at] = new
    return entries or ABSENT


def missing(step: Step) -> RefusedError:
    """The error for a node that is not there."""
    name = f"{step.node.name}={','.join(step.keys)}" if step.keys else step.node.name
    return RefusedError(f"there is no {name}", status=404, tag="invalid-value")


def replace_with(value: Json) -> Change:
    """PUT (RFC 8040 4.5)."""
    return lambda _: value


def remove(step: Step) -> Change:
    """DELETE (RFC 8040 4.7): the target must be there."""

    def change(old: Json) -> Json:
        if old is ABSENT:
            raise missing(step)
        return ABSENT

    return change


def create(step: Step, value: Json) -> Change:
    """What POST (RFC 8040 4.4.1) does at the new child: it must not be there yet."""

    def change(old: Json) -> Json:
        if old is not ABSENT:
            raise ConflictError(f"'{step.node.name}' is there already", remedy="use PUT or PATCH", tag="data-exists")
        return value

    return change


def merge_into(step: Step, value: Json) -> Change:
    """Plain PATCH (RFC 8040 4.6.1): the target must be there; lists merge by key, leaf-lists by value."""

    def change(old: Json) -> Json:
        if old is ABSENT:
            raise missing(step)
        return _merged(step.node, old, value)

    return change


def _merged(node: SchemaNode, old: Json, new: Json) -> Json:
    if old is ABSENT or node.kind is NodeKind.LEAF:
        return new
    if node.kind is NodeKind.LEAF_LIST:
        present = {plain(node, value) for value in old}
        return [*old, *(value for value in new if plain(node, value) not in present)]
    if isinstance(new, list):
        return _merged_list(node, old, new)
    merged = dict(old)
    for name, value in new.items():
        merged[name] = _merged(child_named(node, name), merged.get(name, ABSENT), value)
    return merged


def _merged_list(node: SchemaNode, old: Sequence[Json], new: Sequence[Json]) -> list[Json]:
    entries = {key_of(node, entry): entry for entry in old}
    for entry in new:
        key = key_of(node, entry)
        entries[key] = _merged(node, entries.get(key, ABSENT), entry)
    return list(entries.values())


def normal(node: SchemaNode, value: Json) -> Json:
    """A value from outside as it is stored: known members, without their module, arrays where arrays belong.

    `InvalidInputError` names what has no place here; types and constraints are the validator's business.
    """
    if node.kind in {NodeKind.LIST, NodeKind.LEAF_LIST}:
        return _normal_entries(node, value)
    if node.kind is NodeKind.CONTAINER:
        return _normal_members(node, value)
    if isinstance(value, dict) or (isinstance(value, list) and value != [None]):
        raise InvalidInputError(f"'{node.name}' is a leaf", path=node.name)
    return value


def _normal_entries(node: SchemaNode, value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise InvalidInputError(f"'{node.name}' is a list, so an array is expected", path=node.name)
    if node.kind is NodeKind.LEAF_LIST:
        return value
    entries = [_normal_members(node, entry) for entry in value]
    if len({key_of(node, entry) for entry in entries}) != len(entries):
        raise InvalidInputError(f"two entries of '{node.name}' have the same key", path=node.name)
    return entries


def _normal_members(node: SchemaNode, value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise InvalidInputError(f"'{node.name}' is not a leaf, so an object is expected", path=node.name)
    found: dict[str, Json] = {}
    for name, inner in value.items():
        try:
            child = child_named(node, name)
        except RefusedError as error:
            raise InvalidInputError(
                f"'{node.name}' has no '{name}'", path=f"{node.name}/{name}", tag="unknown-element"
            ) from error
        if child.name in found:
            raise InvalidInputError(f"'{child.name}' is given twice", path=node.name)
        found[child.name] = normal(child, inner)
    return found


def pruned(value: Json, depth: int) -> Json:
    """The value down to `depth` levels (RFC 8040 4.8.2); 1 shows only the target itself."""
    if isinstance(value, list):
        return [pruned(entry, depth) for entry in value]
    if not isinstance(value, dict):
        return value
    if depth <= 1:
        return {}
    return {name: pruned(inner, depth - 1) for name, inner in value.items()}
