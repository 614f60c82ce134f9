"""Owns the `accord` command: its nouns, its global options, and how errors become messages and exit codes."""

import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any

import typer

from controller.cli import (
    agreement,
    assurance,
    audit,
    bench,
    change,
    completion,
    config,
    device,
    event,
    explain,
    intent,
    ledger,
    market,
    optical,
    quote,
    recovery,
    scenario,
    serve,
    service,
    staged,
    status,
    telemetry,
    token,
    topology,
    transaction,
    tunnel,
    twin,
    wallet,
)
from controller.cli.connection import Preferences
from controller.cli.exits import ApiError, Exit, exit_of
from controller.cli.plugins import PluginGroup, missing
from controller.cli.session import CaOption, ColorOption, OutputOption, TokenFileOption, UrlOption
from controller.cli.terminal import Color, Terminal
from controller.model.errors import AccordError, DeviceRejectedError

_HELP = """An autonomous network controller: intent in, one provable transaction out.

\b
Examples:
  accord intent submit "Connect London and Paris with 200 Mbit/s for acme"
  accord diff plan-7
  accord commit plan-7 --comment "first site pair"
  accord transaction list
  accord rollback tx-3
  accord device check-sync --all

\b
Exit codes: 0 done, 1 failure, 2 a difference (--detailed-exitcode), 3 rolled back, 4 refused,
64 usage, 69 daemon unreachable, 77 no permission, 78 bad configuration.

\b
Defaults for --url, --token-file, --ca, --output and --color stand in ~/.config/accord/cli.yaml.
"""
_INTERRUPTED = 130
"""128 and SIGINT, as shells have it."""
_UsageFault: type[Exception] = typer.BadParameter.__mro__[2]
"""The library's base of complaints about the command line; it has no public name."""

app = typer.Typer(
    name="accord", cls=PluginGroup, help=_HELP, no_args_is_help=True, rich_markup_mode=None, add_completion=False
)
quote.register_negotiate(intent.app)
for noun in (serve, status, change, quote, completion):
    noun.register(app)
for noun_app in (
    intent.app,
    service.app,
    transaction.app,
    staged.app,
    tunnel.app,
    device.app,
    event.app,
    audit.app,
    bench.app,
    config.app,
    token.app,
    topology.app,
    optical.app,
    twin.app,
    market.app,
    telemetry.app,
    recovery.app,
    recovery.inbox,
    agreement.app,
    scenario.app,
    wallet.app,
    ledger.app,
    assurance.app,
    explain.app,
):
    app.add_typer(noun_app)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"accord {version('accord')}")
        raise typer.Exit


@app.callback()
def _accord(
    ctx: typer.Context,
    *,
    output: OutputOption = None,
    url: UrlOption = "",
    token_file: TokenFileOption = None,
    ca: CaOption = None,
    color: ColorOption = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    ctx.obj = Preferences(url, token_file, ca, output, color)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `accord`; returns the exit code and lets no traceback of a foreseen error out."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return run(words)
    except BrokenPipeError:
        # Whoever read our output went away; pointing stdout elsewhere keeps the interpreter's exit quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.OK)


def run(words: Sequence[str]) -> int:
    """One command; every error that can be foreseen is a message on stderr and an exit code."""
    terminal = Terminal(color=_color(words))
    try:
        command: Any = typer.main.get_command(app)
        code = command.main(args=list(words), prog_name="accord", standalone_mode=False)
    except BrokenPipeError:
        raise
    except (AccordError, _UsageFault, ModuleNotFoundError, OSError, UnicodeDecodeError) as error:
        return int(_tell(terminal, error, words))
    except (typer.Abort, KeyboardInterrupt):
        terminal.say("stopped")
        return _INTERRUPTED
    return code if isinstance(code, int) else int(Exit.OK)


def _tell(terminal: Terminal, error: Exception, words: Sequence[str]) -> Exit:
    """Say what went wrong; the exit code."""
    match error:
        case AccordError():
            terminal.fail(_headline(error), *_more(error))
            return exit_of(error)
        case ModuleNotFoundError():
            complaint = missing(error, words[0] if words else "dev")
            terminal.fail(complaint.message, complaint.remedy)
        case PermissionError():
            terminal.fail(f"{error.filename}: {error.strerror}")
            return Exit.NO_PERMISSION
        case OSError() | UnicodeDecodeError():
            terminal.fail(str(error))
        case _:
            _tell_usage(terminal, error)
            return Exit.USAGE
    return Exit.FAILURE


def _color(words: Sequence[str]) -> Color:
    """Errors come before the options are known, so they are looked for by hand."""
    for word, following in pairwise([*words, ""]):
        value = following if word == "--color" else word.removeprefix("--color=") if "--color=" in word else ""
        if value in set(Color):
            return Color(value)
    return Color.AUTO


def _headline(error: AccordError) -> str:
    where = f"{error.device}: " if error.device else ""
    at = f" (at {error.path})" if error.path and error.path not in error.message else ""
    return f"{where}{error.message}{at}"


def _more(error: AccordError) -> list[str]:
    causes: list[str] = []
    if isinstance(error, ApiError):
        causes = list(error.causes)
    elif isinstance(error, DeviceRejectedError):
        causes = [cause.message for cause in error.causes]
    return [line for line in (*causes, error.remedy) if line]


def _tell_usage(terminal: Terminal, error: Any) -> None:
    """The library would exit with 2, which here means that there is a difference."""
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the whole help
        terminal.say(message)
        return
    path = context.command_path if context is not None else "accord"
    terminal.fail(message, f"see '{path} --help'")


if __name__ == "__main__":
    sys.exit(main())
