"""Owns XML instance data (RFC 7950, RFC 6241 7.2): edit-config bodies, subtree filters, and replies.

Replies are parsed hardened: no entities, no network, no DTD, bounded depth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from lxml import etree

from controller.datastore.diff import Edit, topmost_deletions
from controller.datastore.schema import NodeKind, Schema, SchemaNode
from controller.model.errors import InvalidInputError, ProtocolViolationError
from controller.model.yang_path import Config, Path, Step

NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
_OPERATION = f"{{{NETCONF}}}operation"
_DELETED = None
_CONFIG_NAMESPACES = cast("dict[str, str]", {None: NETCONF, "nc": NETCONF})


@dataclass(frozen=True, slots=True)
class XmlCodec:
    """XML by a device's schema."""

    schema: Schema

    def encode_edit(self, edit: Edit) -> bytes:
        """A `<config>` element: merges for settings, `operation="delete"` on the topmost deleted nodes."""
        writer = _Writer(self.schema, etree.Element(f"{{{NETCONF}}}config", nsmap=_CONFIG_NAMESPACES))
        for path in topmost_deletions(edit):
            writer.place(path, _DELETED)
        for change in edit:
            if change.new is not None:
                writer.place(change.path, change.new)
        return etree.tostring(writer.root)

    def encode_filters(self, scope: Sequence[Path]) -> Sequence[str]:
        """One subtree filter (RFC 6241 6) that selects every path of the scope."""
        return _filters(self.schema, tuple(scope))

    def decode(self, body: bytes) -> Config:
        """Configuration leaves, entries and presence containers below the reply's root; state is left out."""
        config: dict[Path, str] = {}
        if body.strip():
            for child in parse(body):
                _decode(self.schema, self.schema.root, (), child, config)
        return config


@lru_cache(maxsize=4096)
def _filters(schema: Schema, scope: tuple[Path, ...]) -> tuple[str, ...]:
    """Remembered: a transaction reads the same scope several times."""
    if not scope:
        return ()
    root = etree.Element("filter")
    writer = _Writer(schema, root)
    for path in scope:
        writer.select(path)
    return ("".join(etree.tostring(child, encoding="unicode") for child in root),)


_PARSER = etree.XMLParser(
    resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True, remove_comments=True, remove_pis=True
)


def parse(body: bytes) -> etree._Element:
    """Hardened parsing; `ProtocolViolationError` says where it is broken."""
    try:
        root = etree.fromstring(body, _PARSER)
    except etree.XMLSyntaxError as error:
        raise ProtocolViolationError(f"the device sent broken XML: {error.msg}", tag="malformed-message") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise ProtocolViolationError("the device sent a document type, which XML for NETCONF forbids")
    return root


class _Writer:
    """Builds one element tree out of paths, sharing ancestors."""

    def __init__(self, schema: Schema, root: etree._Element) -> None:
        self._schema = schema
        self.root = root
        self._placed: dict[Path, tuple[etree._Element, SchemaNode]] = {(): (root, schema.root)}

    def place(self, path: Path, value: str | None) -> None:
        """Write the node; None marks it for deletion."""
        element = self._element(path, value or "")
        if value is _DELETED:
            element.set(_OPERATION, "delete")

    def select(self, path: Path) -> None:
        """Write a selection: an empty leaf element selects the leaf, an entry with its keys the entry."""
        self._element(path, "")

    def _element(self, path: Path, value: str = "") -> etree._Element:
        placed = self._placed.get(path)
        if placed is not None:
            return placed[0]
        parent = self._element(path[:-1])
        parent_node = self._placed[path[:-1]][1]
        step = path[-1]
        node = parent_node.children.get((step.module, step.name)) or self._schema.node(path)
        if node.kind is NodeKind.LEAF_LIST:
            value = step.keys[0][1]
        element = self._append(parent, node, value)
        if node.kind is NodeKind.LIST:
            for name, key in step.keys:
                self._append(element, node.children[step.module, name], key)
        self._placed[path] = (element, node)
        return element

    def _append(self, parent: etree._Element, node: SchemaNode, value: str) -> etree._Element:
        namespace = self._schema.namespaces[node.module]
        nsmap: dict[str | None, str] = {None: namespace}
        module, colon, local = value.partition(":")
        if node.type == "identityref" and colon and module in self._schema.namespaces:
            value = local if module == node.module else value
            nsmap[module] = self._schema.namespaces[module]
        element = etree.SubElement(parent, f"{{{namespace}}}{node.name}", nsmap=cast("dict[str, str]", nsmap))
        try:
            element.text = value or None
        except ValueError as error:
            raise InvalidInputError(
                f"the value of '{node.name}' holds a character that XML cannot carry", tag="invalid-value"
            ) from error
        return element


def _decode(
    schema: Schema, parent: SchemaNode, parent_path: Path, element: etree._Element, config: dict[Path, str]
) -> None:
    name = _name_of(schema, element.tag)
    node = parent.children.get(name)
    if node is None or not node.is_config:
        return
    if node.kind is NodeKind.LEAF:
        if node.name not in parent.keys or parent.kind is not NodeKind.LIST:
            config[*parent_path, Step(*name)] = _value(schema, node, element)
        return
    if node.kind is NodeKind.LEAF_LIST:
        config[*parent_path, Step(*name, ((".", _value(schema, node, element)),))] = ""
        return
    path = (*parent_path, Step(*name, _keys(schema, node, element) if node.keys else ()))
    if node.kind is NodeKind.LIST or node.is_presence:
        config[path] = ""
    for child in element:
        _decode(schema, node, path, child, config)


@lru_cache(maxsize=1 << 14)
def _name_of(schema: Schema, tag: str) -> tuple[str, str]:
    """Module and name of a tag; remembered, as every reply has the same ones."""
    namespace, _, name = tag.rpartition("}")
    return schema.modules.get(namespace[1:], ""), name


def _keys(schema: Schema, node: SchemaNode, element: etree._Element) -> tuple[tuple[str, str], ...]:
    namespace = element.tag.rpartition("}")[0]
    keys = []
    for name in node.keys:
        key = element.find(f"{namespace}}}{name}")
        if key is None:
            raise ProtocolViolationError(f"an entry of list '{node.name}' came without its key '{name}'")
        keys.append((name, _value(schema, node.children[node.module, name], key)))
    return tuple(keys)


def _value(schema: Schema, node: SchemaNode, element: etree._Element) -> str:
    text = (element.text or "").strip() if node.type != "string" else (element.text or "")
    if node.type != "identityref":
        return text
    prefix, colon, local = text.partition(":")
    if not colon:
        module = schema.modules.get(element.nsmap.get(None) or "", schema.identities.get(text, ""))
        return f"{module}:{text}"
    return f"{schema.modules.get(element.nsmap.get(prefix) or '', prefix)}:{local}"
