"""Owns `accord config`: checking and showing the daemon's settings, without the daemon."""

from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.exits import configuration_errors
from controller.cli.serve import ConfigOption
from controller.cli.session import Session, command, group
from controller.cli.terminal import table

if TYPE_CHECKING:  # pydantic takes longer to load than `--help` takes to print
    from controller.settings import Settings

app = group("config", "The daemon's settings.")


@command(app, "check", "config check", "config check --config accord.yaml")
def _check(
    session: Session,
    config: ConfigOption = None,
    settings_only: Annotated[bool, typer.Option("--settings-only", help="Leave out the files it names.")] = False,
) -> None:
    """Check the settings, and the inventory, credentials, knowledge and tokens that they name (exit 78 if not good)."""
    from controller.adapters.settings_loader import load_settings

    with configuration_errors():
        loaded = load_settings(config)
        devices = None if settings_only else _check_files(loaded.settings)
    found = {"file": str(loaded.file or ""), "is_good": True, **({} if devices is None else {"devices": devices})}
    session.terminal.show(found)
    more = "" if devices is None else f", {devices} devices"
    session.terminal.say(f"the configuration is good: {loaded.file or 'no file, all defaults'}{more}")


def _check_files(settings: "Settings") -> int:
    from controller.bootstrap import load_catalogue
    from controller.northbound.auth import load_tokens

    load_tokens(settings.tokens)
    return len(load_catalogue(settings).inventory.devices)


@command(app, "show", "config show", "config show --origin", "config show -o json")
def _show(
    session: Session,
    config: ConfigOption = None,
    origin: Annotated[bool, typer.Option("--origin", help="With the source that said each value.")] = False,
) -> None:
    """Show every setting in force; secrets stay hidden."""
    from controller.adapters.settings_loader import load_settings

    with configuration_errors():
        loaded = load_settings(config)
    rows = [
        {"key": item.key, "value": item.value, **({"origin": item.source} if origin else {})}
        for item in loaded.origins()
    ]
    session.terminal.show(rows, table(rows, ("key", "value", *(("origin",) if origin else ()))))
