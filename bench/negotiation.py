"""Owns `make bench-negotiation`: from an intent to a signed agreement, a renegotiation decided, and a storm over many.

One process holds all seven agents, with messages signed and verified, the wallet verified twice, a ledger and an event
log on disk. The first rows stand beside what a negotiation may take; the others beside its signatures alone, which no
implementation can do without; the last are `bench.first_packet`'s. A storm congests what a thousand live agreements
stand on and lets it go again, for twenty minutes of played time.
`python -m bench.negotiation`.
"""

import asyncio
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import first_packet
from bench.table import Row, row, write
from controller.adapters.catalogue import load_catalogue, load_market_policy
from controller.adapters.event_log_sqlite import SqliteEventLog
from controller.adapters.ledger_sqlite import SqliteLedger
from controller.adapters.resources import shared_directory
from controller.assurance.breach import Breach
from controller.assurance.objectives import Objective, ObjectiveName
from controller.events.chain import GENESIS
from controller.model.identifiers import ServiceId
from controller.negotiation.agreement import verify_chain
from controller.negotiation.catalogue import Axis, Tier
from controller.negotiation.desk import Desk
from controller.negotiation.dialogue import Stage
from controller.negotiation.jose import SigningKey, sign, verify
from controller.negotiation.records import Record
from controller.negotiation.roles import Tool
from controller.negotiation.strategy import Risk
from controller.scenarios.episodes import wallet_of
from controller.scenarios.simulation import PlayClock, Simulation
from controller.scenarios.surroundings import TICK_SECONDS, Market, Wire
from controller.scenarios.theatre import ENVELOPE, Theatre, key_of
from controller.serve import spare_collector

ONE_BY_ONE = 200
LIVE = 1_000
STORM_SECONDS = 1_200
MOST_MILLISECONDS = 50.0
SIGNATURES, VERIFICATIONS = 8, 12
"""Of one negotiation: five messages, two signatures and two proofs, less what is shared; all of them verified."""
_WIRES: tuple[Wire, ...] = (
    ("london", "paris", 3, 400),
    ("paris", "frankfurt", 3, 400),
    ("london", "amsterdam", 6, 400),
    ("amsterdam", "frankfurt", 6, 400),
)
_DIRECTORY = shared_directory("config") / "catalogue"


class Disk:
    """A theatre whose log and ledger are on disk."""

    def __init__(self, directory: Path) -> None:
        market = Market(load_catalogue(_DIRECTORY), load_market_policy(_DIRECTORY))
        self.clock = PlayClock()
        self.log = SqliteEventLog(directory / "events.sqlite", clock=self.clock)
        self.ledger = SqliteLedger(directory / "ledger.sqlite")
        wallet = wallet_of(market.catalogue, "1000000.00")
        around = Simulation({Tier.IP: _WIRES}, market, clock=self.clock, log=self.log)
        self.theatre = Theatre(wallet, around, market, ledger=self.ledger)

    def close(self) -> None:
        self.log.close()
        self.ledger.close()


