"""Owns the difference between two configurations and its inverse.

An edit is a sequence of changes in a fixed order: deletions first (children before the entries that hold them), then
settings (entries before what they hold). Deleting a list entry or presence container takes everything below with it, so
the edit that is sent names only the topmost deleted node (RFC 6241 7.2), while the inverse restores every line.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.model.yang_path import Config, Path, format_path


@dataclass(frozen=True, slots=True)
class Change:
    """One path's change: `old` None is a creation, `new` None a deletion."""

    path: Path
    old: str | None
    new: str | None

    def inverse(self) -> "Change":
        """The change that undoes this one."""
        return Change(self.path, self.new, self.old)


Edit = tuple[Change, ...]


def diff(before: Config, after: Config) -> Edit:
    """The edit that turns `before` into `after`."""
    paths = before.keys() | after.keys()
    return ordered(
        Change(path, before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)
    )


def ordered(changes: Iterable[Change]) -> Edit:
    """Deletions deepest first, then settings topmost first; within that by path."""
    deletions: list[Change] = []
    settings: list[Change] = []
    for change in changes:
        (deletions if change.new is None else settings).append(change)
    deletions.sort(key=lambda change: change.path, reverse=True)
    settings.sort(key=lambda change: change.path)
    return (*deletions, *settings)


def inverse(edit: Edit) -> Edit:
    """The edit that undoes an edit."""
    return ordered(change.inverse() for change in edit)


def apply(config: Config, edit: Edit) -> dict[Path, str]:
    """The configuration after the edit."""
    result = dict(config)
    for change in edit:
        if change.new is None:
            result.pop(change.path, None)
        else:
            result[change.path] = change.new
    return result


def topmost_deletions(edit: Edit) -> list[Path]:
    """Deleted paths that have no deleted ancestor in the edit, in document order."""
    deleted = {change.path for change in edit if change.new is None}
    return sorted(path for path in deleted if not any(path[:length] in deleted for length in range(1, len(path))))


def scope_of(edit: Edit) -> tuple[Path, ...]:
    """What must be read to judge the edit's base: settings' own nodes, and whole subtrees of deleted ones.

    Paths that lie within another are folded into it.
    """
    roots: set[Path] = set(topmost_deletions(edit))
    roots.update(change.path for change in edit if change.new is not None)
    return tuple(sorted(path for path in roots if not any(path[:length] in roots for length in range(1, len(path)))))


def within(config: Config, roots: Iterable[Path]) -> dict[Path, str]:
    """The part of a configuration at or below any of the roots."""
    wanted = set(roots)
    lengths = sorted({len(root) for root in wanted})
    return {
        path: value
        for path, value in config.items()
        if any(length <= len(path) and path[:length] in wanted for length in lengths)
    }


def describe(edit: Edit) -> list[str]:
    """One `+`, `-` or `~` line per change: format `paths`."""
    return [one_line(_describe(change)) for change in sorted(edit, key=lambda change: change.path)]


def one_line(text: str) -> str:
    """A text with line ends and other unprintable characters spelled out, so that no value can pass for a line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _describe(change: Change) -> str:
    path = format_path(change.path)
    if change.new is None:
        return f"- {path}: {change.old}" if change.old else f"- {path}"
    if change.old is None:
        return f"+ {path}: {change.new}" if change.new else f"+ {path}"
    return f"~ {path}: {change.old} -> {change.new}"


def to_json(config: Mapping[Path, str]) -> dict[str, str]:
    """A configuration with its paths written out, for storage."""
    return {format_path(path): value for path, value in config.items()}
