"""Owns `accord diff`, `plan`, `approve`, `commit` and `rollback`: the way of every change."""

from typing import Annotated

import typer

from controller.cli.committing import CommitWishes, commit_plan, drift_word, refuse_unasked
from controller.cli.completion_names import complete_device, complete_transaction
from controller.cli.exits import Exit
from controller.cli.plan_source import (
    AllOption,
    CustomerOption,
    DeleteOption,
    FileOption,
    IntentOption,
    PlanArgument,
    PlanSource,
    RepairOption,
    ReplaceOption,
    RollbackOption,
    make_plan,
)
from controller.cli.plan_view import Format, plan_text, show_plan, tell_proof
from controller.cli.session import Session, command, leave

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Commit without being asked.")]
CommentOption = Annotated[str, typer.Option("--comment", "-m", help="Why; it stays with the transaction.")]
TimeoutOption = Annotated[
    float | None,
    typer.Option("--confirm-timeout", min=5, max=86_400, metavar="SECONDS", help="When devices revert by themselves."),
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Abort where a touched place has drifted.")]
WarnOption = Annotated[bool, typer.Option("--warn", help="Accept drift in the touched places.")]
CanaryOption = Annotated[
    list[str] | None,
    typer.Option("--canary", metavar="DEVICE", help="Commit there first. Repeatable.", autocompletion=complete_device),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name in ("diff", "plan"):
        command(
            app,
            name,
            f"{name} plan-7",
            f'{name} -i "Connect London and Paris for acme" --format paths',
            f"{name} -f service.yaml --detailed-exitcode",
            f"{name} --rollback tx-3 --reverse",
            f"{name} --repair pe-london",
        )(diff)
    command(
        app,
        "commit",
        "commit plan-7 --comment 'ticket 4711'",
        "commit -f service.yaml --yes --confirm-timeout 600",
        "commit --repair pe-london --canary pe-london",
    )(commit)
    command(app, "approve", "approve plan-7", "approve plan-7 --yes")(approve)
    command(app, "rollback", "rollback tx-3", "rollback tx-3 --yes -o json")(rollback)


def diff(
    session: Session,
    *,
    plan: PlanArgument = "",
    intent: IntentOption = "",
    customer: CustomerOption = "",
    file: FileOption = None,
    replace: ReplaceOption = False,
    delete_service: DeleteOption = "",
    rollback: RollbackOption = "",
    repair: RepairOption = None,
    everything: AllOption = False,
    format_: Annotated[Format, typer.Option("--format", help="How to show the plan.")] = Format.UNIFIED,
    reverse: Annotated[bool, typer.Option("--reverse", help="Show what would undo it.")] = False,
    detailed_exitcode: Annotated[bool, typer.Option("--detailed-exitcode", help="Exit 2 on a difference.")] = False,
) -> None:
    """Show what a change would do to each device; nothing is sent."""
    source = PlanSource(
        plan, intent, customer, file, replace, delete_service, rollback, tuple(repair or ()), everything
    )
    found = make_plan(session, source)
    show_plan(session, found, format_, reverse=reverse)
    if not found["is_empty"]:
        tell_proof(session, found)
    leave(Exit.DIFFERENCE if detailed_exitcode and not found["is_empty"] else Exit.OK)


def commit(
    session: Session,
    *,
    plan: PlanArgument = "",
    intent: IntentOption = "",
    customer: CustomerOption = "",
    file: FileOption = None,
    replace: ReplaceOption = False,
    delete_service: DeleteOption = "",
    rollback: RollbackOption = "",
    repair: RepairOption = None,
    everything: AllOption = False,
    strict: StrictOption = False,
    warn: WarnOption = False,
    confirm_timeout: TimeoutOption = None,
    comment: CommentOption = "",
    canary: CanaryOption = None,
    yes: YesOption = False,
) -> None:
    """Carry a plan out on all its devices or on none, and check it before it is final.

    Refused (exit 4) when what it is based on has moved since it was made. Exit 3: rolled back, nothing is changed.
    """
    source = PlanSource(
        plan, intent, customer, file, replace, delete_service, rollback, tuple(repair or ()), everything
    )
    wishes = CommitWishes(
        comment, confirm_timeout, tuple(canary or ()), drift_word(strict=strict, warn=warn), is_agreed=yes
    )
    refuse_unasked(session, wishes)
    commit_plan(session, make_plan(session, source), wishes, is_repair=source.is_repair)


def approve(
    session: Session,
    *,
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="A plan that somebody else asked for.")],
    yes: YesOption = False,
) -> None:
    """Agree to a plan that needs a second person, after seeing it; nothing is sent.

    Who asked for a plan cannot approve it (exit 77).
    """
    terminal, wishes = session.terminal, CommitWishes(is_agreed=yes)
    refuse_unasked(session, wishes)
    found = session.client.get("plans", plan)
    terminal.say(plan_text(found))
    if not yes and not terminal.ask(f"Approve {plan}?"):
        terminal.say("nothing was approved")
        leave(Exit.REFUSED)
    approved = session.client.post("plans", plan, "approve")
    terminal.show({"plan": approved["id"], "approved": True})
    terminal.say(f"approved; commit it with: accord commit {approved['id']}")


def rollback(
    session: Session,
    *,
    transaction: Annotated[str, typer.Argument(metavar="TRANSACTION", autocompletion=complete_transaction)],
    comment: CommentOption = "",
    confirm_timeout: TimeoutOption = None,
    yes: YesOption = False,
) -> None:
    """Undo one committed transaction by a new one; refused (exit 4) where later work overlaps."""
    wishes = CommitWishes(comment, confirm_timeout, is_agreed=yes)
    refuse_unasked(session, wishes)
    commit_plan(session, make_plan(session, PlanSource(rollback=transaction)), wishes)
