"""The NETCONF server byte for byte: framing, envelopes, malformed input, faults. The client is bare asyncssh."""

import asyncio
from contextlib import asynccontextmanager

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from lab.router.faults_point import Action, Fault
from lab.router.netconf_protocol import Chunked, EndOfMessage, FramingError
from lab.router.profiles import PROFILES
from lab.router.rpc_errors import RpcError
from tests.lab.conftest import NC, eventually
from tests.patience import PATIENCE_SECONDS

HELLO = '<hello xmlns="{}"><capabilities>{}</capabilities></hello>'
GET = f'<rpc xmlns="{NC}" message-id="7"><get-config><source><running/></source></get-config></rpc>'.encode()


class Wire:
    """A NETCONF client that shows octets."""

    def __init__(self, reader, writer, connection):
        self.reader, self.writer, self.connection = reader, writer, connection
        self.framer = EndOfMessage()
        self.messages = []

    def send(self, message):
        self.writer.write(self.framer.wrap(message))

    async def receive(self):
        while not self.messages:
            octets = await asyncio.wait_for(self.reader.read(65536), PATIENCE_SECONDS)
            if not octets:
                raise EOFError
            self.messages += self.framer.feed(octets)
        return self.messages.pop(0)

    async def ask(self, message):
        self.send(message)
        return etree.fromstring(await self.receive())

    async def is_cut(self):
        try:
            await self.receive()
        except (EOFError, asyncssh.Error, OSError):
            return True
        return False


@asynccontextmanager
async def wire(router, versions=("1.0", "1.1"), hello=None):
    async with asyncssh.connect(
        "127.0.0.1",
        router.netconf_port,
        username=router.username,
        password=router.password,
        known_hosts=([asyncssh.import_public_key(router.host_key)], [], []),
    ) as connection:
        writer, reader, _ = await connection.open_session(subsystem="netconf", encoding=None)
        client = Wire(reader, writer, connection)
        await client.receive()
        uris = "".join(f"<capability>urn:ietf:params:netconf:base:{version}</capability>" for version in versions)
        client.send(HELLO.format(NC, uris).encode() if hello is None else hello)
        if "1.1" in versions and router.profile.base_11:
            client.framer = Chunked()
        yield client


class Script:
    """A fault point with one action for one RPC and phase."""

    def __init__(self, rpc, phase, action):
        self.where, self.action = (rpc, phase), action

    def armed(self, router):
        return True

    async def around(self, router, rpc, phase):
        return self.action if (rpc, phase) == self.where else None


# -- framing alone

MESSAGES = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4)


@given(MESSAGES, st.data())
def test_chunked_messages_cut_anywhere_are_the_same_messages(messages, data):
    framer = Chunked()
    octets = b"".join(Chunked().wrap(message) for message in messages)
    assert pieces_through(framer, octets, data) == messages
    assert framer.rest() == b""


@given(st.lists(st.binary(min_size=1, max_size=40).filter(lambda m: b"]" not in m), min_size=1, max_size=4), st.data())
def test_end_of_message_framing_cut_anywhere_gives_the_same_messages(messages, data):
    octets = b"".join(EndOfMessage().wrap(message) for message in messages)
    assert pieces_through(EndOfMessage(), octets, data) == messages


@given(MESSAGES)
def test_chunked_messages_fed_byte_by_byte_equal_the_whole(messages):
    octets = b"".join(Chunked().wrap(message) for message in messages)
    framer = Chunked()
    one_by_one = [message for octet in octets for message in framer.feed(bytes([octet]))]
    assert one_by_one == Chunked().feed(octets) == messages


def pieces_through(framer, octets, data):
    found = []
    while octets:
        size = data.draw(st.integers(1, len(octets)))
        found += framer.feed(octets[:size])
        octets = octets[size:]
    return found


def test_a_message_of_several_chunks_is_one_message():
    assert Chunked().feed(b"\n#3\nabc\n#2\nde\n##\n") == [b"abcde"]


@pytest.mark.parametrize(
    "octets", [b"abc", b"\n#0\n", b"\n#x", b"\n##\n", b"\n#12345678901\n", b"\n#4294967296\n", b"\n#3\nabcX"]
)
def test_wrong_chunk_framing_is_refused_as_soon_as_it_is_seen(octets):
    with pytest.raises(FramingError):
        Chunked().feed(octets)


# -- envelopes


async def test_the_reply_repeats_every_attribute_of_the_rpc(router):
    async with wire(router) as client:
        attributes = b'xmlns:ex="urn:ex" message-id="a&lt;1" ex:user="fred"'
        reply = await client.ask(GET.replace(b'message-id="7"', attributes))
        assert dict(reply.attrib) == {"message-id": "a<1", "{urn:ex}user": "fred"}


