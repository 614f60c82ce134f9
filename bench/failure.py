"""Owns `make bench-failure`: a link of the way that carries is cut, and packets are counted until another carries.

Accord runs over the same lab in four ways: with protection installed beforehand (the head end switches by itself), by
carrier events (notifications, plan, proof, transaction), by asking the routers once a second and repairing alike, and
not at all: then the IGP finds a way alone. What routers do by themselves is held still where it would hide the repair
that is measured. A reaction ends when the head end forwards by the new path. `python -m bench.failure [PLANE...]`.
"""

import asyncio
import math
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bench.accord_mover import AccordLab, accord_lab, links_of
from bench.failure_frr import frr_losses, why_not
from bench.table import Row, row, write
from bench.traffic_edits import HEAD
from bench.traffic_lab import FAILING_LINK, PACKET_RATE, SHORT, planes
from controller.events import types
from controller.ports import Event
from controller.topology.network import LinkId

FAILURES = {"memory": 40, "netns": 20}
SLOW_FAILURES = 8
FRR_FAILURES = 5
POLL_SECONDS = 1.0
IGP_SECONDS = 0.4
STILL_SECONDS = 600.0
"""An IGP that never gets there while the bench runs."""
_DEADLINE_SECONDS = 15.0
_SETTLE_SECONDS = 0.15
_LOOK_SECONDS = 0.005
_FAILING = frozenset(links_of(("p1", "p2")) + links_of(("p2", "p1")))


class Repairing:
    """Watches accord over the lab; `repaired` is set when the head end forwards by a path without the failed link."""

    def __init__(self, lab: AccordLab) -> None:
        self.lab = lab
        self.repaired = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        lab.network[HEAD].store.subscribe(lambda change: self._changed(change.datastore))
        lab.daemon.log.subscribe(self._told)

    async def prepare(self) -> None:
        """Put the service on the short way, before each failure."""
        await self._until_whole()
        await self.lab.move_at_once(SHORT)
        self.repaired.clear()
        self._ended.clear()

    async def over(self) -> None:
        """Return when accord has written down that it is done."""
        await self._ended.wait()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch while the block runs."""
        yield

    async def _until_whole(self) -> None:
        """Return when accord knows that every link is up."""
        topology = self.lab.controller.topology
        async with asyncio.timeout(_DEADLINE_SECONDS):
            while _down(topology.database.is_up):  # noqa: ASYNC110 - the topology tells when asked
                await asyncio.sleep(_LOOK_SECONDS)

    def _changed(self, datastore: str) -> None:
        if datastore == "running" and not self._is_on_short():
            task = asyncio.get_running_loop().create_task(self._forwards())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forwards(self) -> None:
        await self.lab.settled()
        self.repaired.set()

    def _is_on_short(self) -> bool:
        (policy,) = self.lab.network.forwarding(HEAD).policies
        return any(path.segment_lists[0].segments == self.lab.segments(SHORT) for path in policy.paths)

    def _told(self, events: Sequence[Event]) -> None:
        if any(event.type == types.TUNNELS_REPAIRED for event in events):
            self._ended.set()


class OnCarrierEvent(Repairing):
    """Accord is told by the routers at the link's ends."""


class OnPoll(Repairing):
    """Accord asks all routers once in a while, and repairs as ever."""

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._poll())
        yield
        await task

    async def _until_whole(self) -> None:
        await self.lab.controller.topology.refresh()

    async def _poll(self) -> None:
        await asyncio.sleep(POLL_SECONDS * random.random())
        topology = self.lab.controller.topology
        while not (down := _down(topology.database.is_up)):
            asked = asyncio.get_running_loop().time()
            await topology.refresh()
            if not _down(topology.database.is_up):
                await asyncio.sleep(max(0.0, POLL_SECONDS - (asyncio.get_running_loop().time() - asked)))
        await self.lab.daemon.repair.repair(down, asyncio.get_running_loop().time())


def _down(is_up: Callable[[LinkId], bool]) -> frozenset[LinkId]:
    return frozenset(link for link in _FAILING if not is_up(link))


class Protected(Repairing):
    """The head end has a second path from accord and needs nobody."""

    async def prepare(self) -> None:
        await self._until_whole()
        if self.lab.tunnel.protection != "link":
            await self.lab.protect("link")
        self.repaired.set()
        self._ended.clear()


class Unwatched(Repairing):
    """Nobody does anything: the IGP finds another way."""

    async def prepare(self) -> None:
        await self.lab.move_at_once(SHORT)
        self.repaired.set()

    async def over(self) -> None:
        """There is nothing to wait for."""


