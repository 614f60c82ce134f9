"""`accord lab traffic`: numbered packets between customers of the running lab, and what became of them.

Owns the commands and their tables; JSON has every member of a report, the table those that are read most, delays in
milliseconds.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lab.cli_output import DirOption, Output, OutputOption, ask_lab, print_rows
from lab.control_socket import lab_directory

app = typer.Typer(
    name="traffic",
    help="Send numbered packets between customers of the running lab, and count what arrives.",
    no_args_is_help=True,
)
_TCP_BESIDE_SECONDS = 45.0
_COUNTS = ("flow", "plane", "sent", "received", "lost", "reordered", "duplicated", "late", "missed")
_DELAYS = ("delay_minimum", "delay_median", "delay_p99", "delay_maximum", "longest_gap")

FromOption = Annotated[str, typer.Option("--from", help="ROUTER:INTERFACE that sends; ROUTER alone with --vpn.")]
ToOption = Annotated[str, typer.Option("--to", help="ROUTER:INTERFACE that receives; ROUTER alone with --vpn.")]
VpnOption = Annotated[str, typer.Option("--vpn", help="VPN whose interface is meant at both ends.")]
IPv6Option = Annotated[bool, typer.Option("--ipv6", help="Send IPv6; default: what the sending interface has first.")]


@app.command()
def start(
    source: FromOption,
    target: ToOption,
    *,
    vpn: VpnOption = "",
    ipv6: IPv6Option = False,
    rate: Annotated[float, typer.Option(help="Packets a second.")] = 2000.0,
    size: Annotated[int, typer.Option(help="Octets of a packet, IP header included.")] = 200,
    directory: DirOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Start a flow; it sends until `accord lab traffic stop`."""
    members = {**_ends(source, target, vpn, ipv6=ipv6), "packet_rate": rate, "packet_octets": size}
    print_rows([ask_lab(lab_directory(directory), "traffic-start", **members)], output)


@app.command()
def report(
    flow: Annotated[str | None, typer.Argument(help="Name of a flow; default: all.")] = None,
    directory: DirOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Tell what has become of the running flows so far."""
    _print_reports(ask_lab(lab_directory(directory), "traffic-report", flow=flow), output)


@app.command()
def stop(
    flow: Annotated[str, typer.Argument(help="Name of a flow.")],
    directory: DirOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Stop a flow, wait for what is under way, and tell what became of it."""
    _print_reports([ask_lab(lab_directory(directory), "traffic-stop", flow=flow)], output)


@app.command()
def tcp(
    source: FromOption,
    target: ToOption,
    *,
    vpn: VpnOption = "",
    ipv6: IPv6Option = False,
    seconds: Annotated[int, typer.Option(min=1, max=600, help="How long to send.")] = 2,
    directory: DirOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Measure how much TCP carries, by iperf3; needs a lab on namespaces."""
    members = {**_ends(source, target, vpn, ipv6=ipv6), "seconds": seconds}
    home, within = lab_directory(directory), seconds + _TCP_BESIDE_SECONDS
    print_rows([ask_lab(home, "traffic-tcp", timeout_seconds=within, **members)], output)


def _ends(source: str, target: str, vpn: str, *, ipv6: bool) -> dict[str, Any]:
    return {"source": source, "target": target, "vpn": vpn, "version": 6 if ipv6 else None}


def _print_reports(reports: list[dict[str, Any]], output: Output) -> None:
    if output is Output.JSON:
        print_rows(reports, output)
        return
    print_rows([_shortened(found) for found in reports], output)


def _shortened(report: dict[str, Any]) -> dict[str, Any]:
    row = {name: report[name] for name in _COUNTS}
    for name in _DELAYS:
        seconds = report[f"{name}_seconds"]
        row[f"{name} ms"] = "" if seconds is None else f"{seconds * 1000:.3f}"
    return row
