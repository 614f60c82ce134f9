"""Owns the one contract every driver keeps (`controller.ports.DeviceSession`), as tests that each driver inherits.

A driver's test module subclasses `DriverContract` and gives a fixture `rig` (async, function-scoped) returning a `Rig`
for a fresh device. What a device cannot do is said in the rig; the tests that need it then skip, with the reason.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from controller.model.errors import (
    AuthenticationFailedError,
    ConnectionFailedError,
    DeviceRejectedError,
    LockedError,
    OutcomeUnknownError,
)
from controller.model.identifiers import TransactionId
from controller.ports import DeviceConnector, DeviceSession, DeviceTarget, ParticipantClass, Secret
from tests.patience import PATIENCE_SECONDS, SHORT_DEADLINE_SECONDS
from tests.ports import kept_port

TXID = TransactionId("tx-contract-1")
OTHER_TXID = TransactionId("tx-contract-2")


class Device(ABC):
    """How the contract writes and recognises one free-text value on the device under test."""

    @abstractmethod
    def edit(self, value: str) -> bytes:
        """Return an edit that sets the one value; any text without markup must do."""

    @abstractmethod
    def bad_edit(self) -> bytes:
        """Return a well-formed edit that this device refuses at `prepare` or `apply`."""

    @abstractmethod
    def filters(self) -> Sequence[str]:
        """Return filters that select the value and not everything."""

    async def disconnect(self) -> None:
        """Drop every connection as a crash would."""
        pytest.skip("this device can't be made to drop its connections")

    async def hang(self) -> asyncio.Event:
        """Let the device swallow the next request without an answer; the event is set when it has."""
        pytest.skip("this device can't be made to hang")

    async def reboot(self) -> None:
        """Restart the device; return when it listens again."""
        pytest.skip("this device can't be rebooted")

    async def notify(self) -> bytes:
        """Make the device emit a notification; return a piece of text it holds."""
        pytest.skip("this device emits no notifications on demand")


@dataclass
class Rig:
    """A device, the way to it, and what to expect there."""

    connector: DeviceConnector
    target: DeviceTarget
    participant: ParticipantClass
    device: Device
    has_locks: bool = True
    other_host_key: str = ""
    """A valid key that is not the device's; empty skips the test (no SSH)."""

    async def connect(self, **changes: object) -> DeviceSession:
        return await self.connector.connect(replace(self.target, **changes))  # type: ignore[arg-type]  # test shorthand

    @asynccontextmanager
    async def session(self, **changes: object) -> AsyncIterator[DeviceSession]:
        session = await self.connect(**changes)
        try:
            yield session
        finally:
            await session.close()

    async def shows(self, value: str) -> bool:
        """Whether a new session reads `value` back."""
        async with self.session() as session:
            return value.encode() in (await session.read(self.device.filters())).body

    async def eventually_shows(self, value: str, *, seconds: float = PATIENCE_SECONDS) -> bool:
        """Wait until `value` is read back, at most `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while not await self.shows(value):  # noqa: ASYNC110 - the device has no event to wait for
                    await asyncio.sleep(0.05)
        except TimeoutError:
            return False
        return True

    def needs(self, *classes: ParticipantClass) -> None:
        if self.participant not in classes:
            pytest.skip(f"a device of class {self.participant} has no such step")

    async def put(self, session: DeviceSession, value: str) -> None:
        """Write `value` for good, the short way."""
        await session.apply(self.device.edit(value))


TWO_PHASE = (ParticipantClass.PERSISTENT, ParticipantClass.SESSION_BOUND)
WITH_CANDIDATE = (*TWO_PHASE, ParticipantClass.CANDIDATE)


class DriverContract:
    """What every driver does."""

    # -- connecting ----------------------------------------------------------------------------------------------------

    async def test_connect_finds_out_what_the_device_can_do(self, rig: Rig) -> None:
        async with rig.session() as session:
            assert session.device == rig.target.name
            assert session.capabilities.participant is rig.participant
            assert session.capabilities.transport is rig.target.transport

    async def test_wrong_password_is_an_authentication_failure_that_does_not_tell_the_password(self, rig: Rig) -> None:
        with pytest.raises(AuthenticationFailedError) as failure:
            await rig.connect(password=Secret("not-the-secret"), private_key=None)
        assert "not-the-secret" not in str(failure.value)
        assert failure.value.device == rig.target.name

    async def test_an_unexpected_host_key_is_an_authentication_failure(self, rig: Rig) -> None:
        if not rig.other_host_key:
            pytest.skip("no SSH host key on this transport")
        with pytest.raises(AuthenticationFailedError):
            await rig.connect(host_key=rig.other_host_key)

    async def test_an_unknown_host_key_is_an_authentication_failure(self, rig: Rig) -> None:
        if not rig.other_host_key:
            pytest.skip("no SSH host key on this transport")
        with pytest.raises(AuthenticationFailedError):
            await rig.connect(host_key="", known_hosts=f"another.example {rig.other_host_key}\n")

    async def test_nobody_listening_is_a_connection_failure(self, rig: Rig) -> None:
        with pytest.raises(ConnectionFailedError) as failure:
            await rig.connect(port=kept_port())
        assert failure.value.device == rig.target.name

    async def test_a_listener_that_never_answers_is_a_connection_failure_within_the_deadline(self, rig: Rig) -> None:
        server = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(60), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            with pytest.raises(ConnectionFailedError):
                await asyncio.wait_for(rig.connect(port=port, connect_timeout_seconds=0.3), PATIENCE_SECONDS)
        finally:
            server.close()

    # -- reading -------------------------------------------------------------------------------------------------------

    async def test_read_shows_what_was_written(self, rig: Rig) -> None:
        async with rig.session() as session:
            await rig.put(session, "written")
            assert b"written" in (await session.read(rig.device.filters())).body
            assert b"written" in (await session.read()).body

    async def test_read_state_shows_the_configuration_too(self, rig: Rig) -> None:
        async with rig.session() as session:
            await rig.put(session, "written")
            assert b"written" in (await session.read_state(rig.device.filters())).body

    async def test_text_survives_the_way_there_and_back(self, rig: Rig) -> None:
        async with rig.session() as session:
            await rig.put(session, "Zuerich-Sued")
            await rig.put(session, "a.b_c-d")
            body = (await session.read(rig.device.filters())).body
        assert b"a.b_c-d" in body
        assert b"Zuerich-Sued" not in body

    # -- changing ------------------------------------------------------------------------------------------------------

    async def test_apply_changes_running_at_once(self, rig: Rig) -> None:
        async with rig.session() as session:
            await rig.put(session, "applied")
        assert await rig.shows("applied")

    async def test_a_refused_edit_raises_the_devices_own_words_and_changes_nothing(self, rig: Rig) -> None:
        async with rig.session() as session:
            await rig.put(session, "before")
            with pytest.raises(DeviceRejectedError) as refusal:
                await session.apply(rig.device.bad_edit())
            assert refusal.value.causes
            assert all(cause.message or cause.tag for cause in refusal.value.causes)
            assert refusal.value.device == rig.target.name
            assert b"before" in (await session.read(rig.device.filters())).body, "the session still works"

    async def test_a_refused_edit_leaves_nothing_for_the_next_one(self, rig: Rig) -> None:
        async with rig.session() as session:
            with pytest.raises(DeviceRejectedError):
                await session.apply(rig.device.bad_edit())
            await rig.put(session, "after")
        assert await rig.shows("after")

    async def test_a_whole_transaction_of_a_late_candidate_device(self, rig: Rig) -> None:
        rig.needs(ParticipantClass.CANDIDATE)
        async with rig.session() as session:
            await session.lock()
            await session.prepare(rig.device.edit("late"))
            await session.validate()
            await session.commit_now()
            await session.release()
        assert await rig.shows("late")

    async def test_a_prepared_candidate_that_is_released_leaves_no_trace(self, rig: Rig) -> None:
        rig.needs(*WITH_CANDIDATE)
        async with rig.session() as session:
            await rig.put(session, "before")
            await session.lock()
            await session.prepare(rig.device.edit("forgotten"))
            await session.release()
            assert b"before" in (await session.read(rig.device.filters())).body
            await session.lock()
            await session.prepare(rig.device.edit("remembered"))
            await (session.commit_now() if not rig.participant.is_two_phase else session.commit_tentative(TXID, 60))
            if rig.participant.is_two_phase:
                await session.confirm(TXID)
            await session.release()
        assert await rig.shows("remembered")

    async def test_what_a_dead_session_left_in_the_candidate_is_not_committed(self, rig: Rig) -> None:
        rig.needs(*WITH_CANDIDATE)
        async with rig.session() as session:
            await rig.put(session, "before")
            await session.prepare(rig.device.edit("left-over"))
        async with rig.session() as session:
            await session.lock()
            await (session.commit_now() if not rig.participant.is_two_phase else session.commit_tentative(TXID, 60))
            if rig.participant.is_two_phase:
                await session.confirm(TXID)
            await session.release()
        assert await rig.shows("before")

    # -- two phases ----------------------------------------------------------------------------------------------------

    async def test_a_tentative_commit_shows_and_a_confirm_makes_it_permanent(self, rig: Rig) -> None:
        rig.needs(*TWO_PHASE)
        async with rig.session() as session:
            await session.lock()
            await session.prepare(rig.device.edit("confirmed"))
            await session.validate()
            await session.commit_tentative(TXID, 60)
            assert b"confirmed" in (await session.read(rig.device.filters())).body
            await session.confirm(TXID)
            await session.release()
        assert await rig.shows("confirmed")

    async def test_cancel_takes_a_tentative_commit_back(self, rig: Rig) -> None:
        rig.needs(*TWO_PHASE)
        async with rig.session() as session:
            await rig.put(session, "before")
            await session.lock()
            await session.prepare(rig.device.edit("tentative"))
            await session.commit_tentative(TXID, 60)
            await session.cancel(TXID)
            await session.release()
        assert await rig.eventually_shows("before")

    async def test_cancel_succeeds_when_nothing_is_pending(self, rig: Rig) -> None:
        rig.needs(*TWO_PHASE)
        async with rig.session() as session:
            await session.cancel(OTHER_TXID)

    async def test_an_unconfirmed_commit_is_reverted_by_the_device_itself(self, rig: Rig) -> None:
        rig.needs(*TWO_PHASE)
        async with rig.session() as session:
            await rig.put(session, "before")
            await session.lock()
            await session.prepare(rig.device.edit("tentative"))
            await session.commit_tentative(TXID, 1)
            assert await rig.eventually_shows("before")

    async def test_the_death_of_the_session_takes_a_session_bound_commit_back(self, rig: Rig) -> None:
        rig.needs(ParticipantClass.SESSION_BOUND)
        async with rig.session() as session:
            await rig.put(session, "before")
            await session.lock()
            await session.prepare(rig.device.edit("tentative"))
            await session.commit_tentative(TXID, 60)
        assert await rig.eventually_shows("before")

    async def test_a_session_bound_commit_of_a_dead_session_cannot_be_confirmed_by_another(self, rig: Rig) -> None:
        rig.needs(ParticipantClass.SESSION_BOUND)
        async with rig.session() as session:
            await rig.put(session, "before")
            await session.prepare(rig.device.edit("tentative"))
            await session.commit_tentative(TXID, 60)
        async with rig.session() as session:
            with pytest.raises(DeviceRejectedError):
                await session.confirm(TXID)
        assert await rig.eventually_shows("before")

    async def test_another_session_confirms_a_persistent_commit(self, rig: Rig) -> None:
        rig.needs(ParticipantClass.PERSISTENT)
        async with rig.session() as session:
            await session.lock()
            await session.prepare(rig.device.edit("survives"))
            await session.commit_tentative(TXID, 60)
        async with rig.session() as session:
            await session.confirm(TXID)
        assert await rig.shows("survives")

    async def test_another_session_cancels_a_persistent_commit(self, rig: Rig) -> None:
        rig.needs(ParticipantClass.PERSISTENT)
        async with rig.session() as session:
            await rig.put(session, "before")
            await session.lock()
            await session.prepare(rig.device.edit("tentative"))
            await session.commit_tentative(TXID, 60)
        async with rig.session() as session:
            await session.cancel(TXID)
        assert await rig.shows("before")

    async def test_confirming_what_is_not_pending_is_refused(self, rig: Rig) -> None:
        rig.needs(*TWO_PHASE)
        async with rig.session() as session:
            with pytest.raises(DeviceRejectedError):
                await session.confirm(OTHER_TXID)

    # -- what a reboot leaves ------------------------------------------------------------------------------------------

    async def test_what_was_applied_survives_a_reboot(self, rig: Rig) -> None:
        async with rig.session() as session:
            await session.apply(rig.device.edit("lasting"))
            await rig.device.reboot()
        assert await rig.shows("lasting")

    async def test_what_was_committed_through_the_candidate_survives_a_reboot(self, rig: Rig) -> None:
        rig.needs(*WITH_CANDIDATE)
        async with rig.session() as session:
            await session.lock()
            await session.prepare(rig.device.edit("lasting"))
            await (session.commit_now() if not rig.participant.is_two_phase else session.commit_tentative(TXID, 60))
            if rig.participant.is_two_phase:
                await session.confirm(TXID)
            await rig.device.reboot()
        assert await rig.shows("lasting")

    async def test_a_tentative_commit_does_not_survive_a_reboot(self, rig: Rig) -> None:
        rig.needs(*TWO_PHASE)
        async with rig.session() as session:
            await rig.put(session, "before")
            await session.lock()
            await session.prepare(rig.device.edit("tentative"))
            await session.commit_tentative(TXID, 60)
            await rig.device.reboot()
        assert await rig.shows("before")

    # -- locks ---------------------------------------------------------------------------------------------------------

    async def test_a_foreign_lock_is_a_lock_error_and_goes_with_its_release(self, rig: Rig) -> None:
        if not rig.has_locks:
            pytest.skip("no locks on this device")
        async with rig.session() as first, rig.session() as second:
            await first.lock()
            with pytest.raises(LockedError) as refusal:
                await second.lock()
            if first.capabilities.session_id:
                assert refusal.value.app_tag == first.capabilities.session_id
            await first.release()
            await second.lock()
            await second.release()

    async def test_a_lock_goes_with_its_session(self, rig: Rig) -> None:
        if not rig.has_locks:
            pytest.skip("no locks on this device")
        async with rig.session() as first:
            await first.lock()
        async with rig.session() as second:
            await second.lock()
            await second.release()

    async def test_release_never_raises_for_locks_that_are_not_there(self, rig: Rig) -> None:
        async with rig.session() as session:
            await session.release()
            await session.lock()
            await session.release()
            await session.release()
        await session.release()

    # -- the end of a session ------------------------------------------------------------------------------------------

    async def test_close_may_be_called_again_and_calls_after_it_fail_as_not_sent(self, rig: Rig) -> None:
        session = await rig.connect()
        await session.close()
        await session.close()
        with pytest.raises(ConnectionFailedError):
            await session.read(rig.device.filters())

    async def test_close_fails_a_pending_call_at_once(self, rig: Rig) -> None:
        async with rig.session(rpc_timeout_seconds=2 * PATIENCE_SECONDS) as session:
            swallowed = await rig.device.hang()
            call = asyncio.create_task(session.read(rig.device.filters()))
            await asyncio.wait_for(swallowed.wait(), PATIENCE_SECONDS)
            await asyncio.wait_for(session.close(), PATIENCE_SECONDS)
            with pytest.raises(OutcomeUnknownError):
                await asyncio.wait_for(call, PATIENCE_SECONDS)

    async def test_a_lost_connection_fails_a_pending_call_at_once_as_unknown(self, rig: Rig) -> None:
        async with rig.session(rpc_timeout_seconds=2 * PATIENCE_SECONDS) as session:
            swallowed = await rig.device.hang()
            call = asyncio.create_task(session.apply(rig.device.edit("lost")))
            await asyncio.wait_for(swallowed.wait(), PATIENCE_SECONDS)
            await rig.device.disconnect()
            with pytest.raises(OutcomeUnknownError):
                await asyncio.wait_for(call, PATIENCE_SECONDS)

    async def test_a_call_on_a_lost_connection_says_that_nothing_was_sent(self, rig: Rig) -> None:
        async with rig.session() as session:
            await rig.device.disconnect()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    try:
                        await session.apply(rig.device.edit("unsent"))
                    except OutcomeUnknownError:  # the news of the loss was still on its way
                        continue
                    except ConnectionFailedError:
                        break
                    else:
                        pytest.fail("a call went through on a dropped connection")
            await session.release()

    async def test_a_call_without_an_answer_ends_at_its_deadline_as_unknown(self, rig: Rig) -> None:
        async with rig.session(rpc_timeout_seconds=SHORT_DEADLINE_SECONDS) as session:
            await rig.device.hang()
            with pytest.raises(OutcomeUnknownError) as failure:
                await asyncio.wait_for(session.read(rig.device.filters()), PATIENCE_SECONDS)
            assert failure.value.device == rig.target.name

    # -- notifications -------------------------------------------------------------------------------------------------

    async def test_a_notification_arrives_and_the_stream_ends_with_the_session(self, rig: Rig) -> None:
        session = await rig.connect()
        stream = session.notifications()
        first: asyncio.Future[bytes] = asyncio.ensure_future(anext(stream))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not first.done():  # the subscription may still be on its way
                    expected = await rig.device.notify()
                    await asyncio.wait([first], timeout=0.1)
            assert expected in first.result()
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await session.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for _event in stream:  # what came before the close, and then the end
                pass
