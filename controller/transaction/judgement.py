"""Owns the comparison of what a device holds with what it should hold: the verdict is always the read-back's.

Devices rewrite what they are given (defaults, hashes, case). A rewritten value counts as the target when it stands
where the edit put one and is not what stood there before; lines that a device adds below an entry the edit created
count too. What is missing, or still as before, does not.
"""

from collections.abc import Mapping

from controller.datastore.diff import Change, Edit, diff
from controller.model.yang_path import Path, format_path
from controller.transaction.states import Signal

_SHOWN = 5


def judge(observed: Mapping[Path, str], base: Mapping[Path, str], edit: Edit, target: Mapping[Path, str]) -> Signal:
    """Whether the scope stands at the target, at the base, or elsewhere."""
    if observed == target:
        return Signal.FOUND_TARGET
    if observed == base:
        return Signal.FOUND_BASE
    return Signal.FOUND_TARGET if _is_rewritten(diff(target, observed), edit) else Signal.FOUND_OTHER


def _is_rewritten(rest: Edit, edit: Edit) -> bool:
    before = {change.path: change.old for change in edit if change.new is not None}
    created = {path for path, old in before.items() if old is None}
    return all(_is_the_devices_own(change, before, created) for change in rest)


def _is_the_devices_own(change: Change, before: Mapping[Path, str | None], created: set[Path]) -> bool:
    if change.new is None:
        return False
    if change.old is not None:
        return change.path in before and change.new != before[change.path]
    return any(change.path[:length] in created for length in range(1, len(change.path)))


def explain(changes: Edit) -> str:
    """`path: expected 'x', found 'y'` for the first few differences."""
    shown = [
        f"{format_path(change.path)}: expected {_quote(change.old)}, found {_quote(change.new)}"
        for change in changes[:_SHOWN]
    ]
    more = len(changes) - _SHOWN
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def _quote(value: str | None) -> str:
    return "nothing" if value is None else f"'{value}'"
