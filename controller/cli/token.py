"""Owns `accord token`: who may use the API. Works on the daemon's token file, without the daemon."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from controller.cli.exits import ConfigurationError, UsageError, configuration_errors
from controller.cli.serve import ConfigOption
from controller.cli.session import Session, command, group

app = group("token", "Who may use the API.")


class RoleName(StrEnum):
    """The roles of `controller.northbound.auth`."""

    READER = "reader"
    OPERATOR = "operator"
    APPROVER = "approver"


@command(
    app,
    "add",
    "token add alice --role operator",
    "token add grafana --role reader --days 365 --tokens /etc/accord/tokens.yaml",
    "token add acme --role operator --service 'acme-*'",
)
def _add(
    session: Session,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    role: Annotated[list[RoleName], typer.Option("--role", help="What it may do. Repeatable.")],
    service: Annotated[list[str] | None, typer.Option(help="Only these services (acme-*). Repeatable.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=36_500, help="How long it is good; default: for ever.")] = None,
    tokens: Annotated[Path | None, typer.Option(help="The token file; default: that of the settings.")] = None,
    config: ConfigOption = None,
) -> None:
    """Make a token and add its hash to the token file. The token is printed once, and kept nowhere."""
    from controller.adapters.settings_loader import load_settings
    from controller.northbound.auth import Role, add_token, new_token

    with configuration_errors():
        file = tokens or load_settings(config).settings.tokens
    expires = datetime.now(UTC) + timedelta(days=days) if days else None
    token, entry = new_token(name, [Role(item.value) for item in role], service or ["*"], expires)
    if not file.parent.is_dir():
        raise UsageError("there is no such directory", path=str(file.parent), remedy="say where with --tokens FILE")
    try:
        add_token(file, entry)
    except OSError as error:
        raise ConfigurationError(f"the token file cannot be written: {error.strerror}", path=str(file)) from error
    session.terminal.show({"name": name, "token": token, "file": str(file)}, Text(token))
    session.terminal.say(f"added '{name}' to {file}; the daemon takes it after a reload (SIGHUP)")
