"""Owns who may log in over SSH: password or authorised keys, for every SSH server of a router (RFC 4252)."""

import secrets
from collections.abc import Callable
from typing import Any, Protocol

import asyncssh

_MSG_IGNORE = 2


class Account(Protocol):
    """Whose credentials open a router."""

    username: str
    password: str
    authorized_keys: tuple[str, ...]


class LoginServer(asyncssh.SSHServer):
    """One SSH connection: checks credentials, then lets `make_session` serve channels."""

    def __init__(
        self,
        account: Account,
        make_session: Callable[["LoginServer"], asyncssh.SSHServerSession[bytes]],
        *,
        gone: Callable[["LoginServer"], None] = lambda _: None,
    ) -> None:
        self._account = account
        self._make_session = make_session
        self._gone = gone
        self.connection: asyncssh.SSHServerConnection | None = None
        self.username = ""
        self.source_host = ""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Remember the connection, to be able to drop it."""
        self.connection = conn
        peer = conn.get_extra_info("peername")
        self.source_host = str(peer[0]) if peer else ""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner."""
        del exc
        self._gone(self)

    def begin_auth(self, username: str) -> bool:
        """Every user has to prove who they are."""
        self.username = username
        return True

    def password_auth_supported(self) -> bool:
        """Passwords are accepted."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        """Compare without telling by time how much was right."""
        same_user = secrets.compare_digest(username.encode(), self._account.username.encode())
        return secrets.compare_digest(password.encode(), self._account.password.encode()) and same_user

    def public_key_auth_supported(self) -> bool:
        """Keys are accepted where some are authorised."""
        return bool(self._account.authorized_keys)

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Accept an authorised key of the router's one user."""
        if username != self._account.username:
            return False
        known = (asyncssh.import_public_key(line) for line in self._account.authorized_keys)
        return any(key.public_data == item.public_data for item in known)

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
        """Serve a channel."""
        if self.connection is not None:
            _send_no_ignores(self.connection)
        return self._make_session(self)

    def drop(self) -> None:
        """Cut the connection at once."""
        if self.connection is not None:
            self.connection.abort()


def _send_no_ignores(connection: asyncssh.SSHServerConnection) -> None:
    """Send no `SSH_MSG_IGNORE` (RFC 4253 11.2) before each packet, as routers and OpenSSH do not.

    asyncssh always does, for the sake of CBC ciphers; it has no setting for it.
    """
    send = type(connection).send_packet

    def send_packet(kind: int, *arguments: bytes, **options: Any) -> None:
        if kind != _MSG_IGNORE:
            send(connection, kind, *arguments, **options)

    if "cbc" not in str(connection.get_extra_info("send_cipher")):
        connection.send_packet = send_packet  # type: ignore[assignment]
