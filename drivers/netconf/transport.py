"""Owns one NETCONF session's bytes: ncclient's `Session` with asyncssh underneath and no thread (RFC 6241 4, RFC 6242).

Everything runs on the event loop of `open`. Calls of ours are futures by message-id; replies to operations that
ncclient itself started (vendor RPCs) go through ncclient's own listeners. A late reply finds nobody waiting and is
dropped.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncssh
from ncclient.capabilities import Capabilities
from ncclient.operations.rpc import RPCReplyListener
from ncclient.transport.errors import SessionCloseError, TransportError
from ncclient.transport.session import NetconfBase, Session

from controller.model.errors import AccordError, ConnectionFailedError, OutcomeUnknownError, ProtocolViolationError
from controller.model.identifiers import DeviceName
from drivers.netconf.framing import FrameDecoder, Message, frame
from drivers.netconf.hello import BASE_11, client_hello, read_hello
from drivers.netconf.requests import Request
from drivers.netconf.sparing import spare_packet_log
from drivers.netconf.xml import Head, parse, read_head

_REFUSAL, _REFUSAL_WITHIN = b"rpc-error", 4096
"""What a refusal has, and in how many of its first bytes it is looked for."""
_JUNOS_COMMAND = "xml-mode netconf need-trailer"


@dataclass(slots=True, eq=False)
class Call:
    """A request that was sent, and who waits for its raw reply until when on the loop's clock."""

    number: int
    request: Request
    seconds: float
    deadline: float
    future: "asyncio.Future[Message]"
    before: "Call | None" = None
    """The call that was sent together with this one, in front of it."""
    reply: Message | None = None

    def tell(self) -> None:
        """Hand the reply to whoever waits, those first that were held back for this call."""
        if self.before is not None:
            self.before.tell()
        if self.reply is not None and not self.future.done():
            self.future.set_result(self.reply)

    def give_up(self, error: AccordError) -> None:
        """Fail; what was answered before is told."""
        self.tell()
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # seen: nobody may ever ask for what was sent ahead


class _Channel(asyncssh.SSHClientSession[bytes]):
    """Hands a channel's events to its session."""

    def __init__(self, session: "NetconfTransport") -> None:
        self._session = session
        self._started = False

    def session_started(self) -> None:
        self._started = True  # not reached when the device refuses the subsystem

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if datatype is None:  # standard error is not NETCONF
            self._session.received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._started:
            self._session.lost(exc)


