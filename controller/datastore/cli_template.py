"""Owns translation between flat configuration and CLI lines by declared templates: rows of (lines <-> facts).

A row says which facts (paths with values) one line stands for. Rendering takes, for each fact, the first row that fits;
parsing takes, for each line, the first row that matches. `parse(render(x)) == x` is checked on every rendering, so what
a table cannot say is refused by its path, never altered. Lines that no row matches are kept apart.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from controller.datastore.diff import Edit, apply
from controller.model.errors import NotSupportedError
from controller.model.yang_path import Config, Path, Step, format_path, parse_path

WORD = r"[!->@-{}~]+"
"""One printable ASCII word without `?` (help on a terminal) and `|` (a filter)."""
TEXT = rf"{WORD}(?: {WORD})*"
"""Words separated by single spaces."""

Bindings = Mapping[str, str]
_VARIABLE = re.compile(r"\$(\*?)([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Row:
    """One line and what it stands for.

    `$name` in the line, in keys and in values is a variable of the form that the table declares; `$*name` is all the
    values of a leaf-list, separated by spaces. The first fact is the one the row is chosen by.
    """

    line: str
    facts: tuple[tuple[str, str], ...]
    within: str = ""
    """The `opens` of the row of the block that this line stands in."""
    opens: str = ""
    """The name of the block that this line opens."""
    close: str = "exit"
    delete: str = ""
    """What takes the line away; `no` and the line when not given."""
    delete_first: bool = False
    """Whether another value adds a second line on the device instead of replacing the first."""
    takes_children: bool = False
    """Whether taking away the line takes away its whole block."""
    is_heading: bool = False
    """Whether the line is there only with the lines of its block, so that nothing takes it away."""


@dataclass(frozen=True, slots=True)
class Table:
    """All rows of one platform, the forms of their variables, and the lines that say nothing."""

    rows: tuple[Row, ...]
    forms: Mapping[str, str]
    noise: str = r"(?!)"


@dataclass(frozen=True, slots=True)
class UnknownLine:
    """A line no row matches, with the lines of the blocks around it."""

    number: int
    line: str
    within: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a CLI configuration says, and what of it is not understood."""

    config: Config
    unknown: tuple[UnknownLine, ...] = ()


class CliSyntax(Protocol):
    """One platform's way of writing configuration."""

    def parse(self, text: str) -> Parsed:
        """What the text says."""
        ...

    def render(self, config: Config) -> str:
        """The text that says it; `NotSupportedError` names the path that cannot be said."""
        ...

    def render_edit(self, edit: Edit, base: Config | None = None) -> tuple[str, ...]:
        """The command lines that carry out the edit; deletions first.

        `base` is the configuration around it: lines that stand for several values need the others. What the edit
        itself names is taken from the edit.
        """
        ...


@dataclass(slots=True)
class _Node:
    """One rendered line with its block."""

    row: "_CompiledRow"
    bindings: Bindings
    slot: tuple[Path, ...] = ()
    children: dict[str, "_Node"] = field(default_factory=dict)


