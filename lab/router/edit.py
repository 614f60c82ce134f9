"""Owns edit-config on a tree: operations, defaults, error options (RFC 6241 section 7.2, RFC 7950 section 7)."""

import re
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import islice

from lxml import etree

from lab.router import rpc_errors
from lab.router.rpc_errors import RpcError
from lab.router.schema import Schema, SchemaNode
from lab.router.values import canonical, sort_key
from lab.router.xml import DEFAULT_TAG, OPERATION, YANG, add, arrange, local, namespace_of, quoted

_INSERT = f"{{{YANG}}}insert"
_INSERT_KEY = f"{{{YANG}}}key"
_INSERT_VALUE = f"{{{YANG}}}value"
_IS_DEFAULT = f"{{{DEFAULT_TAG}}}default"
_OPERATIONS = frozenset({"merge", "replace", "create", "delete", "remove"})


@dataclass(slots=True)
class TreeEditor:
    """Applies one <config> to a private copy of a tree. `edits` collects (operation, path), topmost nodes only."""

    schema: Schema
    error_option: str = "stop-on-error"
    edits: list[tuple[str, str]] = field(default_factory=list)
    errors: list[RpcError] = field(default_factory=list)
    _grown: set[etree._Element] = field(default_factory=set)  # only who got children can be out of order

    def apply(self, tree: etree._Element, config: etree._Element, default_operation: str) -> None:
        """Edit `tree` in place. Raises RpcError at the first error unless the error option is continue-on-error.

        After an error the tree holds what was applied before it; with continue-on-error the errors are collected,
        and raised together at the end.
        """
        try:
            if default_operation == "replace":
                self._replace(tree, config, self.schema.root, "")
            else:
                self._children(tree, config, self.schema.root, default_operation, "", new=False)
        finally:
            self._tidy(tree, self.schema.root)
        if self.errors:
            first, *others = self.errors
            first.others = tuple(others)
            raise first

    def _children(
        self, target: etree._Element, request: etree._Element, node: SchemaNode, operation: str, path: str, *, new: bool
    ) -> None:
        for child in request:
            child_node = node.children.get(child.tag)
            try:
                if child_node is None:
                    raise self._unknown(child, path)
                if child.tag not in node.keys:
                    self._one(target, child, child_node, operation, path, new=new)
            except RpcError as error:
                if self.error_option != "continue-on-error":
                    raise
                self.errors.append(error)

    def _one(
        self, parent: etree._Element, request: etree._Element, node: SchemaNode, inherited: str, path: str, *, new: bool
    ) -> None:
        keys = self._identity(request, node, path)
        here = path + "/" + _step(node) + _predicates(keys)
        found = _find(parent, node, [value for _, value in keys])
        point = _Point(parent, request, node, self._operation(request, node, inherited, here), here, found, new=new)
        if point.operation in {"delete", "remove"}:
            self._delete(point)
        elif node.kind in {"leaf", "anydata", "anyxml"}:
            self._set(point)
        else:
            self._enter(point)

    def _operation(self, request: etree._Element, node: SchemaNode, inherited: str, path: str) -> str:
        operation = request.get(OPERATION, inherited)
        if OPERATION in request.attrib and operation not in _OPERATIONS:
            message = f"operation {operation} is none of {', '.join(sorted(_OPERATIONS))}"
            raise RpcError("bad-attribute", message, path=path, info=_about("operation", node))
        if not node.config:
            raise rpc_errors.bad_element(node.name, "state data cannot be configured", path=path)
        if request.get(_IS_DEFAULT) in {"true", "1"} and operation in {"merge", "replace", "create"}:
            return "remove"  # RFC 6243 section 4.5.2: the default by name is the absence of a value
        return operation

    def _identity(self, request: etree._Element, node: SchemaNode, path: str) -> list[tuple[str, str]]:
        """Return what tells an instance from its siblings: (left side of the predicate, canonical value)."""
        if node.kind == "leaf-list":
            return [(".", canonical(self.schema, node, request)[0])]
        found = []
        for tag in node.keys:
            key = request.find(tag)
            if key is None:
                message = f"list {node.name} needs its key {local(tag)}"
                raise rpc_errors.missing_element(local(tag), message, path=f"{path}/{_step(node)}")
            key_node = node.children[tag]
            found.append((_step(key_node), canonical(self.schema, key_node, key)[0]))
        return found

    def _delete(self, point: "_Point") -> None:
        if point.found is not None:
            point.parent.remove(point.found)
            self.edits.append(("delete", point.path))
        elif point.operation == "delete":
            raise RpcError("data-missing", "there is nothing to delete", path=point.path)

    def _set(self, point: "_Point") -> None:
        found = point.found
        if point.operation == "none":
            if found is None:
                raise RpcError("data-missing", "the node does not exist", path=point.path)
            return
        if found is not None and point.operation == "create":
            raise RpcError("data-exists", "the node exists already", path=point.path)
        changed = self._set_leaf(point) if point.node.kind == "leaf" else self._set_any(point)
        if changed and not point.new:
            self.edits.append(("create" if found is None else "replace", point.path))

    def _set_leaf(self, point: "_Point") -> bool:
        found, parent = point.found, point.parent
        text, prefixes = canonical(self.schema, point.node, point.request)
        if found is not None:
            if (found.text or "") == text:
                return False
            if not prefixes and found.nsmap == parent.nsmap:
                found.text = text or None
                return True
            parent.remove(found)
        self._place(parent, point.node, text, dict(prefixes))
        return True

    def _set_any(self, point: "_Point") -> bool:
        if point.found is not None:
            point.parent.remove(point.found)
        made = self._place(point.parent, point.node, point.request.text, {})
        for child in point.request:
            made.append(deepcopy(child))
        return True

    def _enter(self, point: "_Point") -> None:
        node, found = point.node, point.found
        made = found is None
        if found is None:
            found = self._create(point)
        elif point.operation == "create":
            raise RpcError("data-exists", "the node exists already", path=point.path)
        elif node.user_ordered and _INSERT in point.request.attrib:
            self._insert(point, found)
            self.edits.append(("merge", point.path))
        if node.kind == "leaf-list":
            return
        if point.operation == "replace" and not made:
            self._replace(found, point.request, node, point.path)
            return
        new = point.new or (made and not node.pruned_when_empty)
        try:
            self._children(found, point.request, node, point.operation, point.path, new=new)
        finally:
            self._tidy_child(point.parent, found, node)

    def _create(self, point: "_Point") -> etree._Element:
        if point.operation == "none" and not point.node.pruned_when_empty:
            raise RpcError("data-missing", "the node does not exist", path=point.path)
        made = self._make(point.parent, point.request, point.node)
        self._insert(point, made)
        if not point.new and not point.node.pruned_when_empty:
            self.edits.append(("create", point.path))
        return made

    def _replace(self, found: etree._Element, request: etree._Element, node: SchemaNode, path: str) -> None:
        """Take away what the request does not hold, then set the rest: equal content is no change at all."""
        kept = {self._instance(child, child_node) for child in request if (child_node := node.children.get(child.tag))}
        for child in list(found):
            child_node = node.children[child.tag]
            if child.tag not in node.keys and self._instance(child, child_node) not in kept:
                found.remove(child)
                keys = _predicates(self._identity(child, child_node, path))
                self.edits.append(("delete", f"{path}/{_step(child_node)}{keys}"))
        self._reorder(found, request, node)
        try:
            self._children(found, request, node, "replace", path, new=False)
        finally:
            parent = found.getparent()
            if parent is not None:
                self._tidy_child(parent, found, node)

    def _reorder(self, found: etree._Element, request: etree._Element, node: SchemaNode) -> None:
        """Replacing a user-ordered list also replaces its order: let its entries be made anew."""
        for child_node in node.children.values():
            if not child_node.user_ordered:
                continue
            wanted = [self._instance(child, child_node) for child in request.iterchildren(child_node.tag)]
            existing = [self._instance(child, child_node) for child in found.iterchildren(child_node.tag)]
            if wanted[: len(existing)] != existing:
                for child in list(found.iterchildren(child_node.tag)):
                    found.remove(child)

    def _instance(self, element: etree._Element, node: SchemaNode) -> tuple[str, ...]:
        return (node.tag, *(value for _, value in self._identity(element, node, "")))

    def _make(self, parent: etree._Element, request: etree._Element, node: SchemaNode) -> etree._Element:
        if node.kind == "leaf-list":
            text, prefixes = canonical(self.schema, node, request)
            return self._place(parent, node, text, dict(prefixes))
        made = self._place(parent, node, None, {})
        for tag in node.keys:
            key = request.find(tag)
            if key is not None:  # _identity has refused the request otherwise
                text, prefixes = canonical(self.schema, node.children[tag], key)
                add(made, tag, text, **prefixes)
        return made

    def _place(
        self, parent: etree._Element, node: SchemaNode, text: str | None, prefixes: dict[str, str]
    ) -> etree._Element:
        """Make a child at its canonical place, ending the other cases of its choices (RFC 7950 section 7.9.2)."""
        parent_node = node.parent
        if node.choices and parent_node is not None:
            for sibling in list(parent):
                other = parent_node.children[sibling.tag]
                if other is not node and _excluded(node.choices, other.choices):
                    parent.remove(sibling)
        self._grown.add(parent)
        return add(parent, node.tag, text, **prefixes)

    def _insert(self, point: "_Point", made: etree._Element) -> None:
        """Move an entry of a user-ordered list where `insert` says (RFC 7950 sections 7.7.9 and 7.8.6)."""
        where = point.request.get(_INSERT)
        if where is None or not point.node.user_ordered:
            return
        entries = [item for item in point.parent.iterchildren(made.tag) if item is not made]
        if where == "last" or (where == "first" and not entries):
            point.parent.append(made)
        elif where == "first":
            entries[0].addprevious(made)
        elif where in {"before", "after"}:
            anchor = _anchor(entries, point)
            (anchor.addprevious if where == "before" else anchor.addnext)(made)
        else:
            about = _about("insert", point.node)
            raise RpcError("bad-attribute", f"insert {where} is not known", path=point.path, info=about)
        self._grown.add(point.parent)

    def _tidy_child(self, parent: etree._Element, child: etree._Element, node: SchemaNode) -> None:
        if node.pruned_when_empty and len(child) == 0:
            parent.remove(child)
        else:
            self._tidy(child, node)

    def _tidy(self, parent: etree._Element, node: SchemaNode) -> None:
        """Bring children into schema order, entries of system-ordered lists into key order."""
        if parent not in self._grown:
            return
        last: tuple[int, tuple[tuple[int, str], ...]] | None = None
        keys = []
        in_order = True
        for child in parent:
            key = _position(child, node.children[child.tag])
            in_order = in_order and (last is None or last <= key)
            last = key
            keys.append((key, child))
        if not in_order:
            keys.sort(key=lambda item: item[0])
            arrange(parent, [child for _, child in keys], prefixed=node.prefixed)

    def _unknown(self, element: etree._Element, path: str) -> RpcError:
        namespace = namespace_of(element.tag)
        name = local(element.tag)
        if namespace not in self.schema.module_names:
            return RpcError(
                "unknown-namespace",
                f"namespace {namespace or '(none)'} is of no module here",
                path=path or None,
                info=(("bad-element", name), ("bad-namespace", namespace)),
            )
        return rpc_errors.unknown_element(name, f"{name} is not a node here", path=path or None)


