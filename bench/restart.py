"""Owns `make bench-restart`: how long a daemon takes from its start to ready, with a snapshot and by full replay.

The log is made by the real code: services planned, committed through the coordinator (with devices that obey), changed
again, and one-line changes of the whole network, into the real event log. What is measured is a process of its own from
its start to ready, imports, inventory and validator included; the last hundredth of the events came after the snapshot.
`python -m bench.restart`.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.synthetic import Fleet, joined, small_service
from bench.table import Row, row, write
from bench.transaction_lab import ring
from controller.adapters.clock import SystemClock
from controller.adapters.event_log_sqlite import SqliteEventLog
from controller.adapters.settings_loader import load_settings
from controller.bootstrap import load_catalogue
from controller.datastore.contributions import Delta
from controller.model.identifiers import Owner, PlanId
from controller.model.yang_path import parse_path
from controller.transaction.plan import Plan, plan_device
from lab.addressing import address_plan
from lab.inventory import RunningRouter, write_files

EVENTS = (1_000, 10_000, 100_000)
EVENTS_PER_SERVICE = 20
ROUTERS = 100
AT_ONCE = 50
"""Services in one transaction."""
CHANGED_AGAIN = 20
"""One in so many services changes its rate later."""
AFTER_SNAPSHOT = 0.01
_RATES = (10**6, 2 * 10**6)
_DESCRIPTION = parse_path("/ietf-interfaces:interfaces/interface[name='ge0']/description")


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
    (directory / "state").mkdir()


async def _fill(directory: Path, events: int) -> None:
    catalogue = load_catalogue(load_settings(directory / "accord.yaml").settings)
    log = SqliteEventLog(directory / "state" / "events.sqlite", clock=SystemClock())
    fleet = await Fleet(ROUTERS, log, catalogue.infrastructure).open()
    services = events // EVENTS_PER_SERVICE
    plans = _plans(fleet, services)
    is_saved = False
    while log.last_position() < events:
        await fleet.commit(next(plans))
        if not is_saved and log.last_position() >= events * (1 - AFTER_SNAPSHOT):
            fleet.world.save(log)
            is_saved = True
    assert len(fleet.world.services.services) == services, "the events ended before the services were there"
    log.close()


def _plans(fleet: Fleet, services: int) -> Iterator[Plan]:
    for count, rate in ((services, _RATES[0]), (services // CHANGED_AGAIN, _RATES[1])):
        for first in range(0, count, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, count))
            wanted = joined([small_service(number, fleet.cities, rate) for number in numbers])
            yield fleet.planner.services(wanted, f"services {first} and on")
    number = 0
    while True:
        number += 1
        yield _one_line_everywhere(fleet, number)


def _one_line_everywhere(fleet: Fleet, number: int) -> Plan:
    delta = Delta(wanted=((_DESCRIPTION, Owner("campaign:ports/description"), f"port of campaign {number}"),))
    routers = [router.device for router in fleet.planner.infrastructure.routers]
    devices = tuple(plan_device(fleet.world.network.device(name).view(), delta) for name in routers)
    return Plan(PlanId(fleet.world.next_id("plan")), f"campaign {number}", devices)


def _restart(directory: Path) -> tuple[float, int]:
    """Seconds from the start of the process to ready, and how many events it folded."""
    started = time.time()
    command = [sys.executable, "-m", "bench.restart_daemon", str(directory)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if answer.returncode:
        raise SystemExit(f"the daemon did not start:\n{answer.stderr[-2000:]}")
    found = json.loads(answer.stdout)
    return found["ready_at"] - started, found["folded"]


def _measure(directory: Path, events: int) -> Row:
    _write_configuration(directory)
    started = time.perf_counter()
    asyncio.run(_fill(directory, events))
    print(f"  {events} events made in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    ours = sorted(_restart(directory) for _ in range(3))[1]
    for file in (directory / "state").glob("events.sqlite.snapshots*"):
        file.unlink()
    replayed = _restart(directory)
    assert ours[1] < replayed[1] / 10, f"the snapshot was not used: {ours[1]} events folded"
    services = events // EVENTS_PER_SERVICE
    return row(f"ready with {services} services", events, ours[0], replayed[0], "full replay", "s", less_is_better=True)


def main() -> None:
    rows = []
    for events in EVENTS:
        with tempfile.TemporaryDirectory() as directory:
            rows.append(_measure(Path(directory), events))
    write("restart", rows)


if __name__ == "__main__":
    main()
