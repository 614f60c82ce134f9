"""Owns commands that other packages add: entry points of the group `accord.commands`, loaded when they are called.

Nothing here names a package, so production never imports the lab; a plug-in whose libraries are missing says so. Help
lists plug-ins without loading them: what one is for stands in the first line of its module, after the colon.
"""

import ast
import importlib.metadata
import importlib.util
from importlib.metadata import EntryPoint
from pathlib import Path
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
        """The command of a name; for a plug-in one that can be listed and not run."""
        found = super().get_command(ctx, cmd_name)
        if found is not None or cmd_name not in _plugins():
            return found
        return TyperGroup(name=cmd_name, help=_summary(_plugins()[cmd_name]))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is to run, loading it where a plug-in has it."""
        name, found, rest = super().resolve_command(ctx, args)
        is_own = name is None or super().get_command(ctx, name) is not None
        return name, found if is_own else _load(_plugins()[str(name)]), rest


def _plugins() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in importlib.metadata.entry_points(group=GROUP)}


def _summary(entry: EntryPoint) -> str:
    """The first line of a plug-in's module, read and not run."""
    package, _, rest = entry.module.partition(".")
    spec = importlib.util.find_spec(package)
    if spec is None or not rest:
        return ""
    for directory in spec.submodule_search_locations or ():
        file = Path(directory, *rest.split(".")).with_suffix(".py")
        if file.is_file():
            words = (ast.get_docstring(ast.parse(file.read_bytes())) or "").partition("\n")[0]
            said = words.partition(": ")[2] or words
            return said[:1].upper() + said[1:]
    return ""


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
