"""Owns JSON that is signed: one meaning for one text (RFC 7493), one text for one meaning (RFC 8785).

Refused on the way in: a key twice in an object, NaN and infinities, lone surrogates, integers beyond a double's,
more nesting than a document of ours has. `canonical` is RFC 8785 to the letter, unlike `events.canonical`: keys in the
order of their UTF-16 units and numbers as ECMAScript writes them, since others compute the same bytes.
"""

import json
import math
from collections.abc import Mapping
from json.encoder import encode_basestring as _quoted
from typing import Any, NoReturn

import orjson

from controller.model.errors import InvalidInputError

LARGEST_INTEGER = 2**53 - 1
_MOST_NESTING = 64


def read_object(document: bytes) -> dict[str, Any]:
    """The object in a JSON text; `InvalidInputError` says what is wrong with it."""
    try:
        loose = orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"not a JSON document: {error}", tag="malformed-message") from error
    if not isinstance(loose, dict):
        raise InvalidInputError("a JSON object is expected", tag="malformed-message")
    if document.count(b"[") + document.count(b"{") > _MOST_NESTING:
        _refuse_nesting(loose)
    # The fast reader has looked at surrogates and syntax, but keeps the last of two equal keys: this one sees both.
    try:
        strict: dict[str, Any] = _STRICT.decode(document.decode())
    except ValueError as error:
        raise InvalidInputError(f"not a JSON document: {error}", tag="malformed-message") from error
    return strict


def canonical(value: object) -> bytes:
    """The bytes of RFC 8785; `InvalidInputError` for what JSON cannot hold."""
    try:
        return _text(value).encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"not a Unicode text: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InvalidInputError(f"the key {ascii(twice)[:40]} occurs twice", tag="malformed-message")
    return found


def _integer(digits: str) -> int:
    value = int(digits) if len(digits) <= len(str(LARGEST_INTEGER)) + 1 else LARGEST_INTEGER + 1
    if abs(value) > LARGEST_INTEGER:
        raise InvalidInputError("an integer is too large to survive as a JSON number", tag="malformed-message")
    return value


def _number(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _no_number(digits)


def _no_number(text: str) -> NoReturn:
    raise InvalidInputError(f"{text[:20]} is not a JSON number", tag="malformed-message")


_STRICT = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_number, parse_constant=_no_number
)


def _refuse_nesting(value: object) -> None:
    level: list[object] = [value]
    for _ in range(_MOST_NESTING):
        level = [part for container in level for part in _parts(container)]
        if not level:
            return
    raise InvalidInputError(f"nested deeper than {_MOST_NESTING} levels", tag="malformed-message")


def _parts(container: object) -> list[object]:
    values = container.values() if isinstance(container, dict) else container if isinstance(container, list) else ()
    return [value for value in values if isinstance(value, (dict, list))]


def _text(value: object) -> str:
    match value:  # what is frequent comes first
        case str():
            return _quoted(value)
        case dict():
            return "{" + ",".join([f"{_quoted(key)}:{_text(value[key])}" for key in _in_order(value)]) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_text, value)) + "]"
        case None | int() | float():
            return _scalar(value)
        case Mapping():
            return _text(dict(value))
    raise InvalidInputError(f"a {type(value).__name__} has no JSON form")


def _scalar(value: float | None) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return _ecmascript(value)
    if abs(value) > LARGEST_INTEGER:
        raise InvalidInputError("an integer is too large to survive as a JSON number")
    return str(int(value))


def _in_order(members: Mapping[Any, Any]) -> list[str]:
    """By UTF-16 units (RFC 8785 3.2.3); big-endian bytes compare as the units do, and so do characters of ASCII."""
    try:
        if all(map(str.isascii, members)):
            return sorted(members)
    except TypeError:
        raise InvalidInputError("a key of an object is a text") from None
    return sorted(members, key=lambda key: str(key).encode("utf-16-be", "surrogatepass"))


def _ecmascript(value: float) -> str:
    """As ECMAScript's Number::toString, whose shortest digits are those of `repr`."""
    if not math.isfinite(value):
        _no_number(str(value))
    if value.is_integer() and abs(value) <= LARGEST_INTEGER:
        return str(int(value))
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    return sign + _placed(digits, point)


def _placed(digits: str, point: int) -> str:
    """Digits with their decimal point after `point` of them; exponents from 1e21 and below 1e-6."""
    if len(digits) <= point <= 21:
        return digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{rest}e{point - 1:+d}"
