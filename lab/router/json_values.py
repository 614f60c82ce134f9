"""Owns: leaf values between their XML lexical form and JSON (RFC 7951 section 6)."""

import re
from collections.abc import Mapping

from lxml import etree

from lab.router.rpc_errors import RpcError
from lab.router.schema import Schema, SchemaNode, TypeInfo

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_Prefixes = Mapping[str | None, str]

_SMALL_INTEGERS = {
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint8": (0, 2**8 - 1),
    "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1),
}
_NUMBER_TEXT = re.compile(r"[+-]?(?:0x[0-9a-fA-F]+|[0-9]+)(?:\.[0-9]+)?")
_PATH_PARTS = re.compile(r"""('[^']*'|"[^"]*")|([A-Za-z_][\w.-]*):([A-Za-z_][\w.-]*)""")


class BadValueError(RpcError):
    """A value that the type does not take."""

    def __init__(self, node: SchemaNode, value: Json, why: str, path: str) -> None:
        super().__init__("invalid-value", f"{value!r} is no value of {node.name}: {why}", path=path)


def encode_value(schema: Schema, node: SchemaNode, element: etree._Element) -> Json:
    """The JSON value of a leaf or leaf-list element."""
    return _encode(schema, node.type or TypeInfo("string"), element.text or "", element.nsmap, node)


def _encode(schema: Schema, kind: TypeInfo, text: str, nsmap: _Prefixes, node: SchemaNode) -> Json:
    if kind.base == "leafref" and kind.members:
        return _encode(schema, kind.members[0], text, nsmap, node)
    if kind.base == "union":
        return _encode(schema, _member_of(schema, kind, text, nsmap), text, nsmap, node)
    if kind.base == "identityref":
        return _qualified(schema, text.strip(), nsmap, node)
    if kind.base == "instance-identifier":
        return _renamed(text, {prefix or "": _module(schema, ns) for prefix, ns in nsmap.items()})
    return _encode_plain(kind, text)


def _encode_plain(kind: TypeInfo, text: str) -> Json:
    if kind.base in _SMALL_INTEGERS:
        return _integer(text)
    if kind.base == "boolean":
        return text.strip() == "true"
    return [None] if kind.base == "empty" else text


def _integer(text: str) -> int:
    digits = text.strip()
    return int(digits, 16) if "0x" in digits.lower() else int(digits)


def _module(schema: Schema, namespace: str) -> str:
    return schema.module_names.get(namespace, namespace)


def _qualified(schema: Schema, text: str, nsmap: _Prefixes, node: SchemaNode) -> str:
    prefix, colon, name = text.partition(":")
    if not colon:
        return f"{_module(schema, nsmap.get(None, node.namespace))}:{text}"
    return f"{_module(schema, nsmap.get(prefix, prefix))}:{name}"


def _renamed(path: str, names: Mapping[str, str]) -> str:
    """`path` with its prefixes replaced; quoted key values stay as they are."""
    return _PATH_PARTS.sub(lambda m: m[1] or f"{names.get(m[2], m[2])}:{m[3]}", path)


def _member_of(schema: Schema, union: TypeInfo, text: str, nsmap: _Prefixes) -> TypeInfo:
    """The first member whose lexical form `text` has (RFC 7950 section 9.12)."""
    for member in union.members:
        if _could_be(schema, member, text, nsmap):
            return member
    return TypeInfo("string")


def _could_be(schema: Schema, kind: TypeInfo, text: str, nsmap: _Prefixes) -> bool:
    if kind.base in {"union", "leafref"}:
        return any(_could_be(schema, member, text, nsmap) for member in kind.members)
    if kind.base == "identityref":
        return _is_identity(schema, text, nsmap)
    if kind.base in _SMALL_INTEGERS:
        low, high = _SMALL_INTEGERS[kind.base]
        return bool(_NUMBER_TEXT.fullmatch(text)) and "." not in text and low <= _integer(text) <= high
    if kind.base in {"int64", "uint64", "decimal64"}:
        return bool(_NUMBER_TEXT.fullmatch(text))
    words = {"boolean": ("true", "false"), "enumeration": kind.enums, "empty": ("",)}.get(kind.base)
    return words is None or text in words


def _is_identity(schema: Schema, text: str, nsmap: _Prefixes) -> bool:
    prefix, colon, name = text.partition(":")
    module = schema.module_names.get(nsmap.get(prefix if colon else None, ""))
    return module in schema.identities.get(name if colon else text, ())


