"""Devices that boot from startup: what is made permanent is copied there, nothing else is, nobody else is asked."""

import pytest

from controller.model.errors import ConnectionFailedError, DeviceRejectedError, OutcomeUnknownError
from controller.model.identifiers import TransactionId
from tests.drivers.canned import CAPABILITY, EDIT, FULL, CannedServer, connected, error, when
from tests.patience import SHORT_DEADLINE_SECONDS

TXID = TransactionId("tx-1")
WITH_STARTUP = (*FULL, f"{CAPABILITY}startup:1.0")
RUNNING_ONLY = (FULL[0], f"{CAPABILITY}writable-running:1.0", f"{CAPABILITY}startup:1.0", FULL[-1])


async def test_running_is_copied_to_startup_when_a_commit_is_confirmed_not_before():
    async with CannedServer(capabilities=WITH_STARTUP) as server:
        session = await connected(server)
        await session.prepare(EDIT)
        await session.commit_tentative(TXID, 60)
        assert server.operations() == ["edit-config", "commit"]
        await session.confirm(TXID)
        assert server.operations()[2:] == ["commit", "copy-config"]
        text = server.seen[-1].text
        assert text.index(b"<nc:target><nc:startup/>") < text.index(b"<nc:source><nc:running/>")
        await session.close()


@pytest.mark.parametrize(
    "capabilities,operations",
    [
        (WITH_STARTUP, ["discard-changes", "edit-config", "commit", "copy-config"]),
        (RUNNING_ONLY, ["edit-config", "copy-config"]),
        (FULL, ["discard-changes", "edit-config", "commit"]),
    ],
)
async def test_an_applied_change_is_copied_once_where_there_is_a_startup(capabilities, operations):
    async with CannedServer(capabilities=capabilities) as server:
        session = await connected(server)
        assert await session.apply(EDIT) == ()
        assert server.operations() == operations
        await session.close()


async def test_a_refused_commit_copies_nothing():
    async with CannedServer(when("commit", error("operation-failed")), capabilities=WITH_STARTUP) as server:
        session = await connected(server)
        with pytest.raises(DeviceRejectedError):
            await session.confirm(TXID)
        with pytest.raises(DeviceRejectedError):
            await session.commit_now()
        assert server.operations() == ["commit", "commit"]
        await session.close()


@pytest.mark.parametrize("tag", ["resource-denied", "lock-denied", "in-use"])
async def test_a_refused_copy_is_a_warning_for_the_change_is_made(tag):
    async with CannedServer(when("copy-config", error(tag, "no flash")), capabilities=WITH_STARTUP) as server:
        session = await connected(server)
        await session.confirm(TXID)
        for warnings in (await session.commit_now(), await session.apply(EDIT)):
            assert [(cause.tag, cause.severity) for cause in warnings] == [(tag, "warning")]
            assert "not copied to startup: no flash" in warnings[0].message
        await session.close()


async def test_a_copy_without_an_answer_leaves_the_outcome_unknown():
    async with CannedServer(when("copy-config", None), capabilities=WITH_STARTUP) as server:
        session = await connected(server, rpc_timeout_seconds=SHORT_DEADLINE_SECONDS)
        with pytest.raises(OutcomeUnknownError):
            await session.apply(EDIT)
        await session.close()


async def test_a_copy_that_could_not_be_sent_does_not_hide_that_the_change_was():
    async with CannedServer(capabilities=WITH_STARTUP) as server:
        session = await connected(server)
        sent = session._rpc.call

        async def lost_after_commit(request):
            if request.name == "copy-config":
                raise ConnectionFailedError("the connection was lost", device=session.device)
            return await sent(request)

        session._rpc.call = lost_after_commit
        with pytest.raises(OutcomeUnknownError, match="the change was made but not copied to startup"):
            await session.commit_now()
        await session.close()
