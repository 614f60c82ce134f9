"""Owns the words of a sentence: where each stands, how it compares, and which few carry no meaning.

Every character that is not white space ends up in exactly one token, so that nothing can be lost before the grammar
accounts for it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from controller.intent.knowledge import normalised

Meaning = TypeVar("Meaning")
FILLERS = frozenset({"please", "kindly", "a", "an", "the"})
"""The only words that may stand anywhere without being read."""

_DATE_OR_TIME = re.compile(r"[0-9]+[-/.][0-9]+[-/.][0-9]+(?:T[0-9:]+Z?)?|[0-9]{1,2}:[0-9]{2}Z?", re.IGNORECASE)
_QUANTITY = re.compile(r"([0-9]+(?:[.,][0-9]+)*)([^0-9.,].*)?")
_ORDINAL = re.compile(r"[0-9]{1,2}(?:st|nd|rd|th)", re.IGNORECASE)
_OPENING, _CLOSING = "(", ".,;:!?)"


@dataclass(frozen=True, slots=True)
class Token:
    """A word, number or punctuation mark of the sentence; `start` and `end` are offsets in the text as given."""

    text: str
    start: int
    end: int

    @property
    def norm(self) -> str:
        """The form in which words are compared."""
        return normalised(self.text)


def tokenise(text: str) -> tuple[Token, ...]:
    """Split into tokens, in order, without gaps except for white space."""
    tokens: list[Token] = []
    for chunk in re.finditer(r"\S+", text):
        tokens.extend(_split(chunk[0], chunk.start()))
    return tuple(tokens)


def _split(chunk: str, offset: int) -> list[Token]:
    first, last = 0, len(chunk)
    while first < last and chunk[first] == _OPENING:
        first += 1
    while last > first and chunk[last - 1] in _CLOSING:
        last -= 1
    pieces = [(position, position + 1) for position in range(first)]
    pieces += _split_word(chunk[first:last], first)
    pieces += [(position, position + 1) for position in range(last, len(chunk))]
    return [Token(chunk[start:end], offset + start, offset + end) for start, end in pieces if end > start]


def _split_word(word: str, at: int) -> list[tuple[int, int]]:
    """Part a number from its unit (`200Mbit/s`) and an owner from the 's; leave dates and everything else whole."""
    end = at + len(word)
    if _DATE_OR_TIME.fullmatch(word) or _ORDINAL.fullmatch(word):
        return [(at, end)]
    quantity = _QUANTITY.fullmatch(word)
    if quantity and quantity[2]:
        return [(at, at + quantity.end(1)), (at + quantity.end(1), end)]
    if len(word) > 2 and normalised(word[-2:]) == "'s":
        return [(at, end - 2), (end - 2, end)]
    return [(at, end)]


def words_of(phrase: str) -> tuple[str, ...]:
    """A phrase as the grammar compares it: normalised words without fillers."""
    return tuple(token.norm for token in tokenise(phrase) if token.norm not in FILLERS)


@dataclass(frozen=True, slots=True)
class Phrases(Generic[Meaning]):
    """Phrases by their words, with the length of the longest."""

    entries: Mapping[tuple[str, ...], Meaning]
    longest: int


def phrases(table: Mapping[str, Meaning]) -> Phrases[Meaning]:
    """Key a table of phrases by their words."""
    return keyed({words_of(phrase): meaning for phrase, meaning in table.items()})


def keyed(entries: Mapping[tuple[str, ...], Meaning]) -> Phrases[Meaning]:
    """A table that is keyed by words already."""
    return Phrases(entries, max(map(len, entries), default=0))
