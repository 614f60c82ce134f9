"""Owns: what follows a `|`: another display of a configuration, or a filter on the lines of the answer."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from lab.router.cli_tokens import CliError, Token

_DISPLAYS = ("set", "xml", "json")

Filter = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Pipes:
    """`display` is braces, set, xml, json or compare; `against` the rollback number to compare with."""

    display: str = "braces"
    against: int = 0
    filters: tuple[Filter, ...] = ()


def split_pipes(tokens: list[Token]) -> tuple[list[Token], Pipes]:
    """The words before the first pipe, and what the pipes ask for. Raises `CliError` for a pipe that is not known."""
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token.is_word("|"):
            parts.append([])
            last = token.column
        else:
            parts[-1].append(token)
    pipes = Pipes()
    for part in parts[1:]:
        pipes = _with(pipes, part, last)
    return parts[0], pipes


def _with(pipes: Pipes, part: list[Token], column: int) -> Pipes:
    if not part:
        raise CliError("a pipe needs display, compare, match, except, count or no-more", column + 1)
    words = [token.text for token in part]
    if words[0] == "display" and words[1:] and words[1] in _DISPLAYS and len(words) == 2:
        return Pipes(words[1], pipes.against, pipes.filters)
    if words == ["compare"]:
        return Pipes("compare", 0, pipes.filters)
    if words[:2] == ["compare", "rollback"] and len(words) == 3 and words[2].isdecimal():
        return Pipes("compare", int(words[2]), pipes.filters)
    if words == ["no-more"]:
        return pipes
    return Pipes(pipes.display, pipes.against, (*pipes.filters, _filter(part)))


def _filter(part: list[Token]) -> Filter:
    words = [token.text for token in part]
    if words == ["count"]:
        return lambda text: f"Count: {len(text.splitlines())} lines\n"
    if words[0] in {"match", "except"} and len(words) == 2:
        try:
            pattern = re.compile(words[1])
        except re.error as error:
            raise CliError(f"'{words[1]}' is no regular expression: {error}", part[1].column) from None
        wanted = words[0] == "match"
        return lambda text: "".join(
            line for line in text.splitlines(keepends=True) if bool(pattern.search(line)) is wanted
        )
    raise CliError(f"'{' '.join(words)}' is not known after a pipe", part[0].column)
