"""Owns who may change which device right now. No global lock: work on disjoint devices runs in parallel.

A lease on several devices is taken all at once, in arrival order, so two transactions can neither deadlock nor
overtake. The holder, its reason and its age are visible.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from controller.model.errors import BusyError
from controller.model.identifiers import DeviceName
from controller.ports import Clock


@dataclass(frozen=True, slots=True, eq=False)
class Lease:
    """Who holds devices, since when (UTC seconds), and what for. Only the same object gives them back."""

    holder: str
    reason: str
    since: float


class Leases:
    """All leases of this daemon."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[DeviceName, Lease] = {}
        self._waiting: deque[tuple[frozenset[DeviceName], asyncio.Future[None]]] = deque()

    def holder(self, device: DeviceName) -> Lease | None:
        """Who holds a device, if anybody."""
        return self._held.get(device)

    async def take(self, devices: Iterable[DeviceName], holder: str, reason: str, wait_seconds: float) -> Lease:
        """Take all the devices; `BusyError` naming a holder when they are not free within the wait."""
        wanted = frozenset(devices)
        if not self._is_free(wanted) or any(wanted & other for other, _ in self._waiting):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((wanted, turn))
            try:
                async with asyncio.timeout(wait_seconds):
                    await turn
            except BaseException as error:
                self._leave(turn)
                self._serve()
                if isinstance(error, TimeoutError):
                    raise self._busy(wanted) from None
                raise
            self._leave(turn)
        lease = Lease(holder, reason, self._clock.now())
        self._held.update(dict.fromkeys(wanted, lease))
        return lease

    @asynccontextmanager
    async def hold(
        self, devices: Iterable[DeviceName], holder: str, reason: str, wait_seconds: float
    ) -> AsyncIterator[None]:
        """`take` for the length of a block."""
        names = list(devices)
        lease = await self.take(names, holder, reason, wait_seconds)
        try:
            yield
        finally:
            self.release(names, lease)

    def release(self, devices: Iterable[DeviceName], lease: Lease) -> None:
        """Give devices back; those not held by this lease (any more) stay with whoever holds them."""
        for device in devices:
            if self._held.get(device) is lease:
                del self._held[device]
        self._serve()

    def _leave(self, turn: asyncio.Future[None]) -> None:
        self._waiting = deque(entry for entry in self._waiting if entry[1] is not turn)

    def _serve(self) -> None:
        blocked: set[DeviceName] = set()
        for wanted, turn in self._waiting:
            if turn.done():
                blocked |= wanted
            elif self._is_free(wanted) and not wanted & blocked:
                turn.set_result(None)
                blocked |= wanted
            else:
                blocked |= wanted

    def _is_free(self, wanted: frozenset[DeviceName]) -> bool:
        return not any(device in self._held for device in wanted)

    def _busy(self, wanted: frozenset[DeviceName]) -> BusyError:
        for device in sorted(wanted):
            lease = self._held.get(device)
            if lease is not None:
                age = self._clock.now() - lease.since
                return BusyError(
                    f"'{device}' is held by {lease.holder} ({lease.reason}) for {age:.0f} s",
                    remedy="wait, or look at it with: accord transaction list",
                    tag="in-use",
                    path=device,
                )
        return BusyError("another change waits for the same devices", remedy="try again", tag="in-use")
