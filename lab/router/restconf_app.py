"""Owns: the RESTCONF API of one router as an ASGI application: roots, authentication, faults (RFC 8040 section 3).

Bare ASGI rather than a framework: routing must see the raw path, and a thousand routers share the process.
"""

import asyncio
import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from lxml import etree

from lab.router.fault_actor import DroppedError, FaultActor, SilencedError
from lab.router.managed import ManagedRouter
from lab.router.restconf_data import DataResources
from lab.router.restconf_errors import RESTCONF_NS, RestconfError, entries_of, refuse
from lab.router.restconf_media import Encoding, media_type, write_errors, write_json
from lab.router.restconf_message import Reply, Request
from lab.router.restconf_monitoring import Monitoring
from lab.router.restconf_stream import EventStream
from lab.router.rpc_errors import RpcError
from lab.router.xml import nsmap

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY_OCTETS = 16 * 1024 * 1024
_YANG_LIBRARY_VERSION = "2019-01-04"
_ROOT = "/restconf"
_HOST_META = (
    b"<?xml version='1.0' encoding='UTF-8'?>\n"
    b"<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'><Link rel='restconf' href='/restconf'/></XRD>\n"
)


class Connection(Protocol):
    """What the application needs of the connection that a request came in on."""

    def session_id(self) -> int:
        """The management session of this connection, opened at its first authenticated request."""

    def abort(self) -> None:
        """Cut the connection."""


class RestconfApp:
    """Answers every RESTCONF request to one router."""

    def __init__(self, router: ManagedRouter) -> None:
        self._router = router
        self._data = DataResources(router)
        self._monitoring = Monitoring(router)
        self.stream = EventStream(router)

    async def __call__(self, connection: Connection, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one HTTP exchange."""
        if scope["type"] != "http":
            return
        try:
            await self._exchange(connection, scope, receive, send)
        except DroppedError:
            connection.abort()
        except SilencedError:
            while (await receive())["type"] != "http.disconnect":
                pass
        except asyncio.CancelledError:
            connection.abort()  # the server stops and ends what it waits for; nobody else cancels

    async def _exchange(self, connection: Connection, scope: Message, receive: Receive, send: Send) -> None:
        request = _request_head(scope)
        actor = FaultActor(self._router, f"restconf-{request.method.lower()}")
        try:
            request = await _with_body(request, receive)
            self._authenticate(request)
            if self._is_stream(request):
                await self.stream.serve(request, connection.session_id(), receive, send)
                return
            await actor.at("before")
            reply = self._answer(request, connection)
            await actor.at("after")
            await actor.at("reply")
        except RestconfError as error:
            reply = _error_reply(request, error)
        except RpcError as error:
            reply = _error_reply(request, RestconfError(*entries_of(error)))
        if self._router.profile.quirks.slow_replies:
            await asyncio.sleep(self._router.profile.quirks.slow_replies)
        actor.check_reply()
        await _send_reply(request, reply, actor, send)

    def _is_stream(self, request: Request) -> bool:
        return request.path.startswith(f"{_ROOT}/streams/")

    def _authenticate(self, request: Request) -> None:
        """Raises `RestconfError` (access-denied, 401) for anything but this router's user and password."""
        if request.path == "/.well-known/host-meta":
            return
        scheme, _, encoded = request.header("authorization").partition(" ")
        wanted = f"{self._router.username}:{self._router.password}".encode()
        try:
            given = base64.b64decode(encoded, validate=True) if scheme.lower() == "basic" else b""
        except binascii.Error:
            given = b""
        if not hmac.compare_digest(given, wanted):
            raise refuse("access-denied", "user name or password is wrong or missing", status=401)

    def _answer(self, request: Request, connection: Connection) -> Reply:
        path = request.path
        if path == "/.well-known/host-meta":
            return self._retrieved(request, _HOST_META, "application/xrd+xml")
        if path == f"{_ROOT}/data" or path.startswith(f"{_ROOT}/data/"):
            below = path.removeprefix(f"{_ROOT}/data")
            if self._monitoring.covers(below):
                return self._monitoring.handle(request, below)
            return self._data.handle(request, below, connection.session_id())
        return self._root(request, path.removesuffix("/"))

    def _root(self, request: Request, path: str) -> Reply:
        if path == f"{_ROOT}/yang-library-version":
            return self._document(request, "yang-library-version", _YANG_LIBRARY_VERSION)
        if path == f"{_ROOT}/operations":
            return self._document(request, "operations", {})
        if path == _ROOT:
            return self._document(
                request,
                "restconf",
                {"data": {}, "operations": {}, "yang-library-version": _YANG_LIBRARY_VERSION},
            )
        if path.startswith(f"{_ROOT}/operations/"):
            raise refuse("invalid-value", f"no operation {path.rpartition('/')[2]} here", status=404)
        raise refuse("invalid-value", f"there is no resource {path or '/'}", status=404)

    def _document(self, request: Request, name: str, value: str | dict[str, Any]) -> Reply:
        encoding: Encoding = request.reply_encoding
        if encoding == "json":
            body = write_json({f"ietf-restconf:{name}": value})
        else:
            body = etree.tostring(_element(name, value))
        return self._retrieved(request, body, media_type(encoding))

    def _retrieved(self, request: Request, body: bytes, kind: str) -> Reply:
        if request.method == "OPTIONS":
            return Reply(200, headers={"Allow": "OPTIONS, GET, HEAD"})
        if request.method not in {"GET", "HEAD"}:
            raise refuse("operation-not-supported", f"{request.method} is not allowed on {request.path}")
        return Reply(200, body, {"Content-Type": kind})


def _element(name: str, value: str | dict[str, Any]) -> etree._Element:
    element = etree.Element(f"{{{RESTCONF_NS}}}{name}", nsmap=nsmap(RESTCONF_NS))
    if isinstance(value, str):
        element.text = value
    else:
        element.extend(_element(child, content) for child, content in value.items())
    return element


def _request_head(scope: Message) -> Request:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return Request(scope["method"], scope["raw_path"].decode("ascii"), scope["query_string"].decode("latin-1"), headers)


async def _with_body(request: Request, receive: Receive) -> Request:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DroppedError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_OCTETS:
            raise refuse("too-big", f"the body is larger than {MAX_BODY_OCTETS} octets")
        if not message.get("more_body"):
            return Request(request.method, request.path, request.query, request.headers, b"".join(parts))


def _error_reply(request: Request, error: RestconfError) -> Reply:
    try:
        encoding = request.reply_encoding
    except RestconfError:
        encoding = "json"
    headers = {"Content-Type": media_type(encoding)}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="restconf", charset="UTF-8"'
    return Reply(error.status, write_errors(error, encoding), headers)


async def _send_reply(request: Request, reply: Reply, actor: FaultActor, send: Send) -> None:
    body = actor.shaped(reply.body.decode()).encode()
    headers = dict(reply.headers)
    if actor.warning:
        headers["Warning"] = f'299 - "{actor.warning}"'
    if reply.status != 304 and not (reply.status == 204 and not body):
        headers["Content-Length"] = str(len(body))
    status = 200 if reply.status == 204 and body else reply.status
    encoded = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    content = b"" if request.method == "HEAD" else body
    size = actor.piece_octets or max(1, len(content))
    for start in range(0, max(1, len(content)), size):
        piece = content[start : start + size]
        await send({"type": "http.response.body", "body": piece, "more_body": start + size < len(content)})
        if actor.piece_octets:
            await asyncio.sleep(0)
