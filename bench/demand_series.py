"""Owns series made from published demands: SNDlib's by way of topohub, with days, bursts and shifts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lab.topologies_topohub import topohub_topology

Array = NDArray[np.float64]
TICKS_A_DAY = 288
"""Five minutes each."""
_PERSISTENCE = 0.7


@dataclass(frozen=True, slots=True)
class Made:
    """Series (ticks, n) in bit/s, and what each would be without noise."""

    values: Array
    expected: Array


def demand_rates(names: tuple[str, ...], count: int) -> Array:
    """The rates of the largest demands of the networks named, over and over until there are enough."""
    rates = sorted((float(d.bit_rate) for name in names for d in topohub_topology(name).demands), reverse=True)
    return np.resize(np.array(rates), count)


def daily(rates: Array, days: int, seed: int, *, bursts: bool = True, shifts: bool = True) -> Made:
    """A day and half a day of its own phase and depth, noise that persists, bursts up to an hour, lasting shifts."""
    random = np.random.default_rng(seed)
    ticks, count = days * TICKS_A_DAY, len(rates)
    turn = 2 * np.pi * (np.arange(ticks)[:, None] / TICKS_A_DAY - random.uniform(0, 1, count))
    expected = rates * (1 + random.uniform(0.2, 0.5, count) * np.sin(turn) + 0.1 * np.sin(2 * turn))
    if shifts:
        _shift(expected, random)
    noise = 0.03 * _wandering(random, ticks, count)
    if bursts:
        _burst(noise, random)
    return Made(expected * np.maximum(1 + noise, 0.0), expected)


def _wandering(random: np.random.Generator, ticks: int, count: int) -> Array:
    noise = random.normal(size=(ticks, count))
    for tick in range(1, ticks):
        noise[tick] += _PERSISTENCE * noise[tick - 1]
    return noise


def _burst(noise: Array, random: np.random.Generator) -> None:
    ticks, count = noise.shape
    for column in range(count):
        for begin in random.integers(0, ticks, random.poisson(ticks / TICKS_A_DAY)):
            noise[begin : begin + random.integers(1, 13), column] += random.exponential(0.3)


def _shift(expected: Array, random: np.random.Generator) -> None:
    ticks, count = expected.shape
    for column in range(count):
        for begin in random.integers(0, ticks, random.poisson(ticks / TICKS_A_DAY / 7)):
            expected[begin:, column] *= random.uniform(0.6, 1.6)
