"""Owns the canonical spelling of leaf values, so that equal values are equal text (RFC 7950 section 9)."""

import re
from collections.abc import Mapping

from lxml import etree

from lab.router.schema import Schema, SchemaNode, TypeInfo
from lab.router.xml import namespace_of

_INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})
_PLAIN_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_ANY_INTEGER = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"([+-]?)0*([0-9]+)(?:\.([0-9]*))?")
_NAME_PREFIX = re.compile(r"""'[^']*'|"[^"]*"|([A-Za-z_][\w.-]*):(?!:)""")

Value = tuple[str, Mapping[str, str]]
"""Canonical text, and the namespaces of the prefixes it uses."""

_NONE: Mapping[str, str] = {}


def canonical(schema: Schema, node: SchemaNode, element: etree._Element) -> Value:
    """Return an element's value in canonical spelling; what is not of its type is returned as it stands."""
    text = element.text or ""
    info = node.type
    if info is None:
        return text, _NONE
    resolved = info.resolved()
    if resolved.base in _INTEGERS:
        return _integer(text.strip()), _NONE
    if resolved.base in {"string", "binary"}:
        return text, _NONE
    return _other(schema, resolved, text, element)


def _other(schema: Schema, info: TypeInfo, text: str, element: etree._Element) -> Value:
    base = info.base
    if base == "identityref":
        return _identity(schema, text.strip(), element) or (text.strip(), _NONE)
    if base == "instance-identifier":
        return _path(schema, text.strip(), element)
    if base == "decimal64":
        return _decimal(text.strip()), _NONE
    if base == "union":
        return _union(schema, info, text, element)
    return text.strip(), _NONE


def _union(schema: Schema, info: TypeInfo, text: str, element: etree._Element) -> Value:
    """Identities are looked for first: they are the only member whose text depends on prefixes."""
    if any(member.resolved().base == "identityref" for member in info.members):
        found = _identity(schema, text.strip(), element)
        if found is not None:
            return found
    if any(member.resolved().base == "string" for member in info.members):
        return text, _NONE
    return text.strip(), _NONE


def _identity(schema: Schema, text: str, element: etree._Element) -> Value | None:
    prefix, colon, name = text.rpartition(":")
    namespace = element.nsmap.get(prefix if colon else None) or ("" if colon else namespace_of(element.tag))
    module = schema.module_names.get(namespace)
    if module is None or module not in schema.identities.get(name, ()):
        return None
    if namespace == namespace_of(element.tag):
        return name, _NONE  # a prefix for the namespace in scope would not survive libxml2's moves
    own = schema.modules[module].prefix
    return f"{own}:{name}", {own: namespace}


def _path(schema: Schema, text: str, element: etree._Element) -> Value:
    used: dict[str, str] = {}

    def rename(match: re.Match[str]) -> str:
        namespace = element.nsmap.get(match[1]) if match[1] else None
        module = schema.module_names.get(namespace or "")
        if module is None:
            return match[0]
        prefix = schema.modules[module].prefix
        used[prefix] = schema.namespaces[module]
        return f"{prefix}:"

    return _NAME_PREFIX.sub(rename, text), used


def _integer(text: str) -> str:
    if _PLAIN_INTEGER.fullmatch(text):
        return text
    return str(int(text)) if _ANY_INTEGER.fullmatch(text) else text


def _decimal(text: str) -> str:
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return text
    sign = "-" if match[1] == "-" else ""
    fraction = (match[3] or "").rstrip("0") or "0"
    return f"{sign}{match[2]}.{fraction}"


def sort_key(node: SchemaNode, text: str) -> tuple[int, str]:
    """Return what a key value sorts by: numbers by value, everything else as text."""
    if node.type is not None and node.type.resolved().base in _INTEGERS and _PLAIN_INTEGER.fullmatch(text):
        return int(text), ""
    return 0, text
