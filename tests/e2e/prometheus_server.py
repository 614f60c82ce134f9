"""Debian's Prometheus with the shipped configuration, pointed at a daemon under test and scraping all the time."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.e2e.daemon import ROOT, DaemonProcess, eventually
from tests.patience import PATIENCE_SECONDS
from tests.ports import kept_port

CONFIG = ROOT / "config" / "prometheus"


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt install prometheus)")
    return found


@contextlib.contextmanager
def prometheus_of(daemon: DaemonProcess, directory: Path) -> Iterator[httpx2.Client]:
    """A running Prometheus; gives a client of its API."""
    shutil.copytree(CONFIG / "rules", directory / "rules")
    shutil.copy(daemon.certificate, directory / "accord-ca.crt")
    text = (CONFIG / "prometheus.yml").read_text().replace("localhost:8443", f"localhost:{daemon.port}")
    document = yaml.safe_load(text)
    document["global"] |= {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"}
    document["scrape_configs"][1]["http_sd_configs"][0]["refresh_interval"] = "1s"
    (directory / "prometheus.yml").write_text(yaml.safe_dump(document))
    port = kept_port()
    command = [
        tool("prometheus"),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (directory / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30.0) as client:
                eventually(lambda: _is_ready(client), "Prometheus is ready")
                yield client
        finally:
            process.terminate()


def _is_ready(client: httpx2.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx2.TransportError:
        return False


def until_nothing_of(find: Callable[[], Sequence[object]]) -> Sequence[object]:
    """What is found wrong still after a while: a scrape that was too late hides everything until the next."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := find()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def query(prometheus: httpx2.Client, expression: str) -> list[dict[str, Any]]:
    answer = prometheus.get("/api/v1/query", params={"query": expression}).json()
    assert answer["status"] == "success", (expression, answer)
    return list(answer["data"]["result"])
