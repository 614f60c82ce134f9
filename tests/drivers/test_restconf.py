"""What RESTCONF has and the contract does not tell: entity tags, joined reads, trust, limits, odd answers."""

import asyncio
import contextlib
import gzip
import http.server
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from lxml import etree

from controller.adapters.yang_schema import PROFILE_MODULES, load_schema
from controller.datastore.codec_restconf import RestconfCodec
from controller.datastore.diff import diff, inverse
from controller.model.errors import (
    AuthenticationFailedError,
    BusyError,
    ConflictError,
    DeviceRejectedError,
    InvalidInputError,
    LockedError,
    NotSupportedError,
    OutcomeUnknownError,
    ProtocolViolationError,
)
from controller.model.identifiers import DeviceName, TransactionId
from controller.model.yang_path import parse_path
from controller.ports import DeviceTarget, Secret, Transport
from drivers.restconf import EntityTagMismatchError, RestconfConnector
from drivers.restconf.documents import warnings
from drivers.restconf.events import event_data
from drivers.restconf.paths import resources
from drivers.threads import DriverThreads
from lab.router.faults_point import Action, Fault
from lab.router.restconf_tls import LabAuthority, lab_authority
from tests.drivers.contract import Rig
from tests.drivers.test_restconf_contract import describe, patch, restconf_rig
from tests.patience import PATIENCE_SECONDS, SHORT_DEADLINE_SECONDS

DATA = "{urn:ietf:params:xml:ns:netconf:base:1.0}data"
IF = "{urn:ietf:params:xml:ns:yang:ietf-interfaces}"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with restconf_rig() as rig:
        yield rig


class TestEntityTags:
    async def test_an_edit_with_the_tag_of_the_reading_goes_through(self, rig: Rig) -> None:
        async with rig.session() as session:
            tag = (await session.read(["ietf-interfaces:interfaces"])).entity_tag
            assert tag == (await session.read()).entity_tag
            await session.apply(describe("guarded"), tag)
            assert (await session.read()).entity_tag != tag

    async def test_an_edit_with_a_stale_tag_is_a_conflict_and_changes_nothing(self, rig: Rig) -> None:
        async with rig.session() as session:
            stale = (await session.read()).entity_tag
            await session.apply(describe("theirs"))
            with pytest.raises(EntityTagMismatchError) as refusal:
                await session.apply(describe("mine"), stale)
            assert isinstance(refusal.value, ConflictError)
            assert isinstance(refusal.value, DeviceRejectedError)
            assert refusal.value.causes
            assert b"theirs" in (await session.read()).body


async def test_configuration_goes_there_and_back_through_the_codec(rig: Rig) -> None:
    codec = RestconfCodec(load_schema(PROFILE_MODULES["ietf"]))
    entry = "/ietf-interfaces:interfaces/interface[name='ge-0/0/1,%']"
    lines = {entry: "", f"{entry}/type": "iana-if-type:ethernetCsmacd", f"{entry}/description": "<to & from>"}
    wanted = {parse_path(path): value for path, value in lines.items()}
    edit = diff({}, wanted)
    async with rig.session() as session:
        before = await session.read()
        await session.apply(codec.encode_edit(edit), before.entity_tag)
        after = await session.read(codec.encode_filters(tuple(wanted)))
        assert codec.decode(after.body) == wanted
        await session.apply(codec.encode_edit(inverse(edit)), after.entity_tag)
        assert (await session.read()).body == before.body


async def test_a_cancelled_call_frees_its_thread_and_the_session_goes_on(rig: Rig) -> None:
    async with rig.session(rpc_timeout_seconds=2 * PATIENCE_SECONDS) as session:
        swallowed = await rig.device.hang()
        call = asyncio.create_task(session.read())
        await asyncio.wait_for(swallowed.wait(), PATIENCE_SECONDS)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await asyncio.wait_for(session.read(), PATIENCE_SECONDS)).body


