"""Processes for tests that kill: forked from one that has read every module already, heard over a pipe to their end."""

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from tests.patience import PATIENCE_SECONDS

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.e2e.doomed_controller", "tests.e2e.doomed_negotiation"])


@dataclass(slots=True)
class Life:
    """What one process said before its end."""

    exit_code: int | None = None
    said: dict[str, Any] = field(default_factory=dict)


def begin(target: Callable[..., None], *arguments: object) -> tuple[Any, Connection]:
    """Start a process that is given its end of a pipe as the last argument; returns it and the other end."""
    hears, says = PROCESSES.Pipe()
    process = PROCESSES.Process(target=target, args=(*arguments, says))
    process.start()
    says.close()
    return process, hears


def listen(process: Any, hears: Connection, meanwhile: Callable[[str, Any], None] = lambda _word, _value: None) -> Life:
    """Hear (word, value) pairs until the process has ended; `meanwhile` is told each."""
    life = Life()
    try:
        while True:
            assert hears.poll(PATIENCE_SECONDS), f"the process says nothing more: {life}"
            word, value = hears.recv()
            life.said[word] = value
            meanwhile(word, value)
    except (EOFError, ConnectionResetError):
        process.join(PATIENCE_SECONDS)
    finally:
        if process.is_alive():
            process.kill()
    life.exit_code = process.exitcode
    return life
