"""Owns what a CLI driver must know of each netmiko device type: its commands, and how it says that something is wrong.

`juniper_junos` and `vyos` have a configuration session (edit, compare, commit); `cisco_ios` and what speaks like it
(FRR's vtysh, which it logs into unchanged) carries out each line at once.
"""

import re
from dataclasses import dataclass

from controller.model.errors import DeviceCause, InvalidInputError

_PLACE = re.compile(r"\[edit([^\]]*)\]")


@dataclass(frozen=True, slots=True)
class CandidateCommands:
    """The commands of a configuration session, given in configuration mode unless said otherwise."""

    enter: str
    """In operational mode."""
    compare: str
    commit: str
    committed: str
    """What a commit that went well says."""
    discard: str
    leave: str
    locked: str = ""
    """A regular expression for the answer to `enter` when somebody else is at it; its first group is the holder."""


@dataclass(frozen=True, slots=True)
class Platform:
    """One netmiko device type."""

    device_type: str
    show_configuration: tuple[str, ...]
    errors: str
    """A regular expression for a line that says the command failed."""
    warnings: str = r"(?!)"
    """A regular expression for a line that is only a warning."""
    candidate: CandidateCommands | None = None
    comments: str = r"[!#]"
    """A line that begins so says nothing about the configuration (dates, sizes)."""
    max_line: int = 500
    """Longer lines would wrap in a terminal of 511 columns, and their echo could not be recognised."""

    def problems(self, output: str) -> tuple[DeviceCause, ...]:
        """Every line of a command's output that is an error or a warning, with the place that was named before it."""
        found: list[DeviceCause] = []
        place = ""
        for line in output.splitlines():
            if named := _PLACE.search(line):
                place = named[1].strip()
            severity = "error" if re.search(self.errors, line) else "warning" if re.search(self.warnings, line) else ""
            if severity:
                found.append(DeviceCause("operation-failed", line.strip(), path=place, severity=severity))
        return tuple(found)


_JUNOS = CandidateCommands(
    enter="configure exclusive",
    compare="show | compare",
    commit="commit",
    committed="commit complete",
    discard="rollback 0",
    leave="exit configuration-mode",
    locked=r"locked by:?\s*(\S+)|configuration database modified",
)
_VYOS = CandidateCommands(
    enter="configure", compare="compare", commit="commit", committed="", discard="discard", leave="exit discard"
)

_PLATFORMS = (
    Platform(
        "juniper_junos",
        ("show configuration | display set",),
        errors=r"^\s*(?:error:|syntax error|unknown command|missing|invalid)",
        warnings=r"^\s*warning:",
        candidate=_JUNOS,
        max_line=100_000,
    ),
    Platform(
        "vyos",
        ("show configuration commands",),
        errors=r"(?i)^\s*(?:error|invalid|.*is not valid|.*\bfailed\b|.*already exists|nothing to delete)",
        warnings=r"(?i)^\s*warning",
        candidate=_VYOS,
    ),
    Platform("cisco_ios", ("show running-config",), errors=r"^\s*%", warnings=r"^(?!\s*%)\s*\S"),
)
PLATFORMS = {platform.device_type: platform for platform in _PLATFORMS}
DEFAULT_DEVICE_TYPE = "juniper_junos"


def platform_of(device_type: str) -> Platform:
    """The platform of a netmiko device type (empty: the default); `InvalidInputError` when there is none."""
    name = device_type or DEFAULT_DEVICE_TYPE
    if name not in PLATFORMS:
        raise InvalidInputError(
            f"no CLI platform is declared for netmiko's device type '{name}'",
            remedy=f"use one of {', '.join(sorted(PLATFORMS))}",
        )
    return PLATFORMS[name]
