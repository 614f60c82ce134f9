"""Owns a canned NETCONF server: a real SSH server that answers from a script, for what a sane router never does."""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any, Self

import asyncssh

from controller.model.identifiers import DeviceName
from controller.ports import DeviceTarget, Secret, Transport
from drivers.netconf import NetconfConnector
from drivers.netconf.session import NetconfSession
from tests.patience import PATIENCE_SECONDS

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
CAPABILITY = "urn:ietf:params:netconf:capability:"
FULL = (
    "urn:ietf:params:netconf:base:1.0",
    "urn:ietf:params:netconf:base:1.1",
    f"{CAPABILITY}candidate:1.0",
    f"{CAPABILITY}confirmed-commit:1.1",
    f"{CAPABILITY}rollback-on-error:1.0",
    f"{CAPABILITY}validate:1.1",
    f"{CAPABILITY}notification:1.0",
    "urn:example:things?module=things&revision=2026-01-01",
)
BASE_10_ONLY = tuple(uri for uri in FULL if not uri.endswith("base:1.1"))
EDIT = f'<config xmlns="{BASE}"><top xmlns="urn:example:things"/></config>'.encode()
DATA = "<data><top xmlns='urn:example:things'><leaf>canned</leaf></top></data>"

Answer = bytes | str | Sequence[bytes] | None
"""What to send: the inside of an rpc-reply (str), raw bytes as they are, several writes, or nothing."""

_CHUNK = re.compile(rb"\n#(\d+|#)\n")


class Rpc:
    """One request as it arrived."""

    def __init__(self, session: "CannedSession", text: bytes) -> None:
        self.session = session
        self.text = text
        self.message_id = re.search(rb"message-id=\"([^\"]*)\"", text)[1].decode()  # type: ignore[index]  # always there
        self.operation = re.search(rb"<(?:nc:)?rpc[^>]*>\s*<(?:\w+:)?([\w-]+)", text)[1].decode()  # type: ignore[index]

    def reply(self, inside: str) -> bytes:
        return self.session.framed(f'<rpc-reply xmlns="{BASE}" message-id="{self.message_id}">{inside}</rpc-reply>')


def sane(rpc: Rpc) -> Answer:
    """Answer as a router with nothing special would."""
    return DATA if rpc.operation in {"get", "get-config"} else "<ok/>"


class CannedSession(asyncssh.SSHServerSession[bytes]):
    def __init__(self, server: "CannedServer") -> None:
        self._server = server
        self._buffer = b""
        self._greeted = False
        self.chunked = False

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self.channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        self._server.subsystems.append(subsystem)
        return subsystem in self._server.accepted_subsystems

    def exec_requested(self, command: str) -> bool:
        return command == self._server.accepted_command

    def session_started(self) -> None:
        self._server.sessions.append(self)
        if self._server.hello is not None:
            self.channel.write(self._server.hello)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._buffer += data
        while (message := self._next_message()) is not None:
            if self._greeted:
                self._server.took(Rpc(self, message))
            else:
                self._greeted = True
                self.chunked = b"base:1.1" in message and self._server.chunked

    def _next_message(self) -> bytes | None:
        if not self.chunked:
            message, mark, rest = self._buffer.partition(b"]]>]]>")
            if not mark:
                return None
            self._buffer = rest
            return message
        parts: list[bytes] = []
        position = 0
        while (header := _CHUNK.match(self._buffer, position)) is not None:
            if header[1] == b"#":
                self._buffer = self._buffer[header.end() :]
                return b"".join(parts)
            position = header.end() + int(header[1])
            parts.append(self._buffer[header.end() : position])
        return None

    def framed(self, text: str) -> bytes:
        message = text.encode()
        return b"\n#%d\n%b\n##\n" % (len(message), message) if self.chunked else message + b"]]>]]>"

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.channel.write(part)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._server.sessions:
            self._server.sessions.remove(self)


class CannedServer:
    """Listens on an ephemeral port. `answer` decides each reply; `seen` holds every request."""

    username = "operator"
    password = "secret"

    def __init__(
        self,
        answer: Callable[[Rpc], Answer] = sane,
        *,
        capabilities: Sequence[str] = FULL,
        hello: bytes | None = b"",
        authorized: str = "",
    ) -> None:
        self.answer = answer
        self.chunked = any(uri.endswith("base:1.1") for uri in capabilities)
        self.hello = _hello(capabilities) if hello == b"" else hello
        self.accepted_subsystems = {"netconf"}
        self.accepted_command = ""
        self.subsystems: list[str] = []
        self.seen: list[Rpc] = []
        self.sessions: list[CannedSession] = []
        self.connections: list[asyncssh.SSHServerConnection] = []
        self.swallowed = asyncio.Event()
        self._authorized = authorized
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = self._key.export_public_key().decode().strip()

    async def __aenter__(self) -> Self:
        self._listener = await asyncssh.create_server(
            lambda: _Login(self), "127.0.0.1", 0, server_host_keys=[self._key], encoding=None
        )
        self.port = self._listener.get_port()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self.disconnect()
        self._listener.close()
        await self._listener.wait_closed()

    def disconnect(self) -> None:
        for connection in list(self.connections):
            connection.abort()

    def took(self, rpc: Rpc) -> None:
        self.seen.append(rpc)
        answer = self.answer(rpc)
        if answer is None:
            self.swallowed.set()
        elif isinstance(answer, str):
            rpc.session.send(rpc.reply(answer))
        elif isinstance(answer, bytes):
            rpc.session.send(answer)
        else:
            rpc.session.send(*answer)
        if rpc.operation == "close-session":
            rpc.session.channel.close()

    def operations(self) -> list[str]:
        return [rpc.operation for rpc in self.seen]

    def target(self, **changes: Any) -> DeviceTarget:
        values: dict[str, Any] = {
            "name": DeviceName("pe1"),
            "hostname": "127.0.0.1",
            "port": self.port,
            "transport": Transport.NETCONF,
            "username": self.username,
            "password": Secret(self.password),
            "host_key": self.host_key,
            "rpc_timeout_seconds": 2 * PATIENCE_SECONDS,
        }
        return DeviceTarget(**(values | changes))


class _Login(asyncssh.SSHServer):
    def __init__(self, server: CannedServer) -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.connections.append(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.remove(self._connection)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (self._server.username, self._server.password)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return key.export_public_key().decode().strip() == self._server._authorized

    def session_requested(self) -> CannedSession:
        return CannedSession(self._server)


def _hello(capabilities: Sequence[str]) -> bytes:
    listed = "".join(f"<capability>{uri.replace('&', '&amp;')}</capability>" for uri in capabilities)
    return (
        f'<hello xmlns="{BASE}"><capabilities>{listed}</capabilities><session-id>7</session-id></hello>]]>]]>'
    ).encode()


def error(tag: str, message: str = "no", severity: str = "error", more: str = "") -> str:
    return (
        f"<rpc-error><error-type>application</error-type><error-tag>{tag}</error-tag>"
        f"<error-severity>{severity}</error-severity><error-message xml:lang='en'>{message}</error-message>{more}"
        f"</rpc-error>"
    )


def when(operation: str, answer: Answer, otherwise: Callable[[Rpc], Answer] = sane) -> Callable[[Rpc], Answer]:
    return lambda rpc: answer if rpc.operation == operation else otherwise(rpc)


async def connected(server: CannedServer, *, limit_bytes: int = 64 * 1024 * 1024, **changes: Any) -> NetconfSession:
    return await NetconfConnector(limit_bytes=limit_bytes).connect(server.target(**changes))
