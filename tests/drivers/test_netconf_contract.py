"""The driver contract, kept by NETCONF on the lab's routers of every participant class."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import asyncssh
import pytest
from lxml import etree

from controller.model.identifiers import DeviceName
from controller.ports import DeviceTarget, ParticipantClass, Secret, Transport
from drivers.netconf import NetconfConnector
from lab.router.faults_point import Action, Fault, Phase
from lab.router.profiles import PROFILES, Profile
from lab.router.router import Router
from tests.drivers.contract import Device, DriverContract, Rig
from tests.patience import PATIENCE_SECONDS

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
INTERFACES = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
TYPES = "urn:ietf:params:xml:ns:yang:iana-if-type"


class HangOnce:
    """A fault point that swallows one request."""

    def __init__(self) -> None:
        self.swallowed: asyncio.Event | None = None

    def armed(self, router: str) -> bool:
        return self.swallowed is not None

    async def around(self, router: str, rpc: str, phase: Phase) -> Action | None:
        if self.swallowed is None:
            return None
        self.swallowed.set()
        self.swallowed = None
        return Action(Fault.HANG)


class LabRouter(Device):
    def __init__(self, router: Router) -> None:
        self.router = router
        self.faults = HangOnce()
        router.faults = self.faults

    def edit(self, value: str) -> bytes:
        return (
            f'<config xmlns="{BASE}"><interfaces xmlns="{INTERFACES}"><interface><name>eth0</name>'
            f'<type xmlns:t="{TYPES}">t:ethernetCsmacd</type><description>{value}</description></interface>'
            f"</interfaces></config>"
        ).encode()

    def bad_edit(self) -> bytes:
        unknown = f'<interfaces xmlns="{INTERFACES}"><colour>red</colour></interfaces>'
        return f'<config xmlns="{BASE}">{unknown}</config>'.encode()

    def filters(self) -> Sequence[str]:
        return (f'<interfaces xmlns="{INTERFACES}"><interface><name>eth0</name></interface></interfaces>',)

    async def disconnect(self) -> None:
        self.router.sessions.drop_all()

    async def hang(self) -> asyncio.Event:
        swallowed = self.faults.swallowed = asyncio.Event()
        return swallowed

    async def reboot(self) -> None:
        await self.router.reboot()

    async def notify(self) -> bytes:
        event = etree.Element("{urn:example:events}link-down")
        event.text = "eth0-is-gone"
        self.router.publish(event)
        return b"eth0-is-gone"


def target_of(router: Router, **changes: object) -> DeviceTarget:
    target = DeviceTarget(
        name=DeviceName(router.name),
        hostname=router.host,
        port=router.netconf_port,
        transport=Transport.NETCONF,
        username=router.username,
        password=Secret(router.password),
        host_key=router.host_key,
        rpc_timeout_seconds=PATIENCE_SECONDS,
    )
    return replace(target, **changes)  # type: ignore[arg-type]  # test shorthand


class LabContract(DriverContract):
    profile: Profile
    participant: ParticipantClass
    quirks: frozenset[str] = frozenset()

    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        router = Router("pe1", profile=self.profile)
        await router.start()
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
        try:
            yield Rig(
                NetconfConnector(),
                target_of(router, quirks=self.quirks),
                self.participant,
                LabRouter(router),
                other_host_key=other,
            )
        finally:
            await router.stop()


class TestFullRouter(LabContract):
    profile = PROFILES["full"]
    participant = ParticipantClass.PERSISTENT


class TestRouterThatBootsFromStartup(LabContract):
    profile = PROFILES["startup"]
    participant = ParticipantClass.PERSISTENT


class TestCandidateRouterThatBootsFromStartup(LabContract):
    profile = replace(PROFILES["startup"], confirmed_commit=None)
    participant = ParticipantClass.CANDIDATE


class TestRunningOnlyRouterThatBootsFromStartup(LabContract):
    profile = replace(PROFILES["running"], startup=True, boots_from="startup")
    participant = ParticipantClass.IMMEDIATE


class TestConfirmedCommit10Router(LabContract):
    profile = PROFILES["confirmed10"]
    participant = ParticipantClass.SESSION_BOUND


class TestCandidateRouter(LabContract):
    profile = PROFILES["candidate"]
    participant = ParticipantClass.CANDIDATE


class TestRunningOnlyRouter(LabContract):
    profile = PROFILES["running"]
    participant = ParticipantClass.IMMEDIATE


class TestRouterWithWarningsAndSilentHello(LabContract):
    profile = PROFILES["full"].with_quirks(hello_without_modules=True, warnings=True, several_rpc_errors=True)
    participant = ParticipantClass.PERSISTENT


class TestRouterWhoseValidateDropsTheCandidate(LabContract):
    profile = PROFILES["full"].with_quirks(validate_drops_candidate=True)
    participant = ParticipantClass.PERSISTENT
    quirks = frozenset({"no-validate"})