class NetconfTransport(Session):  # type: ignore[misc]  # ncclient is untyped
    """A session over an SSH connection that is already logged in; owns the connection from then on."""

    def __init__(self, device: DeviceName, handler: Any, *, limit_bytes: int) -> None:
        super().__init__(Capabilities(handler.get_capabilities()))
        self._device = device
        self._device_handler = handler
        self._decoder = FrameDecoder(limit_bytes)
        self._calls: dict[int, Call] = {}
        self._next_id = 1
        self._ended = False
        self._timer: asyncio.TimerHandle | None = None
        self.on_notification: Callable[[Message], None] | None = None
        self.on_end: Callable[[], None] | None = None

    @property
    def pending(self) -> int:
        """Calls that wait for an answer."""
        return len(self._calls)

    # -- the beginning and the end -------------------------------------------------------------------------------------

    async def open(self, connection: asyncssh.SSHClientConnection) -> None:
        """Start the subsystem and exchange `hello`; raises what asyncssh raises, or our errors."""
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._hello: asyncio.Future[None] = self._loop.create_future()
        self._channel = await self._open_channel()
        self._connected = not self._ended
        self._channel.write(frame(client_hello(self._device_handler), chunked=False))
        await self._hello

    async def _open_channel(self) -> asyncssh.SSHClientChannel[bytes]:
        """Try the device type's subsystem names in order; Junos also speaks NETCONF as a command."""
        refusal: asyncssh.ChannelOpenError | None = None
        for name in self._device_handler.get_ssh_subsystem_names():
            try:
                return await self._create_channel(None, name)
            except asyncssh.ChannelOpenError as error:
                refusal = error
        if "junos" in type(self._device_handler).__name__.lower():
            return await self._create_channel(_JUNOS_COMMAND, None)
        raise refusal or ConnectionFailedError("this device type names no SSH subsystem", device=self._device)

    async def _create_channel(self, command: str | None, subsystem: str | None) -> asyncssh.SSHClientChannel[bytes]:
        channel, _ = await self._connection.create_session(
            lambda: _Channel(self), command or (), subsystem=subsystem or (), encoding=None
        )
        spare_packet_log(channel)
        return channel

    async def close(self, farewell: Request, seconds: float = 1.0) -> None:
        """Fail what is pending, say `farewell`, disconnect; abort what takes longer than `seconds`. Idempotent."""
        polite, self._connected = self._connected, False
        self._fail("the session was closed here before the answer came")
        try:
            async with asyncio.timeout(seconds):
                if polite:
                    await self._send_all([farewell], seconds / 2)[0].future
                self._connection.close()
                await self._connection.wait_closed()
        except (TimeoutError, OSError, asyncssh.Error, AccordError):
            self._connection.abort()
        self._end()

    def abort(self, reason: str) -> None:
        """Disconnect at once; pending calls fail, and the device drops the session's locks."""
        self._connected = False
        self._fail(reason)
        self._connection.abort()
        self._end()

    def lost(self, error: Exception | None) -> None:
        """Fail everything: the channel is gone."""
        self._connected = False
        self._fail(f"the connection was lost before the answer came: {error or 'closed by the device'}")
        self._connection.close()
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            if self.on_end is not None:
                self.on_end()

    def _fail(self, reason: str, kind: type[AccordError] = OutcomeUnknownError) -> None:
        """Fail every pending call, ncclient's own too."""
        calls, self._calls = self._calls, {}
        self._disarm()
        for call in calls.values():
            call.give_up(kind(f"{call.request.name}: {reason}", device=self._device))
        if not self._hello.done():
            self._hello.set_exception(ConnectionFailedError(f"no hello: {reason}", device=self._device))
        if self._listeners:
            self._dispatch_error(SessionCloseError(b"", None))

    # -- calls ---------------------------------------------------------------------------------------------------------

    def post(self, requests: Sequence[Request], seconds: float) -> list[Call]:
        """Send requests back to back; the device answers them in this order (RFC 6241 section 4.5).

        Each has `seconds` more than the one before it. An answer is held back until the next one is there or given up:
        one turn for both. `ConnectionFailedError` when they were not sent. The futures raise `OutcomeUnknownError` when
        no answer came in time or the connection went, `ProtocolViolationError` when the device broke the framing or
        the message-ids.
        """
        if not self._connected:
            raise ConnectionFailedError(f"{requests[0].name} was not sent: the session is closed", device=self._device)
        return self._send_all(requests, seconds)

    def _send_all(self, requests: Sequence[Request], seconds: float) -> list[Call]:
        first, chunked = self._next_id, self._base == NetconfBase.BASE_11
        self._next_id = first + len(requests)
        frames = [frame(request.numbered(number), chunked=chunked) for number, request in enumerate(requests, first)]
        try:
            self._channel.write(b"".join(frames))
        except (OSError, asyncssh.Error) as error:
            raise ConnectionFailedError(f"{requests[0].name} was not sent: {error}", device=self._device) from error
        now = self._loop.time()
        calls: list[Call] = []
        for turn, request in enumerate(requests):
            patience = seconds * (turn + 1)
            before = calls[-1] if calls else None
            call = Call(first + turn, request, patience, now + patience, self._loop.create_future(), before)
            self._calls[call.number] = call
            calls.append(call)
        self._arm(calls[0].deadline)
        return calls

    def forget(self, call: Call) -> None:
        """Let nobody wait for this call any more; its reply will be dropped."""
        self._calls.pop(call.number, None)
        call.future.cancel()
        call.tell()

    def _arm(self, deadline: float) -> None:
        """One timer for all calls, left alone while it is early enough: most calls are answered long before."""
        if self._timer is None or deadline < self._timer.when():
            self._disarm()
            self._timer = self._loop.call_at(deadline, self._expire)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        for call in list(self._calls.values()):
            if call.deadline > now:
                self._arm(call.deadline)
            else:
                del self._calls[call.number]
                why = f"{call.request.name}: no answer within {call.seconds:g} seconds"
                call.give_up(OutcomeUnknownError(why, device=self._device))

    def send(self, message: str) -> None:
        """Send what an ncclient operation wrote (ncclient's own interface)."""
        if not self._connected:
            raise TransportError("not connected to the device")
        self._channel.write(frame(message.encode(), chunked=self._base == NetconfBase.BASE_11))

    # -- bytes that arrive ---------------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Take what the channel brought; a device that breaks the protocol loses the session."""
        if self._ended:
            return
        try:
            for message in self._decoder.feed(data):
                self._deliver(message)
        except ProtocolViolationError as violation:
            self._connected = False
            self._fail(violation.message, ProtocolViolationError)
            self.abort(violation.message)

    def _deliver(self, message: Message) -> None:
        head = read_head(message)
        if head is None:
            return self._deliver_oddity(message)
        if head.name == b"rpc-reply":
            return self._deliver_reply(head, message)
        if head.name == b"notification":
            if self.on_notification is not None:
                self.on_notification(message)
            return None
        if head.name == b"hello" and not self._hello.done():
            return self._deliver_hello(message)
        raise ProtocolViolationError(f"the device sent an unexpected <{head.name.decode(errors='replace')}>")

    def _deliver_oddity(self, message: Message) -> None:
        """Let the device type's handler repair what does not look like XML, as ncclient does."""
        repaired = self._device_handler.handle_raw_dispatch(bytes(message).decode(errors="replace"))
        if isinstance(repaired, str) and (head := read_head(repaired.encode())) and head.name == b"rpc-reply":
            return self._deliver_reply(head, repaired.encode())
        raise ProtocolViolationError(f"the device sent something that is no XML element: {bytes(message[:60])!r}")

    def _deliver_hello(self, message: Message) -> None:
        hello = read_hello(message)
        self._id, self._server_capabilities = hello.session_id, hello.capabilities
        if BASE_11 in hello.capabilities and BASE_11 in self._client_capabilities:
            self._base = NetconfBase.BASE_11
            self._decoder.switch_to_chunks()
        self._hello.set_result(None)

    def _deliver_reply(self, head: Head, message: Message) -> None:
        text = head.message_id if head.message_id is not None else self._only_call()
        if not text.isdigit():
            return self._deliver_to_ncclient(text.decode(errors="replace"), message)
        number = int(text)
        if (call := self._calls.pop(number, None)) is not None:
            call.reply = message
            following = self._calls.get(number + 1)
            if following is None or following.before is not call or _REFUSAL in bytes(message[:_REFUSAL_WITHIN]):
                call.tell()  # a refusal waits for nobody: others are to be told to give up
        elif not 0 < number < self._next_id:
            raise ProtocolViolationError(f"the device answered message-id {number}, which was never sent")
        return None

    def _only_call(self) -> bytes:
        """Return the id a reply without one must mean (RFC 6241 section 4.3 allows it when the id was not readable)."""
        if len(self._calls) != 1:
            raise ProtocolViolationError("the device sent a reply without message-id")
        return b"%d" % next(iter(self._calls))

    def _deliver_to_ncclient(self, message_id: str, message: Message) -> None:
        listener = self.get_listener_instance(RPCReplyListener)
        if listener is None:
            raise ProtocolViolationError(f"the device answered message-id {message_id!r}, which was never sent")
        if message_id in listener._id2rpc:  # noqa: SLF001 - the only way to know whether somebody still waits
            parse(message)
            self._dispatch_message(bytes(message).decode(errors="replace"))
