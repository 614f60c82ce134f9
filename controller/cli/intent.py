"""Owns `accord intent`: saying what is wanted in plain words."""

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.agreement import NEGOTIATION, negotiation_row
from controller.cli.change import CommentOption, YesOption
from controller.cli.committing import CommitWishes, commit_plan, refuse_unasked
from controller.cli.completion_names import complete_intent
from controller.cli.exits import ApiError, UsageError
from controller.cli.plan_source import CustomerOption, plan_of_outcome, submit, unclear
from controller.cli.plan_view import plan_text
from controller.cli.session import Session, command, group
from controller.cli.terminal import Json, record, table

app = group("intent", "What is wanted, in plain words.")
_NOT_FOUND = 404
_COLUMNS = ("id", "state", "owner", "vpn_id", "plan", "transaction", "submitted_at", "text")
IntentArgument = Annotated[str, typer.Argument(metavar="INTENT", autocompletion=complete_intent)]
CommitOption = Annotated[bool, typer.Option("--commit", help="Commit the plan as well.")]


@command(
    app,
    "submit",
    'intent submit "Connect London and Paris with 200 Mbit/s for acme"',
    "intent submit -f intent.txt --commit --yes",
)
def _submit(
    session: Session,
    *,
    text: Annotated[str, typer.Argument(metavar="TEXT", show_default=False)] = "",
    file: Annotated[
        Path | None, typer.Option("--file", "-f", exists=True, dir_okay=False, help="Read the words from a file.")
    ] = None,
    customer: CustomerOption = "",
    commit: CommitOption = False,
    comment: CommentOption = "",
    yes: YesOption = False,
) -> None:
    """Say what is wanted: the answer is a plan, or questions (exit 1). Nothing is sent without --commit."""
    if bool(text) == bool(file):
        raise UsageError("give the words either as TEXT or with -f FILE")
    wishes = CommitWishes(comment, is_agreed=yes, is_fresh=yes)
    if commit:
        refuse_unasked(session, wishes)
    with session.terminal.progress("planning"):
        outcome = submit(session, file.read_text(encoding="utf-8").strip() if file else text, customer)
    if commit:
        commit_plan(session, plan_of_outcome(session, outcome), wishes)
        return
    _show_outcome(session, outcome)


def _show_outcome(session: Session, outcome: Json) -> None:
    if not outcome.get("plan"):
        session.terminal.show(outcome)
        raise unclear(outcome)
    plan = plan_of_outcome(session, outcome)
    session.terminal.show(outcome, plan_text(plan))
    session.terminal.say(f"nothing was sent; commit it with: accord commit {plan['id']}")


@command(app, "list", "intent list", "intent list --negotiated", "intent list -o json")
def _list(
    session: Session,
    *,
    negotiated: Annotated[
        bool, typer.Option("--negotiated", help="Those that were negotiated, as each party has them.")
    ] = False,
) -> None:
    """List the intents, and what became of each."""
    if negotiated:
        found = session.client.get("negotiations")
        session.terminal.show(found, table([negotiation_row(one) for one in found], NEGOTIATION))
        return
    session.terminal.show_rows(session.client.get("intents"), _COLUMNS)


@command(app, "show", "intent show intent-1", "intent show enterprise-1a2b3c4d-1")
def _show(session: Session, intent: IntentArgument) -> None:
    """Show one intent: how it was read, what was assumed, where it stands; or how it was negotiated, by each party."""
    try:
        found = session.client.get("intents", intent)
    except ApiError as unknown:
        parties = _negotiated(session, intent) if unknown.status == _NOT_FOUND else []
        if not parties:
            raise
        session.terminal.show(parties, table([negotiation_row(one) for one in parties], NEGOTIATION))
        return
    session.terminal.show(found, record(found))


def _negotiated(session: Session, intent: str) -> list[Json]:
    """An intent as each party of the daemon has it; nothing where nobody knows it, or nobody negotiates."""
    try:
        found: list[Json] = session.client.get("negotiations", intent)
    except ApiError:
        return []
    return found


@command(app, "withdraw", "intent withdraw intent-1", "intent withdraw intent-1 --commit --yes")
def _withdraw(
    session: Session,
    *,
    intent: IntentArgument,
    commit: CommitOption = False,
    comment: CommentOption = "",
    yes: YesOption = False,
) -> None:
    """Plan the end of what an intent asked for. Nothing is sent without --commit."""
    wishes = CommitWishes(comment, is_agreed=yes)
    if commit:
        refuse_unasked(session, wishes)
    with session.terminal.progress("planning"):
        plan = session.client.post("intents", intent, "withdraw")
    if commit:
        commit_plan(session, plan, wishes)
        return
    session.terminal.show(plan, plan_text(plan))
    session.terminal.say(f"nothing was sent; commit it with: accord commit {plan['id']}")
