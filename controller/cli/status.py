"""Owns `accord status`: is the daemon there, and is anything open."""

import typer

from controller.cli.session import Session, command
from controller.cli.terminal import record


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "status", "status", "status -o json")(status)


def status(session: Session) -> None:
    """Show what the daemon has, and which transactions have no verdict yet."""
    found = session.client.get("status")
    transactions = found.get("transactions", {})
    rows = {**found, "transactions": transactions.get("all", 0), "open": transactions.get("open", [])}
    session.terminal.show(found, record(rows))
    for transaction in found.get("unknown", ()):
        session.terminal.warn(f"{transaction} has no verdict: a device cannot be reached")
