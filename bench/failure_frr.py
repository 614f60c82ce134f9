"""Owns the baseline of `failure.py` that is another's router: what FRR's IS-IS loses when a link of a ring is cut.

    f0 - f1 - f2   the short way
    f0 - f3 - f2   the long way, by its metric

Each router is a network namespace with FRR's zebra and isisd. The link f1 - f2 is cut at f2, so that f1 loses its
carrier; packets go from f0's loopback to f2's. FRR gets the shortest intervals that it takes in whole seconds, and time
to forget the last failure before the next. `python -m bench.failure_frr [FAILURES]`.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

from lab.planes import Attachment, FlowReport, FlowSpec
from lab.traffic.flows import Flows
from lab.traffic.hosts import Host

PACKET_RATE = 2000.0
_DAEMONS = Path("/usr/lib/frr")
_CONFIGURATIONS = Path("/etc/frr")
_SOCKETS = Path("/var/run/frr")
_NAMES = tuple(f"accord-f{index}" for index in range(4))
_METRICS = {(0, 1): 10, (1, 2): 10, (0, 3): 100, (2, 3): 100}
_SHORT = {(0, 2): 1, (1, 2): 2, (2, 0): 1, (3, 2): 2}
"""The router that one takes next to reach another, when every link is up and IS-IS has converged."""
_LOOK_SECONDS = 0.05
_SETTLE_SECONDS = 0.3
_QUIET_SECONDS = 3.0
"""Longer than the intervals by which FRR holds back what it does again."""
_DEADLINE_SECONDS = 40.0


def why_not() -> str:
    """Why FRR cannot be measured here; empty when it can."""
    if os.geteuid() != 0:
        return "its daemons need root"
    missing = [str(_DAEMONS / name) for name in ("zebra", "isisd") if not (_DAEMONS / name).exists()]
    missing += [name for name in ("vtysh", "ip", "sysctl") if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


async def frr_losses(count: int) -> list[int]:
    """The packets lost in each of so many failures; RuntimeError or TimeoutError when FRR does not do its part."""
    return [report.lost for report in await frr_failures(count)]


async def frr_failures(count: int) -> list[FlowReport]:
    """What became of the packets in each failure."""
    async with _ring():
        return [await _fail_once() for _ in range(count)]


@asynccontextmanager
async def _ring() -> AsyncIterator[None]:
    """The four routers, converged; nothing of them is left afterwards."""
    await _remove()
    try:
        await _build()
        await _until(_is_converged)
        yield
    finally:
        await _remove()


async def _build() -> None:
    for name in _NAMES:
        await _run("ip", "netns", "add", name)
    for low, high in _METRICS:
        await _join(low, high)
    for index, name in enumerate(_NAMES):
        await _run("ip", "-n", name, "address", "add", f"{_loopback(index)}/32", "dev", "lo")
        await _run("ip", "-n", name, "link", "set", "lo", "up")
        await _in(name, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0")
        await _start(index)
    for low, high in _METRICS:
        await _open(low, high)
        await _open(high, low)


async def _join(low: int, high: int) -> None:
    ends = ((low, high), (high, low))
    words = [("name", _port(other), "address", _hardware(own, other), "netns", _NAMES[own]) for own, other in ends]
    await _run("ip", "link", "add", *words[0], "type", "veth", "peer", *words[1])
    for own, other in ends:
        ip, port = ("ip", "-n", _NAMES[own]), _port(other)
        await _run(*ip, "address", "add", f"{_address(own, other)}/30", "dev", port)
        await _in(_NAMES[own], "sysctl", "-qw", f"net.ipv4.conf.{port}.rp_filter=0")


async def _open(own: int, other: int) -> None:
    """Set one end up. It knows the other's hardware address, so that no packet waits for it."""
    ip, port = ("ip", "-n", _NAMES[own]), _port(other)
    await _run(*ip, "link", "set", port, "up")
    told = ("lladdr", _hardware(other, own), "nud", "permanent")
    await _run(*ip, "neighbour", "replace", _address(other, own), *told, "dev", port)


async def _start(index: int) -> None:
    name = _NAMES[index]
    directory = _CONFIGURATIONS / name
    directory.mkdir()
    (directory / "frr.conf").write_text(_configuration(index))
    (directory / "vtysh.conf").write_text("service integrated-vtysh-config\n")
    for path in (directory, *directory.iterdir()):
        shutil.chown(path, "frr", "frr")
    for daemon in ("zebra", "isisd"):
        await _in(name, str(_DAEMONS / daemon), "-d", "-N", name, "-A", "127.0.0.1")
    await _run("vtysh", "-N", name, "-b")


