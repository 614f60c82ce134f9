"""Owns `accord change`: changes in stages (make-before-break), where each stands and how it got there."""

from typing import Annotated

import typer

from controller.cli.session import Session, command, group
from controller.cli.terminal import record, table

app = group("change", "Changes in stages: built, verified, moved, drained, removed.")
_COLUMNS = ("id", "stage", "started", "actor", "summary", "reason")
_SHOWN = ("id", "stage", "summary", "actor", "started", "deadline", "drain_seconds")
_STEPS = ("stage", "time", "reason")
_ChangeArgument = Annotated[str, typer.Argument(metavar="CHANGE")]


@command(app, "list", "change list", "change list -o json")
def _list(session: Session) -> None:
    """List staged changes, newest first."""
    session.terminal.show_rows(session.client.get("changes"), _COLUMNS)


@command(app, "show", "change show change-1")
def _show(session: Session, change: _ChangeArgument) -> None:
    """Show one staged change with every step it took."""
    found = session.client.get("changes", change)
    session.terminal.show(found, record(found, _SHOWN), table(found["steps"], _STEPS))


@command(app, "cancel", "change cancel change-1")
def _cancel(session: Session, change: _ChangeArgument) -> None:
    """Take a change back; the stage under way is finished first, and the old path carries throughout."""
    found = session.client.post("changes", change, "cancel")
    session.terminal.show(found, record(found, _SHOWN))
