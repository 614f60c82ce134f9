"""Owns having devices push their telemetry (YANG-Push, RFC 8641): one session for each that offers it, opened again.

Counters come every interval, states of interfaces when they change. While a device pushes it is polled far less.
"""

import asyncio
from dataclasses import dataclass, field

import structlog

from controller.model.errors import AccordError, NotSupportedError
from controller.model.identifiers import DeviceName
from controller.ports import DeviceSession
from controller.runtime.collection import Collection
from controller.runtime.collection_reading import INTERFACE_STATES, INTERFACES, MEASUREMENTS, read_push

_log = structlog.get_logger(__name__)
_YANG_PUSH = "urn:ietf:params:xml:ns:yang:ietf-yang-push"
_BACK_OFF_SECONDS = (1.0, 5.0, 15.0, 60.0)
_STABLE_SECONDS = 60.0


@dataclass(slots=True)
class Pushes:
    """Follows every device that is read and offers to push."""

    collection: Collection
    is_wanted: bool = False
    _followed: dict[DeviceName, "asyncio.Task[None]"] = field(default_factory=dict)

    def follow(self) -> None:
        """Subscribe to devices that offer it, as their sessions say; call it again when there are more."""
        devices = set(self.collection.schedule.devices) if self.is_wanted else set()
        for name in {name for name in devices if self._offers(name)} - self._followed.keys():
            self._followed[name] = asyncio.get_running_loop().create_task(self._follow(name), name=f"push {name}")
        for name in self._followed.keys() - devices:
            self._followed.pop(name).cancel()

    async def stop(self) -> None:
        """End every subscription."""
        tasks = list(self._followed.values())
        self._followed.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _offers(self, device: DeviceName) -> bool:
        connection = self.collection.sessions.connections().get(device)
        session = connection.session if connection is not None else None
        return session is not None and any(urn.startswith(_YANG_PUSH) for urn in session.capabilities.urns)

    async def _follow(self, device: DeviceName) -> None:
        failures = 0
        while True:
            began = self.collection.clock.monotonic()
            try:
                await self._listen(device)
                reason = "the stream ended"
            except NotSupportedError as error:
                _log.info("push_not_offered", device=device, reason=str(error))
                return
            except AccordError as error:
                reason = str(error)
            finally:
                self.collection.pushing.discard(device)
                self.collection.follow()
            lived = self.collection.clock.monotonic() - began
            failures = 1 if lived > _STABLE_SECONDS else failures + 1
            _log.info("push_lost", device=device, reason=reason)
            await asyncio.sleep(_BACK_OFF_SECONDS[min(failures, len(_BACK_OFF_SECONDS)) - 1])

    async def _listen(self, device: DeviceName) -> None:
        session: DeviceSession = await self.collection.sessions.open_another(device)
        try:
            await session.push((INTERFACE_STATES,), 0.0)
            record = self.collection.records()[device]
            stream = await session.push((INTERFACES, MEASUREMENTS), self.collection.pace.of(record))
            self.collection.pushing.add(device)
            self.collection.follow()
            async for message in stream:
                told = read_push(device, message, self.collection.clock.now())
                if told is not None:
                    self.collection.take(device, told)
        finally:
            await session.close()
