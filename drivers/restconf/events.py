"""Owns reading a RESTCONF event stream: Server-Sent Events, one notification each (RFC 8040 section 6.4)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from controller.model.errors import AccordError, ProtocolViolationError
from controller.ports import DeviceTarget
from drivers.restconf.transport import HttpsTransport
from drivers.threads import DriverThreads

_HEADERS = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
_BACKLOG = 10_000


def event_data(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The data of each event, its `data:` lines joined; comments and other fields are passed over."""
    data: list[bytes] = []
    for line in lines:
        if not line:
            if data:
                yield b"\n".join(data)
            data = []
            continue
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))


@dataclass(slots=True)
class _Inbox:
    """Hands events from the reading thread to the loop; None is the end, an error is raised where it is taken."""

    loop: asyncio.AbstractEventLoop
    queue: asyncio.Queue[bytes | AccordError | None] = field(default_factory=asyncio.Queue)

    def put(self, item: bytes | AccordError | None) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.queue.put_nowait, item)

    def is_overfull(self) -> bool:
        return self.queue.qsize() > _BACKLOG


async def follow(
    target: DeviceTarget, location: str, threads: DriverThreads, enders: set[Callable[[], None]]
) -> AsyncIterator[bytes]:
    """Yield notifications from a connection of their own until the device ends it, or one calls what is in `enders`."""
    path = _path_of(target, location)
    transport = HttpsTransport(target)
    inbox = _Inbox(asyncio.get_running_loop())

    def end() -> None:
        inbox.put(None)

    threads.stream(lambda: _pump(transport, path, inbox))
    enders.add(end)
    try:
        while (item := await inbox.queue.get()) is not None:
            if isinstance(item, AccordError):
                raise item
            yield item
    finally:
        enders.discard(end)
        transport.close()


def _pump(transport: HttpsTransport, path: str, inbox: _Inbox) -> None:
    try:
        for event in event_data(transport.lines(path, _HEADERS, None)):
            if inbox.is_overfull():
                inbox.put(ProtocolViolationError(f"more than {_BACKLOG} notifications wait unread", tag="too-big"))
                return
            inbox.put(event)
    except AccordError as error:
        inbox.put(error)
    else:
        inbox.put(None)


def _path_of(target: DeviceTarget, location: str) -> str:
    parts = urlsplit(location)
    if parts.netloc and (parts.scheme, parts.hostname) != ("https", target.hostname):
        raise ProtocolViolationError(
            f"the event stream {location} is on another host; credentials are not sent there", device=target.name
        )
    return parts.path + (f"?{parts.query}" if parts.query else "")
