"""Owns where a plan comes from: the same words make one for `diff`, `plan` and `commit`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.completion_names import complete_device
from controller.cli.exits import ApiError, UsageError
from controller.cli.session import Session
from controller.cli.terminal import Json

L3SM = "ietf-l3vpn-svc:l3vpn-svc"

PlanArgument = Annotated[str, typer.Argument(metavar="PLAN", help="A plan that was made before.", show_default=False)]
IntentOption = Annotated[str, typer.Option("--intent", "-i", metavar="TEXT", help="What is wanted, in plain words.")]
CustomerOption = Annotated[str, typer.Option("--customer", help="Whose intent it is, where the words do not say.")]
FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file", "-f", exists=True, dir_okay=False, help="An ietf-l3vpn-svc document (RFC 8299), JSON or YAML."
    ),
]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="With -f: the document is all there shall be (PUT); without, it is added.")
]
DeleteOption = Annotated[str, typer.Option("--delete-service", metavar="VPN", help="The end of a VPN.")]
RollbackOption = Annotated[str, typer.Option("--rollback", metavar="TRANSACTION", help="The undoing of one.")]
RepairOption = Annotated[
    list[str] | None,
    typer.Option(
        "--repair", metavar="DEVICE", help="What makes drift good. Repeatable.", autocompletion=complete_device
    ),
]
AllOption = Annotated[bool, typer.Option("--all", help="Repair every device.")]


@dataclass(frozen=True, slots=True)
class PlanSource:
    """What the command line says a plan is to be made of."""

    plan: str = ""
    intent: str = ""
    customer: str = ""
    file: Path | None = None
    replace: bool = False
    delete_service: str = ""
    rollback: str = ""
    repair: tuple[str, ...] = ()
    repair_all: bool = False

    def refuse_unclear(self) -> None:
        """`UsageError` unless exactly one source is named."""
        is_repair = bool(self.repair) or self.repair_all
        named = [self.plan, self.intent, self.file, self.delete_service, self.rollback, is_repair]
        if sum(map(bool, named)) != 1:
            raise UsageError(
                "say what to plan, in exactly one way",
                remedy="PLAN, -i TEXT, -f FILE, --delete-service VPN, --rollback TRANSACTION, --repair DEVICE or --all",
            )
        if self.repair and self.repair_all:
            raise UsageError("--repair and --all exclude each other")
        if self.replace and not self.file:
            raise UsageError("--replace belongs to -f FILE")
        if self.customer and not self.intent:
            raise UsageError("--customer belongs to -i TEXT")

    @property
    def is_repair(self) -> bool:
        """Whether drift is to be made good."""
        return bool(self.repair) or self.repair_all


def make_plan(session: Session, source: PlanSource) -> Json:
    """The plan's document. `ApiError` as the daemon refuses, `UsageError` where nothing or too much is asked."""
    source.refuse_unclear()
    client = session.client
    with session.terminal.progress("planning"):
        if source.plan:
            return client.get("plans", source.plan)
        if source.intent:
            return plan_of_outcome(session, submit(session, source.intent, source.customer))
        if source.file:
            return _dry_run(session, source.file, "PUT" if source.replace else "PATCH")
        return client.post("plans", body=_request(source))


def _request(source: PlanSource) -> Json:
    if source.delete_service:
        return {"kind": "delete-service", "service": source.delete_service}
    if source.rollback:
        return {"kind": "rollback", "transaction": source.rollback}
    return {"kind": "repair", "devices": list(source.repair)}


def submit(session: Session, text: str, customer: str) -> Json:
    """What became of a sentence: understood with a plan, or questions."""
    return session.client.post("intents", body={"text": text, "customer": customer}, allow=422)


def plan_of_outcome(session: Session, outcome: Json) -> Json:
    """The plan of an understood intent, telling what was assumed; `ApiError` with the questions otherwise."""
    if not outcome.get("plan"):
        raise unclear(outcome)
    for assumed in outcome.get("assumed", ()):
        session.terminal.say(f"assumed {assumed['field']}: {assumed['value']} (template {assumed['template']})")
    return outcome["plan"]


def unclear(outcome: Json) -> ApiError:
    """The questions that stand in the way of a plan."""
    questions = outcome.get("questions") or []
    error = ApiError("the intent is not clear", remedy="say it again with the answers")
    error.causes = tuple(_question(question) for question in questions)
    return error


def _question(question: Any) -> str:
    if not isinstance(question, dict):
        return str(question)
    text = f"'{question['words']}': {question['text']}" if question.get("words") else str(question.get("text", ""))
    choices = ", ".join(map(str, question.get("suggestions", ())))
    return f"{text} ({choices})" if choices else text


def _dry_run(session: Session, file: Path, method: str) -> Json:
    from controller.adapters.yaml_files import read_mapping

    return session.client.restconf(method, L3SM, read_mapping(file), "dry-run")
