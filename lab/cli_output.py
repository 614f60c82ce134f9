"""How `accord lab` prints and asks: data to stdout as a table or JSON, messages to stderr, a failure in one line.

Owns the options and output that its commands have in common.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from lab.control_socket import DEFAULT_DIRECTORY, DIRECTORY_VARIABLE, ControlError, ask

messages = Console(stderr=True, highlight=False, soft_wrap=True)
_UNCUT_COLUMNS = 240  # what is piped is not cut to a screen


class Output(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"


DirOption = Annotated[
    Path | None,
    typer.Option("--dir", help=f"Directory of the lab (default ${DIRECTORY_VARIABLE} or {DEFAULT_DIRECTORY})."),
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print the result.")]


def ask_lab(home: Path, operation: str, *, timeout_seconds: float = 30.0, **members: Any) -> Any:
    """What the lab of that directory answers; ends the command when it refuses."""
    try:
        return ask(home, operation, timeout_seconds=timeout_seconds, **members)
    except ControlError as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """End the command with exit code 1."""
    messages.print(f"error: {' '.join(message.split())}", markup=False)
    raise typer.Exit(1)


def print_rows(rows: list[dict[str, Any]], output: Output) -> None:
    """Print objects that have the same members."""
    if output is Output.JSON:
        print(json.dumps({"schema_version": 1, "items": rows}, indent=2))
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _UNCUT_COLUMNS
    table = Table(box=None, pad_edge=False)
    for column in rows[0] if rows else ():
        table.add_column(column.replace("_", " ").upper(), no_wrap=True)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    console.print(table)
