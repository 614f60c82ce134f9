"""Owns reading typed fields out of JSON from the other side: every member named, nothing beside, all of it bounded."""

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from math import isfinite
from typing import Any, TypeVar

from controller.model.errors import InvalidInputError

Json = Any
Word = TypeVar("Word", bound=StrEnum)
Read = TypeVar("Read")
_MOST_TEXT = 1_000
_MOST_NAME = 200
_MOST_ITEMS = 64
_LATEST = 4_102_444_800.0
"""The year 2100: a time beyond is a mistake in the unit."""


class Fields:
    """The members of one object; `InvalidInputError` names the first that is not as it should be."""

    def __init__(self, document: Json, names: Collection[str], optional: Collection[str] = ()) -> None:
        if not isinstance(document, Mapping):
            raise InvalidInputError("an object is expected", tag="malformed-message")
        missing = sorted(set(names) - document.keys())
        unknown = sorted(document.keys() - set(names) - set(optional))
        if missing or unknown:
            said = [*(f"'{name}' is missing" for name in missing), *(f"{name!a} is unknown" for name in unknown)]
            raise InvalidInputError("; ".join(said)[:_MOST_TEXT], path=(missing or unknown)[0], tag="malformed-message")
        self._document = document

    def text(self, name: str, most: int = _MOST_TEXT) -> str:
        """A text of bounded length; empty where the member is optional and not there."""
        value = self._document.get(name, "")
        if not isinstance(value, str) or len(value) > most:
            raise InvalidInputError(f"'{name}' is not a text of at most {most} characters", path=name)
        return value

    def name(self, name: str) -> str:
        """A printable name that is not empty."""
        value = self.text(name, _MOST_NAME)
        if not value or not value.isprintable():
            raise InvalidInputError(f"'{name}' is not a name", path=name)
        return value

    def word(self, name: str, words: type[Word]) -> Word:
        """One of a closed vocabulary."""
        try:
            return words(self.text(name))
        except ValueError as error:
            known = ", ".join(words)
            raise InvalidInputError(f"'{name}' is none of: {known}", path=name) from error

    def time(self, name: str) -> float:
        """A time in UTC seconds."""
        value = self._document[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
            raise InvalidInputError(f"'{name}' is not a time in seconds", path=name)
        if not 0.0 <= value <= _LATEST:
            raise InvalidInputError(f"'{name}' is no time between 1970 and 2100", path=name)
        return float(value)

    def whole(self, name: str, most: int = 2**53 - 1) -> int:
        """A whole number, 0 or more."""
        value = self._document[name]
        if type(value) is not int or not 0 <= value <= most:
            raise InvalidInputError(f"'{name}' is not a whole number from 0 to {most}", path=name)
        return value

    def object(self, name: str) -> Json:
        """An object, to be read by its own reader."""
        value = self._document[name]
        if not isinstance(value, Mapping):
            raise InvalidInputError(f"'{name}' is not an object", path=name)
        return value

    def list(self, name: str, read: Callable[[Json], Read]) -> tuple[Read, ...]:
        """A list of bounded length, each item read by `read`."""
        value = self._document.get(name, [])
        if not isinstance(value, list) or len(value) > _MOST_ITEMS:
            raise InvalidInputError(f"'{name}' is not a list of at most {_MOST_ITEMS}", path=name)
        return tuple(read(item) for item in value)


def read_name(value: Json) -> str:
    """A name in a list."""
    return Fields({"name": value}, ("name",)).name("name")
