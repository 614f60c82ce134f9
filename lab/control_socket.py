"""The control socket of a lab that runs in another process: JSON lines over a Unix socket, one answer a request.

Owns the wire: `{"operation": NAME, ...}` is answered by `{"ok": true, "result": ...}` or `{"ok": false, "error": ...}`.
Only the user who started the lab can connect (the socket has mode 0600).
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOCKET = "control.sock"
DEFAULT_DIRECTORY = "./var/lab"
DIRECTORY_VARIABLE = "ACCORD_LAB_DIR"
_LONGEST_LINE = 16 * 1024 * 1024
_LONGEST_PATH = 100  # sockaddr_un holds 108 octets

Handler = Callable[[str, Mapping[str, Any]], Awaitable[Any]]
"""Carries out an operation with its members; raises `ControlError` to refuse it."""


class ControlError(Exception):
    """A request that was refused, or a lab that does not answer; says which and what to do."""


class ControlServer:
    """Listens in a directory and hands each request to the handler, one at a time per connection."""

    def __init__(self, directory: Path, handler: Handler) -> None:
        self._directory = directory
        self._handler = handler
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; a socket left behind by a lab that died is replaced."""
        (self._directory / SOCKET).unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            with _short_path(self._directory) as path:
                self._server = await asyncio.start_unix_server(self._serve, path, limit=_LONGEST_LINE)
        finally:
            os.umask(mask)

    async def stop(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            (self._directory / SOCKET).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                answer = await self._answer(line)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # the client went away, or sent a line beyond all measure: there is nobody to tell
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except ValueError as error:
            return {"ok": False, "error": f"the request is not JSON: {error}"}
        if not isinstance(request, dict) or not isinstance(operation := request.pop("operation", None), str):
            return {"ok": False, "error": 'a request is an object with an "operation"'}
        try:
            return {"ok": True, "result": await self._handler(operation, request)}
        except ControlError as error:
            return {"ok": False, "error": str(error)}


def ask(directory: Path, operation: str, *, timeout_seconds: float = 30.0, **members: Any) -> Any:
    """Send one request to the lab of that directory and return the result.

    Raises `ControlError` when no lab runs there, when it does not answer in time, and with its words when it refuses.
    """
    line = json.dumps({"operation": operation, **members}).encode() + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_seconds)
        try:
            with _short_path(directory) as path:
                connection.connect(path)
            connection.sendall(line)
            with connection.makefile("rb") as answers:
                answer = json.loads(answers.readline())
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise ControlError(f"no lab is running in {directory}: start one with `accord lab up`") from error
        except (OSError, ValueError) as error:
            raise ControlError(f"the lab in {directory} does not answer: {error or type(error).__name__}") from error
    if not answer["ok"]:
        raise ControlError(answer["error"])
    return answer["result"]


def lab_directory(given: Path | None = None) -> Path:
    """The directory given, else that of the environment, else the default below the working directory."""
    return given or Path(os.environ.get(DIRECTORY_VARIABLE) or DEFAULT_DIRECTORY)


def is_running(directory: Path) -> bool:
    """Whether a lab answers there."""
    try:
        ask(directory, "status")
    except ControlError:
        return False
    return True


@contextmanager
def _short_path(directory: Path) -> Iterator[str]:
    """The socket's path, through a file descriptor of the directory where it is too long for a socket address."""
    path = directory.resolve() / SOCKET
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)
