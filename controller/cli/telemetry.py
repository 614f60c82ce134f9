"""Owns `accord telemetry`: what is measured, how far it can be trusted, and measurement campaigns."""

from typing import Annotated

import typer
from rich.table import Table

from controller.cli.session import Session, command, group
from controller.cli.terminal import Json, record, table

app = group("telemetry", "What is measured, how far it can be trusted, and questions about paths.")
campaigns = group("campaign", "Questions about a path, measured until the answer is known.")
app.add_typer(campaigns)
_SERIES = ("series", "value", "time", "provenance", "quality")
_QUALITY = ("series", "quality", "problems")
_SESSIONS = (
    *("service", "session", "source", "target", "through", "interval_seconds"),
    *("delay_seconds", "lost_packets_per_second"),
)
_DEVICES = ("device", "interval_seconds", "is_hastened", "pushes", "error")
_CAMPAIGNS = ("id", "state", "answer", "source", "target", "above_seconds", "started", "ended", "reason")
_ONE = (
    *("id", "state", "answer", "reason", "source", "target", "metric", "above_seconds", "confidence", "until"),
    *("started", "ended", "samples", "samples_above", "samples_lost", "effective_samples", "samples_needed_if_quiet"),
    *("highest_seconds", "tolerated_ratio", "share_above", "packets_per_second"),
)
_DeviceOption = Annotated[str, typer.Option("--device", metavar="DEVICE", help="Of this device only.")]
_KindOption = Annotated[str, typer.Option("--kind", metavar="KIND", help="Of this kind only, e.g. out-octets.")]
_ObjectOption = Annotated[str, typer.Option("--object", metavar="NAME", help="Of this interface or session only.")]
_CampaignArgument = Annotated[str, typer.Argument(metavar="CAMPAIGN")]


@command(app, "series", "telemetry series", "telemetry series --device pe-london --kind out-octets -o json")
def _series(
    session: Session, *, device: _DeviceOption = "", kind: _KindOption = "", object_: _ObjectOption = ""
) -> None:
    """List the series with their last values; octets and packets are per second, delays in seconds."""
    found = session.client.get("telemetry", "series", device=device, kind=kind, object=object_)
    session.terminal.show(found, table([{**row, "value": _short(row["value"])} for row in found], _SERIES))


@command(app, "quality", "telemetry quality", "telemetry quality --device pe-london")
def _quality(
    session: Session, *, device: _DeviceOption = "", kind: _KindOption = "", object_: _ObjectOption = ""
) -> None:
    """List how far each series can be trusted, worst first, and what is wrong with it."""
    found = session.client.get("telemetry", "quality", device=device, kind=kind, object=object_)
    session.terminal.show_rows(found, _QUALITY)


@command(app, "sessions", "telemetry sessions", "telemetry sessions --service acme -o json")
def _sessions(
    session: Session,
    *,
    service: Annotated[str, typer.Option("--service", metavar="VPN", help="Of this service only.")] = "",
) -> None:
    """List the STAMP sessions between the provider edges of services (telemetry.service_probes), and what they tell."""
    session.terminal.show_rows(session.client.get("telemetry", "sessions", service=service), _SESSIONS)


@command(app, "collection", "telemetry collection")
def _collection(session: Session) -> None:
    """Show how often each router is read, how that goes, and who has which part of the probe budget."""
    found = session.client.get("telemetry", "collection")
    summary = {
        "readings": ", ".join(f"{count} {outcome}" for outcome, count in sorted(found["polls"].items())),
        "missed cycles": found["missed_cycles"],
        "services without sessions": ", ".join(sorted(found["services_unmeasured"])) or "none",
        "test packets a second": f"{sum(found['probe_grants'].values()):g} of {found['probe_packets_per_second']:g}",
    }
    session.terminal.show(found, record(summary), table(found["devices"], _DEVICES))


