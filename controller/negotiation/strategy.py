"""Owns what the operator proposes when a live agreement is at risk, or could be had for less: the strategy chooser.

Draft naas-agentic-negotiation, Closed-Loop Renegotiation: step up for a service-level-sensitive class, step down for a
cost-sensitive one; beside them a reroute, and a time shift for what can wait. The table is the whole of the judgement.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from math import inf
from types import MappingProxyType

from controller.model.errors import NotFoundError
from controller.model.money import Money
from controller.model.units import BitRate
from controller.negotiation.agreement import ServiceLevel, Strategy, Terms
from controller.negotiation.catalogue import Axis, Catalogue, Grade, Offering, Tier
from controller.negotiation.message_bodies import Variation
from controller.negotiation.quote import Quote
from controller.negotiation.request import ServiceRequest

PPM = 1_000_000
QUIETER_SECONDS = 3_600
"""How far a deferrable flow is put off at a time."""


class Temper(StrEnum):
    """What matters most to a class of workload."""

    SERVICE_LEVEL = "service level"
    COST = "cost"
    DEFERRABLE = "deferrable"


_S, _T = Strategy, Temper
CHOICES: Mapping[Temper, tuple[Strategy, ...]] = MappingProxyType(
    {
        _T.SERVICE_LEVEL: (_S.REROUTE, _S.STEP_UP),
        _T.COST: (_S.STEP_DOWN, _S.REROUTE),
        _T.DEFERRABLE: (_S.TIME_SHIFT, _S.STEP_DOWN, _S.REROUTE),
    }
)
"""What is offered to a class at risk, the most fitting first."""
TEMPERS: Mapping[str, Temper] = MappingProxyType(
    {
        "premium": _T.SERVICE_LEVEL,
        "standard": _T.COST,
        "best-effort": _T.COST,
        "general": _T.COST,
        "market-data": _T.SERVICE_LEVEL,
        "order-execution": _T.SERVICE_LEVEL,
        "risk-replication": _T.SERVICE_LEVEL,
        "block-synchronisation": _T.DEFERRABLE,
        "bulk-transfer": _T.DEFERRABLE,
    }
)

_TIER_ABOVE: Mapping[Tier | None, Tier] = MappingProxyType({Tier.IP: Tier.OPTICAL})
"""Where the grades that were asked of a tier are kept whatever others send."""


@dataclass(frozen=True, slots=True)
class Risk:
    """What a live agreement is at risk of: the axis, and the links that it is to keep off."""

    axis: Axis
    avoid: tuple[str, ...] = ()


def temper_of(workload_class: str, tempers: Mapping[str, Temper] = TEMPERS) -> Temper:
    """What matters most to this class; `NotFoundError` for a class that nobody has described."""
    if workload_class not in tempers:
        known = ", ".join(sorted(tempers))
        raise NotFoundError(f"there is no workload class '{workload_class}'", remedy=f"name one of {known}")
    return tempers[workload_class]


def variations(terms: Terms, risk: Risk, catalogue: Catalogue, now: float) -> tuple[Variation, ...]:
    """What to ask OSS for, the most fitting first; a strategy that has no grade to go to is left out."""
    made = (_variation(each, terms, risk, catalogue, now) for each in CHOICES[temper_of(terms.request.workload_class)])
    found = [one for one in made if one is not None]
    # What takes less may also stay where it is.
    stays = [replace(one, avoid=()) for one in found if one.strategy is Strategy.STEP_DOWN and one.avoid]
    return (*found, *stays)


def step_back(terms: Terms, now: float) -> Variation:
    """What was asked at first, for the rest of the time."""
    return Variation(Strategy.STEP_BACK, rest_of(terms.asked, terms, now))


def rest_of(request: ServiceRequest, terms: Terms, now: float) -> ServiceRequest:
    """A request for what is left of an agreement's time."""
    start = max(now, terms.request.start)
    return replace(request, start=start, duration_seconds=max(1, int(terms.ends - start)))


