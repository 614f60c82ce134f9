"""Owns what the controller knows of every device: a fold of the event log, and nothing else.

For each device: the last known configuration (mirror), everybody's contributions, and the values the device is known to
rewrite. Devices restored from a snapshot are decoded when they are first asked for, and what happened to them since is
kept for that moment, so a restart costs what it touches.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import orjson

from controller.datastore.config_tree import ConfigTree
from controller.datastore.contributions import Contributions, Delta
from controller.datastore.diff import to_json
from controller.events import types
from controller.model.errors import NotFoundError
from controller.model.identifiers import DeviceName, Owner
from controller.model.yang_path import Path, format_path, parse_path
from controller.ports import Event, ParticipantClass
from controller.transaction.plan import DevicePlan, DeviceView, Plan
from controller.transaction.plan_json import Json, delta_from_json


@dataclass(slots=True)
class DeviceKnowledge:
    """One device. `synced_position` is 0 until its configuration has been read once."""

    name: DeviceName
    participant: ParticipantClass = ParticipantClass.IMMEDIATE
    config: ConfigTree = field(default_factory=ConfigTree)
    contributions: Contributions = field(default_factory=Contributions)
    rewrites: dict[Path, tuple[str, str]] = field(default_factory=dict)
    synced_at: float = 0.0
    version: int = 0
    """Grows with every change; says nothing from one run of the process to the next."""

    def view(self) -> DeviceView:
        """What planning sees."""
        return DeviceView(self.name, self.participant, self.config, self.contributions, self.rewrites, self.version)


class NetworkState:
    """All devices. Changed by `apply` only."""

    def __init__(self) -> None:
        self._known: dict[DeviceName, DeviceKnowledge] = {}
        self._stored: dict[DeviceName, _Stored] = {}
        self._open: dict[str, _OpenTransaction] = {}
        self._changed: set[DeviceName] = set()
        """Devices that are not as the last snapshot has them."""
        self._encoded: dict[DeviceName, bytes] = {}
        self._handlers: Mapping[str, Callable[[Event], None]] = {
            types.DEVICE_SYNCED: self._synced,
            types.DEVICE_CORRECTED: self._corrected,
            types.DEVICE_ADOPTED: self._adopted,
            types.TRANSACTION_ADOPTED: self._adopted_on_the_way,
            types.TRANSACTION_COMMITTED: self._committed,
            types.TRANSACTION_ABORTED: self._aborted,
        }

    def __contains__(self, name: DeviceName) -> bool:
        return name in self._known or name in self._stored

    def __iter__(self) -> Iterator[DeviceName]:
        return iter({**self._known, **self._stored})

    def device(self, name: DeviceName) -> DeviceKnowledge:
        """What is known of a device; `NotFoundError` until it has been synced."""
        stored = self._stored.pop(name, None)
        if stored is not None:
            self._known[name] = stored.decoded()
        if name not in self._known:
            raise NotFoundError(
                f"nothing is known of device '{name}' yet",
                remedy=f"read it with: accord device sync-from {name}",
                path=name,
            )
        return self._known[name]

    def lines(self, name: DeviceName) -> int:
        """How many lines of a device's configuration are known; `NotFoundError` until it has been synced."""
        stored = self._stored.get(name)
        return len(self.device(name).config) if stored is None or stored.since else stored.lines

    def apply(self, event: Event) -> None:
        """Fold one event."""
        handler = self._handlers.get(event.type)
        if handler is not None:
            handler(event)

    # -- snapshots ---------------------------------------------------------------------------------------------

    @property
    def to_encode(self) -> tuple[DeviceName, ...]:
        """Devices that have changed since the last snapshot and are not encoded for the next one."""
        return tuple(self._changed - self._encoded.keys())

    def encode(self, name: DeviceName) -> None:
        """Do ahead what a snapshot takes for one device, so that the snapshot itself is quick."""
        self._encoded[name] = orjson.dumps(_to_json(self.device(name)))

    def changed_parts(self) -> dict[str, bytes]:
        """A part for each device that has changed since `saved`. Take snapshots between open transactions."""
        for name in self.to_encode:
            self.encode(name)
        return {_part(name): body for name, body in self._encoded.items()}

    def unchanged_parts(self) -> set[str]:
        """The keys of the other devices' parts."""
        return {_part(name) for name in self if name not in self._changed}

    def to_parts(self) -> dict[str, bytes]:
        """One part per device, whether it has changed or not."""
        for name in [name for name, stored in self._stored.items() if stored.since]:
            self.device(name)
        parts = {_part(name): stored.read() for name, stored in self._stored.items()}
        return parts | {_part(name): orjson.dumps(_to_json(known)) for name, known in self._known.items()}

    def saved(self) -> None:
        """A snapshot has everything as it is now."""
        self._changed.clear()
        self._encoded.clear()

    @property
    def has_open_transactions(self) -> bool:
        """Whether a snapshot would lose what the journal of an open transaction says."""
        return bool(self._open)

    def load_part(self, key: str, read: Callable[[], bytes], lines: int) -> None:
        """Remember where a device's part is, and how many lines of configuration it has."""
        self._stored[DeviceName(key.removeprefix("device/"))] = _Stored(read, lines)

    # -- handlers ----------------------------------------------------------------------------------------------

    def _change(self, name: DeviceName, change: "_Change") -> None:
        """Change a device now, or when it is first asked for if nobody has yet."""
        self._changed.add(name)
        self._encoded.pop(name, None)
        stored = self._stored.get(name)
        if stored is not None:
            stored.since.append(change)
        else:
            known = self._known.setdefault(name, DeviceKnowledge(name))
            known.version += 1
            change(known)

    def _synced(self, event: Event) -> None:
        data: Json = event.data
        self._change(DeviceName(data["device"]), partial(_sync, data, event.time))

    def _corrected(self, event: Event) -> None:
        data: Json = event.data
        lines = {parse_path(path): value for path, value in data["config"].items()}
        roots = tuple(map(parse_path, data["roots"]))
        self._change(DeviceName(data["device"]), lambda device: device.config.replace(roots, lines))

    def _adopted(self, event: Event) -> None:
        data: Json = event.data
        delta = delta_from_json(data["delta"])
        self._change(DeviceName(data["device"]), lambda device: device.contributions.apply(delta))

    def begin(self, stream: str, plan: Plan) -> None:
        """Fold a `transaction.planned` event, whose plan has been decoded."""
        self._open[stream] = _OpenTransaction(plan)

    def _adopted_on_the_way(self, event: Event) -> None:
        data: Json = event.data
        self._open[event.stream].adopted[DeviceName(data["device"])] = delta_from_json(data["delta"])

    def _committed(self, event: Event) -> None:
        data: Json = event.data
        transaction = self._open.pop(event.stream)
        for plan in transaction.plan.devices:
            adopted = transaction.adopted.get(plan.device, Delta())
            observed = data.get("observed", {}).get(plan.device, ())
            self._change(plan.device, partial(_commit, plan, adopted, observed))

    def _aborted(self, event: Event) -> None:
        data: Json = event.data
        transaction = self._open.pop(event.stream)
        for plan in transaction.plan.devices:
            observed = data.get("observed", {}).get(plan.device, ())
            self._change(plan.device, partial(_learn, observed, rewritten=False))


