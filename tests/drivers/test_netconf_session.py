"""NETCONF sessions against a server that does what sane routers never do."""

import asyncio

import pytest
from lxml import etree

from controller.model.errors import (
    ConnectionFailedError,
    DeviceRejectedError,
    InvalidInputError,
    LockedError,
    NotSupportedError,
    OutcomeUnknownError,
    ProtocolViolationError,
)
from controller.model.identifiers import TransactionId
from controller.ports import ParticipantClass
from drivers.netconf import NetconfConnector
from tests.drivers.canned import BASE, BASE_10_ONLY, CAPABILITY, FULL, Answer, CannedServer, Rpc, sane

EDIT = f'<config xmlns="{BASE}"><top xmlns="urn:example:things"/></config>'.encode()
TXID = TransactionId("tx-1")
FRAMINGS = pytest.mark.parametrize("capabilities", [FULL, BASE_10_ONLY], ids=["chunked", "end-of-message"])


def error(tag: str, message: str = "no", severity: str = "error", more: str = "") -> str:
    return (
        f"<rpc-error><error-type>application</error-type><error-tag>{tag}</error-tag>"
        f"<error-severity>{severity}</error-severity><error-message xml:lang='en'>{message}</error-message>{more}"
        f"</rpc-error>"
    )


def when(operation: str, answer: Answer, otherwise=sane):
    return lambda rpc: answer if rpc.operation == operation else otherwise(rpc)


async def connected(server: CannedServer, *, limit_bytes: int = 64 * 1024 * 1024, **changes):
    return await NetconfConnector(limit_bytes=limit_bytes).connect(server.target(**changes))


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
        large, other = await connected(server, rpc_timeout_seconds=90.0), await connected(server)
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


# -- deadlines, cancellation, closing ----------------------------------------------------------------------------------


async def test_a_late_reply_is_harmless_and_nothing_is_left_over():
    late: list[Rpc] = []

    def answer(rpc: Rpc) -> Answer:
        if rpc.operation == "get":
            late.append(rpc)
            return None
        return sane(rpc)

    async with CannedServer(answer) as server:
        session = await connected(server, rpc_timeout_seconds=0.2)
        with pytest.raises(OutcomeUnknownError, match=r"no answer within 0\.2 seconds"):
            await session.read_state()
        late[0].session.send(late[0].reply("<data><late/></data>"))
        assert b"late" not in (await session.read()).body
        assert session._transport.pending == 0
        await session.close()


async def test_a_cancelled_call_leaves_nothing_and_the_session_goes_on():
    async with CannedServer(when("get", None)) as server:
        session = await connected(server)
        call = asyncio.create_task(session.read_state())
        await asyncio.wait_for(server.swallowed.wait(), 3)
        call.cancel()
        await asyncio.wait([call])
        assert session._transport.pending == 0
        assert (await session.read()).body
        await session.close()


async def test_a_lost_connection_fails_every_pending_call_at_once():
    async with CannedServer(when("get", None)) as server:
        session = await connected(server, rpc_timeout_seconds=60.0)
        calls = [asyncio.create_task(session.read_state()) for _ in range(5)]
        await asyncio.wait_for(server.swallowed.wait(), 3)
        server.disconnect()
        async with asyncio.timeout(2):
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [OutcomeUnknownError] * 5


async def test_the_device_closing_only_the_channel_ends_the_session_too():
    def answer(rpc: Rpc) -> Answer:
        rpc.session.channel.close()
        return None

    async with CannedServer(answer) as server:
        session = await connected(server, rpc_timeout_seconds=60.0)
        with pytest.raises(OutcomeUnknownError):
            await asyncio.wait_for(session.apply(EDIT), 3)


async def test_close_is_polite():
    async with CannedServer() as server:
        session = await connected(server)
        await session.close()
        assert server.operations() == ["close-session"]


async def test_close_does_not_wait_for_a_device_that_does_not_answer():
    async with CannedServer(when("close-session", None)) as server:
        session = await connected(server)
        await asyncio.wait_for(session.close(), 2)


async def test_keepalives_find_out_that_the_device_is_gone():
    async with CannedServer(when("get", None)) as server:
        silenced: list[asyncio.Transport] = []

        async def forward(reader, writer):
            there, back = await asyncio.open_connection("127.0.0.1", server.port)
            silenced.extend([reader._transport, there._transport])
            await asyncio.gather(_pump(reader, back), _pump(there, writer), return_exceptions=True)

        proxy = await asyncio.start_server(forward, "127.0.0.1", 0)
        session = await connected(
            server, port=proxy.sockets[0].getsockname()[1], keepalive_seconds=0.1, rpc_timeout_seconds=60.0
        )
        call = asyncio.create_task(session.read_state())
        await asyncio.wait_for(server.swallowed.wait(), 3)
        for transport in silenced:
            transport.pause_reading()  # the wire is cut, without a word
        with pytest.raises(OutcomeUnknownError):
            await asyncio.wait_for(call, 5)
        for transport in silenced:
            transport.abort()
        proxy.close()


async def _pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)


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
        session = await connected(server, rpc_timeout_seconds=0.2)
        with pytest.raises(OutcomeUnknownError):
            await session.lock()
        assert server.operations() == ["lock", "lock", "unlock", "unlock"]
        await session.close()


async def test_a_release_that_gets_no_answer_cuts_the_session_so_that_no_lock_stays():
    async with CannedServer(when("unlock", None)) as server:
        session = await connected(server, rpc_timeout_seconds=0.2)
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
