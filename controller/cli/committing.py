"""Owns the way from a plan to a committed transaction: show, ask, commit, tell the verdict."""

from dataclasses import dataclass

from rich.console import RenderableType

from controller.cli.exits import Exit, UsageError
from controller.cli.session import Session, leave
from controller.cli.terminal import Json, record

_MARGIN_SECONDS = 300.0
"""On top of the devices' own timeouts: waiting for leases and locks, reading back, post-checks."""
_VERDICTS = {"committed": Exit.OK, "aborted": Exit.ROLLED_BACK}
_SHOWN = ("id", "phase", "plan", "summary", "actor", "comment", "started", "ended", "reason", "devices", "astray")


@dataclass(frozen=True, slots=True)
class CommitWishes:
    """How to commit."""

    comment: str = ""
    confirm_timeout_seconds: float | None = None
    canary: tuple[str, ...] = ()
    on_drift: str = "policy"
    is_agreed: bool = False
    """Whether --yes was said."""
    is_fresh: bool = False
    """Whether the wish counts rather than the plan: it is planned again when others have come between."""

    def body(self, plan: Json) -> Json:
        """The request; the checksum makes sure that what was shown is what is committed."""
        body = {
            "plan": plan["id"],
            "checksum": plan["checksum"],
            "comment": self.comment,
            "canary": list(self.canary),
            "on_drift": self.on_drift,
            "fresh": self.is_fresh,
        }
        if self.confirm_timeout_seconds is not None:
            body["confirm_timeout_seconds"] = self.confirm_timeout_seconds
        return body


def drift_word(*, strict: bool, warn: bool) -> str:
    """What to do about drift in the touched places."""
    if strict and warn:
        raise UsageError("--strict and --warn exclude each other")
    return "strict" if strict else "warn" if warn else "policy"


def refuse_unasked(session: Session, wishes: CommitWishes) -> None:
    """`UsageError` where nobody could be asked and nobody agreed beforehand. Call it before anything is planned."""
    if not wishes.is_agreed and not session.terminal.is_interactive:
        raise UsageError("there is nobody to ask here", remedy="say --yes to go on without being asked")


def commit_plan(session: Session, plan: Json, wishes: CommitWishes, *, is_repair: bool = False) -> None:
    """Show the plan, ask unless agreed, commit, and leave with the verdict's exit code."""
    from controller.cli.plan_view import plan_text

    terminal = session.terminal
    refuse_unasked(session, wishes)
    terminal.say(plan_text(plan))
    if is_repair and plan["is_empty"]:
        terminal.show({"plan": plan["id"], "phase": "", "summary": "nothing to repair"})
        return
    changed = sum(1 for device in plan["devices"] if device["edit"])
    if not wishes.is_agreed and not terminal.ask(f"Commit this to {changed} devices?"):
        terminal.say("nothing was sent")
        leave(Exit.REFUSED)
    seconds = 2 * (wishes.confirm_timeout_seconds or 120.0) + _MARGIN_SECONDS
    with terminal.progress(f"committing to {changed} devices"):
        transaction = session.client.post("transactions", body=wishes.body(plan), seconds=seconds)
    tell_verdict(session, transaction)


def tell_verdict(session: Session, transaction: Json) -> None:
    """Show the transaction and leave with its exit code; one without a verdict is a failure."""
    session.terminal.show(transaction, transaction_record(transaction))
    phase = transaction["phase"]
    if phase == "aborted":
        session.terminal.fail(
            f"rolled back: {transaction['reason'] or 'a device did not accept it'}",
            "the devices are as they were; plan again when the reason is gone",
        )
    elif phase != "committed":
        astray = ", ".join(transaction.get("astray", ())) or "a device"
        session.terminal.fail(
            f"no verdict yet ({phase}): {astray} cannot be reached",
            f"it is worked on until there is one: accord transaction show {transaction['id']}",
        )
    leave(_VERDICTS.get(phase, Exit.FAILURE))


def transaction_record(transaction: Json) -> RenderableType:
    """A transaction as a table of two columns."""
    return record(transaction, _SHOWN)
