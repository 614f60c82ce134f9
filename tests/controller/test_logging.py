"""Log lines are JSON with a priority, and hold no secrets."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from controller.adapters.logging import configure_logging


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    libraries = [logging.getLogger(name) for name in list(root.manager.loggerDict)]
    levels = [library.level for library in libraries]
    yield
    for library, before in zip(libraries, levels, strict=True):
        library.setLevel(before)
    for name in set(root.manager.loggerDict) - {library.name for library in libraries}:
        logging.getLogger(name).setLevel(logging.NOTSET)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_both_kinds_of_loggers_write_one_json_line_each_with_its_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    structlog.contextvars.bind_contextvars(transaction="tx1")
    structlog.get_logger("accord.test").warning("device slow", device="pe1", odd={1})
    logging.getLogger("library").error("broken\nin two lines %s", "here")
    structlog.get_logger().debug("unheard")
    lines = stream.getvalue().splitlines()
    assert [line[:3] for line in lines] == ["<4>", "<3>"]
    first, second = (json.loads(line[3:]) for line in lines)
    assert first["event"] == "device slow"
    assert (first["device"], first["transaction"], first["logger"]) == ("pe1", "tx1", "accord.test")
    assert first["timestamp"].endswith("Z")
    assert second["event"] == "broken\nin two lines here"


def test_an_exception_is_part_of_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    stream = io.StringIO()
    configure_logging("info", "auto", stream)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        structlog.get_logger().exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "division by zero" in json.loads(line)["exception"]


@pytest.mark.parametrize("style", ["json", "text"])
def test_values_under_secret_names_are_masked(style: str) -> None:
    stream = io.StringIO()
    configure_logging("info", style, stream)
    structlog.get_logger().info("login", password="hush", api_token="hush", Authorization="hush", user="ann")
    assert "hush" not in stream.getvalue()
    assert "ann" in stream.getvalue()


def test_talkative_libraries_are_heard_from_warning_on() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    logging.getLogger("asyncssh").info("packet")
    logging.getLogger("asyncssh").warning("trouble")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["trouble"]
    configure_logging("debug", "json", stream)
    logging.getLogger("asyncssh").info("packet")
    assert "packet" in stream.getvalue()
