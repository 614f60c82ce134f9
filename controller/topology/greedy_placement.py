"""Owns the placement of demands on one path each by rule and local search: no optimum, but quick, always an answer."""

from collections.abc import Mapping, Sequence

from controller.topology.search import Hops

_MOST_MOVES = 2000
_LEAST_GAIN = 1e-12


def placed_one_by_one(
    rates: Sequence[int],
    paths: Sequence[Sequence[Hops]],
    base: Sequence[float],
    capacities: Sequence[int],
    hints: Mapping[int, Mapping[int, float]] | None = None,
) -> list[int]:
    """Which of its paths each demand takes. `hints` are shares of a split placement; the largest share is started from.

    Without hints the largest demand goes first, each where the busiest of its links is used least; then demands are
    moved off the busiest link as long as that helps.
    """
    loads = list(base)
    chosen = [0] * len(rates)
    for demand in sorted(range(len(rates)), key=lambda number: (-rates[number], number)):
        options: Sequence[int] = range(len(paths[demand]))
        if hints and hints[demand]:
            options = [max(hints[demand], key=lambda choice: (hints[demand][choice], -choice))]
        chosen[demand] = min(
            options, key=lambda choice: (_peak(paths[demand][choice], rates[demand], loads, capacities), choice)
        )
        _shift(loads, paths[demand][chosen[demand]], rates[demand])
    for _ in range(_MOST_MOVES):
        if not _improved(rates, paths, (loads, capacities), chosen):
            break
    return chosen


def _peak(hops: Hops, rate: int, loads: Sequence[float], capacities: Sequence[int]) -> float:
    """The utilisation of the path's busiest link if the demand goes there."""
    return max((loads[link] + rate) / capacities[link] for link in hops)


def _shift(loads: list[float], hops: Hops, rate: int) -> None:
    for link in hops:
        loads[link] += rate


def _improved(
    rates: Sequence[int],
    paths: Sequence[Sequence[Hops]],
    links: tuple[list[float], Sequence[int]],
    chosen: list[int],
) -> bool:
    """Move the demand off the busiest link whose new path is then used least, if that is less than the busiest is."""
    loads, capacities = links
    busiest = max(range(len(loads)), key=lambda link: loads[link] / capacities[link])
    best = (loads[busiest] / capacities[busiest] - _LEAST_GAIN, -1, -1)
    for demand, choice in enumerate(chosen):
        now = paths[demand][choice]
        if busiest not in now:
            continue
        _shift(loads, now, -rates[demand])
        for other, hops in enumerate(paths[demand]):
            if busiest not in hops:
                best = min(best, (_peak(hops, rates[demand], loads, capacities), demand, other))
        _shift(loads, now, rates[demand])
    _, demand, other = best
    if demand < 0:
        return False
    _shift(loads, paths[demand][chosen[demand]], -rates[demand])
    _shift(loads, paths[demand][other], rates[demand])
    chosen[demand] = other
    return True