def _part(name: DeviceName) -> str:
    return f"device/{name}"


_Change = Callable[[DeviceKnowledge], None]
_Corrections = list[list[str | None]] | tuple[()]


@dataclass(slots=True)
class _Stored:
    """A device that nobody has asked for since the snapshot was read, and what happened to it since."""

    read: Callable[[], bytes]
    lines: int
    since: list[_Change] = field(default_factory=list)

    def decoded(self) -> DeviceKnowledge:
        """The device as it is now."""
        device = _from_json(orjson.loads(self.read()))
        for change in self.since:
            change(device)
        return device


@dataclass(slots=True)
class _OpenTransaction:
    plan: Plan
    adopted: dict[DeviceName, Delta] = field(default_factory=dict)


def _sync(data: Json, time: float, device: DeviceKnowledge) -> None:
    device.config = ConfigTree({parse_path(path): value for path, value in data["config"].items()})
    device.participant = ParticipantClass(data["participant"])
    device.synced_at = time


def _commit(plan: DevicePlan, adopted: Delta, observed: _Corrections, device: DeviceKnowledge) -> None:
    device.config.apply(plan.edit)
    device.contributions.apply(plan.delta)
    device.contributions.apply(adopted)
    for change in plan.edit:
        device.rewrites.pop(change.path, None)
    _learn(observed, device, rewritten=True)


def _learn(corrections: _Corrections, device: DeviceKnowledge, *, rewritten: bool) -> None:
    for text, sent, stored in corrections:
        path = parse_path(text or "")
        lines = {} if stored is None else {path: stored}
        device.config.replace((path,) if stored is None else (), lines)
        if rewritten and sent is not None and stored is not None:
            device.rewrites[path] = (sent, stored)


def _to_json(device: DeviceKnowledge) -> Json:
    return {
        "name": device.name,
        "participant": device.participant.value,
        "config": to_json(device.config),
        "contributions": {format_path(path): wishes for path, wishes in device.contributions.by_path.items()},
        "rewrites": {format_path(path): list(pair) for path, pair in device.rewrites.items()},
        "synced_at": device.synced_at,
    }


def _from_json(data: Json) -> DeviceKnowledge:
    wanted = tuple(
        (parse_path(path), Owner(owner), value)
        for path, wishes in data["contributions"].items()
        for owner, value in wishes.items()
    )
    contributions = Contributions()
    contributions.apply(Delta(wanted=wanted))
    return DeviceKnowledge(
        name=DeviceName(data["name"]),
        participant=ParticipantClass(data["participant"]),
        config=ConfigTree({parse_path(path): value for path, value in data["config"].items()}),
        contributions=contributions,
        rewrites={parse_path(path): (sent, stored) for path, (sent, stored) in data["rewrites"].items()},
        synced_at=data["synced_at"],
    )
