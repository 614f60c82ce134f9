"""Owns the way from counters to rates: what was counted between two readings, over wraps and resets (RFC 2578 7.1.6).

A count that went down has wrapped if what it then counted is possible and usual, else it was reset. A counter that can
go round more than once between two readings tells nothing certain.
"""

from math import nan

from controller.telemetry.sample import Problem

SPEED_TOLERANCE = 1.1
"""Readings are not taken exactly when their times say."""
_USUAL_TIMES = 4.0
"""A wrap that counted more than so many times the usual is taken for a reset."""

Rate = tuple[float, tuple[Problem, ...]]
"""Per second, NaN when nobody can know, and what was found."""


def rate(
    before: float,
    after: float,
    seconds: float,
    *,
    bits: int = 64,
    highest: float = float("inf"),
    usual: float = 0.0,
) -> Rate:
    """The rate per second between two counts; `highest` is what the link can carry, `usual` what it carried lately."""
    if not (seconds > 0 and 0 <= before < 2.0**bits and 0 <= after < 2.0**bits):
        return nan, (Problem.IMPOSSIBLE,)
    if after >= before:
        return _judged((after - before) / seconds, seconds, bits, highest)
    around = (after + 2.0**bits - before) / seconds
    if around <= min(highest * SPEED_TOLERANCE, _USUAL_TIMES * usual if usual > 0 else highest):
        value, problems = _judged(around, seconds, bits, highest)
        return value, (Problem.WRAP, *problems)
    return nan, (Problem.RESET,)


def _judged(value: float, seconds: float, bits: int, highest: float) -> Rate:
    if value > highest * SPEED_TOLERANCE:
        return value, (Problem.IMPOSSIBLE,)
    if highest * seconds >= 2.0**bits and highest != float("inf"):
        return value, (Problem.AMBIGUOUS,)
    return value, ()
