"""Owns the NETCONF server: SSH subsystem, hello, RPC loop, acting out faults (RFC 6242, RFC 6241 section 4, 8.1)."""

from __future__ import annotations

import asyncio
import functools
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import asyncssh
from lxml import etree

from lab.router import monitoring, notifications, rpc_errors
from lab.router.fault_reply import ReplyFaults
from lab.router.faults_point import Fault, FaultPoint, Phase
from lab.router.netconf_protocol import Chunked, EndOfMessage, Framer, FramingError
from lab.router.netconf_rpc import OK, Operations, Served
from lab.router.profiles import Profile
from lab.router.rpc_errors import RpcError
from lab.router.schema import Schema
from lab.router.ssh_login import LoginServer
from lab.router.ssh_server import SshHost, SshServer
from lab.router.xml import NC, add, element, local, nsmap, parse, serialise

_BASE_11 = "urn:ietf:params:netconf:base:1.1"
_REPLY = f'<rpc-reply xmlns="{NC}"'.encode()
_END_REPLY = b"</rpc-reply>"
_SAFE = re.compile(r"[\w:.-]+")


class ServedRouter(Served, SshHost, Protocol):
    """What the server needs of a router besides its operations."""

    name: str
    faults: FaultPoint | None

    def reboot_soon(self) -> None:
        """Drop everything and come back, from within a session."""


class NetconfServer(SshServer):
    """One router's NETCONF over SSH."""

    options: ClassVar[Mapping[str, Any]] = {
        # a third of the CPU that chacha20-poly1305, asyncssh's first choice, takes for a small packet
        "encryption_algs": ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr"],
        "allow_pty": False,
    }

    def __init__(self, router: ServedRouter, port: int = 0) -> None:
        super().__init__(router, port)
        self._router = router

    def session(self, login: LoginServer) -> NetconfSession:
        """A NETCONF session."""
        return NetconfSession(self._router, login)


