"""Owns the short way of channel data through asyncssh (RFC 4254 5.2) under AES-GCM (RFC 5647): nearly all there is.

asyncssh makes a cipher for each packet and takes it through a dozen calls that serve key exchange, compression and
other ciphers. Here a whole packet of channel data is opened or sealed at once, on asyncssh's own state. Everything else
goes asyncssh's way as if there was no other: a packet in pieces, of another kind, or that is wrong in any respect.
"""
# ruff: noqa: SLF001 - the state is asyncssh's, which has no other way in

import os
import time
from collections.abc import Callable
from typing import Any

import asyncssh
from asyncssh.encryption import GCMEncryption
from asyncssh.logging import logger
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KNOWN = "2.24."
"""The asyncssh whose state this is; over any other version everything goes asyncssh's own way."""
_IGNORE, _CHANNEL_DATA = 2, 94
_LENGTH_BYTES = 4
_TAG_BYTES = 16
_DATA_AT = 10
"""Before it: length of the padding, kind, channel, length of the data."""
_LEAST_PADDING = 4
_SEQUENCE = 0xFFFFFFFF
_LOGS_DATA_FROM = 2
"""asyncssh's debug level from which it tells of data on a channel."""


def take_short_way(connection: asyncssh.SSHClientConnection) -> None:
    """Let a connection's channel data go the short way, unless somebody wants to read about each packet."""
    if asyncssh.__version__.startswith(_KNOWN) and logger._debug_level < _LOGS_DATA_FROM:
        way: Any = connection
        way.data_received = _receiver(connection)
        way.send_packet = _sender(connection)


class _Aead:
    """The cipher of one direction, made anew when asyncssh has other keys."""

    __slots__ = ("_aead", "_of")

    def __init__(self) -> None:
        self._of: Any = None

    def of(self, cipher: Any) -> AESGCM:
        if cipher is not self._of:
            self._of, self._aead = cipher, AESGCM(cipher._key)
        return self._aead


def _receiver(connection: Any) -> Callable[..., None]:
    long_way, aead = connection.data_received, _Aead()
    header = connection._recv_pkthdr

    def receive(data: bytes, datatype: int | None = None) -> None:
        position = 0
        if not connection._inpbuf and connection._recv_handler == header and not connection._decompressor:
            connection._reset_keepalive_timer()
            while position < len(data) and (end := _take(connection, aead, data, position)):
                position = end
        if position < len(data):
            long_way(data[position:] if position else data, datatype)

    return receive


def _take(connection: Any, aead: _Aead, data: bytes, start: int) -> int:
    """Deliver the packet at `start` and return where it ends; 0 when it is nothing for the short way."""
    header = data[start : start + _LENGTH_BYTES]
    size = int.from_bytes(header, "big")
    end = start + _LENGTH_BYTES + size + _TAG_BYTES
    encryption = connection._recv_encryption
    if end > len(data) or not _DATA_AT < size <= connection._max_recv_pktlen or type(encryption) is not GCMEncryption:
        return 0
    cipher = encryption._cipher
    try:
        packet = aead.of(cipher).decrypt(cipher._iv, data[start + _LENGTH_BYTES : end], header)
    except InvalidTag:
        return 0
    length = int.from_bytes(packet[6:_DATA_AT], "big")
    channel = connection._channels.get(int.from_bytes(packet[2:6], "big"))
    if packet[1] == _IGNORE:
        length = 0
    elif (
        packet[1] != _CHANNEL_DATA
        or _DATA_AT + length + packet[0] != size
        or channel is None
        or channel._recv_state != "open"
        or length > channel._recv_window
    ):
        return 0
    cipher._update_iv()
    connection._recv_seq = (connection._recv_seq + 1) & _SEQUENCE
    if length:
        try:
            channel._accept_data(packet[_DATA_AT : _DATA_AT + length])
        except Exception:  # noqa: BLE001 - as asyncssh does
            connection.internal_error()
            return len(data)
    return end


def _sender(connection: Any) -> Callable[..., None]:
    long_way, aead = connection.send_packet, _Aead()

    def send(kind: int, *arguments: bytes, **options: Any) -> None:
        if kind != _CHANNEL_DATA or not _may_send(connection):
            long_way(kind, *arguments, **options)
            return
        packet = _padded(connection, bytes((kind,)) + b"".join(arguments))
        header = len(packet).to_bytes(_LENGTH_BYTES, "big")
        cipher = connection._send_encryption._cipher
        sealed = aead.of(cipher).encrypt(cipher._iv, packet, header)
        cipher._update_iv()
        connection._send_seq = (connection._send_seq + 1) & _SEQUENCE
        connection._rekey_bytes_sent += len(packet)
        connection._send(header + sealed)

    return send


def _may_send(connection: Any) -> bool:
    """Whether nothing but sealing is to be done: no key exchange is under way or due, nothing compresses."""
    return (
        type(connection._send_encryption) is GCMEncryption
        and connection._kex_complete
        and connection._auth_complete
        and not connection._compressor
        and connection._rekey_bytes_sent < connection._rekey_bytes
        and not (connection._rekey_seconds and time.monotonic() >= connection._rekey_time)
    )


def _padded(connection: Any, payload: bytes) -> bytes:
    """RFC 4253 section 6: the length of the padding, the payload, at least four random octets."""
    block = connection._send_blocksize
    padding = -(connection._send_enchdrlen + len(payload)) % block
    if padding < _LEAST_PADDING:
        padding += block
    return bytes((padding,)) + payload + os.urandom(padding)