class TestReading:
    async def test_resources_are_joined_below_one_root_in_their_containers(self, rig: Rig) -> None:
        async with rig.session() as session:
            for name in ("eth0", "ge-0/0/1.5%x"):
                await session.apply(describe(f"about {name}", name))
            filters = [
                "ietf-interfaces:interfaces/interface=eth0/description",
                "ietf-interfaces:interfaces/interface=ge-0%2F0%2F1.5%25x",
                "ietf-interfaces:interfaces/interface=none",
                "ietf-network-instance:network-instances/network-instance=none",
            ]
            root = etree.fromstring((await session.read(filters)).body)
        assert root.tag == DATA
        (interfaces,) = root
        assert [entry.findtext(f"{IF}name") for entry in interfaces] == ["eth0", "ge-0/0/1.5%x"]

    async def test_nothing_there_is_an_empty_root(self, rig: Rig) -> None:
        async with rig.session() as session:
            root = etree.fromstring((await session.read(["ietf-interfaces:interfaces/interface=none"])).body)
        assert (root.tag, len(root)) == (DATA, 0)

    async def test_everything_has_the_same_root(self, rig: Rig) -> None:
        async with rig.session() as session:
            await session.apply(describe("all of it"))
            root = etree.fromstring((await session.read()).body)
        assert root.tag == DATA
        assert [child.tag for child in root] == [f"{IF}interfaces"]

    async def test_a_node_the_device_does_not_know_is_absent(self, rig: Rig) -> None:
        async with rig.session() as session:
            body = (await session.read(["ietf-interfaces:colours"])).body
        assert len(etree.fromstring(body)) == 0

    @pytest.mark.parametrize("path", ["", "a//b", "/"])
    async def test_a_filter_that_is_no_path_is_refused(self, rig: Rig, path: str) -> None:
        async with rig.session() as session:
            with pytest.raises(InvalidInputError):
                await session.read([path])


def test_resources_are_as_few_and_as_deep_as_can_be_placed() -> None:
    known = {"a": "urn:a", "b": "urn:b"}
    assert resources(["a:x/y=1/z", "a:x/y=1/b:w"], known) == ["a:x/y=1"]
    assert resources(["a:x/b:y/z", "a:x/b:y/z/w", "/a:q/"], known) == ["a:x/b:y/z", "a:q"]
    assert resources(["c:x/y/z"], known) == ["c:x"]


class TestFaults:
    async def test_a_rejected_patch_has_the_devices_words_path_and_tag(self, rig: Rig) -> None:
        async with rig.session() as session:
            with pytest.raises(DeviceRejectedError) as refusal:
                await session.apply(
                    patch("<operation>create</operation><target>/ietf-interfaces:interfaces/nonsense</target>")
                )
        assert refusal.value.causes[0].message
        assert refusal.value.tag

    async def test_a_lock_held_by_somebody_is_a_lock_error(self, rig: Rig) -> None:
        async with rig.session() as session:
            rig.device.faults.arm(Action(Fault.LOCK_HELD, session_id=7))
            with pytest.raises(LockedError):
                await session.apply(describe("x"))

    async def test_a_warning_is_returned_and_the_edit_holds(self, rig: Rig) -> None:
        async with rig.session() as session:
            rig.device.faults.arm(Action(Fault.WARN, message="mind the gap"))
            (warning,) = await session.apply(describe("warned"))
        assert (warning.message, warning.severity) == ("mind the gap", "warning")
        assert await rig.shows("warned")

    async def test_a_lost_reply_is_unknown_although_it_was_carried_out(self, rig: Rig) -> None:
        async with rig.session(rpc_timeout_seconds=SHORT_DEADLINE_SECONDS) as session:
            acted = rig.device.faults.arm(Action(Fault.LOSE_REPLY), "after")
            with pytest.raises(OutcomeUnknownError):
                await session.apply(describe("carried out"))
            await asyncio.wait_for(acted.wait(), PATIENCE_SECONDS)
        assert await rig.shows("carried out")

    @pytest.mark.parametrize("phase", ["before", "after"])
    async def test_a_connection_closed_around_the_act_is_unknown(self, rig: Rig, phase: str) -> None:
        async with rig.session() as session:
            rig.device.faults.arm(Action(Fault.CLOSE), phase)
            with pytest.raises(OutcomeUnknownError):
                await session.apply(describe("closed"))
        assert await rig.shows("closed") is (phase == "after")

    async def test_garbage_is_a_protocol_violation_and_the_session_lives(self, rig: Rig) -> None:
        async with rig.session() as session:
            rig.device.faults.arm(Action(Fault.GARBAGE))
            with pytest.raises(ProtocolViolationError):
                await session.read()
            assert (await session.read()).body

    async def test_a_split_and_a_huge_answer_are_read_whole(self, rig: Rig) -> None:
        async with rig.session() as session:
            await session.apply(describe("whole"))
            rig.device.faults.arm(Action(Fault.SPLIT, octets=7))
            assert b"whole" in (await session.read()).body
            rig.device.faults.arm(Action(Fault.HUGE, octets=5_000_000))
            assert b"whole" in (await session.read()).body


