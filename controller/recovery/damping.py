"""Owns which links keep going and coming back, and are not relied on until they have been quiet (RFC 2439 words).

Each loss of carrier adds a penalty of 1 to the wire, which halves with time. A fold of `link.changed` events.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import log2
from typing import Any

from controller.topology.network import LinkId

Json = Any
_FORGOTTEN = 0.05


@dataclass(frozen=True, slots=True)
class FlapLimits:
    """From which penalty on a wire is suppressed, and below which it is used again."""

    suppress_penalty: float = 2.5
    reuse_penalty: float = 1.0
    half_life_seconds: float = 120.0
    highest_penalty: float = 8.0


@dataclass(frozen=True, slots=True)
class _Penalty:
    value: float
    time: float
    is_suppressed: bool


@dataclass(slots=True)
class FlapDamping:
    """The penalties of all wires, each named by one of its directions."""

    limits: FlapLimits = FlapLimits()
    _penalties: dict[LinkId, _Penalty] = field(default_factory=dict)

    def down(self, wire: LinkId, now: float) -> None:
        """It has lost its carrier."""
        self._penalties = {name: one for name, one in self._penalties.items() if self._now(one, now) > _FORGOTTEN}
        before = self._penalties.get(wire)
        value = min(self.limits.highest_penalty, 1.0 + (self._now(before, now) if before else 0.0))
        is_still = before is not None and before.is_suppressed and now < self._quiet_at(before)
        self._penalties[wire] = _Penalty(value, now, is_still or value >= self.limits.suppress_penalty)

    def suppressed(self, now: float) -> tuple[LinkId, ...]:
        """The wires that are not to be relied on, by name."""
        return tuple(sorted(n for n, one in self._penalties.items() if one.is_suppressed and now < self._quiet_at(one)))

    def quiet_at(self, wire: LinkId) -> float:
        """When a wire may be relied on again if it stays quiet (UTC seconds); 0 for one that may be now."""
        one = self._penalties.get(wire)
        return self._quiet_at(one) if one is not None and one.is_suppressed else 0.0

    def _now(self, one: _Penalty, now: float) -> float:
        return float(one.value * 2.0 ** (-max(0.0, now - one.time) / self.limits.half_life_seconds))

    def _quiet_at(self, one: _Penalty) -> float:
        return one.time + self.limits.half_life_seconds * max(0.0, log2(one.value / self.limits.reuse_penalty))

    def to_json(self) -> Json:
        """The state, for a snapshot."""
        return [[name, one.value, one.time, one.is_suppressed] for name, one in self._penalties.items()]

    def load_json(self, document: Json) -> None:
        """Put back what `to_json` gave."""
        self._penalties = {LinkId(name): _Penalty(*rest) for name, *rest in document}


def wire_of(links: Iterable[str]) -> LinkId | None:
    """One name for what a carrier event tells of: the first of the directions."""
    return min(map(LinkId, links), default=None)
