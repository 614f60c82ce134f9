"""The port for other parties and the way to them: who asks too much is told so, who answers badly holds nobody up."""

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from controller.adapters.peer_https import PeersOverHttps
from controller.adapters.status_lists import StatusLists
from controller.adapters.tls import server_certificate
from controller.adapters.trust_file import TrustFile
from controller.model.errors import ConnectionFailedError, InvalidInputError
from controller.negotiation.messages import MOST_OCTETS, MessageCheck, MessageRefusedError
from controller.negotiation.trust import Trust
from controller.northbound.door import Limits
from controller.northbound.peers import CHECK, MESSAGES, peer_app
from controller.settings import Listen
from tests.controller.negotiation_plane import Plane
from tests.controller.negotiation_samples import CONSUMER, NETWORK, PROVIDER
from tests.controller.test_negotiation_plane import negotiated

pytestmark = pytest.mark.usefixtures("logged")


# -- the port ----------------------------------------------------------------------------------------------------------


def knocking(plane: Plane, limits: Limits | None = None) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(peer_app(lambda: plane.negotiations, limits))
    return httpx2.AsyncClient(transport=transport, base_url="https://operator.example")


async def test_a_message_that_was_taken_is_acknowledged_once_and_again() -> None:
    plane = Plane()
    await negotiated(plane)
    said = [one for event in plane.records() for one in event.data.get("says", ())]
    length = len(plane.records())
    async with knocking(plane) as client:
        for party, token in said:
            answer = await client.post(MESSAGES, content=token, headers={"X-Party": party})
            assert answer.status_code == 202
    assert len(plane.records()) == length


@pytest.mark.parametrize("octets", [MOST_OCTETS + 1, 10_000_000])
async def test_a_message_of_any_size_is_refused_by_its_size_and_leaves_a_record(octets: int) -> None:
    plane = Plane()
    async with knocking(plane) as client:
        answer = await client.post(MESSAGES, content=b"x" * octets, headers={"X-Party": PROVIDER})
    assert (answer.status_code, answer.json()["check"], answer.headers[CHECK]) == (422, "size", "size")
    (record,) = plane.records("turn-away")
    assert record.data["arguments"]["check"] == "size"


async def test_octets_that_are_no_text_are_refused() -> None:
    plane = Plane()
    async with knocking(plane) as client:
        answer = await client.post(MESSAGES, content=b"\xff\xfe\x00", headers={"X-Party": NETWORK})
    assert (answer.status_code, answer.json()["check"]) == (422, "header")


async def test_what_is_for_nobody_here_is_turned_away(logged: list[Any]) -> None:
    plane = Plane()
    async with knocking(plane) as client:
        answer = await client.post(MESSAGES, content=b"x", headers={"X-Party": "did:web:nobody.example"})
    assert (answer.status_code, answer.json()["check"]) == (422, "recipient")
    assert any(line["event"] == "message_for_nobody" for line in logged)


async def test_an_address_that_asks_too_often_is_told_to_wait_and_nothing_is_read_or_recorded() -> None:
    plane = Plane()
    async with knocking(plane, Limits(requests_per_second=2.0)) as client:
        answers = [await client.post(MESSAGES, content=b"x", headers={"X-Party": PROVIDER}) for _ in range(30)]
    busy = [answer for answer in answers if answer.status_code == 429]
    assert busy
    assert len(plane.records("turn-away")) < 30


# -- the way there -----------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """Answers as it is told to, over TLS; `held` is waited for by those that hang."""

    answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: handler.send_error(500)
    held: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    port: int = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, server: Server, *arguments: Any) -> None:
        self.told = server
        super().__init__(*arguments)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_GET(self) -> None:
        self.told.asked.append(self.path)
        self.close_connection = True
        self.told.answer(self)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Server, Any]]:
    """The server, and its certificate, which is everybody's here."""
    made = server_certificate(Listen(), tmp_path, time.time())
    told = Server()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, told))
    server.daemon_threads = True
    server.socket = made.context().wrap_socket(server.socket, server_side=True)
    told.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield told, made
    told.held.set()
    server.shutdown()
    server.server_close()


def way(told: Server, made: Any, **parts: Any) -> PeersOverHttps:
    url = f"https://127.0.0.1:{told.port}"
    return PeersOverHttps({PROVIDER: url, CONSUMER: url}, made.certificate, made.key, made.certificate, **parts)