def _configuration(index: int) -> str:
    """The router stands first: isisd 8.4 ended itself when the interfaces, with metrics above 63, came before it."""
    lines = [
        f"hostname f{index}",
        "router isis ring",
        f" net 49.0001.0000.0000.000{index + 1}.00",
        " is-type level-2-only",
        " metric-style wide",
        " spf-interval 1",
        " lsp-gen-interval 1",
        "interface lo",
        " ip router isis ring",
        " isis passive",
    ]
    for pair, metric in _METRICS.items():
        if index in pair:
            lines += [
                f"interface {_port(sum(pair) - index)}",
                " ip router isis ring",
                " isis network point-to-point",
                " isis hello-interval 1",
                f" isis metric {metric}",
            ]
    return "\n".join([*lines, ""])


async def _fail_once() -> FlowReport:
    await _until(_is_converged)
    await asyncio.sleep(_QUIET_SECONDS)
    async with _host(0) as source, _host(2) as target:
        flows = Flows("netns")
        try:
            ends = [Attachment(f"f{index}", "lo", _loopback(index)) for index in (0, 2)]
            flow = await flows.start(FlowSpec(*ends, PACKET_RATE), source, target)
            await asyncio.sleep(_SETTLE_SECONDS)
            await _set_link("down")
            await _until(_is_repaired)
            await _until_carried(flows)
            return await flows.stop(flow)
        finally:
            await flows.close()
            await _set_link("up")


async def _until_carried(flows: Flows) -> None:
    """Return when packets have been arriving for a moment again."""
    async with asyncio.timeout(_DEADLINE_SECONDS):
        while True:
            (before,) = await flows.reports()
            await asyncio.sleep(_SETTLE_SECONDS)
            (after,) = await flows.reports()
            if after.received - before.received > PACKET_RATE * _SETTLE_SECONDS / 2:
                return


async def _set_link(state: str) -> None:
    await _run("ip", "-n", _NAMES[2], "link", "set", _port(1), state)


@asynccontextmanager
async def _host(index: int) -> AsyncIterator[Host]:
    sleeper = await asyncio.create_subprocess_exec("ip", "netns", "exec", _NAMES[index], "sleep", "infinity")
    try:
        await asyncio.sleep(_SETTLE_SECONDS)  # it enters the namespace
        yield Host(sleeper.pid, _loopback(index))
    finally:
        sleeper.kill()
        await sleeper.wait()


async def _until(answer: Callable[[], Coroutine[None, None, bool]]) -> None:
    async with asyncio.timeout(_DEADLINE_SECONDS):
        while not await answer():  # noqa: ASYNC110 - a routing table tells when asked
            await asyncio.sleep(_LOOK_SECONDS)


async def _is_converged() -> bool:
    return all([await _next(*ends) == _port(through) for ends, through in _SHORT.items()])


async def _is_repaired() -> bool:
    return await _next(0, 2) == _port(3)


async def _next(router: int, target: int) -> str:
    """The interface by which a router reaches another's loopback; empty when it does not."""
    told = await _run("ip", "-n", _NAMES[router], "-j", "route", "show", f"{_loopback(target)}/32")
    return next((route["dev"] for route in json.loads(told or "[]") if "dev" in route), "")


async def _remove() -> None:
    """End the daemons and take away namespaces and files, of an earlier run too."""
    known = {line.split()[0] for line in (await _run("ip", "netns", "list")).splitlines() if line}
    for name in _NAMES:
        if name in known:
            for process in (await _run("ip", "netns", "pids", name)).split():
                _kill(int(process))
            await _run("ip", "netns", "delete", name)
        shutil.rmtree(_CONFIGURATIONS / name, ignore_errors=True)
        shutil.rmtree(_SOCKETS / name, ignore_errors=True)


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def _port(other: int) -> str:
    return f"to-f{other}"


def _address(own: int, other: int) -> str:
    """What a router has towards another."""
    low, high = sorted((own, other))
    return f"10.98.{10 * low + high}.{1 if own == low else 2}"


def _hardware(own: int, other: int) -> str:
    return f"02:00:00:98:0{own}:0{other}"


def _loopback(index: int) -> str:
    return f"10.99.0.{index + 1}"


async def _in(name: str, *words: str) -> str:
    return await _run("ip", "netns", "exec", name, *words)


async def _run(*words: str) -> str:
    """What a command prints; RuntimeError when it fails."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, stdout=pipe, stderr=pipe)
    told, complaint = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)}: {complaint.decode().strip() or process.returncode}")
    return told.decode()


async def main(failures: int) -> None:
    """Print what each failure cost."""
    if reason := why_not():
        print(f"FRR's IS-IS: left out: {reason}")
        return
    for report in await frr_failures(failures):
        gap = 1e3 * report.longest_gap_seconds
        print(f"lost {report.lost} of {report.sent}, longest gap {gap:.0f} ms, left late {report.late}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
