"""Owns what asyncssh does for every packet and a NETCONF session does not need; it has no settings for it.

A call is two packets of a few hundred bytes, so this is a third of what it costs.
"""

from typing import Any

import asyncssh
from asyncssh.logging import logger

from drivers.netconf.short_way import take_short_way

_MSG_IGNORE = 2
_LOGS_PACKETS_FROM = 3
"""asyncssh's debug level from which it logs each packet."""
_STALE = 0.9


def spare(connection: asyncssh.SSHClientConnection, keepalive_seconds: float) -> None:
    """Leave out what is done on the connection for nothing."""
    _spare_ignores(connection)
    _spare_keepalive_timers(connection, keepalive_seconds)
    take_short_way(connection)
    spare_packet_log(connection)


def spare_packet_log(handler: Any) -> None:
    """Write no texts for a packet log that nobody keeps; `handler`: a connection or one of its channels."""
    if logger._debug_level < _LOGS_PACKETS_FROM:  # noqa: SLF001 - it can be set, not asked for
        handler.log_sent_packet = handler.log_received_packet = _log_nothing


def _log_nothing(*_arguments: object) -> None:
    pass


def _spare_ignores(connection: asyncssh.SSHClientConnection) -> None:
    """Keep asyncssh from sending an empty `SSH_MSG_IGNORE` before each packet (RFC 4253 11.2).

    It guards CBC ciphers, whose next initialisation vector shows (RFC 4251 9.3.1); counter and GCM modes have none to
    guard, and it doubles the packets of every call.
    """
    if "cbc" in str(connection.get_extra_info("send_cipher")):
        return
    send = connection.send_packet

    def send_packet(kind: int, *arguments: bytes, **options: Any) -> None:
        if kind != _MSG_IGNORE:
            send(kind, *arguments, **options)

    connection.send_packet = send_packet  # type: ignore[assignment]  # asyncssh has no setting for it


def _spare_keepalive_timers(connection: Any, keepalive_seconds: float) -> None:
    """Put the keepalive's timer off when a tenth of its time is over, not with each packet that arrives."""
    put_off = connection._reset_keepalive_timer  # noqa: SLF001
    now = connection._loop.time  # noqa: SLF001

    def put_off_when_stale() -> None:
        timer = connection._keepalive_timer  # noqa: SLF001
        if timer is None or timer.when() - now() < _STALE * keepalive_seconds:
            put_off()

    connection._reset_keepalive_timer = put_off_when_stale  # noqa: SLF001