class TemplateSyntax:
    """A table at work."""

    def __init__(self, table: Table) -> None:
        self._noise = re.compile(table.noise)
        self._rows = [_CompiledRow(row, table.forms) for row in table.rows]
        self._inside: dict[str, list[_CompiledRow]] = {}
        for row in self._rows:
            self._inside.setdefault(row.row.within, []).append(row)
        self._closing = {row.row.close for row in self._rows if row.row.opens}

    def parse(self, text: str) -> Parsed:
        """What the text says; blocks are told by indentation."""
        config: dict[Path, str] = {}
        unknown: list[UnknownLine] = []
        stack: list[tuple[int, str, str, Bindings]] = []
        for number, raw in enumerate(text.splitlines(), start=1):
            line = raw.strip()
            indent = len(raw) - len(raw.lstrip())
            if not line or line in self._closing or self._noise.fullmatch(line):
                continue
            while stack and stack[-1][0] >= indent:
                stack.pop()
            block, outer = (stack[-1][2], stack[-1][3]) if stack else ("", {})
            row, bindings = self._match(line, block, outer)
            if row is None:
                unknown.append(UnknownLine(number, line, tuple(entry[1] for entry in stack)))
            else:
                config.update(row.facts_of(bindings))
            # Below an unknown line nothing can be known: its block has a name that no row has.
            stack.append((indent, line, (row.row.opens or "\0") if row else "\0", bindings))
        return Parsed(config, tuple(unknown))

    def _match(self, line: str, block: str, outer: Bindings) -> "tuple[_CompiledRow | None, Bindings]":
        for row in self._inside.get(block, ()):
            bindings = row.match(line, outer)
            if bindings is not None:
                return row, bindings
        return None, outer

    def render(self, config: Config) -> str:
        """The text that says the configuration; `NotSupportedError` for what the table cannot say."""
        text = "".join(line + "\n" for line in _lines(self._tree(config)))
        said = self.parse(text).config
        for path in config.keys() | said.keys():
            if said.get(path) != config.get(path):
                raise NotSupportedError(
                    "this configuration cannot be written in the device's CLI as declared", path=format_path(path)
                )
        return text

    def render_edit(self, edit: Edit, base: Config | None = None) -> tuple[str, ...]:
        """The command lines that carry out the edit, deletions first."""
        # The edit knows best what it starts from: a base from before a change serves its reverse edit as well.
        changed = {change.path for change in edit}
        before = {path: value for path, value in (base or {}).items() if path not in changed}
        before |= {change.path: change.old for change in edit if change.old is not None}
        after = apply(before, edit)
        if base is None:
            surroundings = self._surroundings(edit)
            before, after = {**surroundings, **before}, {**surroundings, **after}
        self.render(after)
        old, new = self._tree(before), self._tree(after)
        return (*_deletions(old, new), *_settings(old, new))

    def _surroundings(self, edit: Edit) -> dict[Path, str]:
        """The entries that the edit's paths stand in, when nobody tells more; not for lines with several values."""
        changed = {change.path for change in edit}
        found: dict[Path, str] = {}
        for change in edit:
            for row in self._rows:
                bindings = row.bind(change.path, change.new if change.new is not None else change.old or "")
                if bindings is None:
                    continue
                if row.multiple and not any(change.path[:size] in changed for size in range(1, len(change.path))):
                    raise NotSupportedError(
                        "a line that holds all values cannot be written without knowing the others",
                        path=format_path(change.path),
                        remedy="give the configuration before the edit",
                    )
                found.update(self._heads(row, bindings))
        return {path: value for path, value in found.items() if path not in changed}

    def _heads(self, row: "_CompiledRow", bindings: Bindings) -> dict[Path, str]:
        """The entries that a line stands in: its own, and those of the blocks around it."""
        found: dict[Path, str] = {}
        for fact in () if row.multiple else row.facts[1:]:
            if fact.is_bound_by(bindings) and fact.value == "":
                found[fact.path_of(bindings)] = ""
        around = [other for other in self._rows if other.row.opens and other.row.opens == row.row.within]
        around = [other for other in around if other.row.is_heading or other.is_bound_by(bindings)]
        # Of several lines that could open the block, the last says least.
        for outer in around[-1:]:
            found.update(outer.facts_of(bindings))
            found.update(self._heads(outer, bindings))
        return found

    def _tree(self, config: Config) -> dict[str, _Node]:
        index: dict[tuple[tuple[str, str], ...], list[Path]] = {}
        for path in config:
            index.setdefault(tuple((step.module, step.name) for step in path), []).append(path)
        return self._block("", {}, config, index, set())

    def _block(
        self,
        block: str,
        outer: Bindings,
        config: Config,
        index: Mapping[tuple[tuple[str, str], ...], list[Path]],
        taken: set[tuple[str, Path]],
    ) -> dict[str, _Node]:
        nodes: dict[str, _Node] = {}
        for row in self._inside.get(block, ()):
            for bindings in row.instances(outer, config, index):
                claims = {(row.row.within, path) for path in row.claims(bindings)}
                if claims & taken:
                    continue
                taken |= claims
                slot = tuple(sorted(path for _, path in claims))
                children: dict[str, _Node] = {}
                if row.row.opens:
                    children = self._block(row.row.opens, bindings, config, index, taken)
                nodes[row.line_of(bindings)] = _Node(row, bindings, slot, children)
        return nodes