class NetconfSession(asyncssh.SSHServerSession[bytes]):
    """One NETCONF session. RPCs are served in order; without armed faults they are served without a task."""

    def __init__(self, router: ServedRouter, login: LoginServer) -> None:
        self._router = router
        self._login = login
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._hello = EndOfMessage()
        self._framer: Framer | None = None
        self._session_id = 0
        self._operations: Operations | None = None
        self._queue: deque[bytes] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._mute = False  # hangs, or is over: nothing is served any more
        self._end_reason = "dropped"

    # -- SSH

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """Keep the channel to write to."""
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        """Serve the subsystem netconf, nothing else (RFC 6242 section 3)."""
        return subsystem == "netconf"

    def session_started(self) -> None:
        """Open the session: the hello is the first thing on the wire."""
        router = self._router
        self._session_id = router.sessions.open(
            self._login.username, "netconf-ssh", self._killed, source_host=self._login.source_host
        )
        self._operations = Operations(router, self._session_id, self.send)
        self._write(self._hello.wrap(self._own_hello()))

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Take octets; wrong framing or a wrong hello ends the session."""
        del datatype
        try:
            messages = self._messages(data)
        except ValueError:
            self._end("bad-hello")
        except FramingError as error:
            self._take(error.messages)
            self._end("other")
        else:
            self._take(messages)

    def eof_received(self) -> bool:
        """Close when the client is done."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the session: its locks go, and its unconfirmed commit."""
        del exc
        self._mute = True
        if self._worker is not None:
            self._worker.cancel()
        router = self._router
        router.stream.unsubscribe(self._session_id)
        if self._operations is not None:
            self._operations.push.close()
        if router.sessions.get(self._session_id) is not None:
            router.sessions.close(self._session_id)
        if self._session_id and router.stream.has_subscribers():
            router.stream.publish(notifications.session_ended(self._session_id, self._login.username, self._end_reason))

    # -- hello

    def _own_hello(self) -> bytes:
        head = _hello_head(self._router.schema, self._router.profile)
        return head + b"<session-id>%d</session-id></hello>" % self._session_id

    def _messages(self, octets: bytes) -> list[bytes]:
        if self._framer is not None:
            return self._framer.feed(octets)
        hello = self._hello.feed_one(octets)
        if hello is None:
            return []
        self._framer = self._agreed_framer(hello)
        self._announce_start()
        return self._framer.feed(self._hello.rest())

    def _agreed_framer(self, hello: bytes) -> Framer:
        peer = parse(hello.strip())
        if peer.tag != f"{{{NC}}}hello" or peer.find(f"{{{NC}}}session-id") is not None:
            raise ValueError("a client's hello has no session-id")
        offered = {(uri.text or "").strip() for uri in peer.iter(f"{{{NC}}}capability")}
        if _BASE_11 in offered and self._router.profile.base_11:
            return Chunked()
        if "urn:ietf:params:netconf:base:1.0" not in offered:
            raise ValueError("no base version in common")
        return EndOfMessage()

    def _announce_start(self) -> None:
        if self._router.stream.has_subscribers():
            self._router.stream.publish(
                notifications.session_started(self._session_id, self._login.username, self._login.source_host)
            )

    # -- RPC loop

    def _take(self, messages: Sequence[bytes]) -> None:
        self._queue.extend(messages)
        if self._queue and self._worker is None:
            self._serve_queue()

    def _serve_queue(self) -> None:
        """Serve at once when nothing can make us wait, else in a task."""
        while self._queue and not self._mute:
            if self._may_wait():
                self._worker = asyncio.get_running_loop().create_task(self._work())
                return
            self._serve(_Exchange(self._queue.popleft()))

    def _may_wait(self) -> bool:
        router = self._router
        armed = router.faults is not None and router.faults.armed(router.name)
        return armed or router.profile.quirks.slow_replies > 0

    async def _work(self) -> None:
        served = False
        try:
            while self._queue and not self._mute:
                await self._serve_with_faults(_Exchange(self._queue.popleft()))
            served = True
        finally:
            self._worker = None
            if not served:  # a script or a state that raises must not leave the client waiting
                self._drop()

    def _serve(self, exchange: _Exchange) -> None:
        self._act(exchange)
        self._reply(exchange)

    async def _serve_with_faults(self, exchange: _Exchange) -> None:
        await asyncio.sleep(self._router.profile.quirks.slow_replies)
        exchange.read()
        phases: tuple[tuple[Phase, Callable[[], None]], ...] = (
            ("before", lambda: self._act(exchange)),
            ("after", lambda: None),
            ("reply", lambda: self._reply(exchange)),
        )
        for phase, step in phases:
            if await self._suffer(exchange, phase):
                return
            step()

    async def _suffer(self, exchange: _Exchange, phase: Phase) -> bool:
        """Act out the fault of this phase; True when nothing more is to be done for this RPC."""
        faults = self._router.faults
        action = await faults.around(self._router.name, exchange.name, phase) if faults is not None else None
        if action is None:
            return self._mute
        if action.fault is Fault.DELAY:
            await asyncio.sleep(action.seconds)
        elif action.fault is Fault.CLOSE:
            self._drop()
        elif action.fault is Fault.HANG:
            self._mute = True
        elif action.fault is Fault.REBOOT:
            self._mute = True
            self._router.reboot_soon()
        else:
            exchange.faults.add(action)
        return self._mute

    def _act(self, exchange: _Exchange) -> None:
        operations, session = self._operations, self._router.sessions.get(self._session_id)
        if operations is None or session is None or not exchange.read():
            session_is_11 = isinstance(self._framer, Chunked)
            if not session_is_11:
                self._end("other")  # malformed-message is not for 1.0 peers (RFC 6241 appendix A)
            return
        session.in_rpcs += 1
        session.in_bad_rpcs += exchange.error is not None
        if exchange.error is None and exchange.faults.error is not None:
            exchange.error = exchange.faults.error
        if exchange.error is not None or exchange.request is None:
            return
        try:
            exchange.content = operations.perform(exchange.request)
        except RpcError as error:
            exchange.error = error
        if operations.closing:
            self._end_reason = "closed"

    def _reply(self, exchange: _Exchange) -> None:
        if self._mute or self._framer is None:
            return
        error = exchange.error or exchange.faults.error
        session = self._router.sessions.get(self._session_id)
        if error is not None and session is not None:
            session.out_rpc_errors += 1
        content = self._content(exchange, error)
        message = exchange.faults.spoil(b"".join((_REPLY, exchange.attributes, b">", content, _END_REPLY)))
        if message is not None:
            for piece in exchange.faults.pieces(self._framer.wrap(message)):
                self._write(piece)
        if self._operations is not None and self._operations.closing:
            self._end("closed")

    def _content(self, exchange: _Exchange, error: RpcError | None) -> bytes:
        namespaces = self._router.schema.namespaces
        quirks = self._router.profile.quirks
        if error is not None:
            errors = list(error.all())
            if quirks.several_rpc_errors:
                errors += [rpc_errors.failed(f"{local_name} failed") for local_name in ("parse", "edit", "request")]
            return b"".join(serialise(item.element(namespaces)) for item in errors)
        warnings = list(exchange.faults.warnings)
        if quirks.warnings and exchange.content == OK:
            warnings.append(RpcError("operation-failed", "statement is deprecated", severity="warning"))
        return b"".join(serialise(item.element(namespaces)) for item in warnings) + exchange.content

    # -- output

    def send(self, message: bytes) -> None:
        """Send a notification."""
        if self._framer is not None and not self._mute:
            session = self._router.sessions.get(self._session_id)
            if session is not None:
                session.out_notifications += 1
            self._write(self._framer.wrap(message))

    def _write(self, octets: bytes) -> None:
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(octets)

    def _end(self, reason: str) -> None:
        """End the session in good order: what was written still goes out."""
        self._end_reason = reason
        self._mute = True
        self._router.sessions.close(self._session_id)
        if self._channel is not None:
            self._channel.exit(0)

    def _killed(self) -> None:
        self._end_reason = "killed"
        self._drop()

    def _drop(self) -> None:
        """Cut the connection."""
        self._mute = True
        self._login.drop()


