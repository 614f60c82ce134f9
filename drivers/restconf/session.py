"""Owns a RESTCONF session behind the `DeviceSession` port (RFC 8040; YANG Patch, RFC 8072).

The participant class is `IMMEDIATE`: one YANG Patch on running, guarded by the datastore's entity tag. There is no
candidate and no lock, so what needs them is refused, and `lock` and `release` have nothing to do.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import NoReturn, TypeVar

from lxml import etree

from controller.model.errors import (
    DeviceRejectedError,
    NotSupportedError,
    OutcomeUnknownError,
    ProtocolViolationError,
)
from controller.ports import Capabilities, DeviceTarget, Reading, Warnings
from drivers.immediate import ImmediateSession
from drivers.restconf import documents, events, paths
from drivers.restconf.errors import error_of
from drivers.restconf.transport import Answer, HttpsTransport
from drivers.threads import DeadlineError, DriverThreads

T = TypeVar("T")

_ACCEPT = {"Accept": "application/yang-data+xml"}
_PATCH = {"Content-Type": "application/yang-patch+xml", "Accept": "application/yang-data+xml"}


class RestconfSession(ImmediateSession):
    """One device over HTTPS; made by `RestconfConnector`."""

    lacks = "RESTCONF has no candidate"

    def __init__(
        self,
        target: DeviceTarget,
        transport: HttpsTransport,
        threads: DriverThreads,
        root: str,
        capabilities: Capabilities,
    ) -> None:
        super().__init__(target)
        self._transport = transport
        self._threads = threads
        self._root = root
        self._capabilities = capabilities
        self._namespaces = {module.name: module.namespace for module in capabilities.modules if module.namespace}
        self._stream_enders: set[Callable[[], None]] = set()

    @property
    def capabilities(self) -> Capabilities:
        """What was found out at connect."""
        return self._capabilities

    async def read(self, filters: Sequence[str] = ()) -> Reading:
        """Running configuration below one `<data>`; `filters` are encoded paths below `{+restconf}/data/`.

        A path below a list entry is read as the whole outermost entry; what does not exist is left out. The entity tag
        is the datastore's, taken before the data, so a change in between makes a guarded `apply` fail, never succeed.
        """
        return await self._call(lambda: self._read(filters, "config"), "read")

    async def read_state(self, filters: Sequence[str] = ()) -> Reading:
        """As `read`, with operational state."""
        return await self._call(lambda: self._read(filters, "all"), "read state")

    async def apply(self, edit: bytes, entity_tag: str = "") -> Warnings:
        """Send a YANG Patch (XML) on the datastore.

        Raises `EntityTagMismatchError` (a `DeviceRejectedError` and a `ConflictError`) when running has moved from
        `entity_tag`; otherwise as the port says.
        """
        return await self._call(lambda: self._apply(edit, entity_tag), "apply")

    async def notifications(self) -> AsyncIterator[bytes]:
        """The `NETCONF` event stream (RFC 8040 section 6.3); ends when the device or `close` ends it."""
        async for event in await self.subscribe():
            yield event

    async def subscribe(self) -> AsyncIterator[bytes]:
        """The stream, found; its connection is opened by the first read."""
        location = await self._call(self._stream_path, "notifications")
        return events.follow(self._target, location, self._threads, self._stream_enders)

    async def close(self) -> None:
        """Close; a pending call fails at once. Idempotent."""
        self._closed = True
        for end in tuple(self._stream_enders):
            end()
        self._transport.close()

    async def _call(self, job: Callable[[], T], name: str) -> T:
        self._must_be_open()
        seconds = self._target.connect_timeout_seconds + self._target.rpc_timeout_seconds
        try:
            return await self._threads.run(job, deadline_seconds=seconds, abort=self._transport.cut)
        except DeadlineError:
            raise OutcomeUnknownError(
                f"{name}: no answer within {seconds:g} s", remedy="read back before deciding", device=self.device
            ) from None

    def _get(self, path: str, headers: Mapping[str, str] = _ACCEPT) -> Answer | None:
        answer = self._transport.exchange("GET", path, headers)
        if answer.status == 200:
            return answer
        if answer.status in {204, 404}:
            return None
        raise error_of(answer, self.device, f"GET {path}")

    def _read(self, filters: Sequence[str], content: str) -> Reading:
        if not filters:
            return self._read_everything(content)
        tag = self._entity_tag()
        data = documents.new_data()
        for path in paths.resources(filters, self._namespaces):
            answer = self._get(f"{self._root}/data/{path}?content={content}")
            if answer is not None:
                above = paths.ancestors(path, self._namespaces)
                documents.join(data, above, self._parsed(answer.body))
        return Reading(etree.tostring(data), tag)

    def _read_everything(self, content: str) -> Reading:
        answer = self._get(f"{self._root}/data?content={content}")
        data = documents.new_data()
        if answer is None:
            return Reading(etree.tostring(data))
        for child in self._parsed(answer.body).iterchildren(etree.Element):
            data.append(child)
        return Reading(etree.tostring(data), answer.headers.get("ETag", ""))

    def _entity_tag(self) -> str:
        answer = self._transport.exchange("HEAD", f"{self._root}/data?depth=1&content=config", _ACCEPT)
        if answer.status not in {200, 204}:
            raise error_of(answer, self.device, "HEAD of the datastore")
        return answer.headers.get("ETag", "")

    def _apply(self, edit: bytes, entity_tag: str) -> Warnings:
        headers = _PATCH | ({"If-Match": entity_tag} if entity_tag else {})
        answer = self._transport.exchange("PATCH", f"{self._root}/data", headers, edit)
        if answer.status not in {200, 204}:
            raise error_of(answer, self.device, "YANG Patch")
        if documents.causes(answer.body):
            # A patch status may carry errors under any status code.
            raise self._rejection(answer)
        return documents.warnings(answer.headers.get("Warning", ""))

    def _rejection(self, answer: Answer) -> DeviceRejectedError:
        causes = documents.causes(answer.body)
        error = DeviceRejectedError(
            f"YANG Patch: {'; '.join(cause.message or cause.tag for cause in causes)}",
            tag=causes[0].tag,
            path=causes[0].path,
            device=self.device,
        )
        error.causes = causes
        return error

    def _parsed(self, body: bytes) -> etree._Element:
        try:
            return documents.parse(body)
        except ProtocolViolationError as error:
            error.device = self.device
            raise

    def _stream_path(self) -> str:
        answer = self._get(f"{self._root}/data/ietf-restconf-monitoring:restconf-state/streams")
        location = documents.stream_location(self._parsed(answer.body), "NETCONF") if answer else ""
        if not location:
            self._refuse_stream()
        return location

    def _refuse_stream(self) -> NoReturn:
        raise NotSupportedError("the device offers no NETCONF event stream", device=self.device)
