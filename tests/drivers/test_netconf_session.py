"""Deadlines, the end of a session, locks, and what each step of a transaction sends."""

import asyncio

import pytest

from controller.model.errors import (
    ConnectionFailedError,
    DeviceRejectedError,
    InvalidInputError,
    LockedError,
    NotSupportedError,
    OutcomeUnknownError,
)
from controller.model.identifiers import TransactionId
from controller.ports import ParticipantClass
from tests.drivers.canned import (
    BASE_10_ONLY,
    CAPABILITY,
    EDIT,
    FULL,
    Answer,
    CannedServer,
    Rpc,
    connected,
    error,
    sane,
    when,
)
from tests.patience import PATIENCE_SECONDS, SHORT_DEADLINE_SECONDS

TXID = TransactionId("tx-1")


# -- deadlines, cancellation, closing ----------------------------------------------------------------------------------


async def test_a_late_reply_is_harmless_and_nothing_is_left_over():
    late: list[Rpc] = []

    def answer(rpc: Rpc) -> Answer:
        if rpc.operation == "get":
            late.append(rpc)
            return None
        return sane(rpc)

    async with CannedServer(answer) as server:
        session = await connected(server, rpc_timeout_seconds=SHORT_DEADLINE_SECONDS)
        with pytest.raises(OutcomeUnknownError, match=r"no answer within 1\.5 seconds"):
            await session.read_state()
        late[0].session.send(late[0].reply("<data><late/></data>"))
        assert b"late" not in (await session.read()).body
        assert session._transport.pending == 0
        await session.close()


async def test_a_cancelled_call_leaves_nothing_and_the_session_goes_on():
    async with CannedServer(when("get", None)) as server:
        session = await connected(server)
        call = asyncio.create_task(session.read_state())
        await asyncio.wait_for(server.swallowed.wait(), PATIENCE_SECONDS)
        call.cancel()
        await asyncio.wait([call])
        assert session._transport.pending == 0
        assert (await session.read()).body
        await session.close()


async def test_a_lost_connection_fails_every_pending_call_at_once():
    async with CannedServer(when("get", None)) as server:
        session = await connected(server, rpc_timeout_seconds=2 * PATIENCE_SECONDS)
        calls = [asyncio.create_task(session.read_state()) for _ in range(5)]
        await asyncio.wait_for(server.swallowed.wait(), PATIENCE_SECONDS)
        server.disconnect()
        async with asyncio.timeout(PATIENCE_SECONDS):
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [OutcomeUnknownError] * 5


async def test_the_device_closing_only_the_channel_ends_the_session_too():
    def answer(rpc: Rpc) -> Answer:
        rpc.session.channel.close()
        return None

    async with CannedServer(answer) as server:
        session = await connected(server, rpc_timeout_seconds=2 * PATIENCE_SECONDS)
        with pytest.raises(OutcomeUnknownError):
            await asyncio.wait_for(session.apply(EDIT), PATIENCE_SECONDS)


async def test_close_is_polite():
    async with CannedServer() as server:
        session = await connected(server)
        await session.close()
        assert server.operations() == ["close-session"]


async def test_close_does_not_wait_for_a_device_that_does_not_answer():
    async with CannedServer(when("close-session", None)) as server:
        session = await connected(server)
        await asyncio.wait_for(session.close(), PATIENCE_SECONDS)


async def test_keepalives_find_out_that_the_device_is_gone():
    async with CannedServer(when("get", None)) as server:
        silenced: list[asyncio.Transport] = []

        async def forward(reader, writer):
            there, back = await asyncio.open_connection("127.0.0.1", server.port)
            silenced.extend([reader._transport, there._transport])
            await asyncio.gather(_pump(reader, back), _pump(there, writer), return_exceptions=True)

        proxy = await asyncio.start_server(forward, "127.0.0.1", 0)
        session = await connected(
            server,
            port=proxy.sockets[0].getsockname()[1],
            keepalive_seconds=0.4,
            rpc_timeout_seconds=2 * PATIENCE_SECONDS,
        )
        call = asyncio.create_task(session.read_state())
        await asyncio.wait_for(server.swallowed.wait(), PATIENCE_SECONDS)
        for transport in silenced:
            transport.pause_reading()  # the wire is cut, without a word
        with pytest.raises(OutcomeUnknownError):
            await asyncio.wait_for(call, PATIENCE_SECONDS)
        for transport in silenced:
            transport.abort()
        proxy.close()


async def _pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)


# -- locks -------------------------------------------------------------------------------------------------------------

HELD = error("lock-denied", "taken", more="<error-info><session-id>42</session-id></error-info>")


async def test_lock_takes_running_then_candidate_then_discards():
    async with CannedServer() as server:
        session = await connected(server)
        await session.lock()
        await session.release()
        assert [b"<nc:running/>" in rpc.text for rpc in server.seen] == [True, False, False, False, True]
        assert server.operations() == ["lock", "lock", "discard-changes", "unlock", "unlock"]
        await session.close()


async def test_a_denied_candidate_lock_names_the_holder_and_gives_running_back():
    def answer(rpc: Rpc) -> Answer:
        return HELD if rpc.operation == "lock" and b"candidate" in rpc.text else sane(rpc)

    async with CannedServer(answer) as server:
        session = await connected(server)
        with pytest.raises(LockedError) as refusal:
            await session.lock()
        assert refusal.value.app_tag == "42"
        assert server.operations() == ["lock", "lock", "unlock"]
        await session.close()


