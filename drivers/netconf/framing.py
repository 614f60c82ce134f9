"""Owns message framing over SSH (RFC 6242 sections 4.2 and 4.3): bytes in, whole messages out, no I/O.

Work is linear in the bytes fed however they are cut. Text is never decoded here, so a character may straddle a chunk.
"""

import re
from collections.abc import Iterator

from controller.model.errors import ProtocolViolationError

END_OF_MESSAGE = b"]]>]]>"
_END_OF_CHUNKS = b"\n##\n"
_CHUNK_HEADER = re.compile(rb"\n#(?:([1-9][0-9]{0,9})|(#))\n")
_LONGEST_HEADER = len(b"\n#4294967295\n")

DEFAULT_MESSAGE_LIMIT_BYTES = 64 * 1024 * 1024

Message = bytes | bytearray


def frame(message: bytes, *, chunked: bool) -> bytes:
    """Return one message as it goes on the wire: one chunk (1.1), or with the end-of-message mark (1.0)."""
    if chunked:
        return b"\n#%d\n%b\n##\n" % (len(message), message)
    return message + END_OF_MESSAGE


class FrameDecoder:
    """Decodes one direction of a session; starts with 1.0 framing, as every session does until both said `hello`.

    `limit_bytes` bounds one message. Errors: `ProtocolViolationError`, after which the decoder must not be fed again.
    """

    def __init__(self, limit_bytes: int = DEFAULT_MESSAGE_LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._chunked = False
        self._buffer = bytearray()
        self._searched = 0
        self._body = bytearray()
        self._missing = 0

    def switch_to_chunks(self) -> None:
        """Use 1.1 framing for all that follows the message yielded last."""
        self._chunked = True
        self._searched = 0

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield each message that `data` completes."""
        if self._chunked and not self._buffer and not self._missing and not self._body:
            whole = self._single_chunk(data)
            if whole is not None:
                yield whole
                return
        self._buffer += data
        while (message := self._next_chunked() if self._chunked else self._next_marked()) is not None:
            yield message

    def _single_chunk(self, data: bytes) -> bytes | None:
        """Return the message when `data` is exactly one message in one chunk, as small replies are."""
        if not data.endswith(_END_OF_CHUNKS):
            return None
        header = _CHUNK_HEADER.match(data)
        if header is None or header[1] is None:
            return None
        size = int(header[1])
        if header.end() + size + len(_END_OF_CHUNKS) != len(data):
            return None
        self._check_size(size)
        return data[header.end() : -len(_END_OF_CHUNKS)]

    def _next_marked(self) -> Message | None:
        end = self._buffer.find(END_OF_MESSAGE, self._searched)
        if end < 0:
            self._check_size(len(self._buffer) - len(END_OF_MESSAGE) + 1)
            self._searched = max(0, len(self._buffer) - len(END_OF_MESSAGE) + 1)
            return None
        self._check_size(end)
        message, self._searched = bytes(self._buffer[:end]), 0
        del self._buffer[: end + len(END_OF_MESSAGE)]
        return message

    def _next_chunked(self) -> Message | None:
        while self._buffer:
            if self._missing:
                self._take_chunk()
            elif (header := self._take_header()) is None:
                return None
            elif header == 0:
                if not self._body:
                    raise ProtocolViolationError("the device ended a message that has no chunks")
                message, self._body = self._body, bytearray()
                return message
            else:
                self._check_size(len(self._body) + header)
                self._missing = header
        return None

    def _take_chunk(self) -> None:
        """Move what has arrived of the current chunk to the message."""
        if self._missing >= len(self._buffer):
            self._missing -= len(self._buffer)
            if self._body:
                self._body += self._buffer
                self._buffer.clear()
            else:
                self._body, self._buffer = self._buffer, bytearray()
            return
        self._body += memoryview(self._buffer)[: self._missing]
        del self._buffer[: self._missing]
        self._missing = 0

    def _take_header(self) -> int | None:
        """Return the size of the next chunk, 0 at the end of a message, None when the header has not all arrived."""
        if not self._body:  # some devices send line ends between messages
            self._skip_line_ends()
        header = _CHUNK_HEADER.match(self._buffer)
        if header is None:
            if len(self._buffer) >= _LONGEST_HEADER or not _may_become_header(self._buffer):
                raise ProtocolViolationError(f"the device sent a broken chunk header: {bytes(self._buffer[:40])!r}")
            return None
        size, end = int(header[1] or 0), header.end()
        del header  # a match holds the buffer, which could then not shrink
        del self._buffer[:end]
        return size

    def _skip_line_ends(self) -> None:
        while self._buffer.startswith((b"\n\n", b"\r", b"\n\r")):
            del self._buffer[:1]

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            raise ProtocolViolationError(
                f"the device sent a message of more than {self._limit} bytes",
                remedy="read with narrower filters, or raise the limit",
                tag="too-big",
            )


_PARTIAL_HEADER = re.compile(rb"(?:\n(?:#(?:[1-9][0-9]{0,9}|#)?)?)?\Z")


def _may_become_header(start: bytearray) -> bool:
    return _PARTIAL_HEADER.match(start) is not None
