"""The HTTPS server against callers that are slow on purpose: real sockets, real TLS."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from controller.adapters.tls import server_certificate
from controller.northbound import serve
from controller.northbound.serve import HttpServer, bind
from controller.settings import Listen
from tests.patience import PATIENCE_SECONDS

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HEAD_SECONDS = 1.0
REQUEST = b"GET / HTTP/1.1\r\nHost: accord\r\n\r\n"


async def slow_application(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Takes longer to answer than a head may take to come."""
    await asyncio.sleep(HEAD_SECONDS + 0.5)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    monkeypatch.setattr(serve._Connection, "head_seconds", HEAD_SECONDS)
    certificate = server_certificate(Listen(), tmp_path, time.time())
    server = HttpServer(slow_application, bind("127.0.0.1", 0), certificate.context())
    await server.start()
    yield server.port, ssl.create_default_context(cafile=certificate.certificate)
    await server.stop(1.0)


async def connect(where: tuple[int, ssl.SSLContext]) -> Streams:
    return await asyncio.open_connection("127.0.0.1", where[0], ssl=where[1], server_hostname="127.0.0.1")


async def ended(reader: asyncio.StreamReader) -> bool:
    """Whether the server ended the connection, without an answer."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await reader.read() == b""
    except (ConnectionError, ssl.SSLError):
        return True


@pytest.mark.parametrize("beginning", [b"", b"G", b"GET / HTTP/1.1\r\nHost: accord\r\nX-Slow: "])
async def test_a_head_that_does_not_come_ends_the_connection(
    trusted: tuple[int, ssl.SSLContext], beginning: bytes
) -> None:
    reader, writer = await connect(trusted)
    writer.write(beginning)
    assert await ended(reader)
    writer.close()


async def test_a_head_that_trickles_in_ends_the_connection_too(trusted: tuple[int, ssl.SSLContext]) -> None:
    reader, writer = await connect(trusted)
    end = asyncio.create_task(ended(reader))
    for byte in REQUEST * 10:
        if end.done():
            break
        writer.write(bytes([byte]))
        await asyncio.wait({end}, timeout=0.1)
    assert await end
    writer.close()


async def test_an_answer_may_take_longer_and_the_next_head_is_waited_for_again(
    trusted: tuple[int, ssl.SSLContext],
) -> None:
    reader, writer = await connect(trusted)
    async with asyncio.timeout(PATIENCE_SECONDS):
        for _ in range(2):
            writer.write(REQUEST)
            assert b"200" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"ok"
    writer.write(b"GET /")
    assert await ended(reader)
    writer.close()