@pytest.mark.parametrize("versions", [("1.0",), ("1.0", "1.1")])
async def test_both_framings_work_and_many_rpcs_may_be_in_flight(router, versions):
    async with wire(router, versions) as client:
        for number in range(20):
            client.send(GET.replace(b'"7"', b'"%d"' % number))
        replies = [etree.fromstring(await client.receive()) for _ in range(20)]
        assert [reply.get("message-id") for reply in replies] == [str(number) for number in range(20)]


async def test_a_request_may_come_byte_by_byte(router):
    async with wire(router) as client:
        for octet in client.framer.wrap(GET):
            client.writer.write(bytes([octet]))
        assert etree.fromstring(await client.receive()).get("message-id") == "7"


async def test_an_rpc_may_follow_the_hello_in_the_same_packet(router):
    hello = HELLO.format(NC, "<capability>urn:ietf:params:netconf:base:1.1</capability>").encode()
    both = hello + b"]]>]]>" + Chunked().wrap(GET)  # the ]]>]]> that follows it is wrong framing, but too late
    async with wire(router, hello=both) as client:
        assert etree.fromstring(await client.receive()).get("message-id") == "7"


@pytest.mark.parametrize(
    "request_text, error_type, tag",
    [
        (f'<rpc xmlns="{NC}"><get/></rpc>', "rpc", "missing-attribute"),
        (f'<rpc xmlns="{NC}" message-id="1"><frobnicate/></rpc>', "protocol", "operation-not-supported"),
        (f'<rpc xmlns="{NC}" message-id="1"><get-config/></rpc>', "application", "missing-element"),
        (f'<rpc xmlns="{NC}" message-id="1"/>', "application", "missing-element"),
        ("<rpc message-id='1'><get/></rpc>", "rpc", "malformed-message"),
        ("<rpc", "rpc", "malformed-message"),
        (f'<!DOCTYPE a [<!ENTITY b "c">]><rpc xmlns="{NC}" message-id="1"><get/></rpc>', "rpc", "malformed-message"),
    ],
)
async def test_a_wrong_envelope_is_answered_as_appendix_a_says(router, request_text, error_type, tag):
    async with wire(router) as client:
        reply = await client.ask(request_text.encode())
        assert reply.findtext(f".//{{{NC}}}error-type") == error_type
        assert reply.findtext(f".//{{{NC}}}error-tag") == tag


async def test_config_outside_the_netconf_namespace_is_a_missing_element(router):
    async with wire(router) as client:
        reply = await client.ask(EDIT.replace(b"<config>", b'<config xmlns="">'))
        assert reply.findtext(f".//{{{NC}}}bad-element") == "config"


async def test_an_empty_subtree_filter_selects_nothing(router):
    async with wire(router) as client:
        await client.ask(EDIT)
        reply = await client.ask(GET.replace(b"</source>", b"</source><filter/>"))
        assert len(reply.find(f"{{{NC}}}data")) == 0


async def test_wrong_framing_ends_the_session_and_frees_its_locks(router):
    async with wire(router) as client:
        await client.ask(
            GET.replace(
                b"get-config><source><running/></source></get-config", b"lock><target><running/></target></lock"
            )
        )
        assert router.store.lock_holder("running") == 1
        client.writer.write(b"this is no chunk")
        assert await client.is_cut()
    await eventually(lambda: router.store.lock_holder("running") is None)


async def test_a_hello_with_a_session_id_or_without_a_base_ends_the_session(router):
    for hello in (HELLO.format(NC, ""), f'<hello xmlns="{NC}"><session-id>1</session-id></hello>', "no xml"):
        async with wire(router, ("1.0",), hello=hello.encode()) as client:
            assert await client.is_cut()


async def test_malformed_xml_from_a_1_0_peer_ends_the_session(make_router):
    router = await make_router(profile="confirmed10")
    async with wire(router) as client:
        client.send(b"<rpc")
        assert await client.is_cut()


async def test_close_session_answers_before_it_closes(router):
    async with wire(router) as client:
        reply = await client.ask(f'<rpc xmlns="{NC}" message-id="1"><close-session/></rpc>'.encode())
        assert reply[0].tag == f"{{{NC}}}ok"
        assert await client.is_cut()


async def test_an_authorised_key_logs_in_and_another_does_not(make_router):
    key = asyncssh.generate_private_key("ssh-ed25519")
    router = await make_router(authorized_keys=[key.export_public_key("openssh").decode()])
    settings = {"username": router.username, "known_hosts": None, "agent_path": None}
    async with asyncssh.connect("127.0.0.1", router.netconf_port, client_keys=[key], **settings) as connection:
        assert connection.get_extra_info("username") == router.username
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(asyncssh.PermissionDenied):
        await asyncssh.connect("127.0.0.1", router.netconf_port, client_keys=[stranger], **settings)


