"""Requests are written whatever is logged: at `debug` ncclient logs each one, and asks the session for more."""

import logging
from collections.abc import Iterator

import pytest
from ncclient import manager

from drivers.netconf.requests import build


@pytest.fixture
def everything_is_logged() -> Iterator[None]:
    logger = logging.getLogger("ncclient")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    yield
    logger.setLevel(before)


@pytest.mark.usefixtures("everything_is_logged")
def test_a_request_is_written_while_everything_is_logged() -> None:
    request = build(manager.make_device_handler({"name": "default"}), None, "lock", target="candidate")
    assert request.name == "lock"
    assert b"candidate" in request.numbered(1)
