"""Owns `accord optical`: domains of constant delay, and the tunnels that bring up links between routers."""

from typing import Annotated

import typer

from controller.cli.change import CommentOption, YesOption
from controller.cli.committing import CommitWishes, commit_plan, refuse_unasked
from controller.cli.plan_view import Format, show_plan
from controller.cli.session import Session, command, group
from controller.cli.terminal import Json, table

app = group("optical", "Optical domains: links of constant delay, in slots.")
_TUNNELS = ("domain", "name", "status", "slots", "delay_seconds", "route", "reason")
_LINKS = ("name", "slots", "free_slots", "delay_seconds", "is_up")

DomainArgument = Annotated[str, typer.Argument(metavar="DOMAIN")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show the plan; nothing is sent.")]


@command(app, "list", "optical list", "optical list -o json")
def _list(session: Session) -> None:
    """List the domains' fibres with the slots they have free, and their tunnels."""
    found = session.client.get("optical")
    links = [link for domain in found["domains"] for link in domain["links"]]
    tunnels = [tunnel for domain in found["domains"] for tunnel in domain["tunnels"]]
    session.terminal.show(found, table(links, _LINKS), "", table(tunnels, _TUNNELS))


@command(
    app,
    "create",
    "optical create otn-domain gold --link 'pe-london:core2>pe-paris:core2' --bandwidth '300 Mbit/s' --delay 3ms",
)
def _create(
    session: Session,
    *,
    domain: DomainArgument,
    name: NameArgument,
    link: Annotated[str, typer.Option("--link", metavar="LINK", help="The link between routers that it brings up.")],
    bandwidth: Annotated[str, typer.Option("--bandwidth", metavar="RATE", help="What it carries, '300 Mbit/s'.")],
    delay: Annotated[str, typer.Option("--delay", metavar="TIME", help="The most it may take one way, 3ms.")] = "",
    dry_run: DryRunOption = False,
    comment: CommentOption = "",
    yes: YesOption = False,
) -> None:
    """Set up a tunnel, or resize the one of this name while it carries.

    Refused (exit 1) when the domain has not the slots or cannot keep the delay, naming the link or the constraint.
    """
    body = {"name": name, "link": link, "bandwidth": bandwidth, **({"delay_bound": delay} if delay else {})}
    _carry_out(session, ("optical", domain, "tunnels"), body, CommitWishes(comment, is_agreed=yes), dry_run=dry_run)


@command(app, "delete", "optical delete otn-domain gold --yes")
def _delete(
    session: Session,
    *,
    domain: DomainArgument,
    name: NameArgument,
    dry_run: DryRunOption = False,
    comment: CommentOption = "",
    yes: YesOption = False,
) -> None:
    """Take a tunnel down: its link goes, its slots are free. Move what it carries first."""
    where = ("optical", domain, "tunnels", name, "delete")
    _carry_out(session, where, {}, CommitWishes(comment, is_agreed=yes), dry_run=dry_run)


def _carry_out(session: Session, where: tuple[str, ...], body: Json, wishes: CommitWishes, *, dry_run: bool) -> None:
    if dry_run:
        show_plan(session, session.client.post(*where, body=body), Format.UNIFIED, reverse=False)
        return
    refuse_unasked(session, wishes)
    commit_plan(session, session.client.post(*where, body=body), wishes)