@dataclass(frozen=True, slots=True)
class Failed:
    """What each failure cost in packets, and how long its repair took in seconds."""

    lost: tuple[int, ...]
    seconds: tuple[float, ...]

    @property
    def mean_lost(self) -> float:
        """Packets a failure."""
        return statistics.fmean(self.lost)


async def measure_failures(lab: AccordLab, repairing: Repairing, failures: int) -> Failed:
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
        async with asyncio.timeout(_DEADLINE_SECONDS):
            await repairing.over()
        lab.plane.set_link(FAILING_LINK, up=True)
        await asyncio.sleep(_SETTLE_SECONDS)
    return Failed(tuple(lost), tuple(seconds))


async def _fail_once(lab: AccordLab, repairing: Repairing) -> float:
    async with repairing.watching():
        began = time.monotonic()
        lab.plane.set_link(FAILING_LINK, up=False)
        async with asyncio.timeout(_DEADLINE_SECONDS):
            await repairing.repaired.wait()
        return time.monotonic() - began


async def _until_carried(lab: AccordLab) -> None:
    """Return when packets have been arriving for a moment again."""
    async with asyncio.timeout(_DEADLINE_SECONDS):
        while True:
            (before,) = await lab.plane.flows()
            await asyncio.sleep(_SETTLE_SECONDS)
            (after,) = await lab.plane.flows()
            if after.received - before.received > PACKET_RATE * _SETTLE_SECONDS / 2:
                return


async def _measure(lab: AccordLab, repair: type[Repairing], failures: int) -> Failed:
    found = await measure_failures(lab, repair(lab), failures)
    times = ", ".join(f"{1e3 * value:.1f}" for value in sorted(found.seconds))
    name = f"{lab.plane.name}: {repair.__name__}"
    print(f"{name}: lost {sorted(found.lost)} at {PACKET_RATE:g} packets/s; reaction ms {times}")
    return found


async def _rows(plane: str) -> list[Row]:
    async with accord_lab(plane, igp_seconds=STILL_SECONDS) as lab:
        polled = await _measure(lab, OnPoll, SLOW_FAILURES)
        await lab.listen()
        told = await _measure(lab, OnCarrierEvent, FAILURES[plane])
        protected = await _measure(lab, Protected, FAILURES[plane])
    async with accord_lab(plane, igp_seconds=IGP_SECONDS) as lab:
        alone = await _measure(lab, Unwatched, SLOW_FAILURES)
    poll_name, igp_name = f"polling every {POLL_SECONDS:g} s", f"the IGP alone ({IGP_SECONDS:g} s)"
    rows = [
        _lost(f"{plane} packets lost, accord's protection", protected, polled, poll_name),
        _lost(f"{plane} packets lost, accord's protection or the IGP", protected, alone, igp_name),
        _lost(f"{plane} packets lost, accord's repair", told, polled, poll_name),
        _lost(f"{plane} packets lost, accord's repair or the IGP", told, alone, igp_name),
        _reaction(f"{plane} reaction p50, accord's repair", 0.5, told, polled, poll_name),
        _reaction(f"{plane} reaction p99, accord's repair", 0.99, told, polled, poll_name),
    ]
    return rows + await _frr_rows(told) if plane == "netns" else rows


async def _frr_rows(told: Failed) -> list[Row]:
    """Accord's repair beside FRR's IS-IS in routers of its own; none when FRR cannot be had here."""
    reason = why_not()
    if not reason:
        try:
            lost = await frr_losses(FRR_FAILURES)
        except (OSError, RuntimeError, TimeoutError) as error:
            reason = f"{type(error).__name__}: {error}"
    if reason:
        print(f"FRR's IS-IS: left out: {reason}")
        return []
    print(f"netns: FRR 8 IS-IS: lost {sorted(lost)} at {PACKET_RATE:g} packets/s")
    return [_lost("netns packets lost, accord's repair", told, Failed(tuple(lost), ()), "FRR 8 IS-IS")]


def _reaction(name: str, quantile: float, ours: Failed, baseline: Failed, baseline_name: str) -> Row:
    figures = [1e3 * _quantile(each.seconds, quantile) for each in (ours, baseline)]
    return row(name, len(ours.seconds), figures[0], figures[1], baseline_name, "ms", less_is_better=True)


def _quantile(values: Sequence[float], quantile: float) -> float:
    """The least value that so many of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(quantile * len(ordered)) - 1)]


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
