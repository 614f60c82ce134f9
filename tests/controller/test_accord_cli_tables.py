"""Tables on screens of any width: no word is broken, and lines end where their text does."""

import pytest

from controller.cli.terminal import Terminal

_ROWS = [
    {"service": "order-execution-of-london", "state": "at-risk", "because": "link p1-p2 lost its carrier"},
    {"service": "backup", "state": "", "because": ""},
]


def drawn(capsys: pytest.CaptureFixture[str], columns: int) -> list[str]:
    terminal = Terminal()
    terminal._data.width = columns
    terminal.show_rows(_ROWS, ["service", "state", "because"])
    return capsys.readouterr().out.splitlines()


def test_where_it_fits_a_table_has_a_line_for_each_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert drawn(capsys, 100) == [
        "SERVICE                    STATE    BECAUSE",
        "order-execution-of-london  at-risk  link p1-p2 lost its carrier",
        "backup",
    ]


def test_phrases_are_wrapped_before_anything_else_happens(capsys: pytest.CaptureFixture[str]) -> None:
    assert drawn(capsys, 50)[1:3] == [
        "order-execution-of-london  at-risk  link p1-p2",
        "                                    lost its",
    ]


def test_where_words_would_be_broken_each_row_stands_upright_without_what_is_empty(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert drawn(capsys, 38) == [
        "SERVICE  order-execution-of-london",
        "STATE    at-risk",
        "BECAUSE  link p1-p2 lost its carrier",
        "",
        "SERVICE  backup",
        "",
    ]
