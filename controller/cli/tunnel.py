"""Owns `accord tunnel`: TE tunnels, from their plan to a change in stages that loses no packet."""

import time
from collections.abc import Mapping
from typing import Annotated

import typer

from controller.cli.change import CommentOption, YesOption
from controller.cli.committing import CommitWishes, commit_plan, refuse_unasked
from controller.cli.completion_names import complete_device, complete_service, complete_tunnel
from controller.cli.exits import Exit, UsageError
from controller.cli.plan_view import Format, plan_text, show_plan
from controller.cli.session import Session, command, group, leave
from controller.cli.terminal import Json, record, table

app = group("tunnel", "Traffic engineering tunnels.")
_COLUMNS = ("name", "state", "source", "target", "color", "bandwidth_bit_rate", "protection", "services", "route")
_SHOWN = (
    *_COLUMNS,
    "agreement",
    "delay_bound_seconds",
    "link_loss_limit",
    "objective",
    "exclude_any",
    "include_any",
    "include_all",
)
_PATHS = ("discriminator", "preference", "is_alive", "delay_seconds", "links")
_CHANGE = ("id", "stage", "summary", "reason")
_GAIN = ("utilisation_before", "utilisation_after", "bound", "method")
_LOOK_SECONDS = 0.2
_STEPS_SECONDS = 3600.0

