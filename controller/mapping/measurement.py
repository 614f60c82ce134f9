"""Owns measurements as desired state: STAMP sessions (RFC 8762) that telemetry wants, each with an owner of its own.

Who wants a session and where it leads stands in its owner, `telemetry/HOLDER/TARGET`, so that what there is can be read
back from the contributions of a device after a restart.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zlib import crc32

from controller.datastore.contributions import Contributions
from controller.datastore.diff import Edit
from controller.mapping.tunnel import STAMP, TunnelProbe, probe_lines
from controller.model.identifiers import DeviceName, Owner
from controller.model.yang_path import Path, Step

_OWNER = "telemetry/"
_FIRST_SESSION = 20_000
"""Below are the sessions of links, tunnels and operators."""
_SESSIONS = (1 << 16) - _FIRST_SESSION
_INSTANCES = "network-instances"
_MILLISECONDS = 1000
"""Between test packets, where a session does not say."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Test packets from `device` to an address of `target`: in a VPN, or in the core, there along segments if given."""

    holder: str
    device: DeviceName
    target: DeviceName
    address: str
    interval_milliseconds: int
    instance: str = ""
    number: int = 0
    """Of the session; 0 until it has one."""
    segments: tuple[str, ...] = ()

    @property
    def owner(self) -> Owner:
        """Whose lines it is."""
        return Owner(f"{_OWNER}{self.holder}/{self.target}")

    @property
    def packets_per_second(self) -> float:
        """What it takes of the probe budget."""
        return 1000.0 / self.interval_milliseconds

    def lines(self, number: int) -> dict[Path, str]:
        """The session's configuration."""
        lines = dict(probe_lines(self.address, TunnelProbe(number, self.segments), self.interval_milliseconds))
        if self.instance:
            lines[(*_entry(number), Step("accord-router", "network-instance"))] = self.instance
        return lines


def free_number(taken: set[int], owner: Owner) -> int:
    """A number for an owner's session on a device where these are in use: plans made at once seldom take the same."""
    first = crc32(owner.encode())
    return next(number for n in range(_SESSIONS) if (number := _FIRST_SESSION + (first + n) % _SESSIONS) not in taken)


def is_measurement(owner: Owner) -> bool:
    """Whether an owner's lines are a measurement of telemetry's."""
    return owner.startswith(_OWNER)


def measurements_of(device: DeviceName, contributions: Contributions) -> Iterator[Measurement]:
    """The measurements that a device holds for telemetry."""
    for owner in sorted(filter(is_measurement, contributions.owners())):
        found = _read(device, owner, contributions.of(owner))
        if found is not None:
            yield found


def packet_rate(lines: Mapping[Path, str]) -> float:
    """Test packets per second of the sessions in an owner's lines, whoever it is."""
    sessions = {path[2].keys: _MILLISECONDS for path in lines if path[:2] == STAMP and len(path) > 2}
    sessions |= {path[2].keys: int(value) for path, value in lines.items() if _is_interval(path)}
    return sum(1000.0 / milliseconds for milliseconds in sessions.values())


def probe_sessions(lines: Mapping[Path, str]) -> dict[str, int]:
    """The sessions in an owner's lines that take one segment, by it."""
    segments: dict[int, list[str]] = {}
    for path, value in lines.items():
        if path[:2] == STAMP and len(path) == 5 and path[4].name == "sid":
            segments.setdefault(int(path[2].keys[0][1]), []).append(value)
    return {one[0]: number for number, one in segments.items() if len(one) == 1}


def orphans(device: DeviceName, contributions: Contributions, edit: Edit) -> list[Measurement]:
    """Measurements that the edit leaves on the device in VPNs that it takes away: nobody can commit that."""
    deleted = {change.path for change in edit if change.new is None}
    gone = {path[1].keys[0][1] for path in deleted if len(path) == 2 and path[0].name == _INSTANCES and path[1].keys}
    found = measurements_of(device, contributions) if gone else ()
    return [one for one in found if one.instance in gone and _entry(one.number) not in deleted]


def _is_interval(path: Path) -> bool:
    return path[:2] == STAMP and len(path) == 4 and path[3].name == "interval"


def _read(device: DeviceName, owner: Owner, lines: Mapping[Path, str]) -> Measurement | None:
    holder, _, target = owner.removeprefix(_OWNER).rpartition("/")
    leaves = {path[3].name: value for path, value in lines.items() if len(path) == 4}
    numbers = {int(path[2].keys[0][1]) for path in lines if len(path) > 2 and path[2].keys}
    if len(numbers) != 1 or "remote-address" not in leaves:
        return None
    segments = {int(path[3].keys[0][1]): value for path, value in lines.items() if len(path) == 5}
    return Measurement(
        holder,
        device,
        DeviceName(target),
        leaves["remote-address"],
        int(leaves.get("interval", _MILLISECONDS)),
        leaves.get("network-instance", ""),
        numbers.pop(),
        tuple(segments[index] for index in sorted(segments)),
    )


def _entry(number: int) -> Path:
    return (*STAMP, Step("accord-router", "stamp-session", (("id", str(number)),)))