def decode_value(schema: Schema, node: SchemaNode, value: Json, path: str) -> tuple[str, dict[str, str]]:
    """The XML text of a JSON value, and the prefixes it uses (module names) with their namespaces.

    Raises `RpcError` (invalid-value) when the JSON type is not the one RFC 7951 gives the leaf's type; whether the
    value is in range is left to validation.
    """
    return _decode(schema, node.type or TypeInfo("string"), value, node, path)


def _decode(schema: Schema, kind: TypeInfo, value: Json, node: SchemaNode, path: str) -> tuple[str, dict[str, str]]:
    if kind.base == "leafref" and kind.members:
        return _decode(schema, kind.members[0], value, node, path)
    if kind.base == "union":
        return _decode_union(schema, kind, value, node, path)
    if kind.base == "identityref":
        return _decode_identity(schema, value, node, path)
    if kind.base == "instance-identifier" and isinstance(value, str):
        return _instance_identifier(schema, value)
    return _decode_plain(kind, value, node, path), {}


def _decode_plain(kind: TypeInfo, value: Json, node: SchemaNode, path: str) -> str:
    if kind.base in _SMALL_INTEGERS:
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise BadValueError(node, value, f"{kind.base} takes a JSON number without a fraction", path)
    if kind.base == "boolean":
        if isinstance(value, bool):
            return "true" if value else "false"
        raise BadValueError(node, value, "a boolean takes true or false", path)
    if kind.base == "empty":
        if value == [None]:
            return ""
        raise BadValueError(node, value, "an empty leaf takes [null]", path)
    if isinstance(value, str):
        return _xml_text(value, node, path)
    raise BadValueError(node, value, f"{kind.base} takes a JSON string", path)


def _xml_text(value: str, node: SchemaNode, path: str) -> str:
    """Refuse characters that neither YANG strings (RFC 7950 section 9.4) nor XML can hold."""
    if any((char < " " and char not in "\t\n\r") or char in "\ufffe\uffff" for char in value):
        raise BadValueError(node, value, "it holds a control character", path)
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise BadValueError(node, value, "it holds half a surrogate pair", path)
    return value


def _decode_union(
    schema: Schema, kind: TypeInfo, value: Json, node: SchemaNode, path: str
) -> tuple[str, dict[str, str]]:
    for member in kind.members:
        try:
            text, prefixes = _decode(schema, member, value, node, path)
        except RpcError:
            continue
        nsmap: dict[str | None, str] = dict(prefixes.items())
        if _could_be(schema, member, text, nsmap):
            return text, prefixes
    raise BadValueError(node, value, "no member of its union takes it", path)


def _decode_identity(schema: Schema, value: Json, node: SchemaNode, path: str) -> tuple[str, dict[str, str]]:
    if not isinstance(value, str):
        raise BadValueError(node, value, "an identity takes a JSON string", path)
    module, colon, name = value.rpartition(":")
    module = module if colon else node.module
    if module not in schema.identities.get(name, ()):
        raise BadValueError(node, value, f"module {module} defines no identity {name}", path)
    return f"{module}:{name}", {module: schema.namespaces[module]}


def _instance_identifier(schema: Schema, value: str) -> tuple[str, dict[str, str]]:
    """Every step of the XML form has a prefix; in JSON a step without one is in its parent's module."""
    parts: list[str] = []
    prefixes: dict[str, str] = {}
    module = ""
    for piece in re.findall(r"""'[^']*'|"[^"]*"|[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?|[^'"A-Za-z_]+""", value):
        if piece[0] in "'\"" or not (piece[0].isalpha() or piece[0] == "_"):
            parts.append(piece)
            continue
        given, colon, name = piece.rpartition(":")
        module = given if colon else module
        if module in schema.namespaces:
            prefixes[module] = schema.namespaces[module]
        parts.append(f"{module}:{name}" if module else name)
    return "".join(parts), prefixes


def text_of_key(schema: Schema, node: SchemaNode, value: str) -> tuple[str, dict[str, str]]:
    """The XML text, with its prefixes, of a value spelled as in a path: unquoted, identities by module name."""
    kind = node.type or TypeInfo("string")
    while kind.base == "leafref" and kind.members:
        kind = kind.members[0]
    if kind.base == "identityref" or (kind.base == "union" and ":" in value):
        module, _, name = value.rpartition(":")
        module = module or node.module
        if module in schema.identities.get(name, ()):
            return f"{module}:{name}", {module: schema.namespaces[module]}
    if kind.base == "instance-identifier":
        return _instance_identifier(schema, value)
    return _xml_text(value, node, ""), {}
