"""Owns the probe budget: how many test packets a second all measurements together may send, and who has how many."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from controller.model.errors import BusyError, InvalidInputError

_SLACK = 1e-9


@dataclass(slots=True)
class ProbeBudget:
    """Test packets per second, given out by holder and taken back whole.

    Campaigns take and give back. What services, links and tunnels send is configuration, and is counted from there.
    """

    packets_per_second: float
    _granted: dict[str, float] = field(default_factory=dict)
    _standing: Mapping[str, float] = field(default_factory=dict)

    @property
    def granted(self) -> Mapping[str, float]:
        """Packets per second by holder."""
        return MappingProxyType({**self._standing, **self._granted})

    @property
    def standing(self) -> Mapping[str, float]:
        """The part of it that is counted from the configuration of devices."""
        return MappingProxyType(dict(self._standing))

    @property
    def free(self) -> float:
        """What nobody has; negative where the budget was made smaller than what is out."""
        return self.packets_per_second - sum(self._granted.values()) - sum(self._standing.values())

    def account(self, standing: Mapping[str, float]) -> None:
        """Count what stands on the devices, in place of what did; nobody is asked whether it fits."""
        self._standing = dict(standing)

    def take(self, holder: str, packets_per_second: float) -> None:
        """Grant a holder this much in place of what it has; `BusyError` when there isn't as much."""
        if not packets_per_second > 0:
            raise InvalidInputError(f"{packets_per_second:g} packets a second measure nothing", path=holder)
        room = self.free + self._granted.get(holder, 0.0)
        if packets_per_second > room + _SLACK:
            granted = self.granted
            largest = max(granted, key=lambda name: granted[name], default="")
            held = f"; most of it has {largest}" if largest else ""
            raise BusyError(
                f"{holder} asks for {packets_per_second:g} test packets a second, of the budget of "
                f"{self.packets_per_second:g} there are {max(room, 0.0):g}{held}",
                remedy="stop another measurement, or raise telemetry.probe_packets_per_second",
                tag="resource-denied",
                path=holder,
            )
        self._granted[holder] = packets_per_second

    def give_back(self, holder: str) -> float:
        """What a holder had is free again; how much that was."""
        return self._granted.pop(holder, 0.0)
