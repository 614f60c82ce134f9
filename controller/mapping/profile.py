"""Owns how a profile is written: tables from the network model to configuration lines, and the engine that reads them.

A profile is a tuple of `Section`. A section stands at a path and repeats for what `each` yields; its rows put values
at paths below. To add a device type, write such a table and register it (`render`).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from controller.model.yang_path import Path, Step, parse_path

Value = str | int | bool | Iterable[str] | None
Getter = Callable[[Any], Value]
_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Row:
    """One line, or one per item for a leaf-list (`[.='{}']` at the end of the path).

    `value`: a field's name, a text with `{name}` in it, or a function of what the section repeats for. None and a
    field's '' give no line; `exists` says that a list entry, a presence container or an empty leaf is there.
    """

    path: str
    value: str | Getter


@dataclass(frozen=True, slots=True)
class Section:
    """Rows below `path`, for each item of `each(content)`; `{name}` in a path is the item's field or the content's."""

    path: str
    rows: tuple["Row | Section", ...]
    each: Callable[[Any], Iterable[Any]] | None = None


def exists(_: Any) -> Value:
    """The value of a node that has none."""
    return ""


def always(value: str) -> Getter:
    """The same value whatever the content."""
    return lambda _: value


def when(condition: str | Getter) -> Getter:
    """`exists` where the condition holds."""
    return lambda item: "" if _get(condition, item) else None


def only(condition: str | Getter, value: str | Getter) -> Getter:
    """A value where the condition holds."""
    return lambda item: _get(value, item) if _get(condition, item) else None


def render_sections(sections: Iterable[Section], content: Any) -> dict[Path, str]:
    """The lines that a profile's sections make of some content."""
    lines: dict[Path, str] = {}
    for section in sections:
        _render(section, (content,), "", lines)
    return lines


def _render(section: Section, scopes: tuple[Any, ...], prefix: str, lines: dict[Path, str]) -> None:
    template = prefix + section.path
    for item in (scopes[0],) if section.each is None else section.each(scopes[0]):
        inner = scopes if item is scopes[0] else (item, *scopes)
        for row in section.rows:
            if isinstance(row, Section):
                _render(row, inner, template, lines)
            else:
                lines.update(_lines(template + row.path, _value(row, inner), inner))


def _lines(template: str, value: Value, scopes: tuple[Any, ...]) -> Iterator[tuple[Path, str]]:
    if value is None:
        return
    if isinstance(value, (str, int)):
        yield _fill(template, scopes), _text(value)
        return
    for entry in value:
        yield _fill(template, scopes, entry), ""


def _value(row: Row, scopes: tuple[Any, ...]) -> Value:
    if isinstance(row.value, str) and "{" in row.value:
        return _key(row.value, scopes, "")
    return _get(row.value, scopes[0])


def _get(value: str | Getter, item: Any) -> Value:
    if callable(value):
        return value(item)
    found: Value = getattr(item, value)
    return None if found == "" else found


def _text(value: str | int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _fill(template: str, scopes: tuple[Any, ...], entry: str = "") -> Path:
    return tuple(
        Step(module, name, tuple((key, _key(text, scopes, entry)) for key, text in keys)) if keys else step
        for step in _compiled(template)
        for module, name, keys in (step,)
    )


@cache
def _compiled(template: str) -> Path:
    return parse_path(template)


def _key(text: str, scopes: tuple[Any, ...], entry: str) -> str:
    if text == "{}":
        return entry
    if "{" not in text:
        return text
    return _PLACE.sub(lambda match: _text(_find(match[1], scopes)), text)


def _find(name: str, scopes: tuple[Any, ...]) -> str | int:
    for scope in scopes:
        if hasattr(scope, name):
            found: str | int = getattr(scope, name)
            return found
    raise AttributeError(f"a profile's path names '{name}', which nothing in scope has")
