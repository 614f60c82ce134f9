"""Owns showing a plan on a terminal: the coloured tree diff of each device with impact, owners, base and conflicts."""

from enum import StrEnum
from typing import TYPE_CHECKING

from rich.text import Text

from controller.cli.session import Session
from controller.cli.terminal import Json, Output, encode, versioned

if TYPE_CHECKING:  # what a plan is made of is imported where one is shown: `accord --help` need not wait for it
    from controller.transaction.plan import DevicePlan


class Format(StrEnum):
    """How a plan is shown."""

    UNIFIED = "unified"
    XML = "xml"
    JSON = "json"
    PATHS = "paths"
    CLI = "cli"


_SIGN_STYLES = {"+": "green", "-": "red", "~": "yellow", " ": "dim"}
_IMPACT_STYLES = {"none": "dim", "hitless": "green", "session_reset": "yellow", "traffic_affecting": "bold red"}


def show_plan(session: Session, plan: Json, format_: Format, *, reverse: bool) -> None:
    """A plan as data, on stdout. `-o json` and `-o yaml` are the whole document in every format."""
    terminal = session.terminal
    if terminal.output is not Output.TABLE:
        terminal.show(plan)
    elif format_ is Format.JSON:
        terminal.write(encode(versioned(plan), Output.JSON))
    elif format_ in {Format.XML, Format.CLI}:
        query = {"format": format_.value, **({"reverse": "true"} if reverse else {})}
        terminal.write(session.client.get_text("plans", plan["id"], **query))
    else:
        terminal.print_data(plan_text(plan, format_, reverse=reverse))


def tell_proof(session: Session, plan: Json) -> None:
    """What the digital twin has to say of a plan: proved, or the packet that forbids it."""
    verdict = session.client.get("plans", plan["id"], "proof")
    session.terminal.say(verdict["text"], "green" if verdict["is_proved"] else "bold red")


def plan_text(plan: Json, format_: Format = Format.UNIFIED, *, reverse: bool = False) -> Text:
    """The plan as people read it."""
    from controller.transaction.plan_json import device_from_json

    text = Text()
    for document in plan["devices"]:
        device = device_from_json(document)
        if device.edit:
            text.append_text(_heading(document))
            text.append_text(_body(device, format_, reverse=reverse))
            text.append("\n")
    text.append_text(_conflicts(plan))
    return text.append_text(_summary(plan))


def _heading(document: Json) -> Text:
    impact = document["impact"]
    return Text.assemble(
        (f"[edit {document['device']}]", "bold"),
        f"  {document['participant']}  impact: ",
        (impact.replace("_", " "), _IMPACT_STYLES.get(impact, "")),
        f" ({document['impact_reason']})\n",
    )


def _body(device: "DevicePlan", format_: Format, *, reverse: bool) -> Text:
    from controller.datastore.diff import describe
    from controller.transaction.render import annotated, unified

    text = Text()
    if format_ is Format.PATHS:
        for change in describe(device.reverse if reverse else device.edit):
            text.append(f"{change}\n", _SIGN_STYLES.get(change[0], ""))
        return text
    for line, whose in annotated(unified(device, reverse=reverse)):
        text.append(f"{line.sign} {'  ' * line.depth}{line.text}", _SIGN_STYLES[line.sign])
        text.append(f"  # {whose}\n" if whose else "\n", "cyan")
    return text


def _conflicts(plan: Json) -> Text:
    text = Text()
    for device in plan["devices"]:
        for path, wishes in device["conflicts"]:
            (holder, value), *others = wishes
            text.append(f"conflict on {device['device']}: {path}\n", "bold yellow")
            text.append(f"  '{value}' of {holder} holds\n")
            for owner, wish in others:
                text.append(f"  '{wish}' of {owner} waits until it is withdrawn\n")
    return text


def _summary(plan: Json) -> Text:
    changed = [device for device in plan["devices"] if device["edit"]]
    lines = sum(len(device["edit"]) for device in changed)
    base = sum(len(device["base"]) for device in plan["devices"])
    impact, reason = plan["impact"], plan["impact_reason"]
    return Text.assemble(
        ("plan      ", "dim"), (str(plan["id"]), "bold"), f"  {plan['summary']}\n",
        ("changes   ", "dim"), f"{lines} lines on {len(changed)} devices\n" if changed else "nothing to change\n",
        ("impact    ", "dim"), (impact.replace("_", " "), _IMPACT_STYLES.get(impact, "")), f" ({reason})\n",
        ("base      ", "dim"), f"{base} lines as last read in the places it touches\n",
        ("checksum  ", "dim"), str(plan["checksum"]),
    )  # fmt: skip
