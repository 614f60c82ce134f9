"""Owns `make bench-failure`: a link of the way that carries is cut, and packets are counted until another carries.

Four repairs on the same lab: a second path that the head end switches to by itself, a carrier event that changes the
policy, a poll of the routers once a second, and the IGP alone. What routers do by themselves is held still where it
would hide the repair that is measured. `python -m bench.failure [PLANE...]`.
"""

import asyncio
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bench.table import Row, row, write
from bench.traffic_lab import FAILING_LINK, LONG, PACKET_RATE, SHORT, TrafficLab, planes, traffic_lab

FAILURES = 20
SLOW_FAILURES = 8
POLL_SECONDS = 1.0
IGP_SECONDS = 0.4
STILL_SECONDS = 600.0
"""An IGP that never gets there while the bench runs."""
_DEADLINE_SECONDS = 10.0
_SETTLE_SECONDS = 0.3


class Repairing:
    """Watches the lab and carries the service over the long way after a cut; `repaired` is set when it has."""

    def __init__(self, lab: TrafficLab) -> None:
        self.lab = lab
        self.repaired = asyncio.Event()

    async def prepare(self) -> None:
        """Put the service on the short way, before each failure."""
        self.repaired.clear()
        await self.lab.move_in_place(SHORT)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch while the block runs."""
        yield

    async def repair(self) -> None:
        """What a watcher does about it."""
        if not self.repaired.is_set():
            await self.lab.move_in_place(LONG)
            self.repaired.set()


class OnCarrierEvent(Repairing):
    """Repairs when a router tells that its carrier is gone."""

    def __init__(self, lab: TrafficLab) -> None:
        super().__init__(lab)
        self._armed = False
        self._tasks: set[asyncio.Task[None]] = set()
        lab.plane.subscribe(self._told)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        self._armed = True
        yield
        self._armed = False

    def _told(self, _router: str, _port: str, up: bool) -> None:
        if self._armed and not up:
            task = asyncio.get_running_loop().create_task(self.repair())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


class OnPoll(Repairing):
    """Asks the routers once in a while."""

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._poll())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _poll(self) -> None:
        await asyncio.sleep(POLL_SECONDS * random.random())
        while self.lab.plane.interfaces("p1")["to-p2"].up:  # noqa: ASYNC110 - asking now and then is the point
            await asyncio.sleep(POLL_SECONDS)
        await self.repair()


class Protected(Repairing):
    """The head end has a second path and needs nobody."""

    async def prepare(self) -> None:
        self.lab.edit("pe1", self.lab.policy([SHORT, LONG]))
        self.repaired.set()


class Unwatched(Repairing):
    """Nobody does anything: the IGP finds another way."""

    async def prepare(self) -> None:
        await super().prepare()
        self.repaired.set()


@dataclass(frozen=True, slots=True)
class Failed:
    """What each failure cost in packets, and how long its repair took in seconds."""

    lost: tuple[int, ...]
    seconds: tuple[float, ...]

    @property
    def mean_lost(self) -> float:
        """Packets a failure."""
        return statistics.fmean(self.lost)


async def measure_failures(lab: TrafficLab, repairing: Repairing, failures: int) -> Failed:
    """Cut the link at random moments and count; the link is restored in between."""
    lost: list[int] = []
    seconds: list[float] = []
    for _ in range(failures):
        await repairing.prepare()
        await asyncio.sleep(_SETTLE_SECONDS)
        flow = await lab.start_flow()
        await asyncio.sleep(_SETTLE_SECONDS * (1 + random.random()))
        seconds.append(await _fail_once(lab, repairing))
        await _until_carried(lab)
        lost.append((await lab.stop_flow(flow)).lost)
        lab.plane.set_link(FAILING_LINK, up=True)
        await asyncio.sleep(_SETTLE_SECONDS)
    return Failed(tuple(lost), tuple(seconds))


async def _fail_once(lab: TrafficLab, repairing: Repairing) -> float:
    async with repairing.watching():
        began = time.monotonic()
        lab.plane.set_link(FAILING_LINK, up=False)
        async with asyncio.timeout(_DEADLINE_SECONDS):
            await repairing.repaired.wait()
        return time.monotonic() - began


async def _until_carried(lab: TrafficLab) -> None:
    """Return when packets have been arriving for a moment again."""
    async with asyncio.timeout(_DEADLINE_SECONDS):
        while True:
            (before,) = await lab.plane.flows()
            await asyncio.sleep(_SETTLE_SECONDS)
            (after,) = await lab.plane.flows()
            if after.received - before.received > PACKET_RATE * _SETTLE_SECONDS / 2:
                return


async def _measure(plane: str, repair: Callable[[TrafficLab], Repairing], failures: int, igp_seconds: float) -> Failed:
    async with traffic_lab(plane, igp_seconds=igp_seconds) as lab:
        found = await measure_failures(lab, repair(lab), failures)
    times = ", ".join(f"{1e3 * value:.1f}" for value in sorted(found.seconds))
    print(f"{plane}: {repair.__name__}: lost {sorted(found.lost)} at {PACKET_RATE:g} packets/s; reaction ms {times}")
    return found


async def _rows(plane: str) -> list[Row]:
    protected = await _measure(plane, Protected, FAILURES, STILL_SECONDS)
    told = await _measure(plane, OnCarrierEvent, FAILURES, STILL_SECONDS)
    polled = await _measure(plane, OnPoll, SLOW_FAILURES, STILL_SECONDS)
    alone = await _measure(plane, Unwatched, SLOW_FAILURES, IGP_SECONDS)
    poll_name, igp_name = f"polling every {POLL_SECONDS:g} s", f"the IGP alone ({IGP_SECONDS:g} s)"
    return [
        _lost(f"{plane} packets lost, protected", protected, polled, poll_name),
        _lost(f"{plane} packets lost, protected or the IGP", protected, alone, igp_name),
        _lost(f"{plane} packets lost, carrier event", told, polled, poll_name),
        _lost(f"{plane} packets lost, carrier event or the IGP", told, alone, igp_name),
        row(
            f"{plane} reaction, carrier event",
            len(told.seconds),
            1e3 * statistics.median(told.seconds),
            1e3 * statistics.median(polled.seconds),
            poll_name,
            "ms",
            less_is_better=True,
        ),
    ]


def _lost(name: str, ours: Failed, baseline: Failed, baseline_name: str) -> Row:
    return row(
        name, len(ours.lost), ours.mean_lost, baseline.mean_lost, baseline_name, "packets/failure", less_is_better=True
    )


async def main(wanted: Sequence[str]) -> None:
    """Every plane that runs here, or those that are named."""
    rows = []
    for plane in await planes(wanted):
        rows += await _rows(plane)
    write("failure", rows)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
