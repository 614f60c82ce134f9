"""The record of prices taken and not: pseudonyms, crowds and whole periods, and no way back into one asker's price."""

from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import controller.negotiation
from controller.model.errors import InvalidInputError, NotAuthorizedError, NotFoundError
from controller.negotiation.catalogue import Tier
from controller.negotiation.quote import Quote
from controller.negotiation.sensitivity import (
    Audience,
    DemandCell,
    DisclosurePolicy,
    PriceSensitivity,
    operational_label,
)
from tests.controller.market_samples import CATALOGUE, NOW, offered, seller

HOUR = 3600.0
KEY = b"0123456789abcdef"


def quote() -> Quote:
    return offered(seller()).quote


def recorded(answers: list[tuple[str, bool, float]], policy: DisclosurePolicy | None = None) -> PriceSensitivity:
    record, given_quote = PriceSensitivity(policy or DisclosurePolicy()), quote()
    for label, is_accepted, time in answers:
        record.answered(given_quote, CATALOGUE, label, "general", is_accepted=is_accepted, now=time)
    return record


def test_a_label_is_the_same_for_an_asker_and_another_for_others_and_under_another_key() -> None:
    assert operational_label("acme", KEY) == operational_label("acme", KEY)
    assert len({operational_label(name, key) for name in ("acme", "zenith") for key in (KEY, KEY[::-1])}) == 4
    assert "acme" not in operational_label("acme", KEY)
    with pytest.raises(InvalidInputError, match="3 octets"):
        operational_label("acme", b"key")


def test_a_crowd_is_told_in_rounded_counts_once_its_period_is_over() -> None:
    record = recorded([(f"label-{number}", number < 7, HOUR) for number in range(13)])
    assert record.demand(Audience.PRICING, 2 * HOUR - 1) == ()
    assert record.demand(Audience.PRICING, 2 * HOUR) == (DemandCell(1, "general", Tier.IP, Fraction(1), 10, 5),)


@given(st.lists(st.tuples(st.sampled_from("abcdefg"), st.booleans(), st.floats(0, 5 * HOUR)), max_size=60))
def test_no_cell_is_told_that_fewer_labels_are_in_than_the_policy_says(answers: list[tuple[str, bool, float]]) -> None:
    answers.sort(key=lambda answer: answer[2])
    for cell in recorded(answers).demand(Audience.PRICING, 6 * HOUR):
        inside = [(label, taken) for label, taken, time in answers if time // HOUR == cell.period]
        assert len({label for label, _ in inside}) >= 5
        assert cell.asked == len(inside) // 5 * 5
        assert cell.accepted == sum(taken for _, taken in inside) // 5 * 5


def test_a_cell_names_nobody_and_pricing_cannot_read_the_record() -> None:
    assert not {"label", "consumer"} & {each.name for each in fields(DemandCell)}
    room = Path(controller.negotiation.__file__).parent
    for name in ("pricing", "quote", "mesh", "scarcity", "bands", "candidates", "holdings", "request"):
        assert "sensitivity" not in (room / f"{name}.py").read_text()


def test_an_asker_is_told_its_own_points_and_nobody_elses() -> None:
    record = recorded([("label-a", True, NOW), ("label-b", False, NOW)])
    assert [point.is_accepted for point in record.own("label-a", by="label-a")] == [True]
    with pytest.raises(NotAuthorizedError, match="label-a"):
        record.own("label-a", by="label-b")


def test_who_the_policy_does_not_name_is_told_nothing() -> None:
    for audience in (Audience.OUTSIDE, Audience.ASKER):
        with pytest.raises(NotAuthorizedError, match=audience):
            recorded([]).demand(audience, NOW)
    closed = DisclosurePolicy(tells=frozenset())
    with pytest.raises(NotAuthorizedError):
        recorded([("label-a", True, NOW)], closed).own("label-a", by="label-a")


def test_points_are_forgotten_by_age_and_by_number() -> None:
    policy = DisclosurePolicy(kept_seconds=2 * HOUR, most_points=3)
    record = recorded([("label-a", True, second) for second in (0.0, 1.0, 2.0, 3.0)], policy)
    assert [point.time for point in record.own("label-a", by="label-a")] == [1.0, 2.0, 3.0]
    record.demand(Audience.PRICING, 2 * HOUR + 2.5)
    assert [point.time for point in record.own("label-a", by="label-a")] == [3.0]


@pytest.mark.parametrize(
    "changes", [{"least_labels": 1}, {"count_step": 0}, {"period_seconds": 0.0}, {"most_points": 0}]
)
def test_a_policy_that_would_tell_who_it_was_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError):
        replace(DisclosurePolicy(), **changes)  # type: ignore[arg-type]


def test_an_answer_to_what_is_not_sold_is_refused_by_name() -> None:
    record, given_quote = PriceSensitivity(), quote()
    with pytest.raises(InvalidInputError, match="gambling"):
        record.answered(given_quote, CATALOGUE, "label-a", "gambling", is_accepted=True, now=NOW)
    moon = replace(given_quote, offering="moon")
    with pytest.raises(NotFoundError, match="moon"):
        record.answered(moon, CATALOGUE, "label-a", "general", is_accepted=True, now=NOW)
