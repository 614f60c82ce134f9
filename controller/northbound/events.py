"""Owns the feed of the event log as server-sent events (WHATWG HTML 9.2) at `/api/v1/events`.

An event's `id` is its position in the log: a reader that comes back with `Last-Event-ID` (or `?after=`) misses nothing
and sees nothing twice. Each reader reads the log by position at its own pace: one that stops reading waits for itself.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import orjson
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from controller.model.errors import AccordError, BusyError, InvalidInputError
from controller.northbound.auth import Action, Principal
from controller.northbound.disclosure import event_for
from controller.northbound.door import Call, Door
from controller.ports import Event, EventLog

_HEARTBEAT_SECONDS = 15.0
_RETRY_MILLISECONDS = 2_000
_PAGE = 256
_MOST_READERS = 256
_MOST_READERS_OF_ONE = 32


@dataclass(slots=True)
class EventFeed:
    """The feed. `close` ends every stream, so that a shutdown need not wait for readers that never leave."""

    log: EventLog
    heartbeat_seconds: float = _HEARTBEAT_SECONDS
    readers: int = 0
    """Streams that are open."""
    _wakers: set[asyncio.Event] = field(default_factory=set)
    _is_closed: bool = False
    _of_caller: Counter[str] = field(default_factory=Counter)

    def routes(self, door: Door) -> list[Route]:
        """The one route."""

        async def events(call: Call) -> Response:
            return self._open(call, door)

        return [door.route("/api/v1/events", {"GET": (Action.READ, events)})]

    def close(self) -> None:
        """End every stream after what it has sent; readers come back to the next daemon."""
        self._is_closed = True
        for waker in self._wakers:
            waker.set()

    def _open(self, call: Call, door: Door) -> Response:
        call.require(Action.READ, "events")
        after = self._start(call)
        self._refuse_too_many(call.actor)
        stream = self._stream(after, call.query("stream"), call, door)
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream, headers=headers, media_type="text/event-stream")

    def _refuse_too_many(self, caller: str) -> None:
        """`BusyError` (429): a stream costs memory and a read for each event for as long as it is open."""
        if self.readers >= _MOST_READERS or self._of_caller[caller] >= _MOST_READERS_OF_ONE:
            raise BusyError(
                f"{self.readers} streams of events are open, {self._of_caller[caller]} of them by '{caller}'",
                remedy="close one of them",
                app_tag="rate-limit",
                tag="in-use",
            )

    def _start(self, call: Call) -> int:
        """The position to go on after; the end of the log when the reader names none."""
        last = self.log.last_position()
        text = call.request.headers.get("last-event-id", "") or call.query("after")
        if not text:
            return last
        if not (text.isascii() and text.isdecimal()) or len(text) > 18:
            raise InvalidInputError("not a position in the event log", path="after")
        if int(text) > last:
            raise InvalidInputError(
                f"the log ends at {last}", remedy="this is another log: start again with after=0", path="after"
            )
        return int(text)

    async def _stream(self, after: int, stream: str, call: Call, door: Door) -> AsyncIterator[bytes]:
        waker = asyncio.Event()
        unsubscribe = self.log.subscribe(lambda _: waker.set())
        self._wakers.add(waker)
        self.readers += 1
        self._of_caller[call.actor] += 1
        principal = call.principal
        try:
            yield b"retry: %d\n\n" % _RETRY_MILLISECONDS
            while not self._is_closed:
                waker.clear()
                page = await asyncio.to_thread(self._page, after, stream)
                for event in page:
                    after = event.position
                    yield _frame(event, principal)
                if len(page) == _PAGE:
                    continue
                if not await self._wait(waker):
                    known = _known_still(call, door)
                    if known is None:
                        return
                    principal = known
                    yield b": still here\n\n"
        finally:
            self.readers -= 1
            self._of_caller[call.actor] -= 1
            self._wakers.discard(waker)
            unsubscribe()

    def _page(self, after: int, stream: str) -> list[Event]:
        return list(self.log.read(after, stream=stream, limit=_PAGE))

    async def _wait(self, waker: asyncio.Event) -> bool:
        """False when nothing came in time."""
        try:
            async with asyncio.timeout(self.heartbeat_seconds):
                await waker.wait()
        except TimeoutError:
            return False
        return True


def _known_still(call: Call, door: Door) -> Principal | None:
    """A stream outlives requests, so the token and its roles are looked at again at each heartbeat."""
    try:
        return door.tokens().authenticate_header(call.request.headers.get("authorization", ""), time.time())
    except AccordError:
        return None


def _frame(event: Event, principal: Principal) -> bytes:
    shown = orjson.dumps(event_for(event, principal))
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.position, event.type.encode(), shown)
