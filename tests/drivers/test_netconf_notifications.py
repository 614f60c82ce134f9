"""Notifications: in order, without polling, never silently incomplete."""

import asyncio

import pytest

from controller.model.errors import BusyError, DeviceRejectedError, ProtocolViolationError
from controller.model.identifiers import DeviceName
from drivers.netconf import NetconfConnector
from drivers.netconf.notifications import MOST_WAITING, NotificationStream
from tests.drivers.canned import Answer, CannedServer, Rpc, sane
from tests.patience import PATIENCE_SECONDS

NOTIFICATION = '<notification xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"><n>{}</n></notification>'


async def test_notifications_come_in_order_between_replies():
    def answer(rpc: Rpc) -> Answer:
        if rpc.operation == "get-config":
            rpc.session.send(rpc.session.framed(NOTIFICATION.format(len(server.seen))))
        return sane(rpc)

    async with CannedServer(answer) as server:
        session = await NetconfConnector().connect(server.target())
        await session.read()  # nobody has subscribed yet: dropped
        stream = session.notifications()
        first = asyncio.ensure_future(anext(stream))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "create-subscription" not in server.operations():  # noqa: ASYNC110 - waits for the other end
                await asyncio.sleep(0.01)
        for _ in range(3):
            await session.read()
        texts = [await first, await anext(stream), await anext(stream)]
        assert [text.partition(b"<n>")[2][:1] for text in texts] == [b"3", b"4", b"5"]
        await session.close()
        assert [event async for event in stream] == []


async def test_a_refused_subscription_raises_at_the_first_step():
    refusal = (
        "<rpc-error><error-tag>operation-not-supported</error-tag><error-severity>error</error-severity></rpc-error>"
    )

    def answer(rpc: Rpc) -> Answer:
        return refusal if rpc.operation == "create-subscription" else sane(rpc)

    async with CannedServer(answer) as server:
        session = await NetconfConnector().connect(server.target())
        for _ in range(2):
            with pytest.raises(DeviceRejectedError):
                await anext(session.notifications())
        await session.close()


async def test_a_reader_that_is_too_slow_hears_of_the_gap_after_what_was_kept():
    stream = NotificationStream(DeviceName("pe1"))
    for number in range(MOST_WAITING + 5):
        stream.put(NOTIFICATION.format(number).encode())
    for _ in range(MOST_WAITING):
        await anext(stream)
    with pytest.raises(BusyError):
        await anext(stream)


async def test_a_notification_that_is_broken_xml_is_a_protocol_violation():
    stream = NotificationStream(DeviceName("pe1"))
    stream.put(b"<notification><n></notification>")
    with pytest.raises(ProtocolViolationError):
        await anext(stream)
