"""Owns: query parameters of a RESTCONF request (RFC 8040 section 4.8) and the `fields` expression."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote

from lab.router.restconf_errors import refuse

_ALLOWED = {
    "GET": frozenset({"content", "depth", "fields", "with-defaults"}),
    "HEAD": frozenset({"content", "depth", "fields", "with-defaults"}),
    "POST": frozenset({"insert", "point"}),
    "PUT": frozenset({"insert", "point"}),
}
_CONTENT = ("config", "nonconfig", "all")
_INSERT = ("first", "last", "before", "after")
_WITH_DEFAULTS = ("report-all", "trim", "explicit", "report-all-tagged")
_MAX_DEPTH = 65535
_FIELD_NAME = re.compile(r"(?:[A-Za-z_][\w.-]*:)?[A-Za-z_][\w.-]*")

Content = Literal["config", "nonconfig", "all"]
Insert = Literal["first", "last", "before", "after"]


@dataclass(slots=True)
class FieldsTree:
    """The nodes that `fields` selects: by (possibly module-qualified) name; no children means the whole subtree."""

    children: dict[str, "FieldsTree"] = field(default_factory=dict)
    whole: bool = False

    def below(self, name: str) -> "FieldsTree":
        """The subtree of `name`, made when missing."""
        return self.children.setdefault(name, FieldsTree())


@dataclass(frozen=True, slots=True)
class Query:
    """The parsed parameters; `depth` and `fields` are None when unbounded, `insert` and `point` when not given."""

    content: Content = "all"
    depth: int | None = None
    fields: FieldsTree | None = None
    with_defaults: str | None = None
    insert: Insert | None = None
    point: str | None = None


def parse_query(raw: str, method: str) -> Query:
    """The parameters of a raw query string for `method`.

    Raises `RestconfError` (invalid-value, 400) for a parameter that is unknown, repeated, not for this method, or
    whose value is wrong.
    """
    values = _pairs(raw, method)
    insert = _one_of(values, "insert", _INSERT)
    point = values.get("point")
    if (insert in {"before", "after"}) != (point is not None):
        raise refuse("invalid-value", "'point' goes with insert=before or insert=after, and only with these")
    return Query(
        content=_one_of(values, "content", _CONTENT) or "all",  # type: ignore[arg-type] # checked by _one_of
        depth=_depth(values.get("depth", "unbounded")),
        fields=parse_fields(values["fields"]) if "fields" in values else None,
        with_defaults=_one_of(values, "with-defaults", _WITH_DEFAULTS),
        insert=insert,  # type: ignore[arg-type] # checked by _one_of
        point=point,
    )


def _pairs(raw: str, method: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for part in filter(None, raw.split("&")):
        name, _, encoded = part.partition("=")
        if name not in _ALLOWED.get(method, frozenset()):
            raise refuse("invalid-value", f"query parameter {name!r} is not supported with {method}")
        if name in values:
            raise refuse("invalid-value", f"query parameter {name!r} is given more than once")
        # `point` is a URI of its own: one decoding gives it back with its keys still encoded.
        values[name] = unquote(encoded)
    return values


def _one_of(values: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str | None:
    value = values.get(name)
    if value is not None and value not in allowed:
        raise refuse("invalid-value", f"{name}={value!r} is not one of {', '.join(allowed)}")
    return value


def _depth(text: str) -> int | None:
    if text == "unbounded":
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text) or int(text) > _MAX_DEPTH:
        raise refuse("invalid-value", f"depth={text!r} is neither 1..65535 nor 'unbounded'")
    return int(text)


def parse_fields(text: str) -> FieldsTree:
    """The tree of a `fields` expression such as `a(b;c/d);e`. Raises `RestconfError` (invalid-value) when malformed."""
    root = FieldsTree()
    if _expression(text, 0, root) != len(text):
        raise refuse("invalid-value", f"fields={text!r}: unexpected character after a complete expression")
    return root


def _expression(text: str, at: int, parent: FieldsTree) -> int:
    while True:
        at = _path(text, at, parent)
        if text[at : at + 1] != ";":
            return at
        at += 1


def _path(text: str, at: int, parent: FieldsTree) -> int:
    match = _FIELD_NAME.match(text, at)
    if match is None:
        raise refuse("invalid-value", f"fields={text!r}: a node name is expected at position {at + 1}")
    node, at = parent.below(match[0]), match.end()
    following = text[at : at + 1]
    if following == "/":
        return _path(text, at + 1, node)
    if following == "(":
        at = _expression(text, at + 1, node)
        if text[at : at + 1] != ")":
            raise refuse("invalid-value", f"fields={text!r}: ')' is expected at position {at + 1}")
        return at + 1
    node.whole = True
    return at
