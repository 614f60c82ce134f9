"""Owns `make bench-collection`: what it costs to poll 10, 100 and 1,000 routers of ten interfaces every ten seconds.

Beside a plain poller of ncclient with threads on the same far end, in the same run. Far end and pollers are processes
of their own, so that CPU is of one poller only. `python -m bench.collection [--quick]`.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from bench.table import Row, row, write

DEVICES = (10, 100, 1000)
SECONDS = 40.0
BUDGET_PERCENT = 15.0
_CLIENT = "ncclient, xmltodict and threads"


@contextlib.contextmanager
def _routers() -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "bench.collection_servers"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())  # type: ignore[union-attr]  # it is a pipe
        finally:
            process.kill()


def _measured(server: dict[str, Any], client: str, devices: int) -> dict[str, float]:
    order = {"server": server, "client": client, "devices": devices, "seconds": SECONDS}
    command = [sys.executable, "-m", "bench.collection_clients", json.dumps(order)]
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=quiet)
    if done.returncode or not done.stdout:
        raise SystemExit(f"{client} with {devices} devices failed:\n{done.stderr[-2000:]}")
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    shown = {name: round(value, 2) for name, value in told.items()}
    print(f"  {client:<9}{devices:>5} devices: {shown}", file=sys.stderr)
    return told


def _rows(server: dict[str, Any], devices: int) -> Iterator[Row]:
    ours, theirs = (_measured(server, client, devices) for client in ("ours", "ncclient"))
    for what, part, unit in (
        ("polling every 10 s, CPU", "cpu_percent", "% of a core"),
        ("polling every 10 s, CPU of a poll", "cpu_ms", "ms"),
        ("polling every 10 s, lag p99 (ours has jitter and a tick of 0.1 s)", "lag_p99_ms", "ms"),
    ):
        yield row(what, devices, ours[part], theirs[part], _CLIENT, unit, less_is_better=True)
    yield row("cycles missed", devices, ours["missed"], theirs["missed"], _CLIENT, "cycles", less_is_better=True)
    if devices == DEVICES[-1]:
        of_budget = ours["cpu_percent"]
        yield row(
            "polling 10,000 interfaces, CPU", devices, of_budget, BUDGET_PERCENT, "the budget", "%", less_is_better=True
        )


def main() -> None:
    """Every number of devices."""
    with _routers() as server:
        rows = [line for devices in DEVICES[: 1 if "--quick" in sys.argv else None] for line in _rows(server, devices)]
    write("collection", rows)


if __name__ == "__main__":
    main()