def _lines(nodes: Mapping[str, _Node], indent: str = "") -> Iterator[str]:
    for line, node in nodes.items():
        yield indent + line
        if node.row.row.opens:
            yield from _lines(node.children, indent + " ")
            yield indent + node.row.row.close


def _deletions(old: Mapping[str, _Node], new: Mapping[str, _Node]) -> Iterator[str]:
    kept_slots = {node.slot for node in new.values()}
    for line, node in reversed(list(old.items())):
        if line in new:
            yield from _inside_block(line, node, _deletions(node.children, new[line].children))
            continue
        if not node.row.row.takes_children:
            yield from _inside_block(line, node, _deletions(node.children, {}))
        if not node.row.row.is_heading and (node.slot not in kept_slots or node.row.row.delete_first):
            yield node.row.delete_of(node.bindings)


def _settings(old: Mapping[str, _Node], new: Mapping[str, _Node]) -> Iterator[str]:
    for line, node in new.items():
        inner = list(_settings(old[line].children if line in old else {}, node.children))
        if node.row.row.opens:
            if inner or line not in old:
                yield line
                yield from inner
                yield node.row.row.close
        elif line not in old:
            yield line


def _inside_block(line: str, node: _Node, inner: Iterable[str]) -> Iterator[str]:
    commands = list(inner)
    if commands:
        yield line
        yield from commands
        yield node.row.row.close


class _Fact:
    """A path pattern with its value pattern."""

    def __init__(self, path: str, value: str) -> None:
        self.steps = parse_path(path)
        self.value = value
        self.names = tuple((step.module, step.name) for step in self.steps)
        self.variables = {name for step in self.steps for _, key in step.keys for _, name in _VARIABLE.findall(key)}

    @property
    def list_variable(self) -> str:
        """The variable that stands for all values of a leaf-list here, or nothing."""
        return next((key[2:] for step in self.steps for _, key in step.keys if key.startswith("$*")), "")

    def is_bound_by(self, bindings: Bindings) -> bool:
        """Whether the path's variables are known."""
        return self.variables <= bindings.keys()

    def bind(self, path: Path, outer: Bindings) -> dict[str, str] | None:
        """The variables that make this pattern the path, or None."""
        bindings = dict(outer)
        for pattern, step in zip(self.steps, path, strict=True):
            for (_, wanted), (_, found) in zip(pattern.keys, step.keys, strict=True):
                if not _bind(wanted.replace("$*", "$"), found, bindings):
                    return None
        return bindings

    def path_of(self, bindings: Bindings) -> Path:
        return tuple(
            Step(step.module, step.name, tuple((key, _filled(value, bindings)) for key, value in step.keys))
            for step in self.steps
        )

    def value_of(self, bindings: Bindings) -> str:
        return _filled(self.value, bindings)


