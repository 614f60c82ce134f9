"""Owns: the CLI over SSH: listener, terminal sessions, single commands, faults.

It speaks in the style of Junos, because netmiko's `juniper_junos` then works unmodified: its session preparation
(`set cli screen-width`, `screen-length`, `complete-on-space`), prompts, configuration-mode checks (`]` above a `#`
prompt), the question about uncommitted changes, and `commit()` with its markers. Checked against netmiko 4.8.
"""

import asyncio
import codecs
from collections.abc import Mapping
from datetime import UTC, datetime

import asyncssh

from lab.router.cli_candidate import CommitHistory
from lab.router.cli_commands import CliContext, CommandLine
from lab.router.cli_terminal import Terminal
from lab.router.fault_actor import DroppedError, FaultActor, SilencedError
from lab.router.managed import ManagedRouter
from lab.router.rpc_errors import RpcError
from lab.router.ssh_login import LoginServer
from lab.router.ssh_server import SshServer


class CliServer(SshServer):
    """One router's CLI over SSH."""

    def __init__(self, router: ManagedRouter, port: int = 0) -> None:
        super().__init__(router, port)
        self._router = router
        self._history = CommitHistory(router.store, lambda: datetime.now(UTC))

    def session(self, login: LoginServer) -> "CliSession":
        """A terminal or a single command."""
        return CliSession(self._router, self._history, login)


class CliSession(asyncssh.SSHServerSession[bytes]):
    """One SSH channel: a terminal session, or a single command given with the request."""

    def __init__(self, router: ManagedRouter, history: CommitHistory, login: LoginServer) -> None:
        self._router = router
        self._history = history
        self._login = login
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._input: asyncio.Queue[str] = asyncio.Queue()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._has_pty = False
        self._command: str | None = None
        self._session_id = 0
        self._worker: asyncio.Task[None] | None = None

    # -- SSH

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """Keep the channel to write to."""
        self._channel = chan

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]
    ) -> bool:
        """Be a terminal: echo input, end lines in CR LF."""
        del term_type, term_size, term_modes
        self._has_pty = True
        return True

    def shell_requested(self) -> bool:
        """Serve a terminal session."""
        return True

    def exec_requested(self, command: str) -> bool:
        """Serve a single command."""
        self._command = command
        return True

    def session_started(self) -> None:
        """Open the management session and start serving."""
        self._session_id = self._router.sessions.open(
            self._login.username, "cli", self._login.drop, source_host=self._login.source_host
        )
        self._worker = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Queue input."""
        del datatype
        text = self._decoder.decode(data)
        if text:
            self._input.put_nowait(text)

    def eof_received(self) -> bool:
        """Let what was typed be carried out before the channel closes."""
        self._input.put_nowait("")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """End the session with its channel."""
        del exc
        if self._worker is not None:
            self._worker.cancel()
        self._router.sessions.close(self._session_id)

    # -- what the terminal needs

    async def read(self) -> str:
        """Wait for input; empty at end of file."""
        return await self._input.get()

    def write(self, text: str) -> None:
        """Send output."""
        if self._channel is not None:
            self._channel.write(text.encode())

    # -- serving

    async def _serve(self) -> None:
        terminal = Terminal(self, has_pty=self._has_pty)
        context = CliContext(self._router, self._history, self._session_id, self._login.username)
        try:
            if self._command is not None:
                await self._run(terminal, CommandLine(context), self._command)
            else:
                await self._converse(terminal, context)
        except DroppedError:
            self._login.drop()
            return
        except SilencedError:
            return  # the channel stays open, and nobody answers any more
        finally:
            if context.workspace is not None and self._router.sessions.get(self._session_id) is not None:
                context.workspace.close()
        terminal.flush()
        if self._channel is not None:
            self._channel.exit(0)

    async def _converse(self, terminal: Terminal, context: CliContext) -> None:
        commands = CommandLine(context)
        while not context.closed:
            terminal.write(context.prompt())
            line = await terminal.read_line()
            if line is None:
                return
            await self._run(terminal, commands, line)

    async def _run(self, terminal: Terminal, commands: CommandLine, line: str) -> None:
        actor = FaultActor(self._router, f"cli-{(line.split() or ['empty'])[0]}")
        try:
            await actor.at("before")
            text = commands.execute(line)
            await actor.at("after")
            await actor.at("reply")
        except RpcError as error:
            text = f"error: {error.message}\n"
        if self._router.profile.quirks.slow_replies:
            await asyncio.sleep(self._router.profile.quirks.slow_replies)
        actor.check_reply()
        if actor.warning:
            text = f"warning: {actor.warning}\n{text}"
        await self._send(terminal, actor.shaped(text), actor.piece_octets)

    async def _send(self, terminal: Terminal, text: str, piece: int | None) -> None:
        if piece is None:
            terminal.write(text)
            return
        for start in range(0, len(text), piece):
            terminal.write(text[start : start + piece])
            terminal.flush()
            await asyncio.sleep(0)
