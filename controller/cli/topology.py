"""Owns `accord topology`: the network as the daemon knows it, and its domains as customers see them (RFC 8453)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

import typer

from controller.cli.change import CommentOption, YesOption
from controller.cli.committing import CommitWishes, commit_plan, refuse_unasked
from controller.cli.exits import UsageError
from controller.cli.plan_view import Format, show_plan
from controller.cli.session import Session, command, group
from controller.cli.terminal import Json, table
from controller.model.amounts import amount, digits

app = group("topology", "The network: nodes, links, and what customers see of them.")
_ABSTRACTIONS = ("white", "grey", "black")
_NODES = ("name", "role", "router_id", "endpoint")
_LINKS = ("id", "is_up", "capacity_bit_rate", "reserved_bit_rate", "load_bit_rate", "delay_seconds", "metric", "srlgs")
_ABSTRACT_NODES = ("network", "node", "ports")
_ABSTRACT_LINKS = ("network", "link", "state", "capacity_bit_rate", "free_bit_rate", "delay_seconds")
_TE = "ietf-te-topology:te"
_OCTET = 8
_OVERLAYS = {"load": "ratio", "delay": "s", "loss": "ratio"}
"""By what is laid over, its unit."""
_BAR = 20
_REFRESH_SECONDS = 300.0


@command(
    app,
    "show",
    "topology show",
    "topology show --abstraction grey",
    "topology show --overlay load --svg network.svg",
    "topology show --abstraction white --domain otn-domain -o json",
)
def _show(
    session: Session,
    *,
    abstraction: Annotated[
        str, typer.Option("--abstraction", metavar="white|grey|black", help="As a customer sees each domain.")
    ] = "",
    domain: Annotated[
        str, typer.Option("--domain", metavar="NAME", help="This domain only; 'ip' is the routers'.")
    ] = "",
    overlay: Annotated[
        str, typer.Option("--overlay", metavar="load|delay|loss", help="What is measured of each link.")
    ] = "",
    svg: Annotated[
        Path | None, typer.Option("--svg", dir_okay=False, help="With --overlay load: write a picture.")
    ] = None,
) -> None:
    """Show nodes and links with what they have left; with --abstraction, what a customer is shown of each domain.

    `-o json` prints an abstraction as ietf-network and ietf-te-topology data.
    """
    if svg is not None and overlay != "load":
        raise UsageError("--svg draws how full links are", remedy="add --overlay load")
    if overlay:
        _show_overlay(session, overlay, svg)
        return
    if not abstraction and not domain:
        found = session.client.get("topology")
        session.terminal.show(found, table(found["nodes"], _NODES), "", table(found["links"], _LINKS))
        return
    if abstraction and abstraction not in _ABSTRACTIONS:
        raise UsageError(f"'{abstraction}' is no abstraction: it is one of {', '.join(_ABSTRACTIONS)}")
    found = session.client.get("topology", "abstract", abstraction=abstraction or "white")
    networks = found["ietf-network:networks"]["network"]
    if domain:
        networks = [network for network in networks if _is_of(network, domain)]
        if not networks:
            known = ", ".join(known["name"] for known in found["domains"])
            raise UsageError(f"there is no domain '{domain}': there is {known}")
    document = {"ietf-network:networks": {"network": networks}}
    nodes, links = list(_node_rows(networks)), list(_link_rows(networks))
    session.terminal.show(document, table(nodes, _ABSTRACT_NODES), "", table(links, _ABSTRACT_LINKS))


def _show_overlay(session: Session, of: str, svg: Path | None) -> None:
    if of not in _OVERLAYS:
        raise UsageError(f"'{of}' is no overlay: it is one of {', '.join(_OVERLAYS)}")
    found = session.client.get("topology", "overlay", of=of)
    most = max((link["value"] or 0.0 for link in found["links"]), default=0.0)
    most = max(most, 1.0) if of == "load" else most
    rows = [_overlay_row(link, _OVERLAYS[of], most) for link in found["links"]]
    session.terminal.show(found, table(rows, ("link", "state", "value", "bar", "from", "note")))
    if svg is not None:
        from controller.twin.picture import draw

        svg.write_text(draw({**found, "supposed": "load as measured", "paths": []}), encoding="utf-8")
        session.terminal.say(f"wrote {svg}")


def _overlay_row(link: Json, unit: str, most: float) -> Json:
    value = link["value"]
    filled = round(value / most * _BAR) if value is not None and most else 0
    return {
        "link": link["link"],
        "state": "up" if link["is_up"] else "down",
        "value": amount(value, unit) if unit != "ratio" or value is None else f"{digits(100 * value)} %",
        "bar": "█" * filled + "·" * (_BAR - filled) if value is not None else "",
        "from": link["from"],
        "note": link.get("note", ""),
    }


@command(app, "refresh", "topology refresh")
def _refresh(session: Session) -> None:
    """Ask the devices again for ports, neighbours and delays, and show what they told."""
    with session.terminal.progress("asking the devices"):
        found = session.client.post("topology", "refresh", body={}, seconds=_REFRESH_SECONDS)
    session.terminal.show(found, table(found["nodes"], _NODES), "", table(found["links"], _LINKS))


@command(app, "measure", "topology measure --yes", "topology measure --off --dry-run")
def _measure(
    session: Session,
    *,
    off: Annotated[bool, typer.Option("--off", help="Measure no link any more.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan; nothing is sent.")] = False,
    comment: CommentOption = "",
    yes: YesOption = False,
) -> None:
    """Have delay and loss of every link measured (STAMP, RFC 8762): one test packet a second over each."""
    wishes = CommitWishes(comment, is_agreed=yes)
    if not dry_run:
        refuse_unasked(session, wishes)
    plan = session.client.post("topology", "measure", body={"off": True} if off else {})
    if dry_run:
        show_plan(session, plan, Format.UNIFIED, reverse=False)
        return
    commit_plan(session, plan, wishes)


def _is_of(network: Json, domain: str) -> bool:
    return _plain(network["network-id"]) in {domain, *(f"{domain}-{level}" for level in _ABSTRACTIONS)}


def _node_rows(networks: list[Json]) -> Iterator[Json]:
    for network in networks:
        for node in network["node"]:
            ports = [_plain(point["tp-id"]) for point in node["ietf-network-topology:termination-point"]]
            yield {"network": _plain(network["network-id"]), "node": _plain(node["node-id"]), "ports": ports}


def _link_rows(networks: list[Json]) -> Iterator[Json]:
    for network in networks:
        for link in network.get("ietf-network-topology:link", ()):
            attributes = link[_TE]["te-link-attributes"]
            yield {
                "network": _plain(network["network-id"]),
                "link": _plain(link["link-id"]),
                "state": link[_TE]["oper-status"],
                "capacity_bit_rate": _bit_rate(attributes["max-link-bandwidth"]),
                "free_bit_rate": _bit_rate(attributes["unreserved-bandwidth"][0]),
                "delay_seconds": attributes["te-delay-metric"] / 1e6,
            }


def _bit_rate(content: Json) -> int:
    return round(float.fromhex(content["te-bandwidth"]["generic"]) * _OCTET)


def _plain(identifier: str) -> str:
    return unquote(identifier.removeprefix("urn:accord:"))
