"""Owns measurements as desired state: STAMP sessions (RFC 8762) that telemetry wants, each with an owner of its own.

Who wants a session and where it leads stands in its owner, `telemetry/HOLDER/TARGET`, so that what there is can be read
back from the contributions of a device after a restart.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from controller.datastore.contributions import Contributions
from controller.mapping.tunnel import STAMP, TunnelProbe, probe_lines
from controller.model.identifiers import DeviceName, Owner
from controller.model.yang_path import Path, Step

_OWNER = "telemetry/"
_FIRST_SESSION = 20_000
"""Below are the sessions of links, tunnels and operators."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Test packets from `device` to an address of `target`, in a VPN or in the core."""

    holder: str
    device: DeviceName
    target: DeviceName
    address: str
    interval_milliseconds: int
    instance: str = ""
    number: int = 0
    """Of the session; 0 until it has one."""

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
        lines = dict(probe_lines(self.address, TunnelProbe(number, ()), self.interval_milliseconds))
        if self.instance:
            lines[(*_entry(number), Step("accord-router", "network-instance"))] = self.instance
        return lines


def free_numbers(taken: Iterable[int]) -> Iterator[int]:
    """Numbers for sessions on a device where these are in use."""
    used = set(taken)
    return (number for number in range(_FIRST_SESSION, 1 << 16) if number not in used)


def measurements_of(device: DeviceName, contributions: Contributions) -> Iterator[Measurement]:
    """The measurements that a device holds for telemetry."""
    for owner in sorted(set(contributions.owners())):
        if owner.startswith(_OWNER):
            found = _read(device, owner, contributions.of(owner))
            if found is not None:
                yield found


def _read(device: DeviceName, owner: Owner, lines: Mapping[Path, str]) -> Measurement | None:
    holder, _, target = owner.removeprefix(_OWNER).rpartition("/")
    leaves = {path[3].name: value for path, value in lines.items() if len(path) == 4}
    numbers = {int(path[2].keys[0][1]) for path in lines if len(path) > 2 and path[2].keys}
    if len(numbers) != 1 or "remote-address" not in leaves:
        return None
    return Measurement(
        holder,
        device,
        DeviceName(target),
        leaves["remote-address"],
        int(leaves.get("interval", "1000")),
        leaves.get("network-instance", ""),
        numbers.pop(),
    )


def _entry(number: int) -> Path:
    return (*STAMP, Step("accord-router", "stamp-session", (("id", str(number)),)))
