"""Owns: the NETCONF event stream as server-sent events (RFC 8040 section 6, RFC 6470)."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from lab.router.json_codec import JsonCodec
from lab.router.managed import ManagedRouter
from lab.router.notifications import EVENTS, Subscription
from lab.router.restconf_errors import refuse
from lab.router.restconf_message import Request
from lab.router.schema import SchemaNode, TypeInfo
from lab.router.xml import NOTIFICATION, parse

STREAM_PATHS = {"json": "/restconf/streams/NETCONF/json", "xml": "/restconf/streams/NETCONF/xml"}
_QUEUE_LIMIT = 1000
_EVENTS_MODULE = "ietf-netconf-notifications"
_NUMBERS = ("session-id", "killed-by", "timeout")


class EventStream:
    """Sends the router's events to every listening client. A client too slow to keep up is let go."""

    def __init__(self, router: ManagedRouter) -> None:
        self._router = router
        self._codec = JsonCodec(router.schema)
        self._queues: set[asyncio.Queue[bytes | None]] = set()

    def close(self) -> None:
        """End every listener's stream."""
        for queue in self._queues:
            _end(queue)

    async def serve(
        self,
        request: Request,
        session_id: int,
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Stream events until the client leaves or the server stops. Raises `RestconfError` for another resource."""
        encoding = next((name for name, path in STREAM_PATHS.items() if path == request.path), None)
        if encoding is None:
            raise refuse("invalid-value", f"there is no stream {request.path}", status=404)
        if request.method != "GET":
            raise refuse("operation-not-supported", f"{request.method} is not allowed on a stream")
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE_LIMIT)
        self._queues.add(queue)
        self._router.stream.subscribe(session_id, Subscription(self._router.schema, lambda text: _put(queue, text)))
        gone = asyncio.ensure_future(_disconnected(receive, queue))
        try:
            headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            # A comment line: the client's headers must not wait for the first event.
            await send({"type": "http.response.body", "body": b": listening\n\n", "more_body": True})
            while (event := await queue.get()) is not None:
                await send({"type": "http.response.body", "body": self._sse(event, encoding), "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._router.stream.unsubscribe(session_id)
            self._queues.discard(queue)
            gone.cancel()

    def _sse(self, message: bytes, encoding: str) -> bytes:
        text = message.decode() if encoding == "xml" else self._as_json(message)
        return "".join(f"data: {line}\n" for line in text.splitlines()).encode() + b"\n"

    def _as_json(self, message: bytes) -> str:
        stamp, *events = parse(message)
        content: dict[str, Any] = {"eventTime": stamp.text}
        content.update(self._codec.encode_members(_EVENT_PARENT, events))
        return json.dumps({"ietf-restconf:notification": content})


def _put(queue: "asyncio.Queue[bytes | None]", message: bytes) -> None:
    if queue.full():
        _end(queue)
    else:
        queue.put_nowait(message)


async def _disconnected(
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]], queue: "asyncio.Queue[bytes | None]"
) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    _end(queue)


def _end(queue: "asyncio.Queue[bytes | None]") -> None:
    """Put the end mark, making room for it when the queue is full."""
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(None)


def _node(name: str, kind: Any, *children: SchemaNode, base: str = "string") -> SchemaNode:
    kinds = TypeInfo(base) if kind == "leaf" else None
    tag = f"{{{EVENTS}}}{name}"
    below = {child.tag: child for child in children}
    return SchemaNode(tag, name, _EVENTS_MODULE, EVENTS, kind, children=below, type=kinds)


def _event_parent() -> SchemaNode:
    """Schema nodes for RFC 6470's events: a data node schema holds no notifications."""
    numbers = [_node(name, "leaf", base="uint32") for name in _NUMBERS]
    words = [_node(name, "leaf") for name in ("username", "source-host", "datastore", "confirm-event")]
    words.append(_node("termination-reason", "leaf"))
    by = _node("changed-by", "container", *numbers, *words, _node("server", "leaf", base="empty"))
    edit = _node("edit", "list", _node("target", "leaf", base="instance-identifier"), _node("operation", "leaf"))
    names = ("netconf-config-change", "netconf-confirmed-commit", "netconf-session-start", "netconf-session-end")
    events = [_node(name, "container", *numbers, *words, by, edit) for name in names]
    return SchemaNode("", "", "", NOTIFICATION, "container", children={event.tag: event for event in events})


_EVENT_PARENT = _event_parent()
