"""A consumer, an operator and its network in a process of their own that kills itself after a chosen durable write.

Log and ledger are the production ones, on disk; what is provisioned is a file for each service. Writes are counted by
what they are, from when the doom is armed: each commit of the log, each kind of entry in the ledger, each nonce that is
claimed, each change of the network, each snapshot. The kill comes in the thread that wrote, before anybody hears of it.
"""

import asyncio
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import orjson

from controller.adapters import event_log_sqlite
from controller.adapters.event_log_sqlite import SqliteEventLog
from controller.adapters.event_log_writer import Append, Appended, LogWriter
from controller.adapters.ledger_sqlite import SqliteLedger
from controller.adapters.wallet_files import new_nonce
from controller.model.units import BitRate
from controller.negotiation.agreement import Terms
from controller.negotiation.checks import Refusal
from controller.negotiation.ledger import Order, Posted
from controller.negotiation.messages import GONE_SECONDS
from controller.topology.network import LinkId
from tests.controller.negotiation_plane import TERMS, Carrier, Plane, Watch, held
from tests.controller.negotiation_samples import euro
from tests.controller.test_negotiation_plane import WISH
from tests.patience import PATIENCE_SECONDS

LOG, LEDGER, NETWORK = "events.sqlite", "ledger.sqlite", "network"
_RICH = held(replace(TERMS, ceiling=euro("100000.00")))


@dataclass(frozen=True, slots=True)
class Doom:
    """When to die: after the `nth` write of its kind, counted from 1, in a life or already while it recovers."""

    kind: str = ""
    nth: int = 0
    is_early: bool = False


@dataclass(slots=True)
class Fate:
    """Counts writes, and carries the doom out."""

    doom: Doom = Doom()
    is_armed: bool = False
    written: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def wrote(self, kind: str) -> None:
        """A write is durable."""
        with self.lock:
            self.written[kind] += self.is_armed
            if self.is_armed and (kind, self.written[kind]) == (self.doom.kind, self.doom.nth):
                os.kill(os.getpid(), signal.SIGKILL)


FATE = Fate()


class DoomedWriter(LogWriter):
    """Writes the log."""

    def store(self, appends: Sequence[Append]) -> Sequence[Appended]:
        stored = super().store(appends)
        FATE.wrote("log")
        return stored


class DoomedLog(SqliteEventLog):
    """Keeps snapshots too."""

    def save_snapshot(self, *arguments: Any) -> None:
        super().save_snapshot(*arguments)
        FATE.wrote("snapshot")


class DoomedLedger(SqliteLedger):
    """The ledger."""

    def post(self, order: Order, now: float) -> Posted | Refusal:
        answer = super().post(order, now)
        FATE.wrote(order.kind.value)
        return answer

    def claim_nonce(self, holder: str, nonce: str, until: float, now: float) -> bool:
        is_new = super().claim_nonce(holder, nonce, until, now)
        FATE.wrote("nonce")
        return is_new


@dataclass
class Files(Carrier):
    """The network: a file for each service, replaced whole; what holds already is not done again."""

    directory: Path = Path()

    async def remove(self, service: str) -> str:
        (self.directory / service).unlink(missing_ok=True)
        FATE.wrote("network")
        return "removed"

    def _done(self, act: str, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        self._act(act, service)
        written = self.directory / f".{service}"
        written.write_bytes(orjson.dumps({"terms": terms.to_json(), "links": list(links)}))
        written.replace(self.directory / service)
        FATE.wrote("network")
        return "along " + ", ".join(links)


def live(directory: Path, time: float, doom: Doom, pipe: Connection) -> None:
    """Be the process: recover, tell what is settled, wait for a word, then live on until the doom or the `end`."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    FATE.doom, FATE.is_armed = doom, doom.is_early
    event_log_sqlite.LogWriter = DoomedWriter  # type: ignore[misc]  # the one place where the writer is named
    asyncio.run(_live(directory, time, pipe))
    pipe.send(("end", dict(FATE.written)))


async def _live(directory: Path, time: float, pipe: Connection) -> None:
    clock = Watch()
    clock.time = time
    (directory / NETWORK).mkdir(parents=True, exist_ok=True)
    log, ledger = DoomedLog(directory / LOG, clock=clock), DoomedLedger(directory / LEDGER)
    plane = Plane(
        clock=clock, log=log, ledger=ledger, carrier=Files(directory=directory / NETWORK), held=_RICH, nonces=_nonces()
    )
    await _recover(plane)
    pipe.send(("settled", _views(plane)))
    pipe.recv()
    for standing in plane.negotiations.agreements():
        if not standing.is_over:
            await _outcome(plane, await plane.negotiations.terminate(standing.root, "no need any more"))
    FATE.is_armed = True
    pipe.send(("stages", await _story(plane, lambda: pipe.send(("time", plane.clock.time)))))
    await plane.negotiations.stop()
    log.close()
    ledger.close()


def _nonces() -> Any:
    while True:
        yield new_nonce()


async def _recover(plane: Plane) -> None:
    """Go on where the log ends; what waits for an answer that will not come gives up, sooner or later."""
    plane.negotiations.load()
    plane.negotiations.resume()
    for wait in (0.0, 400.0, GONE_SECONDS + 1.0):
        plane.clock.time += wait
        async with asyncio.timeout(PATIENCE_SECONDS):
            await plane.negotiations.idle()
            await plane.negotiations.tick()
            await plane.negotiations.idle()
        if not any(house.desk.open for house in plane.negotiations.houses()):
            return


def _views(plane: Plane) -> Mapping[str, Any]:
    """What each side makes of it."""
    houses = plane.negotiations.houses()
    agreements = [
        {
            root: (one.is_over, one.service, [issue.to_json() for issue in one.issues])
            for root, one in house.desk.agreements.items()
        }
        for house in houses
    ]
    return {
        "time": plane.clock.time,
        "open": [subject for house in houses for subject in house.desk.open],
        "agreements": agreements,
    }


async def _story(plane: Plane, tell: Callable[[], None]) -> list[str]:
    """An agreement, more of it, less of it, one that cannot be provisioned, and its end: money moves in every way.

    `tell` what time it is before a kill can come.
    """
    negotiations, wish = plane.negotiations, replace(WISH, start=plane.clock.time)
    subject = await negotiations.negotiate(wish)
    stages = [await _outcome(plane, subject)]
    root = negotiations.consumer().house.desk.dialogue(subject).terms.root
    for rate in (10**9, 10**7):
        plane.clock.time += 600.0
        tell()
        negotiations.save()
        stages.append(await _outcome(plane, await negotiations.change(root, {"bandwidth": BitRate(rate)})))
    plane.carrier.refuses = {"provision"}
    stages.append(await _outcome(plane, await negotiations.negotiate(replace(wish, start=plane.clock.time))))
    plane.clock.time += 600.0
    tell()
    stages.append(await _outcome(plane, await negotiations.terminate(root, "no need any more")))
    return stages


async def _outcome(plane: Plane, subject: str) -> str:
    async with asyncio.timeout(PATIENCE_SECONDS):
        done = await plane.negotiations.outcome(subject)
        await plane.negotiations.idle()
    return done.stage.value
