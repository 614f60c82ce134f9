"""Owns the Plan: the contract between a dry run and a commit.

Planning is pure and holds no session, so it cannot send. A plan says for each device what will change, what undoes
it, the base it was computed against, who owns each line, how much it hurts, and a checksum over all of it. `commit`
refuses a plan whose base has moved since.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from controller.datastore.config_tree import ConfigTree
from controller.datastore.contributions import ABSENT, Contributions, Delta, by_rank, is_conflict, resolve
from controller.datastore.diff import Change, Edit, inverse, ordered, scope_of
from controller.model.identifiers import DeviceName, Owner, PlanId
from controller.model.yang_path import Path, format_path
from controller.ports import NewEvent, ParticipantClass
from controller.transaction.impact import Impact, impact_of

Rewrites = Mapping[Path, tuple[str, str]]
"""Values a device is known to rewrite: path -> (as sent, as the device stores it)."""


def before_owner(device: DeviceName) -> Owner:
    """Owner of a value that stood on the device before anybody asked for another; it holds when they have left."""
    return Owner(f"device:{device}/before")


@dataclass(frozen=True, slots=True)
class DeviceView:
    """What planning sees of a device: its last known configuration and everybody's wishes; planning changes neither."""

    name: DeviceName
    participant: ParticipantClass
    config: ConfigTree
    contributions: Contributions
    rewrites: Rewrites = field(default_factory=dict)
    version: int = -1
    """Of what is known of the device; below 0 when nobody counts."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Owners that want different values at one path; the first is the one that holds."""

    path: Path
    wishes: tuple[tuple[Owner, str], ...]


@dataclass(frozen=True)
class DevicePlan:
    """One device's share of a plan."""

    device: DeviceName
    participant: ParticipantClass
    edit: Edit
    base: Mapping[Path, str]
    """The last known configuration within the scope."""
    delta: Delta
    owners: Mapping[Path, tuple[Owner, ...]]
    """Who wants each changed line afterwards; for a deleted line, who wanted it until now."""
    conflicts: tuple[Conflict, ...] = ()
    replaced: tuple[tuple[Path, Owner, str], ...] = ()
    """What the owners in the delta wanted before it, where they wanted something: what a rollback puts back."""
    version: int = field(default=-1, compare=False)
    """Of what was known of the device when this was planned, in this process; not part of the contract."""

    @cached_property
    def reverse(self) -> Edit:
        """The edit that undoes this one."""
        return inverse(self.edit)

    @cached_property
    def scope(self) -> tuple[Path, ...]:
        """What is read and compared before and after."""
        return scope_of(self.edit)

    @cached_property
    def impact(self) -> tuple[Impact, str]:
        """How much it hurts, and why."""
        return impact_of(self.edit)


@dataclass(frozen=True)
class Plan:
    """A network-wide change of desired state, ready to be shown, approved and committed."""

    id: PlanId
    summary: str
    devices: tuple[DevicePlan, ...]
    effects: tuple[NewEvent, ...] = ()
    """Events that become true when, and only when, the transaction commits."""
    waves: tuple[tuple[DeviceName, ...], ...] = ()
    """Order of tentative commits, each wave gated by post-checks; empty means all at once."""

    @cached_property
    def is_empty(self) -> bool:
        """Whether nothing would be sent."""
        return not any(device.edit for device in self.devices)

    @cached_property
    def changed(self) -> tuple[DevicePlan, ...]:
        """The devices to which something would be sent."""
        return tuple(device for device in self.devices if device.edit)

    @cached_property
    def impact(self) -> tuple[Impact, str]:
        """The worst impact on any device, and why."""
        return max((device.impact for device in self.devices), default=(Impact.NONE, "no change"))

    @cached_property
    def checksum(self) -> str:
        """SHA-256 over every device's base, edit and owners: same checksum, same change."""
        digest = hashlib.sha256()
        for device in self.devices:
            digest.update(json.dumps(_canonical(device), sort_keys=True, separators=(",", ":")).encode())
        return digest.hexdigest()


def _canonical(device: DevicePlan) -> dict[str, object]:
    return {
        "device": device.device,
        "participant": device.participant,
        "edit": [[format_path(change.path), change.old, change.new] for change in device.edit],
        "base": {format_path(path): value for path, value in device.base.items()},
        "owners": {format_path(path): list(owners) for path, owners in device.owners.items()},
    }


