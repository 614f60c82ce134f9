"""Owns: YANG data trees between lxml and JSON (RFC 7951), guided by schema nodes; metadata as in RFC 7952."""

import json
from collections.abc import Iterable

from lxml import etree

from lab.router.json_values import Json, decode_value, encode_value
from lab.router.rpc_errors import RpcError, unknown_element
from lab.router.schema import Schema, SchemaNode
from lab.router.xml import DEFAULT_TAG, nsmap

_TAGGED_DEFAULT = f"{{{DEFAULT_TAG}}}default"
_JSON_DEFAULT = "ietf-netconf-with-defaults:default"


class JsonCodec:
    """Encodes and decodes data trees of one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def encode_members(self, parent: SchemaNode, elements: Iterable[etree._Element]) -> dict[str, Json]:
        """The members of a JSON object for sibling `elements` below `parent`, grouped by node, in document order."""
        groups: dict[str, list[etree._Element]] = {}
        for element in elements:
            if isinstance(element.tag, str):
                groups.setdefault(element.tag, []).append(element)
        members: dict[str, Json] = {}
        for tag, group in groups.items():
            node = parent.children.get(tag)
            if node is None:
                members.update(_foreign(self.schema, group))
                continue
            name = node.name if node.module == parent.module else f"{node.module}:{node.name}"
            members[name] = self._encode_group(node, group)
            metadata = _metadata(node, group)
            if metadata is not None:
                members[f"@{name}"] = metadata
        return members

    def _encode_group(self, node: SchemaNode, group: list[etree._Element]) -> Json:
        if node.kind == "leaf-list":
            return [encode_value(self.schema, node, element) for element in group]
        if node.kind == "list":
            return [self.encode_members(node, element) for element in group]
        return self._encode_single(node, group[0])

    def _encode_single(self, node: SchemaNode, element: etree._Element) -> Json:
        if node.kind == "leaf":
            return encode_value(self.schema, node, element)
        if node.kind == "container":
            return self.encode_members(node, element)
        return self._encode_any(element)

    def _encode_any(self, element: etree._Element) -> Json:
        """Content without a schema node above it: modelled data where the schema knows it, else as it looks."""
        if len(element) == 0:
            return element.text or ""
        known = all(child.tag in self.schema.root.children for child in element)
        return self.encode_members(self.schema.root, element) if known else _foreign_members(self.schema, element)

    def decode_document(self, text: bytes | str) -> dict[str, Json]:
        """Parse a JSON text into its top-level object. Raises `RpcError` (malformed-message), also for equal names."""
        try:
            value: Json = json.loads(text, object_pairs_hook=_object_without_twins)
        except (ValueError, RecursionError) as error:
            raise RpcError("malformed-message", f"the body is not JSON: {error}", type="rpc") from None
        if not isinstance(value, dict):
            raise RpcError("malformed-message", "the body must be a JSON object", type="rpc")
        return value

    def decode_members(self, parent: SchemaNode, members: dict[str, Json], path: str = "") -> list[etree._Element]:
        """The elements for a JSON object's members below `parent`, whose instance path is `path`.

        Raises `RpcError`: unknown-element for names the schema lacks, invalid-value for values of the wrong JSON type.
        The elements have a parent of their own: `graft` them where they belong, for lxml drops prefixes on a move.
        """
        holder = etree.Element("holder")
        self._decode_into(holder, parent, members, path)
        return list(holder)

    def _decode_into(self, holder: etree._Element, parent: SchemaNode, members: dict[str, Json], path: str) -> None:
        for name, value in members.items():
            self._decode_member(holder, parent, name, value, path)

    def child_node(self, parent: SchemaNode, name: str, path: str) -> SchemaNode:
        """The child that `name` ("leaf" or "module:leaf") stands for. Raises `RpcError` (unknown-element)."""
        module, colon, local = name.rpartition(":")
        wanted = module if colon else parent.module
        if parent is self.schema.root and not colon:
            raise unknown_element(name, f"top-level node {name!r} needs its module's name before it", path=path or "/")
        for node in parent.children.values():
            if node.name == local and node.module == wanted:
                return node
        raise unknown_element(name, f"{path or 'the datastore'} has no child {name!r}", path=path or "/")

    def _decode_member(self, holder: etree._Element, parent: SchemaNode, name: str, value: Json, path: str) -> None:
        if name.startswith("@"):
            raise RpcError("unknown-attribute", f"metadata {name!r} is not supported here", path=path or "/")
        node = self.child_node(parent, name, path)
        here = f"{path}/{node.module}:{node.name}"
        for item in _array(value, here) if node.kind in {"list", "leaf-list"} else [value]:
            if node.kind in {"leaf", "leaf-list"}:
                text, prefixes = decode_value(self.schema, node, item, here)
                _append(holder, node, text, prefixes)
            elif node.kind in {"container", "list"}:
                self._decode_into(_append(holder, node), node, _object(item, here), here)
            elif isinstance(item, str):
                _append(holder, node, item)
            else:
                self._decode_into(_append(holder, node), self.schema.root, _object(item, here), here)


def _append(
    holder: etree._Element, node: SchemaNode, text: str = "", prefixes: dict[str, str] | None = None
) -> etree._Element:
    element = etree.SubElement(holder, node.tag, nsmap=nsmap(node.namespace, **(prefixes or {})))
    element.text = text or None
    return element


def _object(value: Json, path: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise RpcError("invalid-value", f"{path} takes a JSON object", path=path)
    return value


def _array(value: Json, path: str) -> list[Json]:
    if not isinstance(value, list):
        raise RpcError("invalid-value", f"{path} takes a JSON array", path=path)
    return value


def _object_without_twins(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"member {twin!r} appears more than once in an object")
    return members


def _metadata(node: SchemaNode, group: list[etree._Element]) -> Json:
    """The `default` annotations of report-all-tagged (RFC 6243 section 3.4), None when there are none."""
    tagged: list[Json] = [
        {_JSON_DEFAULT: True} if element.get(_TAGGED_DEFAULT) == "true" else None for element in group
    ]
    if not any(tagged):
        return None
    return tagged if node.kind == "leaf-list" else tagged[0]


def _foreign(schema: Schema, group: list[etree._Element]) -> dict[str, Json]:
    tag = etree.QName(group[0])
    module = schema.module_names.get(tag.namespace or "")
    name = f"{module}:{tag.localname}" if module else tag.localname
    values: list[Json] = [
        _foreign_members(schema, element) if len(element) else element.text or "" for element in group
    ]
    return {name: values[0] if len(values) == 1 else values}


def _foreign_members(schema: Schema, element: etree._Element) -> dict[str, Json]:
    groups: dict[str, list[etree._Element]] = {}
    for child in element.iterchildren("{*}*"):
        groups.setdefault(str(child.tag), []).append(child)
    return {name: value for group in groups.values() for name, value in _foreign(schema, group).items()}
