"""Owns quantities and how people write them: bit rates and durations, as integers with the unit in the type."""

import re
from dataclasses import dataclass

from controller.model.errors import InvalidInputError

_RATE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([kKmMgGtT]?)(?:bit/?s|bps|b/s|bits/s|bit per second)\s*$")
_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d)\s*$")
_DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_MICROSECONDS = {"us": 1, "ms": 10**3, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}


@dataclass(frozen=True, slots=True, order=True)
class BitRate:
    """A rate in whole bits per second; decimal prefixes, as links are sold (1 Mbit/s = 10**6 bit/s)."""

    bits_per_second: int

    def __str__(self) -> str:
        for prefix in ("T", "G", "M", "k"):
            factor = _DECIMAL[prefix.lower()]
            if self.bits_per_second >= factor and self.bits_per_second % (factor // 1000 or 1) == 0:
                return f"{self.bits_per_second / factor:g} {prefix}bit/s"
        return f"{self.bits_per_second} bit/s"

    @classmethod
    def parse(cls, text: str) -> "BitRate":
        """Read `200 Mbit/s`, `1.5Gbps`; raise `InvalidInputError` naming the text otherwise."""
        match = _RATE.match(text)
        if not match:
            raise InvalidInputError(f"'{text}' is not a bit rate", remedy="write it like '200 Mbit/s'")
        return cls(round(float(match[1]) * _DECIMAL[match[2].lower()]))


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A span of time in whole microseconds."""

    microseconds: int

    def __str__(self) -> str:
        for unit in ("d", "h", "min", "s", "ms"):
            if self.microseconds and self.microseconds % _MICROSECONDS[unit] == 0:
                return f"{self.microseconds // _MICROSECONDS[unit]} {unit}"
        return f"{self.microseconds} us"

    @property
    def seconds(self) -> float:
        """The span in seconds."""
        return self.microseconds / 10**6

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """Read `20 ms`, `1.5 s`, `10 min`; raise `InvalidInputError` naming the text otherwise."""
        match = _DURATION.match(text)
        if not match:
            raise InvalidInputError(f"'{text}' is not a duration", remedy="write it like '20 ms'")
        return cls(round(float(match[1]) * _MICROSECONDS[match[2]]))
