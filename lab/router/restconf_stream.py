"""Owns: the NETCONF event stream as server-sent events: configuration changes (RFC 8040 section 6, RFC 6470)."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from lab.router.datastore import ConfigChange
from lab.router.managed import ManagedRouter
from lab.router.restconf_errors import refuse
from lab.router.restconf_message import Request
from lab.router.xml import NOTIFICATION, add, element

STREAM_PATHS = {"json": "/restconf/streams/NETCONF/json", "xml": "/restconf/streams/NETCONF/xml"}
_NS = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"
_QUEUE_LIMIT = 1000


class EventStream:
    """Sends each change of running to every listening client. A client too slow to keep up is let go."""

    def __init__(self, router: ManagedRouter) -> None:
        self._queues: set[asyncio.Queue[tuple[datetime, ConfigChange] | None]] = set()
        self._closed = False
        router.store.subscribe(self._publish)

    def open(self) -> None:
        """Accept listeners again."""
        self._closed = False

    def close(self) -> None:
        """End every listener's stream."""
        self._closed = True
        for queue in self._queues:
            _end(queue)

    def _publish(self, change: ConfigChange) -> None:
        if change.datastore != "running" or not self._queues:
            return
        moment = datetime.now(UTC)
        for queue in self._queues:
            if queue.full():
                _end(queue)
            else:
                queue.put_nowait((moment, change))

    async def serve(
        self,
        request: Request,
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Stream events until the client leaves or the server stops. Raises `RestconfError` for another resource."""
        encoding = next((name for name, path in STREAM_PATHS.items() if path == request.path), None)
        if encoding is None:
            raise refuse("invalid-value", f"there is no stream {request.path}", status=404)
        if request.method != "GET":
            raise refuse("operation-not-supported", f"{request.method} is not allowed on a stream")
        queue: asyncio.Queue[tuple[datetime, ConfigChange] | None] = asyncio.Queue(_QUEUE_LIMIT)
        self._queues.add(queue)
        gone = asyncio.ensure_future(_disconnected(receive, queue))
        try:
            headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            # A comment line: the client's headers must not wait for the first event.
            await send({"type": "http.response.body", "body": b": listening\n\n", "more_body": True})
            while (event := await queue.get()) is not None:
                await send({"type": "http.response.body", "body": _sse(event, encoding), "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._queues.discard(queue)
            gone.cancel()


async def _disconnected(
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    queue: "asyncio.Queue[tuple[datetime, ConfigChange] | None]",
) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    _end(queue)


def _end(queue: "asyncio.Queue[tuple[datetime, ConfigChange] | None]") -> None:
    """Put the end mark, making room for it when the queue is full."""
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(None)


def _sse(event: tuple[datetime, ConfigChange], encoding: str) -> bytes:
    moment, change = event
    stamp = moment.isoformat().replace("+00:00", "Z")
    text = json.dumps(_as_json(stamp, change)) if encoding == "json" else _as_xml(stamp, change)
    return "".join(f"data: {line}\n" for line in text.splitlines()).encode() + b"\n"


def _as_json(stamp: str, change: ConfigChange) -> dict[str, Any]:
    by: dict[str, Any] = {"server": [None]}
    if change.session_id:
        by = {"username": change.username, "session-id": change.session_id}
    edits = [{"target": edit.path, "operation": edit.operation} for edit in change.edits]
    content = {"changed-by": by, "datastore": change.datastore, "edit": edits}
    return {
        "ietf-restconf:notification": {"eventTime": stamp, "ietf-netconf-notifications:netconf-config-change": content}
    }


def _as_xml(stamp: str, change: ConfigChange) -> str:
    root = element("notification", NOTIFICATION)
    add(root, f"{{{NOTIFICATION}}}eventTime", stamp)
    content = add(root, f"{{{_NS}}}netconf-config-change")
    by = add(content, f"{{{_NS}}}changed-by")
    if change.session_id:
        add(by, f"{{{_NS}}}username", change.username)
        add(by, f"{{{_NS}}}session-id", str(change.session_id))
    else:
        add(by, f"{{{_NS}}}server")
    add(content, f"{{{_NS}}}datastore", change.datastore)
    for edit in change.edits:
        entry = add(content, f"{{{_NS}}}edit")
        add(entry, f"{{{_NS}}}target", edit.path)
        add(entry, f"{{{_NS}}}operation", edit.operation)
    return etree.tostring(root, encoding="unicode")
