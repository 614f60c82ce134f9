"""Owns data-node paths: where a value stands in a YANG tree (RFC 7950 9.13, RFC 7951 6.11).

A path is a tuple of steps from the root, module names always explicit, list keys in schema order. A leaf-list entry
is a step whose only key is `.`. Configuration is a flat mapping `Path -> str`: a leaf maps to its canonical text; a
list entry, a presence container, a leaf-list entry and an `empty` leaf map to `""`, which says "exists". Key leaves
are not listed; their entry's step holds them. Non-presence containers are not listed.
"""

from collections.abc import Mapping
from typing import NamedTuple

from controller.model.errors import InvalidInputError

Config = Mapping["Path", str]
"""A configuration, or part of one, as described above."""


class Step(NamedTuple):
    """One data node on the way down."""

    module: str
    name: str
    keys: tuple[tuple[str, str], ...] = ()


Path = tuple[Step, ...]


def format_path(path: Path) -> str:
    """The instance-identifier of RFC 7951: a module prefix only where it changes, key values quoted."""
    parts: list[str] = []
    module = ""
    for step in path:
        prefix = f"{step.module}:" if step.module != module else ""
        module = step.module
        parts.append(f"/{prefix}{step.name}" + "".join(f"[{k}={_quote(v)}]" for k, v in step.keys))
    return "".join(parts) or "/"


def parse_path(text: str) -> Path:
    """Read what `format_path` writes; raise `InvalidInputError` naming the position otherwise."""
    steps: list[Step] = []
    module, position = "", 0
    while position < len(text):
        name, position = _read_name(text, position)
        prefix, colon, local = name.partition(":")
        module, local = (prefix, local) if colon else (module, prefix)
        if not module or not local:
            raise _bad(text, position, "the first node needs a module name")
        keys: list[tuple[str, str]] = []
        while position < len(text) and text[position] == "[":
            key, position = _read_key(text, position)
            keys.append(key)
        steps.append(Step(module, local, tuple(keys)))
    return tuple(steps)


def is_within(path: Path, ancestor: Path) -> bool:
    """True when `path` is `ancestor` or stands below it."""
    return path[: len(ancestor)] == ancestor


def _quote(value: str) -> str:
    if "'" not in value:
        return f"'{value}'"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _read_name(text: str, position: int) -> tuple[str, int]:
    if text[position] != "/":
        raise _bad(text, position, "expected '/'")
    end = position + 1
    while end < len(text) and text[end] not in "/[":
        end += 1
    return text[position + 1 : end], end


def _read_key(text: str, position: int) -> tuple[tuple[str, str], int]:
    equals = text.find("=", position)
    quote = text[equals + 1 : equals + 2]
    if equals < 0 or quote not in {"'", '"'}:
        raise _bad(text, position, "expected [key='value']")
    value: list[str] = []
    at = equals + 2
    while at < len(text) and text[at] != quote:
        at += text[at] == "\\" and quote == '"'
        value.append(text[at : at + 1])
        at += 1
    if text[at : at + 2] != f"{quote}]":
        raise _bad(text, at, "unterminated key value")
    return (text[position + 1 : equals], "".join(value)), at + 2


def _bad(text: str, position: int, why: str) -> InvalidInputError:
    return InvalidInputError(f"'{text}' is not a data path: {why} at character {position}", tag="invalid-value")
