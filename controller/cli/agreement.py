"""Owns `accord agreement`: what was agreed, how it came about, and changing or ending it."""

import time
from typing import Annotated

import typer

from controller.cli.exits import Exit
from controller.cli.session import Session, command, group, leave
from controller.cli.terminal import Json, record, table

app = group("agreement", "Agreements between consumer and operator, and their chain of issues.")
_COLUMNS = (
    "id", "state", "instance", "class", "from", "to", "rate", "latency", "per_hour", "strategy", "service", "vpn",
)  # fmt: skip
_ISSUES = ("id", "strategy", "offering", "total", "on_top", "hash")
NEGOTIATION = ("id", "domain", "stage", "opened_by", "agreement", "strategy", "offering", "total", "rounds", "refused")
_OUTCOME = ("id", "stage", "agreement", "strategy", "offering", "total", "rounds", "service", "refused")
_WAIT_SECONDS = 120.0
_CLIENT_SECONDS = 150.0

AgreementArgument = Annotated[str, typer.Argument(metavar="AGREEMENT")]
RateOption = Annotated[str, typer.Option("--bandwidth", metavar="RATE", help="At least, such as 200M.")]
LatencyOption = Annotated[str, typer.Option("--latency", metavar="TIME", help="At most, such as 20ms.")]
AvailabilityOption = Annotated[float | None, typer.Option("--availability", metavar="SHARE", help="At least.")]
TierOption = Annotated[
    str,
    typer.Option(
        "--tier", metavar="ip|optical", help="Over this network; a negotiation gives it up where it cannot be had."
    ),
]


@command(app, "list", "agreement list", "agreement list -o json")
def _list(session: Session) -> None:
    """List the agreements."""
    found = session.client.get("agreements")
    session.terminal.show(found, table([_row(one) for one in found], _COLUMNS))


@command(app, "show", "agreement show agr-1", "agreement show agr-1 -o json")
def _show(session: Session, agreement: AgreementArgument) -> None:
    """Show one agreement and the issues it went through; -o json has them signed."""
    found = session.client.get("agreements", agreement)
    issues = [{**one, "total": money(one["total"]), "on_top": money(one["on_top"])} for one in found["issues"]]
    session.terminal.show(found, record(_row(found), _COLUMNS), "", table(issues, _ISSUES))


@command(app, "renegotiate", "agreement renegotiate agr-1 --bandwidth 1G", "agreement renegotiate agr-1 --latency 5ms")
def _renegotiate(
    session: Session,
    *,
    agreement: AgreementArgument,
    bandwidth: RateOption = "",
    latency: LatencyOption = "",
    availability: AvailabilityOption = None,
    tier: TierOption = "",
) -> None:
    """Ask for another level in place: quoted, decided within the wallet, signed, provisioned. Refused: exit 4."""
    body = level(bandwidth, latency, availability, tier)
    with session.terminal.progress("negotiating"):
        found = session.client.post(
            "agreements", agreement, "renegotiate", body={**body, "wait": _WAIT_SECONDS}, seconds=_CLIENT_SECONDS
        )
    show_outcome(session, found)


@command(app, "terminate", "agreement terminate agr-1", 'agreement terminate agr-1 --reason "moved"')
def _terminate(
    session: Session,
    *,
    agreement: AgreementArgument,
    reason: Annotated[str, typer.Option("--reason", help="For the record.")] = "",
) -> None:
    """End an agreement: what is not used up of its money comes back."""
    body = {"wait": _WAIT_SECONDS, **({"reason": reason} if reason else {})}
    with session.terminal.progress("ending the service"):
        found = session.client.post("agreements", agreement, "terminate", body=body, seconds=_CLIENT_SECONDS)
    show_outcome(session, found)


def level(bandwidth: str, latency: str, availability: float | None, tier: str) -> Json:
    """Only what was said."""
    said: Json = {"bandwidth": bandwidth, "latency": latency, "tier": tier}
    made = {name: value for name, value in said.items() if value}
    return made if availability is None else {**made, "availability": availability}


def show_outcome(session: Session, found: Json) -> None:
    """How a negotiation ended; leaves with 4 where it was refused and with 1 where it failed."""
    row = negotiation_row(found)
    session.terminal.show(found, record(row, _OUTCOME))
    if found["stage"] == "done" and found["rounds"]:
        session.terminal.say("less than was asked, which could not be had")
    if found["stage"] != "done":
        why = row["refused"] or "it goes on"
        session.terminal.fail(f"not agreed ({found['stage']}): {why}", "what is sold, at what price: accord quote")
        leave(Exit.REFUSED if found["stage"] == "refused" else Exit.FAILURE)


def negotiation_row(found: Json) -> Json:
    """A negotiation at one party, for a table."""
    refusal = found["refusal"]
    said = f"{refusal['check']}: {refusal['text']}" if refusal else ""
    return {**found, "total": money(found["total"]), "refused": said}


def money(amount: Json) -> str:
    """As people write it."""
    return f"{amount['amount']} {amount['currency']}" if amount else ""


def _row(found: Json) -> Json:
    late = found["level"]["latency_microseconds"]
    return {
        **found,
        "rate": f"{found['level']['bit_rate'] / 1e6:g} Mbit/s",
        "latency": "any" if late is None else f"{late / 1000:g} ms",
        "per_hour": money(found["price_per_hour"]),
        "ends": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found["ends"])),
    }