class _Exchange:
    """One RPC: what was asked, what came of it, what goes wrong with it."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._read = False
        self._well_formed = False
        self.name = ""
        self.request: etree._Element | None = None
        self.attributes = b""
        self.content = OK
        self.error: RpcError | None = None
        self.faults = ReplyFaults()

    def read(self) -> bool:
        """Parse the message once; False when it is no <rpc> at all (malformed-message)."""
        if not self._read:
            self._read = True
            self._well_formed = self._parse()
        return self._well_formed

    def _parse(self) -> bool:
        try:
            root = parse(self._message.strip())
        except ValueError as error:
            self.error = RpcError("malformed-message", str(error), type="rpc")
            return False
        if root.tag != f"{{{NC}}}rpc":
            self.error = RpcError("malformed-message", f"{root.tag} is not <rpc>", type="rpc")
            return False
        self.attributes = _echoed(root)
        self._take(root)
        return True

    def _take(self, root: etree._Element) -> None:
        about = (("bad-attribute", "message-id"), ("bad-element", "rpc"))
        if root.get("message-id") is None:
            self.error = RpcError("missing-attribute", "rpc needs a message-id", type="rpc", info=about)
        elif len(root) != 1:
            self.error = rpc_errors.missing_element("rpc", "rpc holds exactly one operation")
        else:
            self.request = root[0]
            self.name = local(root[0].tag)


@functools.lru_cache(maxsize=32)
def _hello_head(schema: Schema, profile: Profile) -> bytes:
    """Return a hello up to its session-id: the same for every session of like routers."""
    hello = element("hello", NC)
    capabilities = add(hello, f"{{{NC}}}capabilities")
    for uri in monitoring.hello_capabilities(schema, profile):
        add(capabilities, f"{{{NC}}}capability", uri)
    return serialise(hello).removesuffix(b"</hello>")


def _echoed(root: etree._Element) -> bytes:
    """Return the attributes of <rpc> as the reply repeats them (RFC 6241 section 4.2)."""
    message_id = root.get("message-id", "")
    if len(root.attrib) == 1 and _SAFE.fullmatch(message_id):
        return f' message-id="{message_id}"'.encode()
    prefixes: dict[str, str] = {str(prefix): uri for prefix, uri in root.nsmap.items() if prefix}
    shell = etree.Element("x", nsmap=nsmap(**prefixes))
    for name, value in root.attrib.items():
        shell.set(name, value)
    return serialise(shell).removeprefix(b"<x").removesuffix(b"/>")
