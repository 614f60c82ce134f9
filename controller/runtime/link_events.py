"""Owns listening for carriers: a notification stream to each device (RFC 5277), and what follows when a link fails.

A stream that ends is opened again, later each time it fails, and the device's state is read then: something may have
happened meanwhile. Failures within a few milliseconds (one duct, several fibres) are repaired together.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from controller.datastore.codec_xml import parse
from controller.events import types
from controller.model.errors import AccordError, NotSupportedError
from controller.model.identifiers import DeviceName
from controller.ports import EventLog, NewEvent
from controller.runtime.sessions import SessionPool
from controller.runtime.topology_discovery import TopologyView
from controller.topology.network import LinkId

_log = structlog.get_logger(__name__)
_ROUTER = "urn:accord:router"
_TOGETHER_SECONDS = 0.02
_BACK_OFF_SECONDS = (0.5, 1.0, 2.0, 5.0, 15.0, 60.0)
_STABLE_SECONDS = 60.0
"""A stream that lived this long begins anew with the shortest wait."""


@dataclass(slots=True)
class LinkEvents:
    """Follows every device that can tell. `repair` is called with the links whose state changed."""

    topology: TopologyView
    sessions: SessionPool
    log: EventLog
    repair: Callable[[frozenset[LinkId], float], Awaitable[None]]
    """Given the links, and the loop's time at which the first of them was told of."""
    told: Callable[..., None] = lambda *_, **__: None
    """Given a device, a port and `is_up` of each change."""
    _followed: dict[DeviceName, "asyncio.Task[None]"] = field(default_factory=dict)
    _listening: set[DeviceName] = field(default_factory=set)
    _turned: set[LinkId] = field(default_factory=set)
    _since: float = 0.0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _worker: "asyncio.Task[None] | None" = None
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    @property
    def listening(self) -> frozenset[DeviceName]:
        """The devices that are being listened to."""
        return frozenset(self._listening)

    def follow(self) -> None:
        """Listen to every device of the topology from now on; call it again when there are others."""
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work(), name="link events")
        core = {link.source.node for link in self.topology.network.links.values()}
        for name in core - self._followed.keys():
            task = asyncio.get_running_loop().create_task(self._follow(name), name=f"notifications of {name}")
            self._followed[name] = task
        for name in self._followed.keys() - core:
            self._followed.pop(name).cancel()

    async def stop(self) -> None:
        """End every stream."""
        tasks = [*self._followed.values(), *([self._worker] if self._worker else []), *self._tasks]
        self._followed.clear()
        self._worker = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- listening ---------------------------------------------------------------------------------------------

    async def _follow(self, device: DeviceName) -> None:
        failures = 0
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._listen(device)
                reason = "the stream ended"
            except NotSupportedError as error:
                _log.info("notifications_not_offered", device=device, reason=str(error))
                return
            except AccordError as error:
                reason = str(error)
            finally:
                self._listening.discard(device)
            lived = asyncio.get_running_loop().time() - began
            failures = 1 if lived > _STABLE_SECONDS else failures + 1
            _log.info("notifications_lost", device=device, reason=reason)
            await asyncio.sleep(_BACK_OFF_SECONDS[min(failures, len(_BACK_OFF_SECONDS)) - 1])

    async def _listen(self, device: DeviceName) -> None:
        """One stream from its beginning to its end."""
        session = await self.sessions.open_another(device)
        try:
            stream = await session.subscribe()
            self._listening.add(device)
            catching_up = asyncio.create_task(self._catch_up(device))
            try:
                async for message in stream:
                    self._hear(device, message)
            finally:
                catching_up.cancel()
        finally:
            await session.close()

    async def _catch_up(self, device: DeviceName) -> None:
        """What happened while nobody listened: the state is read once the stream is open."""
        before = self.topology.database
        await self.topology.refresh([device])
        after = self.topology.database
        turned = [
            link
            for link in after.network.links
            if link in before.network.links and before.is_up(link) != after.is_up(link)
        ]
        self._note(frozenset(turned))

    def _hear(self, device: DeviceName, message: bytes) -> None:
        try:
            change = next(parse(message).iter(f"{{{_ROUTER}}}interface-state-change"), None)
        except AccordError as error:
            _log.warning("notification_unreadable", device=device, error=str(error))
            return
        if change is None:
            return
        port = change.findtext(f"{{{_ROUTER}}}name", "")
        is_up = change.findtext(f"{{{_ROUTER}}}oper-status") == "up"
        turned = self.topology.port_changed(device, port, is_up=is_up)
        self._note(turned)
        self.told(device, port, is_up=is_up)
        data = {"device": device, "port": port, "up": is_up, "links": sorted(turned)}
        self._beside(self._append(NewEvent("topology", types.LINK_CHANGED, data)))

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Events need not wait for the disk, nor for repairs of others."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("link_event_stopped", error=repr(task.exception()))

    async def _append(self, event: NewEvent) -> None:
        try:
            await self.log.append([event], actor="accord")
        except AccordError as error:
            _log.warning("link_event_not_recorded", error=str(error))

    # -- repairing ---------------------------------------------------------------------------------------------

    def _note(self, turned: frozenset[LinkId]) -> None:
        if not turned:
            return
        if not self._turned:
            self._since = asyncio.get_running_loop().time()
        self._turned |= turned
        self._wake.set()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(_TOGETHER_SECONDS)
            self._wake.clear()
            turned, self._turned = frozenset(self._turned), set()
            self._beside(self._react(turned, self._since))

    async def _react(self, turned: frozenset[LinkId], since: float) -> None:
        try:
            await self.repair(turned, since)
        except AccordError as error:
            _log.error("repair_failed", links=sorted(turned), error=str(error))
