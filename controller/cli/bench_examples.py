"""Owns example files for `accord bench`: what a series and a scenario look like, to begin one's own from."""

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from controller.cli.exits import UsageError
from controller.model.errors import InvalidInputError

_BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
_HOURS = 24 * 21
_STANDARD_OUTPUT = "-"


def series_example() -> str:
    """Three weeks of two links' loads, hour by hour, in Mbit/s; a few readings are missing. The same every time."""
    return "time,series,value\n" + "".join(_readings())


def _readings() -> Iterator[str]:
    draw = random.Random(7)  # noqa: S311 - an example, no secret
    for hour in range(_HOURS):
        time = (_BEGIN + timedelta(hours=hour)).isoformat()
        is_working_day = hour // 24 % 7 < 5
        for name, usual, phase in (("paris-lyon", 400.0, 0.0), ("lyon-madrid", 250.0, 1.5)):
            day = 0.6 * math.sin(2 * math.pi * (hour - 8) / 24 + phase) * (1.0 if is_working_day else 0.4)
            value = usual * (1 + day + 0.05 * draw.gauss(0, 1))
            if draw.random() > 0.01:
                yield f"{time},{name},{value:.1f}\n"


def scenario_example() -> str:
    """The scenario that travels with the program."""
    from controller.adapters.resources import shared_directory

    return (shared_directory("config") / "lab" / "localise.yaml").read_text(encoding="utf-8")


def is_to_be_written(example: str, asked: Path | None, option: str) -> bool:
    """Whether an example is asked for, and not a file to be judged; one of them has to be."""
    if bool(example) == (asked is not None):
        both = f"{option} FILE and --example FILE exclude each other" if example else f"there is no {option} FILE"
        raise UsageError(both, remedy=f"give a file by {option}, or have one written to begin with: --example FILE")
    return bool(example)


def keep(text: str, example: str) -> None:
    """Write the example into a file that is not there yet."""
    try:
        with Path(example).open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InvalidInputError("it is there already", path=example, remedy="name another file, or -") from None
    except OSError as error:
        raise InvalidInputError(f"cannot be written: {error.strerror}", path=example) from None


def is_standard_output(example: str) -> bool:
    """Whether the example is to be printed."""
    return example == _STANDARD_OUTPUT
