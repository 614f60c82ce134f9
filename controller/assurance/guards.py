"""Owns what keeps the closed loop from oscillating: when a change of an agreement may begin, and why not yet.

Draft naas-agentic-negotiation asks for a single-flight gate and a cooling-down period; beside them stand damping of
repeated causes (the penalties of RFC 2439), jitter between agreements, and a budget of changes. Time comes in; the
state is a fold of what began and ended, so a restarted controller holds back exactly as the one before it.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from math import log2
from typing import Any

from controller.model.errors import ConflictError, InvalidInputError

Json = Any
_FORGOTTEN = 0.05
"""A penalty this small is none."""
_HIGHEST = 4.0
"""Of the suppress threshold: what bounds how long a cause stays damped."""


class Guard(StrEnum):
    """Who holds a change back."""

    SINGLE_FLIGHT = "single flight"
    COOLING = "cooling"
    DAMPING = "damping"
    JITTER = "jitter"
    BUDGET = "change budget"


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """What the guards go by. Each change for a cause adds a penalty of 1, which halves in `half_life_seconds`."""

    horizon_seconds: float = 300.0
    make_before_break_seconds: float = 60.0
    suppress_penalty: float = 2.5
    reuse_penalty: float = 1.0
    half_life_seconds: float = 1800.0
    jitter_seconds: float = 30.0
    changes_per_tick: int = 5
    tick_seconds: float = 10.0
    seed: str = ""
    """Spreads agreements; the same seed spreads them the same way."""

    def __post_init__(self) -> None:
        """Refuse limits that would hold nothing back, or everything."""
        for name in ("horizon_seconds", "half_life_seconds", "tick_seconds", "reuse_penalty", "changes_per_tick"):
            if not getattr(self, name) > 0:
                raise InvalidInputError(f"{name} must be above zero", path=name)
        if self.suppress_penalty < self.reuse_penalty:
            raise InvalidInputError("a cause would be damped that is reused already", path="suppress_penalty")

    @property
    def cooling_seconds(self) -> float:
        """Long enough for the forecast to have seen the change, and for the change to be over."""
        return max(2.0 * self.horizon_seconds, self.make_before_break_seconds)


@dataclass(frozen=True, slots=True)
class Admission:
    """May a change begin? `guard` is who says no, `not_before` when to ask again at the earliest (UTC seconds)."""

    guard: Guard | None = None
    not_before: float = 0.0
    text: str = "no guard holds it back"

    @property
    def is_admitted(self) -> bool:
        """Whether it may begin now."""
        return self.guard is None


@dataclass(frozen=True, slots=True)
class _Penalty:
    value: float
    time: float
    is_suppressed: bool

    def at(self, now: float, half_life_seconds: float) -> float:
        return float(self.value * 2.0 ** (-max(0.0, now - self.time) / half_life_seconds))


@dataclass(slots=True)
class Guards:
    """The guards of all agreements."""

    limits: GuardLimits = GuardLimits()
    _flights: dict[str, str] = field(default_factory=dict)
    """Agreement -> cause of its change under way."""
    _rested: dict[str, float] = field(default_factory=dict)
    """Agreement -> when its latest change ended, or was refused."""
    _penalties: dict[tuple[str, str], _Penalty] = field(default_factory=dict)
    _tick: int = 0
    _changes: int = 0

    def admit(self, agreement: str, cause: str, at_risk_since: float, now: float) -> Admission:
        """Whether a change of this agreement for this cause may begin; ask for the most important ones first."""
        if agreement in self._flights:
            return Admission(Guard.SINGLE_FLIGHT, now, f"a change for '{self._flights[agreement]}' is under way")
        for guard, until, text in (
            (Guard.COOLING, self.cool_at(agreement), "its latest change is too young"),
            (Guard.DAMPING, self._reusable_at(agreement, cause, now), f"'{cause}' keeps coming back"),
            (Guard.JITTER, at_risk_since + self.jitter_seconds(agreement, cause), "others may go first"),
        ):
            if now < until:
                return Admission(guard, until, f"{text}: {until - now:.0f} s to wait")
        tick = self._tick_of(now)
        if tick == self._tick and self._changes >= self.limits.changes_per_tick:
            again = (tick + 1) * self.limits.tick_seconds
            return Admission(Guard.BUDGET, again, f"{self._changes} changes began in this tick already")
        return Admission()

    def cool_at(self, agreement: str) -> float:
        """When a change may follow the latest one, in UTC seconds; minus infinity where there was none."""
        rested = self._rested.get(agreement)
        return float("-inf") if rested is None else rested + self.limits.cooling_seconds

    def jitter_seconds(self, agreement: str, cause: str) -> float:
        """How long this agreement waits where many see the same cause: the same each time, evenly spread."""
        digest = sha256(f"{self.limits.seed}\0{agreement}\0{cause}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2.0**64 * self.limits.jitter_seconds

    def begin(self, agreement: str, cause: str, now: float, *, is_owners: bool = False) -> None:
        """A change begins; one that the owner asked for is not held against its cause."""
        if agreement in self._flights:
            raise ConflictError(
                f"'{agreement}' is being changed for '{self._flights[agreement]}'",
                remedy="wait until that is committed or rolled back",
                path=agreement,
            )
        self._flights[agreement] = cause
        tick = self._tick_of(now)
        self._changes = self._changes + 1 if tick == self._tick else 1
        self._tick = tick
        if not is_owners:
            self._punish(agreement, cause, now)

    def end(self, agreement: str, now: float) -> None:
        """The change under way is over, well or not."""
        self._flights.pop(agreement, None)
        self._rested[agreement] = now

    def refuse(self, agreement: str, cause: str, now: float) -> None:
        """Nothing could be changed: asking again at once would find the same."""
        self._rested[agreement] = now
        self._punish(agreement, cause, now)

    def forget(self, agreement: str) -> None:
        """The agreement is over."""
        self._flights.pop(agreement, None)
        self._rested.pop(agreement, None)
        for key in [key for key in self._penalties if key[0] == agreement]:
            del self._penalties[key]

    def _tick_of(self, now: float) -> int:
        return int(now // self.limits.tick_seconds)

    def _punish(self, agreement: str, cause: str, now: float) -> None:
        half_life = self.limits.half_life_seconds
        for key in [key for key, one in self._penalties.items() if one.at(now, half_life) < _FORGOTTEN]:
            del self._penalties[key]
        before = self._penalties.get((agreement, cause))
        value = 1.0 + (before.at(now, half_life) if before else 0.0)
        still = self._reusable_at(agreement, cause, now) > now
        value = min(value, _HIGHEST * self.limits.suppress_penalty)
        self._penalties[agreement, cause] = _Penalty(value, now, still or value >= self.limits.suppress_penalty)

    def _reusable_at(self, agreement: str, cause: str, now: float) -> float:
        penalty = self._penalties.get((agreement, cause))
        if penalty is None or not penalty.is_suppressed:
            return now
        over = max(0.0, log2(penalty.value / self.limits.reuse_penalty))
        return penalty.time + self.limits.half_life_seconds * over

    def to_json(self) -> Json:
        """The state, for a snapshot."""
        return {
            "flights": dict(self._flights),
            "rested": dict(self._rested),
            "penalties": [[*key, one.value, one.time, one.is_suppressed] for key, one in self._penalties.items()],
            "tick": [self._tick, self._changes],
        }

    def load_json(self, document: Json) -> None:
        """Put back what `to_json` gave."""
        self._flights = dict(document["flights"])
        self._rested = dict(document["rested"])
        self._penalties = {(one[0], one[1]): _Penalty(*one[2:]) for one in document["penalties"]}
        self._tick, self._changes = document["tick"]
