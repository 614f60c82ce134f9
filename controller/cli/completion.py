"""Owns `accord completion`: the script that teaches a shell to complete `accord`."""

from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import (  # type: ignore[attr-defined]  # there since 0.4, exported by no `__all__`
    completion_init,
    get_completion_script,
)

from controller.cli.session import Session, command

_VARIABLE = "_ACCORD_COMPLETE"


class Shell(StrEnum):
    """Shells that are known."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def register(app: typer.Typer) -> None:
    """Add the command, and answer the shells that ask."""
    completion_init()
    command(
        app,
        "completion",
        "completion bash > ~/.local/share/bash-completion/completions/accord",
        "completion zsh > ~/.zfunc/_accord",
        "completion fish > ~/.config/fish/completions/accord.fish",
    )(completion)


def completion(session: Session, shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish")]) -> None:
    """Print the completion script of a shell; it completes names of devices too, when the daemon answers quickly."""
    script = get_completion_script(prog_name="accord", complete_var=_VARIABLE, shell=shell.value)
    session.terminal.write(f"{script}\n")
