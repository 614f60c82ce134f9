"""Owns `accord twin`: what would be so if a link failed, a plan were committed, or there were more traffic."""

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from controller.cli.exits import UsageError
from controller.cli.session import Session, command, group
from controller.cli.terminal import Json, record, table

app = group("twin", "The digital twin: what would be so if.")
_LINKS = ("link", "used now", "used then", "state")
_DEMANDS = ("demand", "delay", "jitter", "loss", "path")
_MOST_LINKS = 10
_FACTOR = re.compile(r"x?(\d+(?:\.\d+)?)(%?)")
_Names = Annotated[list[str] | None, typer.Option("--link-down", metavar="A-B", help="This link fails. Repeatable.")]


@command(
    app,
    "what-if",
    "twin what-if --link-down p1-p2",
    "twin what-if --plan plan-7 -o json",
    "twin what-if --node-down p1 --demand x2 --svg network.svg",
)
def _what_if(
    session: Session,
    *,
    link_down: _Names = None,
    node_down: Annotated[
        list[str] | None, typer.Option("--node-down", metavar="NODE", help="This router fails. Repeatable.")
    ] = None,
    srlg_down: Annotated[
        list[int] | None, typer.Option("--srlg-down", metavar="GROUP", help="This shared risk group fails. Repeatable.")
    ] = None,
    plan: Annotated[str, typer.Option("--plan", metavar="PLAN", help="This plan is committed.")] = "",
    demand: Annotated[str, typer.Option("--demand", metavar="xN", help="Traffic is N times what it is.")] = "x1",
    svg: Annotated[
        Path | None, typer.Option("--svg", dir_okay=False, help="Write a picture with utilisation and paths.")
    ] = None,
) -> None:
    """Tell what would break, how full links would be, and what packets would suffer; nothing is changed."""
    body: dict[str, Json] = {
        "link_down": list(link_down or ()),
        "node_down": list(node_down or ()),
        "srlg_down": list(srlg_down or ()),
        "demand": _factor(demand),
        **({"plan": plan} if plan else {}),
    }
    with session.terminal.progress("asking the twin"):
        found = session.client.post("twin", "what-if", body=body)
    session.terminal.show(found, *_tables(found))
    if svg is not None:
        from controller.twin.picture import draw

        svg.write_text(draw(found), encoding="utf-8")
        session.terminal.say(f"wrote {svg}")


def _factor(text: str) -> float:
    match = _FACTOR.fullmatch(text.strip())
    if not match:
        raise UsageError(f"'{text}' is not a factor", remedy="write --demand x2 for twice the traffic, or 150%")
    return float(match[1]) / (100 if match[2] else 1)


def _tables(found: Json) -> list[RenderableType]:
    summary = {
        "supposed": found["supposed"],
        "broken": len(found["broken"]),
        "broken already": found["broken_already"],
        "too full": ", ".join(found["overfull"]) or "no link",
        "packets": found["packets"],
        **({"twin": found["verdict"]["text"].removeprefix("twin: ")} if found["verdict"] else {}),
        "assumed": "; ".join(found["assumptions"]),
    }
    shown: list[RenderableType] = [record(summary)]
    shown += [each["text"] for each in found["broken"][:3]]
    links = sorted(found["links"], key=lambda link: (link["is_up"], -link["utilisation"]))
    if links:
        shown.append(table([_link(each) for each in links[:_MOST_LINKS]], _LINKS))
    if found["demands"]:
        shown.append(table([_demand(each) for each in found["demands"][:_MOST_LINKS]], _DEMANDS))
    return shown


def _link(link: Json) -> dict[str, Json]:
    capacity = link["capacity_bit_rate"]
    return {
        "link": link["link"],
        "used now": f"{link['load_before'] / capacity:.1%}",
        "used then": f"{link['load_after'] / capacity:.1%}",
        "state": "up" if link["is_up"] else "down",
    }


def _demand(demand: Json) -> dict[str, Json]:
    loss = demand["loss_ratio"]
    return {
        "demand": demand["demand"],
        "delay": _milliseconds(demand["delay_seconds"]),
        "jitter": _milliseconds(demand["jitter_seconds"]),
        "loss": f"{loss['likely']:.2%} ({loss['low']:.2%} to {loss['high']:.2%})",
        "path": " > ".join(demand["path"]),
    }


def _milliseconds(interval: Json) -> str:
    if interval is None:
        return "-"
    low, likely, high = (1000 * interval[each] for each in ("low", "likely", "high"))
    return f"{likely:.3f} ms ({low:.3f} to {high:.3f})"
