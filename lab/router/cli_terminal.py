"""Owns: the terminal side of a CLI session: echo, line editing keys, line ends, the marker under a bad token.

The server echoes by itself, without wrapping, so that a client that checks its echo (netmiko) finds it whole.
"""

from typing import Protocol

_CTRL_C, _CTRL_D, _CTRL_U = "\x03", "\x04", "\x15"
_ERASE = "\x7f\x08"
MAX_LINE = 1_000_000


class Channel(Protocol):
    """What the terminal needs of an SSH channel."""

    async def read(self) -> str:
        """Some characters; empty at end of file."""

    def write(self, text: str) -> None:
        """Send characters as they are."""


class Terminal:
    """Reads edited lines and writes text with the line ends the client expects.

    With a pseudo terminal input is echoed and lines end in CR LF; without one there is no echo and lines end in LF.
    """

    def __init__(self, channel: Channel, *, has_pty: bool) -> None:
        self._channel = channel
        self._has_pty = has_pty
        self._pending = ""
        self._at = 0
        self._after_cr = False
        self._unsent: list[str] = []

    def write(self, text: str) -> None:
        """Send `text`, its LFs turned into the client's line ends, at the next read or `flush`."""
        self._unsent.append(text.replace("\n", "\r\n") if self._has_pty else text)

    def flush(self) -> None:
        """Send what was written so far in one piece: a packet for each echoed character would be costly."""
        if self._unsent:
            self._channel.write("".join(self._unsent))
            self._unsent.clear()

    async def read_line(self) -> str | None:
        """The next line without its end, an interrupted one (Ctrl-C) as empty; None at end of file."""
        line: list[str] = []
        while True:
            char = await self._next_char()
            if not char or (char == _CTRL_D and not line):
                return None
            if char in "\r\n":
                self._echo("\n")
                self.flush()
                return "".join(line)
            if char == _CTRL_C:
                self._echo("^C\n")
                return ""
            self._edit(line, char)

    async def _next_char(self) -> str:
        while True:
            if self._at == len(self._pending):
                self.flush()
                self._pending, self._at = await self._channel.read(), 0
                if not self._pending:
                    return ""
            char = self._pending[self._at]
            self._at += 1
            # CR LF is one line end, whether or not it comes in one piece.
            skip, self._after_cr = self._after_cr and char == "\n", char == "\r"
            if not skip:
                return char

    def _edit(self, line: list[str], char: str) -> None:
        if char in _ERASE:
            if line:
                line.pop()
                self._echo("\b \b")
        elif char == _CTRL_U:
            self._echo("\b \b" * len(line))
            line.clear()
        elif (char.isprintable() or char == "\t") and len(line) < MAX_LINE:
            line.append(char)
            self._echo(char)

    def _echo(self, text: str) -> None:
        if self._has_pty:
            self.write(text)


def marker(column: int, prompt_width: int) -> str:
    """The line that points at `column` of a command typed after a prompt of `prompt_width` characters."""
    return " " * (prompt_width + column) + "^"
