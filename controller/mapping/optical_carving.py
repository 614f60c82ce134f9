"""Owns carving: a service's bandwidth and delay, end to end, split over access, IP and optical segments.

The use case "Service Switching Across IP and Optical Networks" in data: a demand that either transport can carry is
carried by IP unless it wants constant delay; the delay left over goes to the segments that queue.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from controller.model.errors import ConflictError, InvalidInputError
from controller.model.units import BitRate

MOST_SEGMENTS = 5
"""An access at each end, and three transports between them."""


class SegmentKind(StrEnum):
    """What carries a segment."""

    ACCESS = "access"
    IP = "ip"
    OPTICAL = "optical"


@dataclass(frozen=True, slots=True)
class SegmentOffer:
    """A piece of the way that can be had between two points, in both directions.

    `delay_seconds` is what it takes when nothing queues, which for an optical segment is always.
    """

    name: str
    kind: SegmentKind
    source: str
    target: str
    available: BitRate
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a service wants from end to end. `is_deterministic` asks for constant delay between the accesses."""

    source: str
    target: str
    bandwidth: BitRate
    delay_bound_seconds: float | None = None
    is_deterministic: bool = False

    def __str__(self) -> str:
        return f"{self.bandwidth} from '{self.source}' to '{self.target}'"


@dataclass(frozen=True, slots=True)
class Portion:
    """What one segment has to keep; `delay_budget_seconds` None when no bound was asked for."""

    offer: SegmentOffer
    bandwidth: BitRate
    delay_budget_seconds: float | None


@dataclass(frozen=True, slots=True)
class Carving:
    """The segments that carry a service, in order, and what each has to keep."""

    portions: tuple[Portion, ...]

    @property
    def delay_seconds(self) -> float:
        """The delay when nothing queues."""
        return sum(portion.offer.delay_seconds for portion in self.portions)

    def of(self, kind: SegmentKind) -> tuple[Portion, ...]:
        """The portions of one kind."""
        return tuple(portion for portion in self.portions if portion.offer.kind is kind)


@dataclass(slots=True, eq=False)
class CarvingError(ConflictError):
    """No chain of segments carries the requirement; `segments` are those that cannot."""

    segments: tuple[str, ...] = ()


def carve(requirement: Requirement, offers: Collection[SegmentOffer]) -> Carving:
    """The chain with the fewest optical segments, then the fewest, then of least delay, and what each has to keep.

    `CarvingError` names the segments that stand in the way, and why.
    """
    _check(requirement, offers)
    chains = sorted(_chains(requirement, offers), key=_preference)
    obstacles: dict[str, str] = {}
    for chain in chains:
        found = dict(_obstacles(requirement, chain))
        if not found:
            return Carving(tuple(_portions(requirement, chain)))
        obstacles |= found
    if not obstacles:
        raise CarvingError(
            f"no segments lead from '{requirement.source}' to '{requirement.target}'", remedy="offer some that do"
        )
    raise CarvingError(
        f"{requirement} cannot be carried: {'; '.join(obstacles.values())}",
        remedy="ask for less, or free what these segments carry",
        segments=tuple(obstacles),
    )


def _check(requirement: Requirement, offers: Collection[SegmentOffer]) -> None:
    bound = requirement.delay_bound_seconds
    if requirement.bandwidth.bits_per_second < 0 or (bound is not None and not bound > 0):
        raise InvalidInputError(f"{requirement}, delay {bound} s, is not a requirement", remedy="ask for what can be")
    for offer in offers:
        if offer.delay_seconds < 0:
            raise InvalidInputError(f"segment '{offer.name}' has a delay of {offer.delay_seconds} s")


def _chains(requirement: Requirement, offers: Collection[SegmentOffer]) -> Iterator[tuple[SegmentOffer, ...]]:
    """Every way along the offers that visits no point twice and passes an access only at its ends."""
    at: dict[str, list[tuple[str, SegmentOffer]]] = {}
    for offer in offers:
        if not (requirement.is_deterministic and offer.kind is SegmentKind.IP):
            at.setdefault(offer.source, []).append((offer.target, offer))
            at.setdefault(offer.target, []).append((offer.source, offer))

    def onward(point: str, chain: tuple[SegmentOffer, ...], seen: frozenset[str]) -> Iterator[tuple[SegmentOffer, ...]]:
        if point == requirement.target:
            yield chain
            return
        for following, offer in at.get(point, ()) if len(chain) < MOST_SEGMENTS else ():
            is_end = following == requirement.target or not chain
            if following not in seen and (is_end or offer.kind is not SegmentKind.ACCESS):
                yield from onward(following, (*chain, offer), seen | {following})

    return onward(requirement.source, (), frozenset({requirement.source}))


def _preference(chain: tuple[SegmentOffer, ...]) -> tuple[int, int, float, tuple[str, ...]]:
    optical = sum(offer.kind is SegmentKind.OPTICAL for offer in chain)
    return optical, len(chain), sum(offer.delay_seconds for offer in chain), tuple(offer.name for offer in chain)


def _obstacles(requirement: Requirement, chain: tuple[SegmentOffer, ...]) -> Iterator[tuple[str, str]]:
    for offer in chain:
        if offer.available < requirement.bandwidth:
            yield offer.name, f"segment '{offer.name}' has {offer.available} left, not {requirement.bandwidth}"
    bound, delay_seconds = requirement.delay_bound_seconds, sum(offer.delay_seconds for offer in chain)
    if bound is not None and delay_seconds > bound:
        slowest = max(chain, key=lambda offer: offer.delay_seconds)
        words = f"{slowest.delay_seconds * 1000:g} ms of {delay_seconds * 1000:g} ms in all"
        yield slowest.name, f"segment '{slowest.name}' takes {words}, and the bound is {bound * 1000:g} ms"


def _portions(requirement: Requirement, chain: tuple[SegmentOffer, ...]) -> Iterator[Portion]:
    bound = requirement.delay_bound_seconds
    slack = 0.0 if bound is None else bound - sum(offer.delay_seconds for offer in chain)
    queueing = [offer for offer in chain if offer.kind is not SegmentKind.OPTICAL]
    weights = sum(offer.delay_seconds for offer in queueing)
    for offer in chain:
        share = 0.0
        if offer in queueing:
            share = slack * offer.delay_seconds / weights if weights else slack / len(queueing)
        yield Portion(offer, requirement.bandwidth, None if bound is None else offer.delay_seconds + share)
