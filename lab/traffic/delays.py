"""One-way delays of any number of packets in little memory.

Owns a histogram whose buckets are exact below 256 ns and less than 1 % wide above, so that a flow may run for days.
"""

from __future__ import annotations

from math import ceil

_EXACT_BITS = 8
_SECOND = 1e9


class DelayHistogram:
    """Delays in nanoseconds; smallest and largest are kept exactly."""

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self._count = 0
        self._minimum = 0
        self._maximum = 0

    def add(self, nanoseconds: int) -> None:
        """Count one delay; a clock set back meanwhile counts as none."""
        delay = max(0, nanoseconds)
        self._minimum = min(self._minimum, delay) if self._count else delay
        self._maximum = max(self._maximum, delay)
        self._count += 1
        bucket = _bucket(delay)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1

    @property
    def minimum_seconds(self) -> float | None:
        """The shortest delay, None without any."""
        return self._minimum / _SECOND if self._count else None

    @property
    def maximum_seconds(self) -> float | None:
        """The longest delay, None without any."""
        return self._maximum / _SECOND if self._count else None

    def quantile_seconds(self, share: float) -> float | None:
        """The delay that `share` (0 to 1) of the packets did not exceed, None without any."""
        left = ceil(share * self._count)
        for bucket in sorted(self._buckets):
            left -= self._buckets[bucket]
            if left <= 0:
                return min(max(_middle(bucket), self._minimum), self._maximum) / _SECOND
        return None


def _bucket(delay: int) -> int:
    """The delay's leading bits, and how many places they are shifted by."""
    shift = max(0, delay.bit_length() - _EXACT_BITS)
    return (shift << _EXACT_BITS) + (delay >> shift)


def _middle(bucket: int) -> int:
    shift, leading = bucket >> _EXACT_BITS, bucket & ((1 << _EXACT_BITS) - 1)
    return (leading << shift) + ((1 << shift) >> 1)
