"""Owns the near end of the NETCONF bench: the same reading by our driver, bare asyncssh, ncclient and scrapli.

One process per measurement, so that threads, memory and idle CPU are of one client only. Arguments: one JSON object;
prints one JSON object {rate, cpu_ms, threads, idle_percent, connect_seconds}.
"""

import asyncio
import base64
import contextlib
import itertools
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncssh

from bench.netconf_servers import BASE, FILTER

IN_FLIGHT = 64
KEEPALIVE_SECONDS = 60

Read = Callable[[], Awaitable[object]]


# -- ours --------------------------------------------------------------------------------------------------------------


async def open_ours(server: dict[str, Any], number: int) -> Read:
    from controller.model.identifiers import DeviceName
    from controller.ports import DeviceTarget, Secret, Transport
    from drivers.netconf import NetconfConnector

    which = number % len(server["ports"])
    target = DeviceTarget(
        name=DeviceName(f"pe{number}"),
        hostname="127.0.0.1",
        port=server["ports"][which],
        transport=Transport.NETCONF,
        username=server["username"],
        password=Secret(server["password"]),
        host_key=server["host_keys"][which],
        connect_timeout_seconds=60.0,
        keepalive_seconds=KEEPALIVE_SECONDS,
    )
    session = await NetconfConnector().connect(target)
    return lambda: session.read((FILTER,))


# -- by hand -----------------------------------------------------------------------------------------------------------

_CAPABILITY = "<capability>urn:ietf:params:netconf:base:1.1</capability>"
_HELLO = f'<hello xmlns="{BASE}"><capabilities>{_CAPABILITY}</capabilities></hello>'
_GET = (
    f'<rpc xmlns="{BASE}" message-id="%d"><get-config><source><running/></source>'
    f'<filter type="subtree">{FILTER}</filter></get-config></rpc>'
).encode()


class _Bare(asyncssh.SSHClientSession[bytes]):
    """The least that gets an answer: no parsing, no deadline, no errors."""

    def __init__(self) -> None:
        self.number = 0
        self.buffer = b""
        self.end = b"]]>]]>"
        self.reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        del datatype
        self.buffer += data
        if self.buffer.endswith(self.end):
            reply, self.buffer = self.buffer, b""
            self.reply.set_result(reply)

    async def read(self) -> bytes:
        self.reply = asyncio.get_running_loop().create_future()
        self.number += 1
        request = _GET % self.number
        self.channel.write(b"\n#%d\n%b\n##\n" % (len(request), request))
        return await self.reply


async def open_bare(server: dict[str, Any], number: int) -> Read:
    which = number % len(server["ports"])
    connection = await asyncssh.connect(
        "127.0.0.1",
        server["ports"][which],
        username=server["username"],
        password=server["password"],
        known_hosts=None,
        config=None,
        client_keys=None,
        agent_path=None,
    )
    channel, session = await connection.create_session(_Bare, subsystem="netconf", encoding=None)
    session.channel = channel
    channel.write(_HELLO.encode() + b"]]>]]>")
    await session.reply
    session.end = b"\n##\n"
    return session.read


# -- others ------------------------------------------------------------------------------------------------------------


async def open_scrapli(server: dict[str, Any], number: int) -> Read:
    from scrapli_netconf.driver import AsyncNetconfDriver

    driver = AsyncNetconfDriver(
        host="127.0.0.1",
        port=server["ports"][number % len(server["ports"])],
        auth_username=server["username"],
        auth_password=server["password"],
        auth_strict_key=False,
        transport="asyncssh",
        strip_namespaces=False,
        timeout_socket=60,
        timeout_transport=60,
        timeout_ops=60,
    )
    await driver.open()
    return lambda: driver.get_config(source="running", filter_=FILTER)


def open_ncclient(server: dict[str, Any], number: int) -> Callable[[], object]:
    from ncclient import manager

    which = number % len(server["ports"])
    session = manager.connect(
        host="127.0.0.1",
        port=server["ports"][which],
        username=server["username"],
        password=server["password"],
        hostkey_b64=base64.b64encode(base64.b64decode(server["host_keys"][which].split()[1])).decode(),
        allow_agent=False,
        look_for_keys=False,
        timeout=120,
        keepalive=KEEPALIVE_SECONDS,
    )
    return lambda: session.get_config("running", filter=("subtree", FILTER)).data_ele


# -- measuring ---------------------------------------------------------------------------------------------------------


async def _limited(jobs: Sequence[Awaitable[Any]], most: int) -> list[Any]:
    gate = asyncio.Semaphore(most)

    async def run(job: Awaitable[Any]) -> Any:
        async with gate:
            return await job

    return await asyncio.gather(*map(run, jobs))


async def measure_async(opener: Callable[..., Awaitable[Read]], server: dict[str, Any], order: dict[str, Any]) -> dict:
    start = time.perf_counter()
    reads = await _limited([opener(server, number) for number in range(order["sessions"])], 32)
    connected = time.perf_counter() - start
    workers = min(IN_FLIGHT, len(reads))
    for read in reads[:IN_FLIGHT]:
        await read()
    done = 0
    stop = time.perf_counter() + order["seconds"]

    async def worker(which: int) -> None:
        nonlocal done
        for read in itertools.cycle(reads[which::workers]):  # its own sessions: not all clients can share one
            if time.perf_counter() >= stop:
                return
            await read()
            done += 1

    start, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*map(worker, range(workers)))
    result = _result(done, time.perf_counter() - start, time.process_time() - cpu, connected)
    cpu, start = time.process_time(), time.perf_counter()
    await asyncio.sleep(order["idle_seconds"])
    return result | {"idle_percent": 100 * (time.process_time() - cpu) / (time.perf_counter() - start)}


def measure_threads(opener: Callable[..., Callable[[], object]], server: dict[str, Any], order: dict[str, Any]) -> dict:
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        start = time.perf_counter()
        reads = list(pool.map(lambda number: opener(server, number), range(order["sessions"])))
        connected = time.perf_counter() - start
        stop = time.perf_counter() + order["seconds"]
        workers = min(IN_FLIGHT, len(reads))

        def worker(which: int) -> int:
            mine, done = reads[which::workers], 0
            while True:
                for read in mine:
                    if time.perf_counter() >= stop:
                        return done
                    read()
                    done += 1

        start, cpu = time.perf_counter(), time.process_time()
        done = sum(pool.map(worker, range(workers)))
        result = _result(done, time.perf_counter() - start, time.process_time() - cpu, connected)
        cpu, start = time.process_time(), time.perf_counter()
        time.sleep(order["idle_seconds"])
        return result | {"idle_percent": 100 * (time.process_time() - cpu) / (time.perf_counter() - start)}


def _result(done: int, seconds: float, cpu_seconds: float, connect_seconds: float) -> dict[str, float]:
    return {
        "rate": done / seconds,
        "cpu_ms": 1000 * cpu_seconds / max(done, 1),
        "threads": threading.active_count(),
        "connect_seconds": connect_seconds,
    }


def main(order: dict[str, Any]) -> dict[str, float]:
    server = order["server"]
    if order["client"] == "ncclient":
        return measure_threads(open_ncclient, server, order)
    opener = {"ours": open_ours, "bare": open_bare, "scrapli": open_scrapli}[order["client"]]
    return asyncio.run(measure_async(opener, server, order))


if __name__ == "__main__":
    answer = main(json.loads(sys.argv[1]))
    print(json.dumps(answer), flush=True)
    with contextlib.suppress(Exception):
        sys.stdout.close()
    import os

    os._exit(0)  # ncclient's threads would each take their time to go
