"""Owns awaited RPCs: one request, one deadline, one answer in our words (RFC 6241 section 4).

A request that may have changed the device and drew no readable answer is an `OutcomeUnknownError`, whatever went wrong.
"""

import asyncio
from typing import Any

from ncclient.operations.errors import OperationError
from ncclient.operations.rpc import RPC, RPCReply, RPCReplyListener
from ncclient.transport.errors import TransportError

from controller.model.errors import (
    ConnectionFailedError,
    DeviceRejectedError,
    OutcomeUnknownError,
    ProtocolViolationError,
)
from controller.model.identifiers import DeviceName
from drivers.netconf.replies import Reply, read_reply
from drivers.netconf.requests import Request
from drivers.netconf.transport import Call, NetconfTransport


class Rpc:
    """Calls on one session. `seconds` is the deadline of each."""

    def __init__(self, device: DeviceName, transport: NetconfTransport, handler: Any, seconds: float) -> None:
        self._device = device
        self._transport = transport
        self._handler = handler
        self._seconds = seconds
        self._ahead: list[Call] = []

    async def call(self, request: Request, *behind: Request) -> Reply:
        """Send and read the answer; see `DeviceSession` for the errors.

        `behind`: what is going to be called next; it is sent along and waits for its call. Any other call forgets it.
        """
        sent = self._sent_ahead(request)
        if sent is None:
            sent, *self._ahead = self._transport.post((request, *behind), self._seconds)
        try:
            message = await sent.future
            return await read_reply(self._device, self._handler, message)
        except ProtocolViolationError as violation:
            violation.device = self._device
            if not request.changes:
                raise
            raise OutcomeUnknownError(
                f"{request.name}: {violation.message}", remedy="read back before deciding", device=self._device
            ) from violation
        except asyncio.CancelledError:
            self._transport.forget(sent)
            raise

    def _sent_ahead(self, request: Request) -> Call | None:
        """The call that is under way already; a question whose answer went missing is put once more."""
        if self._ahead and self._ahead[0].request == request:
            sent = self._ahead[0]
            is_lost = sent.future.done() and sent.future.exception() is not None
            if request.changes or not is_lost:
                del self._ahead[0]
                return sent
        while self._ahead:
            self._transport.forget(self._ahead.pop())
        return None

    async def read(self, request: Request) -> bytes:
        """Return the data of a reply that must have some."""
        reply = await self.call(request)
        if reply.data is None:
            raise ProtocolViolationError(f"the device answered {request.name} without data", device=self._device)
        return reply.data

    async def execute(self, operation: type, *arguments: Any, **options: Any) -> RPCReply:
        """Run any ncclient operation, a vendor's included, and return ncclient's reply.

        Errors: as `call`; a refusal is `DeviceRejectedError` with the message only.
        """
        rpc = operation(self._transport, device_handler=self._handler, async_mode=True)
        answered = _Answered()
        rpc._event = answered  # noqa: SLF001 - ncclient has no other way to be awaited
        try:
            rpc.request(*arguments, **options)
            async with asyncio.timeout(self._seconds):
                await answered.future
        except TransportError as error:
            raise ConnectionFailedError(f"{operation.__name__} was not sent: {error}", device=self._device) from error
        except TimeoutError as error:
            raise OutcomeUnknownError(
                f"{operation.__name__}: no answer within {self._seconds:g} seconds", device=self._device
            ) from error
        finally:
            _forget(self._transport, rpc)
        return self._result(rpc)

    def _result(self, rpc: RPC) -> RPCReply:
        if rpc.error is not None:
            raise OutcomeUnknownError(str(rpc.error) or "the session ended", device=self._device) from rpc.error
        reply = rpc.reply
        try:
            failure = reply.error
        except (OperationError, ValueError) as error:
            raise ProtocolViolationError(f"unreadable reply: {error}", device=self._device) from error
        if (
            failure is not None
            and failure.severity != "warning"
            and not self._handler.is_rpc_error_exempt(failure.message)
        ):
            raise DeviceRejectedError(str(failure.message or failure.tag), tag=str(failure.tag), device=self._device)
        return reply


class _Answered:
    """Stands in for the thread event ncclient sets when a reply is there."""

    def __init__(self) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def set(self) -> None:
        if not self.future.done():
            self.future.set_result(None)

    def is_set(self) -> bool:
        return self.future.done()


def _forget(transport: NetconfTransport, rpc: RPC) -> None:
    """Drop a call that ncclient would otherwise remember for the life of the session."""
    listener = transport.get_listener_instance(RPCReplyListener)
    if listener is not None:
        listener._id2rpc.pop(rpc.id, None)  # noqa: SLF001 - it has no public way to forget
