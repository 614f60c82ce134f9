"""The driver contract, kept by netmiko's `juniper_junos` on a router of the lab."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncssh
import pytest

from controller.model.identifiers import DeviceName
from controller.ports import DeviceTarget, ParticipantClass, Secret, Transport
from drivers.cli import CliConnector
from drivers.threads import DriverThreads
from lab.router.cli_server import CliServer
from lab.router.faults_point import Action, Fault
from lab.router.profiles import PROFILES
from lab.router.router import Router
from tests.drivers.contract import Device, DriverContract, Rig
from tests.drivers.test_restconf_contract import OneFault
from tests.patience import PATIENCE_SECONDS


class LabCli(Device):
    def __init__(self, router: Router) -> None:
        self.router = router
        self.faults = OneFault()
        router.faults = self.faults

    def edit(self, value: str) -> bytes:
        return (
            "set interfaces interface eth0 type iana-if-type:ethernetCsmacd\n"
            f"set interfaces interface eth0 description {value}\n"
        ).encode()

    def bad_edit(self) -> bytes:
        return b"set interfaces interface eth1 type iana-if-type:ethernetCsmacd\nset interfaces colour red\n"

    def filters(self) -> Sequence[str]:
        return ("show configuration interfaces | display set",)

    async def disconnect(self) -> None:
        self.router.sessions.drop_all()

    async def reboot(self) -> None:
        await self.router.reboot()

    async def hang(self) -> asyncio.Event:
        return self.faults.arm(Action(Fault.HANG))


@asynccontextmanager
async def cli_rig() -> AsyncIterator[Rig]:
    """A fresh CLI-only router of the lab."""
    router = Router("pe1", profile=PROFILES["cli"])
    router.add_server("cli", CliServer(router))
    await router.start()
    threads = DriverThreads(8)
    target = DeviceTarget(
        name=DeviceName("pe1"),
        hostname=router.host,
        port=router.cli_port,
        transport=Transport.CLI,
        username=router.username,
        password=Secret(router.password),
        host_key=router.host_key,
        rpc_timeout_seconds=PATIENCE_SECONDS,
    )
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    try:
        yield Rig(
            CliConnector(threads),
            target,
            ParticipantClass.IMMEDIATE,
            LabCli(router),
            has_locks=False,
            other_host_key=other,
        )
    finally:
        await router.stop()
        threads.close()


class TestJunosStyle(DriverContract):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        async with cli_rig() as rig:
            yield rig
