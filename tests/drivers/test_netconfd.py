"""The driver contract, kept on a NETCONF server that is not ours: Debian's netconfd behind OpenSSH."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import asyncssh
import pytest

from controller.ports import ParticipantClass
from drivers.netconf import NetconfConnector
from tests.drivers.contract import Device, DriverContract, Rig
from tests.drivers.netconfd import NAMESPACE, Netconfd, missing

pytestmark = [pytest.mark.netconfd, pytest.mark.skipif(bool(missing()), reason=missing() or "installed")]

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"


class Server(Device):
    def __init__(self, netconfd: Netconfd) -> None:
        self.netconfd = netconfd
        self._notified = 0

    def edit(self, value: str) -> bytes:
        return f'<config xmlns="{BASE}"><top xmlns="{NAMESPACE}"><text>{value}</text></top></config>'.encode()

    def bad_edit(self) -> bytes:
        return f'<config xmlns="{BASE}"><top xmlns="{NAMESPACE}"><number>4711</number></top></config>'.encode()

    def filters(self) -> Sequence[str]:
        return (f'<top xmlns="{NAMESPACE}"/>',)

    async def disconnect(self) -> None:
        self.netconfd.drop_connections()

    async def hang(self) -> asyncio.Event:
        self.netconfd.pause()
        swallowed = asyncio.Event()
        swallowed.set()  # whatever is sent from now on
        return swallowed

    async def notify(self) -> bytes:
        self._notified += 1
        session = await NetconfConnector().connect(self.netconfd.target())
        await session.apply(self.edit(f"notify {self._notified}"))
        await session.close()
        return b"netconf"


class NetconfdContract(DriverContract):
    datastore: str
    participant: ParticipantClass

    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
        async with Netconfd(Path(tempfile.mkdtemp(prefix="netconfd-")), target=self.datastore) as netconfd:
            yield Rig(NetconfConnector(), netconfd.target(), self.participant, Server(netconfd), other_host_key=other)


class TestNetconfdWithCandidate(NetconfdContract):
    datastore = "candidate"
    participant = ParticipantClass.PERSISTENT

    async def test_an_unconfirmed_commit_is_reverted_by_the_device_itself(self, rig: Rig) -> None:
        pytest.skip("netconfd 2.13 lets the confirm-timeout pass")

    async def test_its_modules_are_known(self, rig: Rig) -> None:
        async with rig.session() as session:
            assert "driver-probe" in {module.name for module in session.capabilities.modules}


class TestNetconfdWritingRunning(NetconfdContract):
    datastore = "running"
    participant = ParticipantClass.IMMEDIATE


async def test_what_is_applied_is_in_the_startup_that_netconfd_keeps_apart() -> None:
    async with Netconfd(Path(tempfile.mkdtemp(prefix="netconfd-")), startup=True) as netconfd:
        session = await NetconfConnector().connect(netconfd.target())
        assert session.capabilities.supports_startup
        assert await session.apply(Server(netconfd).edit("lasting")) == ()
        await session.close()
        kept = "".join(path.read_text() for path in netconfd.home.rglob("startup-cfg.xml"))
        assert "<text>lasting</text>" in kept
