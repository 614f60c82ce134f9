"""How much memory a network of a thousand idle routers takes: they are one process, as `accord lab up` starts them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli import app

ROUTERS = 1000
MOST_OCTETS = 2 * 10**9


def most_resident_octets(pid: int) -> int:
    """The most memory that a process has held."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (told,) = [line.split() for line in lines if line.startswith("VmHWM:")]
    return int(told[1]) * 1024


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_thousand_idle_routers_in_one_process_take_less_than_two_gigabytes(tmp_path: Path) -> None:
    runner, where = CliRunner(), ["--dir", str(tmp_path / "lab"), "-o", "json"]
    up = ["up", "--topology", "sndlib/germany50", "--routers", str(ROUTERS), "--detach"]
    started = runner.invoke(app, [*up, *where])
    assert started.exit_code == 0, started.stderr
    try:
        found = json.loads(runner.invoke(app, ["status", *where]).stdout)
        assert len(found["routers"]) == ROUTERS
        taken = most_resident_octets(found["pid"])
    finally:
        runner.invoke(app, ["down", *where])
    assert taken < MOST_OCTETS
