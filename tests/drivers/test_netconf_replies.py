"""What a device answers: every shape, size and kind of nonsense; its own words."""

import asyncio

import pytest
from lxml import etree

from controller.model.errors import (
    ConnectionFailedError,
    DeviceRejectedError,
    OutcomeUnknownError,
    ProtocolViolationError,
)
from controller.model.identifiers import TransactionId
from tests.drivers.canned import (
    BASE,
    BASE_10_ONLY,
    EDIT,
    FULL,
    Answer,
    CannedServer,
    Rpc,
    connected,
    error,
    when,
)
from tests.patience import PATIENCE_SECONDS

TXID = TransactionId("tx-1")
FRAMINGS = pytest.mark.parametrize("capabilities", [FULL, BASE_10_ONLY], ids=["chunked", "end-of-message"])


# -- replies of every shape --------------------------------------------------------------------------------------------


@FRAMINGS
async def test_a_reply_split_at_every_byte_is_read(capabilities):
    text = "<data><x xmlns='urn:x'>Zürich 🙂 ]]&gt;]]&gt;</x></data>"

    def answer(rpc: Rpc) -> Answer:
        whole = rpc.reply(text)
        return [whole[at : at + 1] for at in range(len(whole))] if rpc.operation == "get-config" else "<ok/>"

    async with CannedServer(answer, capabilities=capabilities) as server:
        session = await connected(server)
        assert "Zürich 🙂 ]]&gt;]]&gt;".encode() in (await session.read()).body
        await session.close()


@FRAMINGS
async def test_a_reply_of_50_megabytes_is_read_while_another_session_goes_on(capabilities):
    row = "<row><name>interface</name><text>Zürich, äöü</text></row>"
    many = f"<data><rows xmlns='urn:x'>{row * 830_000}</rows></data>"
    size = len(many.encode())
    assert size > 50_000_000
    async with CannedServer(when("get", many), capabilities=capabilities) as server:
        large, other = await connected(server, rpc_timeout_seconds=2 * PATIENCE_SECONDS), await connected(server)
        reading = asyncio.create_task(large.read_state())
        while not reading.done():
            await other.read()
        body = (await reading).body
        assert body.count(b"<row>") == 830_000
        await asyncio.gather(large.close(), other.close())


async def test_a_reply_above_the_limit_ends_the_session_with_a_clear_error():
    async with CannedServer(when("get-config", f"<data>{'x' * 5000}</data>")) as server:
        session = await connected(server, limit_bytes=4000)
        with pytest.raises(ProtocolViolationError, match="more than 4000 bytes") as violation:
            await session.read()
        assert violation.value.device == "pe1"
        with pytest.raises(ConnectionFailedError):
            await session.read()


@pytest.mark.parametrize(
    "reply",
    [
        "<data><unclosed></data>",
        "<data>&undefined;</data>",
        "<data><p:x/></data>",
        "<data>\x01</data>",
    ],
)
async def test_broken_xml_in_a_reply_fails_that_read_only(reply):
    async with CannedServer(when("get-config", reply)) as server:
        session = await connected(server)
        with pytest.raises(ProtocolViolationError):
            await session.read()
        assert (await session.read_state()).body
        await session.close()


async def test_broken_xml_in_the_answer_to_a_change_means_the_outcome_is_unknown():
    async with CannedServer(when("commit", "<ok></oops>")) as server:
        session = await connected(server)
        await session.prepare(EDIT)
        with pytest.raises(OutcomeUnknownError) as unknown:
            await session.commit_now()
        assert isinstance(unknown.value.__cause__, ProtocolViolationError)
        await session.close()


ENTITIES = (
    '<?xml version="1.0"?><!DOCTYPE rpc-reply [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">'
    '<!ENTITY file SYSTEM "file:///etc/passwd">]>'
)


async def test_a_document_type_is_refused_before_anything_is_expanded():
    def answer(rpc: Rpc) -> Answer:
        return rpc.session.framed(
            f'{ENTITIES}<rpc-reply xmlns="{BASE}" message-id="{rpc.message_id}"><data>&b;&file;</data></rpc-reply>'
        )

    async with CannedServer(answer) as server:
        session = await connected(server)
        with pytest.raises(ProtocolViolationError):
            await session.read()


@pytest.mark.parametrize("garbage", [b"\x00\xff garbage", b"Killed\n", b"<html><body>502</body></html>", b""])
async def test_garbage_ends_the_session_and_a_change_is_unknown(garbage):
    def answer(rpc: Rpc) -> Answer:
        return b"\n#%d\n%b\n##\n" % (len(garbage), garbage)

    async with CannedServer(answer) as server:
        session = await connected(server)
        with pytest.raises(OutcomeUnknownError):
            await session.apply(EDIT)
        with pytest.raises(ConnectionFailedError):
            await session.apply(EDIT)
        await session.release()


async def test_an_answer_to_nothing_that_was_asked_ends_the_session():
    def answer(rpc: Rpc) -> Answer:
        return rpc.session.framed(f'<rpc-reply xmlns="{BASE}" message-id="4711"><ok/></rpc-reply>')

    async with CannedServer(answer) as server:
        session = await connected(server)
        with pytest.raises(ProtocolViolationError, match="4711"):
            await session.read()


async def test_a_reply_without_message_id_belongs_to_the_only_call():
    def answer(rpc: Rpc) -> Answer:
        return rpc.session.framed(f'<rpc-reply xmlns="{BASE}">{error("missing-attribute", "what?")}</rpc-reply>')

    async with CannedServer(answer) as server:
        session = await connected(server)
        with pytest.raises(DeviceRejectedError, match="what"):
            await session.read()
        await session.close()