# -- faults

LOCK = f'<rpc xmlns="{NC}" message-id="1"><lock><target><running/></target></lock></rpc>'.encode()


@pytest.mark.parametrize("phase, acted", [("before", False), ("after", True), ("reply", True)])
async def test_a_connection_closes_before_or_after_the_router_acted(make_router, phase, acted):
    router = await make_router(faults=Script("edit-config", phase, Action(Fault.CLOSE)))
    async with wire(router) as client:
        client.send(EDIT)
        assert await client.is_cut()
    assert (len(router.store.get("running")) == 1) is acted


IF = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
EDIT = (
    f'<rpc xmlns="{NC}" message-id="1"><edit-config><target><running/></target><config><interfaces xmlns="{IF}">'
    '<interface><name>eth0</name><type xmlns:i="urn:ietf:params:xml:ns:yang:iana-if-type">i:ethernetCsmacd</type>'
    "</interface></interfaces></config></edit-config></rpc>"
).encode()


async def test_a_lost_reply_was_acted_on_and_the_next_rpc_is_answered(make_router):
    router = await make_router(faults=Script("edit-config", "before", Action(Fault.LOSE_REPLY)))
    async with wire(router) as client:
        client.send(EDIT)
        reply = await client.ask(GET)
        assert reply.get("message-id") == "7"
        assert b"eth0" in etree.tostring(reply)


async def test_a_hanging_router_answers_nothing_more_and_keeps_the_connection(make_router):
    router = await make_router(faults=Script("edit-config", "before", Action(Fault.HANG)))
    async with wire(router) as client:
        client.send(EDIT)
        client.send(GET)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.receive(), 0.3)
        assert len(router.store.get("running")) == 0


@pytest.mark.parametrize(
    "action, tag",
    [
        (Action(Fault.REJECT, error=RpcError("resource-denied", "out of memory")), "resource-denied"),
        (Action(Fault.REJECT), "operation-failed"),
        (Action(Fault.LOCK_HELD, session_id=99), "lock-denied"),
    ],
)
async def test_a_rejected_rpc_is_not_acted_on(make_router, action, tag):
    router = await make_router(faults=Script("lock", "before", action))
    async with wire(router) as client:
        reply = await client.ask(LOCK)
        assert reply.findtext(f".//{{{NC}}}error-tag") == tag
        assert router.store.lock_holder("running") is None


async def test_a_scripted_warning_comes_with_the_result(make_router):
    router = await make_router(faults=Script("lock", "reply", Action(Fault.WARN, message="soon full")))
    async with wire(router) as client:
        reply = await client.ask(LOCK)
        assert [child.tag for child in reply] == [f"{{{NC}}}rpc-error", f"{{{NC}}}ok"]
        assert reply.findtext(f".//{{{NC}}}error-severity") == "warning"


async def test_garbage_is_not_xml(make_router):
    router = await make_router(faults=Script("lock", "reply", Action(Fault.GARBAGE)))
    async with wire(router) as client:
        client.send(LOCK)
        with pytest.raises(etree.XMLSyntaxError):
            etree.fromstring(await client.receive())


async def test_a_reply_in_single_octets_and_a_huge_one_are_the_same_reply(make_router):
    for action in (
        Action(Fault.SPLIT, octets=1),
        Action(Fault.HUGE, octets=3_000_000),
        Action(Fault.DELAY, seconds=0.01),
    ):
        router = await make_router(faults=Script("lock", "reply", action))
        async with wire(router) as client:
            reply = await client.ask(LOCK)
            assert reply.find(f"{{{NC}}}ok") is not None


async def test_a_scripted_reboot_cuts_the_session_and_the_router_comes_back(make_router):
    router = await make_router(faults=Script("edit-config", "after", Action(Fault.REBOOT)))
    async with wire(router) as client:
        client.send(EDIT)
        assert await client.is_cut()
    router.faults = None
    await eventually(lambda: router.is_up)
    async with wire(router) as client:
        assert b"eth0" in etree.tostring(await client.ask(GET))


async def test_a_session_is_cut_rather_than_left_waiting_when_the_script_fails(make_router):
    class Broken(Script):
        async def around(self, router, rpc, phase):
            raise KeyError(rpc)

    router = await make_router(faults=Broken("get-config", "before", None))
    async with wire(router) as client:
        client.send(GET)
        assert await client.is_cut()


async def test_slow_replies_are_slow_but_in_order(make_router):
    router = await make_router(profile=PROFILES["full"].with_quirks(slow_replies=0.01))
    async with wire(router) as client:
        for number in range(3):
            client.send(GET.replace(b'"7"', b'"%d"' % number))
        replies = [etree.fromstring(await client.receive()) for _ in range(3)]
        assert [reply.get("message-id") for reply in replies] == ["0", "1", "2"]
