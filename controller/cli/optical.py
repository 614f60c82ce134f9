"""Owns `accord optical`: domains of constant delay, and the tunnels that bring up links between routers."""

from typing import Annotated

import typer

from controller.cli.change import CommentOption, YesOption
from controller.cli.committing import CommitWishes, commit_plan, refuse_unasked
from controller.cli.completion_names import complete_service
from controller.cli.exits import Exit
from controller.cli.plan_view import Format, show_plan
from controller.cli.session import Session, command, group, leave
from controller.cli.terminal import Json, record, table

app = group("optical", "Optical domains: links of constant delay, in slots.")
_TUNNELS = ("domain", "name", "status", "slots", "delay_seconds", "route", "reason")
_SEGMENTS = (
    "kind",
    "resource",
    "domain",
    "slots",
    "available_bit_rate",
    "delay_seconds",
    "delay_budget_seconds",
    "is_to_be_lit",
)
_CARVING = ("source", "target", "bandwidth_bit_rate", "delay_seconds", "delay_bound_seconds", "is_delay_constant")
_TRANSACTIONS = ("id", "phase", "summary")
_PROVISION_SECONDS = 900.0
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

    Refused (exit 4) when the domain has not the slots or cannot keep the delay, naming the link or the constraint.
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


@command(
    app,
    "carve",
    "optical carve acme-1 --delay 5ms",
    "optical carve acme-1 --from london-1 --to paris-1 --bandwidth '300 Mbit/s' --constant-delay",
    "optical carve acme-1 --from london-1 --to paris-1 --constant-delay --provision gold --yes",
)
def _carve(
    session: Session,
    *,
    service: Annotated[str, typer.Argument(metavar="VPN", autocompletion=complete_service)],
    source: Annotated[str, typer.Option("--from", metavar="SITE", help="Where it begins, if it has many sites.")] = "",
    target: Annotated[str, typer.Option("--to", metavar="SITE", help="Where it ends.")] = "",
    bandwidth: Annotated[
        str, typer.Option("--bandwidth", metavar="RATE", help="What is carried; else all that its accesses take.")
    ] = "",
    delay: Annotated[str, typer.Option("--delay", metavar="TIME", help="The most it may take one way, 5ms.")] = "",
    constant_delay: Annotated[
        bool, typer.Option("--constant-delay", help="Light only between the accesses: nothing queues.")
    ] = False,
    provision: Annotated[
        str,
        typer.Option("--provision", metavar="NAME", help="Set up what is missing and a tunnel over it."),
    ] = "",
    yes: YesOption = False,
) -> None:
    """Show the access, IP and optical segments that carry a service between two sites, and what each has to keep.

    IP is taken where it can carry the service, light where it cannot or delay is to stay constant. Refused (exit 4)
    naming the segments that stand in the way. With --provision, the optical tunnels are set up, then those over them.
    """
    said = {"source": source, "target": target, "bandwidth": bandwidth, "delay_bound": delay}
    body: Json = {"service": service, **{name: word for name, word in said.items() if word}}
    body |= {"constant_delay": True} if constant_delay else {}
    terminal = session.terminal
    if provision:
        refuse_unasked(session, CommitWishes(is_agreed=yes))
    with terminal.progress("carving"):
        found = session.client.post("optical", "carve", body=body)
    if not provision:
        terminal.show(found, record(found, _CARVING), "", table(found["segments"], _SEGMENTS))
        return
    if not yes:
        for segment in found["segments"]:
            terminal.say(f"{segment['kind']}: {segment['resource']}{' (to be lit)' if segment['is_to_be_lit'] else ''}")
        if not terminal.ask(f"Provision this as '{provision}'?"):
            terminal.say("nothing was sent")
            leave(Exit.REFUSED)
    with terminal.progress("provisioning: optical tunnels, then tunnels over them"):
        done = session.client.post("optical", "carve", provision, body=body, seconds=_PROVISION_SECONDS)
    segments = table(done["segments"], _SEGMENTS)
    terminal.show(done, record(done, _CARVING), "", segments, "", table(done["transactions"], _TRANSACTIONS))


def _carry_out(session: Session, where: tuple[str, ...], body: Json, wishes: CommitWishes, *, dry_run: bool) -> None:
    if dry_run:
        show_plan(session, session.client.post(*where, body=body), Format.UNIFIED, reverse=False)
        return
    refuse_unasked(session, wishes)
    commit_plan(session, session.client.post(*where, body=body), wishes)
