"""Owns what people and programs see: data on stdout as table, JSON or YAML; messages and progress on stderr.

No escape sequence off a terminal, under `NO_COLOR` (no-color.org) or `--color never`; nothing moves off a terminal.
What devices and callers say is shown and not obeyed: their control characters are made visible.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TextIO

import orjson
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

SCHEMA_VERSION = 1
Json = Any
_PATIENCE_SECONDS = 2.0
"""What is done sooner needs no progress."""
_UNCUT_COLUMNS = 100_000
"""What is piped is not cut to a screen."""
_VISIBLE = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys((*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD),
}
"""Controls as their pictures; the second set of controls and those that turn the direction of writing as U+FFFD."""
_JSON_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


class Output(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class Color(StrEnum):
    """When colours are used."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(slots=True)
class Terminal:
    """Where a command writes. Nothing in it interprets markup: names of devices may hold any character."""

    output: Output = Output.TABLE
    color: Color = Color.AUTO
    _data: Console = field(init=False)
    _messages: Console = field(init=False)

    def __post_init__(self) -> None:
        """One console for each stream."""
        self._data, self._messages = _console(sys.stdout, self.color), _console(sys.stderr, self.color)

    @property
    def is_interactive(self) -> bool:
        """Whether a person can be asked: keyboard in, screen out."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    # -- data --------------------------------------------------------------------------------------------------

    def show(self, document: Json, *tables: RenderableType) -> None:
        """A document: as it is in JSON and YAML, as `tables` otherwise. Lists become `items`."""
        if self.output is Output.TABLE:
            for one in tables:
                self._draw(one)
            return
        self.write(encode(versioned(document), self.output))

    def _draw(self, one: RenderableType) -> None:
        """A text as long as it is, a table as wide as the screen; no blanks at the ends of lines."""
        if isinstance(one, Text):
            self._data.print(_shown(one), soft_wrap=True)
            return
        with self._data.capture() as drawn:
            self._data.print(_fitting(one, self._data) if isinstance(one, Table) else one)
        self._data.file.write("\n".join(line.rstrip(" ") for line in drawn.get().split("\n")))

    def show_rows(self, rows: Sequence[Mapping[str, Json]], columns: Sequence[str]) -> None:
        """A list of objects; the table has these members as columns."""
        self.show(list(rows), table(rows, columns))

    def write(self, text: str) -> None:
        """Data as it is."""
        self._data.file.write(text.translate(_VISIBLE))
        self._data.file.flush()

    def print_data(self, text: Text) -> None:
        """Data with colours where there are any."""
        self._data.print(_shown(text), soft_wrap=True)

    # -- messages ----------------------------------------------------------------------------------------------

    def say(self, message: str | Text, style: str = "") -> None:
        """A message for people."""
        text = message if isinstance(message, Text) else Text(message, style)
        self._messages.print(_shown(text), soft_wrap=True)

    def warn(self, message: str) -> None:
        """Something that a person should look at."""
        self.say(Text.assemble(("warning: ", "bold yellow"), message))

    def fail(self, message: str, *more: str) -> None:
        """What went wrong, and below it what to do."""
        self.say(Text.assemble(("error: ", "bold red"), message))
        for line in more:
            self.say(f"  {line}")

    def ask(self, question: str) -> bool:
        """Yes or no; an empty answer and the end of input are no."""
        self._messages.print(Text(f"{question} [y/N] "), end="", soft_wrap=True)
        answer = sys.stdin.readline()
        return answer.strip().casefold() in {"y", "yes"}

    @contextmanager
    def progress(self, what: str) -> Iterator[None]:
        """Show that `what` is going on once it takes more than two seconds: a spinner, or one line off a terminal."""
        if not self._messages.is_terminal:
            with _after(_PATIENCE_SECONDS, lambda: self.say(f"{what} ...")):
                yield
            return
        status = self._messages.status(Text(what))
        with _after(_PATIENCE_SECONDS, status.start):
            try:
                yield
            finally:
                status.stop()


def _shown(text: Text) -> Text:
    """The text with its controls made visible."""
    text.plain = text.plain.translate(_VISIBLE)
    return text


@contextmanager
def _after(seconds: float, action: Callable[[], None]) -> Iterator[None]:
    """Do it when the block is still running by then; never after its end."""
    guard, is_over = threading.Lock(), threading.Event()

    def act() -> None:
        with guard:
            if not is_over.is_set():
                action()

    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with guard:
            is_over.set()
        timer.cancel()


def _console(stream: TextIO, color: Color) -> Console:
    is_plain = color is Color.NEVER or (color is Color.AUTO and (os.environ.get("NO_COLOR") or not stream.isatty()))
    console = Console(
        file=stream,
        highlight=False,
        markup=False,
        emoji=False,
        color_system=None if is_plain else "auto",
        force_terminal=True if color is Color.ALWAYS else None,
    )
    if not stream.isatty():
        console.width = _UNCUT_COLUMNS
    return console


def table(rows: Sequence[Mapping[str, Json]], columns: Sequence[str]) -> Table:
    """Rows as a table; the members are the columns' names."""
    shown = Table(box=None, pad_edge=False, show_edge=False)
    cells = [[cell(row.get(column), column) for column in columns] for row in rows]
    for number, column in enumerate(columns):
        # Columns of phrases give way to those of single words, which are names that people look for and copy.
        is_name = not any(" " in row[number] for row in cells)
        shown.add_column(Text(column.replace("_", " ").upper()), overflow="fold", no_wrap=is_name)
    for row in cells:
        shown.add_row(*(Text(text) for text in row))
    return shown


