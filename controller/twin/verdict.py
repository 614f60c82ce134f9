"""Owns what the twin answers: a verdict, and the packet with its path that shows why it is refused."""

from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import ip_network

_POINT_TO_POINT = 2
"""Addresses of a subnet in which none is the network's own (RFC 3021)."""
_ROUNDING_SECONDS = 1e-9
"""Paths are searched in whole nanoseconds: what was found within its bound is within it."""


class Fault(StrEnum):
    """What can be wrong with what happens to a packet."""

    NO_ENTRY = "no entry"
    """The customer's packets are not taken in."""
    BLACKHOLE = "blackhole"
    WRONG_EXIT = "wrong exit"
    """It leaves where its destination is not."""
    LEAK = "leak"
    """It reaches what its sender must not reach."""
    LOOP = "loop"
    SEGMENT = "unresolvable segment"
    POLICY = "no valid path"
    DETOUR = "other path"
    """A tunnel's segments do not spell the links that were chosen for it."""
    DELAY = "too slow"
    CAPACITY = "too full"


@dataclass(frozen=True, slots=True)
class Hop:
    """A place on a packet's path and what happens there."""

    device: str
    does: str

    def __str__(self) -> str:
        return f"{self.device}: {self.does}"


@dataclass(frozen=True, slots=True)
class CounterExample:
    """A packet that shows a fault."""

    fault: Fault
    subject: str
    """The VPN or tunnel whose promise is broken."""
    source: str
    destination: str
    explanation: str
    path: tuple[Hop, ...] = ()
    entry: str = ""
    """What all senders of this packet class have in common: device and VRF."""
    failure: str = ""
    """What is down meanwhile; empty for the network as it is."""

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """The same for the same fault of the same packet class."""
        return self.fault, self.subject, self.entry or self.source, self.destination, self.failure

    def __str__(self) -> str:
        when = f" while {self.failure} is down" if self.failure else ""
        head = f"{self.subject}: {self.fault}{when}: {self.explanation}"
        packet = f"  packet from {self.source} to {example_address(self.destination)}"
        return "\n".join((head, packet, *(f"    {hop}" for hop in self.path)))


def is_too_slow(delay_seconds: float, bound_seconds: float) -> bool:
    """Whether a delay breaks its bound, and not the last digit of a sum does."""
    return delay_seconds > bound_seconds + _ROUNDING_SECONDS


def example_address(destination: str) -> str:
    """One address of a destination, with the destination; what is no prefix stays as it is."""
    if "/" not in destination:
        return destination
    network = ip_network(destination)
    first = network.network_address if network.num_addresses <= _POINT_TO_POINT else network.network_address + 1
    return f"{first} ({destination})"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer about one change. Only `refusals` forbid it."""

    refusals: tuple[CounterExample, ...] = ()
    standing: tuple[CounterExample, ...] = ()
    """What was wrong before the change and still is, or was agreed to."""
    risks: tuple[CounterExample, ...] = ()
    """What a single failure would break."""
    classes: int = 0
    """Packet classes that were followed."""
    failures: int = 0
    """Single failures that were tried."""
    assumptions: tuple[str, ...] = ()

    def excusing(self, late: frozenset[str]) -> "Verdict":
        """The same where it was agreed that these subjects are late: that is told and forbids nothing."""
        excused = tuple(each for each in self.refusals if each.fault is Fault.DELAY and each.subject in late)
        if not excused:
            return self
        refusals = tuple(each for each in self.refusals if each not in excused)
        return replace(self, refusals=refusals, standing=(*self.standing, *excused))

    @property
    def is_proved(self) -> bool:
        """Whether nothing forbids the change."""
        return not self.refusals

    def __str__(self) -> str:
        if self.refusals:
            return "\n".join((f"twin: refused, {len(self.refusals)} counter-example(s)", *map(str, self.refusals[:3])))
        parts = [f"{self.classes} packet classes"]
        parts += [f"{self.failures} single failures"] if self.failures else []
        parts += [f"{len(self.risks)} at risk in a failure"] if self.risks else []
        parts += [f"{len(self.standing)} broken before"] if self.standing else []
        return "; ".join((f"twin: proved ({', '.join(parts)})", *self.assumptions))
