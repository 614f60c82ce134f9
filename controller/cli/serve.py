"""Owns `accord serve`: the daemon."""

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.exits import configuration_errors
from controller.cli.session import Session, command

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", envvar="ACCORD_CONFIG", metavar="FILE", help="The daemon's settings.", show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "serve", "serve", "serve --config /etc/accord/accord.yaml")(serve)


def serve(session: Session, config: ConfigOption = None) -> None:  # noqa: ARG001 - every command has a session
    """Run the daemon until SIGTERM; SIGHUP reads the configuration again.

    Without --config, /etc/accord/accord.yaml where it exists, then the environment and systemd credentials.
    """
    from controller.adapters.settings_loader import load_settings

    with configuration_errors():
        settings = load_settings(config)
        from controller.serve import serve as run_daemon  # seconds of imports: what is wrong above is told before

        code = run_daemon(settings)
    raise typer.Exit(int(code))
