"""Logging in: keys and host keys, subsystems, hello, modules, and every vendor handler of ncclient."""

import asyncio

import asyncssh
import pytest
from ncclient.devices import get_supported_devices
from ncclient.operations.third_party.nexus.rpc import ExecCommand

from controller.model.errors import (
    AuthenticationFailedError,
    ConnectionFailedError,
    DeviceRejectedError,
    InvalidInputError,
    OutcomeUnknownError,
    ProtocolViolationError,
)
from controller.ports import ModuleRevision, ParticipantClass, Secret
from drivers.netconf import NetconfConnector
from drivers.netconf.capabilities import YANG_LIBRARY
from tests.drivers.canned import BASE, BASE_10_ONLY, CAPABILITY, FULL, Answer, CannedServer, Rpc, sane
from tests.patience import PATIENCE_SECONDS, SHORT_DEADLINE_SECONDS

EDIT = f'<config xmlns="{BASE}"><top xmlns="urn:example:things"/></config>'.encode()


def connect(server: CannedServer, **changes):
    return NetconfConnector().connect(server.target(**changes))


# -- keys --------------------------------------------------------------------------------------------------------------


async def test_a_private_key_from_the_inventory_logs_in():
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with CannedServer(authorized=key.export_public_key().decode().strip()) as server:
        session = await connect(server, password=None, private_key=Secret(key.export_private_key().decode()))
        await session.close()


async def test_a_key_that_is_not_authorised_is_an_authentication_failure():
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with CannedServer() as server:
        with pytest.raises(AuthenticationFailedError):
            await connect(server, password=None, private_key=Secret(key.export_private_key().decode()))


async def test_a_private_key_that_cannot_be_read_is_reported_without_showing_it():
    async with CannedServer() as server:
        with pytest.raises(AuthenticationFailedError) as failure:
            await connect(server, private_key=Secret("-----BEGIN NONSENSE-----"))
        assert "NONSENSE" not in str(failure.value)


async def test_known_hosts_text_with_the_devices_key_lets_in():
    async with CannedServer() as server:
        line = f"[127.0.0.1]:{server.port} {server.host_key}\n"
        session = await connect(server, host_key="", known_hosts=line)
        await session.close()


async def test_a_host_key_that_cannot_be_read_is_invalid_input():
    async with CannedServer() as server:
        with pytest.raises(InvalidInputError):
            await connect(server, host_key="ssh-ed25519 nonsense")


# -- subsystems and hello ----------------------------------------------------------------------------------------------


async def test_a_refused_subsystem_is_a_connection_failure():
    async with CannedServer() as server:
        server.accepted_subsystems = set()
        with pytest.raises(ConnectionFailedError) as failure:
            await connect(server)
        assert failure.value.device == "pe1"


async def test_nexus_is_tried_by_its_second_subsystem_name():
    async with CannedServer() as server:
        server.accepted_subsystems = {"xmlagent"}
        session = await connect(server, device_type="nexus")
        assert server.subsystems == ["netconf", "xmlagent"]
        await session.close()


async def test_junos_is_spoken_to_as_a_command_where_there_is_no_subsystem():
    async with CannedServer() as server:
        server.accepted_subsystems = set()
        server.accepted_command = "xml-mode netconf need-trailer"
        session = await connect(server, device_type="junos")
        assert (await session.read()).body
        await session.close()


async def test_no_hello_is_a_connection_failure_at_the_deadline_and_the_connection_goes():
    async with CannedServer(hello=None) as server:
        with pytest.raises(ConnectionFailedError, match="in time"):
            await connect(server, connect_timeout_seconds=0.5)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while server.connections:  # noqa: ASYNC110 - the server has no event for this
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("hello", [b"garbage]]>]]>", b"<hello><capabilities>]]>]]>", b"<rpc-reply/>]]>]]>"])
async def test_a_broken_hello_is_a_protocol_violation_or_a_failure_to_connect(hello):
    async with CannedServer(hello=hello) as server:
        with pytest.raises((ProtocolViolationError, ConnectionFailedError)):
            await connect(server)


async def test_a_connection_that_drops_before_hello_is_a_connection_failure():
    async with CannedServer(hello=None) as server:
        login = asyncio.create_task(connect(server))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not server.sessions:  # noqa: ASYNC110 - the server has no event for this
                await asyncio.sleep(0.01)
        server.disconnect()
        with pytest.raises(ConnectionFailedError):
            await asyncio.wait_for(login, PATIENCE_SECONDS)


@pytest.mark.parametrize(
    "capabilities, participant",
    [
        (FULL, ParticipantClass.PERSISTENT),
        ([FULL[0], f"{CAPABILITY}candidate:1.0", f"{CAPABILITY}confirmed-commit:1.0"], ParticipantClass.SESSION_BOUND),
        ([FULL[0], f"{CAPABILITY}candidate:1.0"], ParticipantClass.CANDIDATE),
        ([FULL[0], f"{CAPABILITY}writable-running:1.0"], ParticipantClass.IMMEDIATE),
        ([FULL[0], f"{CAPABILITY}confirmed-commit:1.1"], ParticipantClass.IMMEDIATE),
    ],
)
async def test_the_participant_class_follows_from_the_capabilities(capabilities, participant):
    async with CannedServer(capabilities=capabilities) as server:
        session = await connect(server)
        assert session.capabilities.participant is participant
        assert session.capabilities.session_id == "7"
        await session.close()


# -- modules -----------------------------------------------------------------------------------------------------------