async def test_a_read_without_data_is_a_protocol_violation():
    async with CannedServer(when("get-config", "<ok/>")) as server:
        session = await connected(server)
        with pytest.raises(ProtocolViolationError, match="without data"):
            await session.read()
        await session.close()


async def test_namespaces_declared_on_the_reply_stay_with_the_data():
    def answer(rpc: Rpc) -> Answer:
        return rpc.session.framed(
            f'<nc:rpc-reply xmlns:nc="{BASE}" xmlns:x="urn:x" message-id="{rpc.message_id}">'
            f"<nc:data><x:leaf>x:identity</x:leaf></nc:data></nc:rpc-reply>"
        )

    async with CannedServer(answer) as server:
        session = await connected(server)
        body = (await session.read()).body
        assert b'xmlns:x="urn:x"' in body
        assert body.startswith(b"<nc:data")
        await session.close()


@pytest.mark.parametrize(
    "head, tail",
    [
        (f'<rpc-reply xmlns="{BASE}" message-id="%s"><data>', "</data></rpc-reply>"),
        (
            f"<?xml version='1.0' encoding='utf-8'?>\n<rpc-reply message-id='%s' xmlns='{BASE}'>\n <data>",
            "</data>\n</rpc-reply>\n",
        ),
        (f'<?xml version="1.0"?><rpc-reply xmlns="{BASE}" message-id="%s"><data>', "</data></rpc-reply>"),
        (f'<rpc-reply xmlns="{BASE}" message-id="%s"><!-- x --><data>', "</data><!-- </data> --></rpc-reply>"),
        (f'<rpc-reply xmlns="{BASE}" xmlns:y="urn:y" message-id="%s"><data>', "</data></rpc-reply>"),
        (f'<rpc-reply xmlns="{BASE}" message-id="%s"><data xmlns="{BASE}">', "</data></rpc-reply>"),
        (f'<r:rpc-reply xmlns:r="{BASE}" message-id="%s"><data xmlns="{BASE}">', "</data></r:rpc-reply>"),
    ],
)
async def test_data_is_one_element_with_the_same_content_however_the_reply_is_written(head, tail):
    content = '<x xmlns="urn:x"><a>1 &lt; 2</a><data>inner</data></x>'

    def answer(rpc: Rpc) -> Answer:
        return rpc.session.framed(head % rpc.message_id + content + tail)

    async with CannedServer(answer) as server:
        session = await connected(server)
        root = etree.fromstring((await session.read()).body)
        assert root.tag == f"{{{BASE}}}data"
        written = etree.tostring(root[0], with_tail=False).decode()
        inherited = (' xmlns:y="urn:y"', f' xmlns:r="{BASE}"')
        assert written.replace(inherited[0], "").replace(inherited[1], "") == content
        await session.close()


@pytest.mark.parametrize("encoding", ["iso-8859-1", "utf-8"])
async def test_the_encoding_a_reply_declares_is_honoured(encoding):
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?><rpc-reply xmlns="{BASE}" message-id="%s">'
        f'<data><x xmlns="urn:x">Zürich</x></data></rpc-reply>'
    )

    def answer(rpc: Rpc) -> Answer:
        reply = (text % rpc.message_id).encode(encoding)
        return b"\n#%d\n%b\n##\n" % (len(reply), reply)

    async with CannedServer(answer) as server:
        session = await connected(server)
        assert "Zürich".encode() in (await session.read()).body
        await session.close()


# -- the device's own words --------------------------------------------------------------------------------------------


async def test_several_rpc_errors_are_all_kept_in_order():
    info = "<error-path xmlns:t='urn:t'>/t:top/t:leaf</error-path><error-app-tag>too-many</error-app-tag>"
    errors = error("operation-failed", "first", more=info) + error("data-missing", "second")
    async with CannedServer(when("edit-config", errors)) as server:
        session = await connected(server)
        with pytest.raises(DeviceRejectedError) as refusal:
            await session.prepare(EDIT)
        assert [cause.message for cause in refusal.value.causes] == ["first", "second"]
        assert (refusal.value.path, refusal.value.app_tag) == ("/t:top/t:leaf", "too-many")
        assert "first (and 1 more)" in str(refusal.value)
        await session.close()


async def test_thousands_of_rpc_errors_are_counted_not_kept():
    async with CannedServer(when("edit-config", error("bad-element") * 3000)) as server:
        session = await connected(server)
        with pytest.raises(DeviceRejectedError, match="and 2999 more") as refusal:
            await session.prepare(EDIT)
        assert len(refusal.value.causes) == 100
        await session.close()


async def test_an_error_behind_a_flood_of_warnings_is_still_an_error():
    flood = error("operation-failed", "hm", severity="warning") * 300 + error("bad-element", "the point")
    async with CannedServer(when("edit-config", flood)) as server:
        session = await connected(server)
        with pytest.raises(DeviceRejectedError, match="the point"):
            await session.prepare(EDIT)
        await session.close()


async def test_warnings_are_returned_with_or_without_ok():
    warning = error("operation-failed", "obsolete", severity="warning")
    async with CannedServer(when("commit", "<ok/>" + warning, when("edit-config", warning))) as server:
        session = await connected(server)
        assert [cause.message for cause in await session.prepare(EDIT)] == ["obsolete"]
        assert [cause.severity for cause in await session.commit_tentative(TXID, 60)] == ["warning"]
        await session.close()


async def test_an_error_without_words_is_still_an_error():
    async with CannedServer(when("commit", "<rpc-error/>")) as server:
        session = await connected(server)
        with pytest.raises(DeviceRejectedError, match="no reason"):
            await session.commit_now()
        await session.close()
