"""Owns looking after devices outside transactions: reading them, telling drift and its owners, adopting what is there.

Drift is what differs between the mirror (what was last read or written) and a fresh reading. Each differing line is
explained: what was expected, what was found, who owns it, and what its out-of-band policy would do. The same drift that
comes back after every repair is a fight with somebody else: repairing stops and says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from controller.datastore.codec import Codec
from controller.datastore.contributions import Delta, resolve
from controller.datastore.diff import Change, Edit, diff, to_json
from controller.events import types
from controller.model.errors import ConflictError, InvalidInputError
from controller.model.identifiers import DeviceName, Owner
from controller.model.inventory import DeviceRecord
from controller.model.yang_path import Path, format_path, is_within
from controller.ports import Capabilities, DeviceSession, EventLog, NewEvent, Reading
from controller.runtime.leases import Lease
from controller.runtime.sessions import SessionPool
from controller.runtime.world import World
from controller.transaction.network_state import DeviceKnowledge
from controller.transaction.out_of_band import PolicyRule, policy_for
from controller.transaction.plan import before_owner
from controller.transaction.plan_json import delta_to_json

_FIGHT_AFTER = 3


@dataclass(frozen=True, slots=True)
class Difference:
    """One line that is not as expected."""

    path: Path
    expected: str | None
    found: str | None
    owners: tuple[Owner, ...]
    policy: str

    def explain(self) -> str:
        """One sentence."""
        whose = f"owned by {', '.join(self.owners)}" if self.owners else "nobody's"
        expected = "nothing" if self.expected is None else f"'{self.expected}'"
        found = "nothing" if self.found is None else f"'{self.found}'"
        return f"{format_path(self.path)}: expected {expected}, found {found} ({whose}; policy: {self.policy})"


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a check found. `is_fight` when the same drift keeps coming back after repairs."""

    device: DeviceName
    differences: tuple[Difference, ...]
    is_fight: bool = False

    @property
    def is_in_sync(self) -> bool:
        """Whether the device is as the controller left it."""
        return not self.differences


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """A device as `device list` shows it."""

    record: DeviceRecord
    state: str
    """`connected`, `failed` or `idle`."""
    error: str
    is_known: bool
    """Whether its configuration has been read once."""
    count_lines: Callable[[], int]
    """Costs something for a device that nobody has asked for since the start."""
    lease: Lease | None

    @property
    def lines(self) -> int:
        """Known lines of its configuration."""
        return self.count_lines()


@dataclass(slots=True)
class DeviceCare:
    """Reads devices and records what was learnt. Serialised with transactions by the caller's leases."""

    world: World
    log: EventLog
    sessions: SessionPool
    codecs: Callable[[DeviceName], Codec]
    rules: Callable[[DeviceName], Sequence[PolicyRule]]
    _repeats: dict[DeviceName, tuple[Edit, int]] = field(default_factory=dict)

    async def sync_from(self, device: DeviceName, actor: str) -> DeviceKnowledge:
        """Read the whole configuration and take it as what the device holds; a fight over it is over."""
        config, capabilities = await self._read(device)
        data = {"device": device, "config": to_json(config), "participant": capabilities.participant.value}
        await self.log.append([NewEvent(f"device/{device}", types.DEVICE_SYNCED, data)], actor=actor)
        self._repeats.pop(device, None)
        return self.world.network.device(device)

    async def check_sync(self, device: DeviceName) -> SyncReport:
        """Compare a fresh reading with the mirror; changes nothing."""
        config, _ = await self._read(device)
        known = self.world.network.device(device)
        drift = diff(known.config, config)
        return SyncReport(device, self._explain(known, drift), self._is_fight(device, drift))

    async def compare(self, device: DeviceName) -> SyncReport:
        """Compare a fresh reading with what all owners want: what a repair would change."""
        config, _ = await self._read(device)
        known = self.world.network.device(device)
        wanted = {
            path: value
            for path, wishes in known.contributions.by_path.items()
            if wishes.keys() != {before_owner(device)} and (value := resolve(wishes)) is not None
        }
        changes = (
            Change(path, value, config.get(path))
            for path, value in wanted.items()
            if config.get(path) != value and known.rewrites.get(path) != (value, config.get(path))
        )
        return SyncReport(device, self._explain(known, tuple(changes)))

    async def note_drift(self, device: DeviceName, actor: str) -> SyncReport:
        """Take a fresh reading into the mirror, so that a repair is planned against it.

        That of a fight is not taken in: it stays drift for every later look, and is refused each time.
        """
        config, _ = await self._read(device)
        known = self.world.network.device(device)
        drift = diff(known.config, config)
        last, count = self._repeats.get(device, ((), 0))
        if drift:
            self._repeats[device] = drift, count + 1 if drift == last else 1
        report = SyncReport(device, self._explain(known, drift), self._is_fight(device, drift))
        if drift and not report.is_fight:
            roots = [format_path(change.path) for change in drift if change.new is None]
            lines = {format_path(change.path): change.new for change in drift if change.new is not None}
            data = {"device": device, "roots": roots, "config": lines}
            await self.log.append([NewEvent(f"device/{device}", types.DEVICE_CORRECTED, data)], actor=actor)
        return report

    async def adopt(self, device: DeviceName, root: Path, actor: str) -> int:
        """Give existing lines below `root` to the device itself, so that no service's leaving removes them."""
        await self.sync_from(device, actor)
        known = self.world.network.device(device)
        owner = Owner(f"device:{device}/adopted")
        lines = [path for path in known.config if is_within(path, root)]
        if not lines:
            raise InvalidInputError(f"'{device}' holds nothing at {format_path(root)}", path=format_path(root))
        delta = Delta(wanted=tuple((path, owner, known.config[path]) for path in sorted(lines)))
        data = {"device": device, "delta": delta_to_json(delta)}
        await self.log.append([NewEvent(f"device/{device}", types.DEVICE_ADOPTED, data)], actor=actor)
        return len(lines)

    async def facts(self, device: DeviceName) -> Capabilities:
        """What the device says of itself."""
        return await self.sessions.ask(device, _capabilities)

    def refuse_fight(self, report: SyncReport) -> None:
        """`ConflictError` when repairing would only go on with a fight."""
        if report.is_fight:
            raise ConflictError(
                f"the same drift on '{report.device}' came back after {_FIGHT_AFTER} repairs: somebody undoes them",
                remedy=f"find out who, or accept it by policy; once they stop: accord device sync-from {report.device}",
                device=report.device,
            )

    async def _read(self, device: DeviceName) -> tuple[Mapping[Path, str], Capabilities]:
        reading, capabilities = await self.sessions.ask(device, _read_all)
        return self.codecs(device).decode(reading.body), capabilities

    def _explain(self, known: DeviceKnowledge, changes: Edit) -> tuple[Difference, ...]:
        rules = self.rules(known.name)
        return tuple(
            Difference(
                path=change.path,
                expected=change.old,
                found=change.new,
                owners=tuple(sorted(known.contributions.at(change.path))),
                policy=policy_for(change.path, rules).value,
            )
            for change in sorted(changes, key=lambda change: change.path)
        )

    def _is_fight(self, device: DeviceName, drift: Edit) -> bool:
        last, count = self._repeats.get(device, ((), 0))
        return bool(drift) and drift == last and count > _FIGHT_AFTER


async def _read_all(session: DeviceSession) -> tuple[Reading, Capabilities]:
    return await session.read(), session.capabilities


async def _capabilities(session: DeviceSession) -> Capabilities:
    return session.capabilities
