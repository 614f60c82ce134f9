"""Owns money: an integer of minor units and its ISO 4217 currency; decimal strings on the wire, never a float.

What comes from outside is never negative; differences inside may be. `times` is the only place that rounds: half up, to
the nearest minor unit, for either side alike. Who multiplies twice rounds twice: multiply the factors first.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from controller.model.errors import InvalidInputError

LARGEST_MINOR = 10**15
"""Beyond any price, and far inside the 64 bits of the ledger and the 53 bits of a JSON number."""
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,15})(?:\.([0-9]{1,4}))?", re.ASCII)
_MOST_SHOWN = 40

_CODES = {
    2: """AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
        CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF
        IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR
        MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD
        SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER
        ZAR ZMW ZWG""",
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
MINOR_DIGITS: Mapping[str, int] = {code: digits for digits, codes in _CODES.items() for code in codes.split()}
"""ISO 4217's exponent of each circulating currency and unit of account."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount. Arithmetic and order exist within one currency; across two they are refused."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        """Whole minor units of a known currency, within bounds."""
        _digits(self.currency)
        if type(self.minor) is not int:
            raise InvalidInputError(f"an amount is whole minor units, not {_shown(self.minor)}")
        if abs(self.minor) > LARGEST_MINOR:
            raise InvalidInputError(f"an amount is at most {LARGEST_MINOR} minor units", app_tag="too-large")

    @classmethod
    def zero(cls, currency: str) -> "Money":
        """Nothing, in a currency."""
        return cls(0, currency)

    @classmethod
    def parse(cls, text: str, currency: str) -> "Money":
        """Read `12.30`; refuse a sign, an exponent, blanks, and more digits than the currency has."""
        digits = _digits(currency)
        match = _AMOUNT.fullmatch(text) if isinstance(text, str) else None
        if not match:
            raise InvalidInputError(f"{_shown(text)} is not an amount", remedy="write a decimal text such as '12.30'")
        fraction = match[2] or ""
        if len(fraction) > digits:
            raise InvalidInputError(f"{_shown(text)} has more than the {digits} decimal digits of {currency}")
        return cls(int(match[1]) * 10**digits + int(fraction.ljust(digits, "0") or "0"), currency)

    @classmethod
    def from_json(cls, document: object) -> "Money":
        """Read `{"amount": "12.30", "currency": "EUR"}` and nothing else."""
        if not isinstance(document, Mapping) or set(document) != {"amount", "currency"}:
            raise InvalidInputError("money is an object of exactly 'amount' and 'currency'")
        return cls.parse(document["amount"], document["currency"])

    @property
    def amount(self) -> str:
        """The decimal text with every digit its currency has: `12.30`."""
        digits = MINOR_DIGITS[self.currency]
        whole, fraction = divmod(abs(self.minor), 10**digits)
        sign = "-" if self.minor < 0 else ""
        return f"{sign}{whole}.{fraction:0{digits}d}" if digits else f"{sign}{whole}"

    def to_json(self) -> dict[str, str]:
        """The form on the wire."""
        return {"amount": self.amount, "currency": self.currency}

    def times(self, factor: Fraction | int) -> "Money":
        """The amount times an exact factor, rounded half up to the nearest minor unit; floats are refused."""
        if type(factor) is not int and not isinstance(factor, Fraction):
            raise InvalidInputError(f"money is multiplied by exact fractions, not by {_shown(factor)}")
        exact = Fraction(factor)
        twice = 2 * exact.denominator
        return Money((2 * self.minor * exact.numerator + exact.denominator) // twice, self.currency)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    def __add__(self, other: "Money") -> "Money":
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.minor - self._same(other), self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.minor <= self._same(other)

    def __gt__(self, other: "Money") -> bool:
        return self.minor > self._same(other)

    def __ge__(self, other: "Money") -> bool:
        return self.minor >= self._same(other)

    def _same(self, other: "Money") -> int:
        if other.currency != self.currency:
            raise InvalidInputError(f"{other.currency} and {self.currency} cannot be added or compared")
        return other.minor


def total(amounts: Iterable[Money], currency: str) -> Money:
    """The sum; nothing, in `currency`, when there is none."""
    result = Money.zero(currency)
    for amount in amounts:
        result += amount
    return result


def _digits(currency: str) -> int:
    """How many decimal digits a currency has; a code that is none is refused."""
    if not isinstance(currency, str) or currency not in MINOR_DIGITS:
        raise InvalidInputError(f"{_shown(currency)} is no currency", remedy="use a code of ISO 4217, as EUR")
    return MINOR_DIGITS[currency]


def _shown(value: object) -> str:
    """What was written, short enough for a message."""
    return ascii(value)[:_MOST_SHOWN] if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"
