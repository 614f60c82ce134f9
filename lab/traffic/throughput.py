"""How much TCP carries between two hosts, by iperf3 where it is installed.

Owns the two iperf3 processes in their hosts' namespaces and what is read of their result.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from typing import Any

from lab.traffic.hosts import Host, TrafficError

_PROGRAM = "iperf3"
_PORT = 5201
_LISTENING_SECONDS = 5.0
_GRACE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Throughput:
    """What a TCP connection carried: octets acknowledged a second, times 8, and segments sent again."""

    plane: str
    seconds: float
    received_bit_rate: float
    retransmits: int


async def measure_throughput(plane: str, source: Host, target: Host, *, seconds: int = 2) -> Throughput:
    """Send TCP for that long; raises `TrafficError` with the reason where it cannot."""
    if shutil.which(_PROGRAM) is None:
        raise TrafficError(f"{_PROGRAM} is not installed, TCP cannot be measured: apt-get install {_PROGRAM}")
    listen = ("-s", "-1", "-B", target.address, "-p", str(_PORT), "--forceflush")
    server = await _run(target, *listen)
    try:
        await _listening(server)
        send = ("-c", target.address, "-B", source.address, "-p", str(_PORT), "-t", str(seconds), "-J")
        client = await _run(source, *send)
        text = await _output(client, seconds + _GRACE_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.kill()
        await server.wait()
    return _read(plane, text)


async def _run(host: Host, *words: str) -> Process:
    command = (sys.executable, "-m", "lab.traffic.namespace", str(host.process), _PROGRAM, *words)
    return await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE)


async def _listening(server: Process) -> None:
    """Wait for the line that says so."""
    if server.stdout is None:
        return
    async with asyncio.timeout(_LISTENING_SECONDS):
        while line := await server.stdout.readline():
            if b"listening" in line:
                return
    raise TrafficError(f"{_PROGRAM} does not listen: is port {_PORT} of the host taken?")


async def _output(client: Process, within_seconds: float) -> bytes:
    try:
        text, _ = await asyncio.wait_for(client.communicate(), within_seconds)
    except TimeoutError:
        client.kill()
        await client.wait()
        raise TrafficError(
            f"{_PROGRAM} did not end within {within_seconds:g} s: does the path carry anything?"
        ) from None
    return text


def _read(plane: str, text: bytes) -> Throughput:
    try:
        result: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise TrafficError(f"{_PROGRAM} said what nobody can read: {text[:80]!r}") from error
    if "error" in result:
        raise TrafficError(f"{_PROGRAM}: {result['error']}")
    sent, received = result["end"]["sum_sent"], result["end"]["sum_received"]
    return Throughput(plane, received["seconds"], received["bits_per_second"], sent.get("retransmits", 0))
