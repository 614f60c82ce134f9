"""Owns `accord quote` and `accord intent negotiate`: what a service costs now, and having it negotiated."""

from typing import Annotated

import typer

from controller.cli.agreement import (
    AvailabilityOption,
    LatencyOption,
    RateOption,
    TierOption,
    level,
    money,
    show_outcome,
)
from controller.cli.completion_names import complete_service
from controller.cli.session import Session, command
from controller.cli.terminal import Json, table

_COLUMNS = ("offering", "tier", "per_hour", "total", "bandwidth", "latency", "availability")
_WAIT_SECONDS = 120.0
FromOption = Annotated[str, typer.Option("--from", metavar="PLACE", help="Router or city.")]
ToOption = Annotated[str, typer.Option("--to", metavar="PLACE", help="Router or city.")]
ClassOption = Annotated[str, typer.Option("--class", metavar="CLASS", help="Of workload, such as bulk-transfer.")]
DurationOption = Annotated[str, typer.Option("--duration", metavar="TIME", help="Such as 1h.")]


def register(app: typer.Typer) -> None:
    """Put `quote` beside the nouns."""
    command(
        app,
        "quote",
        "quote --from pe-london --to pe-paris --bandwidth 200M --class general",
        "quote --from pe-london --to pe-paris --bandwidth 1G --latency 20ms --class order-execution -o json",
    )(_quote)


def register_negotiate(app: typer.Typer) -> None:
    """Put `negotiate` beside the other verbs of intents."""
    command(
        app,
        "negotiate",
        "intent negotiate --from pe-london --to pe-paris --bandwidth 200M --class general --duration 2h",
        "intent negotiate --from pe-london --to pe-paris --bandwidth 1G --latency 20ms --class order-execution -o json",
        "intent negotiate --from pe-london --to pe-paris --bandwidth 200M --vpn acme-1",
    )(_negotiate)


def _quote(
    session: Session,
    *,
    source: FromOption,
    target: ToOption,
    bandwidth: RateOption,
    workload_class: ClassOption = "general",
    duration: DurationOption = "1h",
    latency: LatencyOption = "",
    availability: AvailabilityOption = None,
    tier: TierOption = "",
) -> None:
    """Show what a service costs now, and which axes are scarce; nothing is held, and no wallet is asked for."""
    body = _asked(source, target, workload_class, duration) | level(bandwidth, latency, availability, tier)
    found = session.client.post("quotes", body=body)
    rows = [
        {**one, "per_hour": money(one["price_per_hour"]), "total": money(one["total"]), **one["bands"]} for one in found
    ]
    session.terminal.show(found, table(rows, _COLUMNS))


def _negotiate(
    session: Session,
    *,
    source: FromOption,
    target: ToOption,
    bandwidth: RateOption,
    workload_class: ClassOption = "general",
    duration: DurationOption = "1h",
    latency: LatencyOption = "",
    availability: AvailabilityOption = None,
    tier: TierOption = "",
    vpn: Annotated[
        str, typer.Option("--vpn", metavar="VPN", help="What it is to carry.", autocompletion=complete_service)
    ] = "",
) -> None:
    """Declare an intent: the agents verify, quote, decide, sign and provision. Refused: exit 4."""
    body = _asked(source, target, workload_class, duration) | level(bandwidth, latency, availability, tier)
    body |= {"vpn": vpn} if vpn else {}
    with session.terminal.progress("negotiating"):
        found = session.client.post("negotiations", body={**body, "wait": _WAIT_SECONDS}, seconds=_WAIT_SECONDS + 30)
    show_outcome(session, found)


def _asked(source: str, target: str, workload_class: str, duration: str) -> Json:
    return {"from": source, "to": target, "class": workload_class, "duration": duration}
