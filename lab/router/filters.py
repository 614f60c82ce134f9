"""Owns filters: subtree (RFC 6241 section 6) and XPath (section 8.9); and the union of configuration and state."""

import re
from collections.abc import Mapping
from copy import deepcopy

from lxml import etree

from lab.router import rpc_errors
from lab.router.schema import Schema, SchemaNode
from lab.router.values import canonical
from lab.router.xml import NC, arrange, graft, local

_TOKEN = re.compile(r"""'[^']*'|"[^"]*"|//|/|::|[\w.-]+|\s+|.""")
_OPERATORS = frozenset({"", "(", "[", ",", "|", "+", "-", "=", "<", ">", "and", "or", "div", "mod"})
_ROOT_PREFIX = "lab-root"


def top_level_tags(subtree: etree._Element) -> frozenset[str] | None:
    """Return which top-level nodes a subtree filter can select; None when it may be any."""
    tags = frozenset(child.tag for child in subtree)
    return tags if all(tag.startswith("{") for tag in tags) else None


def subtree(schema: Schema, tree: etree._Element, wanted: etree._Element) -> etree._Element:
    """Return a <data> tree of what a subtree filter selects; keys of selected list entries come with them."""
    copy = deepcopy(tree)  # pruning a copy keeps the prefixes that values need; building anew would lose some
    selection = _Selection(schema)
    selection.mark(wanted, copy, schema.root)
    selection.prune(copy)
    return copy


def xpath(schema: Schema, tree: etree._Element, select: str, namespaces: Mapping[str, str]) -> etree._Element:
    """Return a <data> tree of the nodes an XPath expression selects, with their ancestors. Raises RpcError."""
    copy = deepcopy(tree)
    try:
        found = copy.xpath(_below_data(select), namespaces={**namespaces, _ROOT_PREFIX: NC})
    except etree.XPathError as error:
        raise rpc_errors.invalid_value(f"select is not a usable XPath expression: {error}", type="protocol") from error
    nodes = [item for item in found if etree.iselement(item)] if isinstance(found, list) else []
    if not isinstance(found, list) or len(nodes) != len(found):
        raise rpc_errors.invalid_value("select does not yield a set of elements", type="protocol")
    selection = _Selection(schema)
    for item in nodes:
        selection.full.add(item)
        selection.part.update(item.iterancestors())
    selection.prune(copy)
    return copy


def union(schema: Schema, config: etree._Element, state: etree._Element) -> etree._Element:
    """Return a new tree holding both; where a leaf is in both, the configuration's value stands."""
    tree = deepcopy(config)
    _overlay(tree, state, schema.root)
    return tree


def limited(tree: etree._Element, wanted: frozenset[str] | None) -> etree._Element:
    """Return the tree with only the top-level nodes that have these tags; None keeps all."""
    if wanted is None:
        return tree
    copy = deepcopy(tree)
    for child in list(copy):
        if child.tag not in wanted:
            copy.remove(child)
    return copy


