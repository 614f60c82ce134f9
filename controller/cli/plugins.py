"""Owns commands that other packages add: entry points of the group `accord.commands`, loaded when they are called.

Nothing here names a package, so production never imports the lab; a plug-in whose libraries are missing says so.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperGroup

from controller.model.errors import NotSupportedError

GROUP = "accord.commands"


class PluginGroup(TyperGroup):
    """The built-in commands, then those of plug-ins; a plug-in cannot take a built-in's name."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names as help shows them."""
        own = list(super().list_commands(ctx))
        return own + sorted(set(_plugins()) - set(own))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name, loading it where a plug-in has it."""
        found = super().get_command(ctx, cmd_name)
        if found is not None or cmd_name not in _plugins():
            return found
        return _load(_plugins()[cmd_name])


def _plugins() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _load(entry: EntryPoint) -> Any:
    try:
        app = entry.load()
    except ImportError as error:
        app = _excuse(entry, error)
    found = typer.main.get_command(app)
    found.name = entry.name
    return found


def _excuse(entry: EntryPoint, error: ImportError) -> typer.Typer:
    """A command in the place of one that cannot be loaded, so that help still lists it."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)

    @app.command(
        entry.name,
        help=f"Not available: {error}.",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def explain() -> None:
        raise missing(error, entry.name)

    return app


def missing(error: ImportError, extra: str) -> NotSupportedError:
    """What to say when a library is not installed."""
    what = error.name or str(error)
    return NotSupportedError(
        f"this needs '{what}', which is not installed", remedy=f"install the extra: pip install 'accord[{extra}]'"
    )
