"""Owns `make bench-twin`: a proof costs what the change costs, not what the services cost; and how good forecasts are.

Proving one more service beside planning it, on 50 routers with 1,000 and with 5,000 services, the core included. The
judgement by the lab's packets is in `bench.twin_judged`. `python -m bench.twin`.
"""

import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

from bench.synthetic import Fleet, joined, small_service
from bench.table import Row, row, write
from bench.twin_judged import judged_rows
from controller.datastore.config_tree import ConfigTree
from controller.datastore.diff import to_json
from controller.events import types
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.model.yang_path import parse_path
from controller.ports import NewEvent, ParticipantClass
from controller.runtime.proof import Proof
from controller.topology.network import Link, Network, Node, TerminationPoint
from controller.topology.te_database import TeDatabase
from controller.transaction.plan import Plan
from controller.twin.proving import prove

ROUTERS = 50
SERVICES = (1000, 5000)
AT_ONCE = 50
REPEATS = 15
_CAPACITY = BitRate(100 * 10**9)
_STEPS = (1, 7)
"""Each router is joined to those so many further on: a ring with chords."""


def core() -> Network:
    """The core of the fleet."""
    names = [DeviceName(f"pe{number:04}") for number in range(ROUTERS)]
    links = []
    for number, name in enumerate(names):
        for port, step in enumerate(_STEPS):
            far = names[(number + step) % ROUTERS]
            ends = TerminationPoint(name, f"core{port}"), TerminationPoint(far, f"core{port + len(_STEPS)}")
            for source, target in (ends, ends[::-1]):
                links.append(Link(source, target, _CAPACITY, delay_seconds=0.001 * step, metric=100 * step))
    return Network.of([Node(name, endpoint=f"fc00:0:{n + 1:x}::1") for n, name in enumerate(names)], links)


def configured(number: int) -> NewEvent:
    """A router with its core ports, its locator and its sessions to two reflectors."""
    name = f"pe{number:04}"
    lines = {
        "/accord-router:router/asn": "65000",
        "/accord-router:router/srv6/locator[name='main']": "",
        "/accord-router:router/srv6/locator[name='main']/prefix": f"fc00:0:{number + 1:x}::/48",
        "/ietf-interfaces:interfaces/interface[name='lo0']/ietf-ip:ipv4/address[ip='10.255.0."
        f"{number + 1}']/prefix-length": "32",
    }
    for port in range(2 * len(_STEPS)):
        entry = f"/ietf-interfaces:interfaces/interface[name='core{port}']"
        metric = str(100 * _STEPS[port % len(_STEPS)])
        lines |= {entry: "", f"{entry}/accord-router:igp": "", f"{entry}/accord-router:igp/metric": metric}
    for reflector in range(2):
        for far in range(ROUTERS) if number == reflector else [reflector]:
            if far != number:
                peer = f"/accord-router:router/bgp/neighbor[remote-address='10.255.0.{far + 1}']"
                client = "true" if number == reflector else "false"
                lines |= {peer: "", f"{peer}/remote-as": "65000", f"{peer}/route-reflector-client": client}
    for port in range(4):
        lines[f"/ietf-interfaces:interfaces/interface[name='ge{port}']"] = ""
    config = {parse_path(path): value for path, value in lines.items()}
    data = {"device": name, "participant": ParticipantClass.PERSISTENT.value, "config": to_json(ConfigTree(config))}
    return NewEvent(f"device/{name}", types.DEVICE_SYNCED, data)


async def filled(services: int) -> Fleet:
    """The fleet with its services."""
    fleet = Fleet(ROUTERS)
    await fleet.log.append([configured(number) for number in range(ROUTERS)], actor="bench")
    for first in range(0, services, AT_ONCE):
        wanted = joined([small_service(number, fleet.cities) for number in range(first, first + AT_ONCE)])
        await fleet.commit(fleet.planner.services(wanted, "fill"))
    return fleet


def timed(work: Callable[[], Any]) -> float:
    """Median milliseconds of CPU."""
    seconds = []
    gc.collect()
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return 1000 * statistics.median(seconds)


async def _checked(services: int) -> dict[str, float]:
    fleet = await filled(services)
    planner = fleet.planner
    found = {"plan": timed(lambda: planner.services(small_service(services, fleet.cities), "one more"))}
    plan: Plan = planner.services(small_service(services, fleet.cities), "one more")
    topology = SimpleNamespace(database=TeDatabase(core()))
    proof = Proof(fleet.world, cast("Any", topology))
    start = time.process_time()
    await proof.warm()
    proof.now()
    found["first"] = 1000 * (time.process_time() - start)

    def check(*, failures: bool) -> None:
        before, after = proof.states(plan)
        verdict = prove(before, after, failures=failures)
        assert verdict.is_proved, str(verdict)
        assert verdict.classes > 0, "no packet was followed"
        assert bool(verdict.failures) == failures, "failures were tried where they were asked for"

    found["proof"] = timed(lambda: check(failures=False))
    found["failures"] = timed(lambda: check(failures=True))
    return found


def _rows(found: dict[int, dict[str, float]]) -> Iterator[Row]:
    few, many = SERVICES
    unit = "ms of CPU"
    for services, each in found.items():
        name = f"planning it ({services} services)"
        yield row(
            "twin proof of one service more", services, each["proof"], each["plan"], name, unit, less_is_better=True
        )
        what = "twin proof and single failures"
        yield row(what, services, each["failures"], each["plan"], name, unit, less_is_better=True)
        yield row("twin model made from nothing", services, each["first"], each["proof"], "one proof", unit)
    grown, name = found[many]["proof"], f"{few} services"
    yield row("twin proof, growth", many, grown, found[few]["proof"], name, unit, less_is_better=True)


async def _proofs() -> list[Row]:
    return list(_rows({services: await _checked(services) for services in SERVICES}))


def main() -> None:
    write("twin", [*asyncio.run(_proofs()), *judged_rows()])


if __name__ == "__main__":
    main()
