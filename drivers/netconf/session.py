"""Owns the NETCONF `DeviceSession`: which RPCs each step of a transaction is, per participant class (RFC 6241 7 and 8).

Confirmed commit 1.1 is bound to its `persist` token; 1.0 (RFC 4741 8.4) to this session: confirming is a plain commit
here, and cancelling, for which 1.0 has no operation, is closing the session.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import structlog
from ncclient.operations.rpc import RPCReply

from controller.model.errors import (
    AccordError,
    ConnectionFailedError,
    DeviceCause,
    DeviceRejectedError,
    LockedError,
    NotSupportedError,
    OutcomeUnknownError,
)
from controller.model.identifiers import DeviceName, TransactionId
from controller.ports import Capabilities, DeviceTarget, ParticipantClass, Reading, Warnings
from drivers.netconf.notifications import NotificationStream
from drivers.netconf.replies import Reply
from drivers.netconf.requests import YANG_PUSH, Request, Requests, establish_subscription
from drivers.netconf.rpc import Rpc
from drivers.netconf.transport import NetconfTransport

_log = structlog.get_logger(__name__)

NO_VALIDATE = "no-validate"
NO_LOCK = "no-lock"
NO_PIPELINING = "no-pipelining"
"""Wait for each answer before the next request, for devices that lose requests that come together."""
CANCEL_UNLOCKED = "cancel-unlocked"
"""Give the locks back before `cancel-commit`: netconfd says `<ok/>` but restores nothing while running is locked."""
_NOTHING_PENDING_TAGS = {"invalid-value", "operation-failed"}
"""What devices answer when no confirmed commit is pending; the read-back tells if one of them meant something else."""


class NetconfSession:
    """One live session; see `DeviceSession` for the contract."""

    def __init__(
        self,
        target: DeviceTarget,
        transport: NetconfTransport,
        requests: Requests,
        rpc: Rpc,
        capabilities: Capabilities,
    ) -> None:
        self._target = target
        self._transport = transport
        self._requests = requests
        self._rpc = rpc
        self._capabilities = capabilities
        self._rollback = ":rollback-on-error" in transport.server_capabilities
        self._validates = capabilities.supports_validate and NO_VALIDATE not in target.quirks
        self._locks = () if NO_LOCK in target.quirks else self._datastores()
        self._locked: list[str] = []
        self._dirty = False
        self._tentative = False
        self._stream: NotificationStream | None = None
        self._is_pipelined = NO_PIPELINING not in target.quirks
        self._following: tuple[Request, ...] = ()
        self._read_last: tuple[Sequence[str], Request] | None = None

    @property
    def device(self) -> DeviceName:
        """Whose session this is."""
        return self._target.name

    @property
    def capabilities(self) -> Capabilities:
        """What was found out at connect."""
        return self._capabilities

    @property
    def has_candidate(self) -> bool:
        """Whether edits go through the candidate."""
        return self._capabilities.participant is not ParticipantClass.IMMEDIATE

    def _datastores(self) -> tuple[str, ...]:
        return ("running", "candidate") if self.has_candidate else ("running",)

    def foresee(self, *, validate: bool = False, read: Sequence[str] | None = None) -> None:
        """Send what follows together with the next step; a device carries requests out in order (RFC 6241 4.5)."""
        if not self._is_pipelined:
            return
        following = (self._validation,) if validate and self._validates else ()
        self._following = following if read is None else (*following, self._reading(read))

    async def _call_last(self, request: Request) -> Reply:
        """Call the last RPC of a step, what was foreseen behind it."""
        following, self._following = self._following, ()
        return await self._rpc.call(request, *following)

    # -- reading -------------------------------------------------------------------------------------------------------

    async def read(self, filters: Sequence[str] = ()) -> Reading:
        """`get-config` of running."""
        return Reading(await self._rpc.read(self._reading(filters)))

    def _reading(self, filters: Sequence[str]) -> Request:
        """The request, written once while the same is read again and again."""
        if self._read_last is None or self._read_last[0] != filters:
            self._read_last = filters, self._requests.read("get-config", filters)
        return self._read_last[1]

    async def read_state(self, filters: Sequence[str] = ()) -> Reading:
        """`get`."""
        return Reading(await self._rpc.read(self._requests.read("get", filters)))

    # -- locks ---------------------------------------------------------------------------------------------------------

    async def lock(self) -> None:
        """Lock running and candidate, then discard what another session left in the candidate."""
        try:
            for datastore in self._locks:
                await self._lock(datastore)
            if self.has_candidate:
                await self._call_last(self._requests.simple("discard-changes"))
                self._dirty = False
        except AccordError:
            await self.release()
            raise

    async def _lock(self, datastore: str) -> None:
        request = self._requests.simple("lock", datastore)
        self._locked.append(datastore)  # also when the answer gets lost: releasing too much is harmless
        try:
            await self._rpc.call(request)
        except (LockedError, DeviceRejectedError) as refusal:
            self._locked.remove(datastore)
            if datastore != "candidate" or _held_by_somebody(refusal):
                raise
            await self._discard()  # a candidate with changes can't be locked (RFC 6241 section 7.5)
            self._locked.append(datastore)
            await self._rpc.call(request)

    async def release(self) -> None:
        """Discard a left-over candidate and unlock; a session that can't is cut, so that the device drops its locks."""
        self._following = ()
        try:
            if self._dirty and not self._tentative:
                await self._discard()
            await self._unlock()
        except ConnectionFailedError:
            self._locked.clear()
        except AccordError as error:
            self._locked.clear()
            self._transport.abort(f"the locks could not be released: {error.message}")

    async def _unlock(self) -> None:
        """Unlock what is locked; where the device refuses, end the session, for only that is sure to free its locks."""
        refusals: list[str] = []
        requests = [self._requests.simple("unlock", datastore) for datastore in reversed(self._locked)]
        for turn, request in enumerate(requests, 1):
            try:
                await self._rpc.call(request, *(requests[turn:] if self._is_pipelined else ()))
            except (DeviceRejectedError, LockedError) as refusal:
                refusals.append(refusal.message)
            self._locked.pop()
        if refusals:
            self._transport.abort(f"the locks could not be released: {refusals[0]}")

    async def _discard(self) -> None:
        await self._rpc.call(self._requests.simple("discard-changes"))
        self._dirty = False

    # -- the steps of a transaction ------------------------------------------------------------------------------------

    async def prepare(self, edit: bytes) -> Warnings:
        """`edit-config` of the candidate."""
        self._dirty = True
        return (await self._call_last(self._edit("candidate", edit, test=False))).warnings

    async def validate(self) -> Warnings:
        """`validate` of the candidate, where offered and not broken (quirk `no-validate`)."""
        if not self._validates:
            return ()
        return (await self._rpc.call(self._validation)).warnings

    @property
    def _validation(self) -> Request:
        return self._requests.simple("validate", "candidate")

    async def commit_tentative(self, persist: TransactionId, timeout_seconds: float) -> Warnings:
        """Confirmed commit."""
        options: dict[str, str | bool] = {"confirmed": True, "timeout": str(max(1, round(timeout_seconds)))}
        if self._capabilities.participant is ParticipantClass.PERSISTENT:
            options["persist"] = persist
        self._tentative = True
        try:
            reply = await self._call_last(self._requests.commit(**options))
        except (DeviceRejectedError, LockedError):
            self._tentative = False
            raise
        self._dirty = False
        return reply.warnings

    async def confirm(self, persist: TransactionId) -> None:
        """Confirming commit; on a session-bound device only the session of the tentative commit can confirm it."""
        if self._capabilities.participant is ParticipantClass.PERSISTENT:
            await self._write(self._requests.commit(persist_id=persist))
        elif self._tentative:
            await self._write(self._requests.simple("commit"))
        else:
            raise DeviceRejectedError(
                "this session has no tentative commit; the device took it back when its session ended",
                tag="invalid-value",
                device=self.device,
            )
        self._tentative = self._dirty = False
        await self._save()

    async def cancel(self, persist: TransactionId) -> None:
        """`cancel-commit` (1.1), or the end of the session (1.0) when it made the tentative commit."""
        if self._capabilities.participant is ParticipantClass.PERSISTENT:
            if CANCEL_UNLOCKED in self._target.quirks:
                await self._unlock()
            try:
                await self._rpc.call(self._requests.cancel_commit(persist))
            except DeviceRejectedError as refusal:
                if refusal.tag not in _NOTHING_PENDING_TAGS:
                    raise
            self._tentative = False
        elif self._tentative:
            self._tentative = False
            self._locked.clear()
            await self.close()

    async def commit_now(self) -> Warnings:
        """Plain commit of the candidate."""
        warnings = await self._write(self._requests.simple("commit"))
        self._dirty = False
        return (*warnings, *await self._save())

    async def apply(self, edit: bytes, entity_tag: str = "") -> Warnings:
        """Edit running; through the candidate where there is one, since running may not be writable then."""
        if entity_tag:
            raise NotSupportedError("NETCONF has no entity tags", path="entity_tag", device=self.device)
        if not self.has_candidate:
            request = self._edit("running", edit, test=self._validates)
            return (*await self._write(request), *await self._save())
        await self._discard()
        self._dirty = True
        try:
            reply = await self._rpc.call(self._edit("candidate", edit, test=False))
            return (*reply.warnings, *await self.commit_now())
        except (DeviceRejectedError, LockedError):
            await self._discard()
            raise

    async def _write(self, request: Request) -> Warnings:
        """Change running for good; `_save` comes behind."""
        call = self._rpc.call if self._capabilities.supports_startup else self._call_last
        return (await call(request)).warnings

    async def _save(self) -> Warnings:
        """Copy running to startup where a reboot would else forget the change (RFC 6241 section 8.7).

        The change is done by now: a refusal to copy is a warning, no answer leaves the outcome unknown.
        """
        if not self._capabilities.supports_startup:
            return ()
        try:
            return (await self._call_last(self._requests.simple("copy-config", "running", "startup"))).warnings
        except (DeviceRejectedError, LockedError) as refusal:
            message = f"a reboot would undo the change, running was not copied to startup: {refusal.message}"
            _log.warning("startup_not_saved", device=self.device, reason=refusal.message)
            return (DeviceCause(tag=refusal.tag, message=message, severity="warning"),)
        except ConnectionFailedError as lost:
            raise OutcomeUnknownError(
                f"the change was made but not copied to startup: {lost.message}",
                remedy="read back before deciding",
                device=self.device,
            ) from lost

    def _edit(self, target: str, edit: bytes, *, test: bool) -> Request:
        return self._requests.edit(target, edit, rollback=self._rollback, test=test)

    # -- beside transactions -------------------------------------------------------------------------------------------

    async def execute(self, operation: type, *arguments: Any, **options: Any) -> RPCReply:
        """Run an ncclient operation, e.g. one of the device type's own; see `Rpc.execute`."""
        return await self._rpc.execute(operation, *arguments, **options)

    async def notifications(self) -> AsyncIterator[bytes]:
        """Subscribe and yield until the session ends; without `interleave` it can do nothing else then (RFC 5277 6)."""
        async for notification in await self.subscribe():
            yield notification

    async def subscribe(self) -> AsyncIterator[bytes]:
        """Subscribe; returns the stream once the device has agreed to send it."""
        if self._stream is None:
            self._stream = await self._subscribe()
        return self._stream

    async def push(self, filters: Sequence[str], period_seconds: float) -> AsyncIterator[bytes]:
        """Establish a subscription to operational state (RFC 8641); updates come in the session's one stream."""
        if not any(urn.startswith(YANG_PUSH) for urn in self._capabilities.urns):
            raise NotSupportedError("the device offers no YANG-Push", tag="operation-not-supported", device=self.device)
        if self._stream is None:
            self._stream = stream = NotificationStream(self.device)
            self._transport.on_notification, self._transport.on_end = stream.put, stream.end
        await self._rpc.call(establish_subscription(filters, period_seconds))
        return self._stream

    async def _subscribe(self) -> NotificationStream:
        stream = NotificationStream(self.device)
        self._transport.on_notification, self._transport.on_end = stream.put, stream.end
        try:
            await self._rpc.call(self._requests.simple("create-subscription"))
        except AccordError:
            self._transport.on_notification = self._transport.on_end = None
            raise
        return stream

    async def close(self) -> None:
        """Close politely within a second, else abort."""
        self._locked.clear()
        await self._transport.close(self._requests.close_session)


def _held_by_somebody(refusal: AccordError) -> bool:
    return refusal.app_tag.isdigit() and refusal.app_tag != "0"
