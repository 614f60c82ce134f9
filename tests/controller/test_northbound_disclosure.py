"""The feed tells who does not manage the daemon of bands only: no shadow prices, and not where anything runs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from controller.adapters.settings_loader import load_settings
from controller.bootstrap import Daemon, open_daemon
from controller.events import types
from controller.model.errors import AuthenticationFailedError
from controller.negotiation.market_book import MarketBook
from controller.northbound.auth import Principal, Role, TokenStore
from controller.ports import NewEvent
from tests.controller.market_samples import NOW
from tests.controller.negotiation_plane import Plane
from tests.controller.test_negotiation_plane import negotiated
from tests.controller.test_negotiation_snapshot import live, sold
from tests.controller.test_northbound_doors import bearer, doors_of

ACTOR = "oss-planning"


class Answers(TokenStore):
    """Says who asks, until there is nobody left to name: at the first heartbeat after all was sent, a stream ends."""

    def __init__(self, *whos: Callable[[], Role | None]) -> None:
        super().__init__(())
        self.whos = list(whos)

    def authenticate_header(self, authorization: str, now: float) -> Principal:
        role = self.whos.pop(0)()
        if role is None:
            raise AuthenticationFailedError("gone", tag="access-denied")
        return Principal(role.value, frozenset({role}))


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    (tmp_path / "inventory.yaml").write_text("hosts: {}\n")
    (tmp_path / "accord.yaml").write_text("state_dir: state\ninventory: inventory.yaml\ntokens: tokens.yaml\n")
    opened = await open_daemon(load_settings(tmp_path / "accord.yaml"))
    yield opened
    await opened.stop(1.0)


def moved() -> Any:
    """What a congested market tells of its links."""
    market, data = live(MarketBook()), []
    for tick in range(1, 12):
        market.follow(sold(0.97), NOW + 10.0 * tick)
        data = market.tick(sold(0.97), NOW + 10.0 * tick) or data
    return data[-1]


async def read(daemon: Daemon, tokens: TokenStore, after: int) -> list[Any]:
    doors = doors_of(daemon, tokens)
    doors.feed.heartbeat_seconds = 0.01
    transport = httpx2.ASGITransport(app=doors.app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://a") as client, asyncio.timeout(60.0):
        answer = await client.get(f"/api/v1/events?after={after}", headers=bearer("any"))
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    return [orjson.loads(line) for line in lines]


@pytest.mark.parametrize("role", Role)
async def test_shadow_prices_are_the_operators_to_see_and_bands_everybodys(daemon: Daemon, role: Role) -> None:
    data = moved()
    assert any(state[0] > 0 for axes in data["links"].values() for state in axes)
    after = daemon.log.last_position()
    await daemon.log.append([NewEvent("market/ip", types.MARKET_MOVED, data)], actor=ACTOR)
    (event,) = await read(daemon, Answers(lambda: role, lambda: None), after)
    if role is Role.OPERATOR:
        assert event["data"] == data
        assert "withheld" not in event
        return
    assert event["withheld"] == ["prices", "times", "grades on sale"]
    assert event["data"]["tier"] == data["tier"]
    assert event["data"]["links"].keys() == data["links"].keys()
    told = {band for axes in event["data"]["links"].values() for band in axes.values()}
    assert told <= {"baseline", "modest", "steep", "withdrawn"}
    assert told != {"baseline"}


@pytest.mark.parametrize("role", Role)
async def test_where_an_offer_would_run_is_the_operators_to_see(daemon: Daemon, role: Role) -> None:
    plane = Plane()
    await negotiated(plane)
    (found,) = plane.records("find-offers")
    after = daemon.log.last_position()
    await daemon.log.append([NewEvent(found.stream, found.type, found.data)], actor=ACTOR)
    (event,) = await read(daemon, Answers(lambda: role, lambda: None), after)
    assert found.data["result"]["paths"]
    if role is Role.OPERATOR:
        assert event["data"] == found.data
        return
    assert event["withheld"] == ["paths"]
    links = {str(link) for path in found.data["result"]["paths"].values() for link in path}
    assert not [link for link in links if link in orjson.dumps(event).decode()]
    assert event["data"]["result"]["found"] == found.data["result"]["found"]


async def test_what_is_everybodys_is_whole_for_a_reader_too(daemon: Daemon) -> None:
    data = {"prices": [0.5], "result": {"paths": {"a": ["b"]}}}
    after = daemon.log.last_position()
    await daemon.log.append([NewEvent("daemon", types.DAEMON_STOPPED, data)], actor=ACTOR)
    (event,) = await read(daemon, Answers(lambda: Role.READER, lambda: None), after)
    assert event["data"] == data
    assert "withheld" not in event


async def test_who_is_no_operator_any_more_is_told_bands_from_the_next_heartbeat_on(daemon: Daemon) -> None:
    data, told = moved(), asyncio.Event()
    adding: list[asyncio.Task[Any]] = []

    async def add() -> None:
        await daemon.log.append([NewEvent("market/ip", types.MARKET_MOVED, data)], actor=ACTOR)
        told.set()

    def demoted() -> Role:
        if not adding:
            adding.append(asyncio.ensure_future(add()))
        if not told.is_set():
            tokens.whos.insert(0, demoted)
        return Role.READER

    # Once it is told of, one more round of the stream sends it, and then nobody is known any more.
    tokens = Answers(lambda: Role.OPERATOR, demoted, lambda: Role.READER, lambda: None)
    after = daemon.log.last_position()
    await daemon.log.append([NewEvent("market/ip", types.MARKET_MOVED, data)], actor=ACTOR)
    first, second = await read(daemon, tokens, after)
    assert ("withheld" in first, "withheld" in second) == (False, True)
