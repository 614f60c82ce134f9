"""Owns a CLI session behind the `DeviceSession` port.

The participant class is `IMMEDIATE`: a whole configuration session (edit, compare, commit) where the platform has one,
line by line where it has not. The entity tag is a digest of the running configuration, checked right before the change:
a narrower guard than RESTCONF's, for what has no better.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from controller.model.errors import (
    AccordError,
    BusyError,
    ConflictError,
    ConnectionFailedError,
    DeviceCause,
    DeviceRejectedError,
    InvalidInputError,
    NotSupportedError,
    OutcomeUnknownError,
)
from controller.ports import Capabilities, DeviceTarget, ParticipantClass, Reading, Transport, Warnings
from drivers.cli.platforms import Platform, platform_of
from drivers.cli.terminal import Terminal
from drivers.immediate import ImmediateSession
from drivers.threads import DeadlineError, DriverThreads

T = TypeVar("T")

DEFAULT_MAX_OUTPUT = 64 * 1024 * 1024
_CLOSE_SECONDS = 1.0


class ConfigurationMovedError(DeviceRejectedError, ConflictError):
    """Running is not what the entity tag stands for; nothing was sent."""


class CliSession(ImmediateSession):
    """One device over SSH; made by `CliConnector`."""

    lacks = "a configuration session commits by itself"

    def __init__(self, target: DeviceTarget, platform: Platform, terminal: Terminal, threads: DriverThreads) -> None:
        super().__init__(target)
        self._platform = platform
        self._terminal = terminal
        self._threads = threads

    @property
    def capabilities(self) -> Capabilities:
        """A CLI tells nothing about itself; the platform table does."""
        return Capabilities(transport=Transport.CLI, participant=ParticipantClass.IMMEDIATE)

    async def read(self, filters: Sequence[str] = ()) -> Reading:
        """The output of show commands; none means the whole running configuration, which comes with an entity tag."""
        if filters:
            return await self.read_state(filters)
        text = await self._call(lambda: self._terminal.show(self._platform.show_configuration), "read")
        return Reading(text.encode(), self._tag_of(text))

    async def read_state(self, filters: Sequence[str] = ()) -> Reading:
        """The output of show commands."""
        commands = tuple(filters) or self._platform.show_configuration
        if any("\n" in command or "\r" in command for command in commands):
            raise InvalidInputError("a show command is one line", device=self.device)
        return Reading((await self._call(lambda: self._terminal.show(commands), "read")).encode())

    async def apply(self, edit: bytes, entity_tag: str = "") -> Warnings:
        """Carry out command lines (UTF-8, one a line).

        Raises `DeviceRejectedError` with the device's words; tag `partial-operation` when the platform has no
        configuration session and lines before the refused one hold. `ConfigurationMovedError` for a stale entity tag.
        """
        lines = _lines(edit)
        return await self._call(lambda: self._apply(lines, entity_tag), "apply")

    async def compare(self, edit: bytes) -> str:
        """What an edit would change, as the device itself shows it; nothing is changed."""
        lines = _lines(edit)
        return await self._call(lambda: self._terminal.compare(lines), "compare")

    async def notifications(self) -> AsyncIterator[bytes]:
        """Refused: a CLI has none."""
        await self.subscribe()
        yield b""

    async def subscribe(self) -> AsyncIterator[bytes]:
        """Refused: a CLI has none."""
        raise NotSupportedError("a CLI has no notifications", tag="operation-not-supported", device=self.device)

    async def close(self) -> None:
        """Close; a pending call fails at once. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._terminal.stop_waiting()
        try:
            await self._threads.run(self._terminal.hang_up, deadline_seconds=_CLOSE_SECONDS, abort=self._terminal.cut)
        except (BusyError, DeadlineError):
            self._terminal.cut()

    async def _call(self, job: Callable[[], T], name: str) -> T:
        self._must_be_open()
        seconds = self._target.rpc_timeout_seconds * 10
        try:
            return await self._threads.run(job, deadline_seconds=seconds, abort=self._terminal.cut)
        except DeadlineError:
            raise OutcomeUnknownError(
                f"{name}: not done within {seconds:g} s", remedy="read back before deciding", device=self.device
            ) from None

    def _apply(self, lines: list[str], entity_tag: str) -> tuple[DeviceCause, ...]:
        if entity_tag and self._tag_of(self._terminal.show(self._platform.show_configuration)) != entity_tag:
            raise ConfigurationMovedError(
                "running has changed since it was read", remedy="read it and plan again", device=self.device
            )
        return self._terminal.apply(lines)

    def _tag_of(self, text: str) -> str:
        lines = text.splitlines()
        telling = [line for line in lines if line.strip() and not re.match(self._platform.comments, line)]
        return hashlib.sha256("\n".join(telling).encode()).hexdigest()


class CliConnector:
    """Opens CLI sessions; `max_output_characters` bounds what one call may read."""

    def __init__(self, threads: DriverThreads, *, max_output_characters: int = DEFAULT_MAX_OUTPUT) -> None:
        self._threads = threads
        self._max_output = max_output_characters

    async def connect(self, target: DeviceTarget) -> CliSession:
        """Log in by netmiko; `target.device_type` is one of netmiko's, `juniper_junos` when empty."""
        platform = platform_of(target.device_type)
        terminal = Terminal(target, platform, max_output_characters=self._max_output)
        seconds = target.connect_timeout_seconds * 4
        try:
            await self._threads.run(terminal.login, deadline_seconds=seconds, abort=terminal.cut)
        except DeadlineError:
            raise ConnectionFailedError(f"no login within {seconds:g} s", device=target.name) from None
        except (AccordError, asyncio.CancelledError):
            terminal.cut()
            raise
        return CliSession(target, platform, terminal, self._threads)


def _lines(edit: bytes) -> list[str]:
    try:
        return [line for line in edit.decode().splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"a CLI edit is UTF-8 text: {error}") from error
