"""The CLI's words and its terminal, without SSH."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.router.cli_terminal import Terminal
from lab.router.cli_tokens import CliError, quote, tokenize


@given(st.text(st.characters(codec="utf-8")))
def test_any_value_survives_quoting_and_splitting(value):
    words = tokenize(f"set x {quote(value)} y")
    assert [word.text for word in words] == ["set", "x", value, "y"]
    assert quote(value).isprintable() or max(map(ord, value)) > 0xFFFF


def test_a_token_knows_its_column():
    assert [(token.text, token.column) for token in tokenize('set  a "b c"|d')] == [
        ("set", 0),
        ("a", 5),
        ("b c", 7),
        ("|", 12),
        ("d", 13),
    ]


@pytest.mark.parametrize("line,column", [('set "open', 4), ('x "a\\q"', 4), ('x "\\u12"', 3)])
def test_a_broken_quote_is_refused_where_it_stands(line, column):
    with pytest.raises(CliError) as caught:
        tokenize(line)
    assert caught.value.column == column


class Script:
    """A channel that plays prepared pieces and records what is written."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)
        self.written = ""

    async def read(self):
        return self.pieces.pop(0) if self.pieces else ""

    def write(self, text):
        self.written += text


async def test_each_line_end_ends_one_line():
    terminal = Terminal(Script("a\r", "\nb\nc\rd\r\n"), has_pty=True)
    assert [await terminal.read_line() for _ in range(5)] == ["a", "b", "c", "d", None]


async def test_editing_keys_edit_and_input_is_echoed():
    script = Script("abx\x7fc\r")
    terminal = Terminal(script, has_pty=True)
    assert await terminal.read_line() == "abc"
    assert script.written == "abx\b \bc\r\n"


async def test_interrupt_gives_up_the_line_and_end_of_file_ends_the_session():
    terminal = Terminal(Script("junk\x03", "x\x15y\n\x04"), has_pty=True)
    assert [await terminal.read_line() for _ in range(3)] == ["", "y", None]


async def test_without_a_terminal_nothing_is_echoed():
    script = Script("show\n")
    terminal = Terminal(script, has_pty=False)
    assert await terminal.read_line() == "show"
    terminal.write("x\n")
    terminal.flush()
    assert script.written == "x\n"
