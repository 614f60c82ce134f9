"""Owns `make bench-restart`: how long the daemon takes from its start to ready, with a snapshot and by full replay.

The log is made by the real code: services planned, committed through the coordinator (with devices that obey), some
changed again, then campaigns that change one line on every router, into the real event log. What is measured is
`accord serve` in a process of its own until it says that it is ready; the last hundredth of the events came after the
snapshot. `python -m bench.restart`.
"""

import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.campaigns import Campaigns
from bench.restart_daemon import start_daemon
from bench.synthetic import Fleet, joined, small_service
from bench.table import Row, row, write
from bench.transaction_lab import ring
from controller.adapters.clock import SystemClock
from controller.adapters.event_log_sqlite import SqliteEventLog
from controller.adapters.settings_loader import load_settings
from controller.bootstrap import load_catalogue
from controller.northbound.auth import Role, add_token, new_token
from controller.transaction.plan import Plan
from lab.addressing import address_plan
from lab.inventory import RunningRouter, write_files

EVENTS = (10_000, 100_000)
EVENTS_PER_SERVICE = 20
ROUTERS = 100
AT_ONCE = 50
"""Services in one transaction."""
CHANGED_AGAIN = 20
"""One in so many services changes its rate later."""
AFTER_SNAPSHOT = 0.01
STARTS = 3
"""The middle one counts."""
_RATES = (10**6, 2 * 10**6)


def _write_configuration(directory: Path) -> None:
    topology = ring(ROUTERS)
    plan = address_plan(topology)
    routers = [
        RunningRouter(node, plan[node.name], "full", "127.0.0.1", 830, 0, 0, "ssh-ed25519 AAAA")
        for node in topology.nodes
    ]
    write_files(directory, routers, username="accord", password="unused", authority_pem=b"")
    (directory / "accord.yaml").write_text(
        f"state_dir: {directory}/state\ninventory: {directory}/inventory.yaml\n"
        f"credentials: {directory}/credentials.yaml\ntokens: {directory}/tokens.yaml\n"
    )
    add_token(directory / "tokens.yaml", new_token("bench", [Role.READER])[1])
    (directory / "state").mkdir()


async def _fill(directory: Path, events: int) -> None:
    catalogue = load_catalogue(load_settings(directory / "accord.yaml").settings)
    log = SqliteEventLog(directory / "state" / "events.sqlite", clock=SystemClock())
    fleet = await Fleet(ROUTERS, log, catalogue.infrastructure).open()
    services = events // EVENTS_PER_SERVICE
    for plan in _service_plans(fleet, services):
        await fleet.commit(plan)
    assert log.last_position() < events, "the events ended before the services were there"
    assert len(fleet.world.services.services) == services
    is_saved = False
    campaigns = await Campaigns(fleet).open()
    while log.last_position() < events:
        await campaigns.append()
        if not is_saved and log.last_position() >= events * (1 - AFTER_SNAPSHOT):
            is_saved = fleet.world.save(log)
    log.close()


def _service_plans(fleet: Fleet, services: int) -> Iterator[Plan]:
    for count, rate in ((services, _RATES[0]), (services // CHANGED_AGAIN, _RATES[1])):
        for first in range(0, count, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, count))
            wanted = joined([small_service(number, fleet.cities, rate) for number in numbers])
            yield fleet.planner.services(wanted, f"services {first} and on")


def _measure(directory: Path, events: int) -> Row:
    _write_configuration(directory)
    started = time.perf_counter()
    asyncio.run(_fill(directory, events))
    _say(f"{events} events made in {time.perf_counter() - started:.0f} s")
    start_daemon(directory)  # the first start after an installation reads the YANG modules
    starts = sorted((start_daemon(directory) for _ in range(STARTS)), key=lambda start: start.seconds)
    ours = starts[STARTS // 2]
    for file in (directory / "state").glob("events.sqlite.snapshots*"):
        file.unlink()
    replayed = start_daemon(directory)
    assert ours.folded < replayed.folded / 10, f"the snapshot was not used: {ours.folded} events folded"
    _say(f"CPU: {ours.cpu_seconds:.1f} s with the snapshot, {replayed.cpu_seconds:.1f} s by full replay")
    name = f"ready with {events // EVENTS_PER_SERVICE} services"
    return row(name, events, ours.seconds, replayed.seconds, "full replay", "s", less_is_better=True)


def _say(words: str) -> None:
    print(f"  {words}", file=sys.stderr)


def main() -> None:
    gc.disable()  # the log that is made here is most of the time; what it is made of stays
    rows = []
    for events in EVENTS:
        with tempfile.TemporaryDirectory() as directory:
            rows.append(_measure(Path(directory), events))
    write("restart", rows)


if __name__ == "__main__":
    main()
