"""Owns: the CLI's words: splitting a line into tokens, and quoting a value so that splitting gives it back."""

import re
from dataclasses import dataclass

_PLAIN = re.compile(r"[A-Za-z0-9_.:/,@+=%*~^!$&()<>-]+")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
_ESCAPED = {value: "\\" + key for key, value in _ESCAPES.items()}
_HEX_DIGITS = {"x": 2, "u": 4}


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a line: its value, the column it starts at (from 0) and whether it stood in quotes."""

    text: str
    column: int
    quoted: bool = False

    def is_word(self, word: str) -> bool:
        """Whether this is the bare word `word`; a quoted one never is."""
        return self.text == word and not self.quoted


class CliError(Exception):
    """A refused line: what is wrong, and the column of the token to mark (None when no token is to blame)."""

    def __init__(self, message: str, column: int | None = None) -> None:
        super().__init__(message)
        self.column = column


def tokenize(line: str) -> list[Token]:
    """The tokens of `line`; `|` stands for itself outside quotes. Raises `CliError` for a quote left open."""
    tokens: list[Token] = []
    at = 0
    while at < len(line):
        if line[at].isspace():
            at += 1
        elif line[at] == "|":
            tokens.append(Token("|", at))
            at += 1
        elif line[at] == '"':
            text, end = _quoted(line, at)
            tokens.append(Token(text, at, quoted=True))
            at = end
        else:
            end = _bare_end(line, at)
            tokens.append(Token(line[at:end], at))
            at = end
    return tokens


def _bare_end(line: str, at: int) -> int:
    while at < len(line) and not line[at].isspace() and line[at] not in '|"':
        at += 1
    return at


def _quoted(line: str, start: int) -> tuple[str, int]:
    parts: list[str] = []
    at = start + 1
    while at < len(line):
        char = line[at]
        if char == '"':
            return "".join(parts), at + 1
        if char == "\\":
            text, at = _escape(line, at)
            parts.append(text)
        else:
            parts.append(char)
            at += 1
    raise CliError('missing closing quote (")', start)


def _escape(line: str, at: int) -> tuple[str, int]:
    kind = line[at + 1 : at + 2]
    if kind in _HEX_DIGITS:
        end = at + 2 + _HEX_DIGITS[kind]
        digits = line[at + 2 : end]
        if re.fullmatch(rf"[0-9A-Fa-f]{{{_HEX_DIGITS[kind]}}}", digits):
            return chr(int(digits, 16)), end
    elif kind in _ESCAPES:
        return _ESCAPES[kind], at + 2
    raise CliError(f"unknown escape '\\{kind}'", at)


def quote(value: str) -> str:
    """`value` as one token: bare where that is safe, else in quotes with escapes; always a single line."""
    if _PLAIN.fullmatch(value):
        return value
    return '"' + "".join(_quoted_char(char) for char in value) + '"'


def _quoted_char(char: str) -> str:
    if char in _ESCAPED:
        return _ESCAPED[char]
    # A terminal would act on control characters, and line separators would end the line.
    if char.isprintable() or ord(char) > 0xFFFF:
        return char
    return f"\\u{ord(char):04x}"
