"""Owns: splitting a data resource identifier into its steps (RFC 8040 section 3.5.3), before any schema is known.

The parser works on the raw, still percent-encoded path: a key may hold an encoded `/`, `,`, `=` or `%`, which must not
be taken for a separator.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from lab.router.restconf_errors import refuse

_API_IDENTIFIER = re.compile(r"(?:(?P<module>[A-Za-z_][A-Za-z0-9._-]*):)?(?P<name>[A-Za-z_][A-Za-z0-9._-]*)\Z")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Step:
    """One path step: the module name when given, the node's name, and the key values or the leaf-list value."""

    module: str | None
    name: str
    keys: tuple[str, ...] | None = None


def parse_api_path(raw: str) -> tuple[Step, ...]:
    """The steps of `raw`, a percent-encoded path relative to the datastore; an empty path has none.

    Raises `RestconfError` (invalid-value, 400) for empty steps, broken escapes and names that no YANG identifier has.
    """
    trimmed = raw.removeprefix("/").removesuffix("/")
    return tuple(_step(part, raw) for part in trimmed.split("/")) if trimmed else ()


def _step(part: str, raw: str) -> Step:
    identifier, equals, values = part.partition("=")
    match = _API_IDENTIFIER.match(_decoded(identifier, raw))
    if match is None:
        raise refuse("invalid-value", f"{identifier!r} in {raw!r} is no node name; use module:name or name")
    keys = tuple(_decoded(value, raw) for value in values.split(",")) if equals else None
    return Step(match["module"], match["name"], keys)


def _decoded(text: str, raw: str) -> str:
    if _BAD_ESCAPE.search(text):
        raise refuse("invalid-value", f"{text!r} in {raw!r} holds a % that is not followed by two hex digits")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise refuse("invalid-value", f"{text!r} in {raw!r} is not UTF-8 once percent-decoded") from None


def encode_key(value: str) -> str:
    """A key value as it stands in a path: everything but unreserved characters percent-encoded."""
    return quote(value, safe="")
