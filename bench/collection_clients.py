"""Owns the near ends of the collection bench: the controller's collection, and a plain poller of ncclient with threads.

One process per measurement, so that CPU is of one client only. Argument: one JSON object; prints one JSON object
{cpu_percent, lag_p99_ms, missed, polls, cpu_ms}.
"""

import asyncio
import json
import math
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import xmltodict

from bench.netconf_servers import INTERFACES

INTERVAL_SECONDS = 10.0
THREADS = 32
_CONNECTING = 16
_FILTER = (
    f'<interfaces xmlns="{INTERFACES}"><interface><name/><oper-status/><speed/><statistics/></interface></interfaces>'
)


def _told(lags: list[float], missed: int, cpu_seconds: float, seconds: float) -> dict[str, float]:
    ordered = sorted(lags)
    return {
        "cpu_percent": 100 * cpu_seconds / seconds,
        "lag_p50_ms": 1000 * statistics.median(ordered),
        "lag_p99_ms": 1000 * ordered[max(0, math.ceil(0.99 * len(ordered)) - 1)],
        "missed": missed,
        "polls": len(ordered),
        "cpu_ms": 1000 * cpu_seconds / len(ordered),
    }


# -- ours --------------------------------------------------------------------------------------------------------------


async def ours(order: dict[str, Any]) -> dict[str, float]:
    """The daemon's collection over its session pool, ticked as its clockwork does."""
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    from controller.adapters.clock import SystemClock
    from controller.background import TELEMETRY_TICK_SECONDS
    from controller.model.identifiers import DeviceName
    from controller.model.inventory import DeviceRecord
    from controller.ports import DeviceTarget, Secret, Transport
    from controller.runtime.collection import Collection, Lags, Pace
    from controller.runtime.leases import Leases
    from controller.runtime.sessions import SessionPool
    from drivers.netconf import NetconfConnector

    @dataclass(slots=True)
    class Exact(Lags):
        seen: list[float] = field(default_factory=list)

        def observe(self, seconds: float) -> None:
            self.seen.append(seconds)

    server, clock = order["server"], SystemClock()
    records = {name: DeviceRecord(name) for name in (DeviceName(f"r{n}") for n in range(order["devices"]))}

    def target(name: DeviceName) -> DeviceTarget:
        return DeviceTarget(
            name=name,
            hostname="127.0.0.1",
            port=server["port"],
            transport=Transport.NETCONF,
            username=server["username"],
            password=Secret(server["password"]),
            host_key=server["host_key"],
            connect_timeout_seconds=120.0,
            keepalive_seconds=60,
        )

    pool = SessionPool({Transport.NETCONF: NetconfConnector()}, target, clock)
    for first in range(0, len(records), _CONNECTING):
        await asyncio.gather(*(pool.session(name) for name in [*records][first : first + _CONNECTING]))
    lags = Exact()
    pace = Pace(INTERVAL_SECONDS)
    collection = Collection(pool, Leases(clock), lambda: records, lambda: records, clock, pace, lags=lags)
    collection.follow()
    collection.start()
    scheduler = AsyncIOScheduler(job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None})
    scheduler.add_job(collection.tick, "interval", seconds=TELEMETRY_TICK_SECONDS)
    scheduler.start()
    await asyncio.sleep(INTERVAL_SECONDS * 1.2)  # every series has begun
    lags.seen.clear()
    missed, cpu, began = collection.schedule.missed, time.process_time(), time.monotonic()
    await asyncio.sleep(order["seconds"])
    spent, lasted = time.process_time() - cpu, time.monotonic() - began
    told = _told(list(lags.seen), collection.schedule.missed - missed, spent, lasted)
    scheduler.shutdown(wait=False)
    if collection.unread:
        raise SystemExit(f"not read: {next(iter(collection.unread.items()))}")
    usable = sum(sample.is_usable for sample in collection.series.latest.values())
    return told | {"series": len(collection.series.latest), "usable": usable}


# -- ncclient ----------------------------------------------------------------------------------------------------------


class Poller:
    """What one writes in an afternoon: a session each, threads, a dict of the answer, rates of the counters."""

    def __init__(self, order: dict[str, Any]) -> None:
        from ncclient import manager

        self._server, self._devices = order["server"], order["devices"]
        self._connect = manager.connect
        self._before: dict[tuple[int, str, str], tuple[float, float]] = {}
        self.rates: dict[tuple[int, str, str], float] = {}
        self.lags: list[float] = []
        self._lock = threading.Lock()
        with ThreadPoolExecutor(_CONNECTING) as pool:
            self._sessions = list(pool.map(self._open, range(self._devices)))

    def _open(self, _number: int) -> Any:
        return self._connect(
            host="127.0.0.1",
            port=self._server["port"],
            username=self._server["username"],
            password=self._server["password"],
            hostkey_verify=False,
            allow_agent=False,
            look_for_keys=False,
            timeout=120,
        )

    def poll(self, number: int, due: float) -> None:
        """One device."""
        data = self._sessions[number].get(filter=("subtree", _FILTER)).data_xml
        now = time.monotonic()
        tree = xmltodict.parse(data, force_list=("interface",))["data"]["interfaces"]["interface"]
        for interface in tree:
            for kind in ("in-octets", "out-octets", "out-discards"):
                key, value = (number, interface["name"], kind), float(interface["statistics"][kind])
                before = self._before.get(key)
                if before is not None:
                    self.rates[key] = (value - before[1]) / (now - before[0])
                self._before[key] = now, value
        with self._lock:
            self.lags.append(time.monotonic() - due)

    def run(self, seconds: float) -> int:
        """Poll everybody for so long; returns the cycles that were missed."""
        begin = time.monotonic()
        missed = 0
        pending: list[Any] = [None] * self._devices
        with ThreadPoolExecutor(THREADS) as pool:
            for cycle in range(math.ceil(seconds / INTERVAL_SECONDS)):
                for number in range(self._devices):
                    due = begin + (cycle + number / self._devices) * INTERVAL_SECONDS
                    time.sleep(max(0.0, due - time.monotonic()))
                    if pending[number] is not None and not pending[number].done():
                        missed += 1
                        continue
                    pending[number] = pool.submit(self.poll, number, due)
            for one in pending:
                one.result(timeout=120)
        return missed


def ncclient(order: dict[str, Any]) -> dict[str, float]:
    """The plain poller."""
    poller = Poller(order)
    poller.run(INTERVAL_SECONDS)
    poller.lags.clear()
    cpu, began = time.process_time(), time.monotonic()
    missed = poller.run(order["seconds"])
    told = _told(poller.lags, missed, time.process_time() - cpu, time.monotonic() - began)
    return told | {"series": len(poller.rates), "usable": len(poller.rates)}


def main() -> None:
    """One measurement."""
    order = json.loads(sys.argv[1])
    found = asyncio.run(ours(order)) if order["client"] == "ours" else ncclient(order)
    print(json.dumps(found), flush=True)
    sys.stdout.flush()
    import os

    os._exit(0)  # a thousand sessions need not say goodbye


if __name__ == "__main__":
    main()