NMDA = f"""<data><yang-library xmlns="{YANG_LIBRARY}"><module-set><name>all</name>
<module><name>things</name><revision>2026-01-01</revision><namespace>urn:example:things</namespace></module>
<import-only-module><name>types</name><revision/><namespace>urn:example:types</namespace></import-only-module>
</module-set></yang-library></data>"""
OLD = f"""<data><modules-state xmlns="{YANG_LIBRARY}">
<module><name>things</name><revision>2026-01-01</revision><namespace>urn:example:things</namespace>
<conformance-type>implement</conformance-type></module>
<module><name>types</name><revision/><namespace>urn:example:types</namespace><conformance-type>import</conformance-type>
</module></modules-state></data>"""


@pytest.mark.parametrize("library", [NMDA, OLD])
async def test_modules_missing_in_hello_come_from_the_yang_library(library):
    def answer(rpc: Rpc) -> Answer:
        return library if rpc.operation == "get" else sane(rpc)

    async with CannedServer(answer, capabilities=FULL[:-1]) as server:
        session = await connect(server)
        assert session.capabilities.modules == (ModuleRevision("things", "2026-01-01", "urn:example:things"),)
        await session.close()


async def test_a_device_without_a_yang_library_has_unknown_modules():
    refused = "<rpc-error><error-tag>unknown-element</error-tag><error-severity>error</error-severity></rpc-error>"

    def answer(rpc: Rpc) -> Answer:
        return refused if rpc.operation == "get" else sane(rpc)

    async with CannedServer(answer, capabilities=FULL[:-1]) as server:
        session = await connect(server)
        assert session.capabilities.modules == ()
        await session.close()


async def test_modules_in_hello_need_no_question():
    async with CannedServer() as server:
        session = await connect(server)
        assert session.capabilities.modules == (ModuleRevision("things", "2026-01-01", "urn:example:things"),)
        assert server.operations() == []
        await session.close()


# -- ncclient's vendor handlers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("device_type", get_supported_devices())
@pytest.mark.parametrize("capabilities", [FULL, BASE_10_ONLY], ids=["chunked", "end-of-message"])
async def test_every_vendor_handler_carries_a_whole_transaction(device_type, capabilities):
    async with CannedServer(capabilities=capabilities) as server:
        session = await connect(server, device_type=device_type)
        await session.lock()
        assert b"canned" in (await session.read(['<top xmlns="urn:example:things"/>'])).body
        assert b'<top xmlns="urn:example:things"/></' in server.seen[-1].text
        await session.prepare(EDIT)
        assert b'<top xmlns="urn:example:things"/></' in server.seen[-1].text
        assert b"accord-blank" not in server.seen[-1].text
        await session.validate()
        await session.commit_tentative("tx-1", 60)
        await session.confirm("tx-1")
        await session.release()
        await session.close()


async def test_an_unknown_device_type_is_invalid_input():
    async with CannedServer() as server:
        for device_type in ("nosuch", "os.path", "__init__"):
            with pytest.raises(InvalidInputError, match=r"pe1.*nexus"):
                await connect(server, device_type=device_type)


async def test_errors_a_vendor_handler_knows_as_harmless_are_warnings():
    harmless = (
        "<rpc-error><error-tag>operation-failed</error-tag><error-severity>error</error-severity>"
        "<error-message>VLAN with the same name exists already</error-message></rpc-error>"
    )

    def answer(rpc: Rpc) -> Answer:
        return harmless if rpc.operation == "edit-config" else sane(rpc)

    async with CannedServer(answer) as server:
        nexus, plain = await connect(server, device_type="nexus"), await connect(server)
        assert [cause.tag for cause in await nexus.prepare(EDIT)] == ["operation-failed"]
        with pytest.raises(DeviceRejectedError):
            await plain.prepare(EDIT)
        await asyncio.gather(nexus.close(), plain.close())


async def test_a_huawei_reply_wrapped_in_zero_octets_is_repaired_by_its_handler():
    def answer(rpc: Rpc) -> Answer:
        inside = f'\0<rpc-reply xmlns="{BASE}" message-id="{rpc.message_id}"><ok/></rpc-reply>\0'
        return rpc.session.framed(inside)

    async with CannedServer(answer, capabilities=BASE_10_ONLY) as server:
        session = await connect(server, device_type="huawei")
        assert await session.commit_now() == ()
        await session.close()


async def test_a_vendors_own_operation_is_awaited():
    async with CannedServer() as server:
        session = await connect(server, device_type="nexus")
        reply = await session.execute(ExecCommand, ["show version"])
        assert reply.ok
        assert b"show version" in server.seen[-1].text
        assert (await session.read()).body, "ours and ncclient's calls mix"
        await session.close()


async def test_a_vendors_own_operation_fails_in_our_words():
    refusal = (
        "<rpc-error><error-tag>operation-failed</error-tag><error-severity>error</error-severity>"
        "<error-message>no such command</error-message></rpc-error>"
    )
    answers: list[Answer] = [refusal, None]
    late: list[Rpc] = []

    def answer(rpc: Rpc) -> Answer:
        if rpc.operation != "exec-command":
            return sane(rpc)
        late.append(rpc)
        return answers.pop(0)

    async with CannedServer(answer) as server:
        session = await connect(server, device_type="nexus", rpc_timeout_seconds=SHORT_DEADLINE_SECONDS)
        with pytest.raises(DeviceRejectedError, match="no such command"):
            await session.execute(ExecCommand, ["show nothing"])
        with pytest.raises(OutcomeUnknownError, match="no answer"):
            await session.execute(ExecCommand, ["show slowly"])
        late[1].session.send(late[1].reply("<ok/>"))
        assert (await session.read()).body, "a late reply is harmless"
        await session.close()
        with pytest.raises(ConnectionFailedError):
            await session.execute(ExecCommand, ["show version"])