def _variation(strategy: Strategy, terms: Terms, risk: Risk, catalogue: Catalogue, now: float) -> Variation | None:
    rest = rest_of(terms.request, terms, now)
    if strategy is Strategy.REROUTE:
        return Variation(strategy, rest, risk.avoid) if risk.avoid else None
    if strategy is Strategy.TIME_SHIFT:
        return Variation(strategy, replace(rest, start=rest.start + QUIETER_SECONDS))
    if strategy is Strategy.STEP_UP and rest.tier in _TIER_ABOVE:
        # What others' traffic does to a best-effort network, more of the same network does not mend.
        return Variation(strategy, replace(rest, tier=_TIER_ABOVE[rest.tier]), risk.avoid)
    grade = _neighbour(catalogue, risk.axis, terms.level, 1 if strategy is Strategy.STEP_UP else -1)
    if grade is None:
        return None
    return Variation(strategy, _with_grade(rest, grade), risk.avoid)


def _neighbour(catalogue: Catalogue, axis: Axis, level: ServiceLevel, step: int) -> Grade | None:
    """The next grade on an axis, better or lesser than the one that is promised."""
    grades = catalogue.grades[axis]
    held = max((grade.rank for grade in grades if _promises(level, grade)), default=0)
    rank = held + step
    return grades[rank] if 0 <= rank < len(grades) else None


def _promises(level: ServiceLevel, grade: Grade) -> bool:
    """Whether the level is at least as good as the grade."""
    if grade.axis is Axis.BANDWIDTH:
        return level.bit_rate >= grade.bound
    if grade.axis is Axis.AVAILABILITY:
        return level.availability_ppm >= round(grade.bound * PPM)
    return level.latency_microseconds is not None and level.latency_microseconds <= grade.bound * PPM


def _with_grade(request: ServiceRequest, grade: Grade) -> ServiceRequest:
    if grade.axis is Axis.BANDWIDTH:
        return replace(request, bandwidth=BitRate(int(grade.bound)))
    if grade.axis is Axis.AVAILABILITY:
        return replace(request, availability=grade.bound)
    return replace(request, latency_seconds=None if grade.bound == inf else grade.bound)


def level_of(offering: Offering) -> ServiceLevel:
    """What a catalogue's service promises."""
    bound = offering.latency.bound
    return ServiceLevel(
        tier=offering.tier.value,
        bit_rate=offering.bit_rate,
        latency_microseconds=None if bound == inf else round(bound * PPM),
        availability_ppm=round(offering.availability.bound * PPM),
    )


def remaining_value(terms: Terms, now: float) -> Money:
    """What is not used up of the money that an agreement costs: pro rata, to the second."""
    left = min(terms.request.duration_seconds, max(0, round(terms.ends - now)))
    return terms.quote.total.times(Fraction(left, terms.request.duration_seconds))


def amount_on_top(quote: Quote, parent: Terms | None, now: float) -> Money:
    """What is to be reserved beside what the parent holds already; nothing where it costs less."""
    if parent is None:
        return quote.total
    difference = quote.total - remaining_value(parent, now)
    return difference if difference.minor > 0 else Money.zero(quote.total.currency)


def given_back(parent: Terms, after: Terms | None, now: float) -> Money:
    """What comes back of the parent's money when other terms, or none, take its place; never below zero."""
    left = remaining_value(parent, now)
    rest = left if after is None else left - after.quote.total
    return rest if rest.minor > 0 else Money.zero(rest.currency)


def net_gain(parent: Terms, offered: Terms, switching_cost: Money, now: float) -> Money:
    """What walking to the offered terms saves for the rest of the time, less what a switch costs either side."""
    return remaining_value(parent, now) - offered.quote.total - switching_cost


def is_lesser(level: ServiceLevel, other: ServiceLevel) -> bool:
    """Whether a level promises less than another on any axis."""
    return (
        level.bit_rate < other.bit_rate
        or level.availability_ppm < other.availability_ppm
        or (inf if level.latency_microseconds is None else level.latency_microseconds)
        > (inf if other.latency_microseconds is None else other.latency_microseconds)
    )
