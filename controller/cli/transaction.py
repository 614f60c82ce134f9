"""Owns `accord transaction`: who changed what, when, why, and how it ended."""

from typing import Annotated

import typer
from rich.console import RenderableType

from controller.cli.committing import transaction_record
from controller.cli.completion_names import complete_transaction
from controller.cli.plan_view import Format, plan_text
from controller.cli.session import Session, command, group

app = group("transaction", "The history of changes.")
_COLUMNS = ("id", "phase", "started", "actor", "summary", "devices", "comment", "reason")


@command(app, "list", "transaction list", "transaction list --limit 10 -o json")
def _list(
    session: Session, limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 100
) -> None:
    """List transactions, newest first."""
    session.terminal.show_rows(session.client.get("transactions", limit=str(limit)), _COLUMNS)


@command(app, "show", "transaction show tx-3", "transaction show tx-3 --diff")
def _show(
    session: Session,
    transaction: Annotated[str, typer.Argument(metavar="TRANSACTION", autocompletion=complete_transaction)],
    diff: Annotated[bool, typer.Option("--diff", help="With the plan that it carried out.")] = False,
    reverse: Annotated[bool, typer.Option("--reverse", help="With what would undo it.")] = False,
) -> None:
    """Show one transaction: who, why, what, and its verdict."""
    found = session.client.get("transactions", transaction)
    tables: list[RenderableType] = [transaction_record(found)]
    if diff or reverse:
        found["plan_document"] = session.client.get("plans", found["plan"])
        tables.append(plan_text(found["plan_document"], Format.UNIFIED, reverse=reverse))
    session.terminal.show(found, *tables)
