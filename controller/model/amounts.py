"""Owns how measured amounts are written for people: three digits, in a unit in which they are neither huge nor tiny."""

_BIT_RATES = (("Tbit/s", 1e12), ("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3), ("bit/s", 1.0))
_SECONDS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6))
_NOTHING, _ASTRONOMIC = 5e-4, 1e15
_LEAST_PERCENT = 5e-5


def digits(value: float) -> str:
    """A number with three digits and whole from a hundred on, without an exponent; next to nothing is 0."""
    if abs(value) < _NOTHING:
        return "0"
    return f"{value:.0f}" if 100 <= abs(value) < _ASTRONOMIC else f"{value:.3g}"


def amount(value: float | None, unit: str) -> str:
    """A value in `s`, `bit/s` or `ratio` with the unit in which people read it; `-` where it is not known."""
    if value is None or value != value:  # noqa: PLR0124 - what is no number
        return "-"
    if unit == "ratio":
        return _percent(100 * value)
    scale = _SECONDS if unit == "s" else _BIT_RATES
    name, factor = next(((name, factor) for name, factor in scale if abs(value) >= factor), scale[-1])
    return f"{digits(value / factor)} {name}"


def _percent(value: float) -> str:
    """Losses are told to four places: a hundredth of a percent is much."""
    if 0 < abs(value) < _LEAST_PERCENT:
        return "under 0.0001 %"
    return f"{f'{value:.4f}'.rstrip('0').removesuffix('.')} %"
