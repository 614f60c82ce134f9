"""Owns the first idea of the design: desired configuration is what all owners together want, line by line.

`Contributions` holds `path -> {owner: value}` for one device. A device's intended value at a path is the resolution of
its contributions. Nothing here depends on the order in which contributions arrived, so create, modify, delete, sharing,
conflict and adoption are set operations, and no reverse diff or reference count is ever stored.

Ranks: services outrank accepted out-of-band values (`oob@`), which outrank adopted configuration (`device:`). Among
equals with different values the smallest owner name wins, and the conflict is reported; when the winner leaves, the
other's value comes back by itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from controller.model.identifiers import Owner
from controller.model.yang_path import Path

Wishes = Mapping[Owner, str]
ABSENT = "\0absent"
"""A wish that a path shall not exist: deletes have owners too, and end with them."""


def rank(owner: Owner) -> int:
    """0 outranks 1 outranks 2: service, accepted out-of-band value, adopted configuration."""
    if owner.startswith("device:"):
        return 2
    return 1 if owner.startswith("oob@") else 0


def resolve(wishes: Wishes) -> str | None:
    """The value that holds at a path, or None when nobody wants anything there or the winner wants it absent."""
    if not wishes:
        return None
    value = wishes[min(wishes, key=_precedence)]
    return None if value == ABSENT else value


def by_rank(wishes: Wishes) -> tuple[Owner, ...]:
    """The owners at a path, the one whose value holds first."""
    return tuple(sorted(wishes, key=_precedence))


def _precedence(owner: Owner) -> tuple[int, Owner]:
    return rank(owner), owner


def is_conflict(wishes: Wishes) -> bool:
    """Whether owners of the highest rank present disagree."""
    if len(wishes) <= 1:
        return False
    best = min(rank(owner) for owner in wishes)
    return len({value for owner, value in wishes.items() if rank(owner) == best}) > 1


@dataclass(frozen=True, slots=True)
class Delta:
    """A change of one device's contributions: owners' wishes set, and wishes withdrawn."""

    wanted: tuple[tuple[Path, Owner, str], ...] = ()
    withdrawn: tuple[tuple[Path, Owner], ...] = ()

    def paths(self) -> set[Path]:
        """Every path it touches."""
        return {path for path, _, _ in self.wanted} | {path for path, _ in self.withdrawn}

    def __bool__(self) -> bool:
        return bool(self.wanted or self.withdrawn)


@dataclass(slots=True)
class Contributions:
    """All wishes for one device, indexed by path and by owner."""

    by_path: dict[Path, dict[Owner, str]] = field(default_factory=dict)
    by_owner: dict[Owner, set[Path]] = field(default_factory=dict)

    def at(self, path: Path) -> Wishes:
        """Who wants what at a path."""
        return self.by_path.get(path, {})

    def of(self, owner: Owner) -> dict[Path, str]:
        """Everything one owner wants."""
        return {path: self.by_path[path][owner] for path in self.by_owner.get(owner, ())}

    def owners(self) -> Iterator[Owner]:
        """Every owner with at least one wish."""
        return iter(self.by_owner)

    def wishes_after(self, delta: Delta) -> dict[Path, dict[Owner, str]]:
        """Who would want what at each path the delta touches; this object stays as it is."""
        wishes = {path: dict(self.at(path)) for path in delta.paths()}
        for path, owner in delta.withdrawn:
            wishes[path].pop(owner, None)
        for path, owner, value in delta.wanted:
            wishes[path][owner] = value
        return wishes

    def apply(self, delta: Delta) -> None:
        """Make the delta hold."""
        for path, owner in delta.withdrawn:
            self._withdraw(path, owner)
        for path, owner, value in delta.wanted:
            self.by_path.setdefault(path, {})[owner] = value
            self.by_owner.setdefault(owner, set()).add(path)

    def replace_owner(self, owner: Owner, lines: Mapping[Path, str]) -> Delta:
        """The delta that makes `owner` want exactly `lines`."""
        current = self.of(owner)
        return Delta(
            wanted=tuple((path, owner, value) for path, value in lines.items() if current.get(path) != value),
            withdrawn=tuple((path, owner) for path in current if path not in lines),
        )

    def _withdraw(self, path: Path, owner: Owner) -> None:
        wishes = self.by_path.get(path)
        if wishes is None or wishes.pop(owner, None) is None:
            return
        if not wishes:
            del self.by_path[path]
        paths = self.by_owner[owner]
        paths.discard(path)
        if not paths:
            del self.by_owner[owner]


def merge_deltas(deltas: Iterable[Delta]) -> Delta:
    """One delta from several over disjoint (path, owner) pairs."""
    collected = list(deltas)
    return Delta(
        wanted=tuple(item for delta in collected for item in delta.wanted),
        withdrawn=tuple(item for delta in collected for item in delta.withdrawn),
    )
