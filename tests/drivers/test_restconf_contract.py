"""The driver contract, kept by RESTCONF on a router of the lab."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest

from controller.model.identifiers import DeviceName
from controller.ports import DeviceTarget, ParticipantClass, Secret, Transport
from drivers.restconf import RestconfConnector
from drivers.threads import DriverThreads
from lab.router.faults_point import Action, Fault, Phase
from lab.router.profiles import PROFILES
from lab.router.restconf_server import RestconfServer
from lab.router.restconf_tls import lab_authority
from lab.router.router import Router
from lab.router.xml import parse
from tests.drivers.contract import Device, DriverContract, Rig
from tests.patience import PATIENCE_SECONDS

INTERFACES = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
TYPES = "urn:ietf:params:xml:ns:yang:iana-if-type"


def patch(*edits: str) -> bytes:
    body = "".join(f"<edit><edit-id>edit-{number}</edit-id>{edit}</edit>" for number, edit in enumerate(edits, start=1))
    namespace = "urn:ietf:params:xml:ns:yang:ietf-yang-patch"
    return f'<yang-patch xmlns="{namespace}"><patch-id>p</patch-id>{body}</yang-patch>'.encode()


def describe(value: str, interface: str = "eth0") -> bytes:
    return patch(
        "<operation>merge</operation><target>/ietf-interfaces:interfaces</target>"
        f'<value><interfaces xmlns="{INTERFACES}"><interface><name>{interface}</name>'
        f'<type xmlns:t="{TYPES}">t:ethernetCsmacd</type><description>{value}</description></interface>'
        "</interfaces></value>"
    )


class OneFault:
    """A fault point that acts once, and tells when."""

    def __init__(self) -> None:
        self.action: Action | None = None
        self.phase: Phase = "before"
        self.acted = asyncio.Event()

    def arm(self, action: Action, phase: Phase = "before") -> asyncio.Event:
        self.action, self.phase, self.acted = action, phase, asyncio.Event()
        return self.acted

    def armed(self, router: str) -> bool:
        return self.action is not None

    async def around(self, router: str, rpc: str, phase: Phase) -> Action | None:
        if self.action is None or phase != self.phase:
            return None
        action, self.action = self.action, None
        self.acted.set()
        return action


class LabRestconf(Device):
    def __init__(self, router: Router) -> None:
        self.router = router
        self.faults = OneFault()
        router.faults = self.faults
        self._numbers: Iterator[int] = itertools.count()

    def edit(self, value: str) -> bytes:
        return describe(value)

    def bad_edit(self) -> bytes:
        return patch("<operation>delete</operation><target>/ietf-interfaces:interfaces/interface=none</target>")

    def filters(self) -> Sequence[str]:
        return ("ietf-interfaces:interfaces/interface=eth0",)

    async def disconnect(self) -> None:
        self.router.sessions.drop_all()

    async def reboot(self) -> None:
        await self.router.reboot()

    async def hang(self) -> asyncio.Event:
        return self.faults.arm(Action(Fault.HANG))

    async def notify(self) -> bytes:
        value = f"notice-{next(self._numbers)}"
        config = parse(
            f'<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><interfaces xmlns="{INTERFACES}"><interface>'
            f'<name>eth0</name><type xmlns:t="{TYPES}">t:ethernetCsmacd</type><description>{value}</description>'
            "</interface></interfaces></config>".encode()
        )
        self.router.store.edit("running", config, session_id=0)
        return b"netconf-config-change"


def target_of(router: Router) -> DeviceTarget:
    return DeviceTarget(
        name=DeviceName(router.name),
        hostname=router.host,
        port=router.restconf_port,
        transport=Transport.RESTCONF,
        username=router.username,
        password=Secret(router.password),
        tls_ca=lab_authority().ca_pem.decode(),
        rpc_timeout_seconds=PATIENCE_SECONDS,
    )


@asynccontextmanager
async def restconf_rig() -> AsyncIterator[Rig]:
    """A fresh RESTCONF-only router of the lab."""
    router = Router("pe1", profile=PROFILES["restconf"])
    router.add_server("restconf", RestconfServer(router))
    await router.start()
    threads = DriverThreads(8)
    try:
        yield Rig(
            RestconfConnector(threads),
            target_of(router),
            ParticipantClass.IMMEDIATE,
            LabRestconf(router),
            has_locks=False,
        )
    finally:
        await router.stop()
        threads.close()


class TestRestconf(DriverContract):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        async with restconf_rig() as rig:
            yield rig

    async def test_a_call_on_a_lost_connection_says_that_nothing_was_sent(self, rig: Rig) -> None:
        """HTTP has no session to lose: the next call makes a connection of its own and goes through."""
        async with rig.session() as session:
            await rig.device.disconnect()
            assert (await session.read()).body