async def test_a_dirty_candidate_is_discarded_and_locked():
    refusals = [error("lock-denied", "dirty", more="<error-info><session-id>0</session-id></error-info>")]

    def answer(rpc: Rpc) -> Answer:
        return refusals.pop() if rpc.operation == "lock" and b"candidate" in rpc.text and refusals else sane(rpc)

    async with CannedServer(answer) as server:
        session = await connected(server)
        await session.lock()
        assert server.operations() == ["lock", "lock", "discard-changes", "lock", "discard-changes"]
        await session.close()


async def test_the_quirk_no_lock_only_discards():
    async with CannedServer() as server:
        session = await connected(server, quirks=frozenset({"no-lock"}))
        await session.lock()
        await session.release()
        assert server.operations() == ["discard-changes"]
        await session.close()


async def test_a_lock_whose_answer_is_lost_is_released():
    def answer(rpc: Rpc) -> Answer:
        return None if rpc.operation == "lock" and b"candidate" in rpc.text else sane(rpc)

    async with CannedServer(answer) as server:
        session = await connected(server, rpc_timeout_seconds=SHORT_DEADLINE_SECONDS)
        with pytest.raises(OutcomeUnknownError):
            await session.lock()
        assert server.operations() == ["lock", "lock", "unlock", "unlock"]
        await session.close()


async def test_a_release_that_gets_no_answer_cuts_the_session_so_that_no_lock_stays():
    async with CannedServer(when("unlock", None)) as server:
        session = await connected(server, rpc_timeout_seconds=SHORT_DEADLINE_SECONDS)
        await session.lock()
        await session.release()
        with pytest.raises(ConnectionFailedError):
            await session.read()


# -- what each step sends ----------------------------------------------------------------------------------------------


async def test_edits_roll_back_on_error_only_where_that_is_offered():
    async with CannedServer() as offering, CannedServer(capabilities=[FULL[0], f"{CAPABILITY}candidate:1.0"]) as plain:
        for server, offered in ((offering, True), (plain, False)):
            session = await connected(server)
            await session.prepare(EDIT)
            assert (b"rollback-on-error" in server.seen[-1].text) is offered
            assert EDIT in server.seen[-1].text
            await session.close()


async def test_a_running_only_device_is_edited_with_rollback_and_test():
    capabilities = [
        FULL[0],
        *(f"{CAPABILITY}{name}" for name in ("writable-running:1.0", "rollback-on-error:1.0", "validate:1.1")),
    ]
    async with CannedServer(capabilities=capabilities) as server:
        session = await connected(server)
        assert session.capabilities.participant is ParticipantClass.IMMEDIATE
        await session.apply(b'<?xml version="1.0"?>\n' + EDIT)
        text = server.seen[-1].text
        assert b"<nc:running/>" in text
        assert b"rollback-on-error" in text
        assert b"test-then-set" in text
        assert text.count(b"<?xml") == 1
        await session.close()


async def test_apply_on_a_candidate_device_discards_edits_and_commits():
    async with CannedServer() as server:
        session = await connected(server)
        await session.apply(EDIT)
        assert server.operations() == ["discard-changes", "edit-config", "commit"]
        await session.close()


async def test_a_refused_apply_leaves_a_clean_candidate():
    async with CannedServer(when("commit", error("operation-failed"))) as server:
        session = await connected(server)
        with pytest.raises(DeviceRejectedError):
            await session.apply(EDIT)
        assert server.operations()[-1] == "discard-changes"
        await session.close()


async def test_the_quirk_no_validate_sends_no_validate():
    async with CannedServer() as server:
        session = await connected(server, quirks=frozenset({"no-validate"}))
        assert await session.validate() == ()
        assert server.operations() == []
        await session.close()


async def test_persist_and_timeout_travel_with_the_confirmed_commit():
    async with CannedServer() as server:
        session = await connected(server)
        await session.commit_tentative(TXID, 90.4)
        assert b"<nc:confirm-timeout>90</nc:confirm-timeout><nc:persist>tx-1</nc:persist>" in server.seen[-1].text
        await session.confirm(TXID)
        assert b"<nc:persist-id>tx-1</nc:persist-id>" in server.seen[-1].text
        await session.cancel(TXID)
        assert server.operations()[-1] == "cancel-commit"
        await session.close()


async def test_a_persist_token_with_markup_is_escaped():
    async with CannedServer() as server:
        session = await connected(server)
        await session.commit_tentative(TransactionId("<&>"), 60)
        assert b"<nc:persist>&lt;&amp;&gt;</nc:persist>" in server.seen[-1].text
        await session.close()


async def test_cancel_raises_when_the_device_can_not_cancel():
    async with CannedServer(when("cancel-commit", error("access-denied"))) as server:
        session = await connected(server)
        with pytest.raises(DeviceRejectedError):
            await session.cancel(TXID)
        await session.close()


async def test_an_edit_that_would_end_the_message_early_is_refused_here():
    async with CannedServer(capabilities=BASE_10_ONLY) as server:
        session = await connected(server)
        with pytest.raises(InvalidInputError):
            await session.prepare(EDIT.replace(b"/>", b"><!-- ]]>]]> --></top>"))
        assert server.operations() == []
        await session.close()


async def test_an_entity_tag_is_refused_rather_than_ignored():
    async with CannedServer() as server:
        session = await connected(server)
        with pytest.raises(NotSupportedError):
            await session.apply(EDIT, entity_tag='"7"')
        assert server.operations() == []
        await session.close()


async def test_filters_are_sent_as_one_subtree_filter():
    async with CannedServer() as server:
        session = await connected(server)
        await session.read(['<a xmlns="urn:a"/>', '<b xmlns="urn:b"/>'])
        assert b'<nc:filter type="subtree"><a xmlns="urn:a"/><b xmlns="urn:b"/></nc:filter>' in server.seen[-1].text
        await session.close()
