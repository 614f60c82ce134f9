"""Owns configuration as `set` lines for any YANG tree, without loss: `set <path, list keys inline> <leaf> <value>`.

A node is called by its name, by `module:name` where siblings share the name. After a list's name stand its key values,
after a leaf-list's its value. The same grammar takes lines away: `delete <path>`.
"""

import re
from collections.abc import Iterator

from controller.datastore.cli_template import Parsed, UnknownLine
from controller.datastore.diff import Edit, topmost_deletions
from controller.datastore.schema import NodeKind, Schema, SchemaNode
from controller.model.errors import InvalidInputError, ProtocolViolationError
from controller.model.yang_path import Config, Path, Step, format_path, is_within

_PLAIN = re.compile(r"[A-Za-z0-9_.:/,@+=%*~^!$&()<>-]+")
_TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"(?=\s|$)|([^\s"|]+)(?=\s|$))')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
_ESCAPED = {value: "\\" + key for key, value in _ESCAPES.items()}
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)", re.DOTALL)


class SetStyleSyntax:
    """`set` and `delete` lines by a device's schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._children: dict[int, dict[str, SchemaNode]] = {}

    def parse(self, text: str) -> Parsed:
        """What the `set` lines say; any other line, and a word the schema lacks, makes a line unknown.

        `ProtocolViolationError` when there is text without one `set` line: a device in the wrong mode, or a spoilt
        answer, must not pass for an empty configuration.
        """
        config: dict[Path, str] = {}
        unknown: list[UnknownLine] = []
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            facts = self._facts(line)
            if facts is None:
                unknown.append(UnknownLine(number, line.strip()))
            else:
                config.update(facts)
        if not config and unknown and not any(entry.line.startswith("set ") for entry in unknown):
            raise ProtocolViolationError(f"this is no configuration: {unknown[0].line[:80]!r}")
        return Parsed(config, tuple(unknown))

    def render(self, config: Config) -> str:
        """One line for each leaf, and for each entry or presence container with nothing below it."""
        paths = sorted(config)
        followers: list[Path] = [*paths[1:], ()]
        shown = [path for path, after in zip(paths, followers, strict=False) if not is_within(after, path)]
        return "".join(f"set {self._words(path, config[path])}\n" for path in shown)

    def render_edit(self, edit: Edit, base: Config | None = None) -> tuple[str, ...]:  # noqa: ARG002  # each line stands alone
        """`delete` lines for the topmost deletions, then `set` lines."""
        deletions = [f"delete {self._words(path, None)}" for path in topmost_deletions(edit)]
        settings = {change.path: change.new for change in edit if change.new is not None}
        return (*deletions, *self.render(settings).splitlines())

    def filter_of(self, path: Path) -> str:
        """The words that select a subtree for a show command."""
        return self._words(path, None)

    def _facts(self, line: str) -> dict[Path, str] | None:
        words = tokens(line)
        if words is None or len(words) < 2 or words[0] != "set":
            return None
        node, rest = self._schema.root, words[1:]
        path: Path = ()
        facts: dict[Path, str] = {}
        while rest:
            child = self._words_below(node).get(rest[0])
            if child is None:
                return None
            names = (".",) if child.kind is NodeKind.LEAF_LIST else child.keys if child.kind is NodeKind.LIST else ()
            keys, rest = rest[1 : len(names) + 1], rest[len(names) + 1 :]
            if len(keys) < len(names):
                return None
            path = (*path, Step(child.module, child.name, tuple(zip(names, keys, strict=True))))
            node = child
            if child.kind in {NodeKind.LEAF, NodeKind.LEAF_LIST}:
                value = rest if child.kind is NodeKind.LEAF and child.type != "empty" else [""]
                if len(value) != 1 or (value is not rest and rest):
                    return None
                return {**facts, path: value[0]}
            if names or child.is_presence:
                facts[path] = ""
        return facts or None

    def _words(self, path: Path, value: str | None) -> str:
        words = list(self._steps(path))
        node = self._schema.node(path)
        if value is not None and node.kind is NodeKind.LEAF and node.type != "empty":
            words.append(quote(value))
        return " ".join(words)

    def _steps(self, path: Path) -> Iterator[str]:
        node = self._schema.root
        for depth, step in enumerate(path, start=1):
            child = node.children.get((step.module, step.name))
            if child is None:
                raise InvalidInputError("no such node in the schema", path=format_path(path[:depth]))
            yield next(word for word, item in self._words_below(node).items() if item is child)
            yield from (quote(key) for _, key in step.keys)
            node = child

    def _words_below(self, parent: SchemaNode) -> dict[str, SchemaNode]:
        """The configuration children of a node by the word that stands for each."""
        found = self._children.get(id(parent))
        if found is None:
            nodes = [node for node in parent.children.values() if node.is_config]
            names = [node.name for node in nodes]
            found = {_word(parent, node, names): node for node in nodes}
            self._children[id(parent)] = found
        return found


def _word(parent: SchemaNode, node: SchemaNode, names: list[str]) -> str:
    is_plain = names.count(node.name) == 1 or (bool(parent.name) and node.module == parent.module)
    return node.name if is_plain else f"{node.module}:{node.name}"


def quote(value: str) -> str:
    """A value as one word: bare where that is safe, else in quotes with escapes; always one line."""
    if _PLAIN.fullmatch(value):
        return value
    return '"' + "".join(_quoted(char) for char in value) + '"'


def _quoted(char: str) -> str:
    if char in _ESCAPED:
        return _ESCAPED[char]
    return char if char.isprintable() or ord(char) > 0xFFFF else f"\\u{ord(char):04x}"


def tokens(line: str) -> list[str] | None:
    """The words of a line, quotes undone; None when a quote is left open or a bare word holds one."""
    found: list[str] = []
    at, end = 0, len(line.rstrip())
    while at < end:
        match = _TOKEN.match(line, at)
        if match is None:
            return None
        found.append(match[2] if match[1] is None else _ESCAPE.sub(_unescaped, match[1]))
        at = match.end()
    return found


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else _ESCAPES.get(code, code)