def status(code: int, body: bytes = b"") -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("Location", "/elsewhere")
        handler.end_headers()
        handler.wfile.write(body)

    return answer


async def test_a_message_goes_straight_there_whatever_proxy_the_environment_names(
    served: tuple[Server, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, made = served
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    told.answer = status(202)
    await way(told, made).deliver(PROVIDER, "token")
    assert told.asked == [MESSAGES]


@pytest.mark.parametrize("code", [302, 429, 500, 503])
async def test_what_is_neither_taken_nor_turned_away_is_tried_again_later(
    served: tuple[Server, Any], code: int
) -> None:
    told, made = served
    told.answer = status(code)
    with pytest.raises(ConnectionFailedError, match=str(code)):
        await way(told, made).deliver(PROVIDER, "token")
    assert len(told.asked) == 1


async def test_which_check_turned_a_message_away_arrives_with_whoever_said_it(served: tuple[Server, Any]) -> None:
    told, made = served

    def refuse(handler: BaseHTTPRequestHandler, check: str) -> None:
        handler.send_response(422)
        handler.send_header(CHECK, check)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    told.answer = partial(refuse, check="turn")
    with pytest.raises(MessageRefusedError) as caught:
        await way(told, made).deliver(PROVIDER, "token")
    assert caught.value.check is MessageCheck.TURN
    told.answer = partial(refuse, check="no such check")
    with pytest.raises(InvalidInputError) as other:
        await way(told, made).deliver(PROVIDER, "token")
    assert not isinstance(other.value, MessageRefusedError)


async def test_of_a_refusal_no_more_is_read_than_is_told(served: tuple[Server, Any]) -> None:
    told, made = served

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(422)
        handler.send_header("Content-Length", str(10**12))
        handler.end_headers()
        try:
            while not told.held.is_set():
                handler.wfile.write(b"\x1b[31m no" * 1_000)
        except (OSError, ssl.SSLError):
            told.held.set()

    told.answer = endless
    with pytest.raises(InvalidInputError) as caught:
        await way(told, made).deliver(PROVIDER, "token")
    assert len(caught.value.message) < 2_000
    assert "\x1b" not in caught.value.message
    async with asyncio.timeout(60):
        await asyncio.to_thread(told.held.wait, 60)
    assert told.held.is_set()


async def test_a_party_that_does_not_answer_keeps_no_other_waiting(served: tuple[Server, Any]) -> None:
    told, made = served
    told.answer = lambda _: told.held.wait(60) and None
    peers = way(told, made, longest_seconds=0.2)
    answers = await asyncio.gather(*(peers.deliver(PROVIDER, "token") for _ in range(40)), return_exceptions=True)
    assert {type(one) for one in answers} == {ConnectionFailedError}
    # Only so many are on their way to it at once, and the other party's go on.
    assert len(told.asked) <= 4
    told.answer = status(202)
    await way(told, made, longest_seconds=60.0).deliver(CONSUMER, "token")
    patient = way(told, made, longest_seconds=60.0)
    patient._lanes.update(peers._lanes)
    await patient.deliver(CONSUMER, "token")
    told.held.set()
    await patient.deliver(PROVIDER, "token")


# -- status lists ------------------------------------------------------------------------------------------------------


class Clock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


def lists(told: Server, made: Any, **parts: Any) -> tuple[str, StatusLists]:
    address = f"https://127.0.0.1:{told.port}/list"
    registry = TrustFile(Trust({}, {}, {address: CONSUMER}), {address: None})
    return address, StatusLists(registry, Clock(), ca=made.certificate, **parts)


def test_a_list_that_never_comes_is_waited_for_so_long_and_asked_for_once(served: tuple[Server, Any]) -> None:
    told, made = served

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not told.held.wait(0.05):
            handler.wfile.write(b"x")

    told.answer = drip
    address, kept = lists(told, made, longest_seconds=0.5)
    for _ in range(2):
        assert "did not come within" in kept.refresh()[address]
    assert len(told.asked) <= 1


def test_a_list_is_fetched_past_the_proxy_of_the_environment(
    served: tuple[Server, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, made = served
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    told.answer = status(200, b"no list")
    address, kept = lists(told, made)
    assert "cannot be fetched" not in kept.refresh()[address]
    assert told.asked == ["/list"]
