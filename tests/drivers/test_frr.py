"""netmiko's `cisco_ios`, unmodified, on FRR's vtysh behind OpenSSH; and the declared subset against the real thing."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import asyncssh
import pytest

from controller.datastore.cli_frr import frr_syntax
from controller.datastore.codec_cli import CliCodec
from controller.datastore.diff import diff, inverse
from controller.model.errors import ConflictError, DeviceRejectedError, NotSupportedError
from controller.ports import DeviceTarget, ParticipantClass
from drivers.cli import CliConnector
from drivers.threads import DriverThreads
from tests.controller.test_cli_template import RED, address, interface, vpn
from tests.drivers.contract import Device, DriverContract, Rig
from tests.drivers.frr import running_frr, why_not
from tests.patience import PATIENCE_SECONDS

pytestmark = [pytest.mark.frr, pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")]
CODEC = CliCodec(frr_syntax(65000))


@pytest.fixture
async def target() -> AsyncIterator[DeviceTarget]:
    async with running_frr() as target:
        yield target


@pytest.fixture
async def connector() -> AsyncIterator[CliConnector]:
    threads = DriverThreads(4)
    yield CliConnector(threads)
    threads.close()


class Vtysh(Device):
    def edit(self, value: str) -> bytes:
        return f"interface eth7\n description {value}\nexit\n".encode()

    def bad_edit(self) -> bytes:
        return b"no such command\n"

    def filters(self) -> Sequence[str]:
        return ("show running-config zebra",)


class TestVtyshKeepsTheContract(DriverContract):
    @pytest.fixture
    async def rig(self, connector: CliConnector, target: DeviceTarget) -> Rig:
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
        return Rig(connector, target, ParticipantClass.IMMEDIATE, Vtysh(), has_locks=False, other_host_key=other)


async def test_what_is_written_in_the_declared_subset_is_read_back(connector, target):
    session = await connector.connect(target)
    try:
        first = await session.read()
        found = CODEC.decode(first.body)
        wanted = RED | vpn("blue", "65000:9", ["65000:9"], ["65000:9"]) | interface("eth8", *address("10.5.0.1", 24))
        await session.apply(CODEC.on(found).encode_edit(diff(found, found | wanted)), first.entity_tag)
        second = await session.read()
        assert CODEC.decode(second.body) == found | wanted
        changed = {path: value for path, value in wanted.items() if "blue" not in str(path)}
        changed |= interface("eth8", ("/description", "moved to Paris"), *address("10.5.0.2", 24))
        changed = {path: value for path, value in changed.items() if "10.5.0.1" not in str(path)}
        edit = diff(found | wanted, found | changed)
        await session.apply(CODEC.on(found | wanted).encode_edit(edit), second.entity_tag)
        assert CODEC.decode((await session.read()).body) == found | changed
        await session.apply(CODEC.on(found | changed).encode_edit(inverse(edit)))
        assert CODEC.decode((await session.read()).body) == found | wanted
        await session.apply(CODEC.on(found | wanted).encode_edit(diff(found | wanted, found)))
        last = await session.read()
        assert (CODEC.decode(last.body), last.entity_tag) == (found, first.entity_tag), "nothing is left behind"
    finally:
        await session.close()


async def test_what_frr_has_besides_is_told_and_left_alone(connector, target):
    session = await connector.connect(target)
    try:
        await session.apply(b"ip route 192.0.2.0/24 10.0.0.1\nrouter bgp 65000\n neighbor 10.0.0.1 remote-as 1\nexit\n")
        unknown = [line.line for line in CODEC.unknown((await session.read()).body)]
        assert unknown == ["ip route 192.0.2.0/24 10.0.0.1", "neighbor 10.0.0.1 remote-as 1"]
    finally:
        await session.close()


async def test_a_refused_line_says_in_frrs_words_why_and_that_the_lines_before_hold(connector, target):
    session = await connector.connect(target)
    try:
        with pytest.raises(DeviceRejectedError) as refusal:
            await session.apply(b"interface eth7\n description before\n ip address 300.0.0.1/8\nexit\n")
        assert refusal.value.causes[0].message.startswith("% ")
        assert refusal.value.tag == "partial-operation"
        assert b"before" in (await session.read()).body
    finally:
        await session.close()


async def test_a_stale_entity_tag_stops_the_edit_before_it_is_sent(connector, target):
    session = await connector.connect(target)
    try:
        stale = (await session.read()).entity_tag
        await session.apply(b"interface eth7\n description other\nexit\n")
        with pytest.raises(ConflictError):
            await session.apply(b"interface eth7\n description mine\nexit\n", stale)
        assert b"mine" not in (await session.read()).body
    finally:
        await session.close()


async def test_vtysh_has_no_configuration_session_to_compare_in(connector, target):
    session = await connector.connect(target)
    try:
        with pytest.raises(NotSupportedError):
            await session.compare(b"interface eth7\n")
        assert await asyncio.wait_for(session.read(["show version"]), PATIENCE_SECONDS)
    finally:
        await session.close()
