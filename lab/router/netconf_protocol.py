"""Owns NETCONF's framing and message envelopes (RFC 6242 sections 4.1 and 4.2, RFC 6241 section 4)."""

import re
from collections.abc import Sequence
from typing import Protocol

END = b"]]>]]>"
_CHUNK_HEADER = re.compile(rb"\n#(?:([1-9][0-9]{0,9})|(#))\n")
_LONGEST_HEADER = 13  # LF, '#', ten digits, LF
_MAX_CHUNK = 4_294_967_295


class FramingError(Exception):
    """The peer's octets are not a frame; nothing after them can be trusted (RFC 6242 section 4.2).

    `messages` holds those that were complete before.
    """

    def __init__(self, message: str, messages: Sequence[bytes] = ()) -> None:
        super().__init__(message)
        self.messages = tuple(messages)


class Framer(Protocol):
    """Cuts a byte stream into messages and wraps messages for sending."""

    def feed(self, octets: bytes) -> list[bytes]:
        """Take octets as they come and return the messages that are now complete."""
        ...

    def wrap(self, message: bytes) -> bytes:
        """Return a message as it goes on the wire."""
        ...

    def rest(self) -> bytes:
        """Return what was fed and belongs to no message yet."""
        ...


class EndOfMessage:
    """The framing of base:1.0, and of every hello: messages end in ]]>]]>."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, octets: bytes) -> list[bytes]:
        """Take octets as they come and return the messages that are now complete."""
        searched = max(0, len(self._buffer) - len(END) + 1)
        self._buffer += octets
        messages = []
        while (end := self._buffer.find(END, searched)) >= 0:
            messages.append(bytes(self._buffer[:end]))
            del self._buffer[: end + len(END)]
            searched = 0
        return messages

    def feed_one(self, octets: bytes) -> bytes | None:
        """Take octets and return the first complete message; what follows it stays in `rest` (hello exchange)."""
        self._buffer += octets
        end = self._buffer.find(END)
        if end < 0:
            return None
        message = bytes(self._buffer[:end])
        del self._buffer[: end + len(END)]
        return message

    def wrap(self, message: bytes) -> bytes:
        """Return a message as it goes on the wire."""
        return message + END

    def rest(self) -> bytes:
        """Return what was fed and belongs to no message yet."""
        return bytes(self._buffer)


class Chunked:
    """The framing of base:1.1: chunks with their length, ended by a line of two hashes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._message = bytearray()
        self._missing = 0  # octets of the current chunk still to come

    def feed(self, octets: bytes) -> list[bytes]:
        """Take octets as they come and return the messages that are now complete. Raises FramingError."""
        self._buffer += octets
        messages: list[bytes] = []
        try:
            while self._step(messages):
                pass
        except FramingError as error:
            raise FramingError(str(error), messages) from error
        return messages

    def _step(self, messages: list[bytes]) -> bool:
        """Consume a piece of a chunk or a header; False when more octets are needed."""
        if self._missing:
            piece = self._buffer[: self._missing]
            self._message += piece
            del self._buffer[: len(piece)]
            self._missing -= len(piece)
            return self._missing == 0 and bool(self._buffer)
        header = _CHUNK_HEADER.match(self._buffer)
        if header is None:
            self._require_header_start()
            return False
        self._take(header, messages)
        return bool(self._buffer)

    def _take(self, header: re.Match[bytes], messages: list[bytes]) -> None:
        if header[1]:
            self._missing = int(header[1])
            if self._missing > _MAX_CHUNK:
                raise FramingError(f"chunk of {self._missing} octets is larger than the RFC allows")
        elif not self._message:
            raise FramingError("end of chunks before any chunk")
        else:
            messages.append(bytes(self._message))
            self._message.clear()
        del self._buffer[: header.end()]

    def _require_header_start(self) -> None:
        start = bytes(self._buffer[:_LONGEST_HEADER])
        if len(start) == _LONGEST_HEADER or not re.fullmatch(rb"(?:\n(?:#(?:#|[1-9][0-9]{0,9})?)?)?", start):
            raise FramingError(f"expected a chunk header, got {start!r}")

    def wrap(self, message: bytes) -> bytes:
        """Return a message as it goes on the wire, in one chunk."""
        return b"\n#%d\n%b\n##\n" % (len(message), message)

    def rest(self) -> bytes:
        """Return what was fed and belongs to no message yet."""
        return bytes(self._message + self._buffer)
