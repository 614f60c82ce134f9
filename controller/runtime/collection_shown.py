"""Owns reading interfaces off a command line that is all a device has: `show interfaces extensive`, as Junos has it."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from controller.telemetry.sample import Reading

SHOW_INTERFACES = "show interfaces extensive"
JUNOS_LIKE = frozenset({"accord_lab", "junos", "juniper_junos"})
"""Platforms whose command line answers it."""
JUNOS_INTERFACE = b"Physical interface:"
_HEAD = re.compile(r"^Physical interface: ([^\s,]+),.*?Physical link is (Up|Down)", re.MULTILINE)
_SPEED = re.compile(r"\bSpeed: (\d+)(bps|kbps|mbps|Gbps)", re.IGNORECASE)
_SINCE = re.compile(r"last cleared: (\S+)")
_COUNTERS = {
    "in-octets": re.compile(r"\bInput +bytes *: *(\d+)"),
    "out-octets": re.compile(r"\bOutput +bytes *: *(\d+)"),
    "out-discards": re.compile(r"\bOutput errors:.*?\bDrops: *(\d+)", re.DOTALL),
}
_UNITS = {"bps": 1, "kbps": 10**3, "mbps": 10**6, "gbps": 10**9}
_LOGICAL = "Logical interface"


def shown(reading: Callable[..., Reading], text: str) -> tuple[tuple[Reading, ...], Mapping[str, int]]:
    """Readings and speeds (bit/s) of the physical interfaces; `reading` makes one of name, kind, value, `since`."""
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)] * bool(heads)
    readings: list[Reading] = []
    speeds: dict[str, int] = {}
    for head, end in zip(heads, ends, strict=True):
        part = text[head.end() : end].partition(_LOGICAL)[0]
        readings += _interface(reading, head, part)
        if speed := _SPEED.search(part):
            speeds[head[1]] = int(speed[1]) * _UNITS[speed[2].lower()]
    return tuple(readings), speeds


def _interface(reading: Callable[..., Reading], head: re.Match[str], part: str) -> Iterator[Reading]:
    yield reading(head[1], "oper-status", float(head[2] == "Up"))
    cleared = _SINCE.search(part)
    since = _seconds(cleared[1]) if cleared else None
    for kind, pattern in _COUNTERS.items():
        if found := pattern.search(part):
            yield reading(head[1], kind, float(found[1]), since=since)


def _seconds(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
