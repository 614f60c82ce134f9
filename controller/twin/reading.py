"""Owns turning a device's configuration into what it does, entry by entry, so that a change costs what it changes.

An entry is what is read as one: an interface, a network instance, a routing policy, or the router itself. Only
entries with changed lines are read again; all others are the very objects that were there before.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from controller.datastore.config_tree import ConfigTree
from controller.datastore.diff import Change
from controller.model.identifiers import DeviceName
from controller.model.yang_path import Path
from controller.twin import reading_ietf as ietf
from controller.twin import reading_openconfig as openconfig
from controller.twin.configuration import DeviceForwarding

Lines = Mapping[Path, str]


@dataclass(frozen=True, slots=True)
class _Kind:
    """Where entries of a kind stand (`root`, and how many steps an entry's path has), and what they are read as."""

    part: str
    root: Path
    depth: int
    read: Callable[[Path, Lines], Any]

    def entry(self, path: Path) -> Path | None:
        """The entry that a line belongs to, None when it is of another kind."""
        if len(path) < self.depth or len(path) < len(self.root):
            return None
        for step, mark in zip(path, self.root, strict=False):
            if step.name != mark.name or step.module != mark.module:
                return None
        return path[: self.depth]


_KINDS = (
    _Kind("interfaces", ietf.INTERFACES, 2, ietf.read_interface),
    _Kind("instances", ietf.INSTANCES, 2, ietf.read_instance),
    _Kind("interfaces", openconfig.SUBINTERFACES, 4, openconfig.read_subinterface),
    _Kind("instances", openconfig.INSTANCES, 2, openconfig.read_instance),
    _Kind("announced", openconfig.POLICIES, 3, openconfig.read_policy),
)
_PORT = _Kind("interfaces", openconfig.PORTS, 2, openconfig.read_port)
_BY_ROOT = {
    module: [kind for kind in _KINDS if kind.root[0].module == module] for module in {k.root[0].module for k in _KINDS}
}


def read_device(name: DeviceName, config: ConfigTree) -> DeviceForwarding:
    """Everything the configuration says."""
    return reread(DeviceForwarding(name), config, config, ())


def reread(
    known: DeviceForwarding, config: ConfigTree, touched: Iterable[Path], edit: Iterable[Change]
) -> DeviceForwarding:
    """What a device does after its lines at `touched` have changed.

    `edit` is applied to what `config` says, which itself stays as it is.
    """
    changes = tuple(edit)
    parts: dict[str, dict[str, Any]] = {}
    entries = _entries((*touched, *(change.path for change in changes)))
    by_entry = _by_entry(changes, {entry for _, entry in entries})
    for kind, entry in entries:
        lines = _lines(config, entry, by_entry.get(entry, ()))
        part = parts.setdefault(kind.part, dict(getattr(known, kind.part)))
        name, found = kind.read(entry, lines)
        if found is None:
            part.pop(name, None)
        elif part.get(name) != found:
            part[name] = found
    router = known.router
    if any(ietf.is_router(path) for path in touched) or any(ietf.is_router(change.path) for change in changes):
        within = [change for change in changes if change.path[: len(ietf.ROUTER)] == ietf.ROUTER]
        router = ietf.read_router(_lines(config, ietf.ROUTER, within))
    return replace(known, router=router, **cast("dict[str, Any]", parts))


def _entries(paths: Iterable[Path]) -> list[tuple[_Kind, Path]]:
    found: dict[Path, _Kind] = {}
    for path in paths:
        for kind in _BY_ROOT.get(path[0].module, ()) if path else ():
            entry = kind.entry(path)
            if entry is not None:
                found[entry] = kind
                break
        else:
            entry = _PORT.entry(path)
            if entry is not None:
                found[entry] = _PORT
    return [(kind, entry) for entry, kind in found.items()]


def _by_entry(changes: Iterable[Change], entries: Collection[Path]) -> dict[Path, list[Change]]:
    """The changes within each entry, looked at once: a plan may have thousands of both."""
    depths = sorted({len(entry) for entry in entries})
    found: dict[Path, list[Change]] = {}
    for change in changes:
        for depth in depths:
            if change.path[:depth] in entries:
                found.setdefault(change.path[:depth], []).append(change)
    return found


def _lines(config: ConfigTree, entry: Path, changes: Iterable[Change]) -> dict[Path, str]:
    """An entry as it will be; the changes are those within it."""
    lines = config.within([entry])
    for change in changes:
        if change.new is None:
            lines.pop(change.path, None)
        else:
            lines[change.path] = change.new
    return lines
