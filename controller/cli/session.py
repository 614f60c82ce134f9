"""Owns how a command is made: its help with examples first, the options that every command has, and its session."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from controller.cli.connection import Preferences, connection_of, readable_by_others, resolve
from controller.cli.exits import Exit, UsageError, exit_of, worst
from controller.cli.terminal import Color, Json, Output, Terminal
from controller.model.errors import AccordError

_WORKERS = 8
P = ParamSpec("P")

OutputOption = Annotated[
    Output | None, typer.Option("--output", "-o", help="How to print data.  [default: table]", show_default=False)
]
UrlOption = Annotated[str, typer.Option("--url", metavar="URL", help="The daemon. ACCORD_URL.", show_default=False)]
TokenFileOption = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="File with the API token. ACCORD_TOKEN_FILE.")
]
CaOption = Annotated[
    Path | None, typer.Option("--ca", metavar="FILE", help="PEM file that the daemon's certificate is checked by.")
]
ColorOption = Annotated[
    Color | None, typer.Option("--color", help="When to use colours.  [default: auto]", show_default=False)
]
_COMMON: tuple[tuple[str, Any, Any], ...] = (
    ("output", OutputOption, None),
    ("url", UrlOption, ""),
    ("token_file", TokenFileOption, None),
    ("ca", CaOption, None),
    ("color", ColorOption, None),
)


@dataclass(slots=True)
class Session:
    """What a command works with. The client is made when the first request needs it."""

    preferences: Preferences
    terminal: Terminal
    _client: Any = field(default=None)

    @property
    def client(self) -> Any:
        """The way to the daemon, a `Client`. Imported here, so that `accord --help` needs no HTTP library."""
        if self._client is None:
            from controller.cli.client import Client

            file = self.preferences.token_file
            if file and readable_by_others(file):
                self.terminal.warn(f"others can read {file}: chmod 600 {file}")
            self._client = Client(connection_of(self.preferences))
        return self._client

    def for_each(self, names: Sequence[str], act: Callable[[str], Json]) -> tuple[list[Json], Exit]:
        """Do it for every name, several at a time; what failed is told, and the rest still done."""
        from concurrent.futures import ThreadPoolExecutor

        def tried(name: str) -> tuple[str, Json | AccordError]:
            try:
                return name, act(name)
            except AccordError as error:
                return name, error

        with ThreadPoolExecutor(_WORKERS) as pool:
            results = list(pool.map(tried, names))
        failures = [(name, error) for name, error in results if isinstance(error, AccordError)]
        for name, error in failures:
            self.terminal.fail(f"{name}: {error.message}", *filter(None, (error.remedy,)))
        done = [result for _, result in results if not isinstance(result, AccordError)]
        return done, worst(exit_of(error) for _, error in failures)


def open_session(said: Preferences) -> Session:
    """From what the command line says, over the environment and the person's file."""
    whole = resolve(said)
    return Session(whole, Terminal(whole.output or Output.TABLE, whole.color or Color.AUTO))


def command(
    app: typer.Typer, name: str, *examples: str, hidden: bool = False
) -> Callable[[Callable[Concatenate[Session, P], None]], Callable[..., None]]:
    """Register a function as a command: its docstring is the help, `examples` come right after the first sentence."""

    def register(function: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
        wrapped = _with_common_options(function)
        app.command(name, help=_help(inspect.getdoc(function) or "", examples), hidden=hidden)(wrapped)
        return wrapped

    return register


def group(name: str, words: str) -> typer.Typer:
    """The commands of one noun."""
    return typer.Typer(name=name, help=words, no_args_is_help=True, rich_markup_mode=None, add_completion=False)


def _help(words: str, examples: Sequence[str]) -> str:
    first, _, rest = words.partition("\n\n")
    shown = "\n".join(["\b", "Examples:", *(f"  accord {example}" for example in examples)]) if examples else ""
    return "\n\n".join(filter(None, (first, shown, rest)))


def _with_common_options(function: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    """Typer reads signatures, so the wrapper shows the function's own parameters and then those of every command."""
    own = [*inspect.signature(function, eval_str=True).parameters.values()][1:]
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
        for name, kind, default in _COMMON
    ]

    def run(**given: Any) -> None:
        ctx: typer.Context = given.pop("ctx")
        said = Preferences(**{name: given.pop(name) for name, _, _ in _COMMON})
        function(open_session(said.over(ctx.find_root().obj or Preferences())), **given)  # type: ignore[call-arg]  # P is what typer parsed

    shown = [context, *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own), *common]
    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]  # what inspect and typer look for
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    run.__name__, run.__doc__, run.__module__ = function.__name__, function.__doc__, function.__module__
    return run


def leave(code: Exit) -> None:
    """End the command with this code; returns where it is `OK`."""
    if code is not Exit.OK:
        raise typer.Exit(int(code))


def chosen(names: Iterable[str], *, everything: bool, session: Session) -> list[str]:
    """The devices that were named, or all of the inventory."""
    listed = list(names)
    if bool(listed) == everything:
        raise UsageError("name devices, or say --all, not both", remedy="list them: accord device list")
    return listed or [device["name"] for device in session.client.get("devices")]