class _CompiledRow:
    def __init__(self, row: Row, forms: Mapping[str, str]) -> None:
        self.row = row
        self.facts = [_Fact(path, value) for path, value in row.facts]
        self.multiple = bool(self.facts[0].list_variable)
        self._forms = {name: re.compile(form) for name, form in forms.items()}
        self._pattern = re.compile(_expression(row.line, forms))

    def is_bound_by(self, bindings: Bindings) -> bool:
        """Whether everything that the line says is known."""
        values = {fact.value[1:] for fact in self.facts if fact.value.startswith("$")}
        return values <= bindings.keys() and all(fact.is_bound_by(bindings) for fact in self.facts)

    def match(self, line: str, outer: Bindings) -> dict[str, str] | None:
        """The variables of a line that this row matches, those of the blocks around it included."""
        match = self._pattern.fullmatch(line)
        if match is None or any(outer.get(name, value) != value for name, value in match.groupdict().items()):
            return None
        return {**outer, **match.groupdict()}

    def facts_of(self, bindings: Bindings) -> Iterator[tuple[Path, str]]:
        """What a line with these variables says; a heading leaves it to the lines below."""
        for fact in () if self.row.is_heading else self.facts:
            variable = fact.list_variable
            if not variable:
                yield fact.path_of(bindings), fact.value_of(bindings)
                continue
            for item in bindings[variable].split(" "):
                yield fact.path_of({**bindings, variable: item}), ""

    def claims(self, bindings: Bindings) -> list[Path]:
        """The paths that this row, and no later one of its block, writes: its first fact, or all of its lists."""
        wanted = [fact for fact in self.facts if fact.list_variable] if self.multiple else self.facts[:1]
        return [
            fact.path_of({**bindings, fact.list_variable: item})
            for fact in wanted
            for item in (bindings[fact.list_variable].split(" ") if fact.list_variable else [""])
        ]

    def bind(self, path: Path, value: str) -> dict[str, str] | None:
        """The variables if one of this row's facts is this path and value."""
        names = tuple((step.module, step.name) for step in path)
        for fact in self.facts:
            if fact.names == names:
                bindings = fact.bind(path, {})
                if bindings is not None and _bind(fact.value, value, bindings):
                    return bindings
        return None

    def instances(
        self, outer: Bindings, config: Config, index: Mapping[tuple[tuple[str, str], ...], list[Path]]
    ) -> list[dict[str, str]]:
        """All variables with which every fact of this row is in the configuration, in order."""
        candidates = sorted(index.get(self.facts[0].names, ()))
        if self.multiple:
            return self._list_instances(outer, candidates, index)
        found = [self._complete(path, outer, config) for path in candidates]
        return [bindings for bindings in found if bindings is not None]

    def _complete(self, head: Path, outer: Bindings, config: Config) -> dict[str, str] | None:
        bindings = self.facts[0].bind(head, outer)
        if bindings is None:
            return None
        for fact in self.facts:
            if not fact.is_bound_by(bindings):
                return None
            value = config.get(fact.path_of(bindings))
            if value is None or not _bind(fact.value, value, bindings):
                return None
        return bindings if self._has_form(bindings) else None

    def _list_instances(
        self, outer: Bindings, candidates: Sequence[Path], index: Mapping[tuple[tuple[str, str], ...], list[Path]]
    ) -> list[dict[str, str]]:
        variable = self.facts[0].list_variable
        sets: list[set[str]] = []
        for fact in self.facts:
            if fact.list_variable:
                bound = [fact.bind(path, outer) for path in index.get(fact.names, ())]
                sets.append({item[variable] for item in bound if item is not None})
        if not candidates or not sets[0] or any(items != sets[0] for items in sets):
            return []
        bindings = {**outer, variable: " ".join(sorted(sets[0]))}
        return [bindings] if self._has_form(bindings) else []

    def _has_form(self, bindings: Bindings) -> bool:
        return all(
            self._forms[name].fullmatch(item)
            for name, value in bindings.items()
            if name in self._forms
            for item in (value.split(" ") if name == self.facts[0].list_variable else [value])
        )

    def line_of(self, bindings: Bindings) -> str:
        return _filled(self.row.line, bindings)

    def delete_of(self, bindings: Bindings) -> str:
        return _filled(self.row.delete or f"no {self.row.line}", bindings)


def _expression(line: str, forms: Mapping[str, str]) -> str:
    parts: list[str] = []
    at = 0
    for variable in _VARIABLE.finditer(line):
        parts.append(re.escape(line[at : variable.start()]))
        form = forms[variable[2]]
        parts.append(f"(?P<{variable[2]}>{form}(?: {form})*)" if variable[1] else f"(?P<{variable[2]}>{form})")
        at = variable.end()
    return "".join(parts) + re.escape(line[at:])


def _bind(pattern: str, text: str, bindings: dict[str, str]) -> bool:
    """Make the pattern (a constant, or one variable) the text by binding its variable; False when it can't be."""
    if not pattern.startswith("$"):
        return pattern == text
    return bindings.setdefault(pattern[1:], text) == text


def _filled(pattern: str, bindings: Bindings) -> str:
    return _VARIABLE.sub(lambda variable: bindings[variable[2]], pattern)