def _fitting(shown: Table, console: Console) -> Table | Group:
    """The table, or its rows one below the other where columns side by side would break words."""
    if not shown.show_header or shown.__rich_measure__(console, console.options).minimum <= console.width:
        return shown
    rows = zip(*(column.cells for column in shown.columns), strict=True)
    return Group(*(_upright([column.header for column in shown.columns], row) for row in rows))


def _upright(headers: Sequence[RenderableType], cells: Sequence[RenderableType]) -> Group:
    shown = Table(box=None, pad_edge=False, show_edge=False, show_header=False)
    shown.add_column(no_wrap=True, style="bold")
    shown.add_column(overflow="fold")
    for header, value in zip(headers, cells, strict=True):
        if str(value):
            shown.add_row(header, value)
    return Group(shown, "")


def record(document: Mapping[str, Json], members: Sequence[str] = ()) -> Table:
    """One object as two columns; empty members are left out."""
    shown = Table(box=None, pad_edge=False, show_edge=False, show_header=False)
    for member in members or document:
        text = cell(document.get(member), member)
        if text:
            shown.add_row(Text(member.replace("_", " ").replace("-", " "), "bold"), Text(text))
    return shown


_TIMES = frozenset({"started", "ended", "time", "deadline", "submitted_at", "held_since", "expires", "until"})


def cell(value: Json, member: str = "") -> str:
    """A value as people read it; the times of the API are seconds since the epoch."""
    return _plain(value, member).translate(_VISIBLE)


def _plain(value: Json, member: str) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)) and member in _TIMES:
        return timestamp(value) if value else ""
    if isinstance(value, list):
        return ", ".join(cell(item) for item in value)
    return orjson.dumps(value).decode() if isinstance(value, dict) else str(value)


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as UTC (RFC 3339)."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def versioned(document: Json) -> dict[str, Json]:
    """With the version of its form in front."""
    body = document if isinstance(document, dict) else {"items": document}
    return {"schema_version": SCHEMA_VERSION, **body}


def encode(document: Json, output: Output) -> str:
    """JSON or YAML text."""
    if output is Output.YAML:
        import yaml

        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return orjson.dumps(document, option=_JSON_OPTIONS).decode()
