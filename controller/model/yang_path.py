"""Owns data-node paths: where a value stands in a YANG tree (RFC 7950 9.13, RFC 7951 6.11).

A path is a tuple of steps from the root, module names always explicit, list keys in schema order. A leaf-list entry
is a step whose only key is `.`. Configuration is a flat mapping `Path -> str`: a leaf maps to its canonical text; a
list entry, a presence container, a leaf-list entry and an `empty` leaf map to `""`, which says "exists". Key leaves
are not listed; their entry's step holds them. Non-presence containers are not listed.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from controller.model.errors import InvalidInputError

_REMEMBERED = 1 << 16
"""Paths come again and again: in the plan, in the journal, in what is read back."""

Config = Mapping["Path", str]
"""A configuration, or part of one, as described above."""


class Step(NamedTuple):
    """One data node on the way down."""

    module: str
    name: str
    keys: tuple[tuple[str, str], ...] = ()


Path = tuple[Step, ...]


@lru_cache(maxsize=_REMEMBERED)
def format_path(path: Path) -> str:
    """The instance-identifier of RFC 7951: a module prefix only where it changes, key values quoted."""
    if not path:
        return "/"
    step = path[-1]
    if len(path) == 1:
        parent, module = "", ""
    else:
        parent, module = format_path(path[:-1]), path[-2].module
    prefix = f"{step.module}:" if step.module != module else ""
    keys = "".join([f"[{key}={_quote(value)}]" for key, value in step.keys])
    return f"{parent}/{prefix}{step.name}{keys}"


@lru_cache(maxsize=_REMEMBERED)
def parse_path(text: str) -> Path:
    """Read what `format_path` writes; raise `InvalidInputError` naming the position otherwise."""
    steps: list[Step] = []
    module, position = "", 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            return _parse_slowly(text)
        step = _step(match[0], module)
        steps.append(step)
        module, position = step.module, match.end()
    return tuple(steps)


_NAME = r"[A-Za-z_][A-Za-z0-9_.-]*"
_NODE = re.compile(rf"(?:{_NAME}:)?{_NAME}")
_KEY_NAME = re.compile(rf"\.|(?:{_NAME}:)?{_NAME}")
_STEP = re.compile(rf"/(?:{_NAME}:)?{_NAME}(?:\[(?:\.|(?:{_NAME}:)?{_NAME})='[^']*'\])*(?=/|\Z)")
"""A step in its usual form: keys in single quotes. Anything else is read, or refused, character by character."""
_KEY = re.compile(r"\[([^=]+)='([^']*)'\]")


@lru_cache(maxsize=_REMEMBERED)
def _step(text: str, module: str) -> Step:
    name, bracket, rest = text[1:].partition("[")
    prefix, colon, local = name.partition(":")
    keys = tuple((key, value) for key, value in _KEY.findall(bracket + rest))
    module, local = (prefix, local) if colon else (module, prefix)
    if not module:
        raise _bad(text, len(name) + 1, "the first node needs a module name")
    return Step(module, local, keys)


def _parse_slowly(text: str) -> Path:
    if text == "/":
        return ()
    steps: list[Step] = []
    module, position = "", 0
    while position < len(text):
        name, position = _read_name(text, position)
        prefix, colon, local = name.partition(":")
        module, local = (prefix, local) if colon else (module, prefix)
        if not module:
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
    if not _NODE.fullmatch(text, position + 1, end):
        raise _bad(text, position + 1, "expected a node's name")
    return text[position + 1 : end], end


def _read_key(text: str, position: int) -> tuple[tuple[str, str], int]:
    equals = text.find("=", position)
    quote = text[equals + 1 : equals + 2]
    if equals < 0 or not _KEY_NAME.fullmatch(text, position + 1, equals) or quote not in {"'", '"'}:
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
