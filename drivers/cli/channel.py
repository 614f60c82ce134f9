"""Owns what netmiko's SSH channel lacks: noticing at once that the peer is gone, and a bound on what is read."""

import threading

import paramiko  # type: ignore[import-untyped]  # ships no types
from netmiko.channel import SSHChannel
from netmiko.exceptions import ReadException, WriteException

_PIECE_OCTETS = 65_535


class OutputTooLargeError(Exception):
    """The device sent more than one command may."""


class WatchedChannel(SSHChannel):
    """A channel that fails on end of file instead of waiting, counts, and can be cut from another thread."""

    def __init__(self, conn: paramiko.Channel, encoding: str, max_output_characters: int) -> None:
        super().__init__(conn=conn, encoding=encoding)
        self._conn = conn
        self._limit = max_output_characters
        self._read = 0
        self._cut = threading.Event()
        self._early = b""
        self.has_sent = False

    def begin(self) -> None:
        """Start counting anew: a call begins."""
        self._read = 0
        self.has_sent = False

    def cut(self) -> None:
        """End the channel; a reader notices within netmiko's polling interval. Safe from any thread."""
        self._cut.set()

    @property
    def is_open(self) -> bool:
        """Whether the peer is there, as far as known."""
        transport = self._conn.get_transport()
        return not (self._cut.is_set() or self._conn.closed or self._conn.eof_received or not transport.is_active())

    def write_channel(self, out_data: str) -> None:
        """Send; `WriteException` when the channel has ended."""
        if not self.is_open:
            raise WriteException("the session has ended")
        super().write_channel(out_data)
        self.has_sent = True

    def wait(self, seconds: float) -> None:
        """Wait until something has arrived, at most that long; netmiko itself only looks a hundred times a second."""
        usual = self._conn.gettimeout()
        self._conn.settimeout(seconds)
        try:
            self._early += self._conn.recv(_PIECE_OCTETS)
        except TimeoutError:
            pass  # nothing came: the caller knows how long it wants to wait on
        finally:
            self._conn.settimeout(usual)

    def read_buffer(self) -> str:
        """What has arrived; `ReadException` when nothing more will."""
        if self._cut.is_set():
            raise ReadException("the session was closed")
        text: str = self._early.decode(self.encoding, "ignore") or super().read_buffer()
        self._early = b""
        if not text and not self.is_open:
            # Data may have come between the two looks.
            text = super().read_buffer()
            if not text:
                raise ReadException("the device closed the session")
        self._read += len(text)
        if self._read > self._limit:
            raise OutputTooLargeError(f"more than {self._limit} characters of output")
        return text
