"""Owns starting the daemon as systemd does and ending it as a power cut does, and the time from start to ready.

Ready is what the daemon itself says: `READY=1` by sd_notify, world restored and HTTPS port open.
"""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

MOST_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Start:
    """One start: wall-clock seconds to ready, CPU seconds of the process until then, events folded."""

    seconds: float
    cpu_seconds: float
    folded: int


def start_daemon(directory: Path) -> Start:
    """Start `accord serve` on the state in `directory`, wait until it is ready, kill it."""
    environment = {**os.environ, "ACCORD_LISTEN__PORT": "0"}
    with tempfile.TemporaryDirectory() as sockets, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(f"{sockets}/notify")
        environment["NOTIFY_SOCKET"] = f"{sockets}/notify"
        errors = (directory / "daemon.err").open("wb")
        started = time.perf_counter()
        command = [str(Path(sys.executable).with_name("accord")), "serve", "--config", str(directory / "accord.yaml")]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors) as daemon:
            try:
                _wait_until_ready(notified, daemon, directory)
                seconds, cpu_seconds = time.perf_counter() - started, _cpu_seconds(daemon.pid)
            finally:
                daemon.send_signal(signal.SIGKILL)
    return Start(seconds, cpu_seconds, _folded(directory))


def _wait_until_ready(notified: socket.socket, daemon: "subprocess.Popen[bytes]", directory: Path) -> None:
    notified.settimeout(0.5)
    deadline = time.monotonic() + MOST_SECONDS
    while time.monotonic() < deadline and daemon.poll() is None:
        try:
            if b"READY=1" in notified.recv(4096).splitlines():
                return
        except TimeoutError:
            continue
    raise SystemExit(f"the daemon did not become ready:\n{(directory / 'daemon.err').read_text()[-2000:]}")


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _folded(directory: Path) -> int:
    """What the daemon wrote into the log when it started."""
    connection = sqlite3.connect(directory / "state" / "events.sqlite")
    try:
        statement = "SELECT data FROM events WHERE type = 'daemon.started' ORDER BY position DESC LIMIT 1"
        data = json.loads(connection.execute(statement).fetchone()[0])
    finally:
        connection.close()
    return int(data["folded"])
