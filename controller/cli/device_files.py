"""Owns `accord device add` and `accord device import`: inventory files, edited without the daemon."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.exits import configuration_errors
from controller.cli.serve import ConfigOption
from controller.cli.session import Session, command

_RELOAD = "the daemon takes it after a reload: systemctl reload accord, or SIGHUP"
InventoryOption = Annotated[
    Path | None, typer.Option("--inventory", metavar="FILE", help="The inventory; default: that of the settings.")
]


class TransportName(StrEnum):
    """Ways into a device."""

    NETCONF = "netconf"
    RESTCONF = "restconf"
    CLI = "cli"


class Source(StrEnum):
    """Inventories of others."""

    NORNIR = "nornir"
    CONTAINERLAB = "containerlab"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(
        app,
        "add",
        "device add pe-rome --hostname 192.0.2.7 --credential routers --host-key 'ssh-ed25519 AAAA...'",
        "device add pe-oslo --hostname oslo.example.net --transport restconf --group pe --city Oslo",
    )(add)
    command(
        app,
        "import",
        "device import ~/nornir/inventory --from nornir --credential routers > inventory.yaml",
        "device import lab.clab.yml --from containerlab --credential lab --merge",
    )(import_)


def add(
    session: Session,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    hostname: Annotated[str, typer.Option(help="Address or DNS name; default: NAME.")] = "",
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Default: that of the transport.")] = None,
    transport: Annotated[TransportName | None, typer.Option(help="Default: what its groups say, or netconf.")] = None,
    platform: Annotated[str, typer.Option(help="As nornir names it: junos, iosxr, srlinux, ...")] = "",
    credential: Annotated[str, typer.Option(help="Name of an entry of the credentials file.")] = "",
    host_key: Annotated[str, typer.Option(help="The SSH host key to pin.")] = "",
    group: Annotated[list[str] | None, typer.Option(help="A group it inherits from. Repeatable.")] = None,
    profile: Annotated[str, typer.Option(help="Mapping profile: ietf or openconfig.")] = "",
    role: Annotated[str, typer.Option(help="pe, p, ...")] = "",
    city: Annotated[str, typer.Option(help="Where it stands.")] = "",
    country: Annotated[str, typer.Option(help="Two letters.")] = "",
    access_port: Annotated[list[str] | None, typer.Option(help="A port for customers. Repeatable.")] = None,
    inventory: InventoryOption = None,
    config: ConfigOption = None,
) -> None:
    """Add a device to the inventory file, keeping everything else in it; refused unless the result is valid."""
    from controller.cli.inventory_edit import InventoryFiles

    said = {
        "transport": transport.value if transport else "",
        "credential": credential,
        "host_key": host_key,
        "mapping_profile": profile,
        "role": role,
        "site": _said({"city": city, "country": country}),
        "access_ports": list(access_port or ()),
    }
    top = {"hostname": hostname, "port": port, "platform": platform, "groups": list(group or ()), "data": _said(said)}
    with configuration_errors():
        files = InventoryFiles.of(inventory, config)
        files.add({"hosts": {name: _said(top)}})
    session.terminal.show({"device": name, "inventory": str(files.inventory)})
    session.terminal.say(f"added '{name}' to {files.inventory}; {_RELOAD}")


def import_(
    session: Session,
    *,
    path: Annotated[Path, typer.Argument(exists=True, metavar="FILE|DIRECTORY")],
    source: Annotated[Source, typer.Option("--from", help="Whose form it has.")],
    credential: Annotated[str, typer.Option(help="The credential that imported devices use; secrets stay behind.")],
    merge: Annotated[bool, typer.Option("--merge", help="Add the devices to the inventory file.")] = False,
    inventory: InventoryOption = None,
    config: ConfigOption = None,
) -> None:
    """Turn an inventory of nornir or containerlab into ours: on stdout, or with --merge into the inventory file."""
    from controller.adapters.inventory_import import import_containerlab, import_nornir

    read = import_nornir if source is Source.NORNIR else import_containerlab
    imported = read(path, credential=credential)
    for note in imported.notes:
        session.terminal.warn(note)
    hosts = len(imported.document["hosts"])
    if not merge:
        session.terminal.write(imported.as_yaml())
        session.terminal.say(f"{hosts} devices; keep it as your inventory, or add them to it with --merge")
        return
    from controller.cli.inventory_edit import InventoryFiles, foldable

    with configuration_errors():
        files = InventoryFiles.of(inventory, config)
        files.add(foldable(imported.document, f"imported-{source.value}"))
    session.terminal.show({"devices": list(imported.document["hosts"]), "inventory": str(files.inventory)})
    session.terminal.say(f"added {hosts} devices to {files.inventory}; {_RELOAD}")


def _said(members: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in members.items() if value not in ("", None, [], {})}
