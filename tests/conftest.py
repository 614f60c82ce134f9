"""Hypothesis profiles: `gate` is fixed and runs everywhere; `hunt` is random (HYPOTHESIS_PROFILE=hunt).

Golden files: `golden("a.txt", text)` compares with `golden/a.txt` beside the test; `--update-golden` rewrites them.
"""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from structlog.stdlib import ProcessorFormatter
from structlog.testing import capture_logs

_OF_THE_TERMINAL = ("CI", "GITHUB_ACTIONS", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "COLORTERM", "COLUMNS", "LINES")
for _name in (*_OF_THE_TERMINAL, "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(_name, None)  # what is printed is not to depend on who runs the tests, and where
os.environ["TERM"] = "xterm"
_QUIETENED = ("asyncssh", "ncclient", "paramiko", "netmiko", "apscheduler", "uvicorn.access", "urllib3")
_QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("gate", derandomize=True, max_examples=200, deadline=None, suppress_health_check=_QUIET)
settings.register_profile("hunt", max_examples=5000, deadline=None, suppress_health_check=_QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files with what the tests got")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the golden file of that name."""

    def compare(name: str, text: str) -> None:
        path = request.path.parent / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        assert text == path.read_text(), f"not as in {Path(path.parent.name, name)}; if it should be: --update-golden"

    return compare


@pytest.fixture(autouse=True)
def logging_stays_with_its_test() -> Iterator[None]:
    """A command that sets up the process's log leaves nothing of it to whichever test comes next in this process."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        root = logging.getLogger()
        root.handlers[:] = [each for each in root.handlers if not isinstance(each.formatter, ProcessorFormatter)]
        root.setLevel(logging.WARNING)
        for name in _QUIETENED:
            logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """A directory whose name is short enough for a socket's (unix(7)), wherever temporary files are."""
    with tempfile.TemporaryDirectory(prefix="accord-", dir="/tmp") as directory:
        yield Path(directory)


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """The lines of the process's log; nothing is printed: a traceback with everything in it takes minutes."""
    with capture_logs() as told:
        yield told
