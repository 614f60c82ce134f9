"""Owns a wallet's terms on the wire: these members and no others, decimal texts for money, RFC 3339 for times."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from controller.model.errors import InvalidInputError
from controller.model.money import Money
from controller.model.units import BitRate, Duration
from controller.negotiation.wallet import ClassTerms, DelegationRules, ServiceLevelFloor, WalletTerms

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,3})(?:\.[0-9]{1,6})?", re.ASCII)
_LARGEST_RATE = 10**15
_LARGEST_LATENCY = 10**9
_MOST_NAMES = 64
TERMS = {"envelope", "ceiling", "classes", "floor", "maximumRatePerHour", "delegation", "operators"}
"""Members of a wallet's subject beside its `id`."""


def terms_to_json(terms: WalletTerms) -> dict[str, Any]:
    """The members for a credential's subject; what is not bounded is left out."""
    rate, rules = terms.maximum_rate_per_hour, terms.delegation
    optional = {
        "floor": _floor_to_json(terms.floor),
        "maximumRatePerHour": rate.to_json() if rate else None,
        "delegation": {"depth": rules.depth, "holders": sorted(rules.holders)} if rules.depth else None,
        "operators": sorted(terms.operators),
    }
    classes = {name: _class_to_json(each) for name, each in terms.classes.items()}
    return {
        "ceiling": terms.ceiling.to_json(),
        "classes": classes,
        **{name: value for name, value in optional.items() if value},
    }


def terms_from_json(subject: Mapping[str, Any], valid_from: int, valid_until: int) -> WalletTerms:
    """The terms; `InvalidInputError` for a member that is missing, unknown, or not what it should be."""
    classes = members(subject.get("classes"), "classes")
    rate = subject.get("maximumRatePerHour")
    return WalletTerms(
        ceiling=Money.from_json(subject.get("ceiling")),
        classes={name: _class_from_json(each) for name, each in classes.items()},
        valid_from=valid_from,
        valid_until=valid_until,
        floor=_floor_from_json(subject.get("floor", {})),
        maximum_rate_per_hour=None if rate is None else Money.from_json(rate),
        delegation=_delegation(subject.get("delegation", {})),
        operators=_names(subject.get("operators", []), "operators"),
    )


def members(value: object, what: str, allowed: set[str] | None = None, required: set[str] | None = None) -> Any:
    """An object with only the allowed members and all the required ones."""
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"'{what}' is an object")
    if allowed is not None and not value.keys() <= allowed:
        raise InvalidInputError(f"'{what}' has a member {min(value.keys() - allowed)!a:.40} that nobody here knows")
    if required is not None and not required <= value.keys():
        raise InvalidInputError(f"'{what}' lacks '{min(required - value.keys())}'")
    return value


def text(value: object, what: str) -> str:
    """A text of moderate length."""
    if not isinstance(value, str) or not 0 < len(value) <= 300:
        raise InvalidInputError(f"'{what}' is a text of 1 to 300 characters")
    return value


def texts(value: object, what: str) -> tuple[str, ...]:
    """A list of texts of moderate length."""
    if not isinstance(value, list) or len(value) > _MOST_NAMES:
        raise InvalidInputError(f"'{what}' is a list of at most {_MOST_NAMES} texts")
    return tuple(text(each, what) for each in value)


def time_to_json(seconds: int) -> str:
    """A time as RFC 3339 writes it, in UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def time_from_json(value: object, what: str) -> int:
    """Seconds since the epoch of `2026-01-31T12:00:00Z`; no other form of RFC 3339 is taken."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise InvalidInputError(f"'{what}' is a time such as 2026-01-31T12:00:00Z")
    try:
        return int(datetime.fromisoformat(value).timestamp())
    except ValueError as error:
        raise InvalidInputError(f"'{what}' is not a time of the calendar") from error


def decimal_to_json(value: Fraction) -> str:
    """A fraction as a decimal text of at most six places; `InvalidInputError` when it has more."""
    scaled = value * 10**6
    if scaled.denominator != 1:
        raise InvalidInputError("a multiplier or share has at most six decimal places")
    whole, rest = divmod(scaled.numerator, 10**6)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".")


def decimal_from_json(value: object, what: str) -> Fraction:
    """The exact value of a decimal text."""
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise InvalidInputError(f"'{what}' is a decimal text such as '1.5'")
    return Fraction(value)


def whole(value: object, what: str, largest: int) -> int:
    """A whole number from 0 to `largest`."""
    if type(value) is not int or not 0 <= value <= largest:
        raise InvalidInputError(f"'{what}' is a whole number from 0 to {largest}")
    return value


def _class_to_json(terms: ClassTerms) -> dict[str, Any]:
    ceiling = {"ceiling": terms.ceiling.to_json()} if terms.ceiling is not None else {}
    return {**ceiling, "multiplier": decimal_to_json(terms.multiplier)}


def _class_from_json(value: object) -> ClassTerms:
    found = members(value, "classes", {"ceiling", "multiplier"})
    ceiling = found.get("ceiling")
    return ClassTerms(
        ceiling=None if ceiling is None else Money.from_json(ceiling),
        multiplier=decimal_from_json(found.get("multiplier", "1"), "multiplier"),
    )


def _floor_to_json(floor: ServiceLevelFloor) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if floor.bandwidth:
        said["bandwidthBitPerSecond"] = floor.bandwidth.bits_per_second
    if floor.latency:
        said["latencyMicroseconds"] = floor.latency.microseconds
    if floor.availability:
        said["availability"] = decimal_to_json(floor.availability)
    return said


def _floor_from_json(value: object) -> ServiceLevelFloor:
    found = members(value, "floor", {"bandwidthBitPerSecond", "latencyMicroseconds", "availability"})
    bandwidth = whole(found.get("bandwidthBitPerSecond", 0), "bandwidthBitPerSecond", _LARGEST_RATE)
    latency = whole(found.get("latencyMicroseconds", 0), "latencyMicroseconds", _LARGEST_LATENCY)
    availability = decimal_from_json(found.get("availability", "0"), "availability")
    return ServiceLevelFloor(
        BitRate(bandwidth) if bandwidth else None, Duration(latency) if latency else None, availability or None
    )


def _delegation(value: object) -> DelegationRules:
    found = members(value, "delegation", {"depth", "holders"})
    return DelegationRules(whole(found.get("depth", 0), "depth", 2**31), _names(found.get("holders", []), "holders"))


def _names(value: object, what: str) -> frozenset[str]:
    return frozenset(texts(value, what))
