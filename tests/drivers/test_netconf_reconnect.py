"""Coming back to a device: waits that grow, are bounded and spread."""

import pytest

from controller.model.errors import AuthenticationFailedError, ConnectionFailedError
from drivers.netconf import NetconfConnector
from drivers.netconf.reconnect import Backoff, Reconnector
from tests.drivers.canned import CannedServer
from tests.ports import kept_port


def test_waits_double_up_to_the_limit():
    backoff = Backoff(first_seconds=1, most_seconds=10, jitter=lambda: 1.0)
    assert [backoff.seconds(failures) for failures in (1, 2, 3, 4, 5, 5000)] == [1, 2, 4, 8, 10, 10]


def test_jitter_spreads_waits_over_their_upper_half():
    assert Backoff(first_seconds=4, jitter=lambda: 0.0).seconds(1) == 2
    assert Backoff(first_seconds=4, jitter=lambda: 0.5).seconds(1) == 3


async def test_it_connects_as_soon_as_the_device_is_back():
    server = CannedServer()
    waits: list[float] = []

    async def device_returns_meanwhile(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            server.password = "secret"
            server.accepted_subsystems = {"netconf"}

    async with server:
        server.accepted_subsystems = set()
        reconnector = Reconnector(
            NetconfConnector(), backoff=Backoff(jitter=lambda: 1.0), sleep=device_returns_meanwhile
        )
        session = await reconnector.connect(server.target())
        assert waits == [1, 2, 4]
        await session.close()


async def test_it_gives_up_after_the_attempts_it_was_given():
    heard: list[int] = []

    async def no_wait(_seconds: float) -> None:
        pass

    reconnector = Reconnector(NetconfConnector(), sleep=no_wait, on_failure=lambda failures, *_: heard.append(failures))
    async with CannedServer() as server:
        with pytest.raises(ConnectionFailedError):
            await reconnector.connect(server.target(port=kept_port()), attempts=3)
    assert heard == [1, 2]


async def test_wrong_credentials_are_not_tried_again():
    async with CannedServer() as server:
        target = server.target(username="nobody")
        with pytest.raises(AuthenticationFailedError):
            await Reconnector(NetconfConnector()).connect(target)
