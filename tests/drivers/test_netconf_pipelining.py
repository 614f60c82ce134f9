"""RPCs that are known to follow one another go out together (RFC 6241 section 4.5); nothing is answered differently."""

import asyncio

import pytest

from controller.model.errors import ConnectionFailedError, DeviceRejectedError, OutcomeUnknownError
from controller.model.identifiers import TransactionId
from tests.drivers.canned import CAPABILITY, DATA, EDIT, FULL, Answer, CannedServer, Rpc, connected, error, sane, when
from tests.patience import PATIENCE_SECONDS, SHORT_DEADLINE_SECONDS

TXID = TransactionId("tx-1")
WITH_STARTUP = (*FULL, f"{CAPABILITY}startup:1.0")
FILTERS = ('<top xmlns="urn:example:things"/>',)


async def seen(server: CannedServer, count: int) -> list[str]:
    """Wait until the device has got so many requests."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(server.seen) < count:  # noqa: ASYNC110 - the device has no event to wait for
            await asyncio.sleep(0.01)
    return server.operations()


async def session_turns() -> None:
    """Let what has arrived be dealt with: the answer before the one that was swallowed was sent first."""
    for _ in range(50):
        await asyncio.sleep(0.001)


async def test_a_foreseen_reading_is_sent_with_the_commit_and_answered_when_it_is_asked_for():
    async with CannedServer() as server:
        session = await connected(server)
        session.foresee(read=FILTERS)
        await session.commit_tentative(TXID, 60)
        assert await seen(server, 2) == ["commit", "get-config"]
        assert b"canned" in (await session.read(FILTERS)).body
        assert server.operations() == ["commit", "get-config"]
        await session.read(FILTERS)
        assert server.operations() == ["commit", "get-config", "get-config"]
        await session.close()


async def test_a_foreseen_validation_is_sent_with_the_edit():
    async with CannedServer() as server:
        session = await connected(server)
        session.foresee(validate=True)
        await session.prepare(EDIT)
        assert await seen(server, 2) == ["edit-config", "validate"]
        await session.validate()
        assert server.operations() == ["edit-config", "validate"]
        await session.close()


async def test_an_answer_is_told_when_the_one_sent_behind_it_never_comes():
    async with CannedServer(when("get-config", None)) as server:
        session = await connected(server, rpc_timeout_seconds=SHORT_DEADLINE_SECONDS)
        session.foresee(read=FILTERS)
        await session.commit_tentative(TXID, 60)
        with pytest.raises(OutcomeUnknownError, match="no answer"):
            await session.read(FILTERS)
        await session.close()


async def test_an_answer_is_told_when_the_connection_goes_before_the_one_sent_behind_it():
    async with CannedServer(when("get-config", None)) as server:
        session = await connected(server)
        session.foresee(read=FILTERS)
        committing = asyncio.create_task(session.commit_tentative(TXID, 60))
        await server.swallowed.wait()
        await session_turns()
        assert not committing.done()
        server.disconnect()
        await committing
        with pytest.raises(ConnectionFailedError):
            await session.read(FILTERS)
        await session.close()


async def test_a_refused_edit_is_told_before_the_validation_behind_it():
    def answer(rpc: Rpc) -> Answer:
        if rpc.operation == "validate":
            return None
        return error("data-exists", "no room") if rpc.operation == "edit-config" else sane(rpc)

    async with CannedServer(answer) as server:
        session = await connected(server, rpc_timeout_seconds=2 * PATIENCE_SECONDS)
        session.foresee(validate=True)
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(DeviceRejectedError, match="no room"):
                await session.prepare(EDIT)
        await session.release()
        assert (await session.read()).body
        assert session._transport.pending == 0
        await session.close()


async def test_another_reading_than_the_foreseen_one_is_asked_anew():
    def answer(rpc: Rpc) -> Answer:
        return (
            DATA.replace("canned", "whole")
            if rpc.operation == "get-config" and b"filter" not in rpc.text
            else sane(rpc)
        )

    async with CannedServer(answer) as server:
        session = await connected(server)
        session.foresee(read=FILTERS)
        await session.lock()
        assert b"whole" in (await session.read()).body
        assert server.operations() == ["lock", "lock", "discard-changes", "get-config", "get-config"]
        assert session._transport.pending == 0
        await session.close()


async def test_what_an_earlier_reading_found_is_never_taken_for_a_later_one():
    async with CannedServer() as server:
        session = await connected(server)
        session.foresee(read=FILTERS)
        await session.commit_tentative(TXID, 60)
        await session.cancel(TXID)
        await session.read(FILTERS)
        assert server.operations() == ["commit", "get-config", "cancel-commit", "get-config"]
        await session.close()


async def test_running_is_copied_to_startup_only_after_the_commit_was_answered():
    async with CannedServer(when("commit", error("operation-failed")), capabilities=WITH_STARTUP) as server:
        session = await connected(server)
        session.foresee(read=FILTERS)
        with pytest.raises(DeviceRejectedError):
            await session.confirm(TXID)
        await session.release()
        assert "copy-config" not in server.operations()
        await session.close()


async def test_a_foreseen_reading_whose_answer_was_lost_is_put_once_more():
    lost: list[Rpc] = []

    def answer(rpc: Rpc) -> Answer:
        if rpc.operation == "get-config" and not lost:
            lost.append(rpc)
            return None
        return sane(rpc)

    async with CannedServer(answer) as server:
        session = await connected(server, rpc_timeout_seconds=SHORT_DEADLINE_SECONDS)
        session.foresee(read=FILTERS)
        await session.commit_tentative(TXID, 60)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while session._transport.pending:  # noqa: ASYNC110 - its deadline passes
                await asyncio.sleep(0.01)
        assert b"canned" in (await session.read(FILTERS)).body
        await session.close()


async def test_both_locks_are_given_back_together():
    async with CannedServer(when("unlock", None)) as server:
        session = await connected(server, rpc_timeout_seconds=SHORT_DEADLINE_SECONDS)
        await session.lock()
        giving_back = asyncio.create_task(session.release())
        assert (await seen(server, 5))[3:] == ["unlock", "unlock"]
        await giving_back
        await session.close()


async def test_the_quirk_no_pipelining_waits_for_each_answer():
    async with CannedServer() as server:
        session = await connected(server, quirks=frozenset({"no-pipelining"}))
        session.foresee(read=FILTERS)
        await session.commit_tentative(TXID, 60)
        await session.read_state()
        assert server.operations() == ["commit", "get"]
        await session.close()