async def test_what_needs_a_candidate_is_refused(rig: Rig) -> None:
    async with rig.session() as session:
        for refused in (
            session.prepare(b""),
            session.validate(),
            session.commit_tentative(TransactionId("t"), 1),
            session.confirm(TransactionId("t")),
            session.cancel(TransactionId("t")),
            session.commit_now(),
        ):
            with pytest.raises(NotSupportedError):
                await refused


async def test_a_certificate_of_another_authority_is_not_trusted(rig: Rig) -> None:
    for untrusted in (LabAuthority().ca_pem.decode(), "", "no certificate at all"):
        with pytest.raises(AuthenticationFailedError) as refusal:
            await rig.connect(tls_ca=untrusted)
        assert "tls_ca" in str(refusal.value)


Answer = tuple[int, dict[str, str], bytes]


class Canned(http.server.BaseHTTPRequestHandler):
    """Answers `/restconf/data` from the server's script, everything else with 404."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        is_data = self.path.split("?")[0] == "/restconf/data"
        status, headers, body = self.server.answer if is_data else (404, {}, b"")
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(OSError):
                self.wfile.write(body)

    do_GET = do_HEAD = do_PATCH = _answer  # noqa: N815  # names that http.server looks for

    def log_message(self, *_arguments: object) -> None:
        """Keep quiet."""


class CannedServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    answer: Answer = (200, {}, b"<data xmlns='urn:ietf:params:xml:ns:yang:ietf-restconf'/>")

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Canned)
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.socket = lab_authority().context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""


@pytest.fixture
def canned() -> Iterator[CannedServer]:
    server = CannedServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
async def threads() -> AsyncIterator[DriverThreads]:
    threads = DriverThreads(4)
    yield threads
    threads.close()


def target_of(canned: CannedServer) -> DeviceTarget:
    return DeviceTarget(
        DeviceName("odd"),
        "127.0.0.1",
        canned.server_address[1],
        Transport.RESTCONF,
        "admin",
        Secret("pässword"),
        tls_ca=lab_authority().ca_pem.decode(),
        rpc_timeout_seconds=PATIENCE_SECONDS,
    )


ERRORS = b"""<errors xmlns="urn:ietf:params:xml:ns:yang:ietf-restconf"><error><error-type>protocol</error-type>
<error-tag>invalid-value</error-tag><error-path>/a:b</error-path><error-app-tag>x</error-app-tag>
<error-message>first</error-message></error><error><error-tag>too-big</error-tag></error></errors>"""


class TestOddServers:
    async def test_a_device_without_host_meta_is_looked_for_at_the_usual_root(self, canned, threads) -> None:
        session = await RestconfConnector(threads).connect(target_of(canned))
        assert (await session.read()).body
        assert canned.seen[-1][1].startswith("/restconf/data")
        await session.close()

    async def test_an_answer_beyond_the_limit_is_cut_off(self, canned, threads) -> None:
        canned.answer = (200, {}, b"<data>" + b" " * 2_000_000 + b"</data>")
        session = await RestconfConnector(threads, max_body_bytes=1_000_000).connect(target_of(canned))
        with pytest.raises(ProtocolViolationError) as refusal:
            await session.read()
        assert refusal.value.tag == "too-big"
        await session.close()

    async def test_a_small_answer_that_unfolds_beyond_the_limit_is_cut_off(self, canned, threads) -> None:
        bomb = gzip.compress(b"<data>" + b" " * 50_000_000 + b"</data>")
        canned.answer = (200, {"Content-Encoding": "gzip"}, bomb)
        session = await RestconfConnector(threads, max_body_bytes=1_000_000).connect(target_of(canned))
        with pytest.raises(ProtocolViolationError):
            await session.read()
        await session.close()

    async def test_a_redirect_is_not_followed_with_the_password(self, canned, threads) -> None:
        canned.answer = (302, {"Location": "https://elsewhere.example/"}, b"")
        session = await RestconfConnector(threads).connect(target_of(canned))
        with pytest.raises(DeviceRejectedError, match="302"):
            await session.read()
        await session.close()

    @pytest.mark.parametrize(
        "body", [b"<!DOCTYPE d [<!ENTITY e 'x'>]><data>&e;</data>", b"<data>", b"", b"{}", b"\xff\xfe"]
    )
    async def test_what_is_not_plain_xml_is_a_protocol_violation(self, canned, threads, body) -> None:
        canned.answer = (200, {}, body)
        session = await RestconfConnector(threads).connect(target_of(canned))
        with pytest.raises(ProtocolViolationError) as refusal:
            await session.read()
        assert refusal.value.device == "odd"
        await session.close()

    @pytest.mark.parametrize(
        "status,body,error",
        [
            (400, ERRORS, DeviceRejectedError),
            (200, ERRORS, DeviceRejectedError),
            (500, b"oops", DeviceRejectedError),
            (401, b"", AuthenticationFailedError),
            (403, b"", DeviceRejectedError),
            (412, b"", EntityTagMismatchError),
            (409, ERRORS.replace(b"invalid-value", b"in-use"), LockedError),
            (503, b"", BusyError),
            (502, b"<html>bad gateway</html>", OutcomeUnknownError),
        ],
    )
    async def test_a_status_means_one_error(self, canned, threads, status, body, error) -> None:
        session = await RestconfConnector(threads).connect(target_of(canned))
        canned.answer = (status, {}, body)
        with pytest.raises(error) as refusal:
            await session.apply(b"<yang-patch/>", '"tag"')
        assert refusal.value.device == "odd"
        assert canned.seen[-1][2]["If-Match"] == '"tag"'
        await session.close()

    async def test_every_cause_is_kept_with_path_and_app_tag(self, canned, threads) -> None:
        session = await RestconfConnector(threads).connect(target_of(canned))
        canned.answer = (400, {}, ERRORS)
        with pytest.raises(DeviceRejectedError) as refusal:
            await session.apply(b"<yang-patch/>")
        first, second = refusal.value.causes
        assert (first.tag, first.message, first.path, first.app_tag) == ("invalid-value", "first", "/a:b", "x")
        assert second.tag == "too-big"
        assert (refusal.value.tag, refusal.value.path) == ("invalid-value", "/a:b")
        await session.close()

    async def test_an_answer_that_stops_in_the_middle_is_unknown(self, canned, threads) -> None:
        session = await RestconfConnector(threads).connect(target_of(canned))
        canned.answer = (200, {"Content-Length": "1000", "Connection": "close"}, b"<data>")
        with pytest.raises(OutcomeUnknownError):
            await session.apply(b"<yang-patch/>")
        await session.close()

    async def test_a_name_the_certificate_does_not_have_is_not_trusted(self, canned, threads) -> None:
        with pytest.raises(AuthenticationFailedError):
            await RestconfConnector(threads).connect(replace(target_of(canned), hostname=socket.gethostname()))


async def test_one_pool_serves_many_sessions_and_calls_wait_their_turn(rig: Rig, threads) -> None:
    connector = RestconfConnector(threads)
    sessions = await asyncio.gather(*(connector.connect(rig.target) for _ in range(12)))
    readings = await asyncio.gather(*(session.read() for session in sessions))
    assert len(readings) == 12
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("driver")]
    assert len([name for name in names if name]) <= 4 + 8, "this pool's four, and the rig's"
    await asyncio.gather(*(session.close() for session in sessions))


def test_events_are_their_data_lines_joined() -> None:
    lines = [b": hello", b"", b"event: x", b"data: <a>", b"data:  b", b"data:</a>", b"id: 1", b"", b"data: <c/>", b""]
    assert list(event_data(lines)) == [b"<a>\n b\n</a>", b"<c/>"]


def test_warnings_are_the_texts_of_the_header() -> None:
    assert [item.message for item in warnings('299 - "a \\"b\\"", 214 x "c"')] == ['a "b"', "c"]
    assert warnings("") == ()