@command(app, "enhance", "telemetry enhance pe-london p-brussels --seconds 300")
def _enhance(
    session: Session,
    devices: Annotated[list[str], typer.Argument(metavar="DEVICE...")],
    *,
    seconds: Annotated[float, typer.Option("--seconds", help="For how long; it ends by itself.")] = 300.0,
    interval: Annotated[float, typer.Option("--interval", help="Seconds between readings.")] = 1.0,
) -> None:
    """Read an area more often and probe its links, within the probe budget, for a while."""
    body: dict[str, Json] = {"devices": devices, "seconds": seconds, "interval": interval}
    found = session.client.post("telemetry", "enhance", body=body)
    session.terminal.show(found, record(found))


@command(
    campaigns,
    "start",
    "telemetry campaign start --from London --to Paris --above 15ms",
    "telemetry campaign start --from pe-london --to pe-paris --above 15ms --until 2026-11-22T23:00:00Z",
)
def _start(
    session: Session,
    *,
    from_: Annotated[str, typer.Option("--from", metavar="PLACE", help="Router, or the city of the only one there.")],
    to: Annotated[str, typer.Option("--to", metavar="PLACE", help="Likewise.")],
    above: Annotated[str, typer.Option("--above", metavar="DELAY", help="The bound, e.g. 15ms.")],
    until: Annotated[
        str, typer.Option("--until", metavar="TIME", help="A time (RFC 3339), or how long from now: 10m, 2h.")
    ] = "1h",
    confidence: Annotated[float, typer.Option("--confidence", help="How sure the answer has to be.")] = 0.95,
    ratio: Annotated[float, typer.Option("--ratio", help="Share of the time that may be above the bound.")] = 0.01,
    round_trip: Annotated[bool, typer.Option("--round-trip", help="There and back instead of one way.")] = False,
    rate: Annotated[float, typer.Option("--rate", help="Test packets a second, of the probe budget.")] = 10.0,
) -> None:
    """Ask whether the delay of a path could exceed a bound; it is measured until the answer is known."""
    body: dict[str, Json] = {
        "from": from_,
        "to": to,
        "above": above,
        "until": until,
        "confidence": confidence,
        "ratio": ratio,
        "metric": "round-trip" if round_trip else "one-way",
        "rate": rate,
    }
    found = session.client.post("telemetry", "campaigns", body=body)
    session.terminal.show(found, _known(found))


@command(
    campaigns,
    "ask",
    'telemetry campaign ask "tell me if latency between London and Paris could exceed 15 ms tonight"',
    'telemetry campaign ask "could round-trip delay from pe-london to pe-paris go above 30 ms within 2 hours?"',
)
def _ask(session: Session, text: Annotated[str, typer.Argument(metavar="QUESTION", help="One sentence.")]) -> None:
    """Ask the same in plain words: each word counts, and what was not said is shown as assumed."""
    found = session.client.post("telemetry", "questions", body={"text": text})
    session.terminal.show(found, _known(found))
    for assumed in found["assumed"]:
        session.terminal.say(f"assumed: {assumed}")


@command(campaigns, "list", "telemetry campaign list")
def _list(session: Session) -> None:
    """List campaigns, newest first."""
    session.terminal.show_rows(session.client.get("telemetry", "campaigns"), _CAMPAIGNS)


@command(campaigns, "show", "telemetry campaign show campaign-1")
def _show(session: Session, campaign: _CampaignArgument) -> None:
    """Show what a campaign knows so far."""
    found = session.client.get("telemetry", "campaigns", campaign)
    session.terminal.show(found, _known(found))


@command(campaigns, "stop", "telemetry campaign stop campaign-1")
def _stop(session: Session, campaign: _CampaignArgument) -> None:
    """Stop a campaign; what it has taken is given back."""
    found = session.client.post("telemetry", "campaigns", campaign, "stop")
    session.terminal.show(found, _known(found))


def _known(found: Json) -> Table:
    """A campaign, as people read it."""
    share = found.get("share_above")
    between = f"{100 * share['low']:.3g} to {100 * share['high']:.3g} %" if share else ""
    return record({**found, "share_above": between}, _ONE)


def _short(value: float | None) -> str:
    """Six digits tell what there is to see; all of them are in JSON."""
    return "" if value is None else str(float(f"{value:.6g}")).removesuffix(".0")
