"""Channel data takes a short way through asyncssh: whatever the wire does to it, sessions behave as on the long one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncssh
import pytest

from controller.model.errors import OutcomeUnknownError
from drivers.netconf import short_way
from drivers.netconf.session import NetconfSession
from tests.drivers.canned import DATA, CannedServer, connected, sane, when
from tests.patience import PATIENCE_SECONDS

FILTERS = ('<top xmlns="urn:example:things"/>',)
LARGE = DATA.replace("canned", "x" * 100_000)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where each packet that was looked at ended; 0 for those that went the long way."""
    ends: list[int] = []
    take = short_way._take

    def note(*arguments: Any) -> int:
        ends.append(take(*arguments))
        return ends[-1]

    monkeypatch.setattr(short_way, "_take", note)
    return ends


@contextlib.asynccontextmanager
async def through(server: CannedServer, change: Callable[[bytes], list[bytes]]) -> AsyncIterator[int]:
    """A port that leads to the server; what comes back from it is sent on in the pieces that `change` makes of it."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: Callable[[bytes], list[bytes]]):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                for piece in cut(data):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pump(reader, forth, lambda data: [data]), pump(back, writer, change))

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


async def ask(session: NetconfSession, times: int) -> None:
    for _ in range(times):
        assert b"canned" in (await session.read(FILTERS)).body


async def test_replies_that_arrive_whole_take_the_short_way(taken: list[int]):
    async with CannedServer() as server:
        session = await connected(server)
        taken.clear()
        await ask(session, 20)
        assert sum(end > 0 for end in taken) >= 20
        await session.close()


async def test_several_packets_that_arrive_together_are_taken_one_behind_the_other(monkeypatch: pytest.MonkeyPatch):
    """With the last one in two pieces, of which the second goes the long way."""
    starts: list[tuple[int, int]] = []
    take = short_way._take

    def note(*arguments: Any) -> int:
        end = take(*arguments)
        starts.append((arguments[3], end))
        return end

    monkeypatch.setattr(short_way, "_take", note)
    held, is_gathering = bytearray(), False

    def gather(data: bytes) -> list[bytes]:
        """The large reply is passed on in two pieces, of which neither ends with a packet."""
        nonlocal is_gathering
        held.extend(data)
        if is_gathering and len(held) < len(LARGE):
            return []
        pieces = [bytes(held[:70_000]), bytes(held[70_000:])] if is_gathering else [bytes(held)]
        is_gathering = False
        held.clear()
        return pieces

    async with CannedServer(when("get", LARGE)) as server, through(server, gather) as port:
        session = await connected(server, port=port)
        is_gathering = True
        assert (await session.read_state()).body.count(b"x") > 100_000 - 1
        await ask(session, 5)
        await session.close()
    assert any(start > 0 and end > 0 for start, end in starts)
    assert any(start > 0 and end == 0 for start, end in starts)


async def test_replies_in_pieces_read_the_same():
    async with (
        CannedServer(when("get", LARGE)) as server,
        through(server, lambda data: [data[at : at + 97] for at in range(0, len(data), 97)]) as port,
    ):
        session = await connected(server, port=port)
        await ask(session, 20)
        assert (await session.read_state()).body.count(b"x") > 100_000 - 1
        await ask(session, 20)
        await session.close()


async def test_a_reply_that_was_tampered_with_ends_the_session():
    tampers = False

    def change(data: bytes) -> list[bytes]:
        return [data[:-1] + bytes((data[-1] ^ 1,))] if tampers else [data]

    async with CannedServer() as server, through(server, change) as port:
        session = await connected(server, port=port)
        await ask(session, 3)
        tampers = True
        with pytest.raises(OutcomeUnknownError, match="MAC"):
            await session.read(FILTERS)


@pytest.mark.parametrize("side", ["ours", "theirs"])
async def test_a_session_goes_on_while_keys_are_exchanged_anew(side: str, taken: list[int]):
    async with CannedServer() as server:
        session = await connected(server)
        connection: Any = session._transport._connection if side == "ours" else server.connections[0]
        ours: Any = session._transport._connection
        before = ours._recv_encryption
        connection._rekey_bytes = 2_000
        async with asyncio.timeout(PATIENCE_SECONDS):
            while ours._recv_encryption is before:
                await ask(session, 1)
        connection._rekey_bytes = 1 << 30
        await ask(session, 20)
        assert taken[-1] > 0
        await session.close()


async def test_another_cipher_than_gcm_goes_the_long_way(monkeypatch: pytest.MonkeyPatch, taken: list[int]):
    monkeypatch.setattr("drivers.netconf.connector._CIPHERS", "chacha20-poly1305@openssh.com")
    async with CannedServer(sane) as server:
        session = await connected(server)
        await ask(session, 20)
        assert not any(taken)
        await session.close()


async def test_another_asyncssh_than_the_one_that_is_known_goes_its_own_way(
    monkeypatch: pytest.MonkeyPatch, taken: list[int]
):
    monkeypatch.setattr(asyncssh, "__version__", "2.25.0")
    async with CannedServer() as server:
        session = await connected(server)
        await ask(session, 3)
        await session.close()
    assert not taken


def test_the_version_that_is_installed_is_the_one_that_is_known():
    assert asyncssh.__version__.startswith(short_way._KNOWN)
