"""Owns what every request passes before a handler sees it: who asks, how much, how deep, how often.

There is no way around it: routes are made by `Door.route`, and a route without an action cannot be made.
"""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from controller.model.errors import (
    AccordError,
    BusyError,
    InvalidInputError,
    NotAuthorizedError,
)
from controller.northbound.auth import Action, Principal, Target, TokenStore, authorize, authorize_role
from controller.northbound.problem import problem_response

_log = structlog.get_logger(__name__)
_MOST_CALLERS = 10_000
_BODY_SECONDS = 60.0
"""A body that takes longer is given up: a slow sender holds memory and a connection."""
Json = Any


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a caller may send."""

    body_bytes: int = 16_777_216
    depth: int = 64
    requests_per_second: float = 200.0


@dataclass(slots=True)
class Buckets:
    """A token bucket for each caller, forgotten oldest first; a burst of two seconds' worth is allowed."""

    rate: float
    _levels: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, caller: str, now: float) -> None:
        """`BusyError` (429) when the caller asks too often."""
        level, last = self._levels.pop(caller, (2 * self.rate, now))
        level = min(2 * self.rate, level + (now - last) * self.rate)
        self._levels[caller] = (level - 1 if level >= 1 else level, now)
        while len(self._levels) > _MOST_CALLERS:
            self._levels.popitem(last=False)
        if level < 1:
            raise BusyError(
                f"more than {self.rate:g} requests a second", remedy="slow down", app_tag="rate-limit", tag="in-use"
            )


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in."""

    request: Request
    principal: Principal
    body: bytes
    limits: Limits

    @property
    def actor(self) -> str:
        """Who asks, for the log."""
        return self.principal.name

    def path(self, name: str) -> str:
        """A parameter of the path."""
        return str(self.request.path_params[name])

    def query(self, name: str, default: str = "") -> str:
        """A query parameter."""
        return self.request.query_params.get(name, default)

    def flag(self, name: str) -> bool:
        """A query parameter that is there and not `false`."""
        return name in self.request.query_params and self.query(name).lower() != "false"

    def json(self, allowed: Sequence[str] = ()) -> Mapping[str, Json]:
        """The body as a JSON object; members that are not `allowed`, excessive depth and repeated names are refused."""
        document = parse_json(self.body, self.limits.depth)
        if not isinstance(document, dict):
            raise InvalidInputError("the body is not a JSON object", tag="malformed-message")
        for member in document:
            if allowed and member not in allowed:
                raise InvalidInputError(
                    f"unknown member '{member}'", remedy=f"known are: {', '.join(allowed)}", path=member
                )
        return document

    def require(self, action: Action, kind: str, services: Sequence[str] = ()) -> None:
        """`NotAuthorizedError` unless the caller may do this to every one of the services."""
        for service in services or ("",):
            decision = authorize(self.principal, action, Target(kind, service))
            if not decision.is_allowed:
                raise NotAuthorizedError(decision.reason, path=service or kind, tag="access-denied")


def parse_json(body: bytes, most_depth: int) -> Json:
    """JSON of bounded depth without a name twice in one object (RFC 7493 2.3); `InvalidInputError` says what is wrong.

    The parser itself stops at 1,024 levels.
    """
    if not body:
        return {}
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"the body is not JSON: {error}", tag="malformed-message") from error
    level, depth = [document], 0
    while level:
        depth += 1
        if depth > most_depth + 1:
            raise InvalidInputError(f"the document nests deeper than {most_depth}", tag="too-big")
        level = [inner for value in level for inner in _members(value)]
    json.loads(body, object_pairs_hook=_refuse_repeated)
    return document


def _refuse_repeated(pairs: Sequence[tuple[str, Json]]) -> None:
    """The parser takes the last of two; whoever checked the first one would have checked something else."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidInputError(f"'{name}' stands twice in one object", path=name, tag="malformed-message")
        seen.add(name)


def _members(value: Json) -> Iterable[Json]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


Handler = Callable[[Call], Awaitable[Response]]
ErrorRenderer = Callable[[AccordError], Response]


@dataclass(slots=True)
class Door:
    """Lets requests in. `tokens` is asked at each request, so that a reload takes effect at once."""

    tokens: Callable[[], TokenStore]
    limits: Limits
    observe: Callable[[str, str, int, float], None] = lambda *_: None
    """Called with route, method, status, seconds."""
    _buckets: Buckets = field(init=False)

    def __post_init__(self) -> None:
        """One bucket set for all routes."""
        self._buckets = Buckets(self.limits.requests_per_second)

    def route(
        self,
        path: str,
        handlers: Mapping[str, tuple[Action, Handler]],
        *,
        render: ErrorRenderer = problem_response,
    ) -> Route:
        """A route with a handler and the least it asks of the caller, for each method."""

        async def endpoint(request: Request) -> Response:
            started = time.perf_counter()
            response = await self._answer(request, handlers, render)
            self.observe(path, request.method, response.status_code, time.perf_counter() - started)
            return response

        return Route(path, endpoint, methods=list(handlers))

    async def _answer(
        self, request: Request, handlers: Mapping[str, tuple[Action, Handler]], render: ErrorRenderer
    ) -> Response:
        method = "GET" if request.method == "HEAD" and "HEAD" not in handlers else request.method
        action, handler = handlers[method]
        try:
            principal = self._principal(request)
            self._buckets.take(principal.name, time.monotonic())
            self._require_role(principal, action)
            call = Call(request, principal, await self._body(request), self.limits)
            return await handler(call)
        except AccordError as error:
            return render(error)
        except ClientDisconnect:
            return render(InvalidInputError("the caller went away", tag="malformed-message"))
        except Exception:  # noqa: BLE001 - a fault of ours is an answer too, and the next request must be served
            _log.exception("request_failed", path=request.url.path, method=request.method)
            return render(AccordError("the daemon failed to answer", remedy="see its log"))

    def _principal(self, request: Request) -> Principal:
        return self.tokens().authenticate_header(request.headers.get("authorization", ""), time.time())

    def _require_role(self, principal: Principal, action: Action) -> None:
        """What can be said before the handler knows which service it is about."""
        decision = authorize_role(principal, action)
        if not decision.is_allowed:
            raise NotAuthorizedError(decision.reason, tag="access-denied")

    async def _body(self, request: Request) -> bytes:
        if request.headers.get("content-encoding", "identity") != "identity":
            raise InvalidInputError("encoded bodies are not accepted", remedy="send it uncompressed")
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                return await self._read(request)
        except TimeoutError as error:
            raise InvalidInputError(f"the body did not come within {_BODY_SECONDS:g} s") from error

    async def _read(self, request: Request) -> bytes:
        chunks: list[bytes] = []
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > self.limits.body_bytes:
                raise InvalidInputError(f"the body is larger than {self.limits.body_bytes} bytes", tag="too-big")
            chunks.append(chunk)
        return b"".join(chunks)


def json_response(document: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(orjson.dumps(document), status, dict(headers or {}), "application/json")
