"""Owns a configuration that is asked for subtrees: one device's last known configuration."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping

from controller.datastore.diff import Edit
from controller.model.yang_path import Path, Step

_AFTER = Step("\U0010ffff", "")
_REMEMBERED = 4096
"""Touched paths that are kept, so that who derived something from the tree can derive it again in part."""


class ConfigTree(Mapping[Path, str]):
    """Lines plus a sorted index of their paths: a subtree is one slice, so cost follows the subtree, not the device."""

    __slots__ = ("_forgotten", "_lines", "_paths", "_touched")

    def __init__(self, lines: Mapping[Path, str] | None = None) -> None:
        self._lines = dict(lines or {})
        self._paths = sorted(self._lines)
        self._touched: list[Path] = []
        self._forgotten = 0

    @property
    def revision(self) -> int:
        """How often a line was set or removed."""
        return self._forgotten + len(self._touched)

    def touched_since(self, revision: int) -> list[Path] | None:
        """The paths touched since that revision; None when that is longer ago than is remembered."""
        return None if revision < self._forgotten else self._touched[revision - self._forgotten :]

    def __getitem__(self, path: Path) -> str:
        return self._lines[path]

    def __iter__(self) -> Iterator[Path]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def below(self, root: Path) -> list[Path]:
        """Paths at or below `root`, in order."""
        low = bisect_left(self._paths, root)
        high = bisect_left(self._paths, (*root, _AFTER), low)
        return self._paths[low:high]

    def within(self, roots: Iterable[Path]) -> dict[Path, str]:
        """The lines at or below any of the roots."""
        return {path: self._lines[path] for root in roots for path in self.below(root)}

    def apply(self, edit: Edit) -> None:
        """Make the edit hold."""
        for change in edit:
            if change.new is None:
                self._remove(change.path)
            else:
                self._put(change.path, change.new)

    def replace(self, roots: Iterable[Path], lines: Mapping[Path, str]) -> None:
        """Put `lines` in place of everything at or below the roots."""
        for path in self.within(roots):
            if path not in lines:
                self._remove(path)
        for path, value in lines.items():
            self._put(path, value)

    def _put(self, path: Path, value: str) -> None:
        if path not in self._lines:
            insort(self._paths, path)
        self._lines[path] = value
        self._note(path)

    def _remove(self, path: Path) -> None:
        if self._lines.pop(path, None) is not None:
            del self._paths[bisect_left(self._paths, path)]
            self._note(path)

    def _note(self, path: Path) -> None:
        self._touched.append(path)
        if len(self._touched) > _REMEMBERED:
            half = len(self._touched) // 2
            del self._touched[:half]
            self._forgotten += half
