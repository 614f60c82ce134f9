"""What became of numbered packets: received, duplicated, reordered, how late, and the longest silence.

Owns the counting at the receiver, without a clock of its own. Reordering as RFC 4737 section 3 defines it: a packet is
reordered when its number is below one that came before it. A duplicate is counted once, as that and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.traffic.delays import DelayHistogram

_SECOND = 1e9


@dataclass(frozen=True, slots=True)
class Received:
    """The receiver's account of a flow up to a number. Delays in seconds, None when nothing came."""

    received: int
    duplicated: int
    reordered: int
    longest_gap_seconds: float
    delay_minimum_seconds: float | None
    delay_median_seconds: float | None
    delay_p99_seconds: float | None
    delay_maximum_seconds: float | None


class Arrivals:
    """The packets of one flow as they come; times are nanoseconds of one clock."""

    def __init__(self) -> None:
        self._seen = bytearray()
        self._received = 0
        self._duplicated = 0
        self._reordered = 0
        self._next = 0
        self._delays = DelayHistogram()
        self._longest_gap = 0
        self._last_arrival: int | None = None
        self._first_sent = 0
        self._last_sent = 0

    def add(self, sequence: int, sent: int, arrived: int) -> None:
        """Count one arrival."""
        self._measure_gap(sent, arrived)
        if self._mark(sequence):
            self._duplicated += 1
            return
        self._received += 1
        self._delays.add(arrived - sent)
        if sequence < self._next:
            self._reordered += 1
        else:
            self._next = sequence + 1

    def account(self, sent: int, first_sent: int, last_sent: int) -> Received:
        """The account of the first `sent` packets, which left between those two times."""
        return Received(
            received=self._received - self._received_from(sent),
            duplicated=self._duplicated,
            reordered=self._reordered,
            longest_gap_seconds=self._gap(first_sent, last_sent) / _SECOND,
            delay_minimum_seconds=self._delays.minimum_seconds,
            delay_median_seconds=self._delays.quantile_seconds(0.5),
            delay_p99_seconds=self._delays.quantile_seconds(0.99),
            delay_maximum_seconds=self._delays.maximum_seconds,
        )

    def _measure_gap(self, sent: int, arrived: int) -> None:
        if self._last_arrival is None:
            self._first_sent = self._last_sent = sent
        else:
            self._longest_gap = max(self._longest_gap, arrived - self._last_arrival)
            self._last_sent = max(self._last_sent, sent)
        self._last_arrival = arrived

    def _gap(self, first_sent: int, last_sent: int) -> int:
        """The silence between arrivals, or before the first or after the last, measured where the packets left."""
        if self._last_arrival is None:
            return last_sent - first_sent
        return max(self._longest_gap, self._first_sent - first_sent, last_sent - self._last_sent)

    def _mark(self, sequence: int) -> bool:
        """Whether the number was seen before; it is from now on."""
        octet, bit = sequence >> 3, 1 << (sequence & 7)
        if octet >= len(self._seen):
            self._seen.extend(bytes(max(octet + 1 - len(self._seen), len(self._seen), 1024)))
        seen = bool(self._seen[octet] & bit)
        self._seen[octet] |= bit
        return seen

    def _received_from(self, sequence: int) -> int:
        """How many distinct packets with that number or a larger one have come."""
        return sum(1 for number in range(sequence, self._next) if self._seen[number >> 3] & (1 << (number & 7)))