@dataclass(slots=True, frozen=True)
class _Point:
    """One node of the request and where it belongs. `new`: below a node that this edit made."""

    parent: etree._Element
    request: etree._Element
    node: SchemaNode
    operation: str
    path: str
    found: etree._Element | None
    new: bool


def _find(parent: etree._Element, node: SchemaNode, values: list[str]) -> etree._Element | None:
    if not values:
        return parent.find(node.tag)
    if node.kind == "leaf-list":
        return next((item for item in parent.iterchildren(node.tag) if (item.text or "") == values[0]), None)
    width = len(values)
    for entry in parent.iterchildren(node.tag):
        if [child.text or "" for child in islice(entry, width)] == values:  # keys come first in canonical order
            return entry
    return None


def _anchor(others: list[etree._Element], point: _Point) -> etree._Element:
    """Return the entry to insert before or after."""
    is_leaf_list = point.node.kind == "leaf-list"
    name = "value" if is_leaf_list else "key"
    about = _about(name, point.node)
    text = point.request.get(_INSERT_VALUE if is_leaf_list else _INSERT_KEY)
    if text is None:
        raise RpcError("missing-attribute", f"insert needs the attribute {name}", path=point.path, info=about)
    for item in others:
        if text == (item.text or "") if is_leaf_list else _matches(item, point.node, text):
            return item
    message = f"the entry {text} to insert at does not exist"
    raise RpcError("bad-attribute", message, path=point.path, app_tag="missing-instance", info=about)


