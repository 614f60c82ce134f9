"""Owns values that nobody measured, each with its standard deviation: short gaps in time, and links that are not heard.

In time a series is a local level (Durbin and Koopman, chapter 2): a level that wanders, seen through noise; how much
of each is told by how differences of the series hang together. In space the loads Y of links are the demands X carried
over the routing matrix R, Y = R X: with a prior for X, what is heard tells of what is not, and how surely.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.model.errors import InvalidInputError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_LEAST_VARIANCE = 1e-12
_LEAST_WANDERING = 0.02
"""Of a difference's variance: a short series cannot show that its level stands still."""


@dataclass(frozen=True, slots=True)
class Filled:
    """Values with their gaps filled where that can be done; `deviations` is 0 where a value was measured."""

    values: Array
    deviations: Array
    imputed: Mask


def fill_short_gaps(values: Array, longest: int) -> Filled:
    """Fill gaps of up to `longest` ticks in a table (ticks, series) of measured values; longer ones stay NaN."""
    known = np.isfinite(values)
    wandering, noise = _variances(values, known)
    level, variance = _smoothed(values, known, wandering, noise)
    imputed = ~known & _in_short_gap(known, longest) & known.any(axis=0)
    filled = np.where(known, values, np.where(imputed, level, np.nan))
    return Filled(filled, np.where(imputed, np.sqrt(variance + noise), 0.0), imputed)


def _variances(values: Array, known: Mask) -> tuple[Array, Array]:
    """Of the level's steps and of the noise: differences have the one and twice the other, neighbours share that."""
    steps = np.diff(np.where(known, values, np.nan), axis=0)
    total = _mean(steps**2)
    shared = _mean(steps[1:] * steps[:-1]) if len(steps) > 1 else np.zeros_like(total)
    noise = np.clip(-shared, 0.0, total / 2)
    return np.maximum(total - 2 * noise, _LEAST_VARIANCE + _LEAST_WANDERING * total), noise + _LEAST_VARIANCE


def _mean(values: Array) -> Array:
    there = np.isfinite(values)
    mean: Array = np.where(there, values, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return mean


def _smoothed(values: Array, known: Mask, wandering: Array, noise: Array) -> tuple[Array, Array]:
    """Kalman's filter forward, then Rauch's, Tung's and Striebel's smoother back."""
    level, variance = np.zeros_like(values), np.zeros_like(values)
    first = np.argmax(known, axis=0)
    at = np.where(known.any(axis=0), values[first, np.arange(values.shape[1])], 0.0)
    spread = 1e6 * (wandering + noise)
    for tick, row in enumerate(values):
        if tick:
            spread = spread + wandering
        gain = np.where(known[tick], spread / (spread + noise), 0.0)
        at = at + gain * (np.where(known[tick], row, at) - at)
        spread = (1.0 - gain) * spread
        level[tick], variance[tick] = at, spread
    for tick in range(len(values) - 2, -1, -1):
        ahead = variance[tick] + wandering
        share = variance[tick] / ahead
        level[tick] += share * (level[tick + 1] - level[tick])
        variance[tick] += share**2 * (variance[tick + 1] - ahead)
    return level, variance


def _in_short_gap(known: Mask, longest: int) -> Mask:
    """Where a run of unknown ticks is no longer than that: its length is what is counted from both sides, less 1."""
    run = _run_lengths(known) + _run_lengths(known[::-1])[::-1] - 1
    short: Mask = run <= longest
    return short


def _run_lengths(known: Mask) -> NDArray[np.int64]:
    ticks = np.arange(len(known))[:, None]
    last = np.maximum.accumulate(np.where(known, ticks, -1), axis=0)
    return ticks - last


@dataclass(frozen=True, slots=True)
class Loads:
    """What the constraint makes of loads and demands; `surprise` in standard deviations, NaN where nothing is heard."""

    loads: Filled
    demands: Array
    demand_deviations: Array
    surprise: Array
    """How far each load is from what all others say of it: a sensor that lies stands out."""


def constrain_loads(
    routing: Array, loads: Array, prior: Array, prior_deviations: Array, load_deviations: Array | float
) -> Loads:
    """Estimate every load and demand of one tick from what is heard.

    `routing` is (links, demands): the share of a demand on a link; a load that is not heard is NaN. Least squares with
    a prior of independent demands; `InvalidInputError` where shapes do not fit or a deviation is not positive.
    """
    links, demands = routing.shape
    noise = np.broadcast_to(np.asarray(load_deviations, dtype=float), (links,)) ** 2
    if loads.shape != (links,) or prior.shape != (demands,) or prior_deviations.shape != (demands,):
        raise InvalidInputError(
            f"{loads.shape} loads and {prior.shape} demands are not those of a routing matrix {routing.shape}",
            remedy="give a load of each link and a prior of each demand",
        )
    if not ((noise > 0).all() and (prior_deviations > 0).all()):
        raise InvalidInputError("a deviation is not positive", remedy="give what each load and demand may differ by")
    heard = np.isfinite(loads)
    spread = prior_deviations**2
    seen = routing[heard]
    carried = seen * spread
    inverse = np.linalg.inv(carried @ seen.T + np.diag(noise[heard]))
    innovation = loads[heard] - seen @ prior
    estimate = np.maximum(prior + carried.T @ inverse @ innovation, 0.0)
    # Of R P R', only the diagonal is wanted: what the prior leaves open less what was heard of it.
    told = routing @ carried.T
    variance = (routing**2 @ spread) - np.einsum("ij,jk,ik->i", told, inverse, told) + noise
    left = spread - np.einsum("ji,jk,ki->i", carried, inverse, carried)
    surprise = np.full(links, np.nan)
    surprise[heard] = (inverse @ innovation) / np.sqrt(np.diag(inverse))
    filled = Filled(
        np.where(heard, loads, routing @ estimate),
        np.where(heard, 0.0, np.sqrt(np.maximum(variance, noise))),
        ~heard,
    )
    return Loads(filled, estimate, np.sqrt(np.maximum(left, 0.0)), surprise)
