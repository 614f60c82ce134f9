"""Owns `make bench-netconf`: our driver beside ncclient as shipped, scrapli-netconf and a bare asyncssh exchange.

Server and client are processes of their own. `python -m bench.netconf [--quick]`.
"""

import contextlib
import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from bench.table import Row, row, write

SESSIONS = (1, 100, 1000)
SECONDS = 4.0
ROUNDS = 2
"""Where the two are close, each is measured this often in turn and its best counts."""
IDLE_SECONDS = 62.0
"""How long idle sessions are watched: every one sends a keepalive in that time."""
POLLING_SECONDS = 10.0
"""The same for ncclient, which is never idle: its threads look at their queues ten times a second."""

_NAMES = {
    "bare": "bare asyncssh exchange",
    "ncclient": f"ncclient {importlib.metadata.version('ncclient')} as shipped",
    "scrapli": "scrapli-netconf",
}


@contextlib.contextmanager
def _server(kind: str) -> Iterator[dict[str, Any]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.netconf_servers", kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield json.loads(process.stdout.readline())  # type: ignore[union-attr]  # it is a pipe
    finally:
        process.kill()
        process.wait()


def _measure(server: dict[str, Any], client: str, sessions: int, idle_seconds: float) -> dict[str, float]:
    order = {
        "server": server,
        "client": client,
        "sessions": sessions,
        "seconds": SECONDS,
        "idle_seconds": idle_seconds,
    }
    command = [sys.executable, "-m", "bench.netconf_clients", json.dumps(order)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if answer.returncode or not answer.stdout:
        raise SystemExit(f"{client} with {sessions} sessions failed:\n{answer.stderr[-2000:]}")
    result: dict[str, float] = json.loads(answer.stdout)
    rounded = {name: round(value, 3) for name, value in result.items()}
    print(f"  {client:<9}{sessions:>5} sessions: {rounded}", file=sys.stderr)
    return result


def _canned(clients: list[str], sessions: int, largest: bool) -> Iterator[Row]:
    with _server("canned") as server:
        idle = IDLE_SECONDS if largest else 0.0
        ours = _measure(server, "ours", sessions, idle)
        for client in clients:
            other = _measure(server, client, sessions, min(idle, POLLING_SECONDS) if client == "ncclient" else 0.0)
            yield row("canned rpc rate", sessions, ours["rate"], other["rate"], _NAMES[client], "rpc/s")
            if client == "ncclient":
                yield from _costs(sessions, ours, other, largest)


def _costs(sessions: int, ours: dict[str, float], other: dict[str, float], largest: bool) -> Iterator[Row]:
    name = _NAMES["ncclient"]
    yield row("client cpu of a call", sessions, ours["cpu_ms"], other["cpu_ms"], name, "ms", less_is_better=True)
    yield row("threads", sessions, ours["threads"], other["threads"], name, "threads", less_is_better=True)
    if largest:
        idle, theirs = ours["idle_percent"], other["idle_percent"]
        yield row("idle cpu, 60 s keepalives", sessions, idle, theirs, name, "% of a core", less_is_better=True)


def _lab(sessions: int) -> Iterator[Row]:
    with _server("lab") as server:
        rounds = [
            [_measure(server, client, sessions, 0.0)["rate"] for client in ("ours", "bare")] for _ in range(ROUNDS)
        ]
        ours, bare = (max(rates) for rates in zip(*rounds, strict=True))
        yield row("lab rpc rate", sessions, ours, bare, _NAMES["bare"], "rpc/s")
        if sessions == 1:
            other = _measure(server, "ncclient", sessions, 0.0)
            yield row("lab rpc rate", sessions, ours, other["rate"], _NAMES["ncclient"], "rpc/s")


def main() -> None:
    counts = SESSIONS[:1] if "--quick" in sys.argv else SESSIONS
    clients = ["ncclient", "bare"]
    if importlib.util.find_spec("scrapli_netconf") is not None:
        clients.append("scrapli")
    else:
        print("scrapli-netconf is not installed (extra `bench`): left out", file=sys.stderr)
    rows = [line for sessions in counts for line in _canned(clients, sessions, sessions == SESSIONS[-1])]
    rows += [line for sessions in counts for line in _lab(sessions)]
    write("netconf", rows)


if __name__ == "__main__":
    main()
