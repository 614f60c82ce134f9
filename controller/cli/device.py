"""Owns `accord device`: looking at routers, reading them, telling and explaining drift."""

from typing import Annotated

import typer

from controller.cli import device_files
from controller.cli.completion_names import complete_device
from controller.cli.exits import Exit
from controller.cli.session import Session, chosen, command, group, leave
from controller.cli.terminal import Json, record, table

app = group("device", "Routers: inventory, drift, synchronisation.")
device_files.register(app)
_COLUMNS = ("name", "role", "city", "profile", "state", "lines", "held_by", "error")
DeviceArgument = Annotated[str, typer.Argument(metavar="DEVICE", autocompletion=complete_device)]
DevicesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="DEVICE", autocompletion=complete_device, show_default=False)
]
AllOption = Annotated[bool, typer.Option("--all", help="Every device of the inventory.")]
DetailedOption = Annotated[bool, typer.Option("--detailed-exitcode", help="Exit 2 where something differs.")]


@command(app, "list", "device list", "device list -o json")
def _list(session: Session) -> None:
    """List the devices of the inventory and how they are."""
    session.terminal.show_rows(session.client.get("devices"), _COLUMNS)


@command(app, "show", "device show pe-london")
def _show(session: Session, device: DeviceArgument) -> None:
    """Show what is known of one device."""
    found = session.client.get("devices", device)
    session.terminal.show(found, record(found))


@command(app, "facts", "device facts pe-london", "device facts pe-london -o json")
def _facts(session: Session, device: DeviceArgument) -> None:
    """Ask a device what it is: transport, participant class, capabilities, modules."""
    with session.terminal.progress(f"asking {device}"):
        found = session.client.post("devices", device, "facts")
    shown = {**found, "capabilities": len(found["capabilities"]), "modules": len(found["modules"])}
    modules = table(found["modules"], tuple(found["modules"][0]) if found["modules"] else ())
    session.terminal.show(found, record(shown), *([modules] if found["modules"] else []))


@command(app, "check-sync", "device check-sync pe-london", "device check-sync --all --detailed-exitcode")
def _check_sync(
    session: Session, devices: DevicesArgument = None, everything: AllOption = False, detailed: DetailedOption = False
) -> None:
    """Read devices and explain every leaf that is not as the controller left it; nothing is changed."""
    _reports(session, devices, "check-sync", everything=everything, detailed=detailed)


@command(app, "compare", "device compare pe-london", "device compare --all -o json")
def _compare(
    session: Session, devices: DevicesArgument = None, everything: AllOption = False, detailed: DetailedOption = False
) -> None:
    """Read devices and show what they lack of what its owners want; nothing is changed."""
    _reports(session, devices, "compare", everything=everything, detailed=detailed)


def _reports(session: Session, devices: list[str] | None, action: str, *, everything: bool, detailed: bool) -> None:
    names = chosen(devices or (), everything=everything, session=session)
    with session.terminal.progress(f"reading {len(names)} devices"):
        reports, failure = session.for_each(names, lambda name: session.client.post("devices", name, action))
    session.terminal.show(
        reports, table(_difference_rows(reports), ("device", "path", "expected", "found", "owners", "policy"))
    )
    out = [report for report in reports if not report["in_sync"]]
    for report in out:
        if report["is_fight"]:
            session.terminal.warn(f"{report['device']}: the same drift keeps coming back; find out who makes it")
    if out:
        session.terminal.say(f"make it good with: accord commit --repair {out[0]['device']}")
    difference = Exit.DIFFERENCE if detailed and out else Exit.OK
    leave(failure if failure is not Exit.OK else difference)


def _difference_rows(reports: list[Json]) -> list[Json]:
    rows: list[Json] = []
    for report in reports:
        if report["in_sync"]:
            rows.append({"device": report["device"], "path": "in sync"})
        rows += [{"device": report["device"], **difference} for difference in report["differences"]]
    return rows


@command(app, "sync-from", "device sync-from pe-london", "device sync-from --all")
def _sync_from(session: Session, devices: DevicesArgument = None, everything: AllOption = False) -> None:
    """Read devices whole and take what they say as the truth about them."""
    names = chosen(devices or (), everything=everything, session=session)
    with session.terminal.progress(f"reading {len(names)} devices"):
        found, failure = session.for_each(names, lambda name: session.client.post("devices", name, "sync-from"))
    session.terminal.show_rows(found, _COLUMNS)
    leave(failure)


@command(app, "adopt", "device adopt pe-london \"/ietf-interfaces:interfaces/interface[name='eth3']\"")
def _adopt(
    session: Session,
    device: DeviceArgument,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A data path; everything below it is adopted.")],
) -> None:
    """Give configuration that is already on a device an owner, so that it is kept and repaired."""
    with session.terminal.progress(f"reading {device}"):
        found = session.client.post("devices", device, "adopt", body={"path": path})
    session.terminal.show(found, record(found))
