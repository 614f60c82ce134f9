"""Owns what to do about changes that somebody made behind the controller's back.

Only what a plan reads or writes is compared. Each path has a policy; the rule with the longest matching prefix wins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from controller.datastore.contributions import Delta
from controller.datastore.diff import Edit, diff
from controller.model.identifiers import DeviceName, Owner
from controller.model.yang_path import Path


class Policy(StrEnum):
    """What becomes of an out-of-band value that a plan meets."""

    ABORT = "abort"
    """Change nothing; tell who and what."""
    ACCEPT = "accept"
    """The value is the new base: undoing the plan restores it."""
    RESTORE = "restore"
    """The value is drift: undoing the plan restores what the controller last knew."""
    ADOPT = "adopt"
    """As accept, and the value becomes a wish of `oob@device` that holds whenever no service wants another."""


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """Node names from the root (module-qualified where it matters) below which a policy holds; `()` is everywhere."""

    prefix: tuple[str, ...]
    policy: Policy


DEFAULT_RULES: tuple[PolicyRule, ...] = (PolicyRule((), Policy.ABORT),)


def policy_for(path: Path, rules: Sequence[PolicyRule]) -> Policy:
    """The policy of the longest matching rule; abort where none matches."""
    best = PolicyRule((), Policy.ABORT)
    for rule in rules:
        if len(rule.prefix) >= len(best.prefix) and _matches(path, rule.prefix):
            best = rule
    return best.policy


def _matches(path: Path, prefix: tuple[str, ...]) -> bool:
    return len(prefix) <= len(path) and all(
        name in {step.name, f"{step.module}:{step.name}"} for step, name in zip(path, prefix, strict=False)
    )


@dataclass(frozen=True, slots=True)
class OutOfBand:
    """The outcome of meeting out-of-band changes: go on from `base` with `adopted`, or stop at `refused`."""

    moved: Edit
    refused: Edit
    base: Mapping[Path, str]
    adopted: Delta


def settle(
    device: DeviceName, base: Mapping[Path, str], observed: Mapping[Path, str], rules: Sequence[PolicyRule]
) -> OutOfBand:
    """Compare what was read with what the plan was computed against, and apply the policies."""
    moved = diff(base, observed)
    by_policy = {change.path: policy_for(change.path, rules) for change in moved}
    new_base = dict(observed)
    for change in moved:
        if by_policy[change.path] is Policy.RESTORE:
            _put_back(new_base, change.path, change.old)
    adopted = tuple(
        (change.path, Owner(f"oob@{device}"), change.new)
        for change in moved
        if by_policy[change.path] is Policy.ADOPT and change.new is not None
    )
    return OutOfBand(
        moved=moved,
        refused=tuple(change for change in moved if by_policy[change.path] is Policy.ABORT),
        base=new_base,
        adopted=Delta(wanted=adopted),
    )


def _put_back(config: dict[Path, str], path: Path, value: str | None) -> None:
    if value is None:
        config.pop(path, None)
    else:
        config[path] = value