TunnelArgument = Annotated[str, typer.Argument(metavar="TUNNEL", autocompletion=complete_tunnel)]
BandwidthOption = Annotated[str, typer.Option("--bandwidth", metavar="RATE", help="What it reserves, such as 1G.")]
DelayOption = Annotated[
    str, typer.Option("--delay", metavar="TIME", help="The most a path may take one way, such as 12ms; 'none': any.")
]
ExcludeOption = Annotated[list[int] | None, typer.Option("--exclude-color", metavar="BIT", help="No link of it.")]
AnyOption = Annotated[list[int] | None, typer.Option("--include-any", metavar="BIT", help="Links of one of them only.")]
AllOption = Annotated[
    list[int] | None, typer.Option("--include-all", metavar="BIT", help="Links of each of them only.")
]
ProtectOption = Annotated[
    str, typer.Option("--protect", metavar="none|link|node|srlg", help="A second path that shares none of these.")
]
LossOption = Annotated[
    str, typer.Option("--link-loss", metavar="SHARE", help="The most that a link may lose, such as 0.1%; 100%: any.")
]
LeastOption = Annotated[str, typer.Option("--least", metavar="igp|delay|hops", help="What paths have least of.")]
ServeOption = Annotated[
    list[str] | None,
    typer.Option("--serve", metavar="VPN", help="Takes its traffic. Repeatable.", autocompletion=complete_service),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show the plan; nothing is sent.")]
AtOnceOption = Annotated[bool, typer.Option("--at-once", help="In one transaction instead of in stages.")]


@command(app, "list", "tunnel list", "tunnel list -o json")
def _list(session: Session) -> None:
    """List the tunnels."""
    session.terminal.show_rows(session.client.get("tunnels"), _COLUMNS)


@command(app, "show", "tunnel show gold", "tunnel show gold -o json")
def _show(session: Session, tunnel: TunnelArgument) -> None:
    """Show one tunnel and its paths, best first."""
    found = session.client.get("tunnels", tunnel)
    session.terminal.show(found, record(found, _SHOWN), "", table(found["paths"], _PATHS))


@command(
    app,
    "create",
    "tunnel create gold --from pe-london --to pe-frankfurt --bandwidth 1G --delay 12ms --serve acme-1",
    "tunnel create safe --from pe-london --to pe-madrid --protect srlg --both-ways --dry-run",
)
def _create(
    session: Session,
    *,
    tunnel: Annotated[str, typer.Argument(metavar="NAME")],
    source: Annotated[str, typer.Option("--from", metavar="ROUTER", autocompletion=complete_device)],
    target: Annotated[str, typer.Option("--to", metavar="ROUTER", autocompletion=complete_device)],
    bandwidth: BandwidthOption = "",
    delay: DelayOption = "",
    link_loss: LossOption = "",
    exclude: ExcludeOption = None,
    include_any: AnyOption = None,
    include_all: AllOption = None,
    protect: ProtectOption = "",
    least: LeastOption = "",
    serve: ServeOption = None,
    both_ways: Annotated[bool, typer.Option("--both-ways", help="And NAME-back, which leads back.")] = False,
    dry_run: DryRunOption = False,
    comment: CommentOption = "",
    yes: YesOption = False,
) -> None:
    """Make a tunnel: a path for what is asked is computed, shown, agreed to, committed.

    Refused (exit 4) when there is no such path, naming the constraint that is in the way.
    """
    said = {
        "bandwidth": bandwidth,
        "delay_bound": delay,
        "link_loss": link_loss,
        "protection": protect,
        "objective": least,
    }
    wish = _wish(said, (exclude, include_any, include_all), serve)
    body = {"name": tunnel, "source": source, "target": target, "both_ways": both_ways, **wish}
    _at_once(session, ("tunnels",), body, CommitWishes(comment, is_agreed=yes), dry_run=dry_run)


@command(app, "change", "tunnel change gold --bandwidth 2G", "tunnel change gold --protect node --yes")
def _change(
    session: Session,
    *,
    tunnel: TunnelArgument,
    bandwidth: BandwidthOption = "",
    delay: DelayOption = "",
    link_loss: LossOption = "",
    exclude: ExcludeOption = None,
    include_any: AnyOption = None,
    include_all: AllOption = None,
    protect: ProtectOption = "",
    least: LeastOption = "",
    serve: ServeOption = None,
    serve_none: Annotated[bool, typer.Option("--serve-none", help="No VPN takes it any more.")] = False,
    dry_run: DryRunOption = False,
    at_once: AtOnceOption = False,
    comment: CommentOption = "",
    yes: YesOption = False,
) -> None:
    """Change what a tunnel is to give, in place while it carries: it keeps its colour wherever that can be.

    In stages: the new path is built and measured beside the old one, then traffic moves, then the old one goes.
    """
    if serve and serve_none:
        raise UsageError("--serve and --serve-none exclude each other")
    said = {
        "bandwidth": bandwidth,
        "delay_bound": delay,
        "link_loss": link_loss,
        "protection": protect,
        "objective": least,
    }
    wish = _wish(said, (exclude, include_any, include_all), [] if serve_none else serve)
    wishes = CommitWishes(comment, is_agreed=yes)
    change = _at_once if at_once else _in_stages
    change(session, ("tunnels", tunnel, "change"), wish, wishes, dry_run=dry_run)


@command(app, "move", "tunnel move gold --avoid pe-london-p-lyon", "tunnel move gold --avoid p-lyon --dry-run")
def _move(
    session: Session,
    *,
    tunnel: TunnelArgument,
    avoid: Annotated[
        list[str] | None, typer.Option("--avoid", metavar="LINK|ROUTER", help="a-b, a:port, or a. Repeatable.")
    ] = None,
    along: Annotated[list[str] | None, typer.Option("--along", metavar="LINK", help="Exactly these, in order.")] = None,
    dry_run: DryRunOption = False,
    at_once: AtOnceOption = False,
    comment: CommentOption = "",
    yes: YesOption = False,
) -> None:
    """Move a tunnel to another path without losing a packet; no option: to the best there is now."""
    body = {"avoid": list(avoid or ()), "links": list(along or ())}
    wishes = CommitWishes(comment, is_agreed=yes)
    change = _at_once if at_once else _in_stages
    change(session, ("tunnels", tunnel, "move"), body, wishes, dry_run=dry_run)


@command(app, "delete", "tunnel delete gold", "tunnel delete gold --yes")
def _delete(
    session: Session,
    tunnel: TunnelArgument,
    dry_run: DryRunOption = False,
    comment: CommentOption = "",
    yes: YesOption = False,
) -> None:
    """End a tunnel: what it carried follows the shortest path."""
    _at_once(session, ("tunnels", tunnel, "delete"), {}, CommitWishes(comment, is_agreed=yes), dry_run=dry_run)


@command(app, "reoptimise", "tunnel reoptimise --dry-run", "tunnel reoptimise --yes")
def _reoptimise(session: Session, *, dry_run: DryRunOption = False, yes: YesOption = False) -> None:
    """Place all tunnels anew so that the busiest link is used least, moving them in an order that overfills none.

    Leaves with 3 where a step had to be taken back; the steps before it hold.
    """
    wishes = CommitWishes(is_agreed=yes)
    if not dry_run:
        refuse_unasked(session, wishes)
    with session.terminal.progress("placing the tunnels"):
        found = session.client.post("tunnels", "reoptimise", body={"dry_run": True})
    rows = [
        {"step": n, "tunnel": name, "route": way} for n, s in enumerate(found["steps"], 1) for name, way in s.items()
    ]
    if dry_run or not rows:
        session.terminal.show(found, record(found, _GAIN), "", table(rows, ("step", "tunnel", "route")))
        return
    session.terminal.say(
        f"{found['utilisation_before']:.1%} of the busiest link now, then {found['utilisation_after']:.1%}"
    )
    if not yes and not session.terminal.ask(f"Move {len(rows)} tunnels in {len(found['steps'])} steps?"):
        session.terminal.say("nothing was sent")
        leave(Exit.REFUSED)
    with session.terminal.progress("moving tunnels"):
        done = session.client.post("tunnels", "reoptimise", body={}, seconds=_STEPS_SECONDS)
    session.terminal.show(done, record(done, _GAIN), "", table(done["changes"], _CHANGE))
    leave(Exit.OK if all(change["stage"] == "done" for change in done["changes"]) else Exit.ROLLED_BACK)


def _wish(
    said: Mapping[str, str],
    bits: tuple[list[int] | None, list[int] | None, list[int] | None],
    serve: list[str] | None,
) -> Json:
    """Only what was said; `none` as a delay takes the bound away."""
    wish: Json = {name: value for name, value in said.items() if value}
    if wish.get("delay_bound") == "none":
        wish["delay_bound"] = None
    affinities = zip(("exclude_any", "include_any", "include_all"), bits, strict=True)
    wish |= {name: value for name, value in affinities if value is not None}
    return wish if serve is None else {**wish, "services": serve}


def _plan(session: Session, where: tuple[str, ...], body: Json) -> Json:
    with session.terminal.progress("computing paths"):
        return session.client.post(*where, body=body)


def _at_once(session: Session, where: tuple[str, ...], body: Json, wishes: CommitWishes, *, dry_run: bool) -> None:
    """One transaction."""
    if dry_run:
        show_plan(session, _plan(session, where, body), Format.UNIFIED, reverse=False)
        return
    refuse_unasked(session, wishes)
    commit_plan(session, _plan(session, where, body), wishes)


_STAGES = """The impact is that of one transaction. This goes in stages instead, and nothing is to be lost: built beside
the old, measured, moved, drained, and only then is the old removed."""


def _in_stages(session: Session, where: tuple[str, ...], body: Json, wishes: CommitWishes, *, dry_run: bool) -> None:
    """Make-before-break; leaves with 3 where the old path had to be kept."""
    if dry_run:
        show_plan(session, _plan(session, where, body), Format.UNIFIED, reverse=False)
        return
    refuse_unasked(session, wishes)
    plan = _plan(session, where, body)
    session.terminal.say(plan_text(plan))
    session.terminal.say(_STAGES)
    if not wishes.is_agreed and not session.terminal.ask("Carry this out in stages?"):
        session.terminal.say("nothing was sent")
        leave(Exit.REFUSED)
    change = session.client.post("plans", plan["id"], "begin", body={"checksum": plan["checksum"]})
    with session.terminal.progress(f"carrying out {change['id']}"):
        while not change["is_over"]:
            time.sleep(_LOOK_SECONDS)
            change = session.client.get("changes", change["id"])
    session.terminal.show(change, record(change, _CHANGE), "", table(change["steps"], ("stage", "time", "reason")))
    if change["stage"] != "done":
        session.terminal.fail(f"taken back: {change['reason']}", "the old path carries as before")
        leave(Exit.ROLLED_BACK)
