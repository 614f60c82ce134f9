"""Owns one netmiko connection: login, commands, configuration sessions. Blocking; runs in the driver threads."""

import contextlib
import re
import socket
import time
from typing import Any

import paramiko  # type: ignore[import-untyped]  # ships no types
from netmiko import ConnectHandler
from netmiko.base_connection import BaseConnection
from netmiko.exceptions import NetmikoAuthenticationException, ReadException, ReadTimeout, WriteException

from controller.model.errors import (
    AccordError,
    AuthenticationFailedError,
    ConnectionFailedError,
    DeviceCause,
    DeviceRejectedError,
    InvalidInputError,
    LockedError,
    NotSupportedError,
    OutcomeUnknownError,
    ProtocolViolationError,
)
from controller.ports import DeviceTarget
from drivers.cli.channel import OutputTooLargeError, WatchedChannel
from drivers.cli.hostkeys import RefuseUnknownHosts, UnknownHostKeyError, private_key, trusted_keys_file
from drivers.cli.platforms import CandidateCommands, Platform

_TROUBLE = (ReadException, WriteException, paramiko.SSHException, OSError, EOFError, ValueError)


_POLL_SECONDS = 0.05
"""How soon a call that waits for an answer notices that it was cut."""


class Terminal:
    """A logged-in CLI. Every method may block, for the target's time-outs at most."""

    def __init__(self, target: DeviceTarget, platform: Platform, *, max_output_characters: int) -> None:
        self._target = target
        self._platform = platform
        self._limit = max_output_characters
        self._connection: BaseConnection | None = None
        self._channel: WatchedChannel | None = None
        self._is_cut = False

    def cut(self) -> None:
        """End the connection without waiting; a call that waits fails soon. Safe from any thread, idempotent."""
        self.stop_waiting()
        client = self._connection.remote_conn_pre if self._connection is not None else None
        transport = client.get_transport() if client is not None else None
        if transport is not None:
            with contextlib.suppress(OSError):
                # paramiko's own close waits for its thread; that thread ends by itself when the socket does.
                transport.sock.shutdown(socket.SHUT_RDWR)

    def stop_waiting(self) -> None:
        """Let a call that waits fail at once; the connection stays until `hang_up`."""
        self._is_cut = True
        if self._channel is not None:
            self._channel.cut()

    def hang_up(self) -> None:
        """Close the SSH session politely."""
        self.stop_waiting()
        if self._connection is not None:
            # The peer may be gone already, which is as good.
            with contextlib.suppress(*_TROUBLE):
                self._connection.paramiko_cleanup()
        self.cut()

    def login(self) -> None:
        """Connect, verify the host key, log in, and let netmiko prepare the terminal."""
        target = self._target
        try:
            with trusted_keys_file(target) as trusted:
                connection = ConnectHandler(**self._parameters(trusted))
                self._connection = connection
                connection.key_policy = RefuseUnknownHosts()
                connection._modify_connection_params()  # noqa: SLF001  # a step of netmiko's own _open
                connection.establish_connection()
            self._watch(connection)
            connection.write_channel(connection.RETURN)
            connection.session_preparation()
            connection.read_timeout_override = target.rpc_timeout_seconds
        except AccordError:
            self.cut()
            raise
        except (*_TROUBLE, OutputTooLargeError, paramiko.AuthenticationException) as error:
            self.cut()
            raise self._login_error(error) from error

    def _parameters(self, trusted: str) -> dict[str, Any]:
        target = self._target
        key = private_key(target.private_key, target.name) if target.private_key else None
        seconds = target.connect_timeout_seconds
        return {
            "device_type": self._platform.device_type,
            "host": target.hostname,
            "port": target.port,
            "username": target.username,
            "password": target.password.reveal() if target.password else None,
            "pkey": key,
            "ssh_strict": True,
            "system_host_keys": not trusted,
            "alt_host_keys": bool(trusted),
            "alt_key_file": trusted,
            "conn_timeout": seconds,
            "banner_timeout": seconds,
            "auth_timeout": seconds,
            "read_timeout_override": seconds,
            "keepalive": target.keepalive_seconds,
            "auto_connect": False,
        }

    def _watch(self, connection: BaseConnection) -> None:
        self._channel = WatchedChannel(connection.remote_conn, connection.encoding, self._limit)
        connection.channel = self._channel
        if self._is_cut:
            self._channel.cut()

    def _login_error(self, error: BaseException) -> AccordError:
        name = self._target.name
        cause = error.__context__ or error
        if isinstance(cause, UnknownHostKeyError | paramiko.BadHostKeyException):
            return AuthenticationFailedError(
                f"the host key is not accepted: {cause}", remedy="check and pin the device's host_key", device=name
            )
        if isinstance(error, NetmikoAuthenticationException | paramiko.AuthenticationException):
            return AuthenticationFailedError("user name, password or key not accepted", device=name)
        where = f"{self._target.hostname}:{self._target.port}"
        return ConnectionFailedError(f"cannot log in to {where}: {_first_line(cause)}", device=name)

    def show(self, commands: tuple[str, ...]) -> str:
        """The outputs of show commands, one after the other; a refused one raises `DeviceRejectedError`."""
        self._begin()
        outputs: list[str] = []
        for command in commands:
            output = self._send(command)
            if errors := [cause for cause in self._platform.problems(output) if _is_refusal(cause, output)]:
                raise self._rejected(command, tuple(errors))
            outputs.append(output)
        return "\n".join(outputs)

    def apply(self, lines: list[str]) -> tuple[DeviceCause, ...]:
        """Carry out configuration lines; return the device's warnings."""
        self._check(lines)
        self._begin()
        if self._platform.candidate is None:
            return self._apply_at_once(lines)
        warnings, difference = self._load(self._platform.candidate, lines)
        if difference:
            warnings += self._commit(self._platform.candidate)
        self._leave(self._platform.candidate)
        return warnings

    def compare(self, lines: list[str]) -> str:
        """What the lines would change, in the device's words; nothing is changed."""
        self._check(lines)
        candidate = self._platform.candidate
        if candidate is None:
            raise NotSupportedError("this platform has no configuration session", device=self._target.name)
        self._begin()
        _, difference = self._load(candidate, lines)
        self._send(candidate.discard)
        self._leave(candidate)
        return difference

    def _apply_at_once(self, lines: list[str]) -> tuple[DeviceCause, ...]:
        self._in_terms(self._terminal.config_mode)
        warnings: list[DeviceCause] = []
        for done, line in enumerate(lines):
            problems = self._platform.problems(self._type(line))
            if any(problem.severity == "error" for problem in problems):
                self._in_terms(self._terminal.exit_config_mode)
                raise self._rejected(line, problems, done=done)
            warnings += problems
        self._in_terms(self._terminal.exit_config_mode)
        return tuple(warnings)

    def _load(self, candidate: CandidateCommands, lines: list[str]) -> tuple[tuple[DeviceCause, ...], str]:
        self._enter(candidate)
        warnings: tuple[DeviceCause, ...] = ()
        for line in lines:
            problems = self._platform.problems(self._type(line))
            if any(problem.severity == "error" for problem in problems):
                self._back_out(candidate)
                raise self._rejected(line, problems)
            warnings += problems
        return warnings, self._send(candidate.compare).strip()

    def _enter(self, candidate: CandidateCommands) -> None:
        answer = self._send(candidate.enter)
        held = re.search(candidate.locked, answer) if candidate.locked else None
        if held:
            holder = held[1] or "somebody else"
            raise LockedError(
                f"the configuration is being edited by {holder}",
                tag="lock-denied",
                app_tag=held[1] or "",
                device=self._target.name,
            )
        problems = self._platform.problems(answer)
        if any(problem.severity == "error" for problem in problems):
            raise self._rejected(candidate.enter, problems)
        self._send(candidate.discard)

    def _commit(self, candidate: CandidateCommands) -> tuple[DeviceCause, ...]:
        answer = self._send(candidate.commit)
        problems = self._platform.problems(answer)
        if candidate.committed not in answer or any(problem.severity == "error" for problem in problems):
            self._back_out(candidate)
            raise self._rejected(candidate.commit, problems or (DeviceCause("operation-failed", answer.strip()),))
        return problems

    def _back_out(self, candidate: CandidateCommands) -> None:
        self._send(candidate.discard)
        self._leave(candidate)

    def _leave(self, candidate: CandidateCommands) -> None:
        self._send(candidate.leave)

    def _check(self, lines: list[str]) -> None:
        for line in lines:
            if len(line) > self._platform.max_line or not line.isprintable():
                raise InvalidInputError(
                    f"a command line must be printable and at most {self._platform.max_line} characters",
                    path=line[:80],
                    device=self._target.name,
                )

    @property
    def _terminal(self) -> BaseConnection:
        if self._connection is None or self._channel is None or self._is_cut:
            raise ConnectionFailedError("the session is closed", device=self._target.name)
        return self._connection

    def _begin(self) -> None:
        terminal = self._terminal
        if self._channel is not None:
            if not self._channel.is_open:
                raise ConnectionFailedError("the device closed the session", device=self._target.name)
            self._channel.begin()
        # What came unasked (a log line, a broadcast) is not part of an answer.
        self._in_terms(terminal.clear_buffer)

    @property
    def _prompt(self) -> str:
        return rf"{re.escape(self._terminal.base_prompt)}[^\n]*[>#$] ?$"

    def _type(self, line: str) -> str:
        """Give one configuration line and return the answer: as `_send`, without its waiting."""
        terminal, channel = self._terminal, self._channel
        answered = re.compile(rf"{re.escape(line.strip())}([\s\S]*{self._prompt})")

        def exchange() -> str:
            terminal.write_channel(terminal.normalize_cmd(line))
            ends = time.monotonic() + self._target.rpc_timeout_seconds
            output = ""
            while (answer := answered.search(output)) is None:
                if channel is None or time.monotonic() > ends:
                    raise ReadTimeout(f"no prompt after {line!r}")
                channel.wait(_POLL_SECONDS)
                output += terminal.read_channel()
            return str(terminal.strip_prompt(answer[1]))

        return str(self._in_terms(exchange))

    def _send(self, command: str) -> str:
        prompt = rf"{re.escape(self._terminal.base_prompt)}[^\n]*[>#$] ?$"
        output = str(
            self._in_terms(
                self._terminal.send_command,
                command,
                expect_string=prompt,
                read_timeout=self._target.rpc_timeout_seconds,
                strip_command=True,
                strip_prompt=False,
            )
        )
        # netmiko drops the whole last line: what a device wrote right before its prompt gets a line of its own first.
        alone = "\n" + self._terminal.base_prompt
        return str(self._terminal.strip_prompt(re.sub(prompt, lambda _: alone, output)))

    def _in_terms(self, function: Any, *arguments: Any, **options: Any) -> Any:
        """Call netmiko and put its trouble in the words of our error tree; the session is at an end then."""
        try:
            return function(*arguments, **options)
        except OutputTooLargeError as error:
            self.cut()
            raise ProtocolViolationError(str(error), tag="too-big", device=self._target.name) from error
        except _TROUBLE as error:
            has_sent = self._channel is not None and self._channel.has_sent
            self.cut()
            why = "no answer in time" if isinstance(error, ReadTimeout) else _first_line(error)
            if has_sent:
                raise OutcomeUnknownError(
                    f"no complete answer: {why}", remedy="read back before deciding", device=self._target.name
                ) from error
            raise ConnectionFailedError(why, device=self._target.name) from error

    def _rejected(self, command: str, causes: tuple[DeviceCause, ...], *, done: int = 0) -> DeviceRejectedError:
        words = "; ".join(cause.message for cause in causes)
        error = DeviceRejectedError(f"'{command}' was refused: {words}", path=command, device=self._target.name)
        error.causes = causes
        if done:
            error.tag = "partial-operation"
            error.remedy = f"the {done} commands before it were carried out: read back and undo them"
        return error


def _is_refusal(cause: DeviceCause, output: str) -> bool:
    # A configuration may hold words like an error's; a refusal is all there is.
    return cause.severity == "error" and len(output.strip().splitlines()) <= 3


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
