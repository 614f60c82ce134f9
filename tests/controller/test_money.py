"""Money is whole minor units inside and a decimal text outside; nothing that is not exact gets in."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model.errors import InvalidInputError
from controller.model.money import LARGEST_MINOR, MINOR_DIGITS, Money, total

MINOR = st.integers(0, LARGEST_MINOR)
CURRENCY = st.sampled_from(sorted(MINOR_DIGITS))


@given(MINOR, CURRENCY)
def test_what_is_written_is_read_back(minor, currency):
    money = Money(minor, currency)
    assert Money.from_json(money.to_json()) == money
    assert len(money.amount.partition(".")[2]) == MINOR_DIGITS[currency]


@pytest.mark.parametrize(
    "text, currency, minor",
    [("12.30", "EUR", 1230), ("12", "EUR", 1200), ("12.3", "EUR", 1230), ("7", "JPY", 7), ("0.001", "KWD", 1)],
)
def test_amounts_have_the_digits_of_their_currency(text, currency, minor):
    assert Money.parse(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    "text",
    [
        *("", "-1.00", "+1", "1e3", "1.", ".5", " 1", "1\n", "01.00", "1.234", "NaN", "inf", "1,00", "٣"),
        *("9" * 17, "9" * 16, 12.3, 12, None, True, ["1"]),
    ],
)
def test_what_is_not_a_plain_decimal_text_is_refused(text):
    with pytest.raises(InvalidInputError):
        Money.parse(text, "EUR")


@pytest.mark.parametrize("currency", ["XYZ", "eur", "", "EURO", None, 5, [], "\ud800"])
def test_unknown_currencies_are_refused_with_a_message_that_can_be_printed(currency):
    with pytest.raises(InvalidInputError, match="no currency") as refused:
        Money.from_json({"amount": "1.00", "currency": currency})
    assert str(refused.value).isascii()


@pytest.mark.parametrize("document", [None, [], "1 EUR", {"amount": "1"}, {"amount": "1", "currency": "EUR", "x": 1}])
def test_money_is_exactly_an_amount_and_a_currency(document):
    with pytest.raises(InvalidInputError):
        Money.from_json(document)


@pytest.mark.parametrize("minor", [1.0, True, "1", float("nan"), LARGEST_MINOR + 1, -LARGEST_MINOR - 1])
def test_minor_units_are_whole_and_bounded(minor):
    with pytest.raises(InvalidInputError):
        Money(minor, "EUR")


def test_sums_overflow_into_a_refusal_and_not_into_another_amount():
    with pytest.raises(InvalidInputError):
        Money(LARGEST_MINOR, "EUR") + Money(1, "EUR")


def test_two_currencies_are_neither_added_nor_compared():
    euro, yen = Money(1, "EUR"), Money(1, "JPY")
    for operation in (lambda: euro + yen, lambda: euro - yen, lambda: euro < yen, lambda: euro >= yen):
        with pytest.raises(InvalidInputError, match="JPY and EUR"):
            operation()
    assert euro != yen


@given(MINOR, MINOR)
def test_order_and_sums_are_those_of_the_minor_units(one, other):
    a, b = Money(one, "EUR"), Money(other, "EUR")
    assert (a < b, a <= b, a > b, a >= b) == (one < other, one <= other, one > other, one >= other)
    assert (a - b).minor == one - other
    assert total([a - b, b], "EUR") == a


@pytest.mark.parametrize(
    "minor, factor, product",
    [(5, Fraction(1, 2), 3), (4, Fraction(1, 2), 2), (-5, Fraction(1, 2), -2), (3, 7, 21), (100, Fraction(1, 3), 33)],
)
def test_products_are_rounded_half_up(minor, factor, product):
    assert Money(minor, "EUR").times(factor) == Money(product, "EUR")


@pytest.mark.parametrize("factor", [0.5, "2", True, None])
def test_only_exact_factors_multiply(factor):
    with pytest.raises(InvalidInputError):
        Money(1, "EUR").times(factor)