_PREDICATE = re.compile(r"""\[\s*(?:[\w.-]+:)?([\w.-]+)\s*=\s*('[^']*'|"[^"]*")\s*\]""")
_PREDICATES = re.compile(rf"\s*(?:{_PREDICATE.pattern}\s*)+")


def _predicates(keys: list[tuple[str, str]]) -> str:
    return "".join(f"[{name}={quoted(value)}]" for name, value in keys)


def _step(node: SchemaNode) -> str:
    return f"{node.module}:{node.name}"


def _about(attribute: str, node: SchemaNode) -> tuple[tuple[str, str], ...]:
    return (("bad-attribute", attribute), ("bad-element", node.name))


def _excluded(mine: tuple[tuple[str, str], ...], other: tuple[tuple[str, str], ...]) -> bool:
    cases = dict(other)
    return any(cases.get(choice, case) != case for choice, case in mine)


def _position(element: etree._Element, node: SchemaNode) -> tuple[int, tuple[tuple[int, str], ...]]:
    if node.user_ordered or node.kind not in {"list", "leaf-list"}:
        return node.order, ()
    if node.kind == "leaf-list":
        return node.order, (sort_key(node, element.text or ""),)
    return node.order, tuple(
        sort_key(node.children[tag], child.text or "") for tag, child in zip(node.keys, element, strict=False)
    )


def _matches(entry: etree._Element, node: SchemaNode, predicate: str) -> bool:
    """Compare an entry with `[prefix:key='value']...`; prefixes are not needed to tell keys apart."""
    if not _PREDICATES.fullmatch(predicate):
        return False
    wanted = {name: _unquoted(value) for name, value in _PREDICATE.findall(predicate)}
    return {local(tag): child.text or "" for tag, child in zip(node.keys, entry, strict=False)} == wanted


def _unquoted(literal: str) -> str:
    """Return what `xml.quoted` was given: a value with both kinds of quotes has the double ones escaped."""
    value = literal[1:-1]
    return value.replace("&quot;", '"') if literal[0] == '"' and "'" in value else value