class _Selection:
    """Nodes chosen by filters: `full` with everything below, `part` as the way down to others."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.full: set[etree._Element] = set()
        self.part: set[etree._Element] = set()
        self._entries: dict[tuple[etree._Element, str], dict[str, list[etree._Element]]] = {}
        """Entries of long lists by their first key, so that a filter of many entries needs no search for each."""

    def mark(self, wanted: etree._Element, source: etree._Element, node: SchemaNode) -> bool:
        """Apply the sibling set below `wanted` to `source`; True when it selected something."""
        content = [item for item in wanted if _is_content_match(item)]
        chosen: list[etree._Element] = []
        for item in content:
            match = self._content(item, source, node)
            if match is None:
                return False
            chosen.append(match)
        others = [item for item in wanted if not _is_content_match(item)]
        if content and not others:
            self.full.add(source)
            return True
        self.full.update(chosen)
        matched = bool(chosen)
        for item in others:
            matched |= self._descend(item, source, node)
        if matched:
            self.part.add(source)
        return matched

    def _descend(self, item: etree._Element, source: etree._Element, node: SchemaNode) -> bool:
        matched = False
        for child in self._possible(item, source, node):
            if not all(child.get(name) == value for name, value in item.attrib.items()):
                continue
            child_node = node.children.get(child.tag)
            if len(item) == 0:
                self.full.add(child)
                matched = True
            elif child_node is not None:
                matched |= self.mark(item, child, child_node)
        return matched

    def _possible(self, item: etree._Element, source: etree._Element, node: SchemaNode) -> list[etree._Element]:
        """Children that an element of a filter may select; of a list's entries, those with the key that it names."""
        child_node = node.children.get(item.tag)
        key = child_node.keys[0] if child_node is not None and child_node.keys else ""
        wanted = item.find(key) if key else None
        if child_node is None or wanted is None or not _is_content_match(wanted):
            return _candidates(item, source)
        entries = self._entries.get((source, item.tag))
        if entries is None:
            entries = self._entries[source, item.tag] = {}
            for child in source.iterchildren(item.tag):
                entries.setdefault(child.findtext(key) or "", []).append(child)
        text = canonical(self.schema, child_node.children[key], wanted)[0]
        return [
            child for word in dict.fromkeys((wanted.text or "", text, text.strip())) for child in entries.get(word, ())
        ]

    def _content(self, item: etree._Element, source: etree._Element, node: SchemaNode) -> etree._Element | None:
        for child in _candidates(item, source):
            child_node = node.children.get(child.tag)
            if child_node is None:
                continue
            if child.text == item.text:
                return child
            text = canonical(self.schema, child_node, item)[0]
            if (child.text or "") in {text, text.strip()}:
                return child
        return None

    def prune(self, tree: etree._Element) -> None:
        """Take away from `tree` what was not selected."""
        if tree not in self.full:
            self._prune_children(tree, self.schema.root)

    def _prune_children(self, source: etree._Element, node: SchemaNode) -> None:
        for child in list(source):
            if child in self.full or child.tag in node.keys:
                continue
            child_node = node.children.get(child.tag)
            if child in self.part and child_node is not None:
                self._prune_children(child, child_node)
            else:
                source.remove(child)


def _is_content_match(item: etree._Element) -> bool:
    return len(item) == 0 and bool(item.text and item.text.strip())


def _candidates(item: etree._Element, source: etree._Element) -> list[etree._Element]:
    """Children that an element of a filter names; without namespace it names those of any (RFC 6241 section 6.2.1)."""
    if item.tag.startswith("{"):
        return list(source.iterchildren(item.tag))
    return [child for child in source if local(child.tag) == item.tag]


def _below_data(expression: str) -> str:
    """Make absolute paths start below our <data> root, which the conceptual tree does not have."""
    result = []
    previous = ""
    for word in _TOKEN.findall(expression):
        if word == "/" and previous in _OPERATORS:
            result.append(f"/{_ROOT_PREFIX}:data")
        result.append(word)
        if word.strip():
            previous = word
    if previous == "/":
        result.pop()
    return "".join(result)


def _overlay(target: etree._Element, state: etree._Element, node: SchemaNode) -> None:
    for child in state:
        child_node = node.children.get(child.tag)
        if child_node is None:
            raise ValueError(f"operational state holds {child.tag}, which no module here defines")
        found = _same(target, child, child_node)
        if found is None:
            graft(target, child)
        elif child_node.kind in {"container", "list"}:
            _overlay(found, child, child_node)
    ordered = sorted(target, key=lambda item: node.children[item.tag].order)
    if ordered != list(target):
        arrange(target, ordered, prefixed=node.prefixed)


def _same(target: etree._Element, child: etree._Element, node: SchemaNode) -> etree._Element | None:
    if node.kind == "list":
        if not node.keys:
            return None
        wanted = [child.findtext(tag) for tag in node.keys]
        matches = (
            entry for entry in target.iterchildren(node.tag) if [entry.findtext(tag) for tag in node.keys] == wanted
        )
        return next(matches, None)
    if node.kind == "leaf-list":
        return next((item for item in target.iterchildren(node.tag) if item.text == child.text), None)
    return target.find(node.tag)