class Agreed:
    """Notes when the consumer has a countersigned agreement."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.times: dict[str, float] = {}

    def apply(self, record: Record) -> None:
        if self.desk.dialogue(record.subject).stage is Stage.AGREED:
            self.times[record.subject] = time.perf_counter()


async def one_by_one(disk: Disk) -> list[float]:
    """Milliseconds from each intent to its countersigned agreement at the consumer."""
    theatre = disk.theatre
    house = theatre.negotiations.consumer().house
    agreed = Agreed(house.desk)
    house.followers = (*house.followers, agreed)
    taken: list[float] = []
    for number in range(ONE_BY_ONE):
        wish = theatre.wish("london", "frankfurt", 10, "order-execution", latency_seconds=0.05)
        started = time.perf_counter()
        subject = await theatre.negotiations.negotiate(wish)
        await theatre.negotiations.outcome(subject)
        taken.append(1000 * (agreed.times[subject] - started))
        await theatre.negotiations.idle()
        disk.clock.time += 1 + number % 2
    return taken


def cryptography() -> float:
    """Milliseconds that the signatures of one negotiation take by themselves."""
    key = SigningKey.of("did:web:bank.example#key-1", bytes([1] * 32))
    payload = b'{"terms": "' + b"x" * 1500 + b'"}'
    token = sign(payload, key, kind="bench")
    started = time.perf_counter()
    for _ in range(100):
        for _ in range(SIGNATURES):
            sign(payload, key, kind="bench")
        for _ in range(VERIFICATIONS):
            verify(token, lambda _: key.public, kind="bench")
    return 10 * (time.perf_counter() - started)


async def renegotiated(disk: Disk, roots: Sequence[str]) -> list[float]:
    """Milliseconds from the flag of a risk to the changed service: offers, decision, signatures, money, booking."""
    taken: list[float] = []
    theatre = disk.theatre
    for root in roots:
        await forecast(theatre, [root], 0.95)
        disk.clock.time += 30.0
        before = theatre.standing(root).current
        started = time.perf_counter()
        await forecast(theatre, [root], 0.95)
        taken.append(1000 * (time.perf_counter() - started))
        assert theatre.standing(root).current != before
    return taken


async def forecast(theatre: Theatre, roots: Sequence[str], probability: float) -> None:
    """So likely is a breach of each of these."""
    objective = Objective(ServiceId("bench"), ObjectiveName.ONE_WAY_DELAY, 0.05)
    breach = Breach(objective, 60.0, 0.06, 0.05, 0.07, probability, 1.0)
    await theatre.negotiations.watch({root: ((breach,), Risk(Axis.LATENCY)) for root in roots})
    await theatre.negotiations.idle()


async def live(disk: Disk) -> list[str]:
    """So many agreements in force."""
    theatre = disk.theatre
    subjects: list[str] = []
    for _ in range(LIVE // 10):
        wish = theatre.wish("london", "frankfurt", 10, "order-execution", latency_seconds=0.05)
        subjects += [await theatre.negotiations.negotiate(wish) for _ in range(10)]
        await theatre.negotiations.idle()
        disk.clock.time += 1
    desk = theatre.negotiations.consumer().house.desk
    roots = [desk.dialogues[subject].terms.root for subject in subjects if desk.dialogues[subject].stage is Stage.DONE]
    assert len(roots) == LIVE, Counter(desk.dialogues[subject].stage for subject in subjects)
    return roots


async def storm(disk: Disk, roots: Sequence[str]) -> None:
    """Congestion comes for two minutes and goes for two."""
    theatre = disk.theatre
    for tick in range(int(STORM_SECONDS / TICK_SECONDS)):
        disk.clock.time += TICK_SECONDS
        await forecast(theatre, roots, 0.95 if tick // 12 % 2 == 0 else 0.02)
        await theatre.negotiations.tick()
        await theatre.negotiations.idle()


def offers_per_agreement(disk: Disk, roots: Sequence[str]) -> Counter[str]:
    """Counter-offers of the operator, by agreement."""
    found: Counter[str] = Counter(dict.fromkeys(roots, 0))
    for event in disk.log.read():
        data: Any = event.data
        if event.type == f"negotiation.{Tool.OFFER}":
            for root in {terms["root"] for terms in data["arguments"]["terms"] if terms["parent"]}:
                found[root] += 1
    return found


def check(disk: Disk, roots: Sequence[str]) -> None:
    """No money is spent twice, every chain of agreements and the whole log hold."""
    theatre = disk.theatre
    for root in roots:
        verify_chain(theatre.negotiations.agreement(root).issues, key_of)
    previous = GENESIS.hex()
    for event in disk.log.read():
        assert event.previous_hash == previous
        previous = event.hash
    desk = theatre.negotiations.houses()[0].desk
    paid = sum(issue.terms.amount.minor for one in desk.agreements.values() for issue in one.issues)
    taken = disk.ledger.taken(ENVELOPE)
    assert taken <= paid, (taken, paid)
    assert taken <= theatre.wallet.ceiling.minor


async def measured() -> list[Row]:
    """Every row."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as directory:
        disk = Disk(Path(directory))
        spare_collector()  # as the daemon does when it has started
        taken = sorted(await one_by_one(disk))
        base = cryptography()
        middle, late = statistics.median(taken), taken[int(0.99 * len(taken))]
        words = ("intent to signed agreement, p50", "intent to signed agreement, p99")
        rows += [
            row(name, ONE_BY_ONE, value, MOST_MILLISECONDS, "what it may take", "ms", less_is_better=True)
            for name, value in zip(words, (middle, late), strict=True)
        ]
        disk.close()
    with tempfile.TemporaryDirectory() as directory:
        disk = Disk(Path(directory))
        started = time.perf_counter()
        roots = await live(disk)
        rate = LIVE / (time.perf_counter() - started)
        rows.append(row("agreements provisioned", LIVE, rate, 1000 / base, "signatures alone", "1/s"))
        decided = sorted(await renegotiated(disk, roots[:20]))
        middle = statistics.median(decided)
        rows.append(row("risk flagged to service changed", 20, middle, base, "signatures", "ms", less_is_better=True))
        started = time.perf_counter()
        await storm(disk, roots)
        spent = time.perf_counter() - started
        check(disk, roots)
        most = max(offers_per_agreement(disk, roots).values())
        every = STORM_SECONDS / TICK_SECONDS
        rows += [
            row(
                "offers an agreement gets in a storm of 20 min",
                LIVE,
                most,
                every,
                "one a tick",
                "",
                less_is_better=True,
            ),
            row("a storm of 20 minutes", LIVE, spent, STORM_SECONDS, "real time", "s", less_is_better=True),
        ]
        disk.close()
    return [*rows, *await first_packet.rows()]


if __name__ == "__main__":
    write("negotiation", asyncio.run(measured()))
