"""Owns the one byte form of a JSON value that hashes are taken over (after RFC 8785).

Keys sorted by code point, no blanks, UTF-8, no escapes but those JSON asks for. It departs from RFC 8785 in two ways:
a float keeps its decimal point (`1.0`, not `1`), so that types survive the way there and back, and keys outside the
basic plane sort by code point, not by UTF-16 unit. What has no exact JSON form is refused: NaN, infinities, integers
beyond 64 bits, keys that are not text, lone surrogates, dates, sets, bytes.
"""

import json
from collections.abc import Mapping
from enum import Enum

import orjson

from controller.model.errors import InvalidInputError

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


def canonical_json(value: object) -> bytes:
    """The canonical bytes of a JSON-able value; `InvalidInputError` for what has none.

    `read_json(canonical_json(v))` equals `v` with tuples turned into lists, and has the same canonical bytes.
    """
    try:
        encoded = orjson.dumps(value, default=_plain, option=_OPTIONS)
    except orjson.JSONEncodeError as error:
        raise InvalidInputError(f"no canonical JSON for this value: {error}") from error
    # What is read back alike had a null for each null; only then is the slower look not needed.
    if b"null" in encoded and orjson.loads(encoded) != value:
        _refuse_non_finite(value)
    return encoded


def read_json(document: bytes) -> object:
    """The value of a JSON document; `InvalidInputError` when it is none."""
    try:
        return orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"not a JSON document: {error}", tag="malformed-message") from error


def _plain(value: object) -> object:
    """Mappings that are not `dict` are objects like any other; everything else has no JSON form."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"Type is not JSON serializable: {type(value).__name__}")


def _refuse_non_finite(value: object) -> None:
    """The encoder writes NaN and infinities as null; the standard library's refuses them faster than a walk would."""
    try:
        json.dumps(value, default=_contents, allow_nan=False, check_circular=False)
    except ValueError as error:
        raise InvalidInputError(f"no canonical JSON for this value: {error}") from error


def _contents(value: object) -> object:
    """What of a value that only the encoder knows could hold a number."""
    if isinstance(value, Mapping):
        return dict(value)
    return value.value if isinstance(value, Enum) else None
