"""Owns how often a cause of a given posterior is the true one: isotonic regression on simulated faults.

The table is what `python -m bench.localise_calibration` prints; it says what to do when the model changes.
"""

import numpy as np

CALIBRATION: tuple[tuple[float, float], ...] = ((0.0, 0.0), (1.0, 1.0))
"""(posterior, share of true causes), both rising; in between it is interpolated."""


def calibrated(posterior: float) -> float:
    """The probability that a cause of this posterior is a true one."""
    known, shares = (np.array(side) for side in zip(*CALIBRATION, strict=True))
    return float(np.interp(posterior, known, shares))
