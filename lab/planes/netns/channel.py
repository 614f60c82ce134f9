"""Messages between the lab and its own processes in namespaces, over socket pairs that nobody else can reach.

Owns the framing: a length, then the object. Both ends are this package and belong to the same user, which is why
objects are pickled; nothing that arrived from a network is ever put on a channel unread.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_LENGTH = struct.Struct("=I")
_ANSWER_SECONDS = 120.0  # a thousand VRFs on a busy machine
_END_SECONDS = 5.0
READY = 0
"""The number of the answer that a process gives without being asked, when it has come up."""
_CHUNK_OCTETS = 1 << 18


class ProcessError(RuntimeError):
    """A process in a namespace could not do its work, or is gone; names it."""


@dataclass(frozen=True, slots=True)
class Question:
    """Asked by the lab; `number` comes back with the answer."""

    number: int
    content: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question; `error` says why there is none."""

    number: int
    content: Any = None
    error: str = ""


class ServerChannel:
    """The end of a process in a namespace: blocking, for one thread."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._received = b""

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def send(self, message: object) -> None:
        """Tell the lab something: an `Answer`, or news of its own."""
        data = pickle.dumps(message)
        self._socket.sendall(_LENGTH.pack(len(data)) + data)

    def receive(self) -> list[Any]:
        """The questions that have arrived; raises EOFError when the lab is gone."""
        chunk = self._socket.recv(_CHUNK_OCTETS)
        if not chunk:
            raise EOFError("the lab is gone")
        self._received += chunk
        found = []
        while len(self._received) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._received)
            if len(self._received) < _LENGTH.size + size:
                break
            found.append(pickle.loads(self._received[_LENGTH.size : _LENGTH.size + size]))  # noqa: S301 - our own end
            self._received = self._received[_LENGTH.size + size :]
        return found

    def answer(self, question: Question, handle: Callable[[Any], object]) -> None:
        """Answer a question with what `handle` makes of it; an OSError is the lab's to know."""
        try:
            self.send(Answer(question.number, handle(question.content)))
        except (OSError, KeyError, ValueError) as error:
            self.send(Answer(question.number, error=f"{type(error).__name__}: {error}"))


class Channel:
    """The lab's end: questions with answers, and news. Made by `open_channel`."""

    def __init__(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, news: Callable[[Any], None]
    ) -> None:
        self._name = name
        self._reader = reader
        self._writer = writer
        self._news = news
        self._asked = 0
        self._ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting: dict[int, asyncio.Future[Any]] = {READY: self._ready}
        self._task = asyncio.create_task(self._read())

    async def ready(self) -> Any:
        """What the process says when it has come up; raises `ProcessError` when it cannot."""
        try:
            return await asyncio.wait_for(self._ready, _ANSWER_SECONDS)
        except TimeoutError as error:
            raise ProcessError(f"{self._name} does not come up") from error

    async def ask(self, content: object) -> Any:
        """The answer; raises `ProcessError` when there is none."""
        if self._task.done():
            raise ProcessError(f"{self._name} has ended")
        self._asked += 1
        number = self._asked
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._send(Question(number, content))
        try:
            return await asyncio.wait_for(waiting, _ANSWER_SECONDS)
        except TimeoutError as error:
            raise ProcessError(f"{self._name} does not answer") from error
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        """Hang up, which ends the process, and wait until it is gone. Idempotent."""
        with contextlib.suppress(OSError):
            self._writer.write_eof()
        await asyncio.wait([self._task], timeout=_END_SECONDS)
        self._task.cancel()
        self._writer.close()

    def _send(self, message: object) -> None:
        data = pickle.dumps(message)
        self._writer.write(_LENGTH.pack(len(data)) + data)

    async def _read(self) -> None:
        try:
            while True:
                (size,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                self._hear(pickle.loads(await self._reader.readexactly(size)))  # noqa: S301 - our own end
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ProcessError(f"{self._name} has ended"))

    def _hear(self, message: object) -> None:
        if not isinstance(message, Answer):
            self._news(message)
            return
        waiting = self._waiting.get(message.number)
        if waiting is None or waiting.done():
            return
        if message.error:
            waiting.set_exception(ProcessError(f"{self._name}: {message.error}"))
        else:
            waiting.set_result(message.content)


async def open_channel(name: str, end: socket.socket, news: Callable[[Any], None]) -> Channel:
    """The lab's end of a socket pair; `news` hears what is not an answer."""
    end.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=end)
    return Channel(name, reader, writer, news)


def greeting(end: socket.socket) -> Answer:
    """What a process says when it has come up, for code without an event loop; raises EOFError or TimeoutError."""
    messages = ServerChannel(end).receive()
    while not messages:
        messages = ServerChannel(end).receive()
    first: Answer = messages[0]
    return first
