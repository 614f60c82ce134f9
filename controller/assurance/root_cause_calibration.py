"""Owns how often a cause of a given posterior is the true one: isotonic regression on simulated faults.

The table is what `python -m bench.localise_calibration` prints; it says what to do when the model changes.
"""

import numpy as np

CALIBRATION: tuple[tuple[float, float], ...] = (
    (0.0000, 0.000),
    (0.0994, 0.074),
    (0.4751, 0.462),
    (0.9850, 0.960),
    (1.0000, 1.000),
)
"""(posterior, share of true causes), both rising; in between it is interpolated."""


def calibrated(posterior: float) -> float:
    """The probability that a cause of this posterior is a true one."""
    known, shares = (np.array(side) for side in zip(*CALIBRATION, strict=True))
    return float(np.interp(posterior, known, shares))
