"""Owns recursive least squares for many regressions at once: each learns from its own stream, a sample at a time.

Weights begin at zero under a ridge prior and forget exponentially. Arrays have the regression last, so that every
operation runs over contiguous memory: `features` is (d, n), `target` is (n,).
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_BLOCK = 4096
"""Regressions at once: what one works on stays in the processor's cache."""
_FORGET_EVERY = 16
_FORGETTING = 0.97
"""Once in so many samples, as it touches everything."""
_MOST_COVARIANCE = 1e3
"""Where nothing is to be learnt the covariance would grow without end."""


class LeastSquares:
    """`count` regressions of `dimensions` features each; `ridge` is how many samples the prior of zero is worth."""

    def __init__(self, dimensions: int, count: int, *, ridge: float = 20.0) -> None:
        self.weights: Array = np.zeros((dimensions, count))
        self._learnt = 0
        self._covariance: Array = np.repeat((np.eye(dimensions) / ridge)[:, :, None], count, axis=2)

    def predict(self, features: Array) -> Array:
        """What the weights say of these features, (n,)."""
        predicted: Array = np.einsum("dn,dn->n", self.weights, features)
        return predicted

    def learn(self, features: Array, target: Array, known: NDArray[np.bool_]) -> None:
        """One sample for each regression for which it is known."""
        wrong = target - self.predict(features)
        for begin in range(0, len(target), _BLOCK):
            part = slice(begin, begin + _BLOCK)
            self._learn(part, features[:, part], wrong[part], known[part])
        self._learnt += 1
        if self._learnt % _FORGET_EVERY == 0:
            covariance = self._covariance
            largest = np.einsum("iin->in", covariance).max(axis=0)
            covariance *= np.where(largest < _MOST_COVARIANCE, 1.0 / _FORGETTING, 1.0)

    def _learn(self, part: slice, features: Array, wrong: Array, known: NDArray[np.bool_]) -> None:
        covariance = self._covariance[:, :, part]
        carried = np.einsum("ijn,jn->in", covariance, features)
        gain = np.einsum("in,in->n", features, carried)
        gain += 1.0
        np.divide(known, gain, out=gain)
        scaled = carried * gain
        taken = np.empty_like(carried)
        self.weights[:, part] += np.multiply(scaled, wrong, out=taken)
        for row, share in zip(covariance, scaled, strict=True):
            np.subtract(row, np.multiply(share, carried, out=taken), out=row)
