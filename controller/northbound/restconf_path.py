"""Owns reading api-paths (RFC 8040 3.5.3): from the raw request path to schema nodes with decoded keys.

The raw path, because a key may hold a slash, and a decoded path no longer tells `%2F` from `/`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from controller.datastore.schema import NodeKind, SchemaNode
from controller.model.errors import InvalidInputError
from controller.northbound.restconf_problem import RefusedError

Json = Any
_MOST_STEPS = 64


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path: its schema node, and keys (or a leaf-list's value) where it names one entry."""

    node: SchemaNode
    keys: tuple[str, ...] = ()

    @property
    def is_list(self) -> bool:
        """Whether its data is a JSON array."""
        return self.node.kind in {NodeKind.LIST, NodeKind.LEAF_LIST}

    @property
    def is_whole_list(self) -> bool:
        """Whether it names a list and none of its entries."""
        return self.is_list and not self.keys

    def matches(self, entry: Json) -> bool:
        """Whether an entry of the array is the one that is named."""
        if self.node.kind is NodeKind.LEAF_LIST:
            return plain(self.node, entry) == plain(self.node, self.keys[0])
        return isinstance(entry, Mapping) and key_of(self.node, entry) == self._plain_keys()

    def _plain_keys(self) -> tuple[str, ...]:
        return tuple(
            plain(_child(self.node, name), value) for name, value in zip(self.node.keys, self.keys, strict=True)
        )


def parse(raw: bytes, root: SchemaNode) -> tuple[Step, ...]:
    """The steps below `/restconf/data`; `RefusedError` (404) for nodes that the schema does not have.

    A segment is `name`, `name=key` or `name=key,key`; the first one carries its module.
    """
    segments = raw.strip(b"/").split(b"/") if raw.strip(b"/") else []
    if len(segments) > _MOST_STEPS:
        raise InvalidInputError("the path is too long", tag="too-big")
    steps: list[Step] = []
    parent = root
    for segment in segments:
        step = _step(parent, segment)
        steps.append(step)
        parent = step.node
    for step in steps[:-1]:
        if step.is_whole_list:
            raise InvalidInputError(f"'{step.node.name}' is a list: name the entry by {', '.join(step.node.keys)}")
    return tuple(steps)


def _step(parent: SchemaNode, segment: bytes) -> Step:
    name, has_keys, values = segment.partition(b"=")
    node = child_named(parent, _decoded(name))
    if not has_keys:
        return Step(node)
    keys = tuple(_decoded(value) for value in values.split(b","))
    wanted = len(node.keys) if node.kind is NodeKind.LIST else 1
    if node.kind not in {NodeKind.LIST, NodeKind.LEAF_LIST}:
        raise InvalidInputError(f"'{node.name}' is not a list, so it has no keys")
    if len(keys) != wanted:
        raise InvalidInputError(f"'{node.name}' takes {wanted} keys ({', '.join(node.keys)}), not {len(keys)}")
    return Step(node, keys)


def child_named(parent: SchemaNode, text: str) -> SchemaNode:
    """The child of a schema node, named `name` or `module:name`; the top level needs the module."""
    module, _, name = text.rpartition(":")
    if not module and parent.name:
        module = parent.module
    node = parent.children.get((module, name))
    if node is None:
        raise RefusedError(f"there is no '{text}' here", status=404, tag="unknown-element")
    return node


def key_of(node: SchemaNode, entry: Mapping[str, Json]) -> tuple[str, ...]:
    """The key of a list entry; `InvalidInputError` when one of its leaves is missing."""
    for name in node.keys:
        if name not in entry:
            raise InvalidInputError(f"an entry of '{node.name}' lacks its key '{name}'", tag="missing-element")
    return tuple(plain(_child(node, name), entry[name]) for name in node.keys)


def plain(node: SchemaNode, value: Json) -> str:
    """A value as it stands in a path: numbers as text, identities without their module."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.rpartition(":")[2] if node.type == "identityref" else text


def format_url(steps: Sequence[Step]) -> str:
    """The path as a URL below `/restconf/data`, keys percent-encoded."""
    parts = []
    for number, step in enumerate(steps):
        name = step.node.name if number else f"{step.node.module}:{step.node.name}"
        keys = ",".join(quote(key, safe="") for key in step.keys)
        parts.append(f"{name}={keys}" if step.keys else name)
    return "/restconf/data/" + "/".join(parts)


def _child(node: SchemaNode, name: str) -> SchemaNode:
    return node.children[node.module, name]


def _decoded(text: bytes) -> str:
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError("the path is not UTF-8", tag="malformed-message") from error
