"""Perfect devices in memory behind the real session pool, executor and coordinator: nothing is lost or refused."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from controller.adapters.event_log_memory import MemoryEventLog
from controller.adapters.validation import l3sm_validator
from controller.datastore.diff import Edit, apply, to_json, within
from controller.intent.knowledge import KnowledgeBase
from controller.mapping.infrastructure import Infrastructure
from controller.model.identifiers import DeviceName, TransactionId
from controller.model.inventory import DeviceRecord
from controller.model.yang_path import Config, Path, format_path, parse_path
from controller.ports import Capabilities, DeviceTarget, ParticipantClass, Reading, Transport, Warnings
from controller.runtime.controller import Controller
from controller.runtime.device_care import DeviceCare
from controller.runtime.intents import Intents
from controller.runtime.leases import Leases
from controller.runtime.planner import Planner
from controller.runtime.sessions import SessionPool
from controller.runtime.transactions import Transactions
from controller.runtime.world import World
from controller.transaction.out_of_band import DEFAULT_RULES
from controller.transaction.plan_json import edit_from_json, edit_to_json

KINDS = tuple(ParticipantClass)
VALIDATOR = l3sm_validator()


class StandingClock:
    """A clock that moves a second with each look."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def now(self) -> float:
        self.time += 1.0
        return self.time

    monotonic = now


class PlainCodec:
    """An edit is its own JSON."""

    def encode_edit(self, edit: Edit) -> bytes:
        return orjson.dumps(edit_to_json(edit))

    def encode_filters(self, scope: Sequence[Path]) -> Sequence[str]:
        return [format_path(path) for path in scope]

    def decode(self, body: bytes) -> Config:
        return {parse_path(path): value for path, value in orjson.loads(body).items()}


@dataclass(slots=True)
class MemoryDevice:
    """A device and the one session to it."""

    device: DeviceName
    capabilities: Capabilities
    running: dict[Path, str]
    wire: list[bytes] = field(default_factory=list)
    _candidate: bytes = b""
    _before: dict[Path, str] | None = None

    async def read(self, filters: Sequence[str] = ()) -> Reading:
        shown = within(self.running, [parse_path(text) for text in filters]) if filters else self.running
        return Reading(orjson.dumps(to_json(shown)))

    read_state = read

    def foresee(self, *, validate: bool = False, read: Sequence[str] | None = None) -> None:
        pass

    async def lock(self) -> None:
        assert self._before is None, "locked while a commit waits for its confirmation"

    async def prepare(self, edit: bytes) -> Warnings:
        assert self.capabilities.participant is not ParticipantClass.IMMEDIATE
        self.wire.append(edit)
        self._candidate = edit
        return ()

    async def validate(self) -> Warnings:
        return ()

    async def commit_tentative(self, persist: TransactionId, timeout_seconds: float) -> Warnings:
        self._before = dict(self.running)
        return await self.commit_now()

    async def confirm(self, persist: TransactionId) -> None:
        assert self._before is not None
        self._before = None

    async def cancel(self, persist: TransactionId) -> None:
        if self._before is not None:
            self.running, self._before = self._before, None

    async def commit_now(self) -> Warnings:
        self._carry_out(self._candidate)
        return ()

    async def apply(self, edit: bytes, entity_tag: str = "") -> Warnings:
        self.wire.append(edit)
        self._carry_out(edit)
        return ()

    async def release(self) -> None:
        assert self._before is None

    async def notifications(self) -> AsyncIterator[bytes]:
        for nothing in ():
            yield nothing

    async def subscribe(self) -> AsyncIterator[bytes]:
        return self.notifications()

    async def close(self) -> None:
        pass

    def _carry_out(self, body: bytes) -> None:
        edit = edit_from_json(orjson.loads(body))
        for change in edit:
            assert self.running.get(change.path) == change.old, f"{self.device}: the base is not there for {change}"
        self.running = apply(self.running, edit)


class MemoryConnector:
    """Gives the one session of each device."""

    def __init__(self, devices: Mapping[DeviceName, MemoryDevice]) -> None:
        self.devices = devices

    async def connect(self, target: DeviceTarget) -> MemoryDevice:
        return self.devices[target.name]


def memory_controller(
    infrastructure: Infrastructure, initial: Mapping[DeviceName, Mapping[Path, str]]
) -> tuple[Controller, Mapping[DeviceName, MemoryDevice]]:
    """A controller of the real parts but for devices, codecs and the log's disk; the devices hold `initial`."""
    devices = {
        name: MemoryDevice(name, Capabilities(Transport.NETCONF, KINDS[n % len(KINDS)]), dict(config))
        for n, (name, config) in enumerate(sorted(initial.items()))
    }
    clock, world = StandingClock(), World()
    log = MemoryEventLog(clock=clock)
    log.subscribe(world.apply_all)
    sessions = SessionPool(
        {Transport.NETCONF: MemoryConnector(devices)},
        lambda name: DeviceTarget(name, "nowhere", 0, Transport.NETCONF, ""),
        clock,
    )
    leases, codec = Leases(clock), PlainCodec()
    planner = Planner(world, VALIDATOR, infrastructure, log)

    def codecs(_: DeviceName) -> PlainCodec:
        return codec

    transactions = Transactions(world, log, clock, sessions, leases, codecs, lambda _: DEFAULT_RULES)
    controller = Controller(
        world=world,
        log=log,
        clock=clock,
        leases=leases,
        sessions=sessions,
        planner=planner,
        transactions=transactions,
        intents=Intents(world, log, clock, planner, KnowledgeBase),
        care=DeviceCare(world, log, sessions, codecs, lambda _: DEFAULT_RULES),
        codecs=codecs,
        records=lambda: {name: DeviceRecord(name) for name in devices},
    )
    return controller, devices
