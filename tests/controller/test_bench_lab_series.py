"""What the forecasting bench records from the lab."""

import numpy as np

from bench.lab_series import TICKS_A_DAY, recorded


def test_a_recording_is_whole_lives_and_is_the_same_for_the_same_seed() -> None:
    first, again, other = recorded(1, 3), recorded(1, 3), recorded(1, 4)
    assert first.shape == (TICKS_A_DAY, 12)
    assert np.isfinite(first).all()
    assert (first.std(axis=0) > 0.05 * first.mean(axis=0)).all()
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