def plan_device(view: DeviceView, delta: Delta) -> DevicePlan:
    """What one device must change so that the contributions after `delta` hold. Cost follows the delta."""
    delta = _keep_what_stood_before(view, _with_what_is_below(view, delta))
    wishes = view.contributions.wishes_after(delta)
    edit = _edit(view, wishes)
    return DevicePlan(
        device=view.name,
        participant=view.participant,
        edit=edit,
        base=view.config.within(scope_of(edit)),
        delta=delta,
        owners={change.path: _owners(view, wishes, change) for change in edit},
        conflicts=tuple(
            Conflict(path, tuple((owner, at[owner]) for owner in by_rank(at)))
            for path, at in sorted(wishes.items())
            if is_conflict(at)
        ),
        replaced=tuple(_replaced(view.contributions, delta)),
        version=view.version,
    )


def plan_repair(view: DeviceView) -> DevicePlan:
    """What one device must change so that all its contributions hold: drift repaired, nothing else touched."""
    ours = view.contributions.by_path
    edit = _edit(view, {path: wishes for path, wishes in ours.items() if wishes.keys() != {before_owner(view.name)}})
    return DevicePlan(
        device=view.name,
        participant=view.participant,
        edit=edit,
        base=view.config.within(scope_of(edit)),
        delta=Delta(),
        owners={change.path: by_rank(view.contributions.at(change.path)) for change in edit},
    )


def _edit(view: DeviceView, wishes: Mapping[Path, Mapping[Owner, str]]) -> Edit:
    changes: dict[Path, Change] = {}
    for path, wanted in wishes.items():
        target, actual = resolve(wanted), view.config.get(path)
        if target is None:
            if actual is not None and path not in changes:
                changes.update(_deletion(view, path, wishes))
        elif target != actual and view.rewrites.get(path) != (target, actual):
            changes[path] = Change(path, actual, target)
    return ordered(changes.values())


def _deletion(
    view: DeviceView, root: Path, wishes: Mapping[Path, Mapping[Owner, str]]
) -> Iterable[tuple[Path, Change]]:
    """Everything that goes with `root`; nothing when somebody still wants a line below it."""
    below = view.config.below(root)
    if any(resolve(wishes.get(path, view.contributions.at(path))) is not None for path in below):
        return ()
    return [(path, Change(path, view.config[path], None)) for path in below]


def _replaced(contributions: Contributions, delta: Delta) -> Iterable[tuple[Path, Owner, str]]:
    touched = [*((path, owner) for path, owner, _ in delta.wanted), *delta.withdrawn]
    for path, owner in touched:
        value = contributions.at(path).get(owner)
        if value is not None:
            yield path, owner, value


def _owners(view: DeviceView, wishes: Mapping[Path, Mapping[Owner, str]], change: Change) -> tuple[Owner, ...]:
    after = wishes.get(change.path, {})
    return by_rank(after or view.contributions.at(change.path))


def _with_what_is_below(view: DeviceView, delta: Delta) -> Delta:
    """A wish that an entry be absent is one about every line below it, so that each comes back by itself."""
    roots = [(path, owner) for path, owner, value in delta.wanted if value == ABSENT]
    below = [(path, owner, ABSENT) for root, owner in roots for path in view.config.below(root) if path != root]
    return Delta((*delta.wanted, *below), delta.withdrawn) if below else delta


def _keep_what_stood_before(view: DeviceView, delta: Delta) -> Delta:
    """Give a value that nobody owned to the device before it is overwritten, so that it comes back by itself.

    What was kept so once and has gone from the device since is forgotten: it must not come back.
    """
    before, wishes = before_owner(view.name), view.contributions
    unowned = sorted({path for path, _, _ in delta.wanted if wishes.at(path).keys() <= {before}})
    kept = tuple((path, before, view.config[path]) for path in unowned if path in view.config)
    gone = tuple((path, before) for path in unowned if path not in view.config and before in wishes.at(path))
    return Delta((*kept, *delta.wanted), (*gone, *delta.withdrawn)) if kept or gone else delta
