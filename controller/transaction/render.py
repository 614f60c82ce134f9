"""Owns how plans are shown: the tree diff people read, and the exact payload a session would send.

Formats: `unified` (a tree per device, with the owners of each line), `paths` (one line per change), `xml` (the exact
edit-config or YANG Patch), `cli` (the exact command lines), `json` (`plan_json`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from lxml import etree

from controller.datastore.codec import Codec
from controller.datastore.diff import Change, Edit, describe, one_line
from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName, Owner
from controller.model.yang_path import Step
from controller.transaction.plan import DevicePlan, Plan

FORMATS = ("unified", "paths", "xml", "cli", "json")


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a tree diff: `+`, `-` or a blank; nesting depth; text; owners where it has any."""

    sign: str
    depth: int
    text: str
    owners: tuple[Owner, ...] = ()

    def __str__(self) -> str:
        return f"{self.sign} {'  ' * self.depth}{self.text}"


def unified(device: DevicePlan, *, reverse: bool = False) -> list[DiffLine]:
    """The tree diff of one device: context down to each change, removed and added lines side by side."""
    edit = device.reverse if reverse else device.edit
    lines: list[DiffLine] = []
    open_steps: tuple[Step, ...] = ()
    for change in sorted(edit, key=lambda change: change.path):
        shared = _shared(open_steps, change.path)
        for depth in range(shared, len(change.path) - 1):
            step = change.path[depth]
            lines.append(DiffLine(" ", depth, _name(step, depth, change.path)))
        lines += _lines(change, device.owners.get(change.path, ()))
        open_steps = change.path
    return _without_repeats(lines)


def annotated(lines: Iterable[DiffLine]) -> Iterator[tuple[DiffLine, str]]:
    """Each line with its owners as text, said only where they differ from those of the owned line above."""
    above: tuple[Owner, ...] = ()
    for line in lines:
        whose = line.owners if line.owners != above else ()
        above = line.owners or above
        yield line, ", ".join(whose)


def _shared(before: Sequence[Step], now: Sequence[Step]) -> int:
    count = 0
    for one, other in zip(before, now, strict=False):
        if one != other:
            break
        count += 1
    return min(count, len(now) - 1)


def _lines(change: Change, owners: tuple[Owner, ...]) -> Iterator[DiffLine]:
    depth = len(change.path) - 1
    name = _name(change.path[-1], depth, change.path)
    if change.old is not None:
        yield DiffLine("-", depth, f"{name} {one_line(change.old)}".rstrip(), owners if change.new is None else ())
    if change.new is not None:
        yield DiffLine("+", depth, f"{name} {one_line(change.new)}".rstrip(), owners)


def _name(step: Step, depth: int, path: Sequence[Step]) -> str:
    parent = path[depth - 1].module if depth else ""
    prefix = f"{step.module}:" if step.module != parent else ""
    keys = " ".join(one_line(value) for _, value in step.keys)
    return f"{prefix}{step.name} {keys}".rstrip()


def _without_repeats(lines: list[DiffLine]) -> list[DiffLine]:
    """A context line right below the same node's own added or removed line says nothing new."""
    kept: list[DiffLine] = []
    for line in lines:
        if line.sign == " " and kept and any(_is_same(line, other) for other in kept[-1:]):
            continue
        kept.append(line)
    return kept


def _is_same(line: DiffLine, other: DiffLine) -> bool:
    return line.depth == other.depth and line.text == other.text


def payload(device: DevicePlan, codec: Codec, *, reverse: bool = False) -> bytes:
    """The exact bytes that a session would send."""
    edit: Edit = device.reverse if reverse else device.edit
    return codec.encode_edit(edit)


def text(plan: Plan, format_: str, codecs: Callable[[DeviceName], Codec], *, reverse: bool = False) -> str:
    """A plan as text in one of `FORMATS` but `json`."""
    shown = {
        "unified": lambda device: "\n".join(_said(unified(device, reverse=reverse))),
        "paths": lambda device: "\n".join(describe(device.reverse if reverse else device.edit)),
        "xml": lambda device: _pretty(payload(device, codecs(device.device), reverse=reverse)),
        "cli": lambda device: _commands(payload(device, codecs(device.device), reverse=reverse)),
    }.get(format_)
    if shown is None:
        raise InvalidInputError(f"there is no format '{format_}'", remedy=f"choose one of {', '.join(FORMATS)}")
    return "\n".join(f"{_heading(device)}\n{shown(device)}\n" for device in plan.changed)


def _said(lines: Iterable[DiffLine]) -> Iterator[str]:
    for line, whose in annotated(lines):
        yield f"{line}  # {whose}" if whose else str(line)


def _heading(device: DevicePlan) -> str:
    impact, reason = device.impact
    return f"[{device.device}]  {device.participant.value}  impact: {impact.name.lower()} ({reason})"


def _commands(body: bytes) -> str:
    if body.lstrip()[:1] in {b"<", b"{"}:
        return "! not reached by commands; what is sent is shown by the format xml"
    return body.decode()


def _pretty(body: bytes) -> str:
    if not body.lstrip().startswith(b"<"):
        return body.decode()
    return etree.tostring(etree.fromstring(body), pretty_print=True, encoding="unicode")
