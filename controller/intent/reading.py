"""Owns what listening results in: an understood wish with every word accounted for, or questions.

RFC 9315 section 5.1.2 asks that a system shows its user how an intent was understood: `readings` say which words
became what, `assumed` what was left unsaid and which template it was taken from.
"""

from dataclasses import dataclass
from enum import StrEnum

from controller.intent.model import Intent, IntentChange, IntentWithdrawal

Wish = Intent | IntentChange | IntentWithdrawal


class QuestionKind(StrEnum):
    """Why something is asked back."""

    NOT_UNDERSTOOD = "not-understood"
    NEGATION = "negation"
    AMBIGUOUS = "ambiguous"
    MISSING = "missing"
    MISSING_UNIT = "missing-unit"
    CONTRADICTION = "contradiction"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to clear up; `words` are the exact words of the sentence that it is about."""

    kind: QuestionKind
    words: str
    text: str
    suggestions: tuple[str, ...] = ()
    start: int = 0
    """Offset of `words` in the sentence."""

    def __str__(self) -> str:
        hint = f" ({' | '.join(self.suggestions)})" if self.suggestions else ""
        return f'"{self.words}": {self.text}{hint}'


@dataclass(frozen=True, slots=True)
class WordReading:
    """These words became that value of this field."""

    words: str
    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Assumption:
    """Nobody said this field; its value comes from the named template (or from `caller`, who spoke)."""

    field: str
    value: str
    template: str


@dataclass(frozen=True, slots=True)
class Understood:
    """The whole sentence was read."""

    wish: Wish
    readings: tuple[WordReading, ...]
    assumed: tuple[Assumption, ...] = ()


@dataclass(frozen=True, slots=True)
class NeedsClarification:
    """At least one question stands between the sentence and an intent."""

    questions: tuple[Question, ...]


Result = Understood | NeedsClarification
