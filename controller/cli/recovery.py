"""Owns `accord recovery` and `accord inbox`: what was done about faults, and what waits for an operator's word."""

from typing import Annotated

import typer

from controller.cli.session import Session, command, group
from controller.cli.terminal import Json, record, table

app = group("recovery", "What was wrong, who suffered, what was done about it and whether it helped.")
inbox = group("inbox", "What waits for an operator: approve a remedy, or dismiss it.")
_COLUMNS = ("id", "state", "severity", "started", "cause", "services", "reason")
_SHOWN = (
    *("id", "state", "severity", "cause", "services", "started", "reason", "remedy", "verdict"),
    *("transactions", "verification"),
)
_REMEDIES = ("number", "score", "kind", "summary", "why", "tried")
_STEPS = ("state", "time", "actor", "reason")
_Argument = Annotated[str, typer.Argument(metavar="RECOVERY")]


@command(app, "list", "recovery list", "recovery list -o json")
def _list(session: Session) -> None:
    """List recoveries, newest first."""
    _list_them(session, session.client.get("recoveries"))


@command(app, "show", "recovery show recovery-1")
def _show(session: Session, recovery: _Argument) -> None:
    """Show one recovery: the fault, every remedy with its score, every step."""
    _tell(session, session.client.get("recoveries", recovery))


@command(app, "diagnosis", "recovery diagnosis", "recovery diagnosis -o json")
def _diagnosis(session: Session) -> None:
    """Show what is wrong now: causes, symptoms, whom it hurts; and links that may have been late ever since."""
    found = session.client.get("diagnosis")
    rows = [{**cause, "confidence": _percent(cause.get("confidence"))} for cause in found["causes"]]
    causes = table(rows, ("cause", "kind", "confidence", "severity", "reason"))
    symptoms = table([{"symptom": text} for text in found["symptoms"]], ("symptom",))
    doubts = [{**one, "confidence": _percent(one["confidence"])} for one in found["suspected"]]
    suspected = [table(doubts, ("symptom", "confidence"))] if doubts else []
    silent = "; ".join(f"{name}: {why}" for name, why in found["silent"].items())
    summary = record({**found, "silent": silent}, ("mode", "reason", "services", "silent", "flapping"))
    session.terminal.show(found, summary, causes, symptoms, *suspected)


@command(inbox, "list", "inbox list", "inbox list -o json")
def _inbox(session: Session) -> None:
    """List what waits for an operator, oldest first."""
    _list_them(session, session.client.get("inbox"))


@command(inbox, "show", "inbox show recovery-1")
def _item(session: Session, recovery: _Argument) -> None:
    """Show what there is to decide, with everything to decide by."""
    _tell(session, session.client.get("inbox", recovery))


@command(inbox, "approve", "inbox approve recovery-1", "inbox approve recovery-1 --remedy 2")
def _approve(
    session: Session,
    *,
    recovery: _Argument,
    remedy: Annotated[
        int | None, typer.Option("--remedy", min=1, help="Another one than the chosen, by number.")
    ] = None,
) -> None:
    """Agree to a remedy; it is proved again, carried out, and undone if it does not help."""
    wanted: dict[str, Json] = {} if remedy is None else {"remedy": remedy}
    found = session.client.post("inbox", recovery, "approve", body=wanted)
    session.terminal.show(found, record(found, _SHOWN))
    session.terminal.say(f"approved; follow it with: accord recovery show {recovery}")


@command(inbox, "dismiss", "inbox dismiss recovery-1 --reason 'planned work'")
def _dismiss(
    session: Session,
    *,
    recovery: _Argument,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stays with the recovery.")] = "",
) -> None:
    """Have nothing done; it does not come back before the fault has gone."""
    found = session.client.post("inbox", recovery, "dismiss", body={"reason": reason})
    session.terminal.show(found, record(found, _SHOWN))


def _tell(session: Session, found: Json) -> None:
    remedies = [{**each, "why": "; ".join(each["reasons"])} for each in found["remedies"]]
    parts = [record(found, _SHOWN), record({"symptoms": found["fault"].get("symptoms", [])})]
    session.terminal.show(found, *parts, table(remedies, _REMEDIES), table(found["steps"], _STEPS))


def _list_them(session: Session, found: list[Json]) -> None:
    """One line each; a proof's counter-examples are `show`'s."""
    rows = [{**each, "reason": each["reason"].partition("\n")[0]} for each in found]
    session.terminal.show(found, table(rows, _COLUMNS))


def _percent(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.0%}"
