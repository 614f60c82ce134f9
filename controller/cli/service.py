"""Owns `accord service`: the L3VPN services (RFC 8299) that there are."""

from typing import Annotated

import typer

from controller.cli.assurance import shown
from controller.cli.change import CommentOption, YesOption
from controller.cli.committing import CommitWishes, commit_plan, refuse_unasked
from controller.cli.completion_names import complete_service
from controller.cli.exits import Exit
from controller.cli.plan_source import PlanSource, make_plan
from controller.cli.session import Session, command, group, leave
from controller.cli.terminal import record, table

app = group("service", "L3VPN services.")
ServiceArgument = Annotated[str, typer.Argument(metavar="VPN", autocompletion=complete_service)]


@command(app, "list", "service list", "service list -o yaml")
def _list(session: Session) -> None:
    """List the services."""
    session.terminal.show_rows(session.client.get("services"), ("vpn_id", "customer", "sites"))


@command(app, "show", "service show acme-1", "service show acme-1 -o json")
def _show(session: Session, service: ServiceArgument) -> None:
    """Show one service: where each access is, its state and its objectives; -o json has its documents too."""
    found = session.client.get("services", service)
    places = table(found["placements"], ("site", "access", "device", "port", "vlan"))
    assured = ["", *shown(found["assurance"])] if found["assurance"] else []
    agreed = table(found["agreements"], ("id", "consumer", "tunnel", "offering")) if found["agreements"] else ""
    session.terminal.show(found, record(found["service"]), "", places, agreed, *assured)


@command(app, "validate", "service validate")
def _validate(session: Session) -> None:
    """Check all services together against ietf-l3vpn-svc, as each was checked when it changed (exit 1 if not valid)."""
    with session.terminal.progress("validating"):
        found = session.client.get("services-validation")
    session.terminal.show(found, table(found["findings"], ("path", "message")))
    session.terminal.say("valid" if found["valid"] else f"not valid: {len(found['findings'])} findings")
    leave(Exit.OK if found["valid"] else Exit.FAILURE)


@command(app, "delete", "service delete acme-1", "service delete acme-1 --yes -m 'contract ended'")
def _delete(session: Session, service: ServiceArgument, comment: CommentOption = "", yes: YesOption = False) -> None:
    """End a service: show what goes, ask, commit."""
    wishes = CommitWishes(comment, is_agreed=yes)
    refuse_unasked(session, wishes)
    commit_plan(session, make_plan(session, PlanSource(delete_service=service)), wishes)
