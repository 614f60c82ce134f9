"""Objectives say what is promised; the error budget says how much of the promise is left."""

from dataclasses import replace
from math import inf, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.assurance.objectives import SPELLS_KEPT, Availability, Objective, ObjectiveName, objectives_of
from controller.assurance.objectives_l3sm import Access, refuse_unknown_subjects
from controller.intent.model import (
    AddressAllocation,
    AddressFamily,
    Condition,
    DeliveryExpectation,
    Intent,
    Property,
    PropertyExpectation,
    Routing,
    ServiceType,
    SiteReference,
    Topology,
)
from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName, ServiceId

N = ObjectiveName
VPN = ServiceId("l3vpn:v1")
DAY = 86_400.0
AVAILABLE = Objective(VPN, N.AVAILABILITY, 0.999, window_seconds=10 * DAY)


def promising(*properties):
    delivery = DeliveryExpectation(
        ServiceType.L3VPN, Topology.ANY_TO_ANY, (SiteReference("London", "GB"), SiteReference("Paris", "FR")), (),
        AddressFamily.IPV4, AddressAllocation.STATIC, Routing.BGP, "gold",
    )  # fmt: skip
    return Intent("ada", "ada", delivery, tuple(PropertyExpectation(*one) for one in properties))


def test_an_intent_promises_its_properties_in_base_units():
    intent = promising(
        (Property.INPUT_BANDWIDTH, Condition.AT_LEAST, 100_000_000),
        (Property.OUTPUT_BANDWIDTH, Condition.AT_LEAST, 200_000_000),
        (Property.LATENCY, Condition.AT_MOST, 15_000),
        (Property.AVAILABILITY, Condition.AT_LEAST, 999_900),
    )
    assert {one.name: one.target for one in objectives_of(intent, VPN)} == {
        N.BANDWIDTH: 2e8,
        N.ONE_WAY_DELAY: 0.015,
        N.AVAILABILITY: 0.9999,
    }


@pytest.mark.parametrize(
    "name, target, kept, broken",
    [
        (N.BANDWIDTH, 1e8, 1e8, 9.9e7),
        (N.ONE_WAY_DELAY, 0.015, 0.015, 0.0151),
        (N.ROUND_TRIP_DELAY, 0.03, 0.01, 0.05),
        (N.JITTER, 0.001, 0.0, 0.002),
        (N.LOSS, 0.001, 0.001, 0.02),
        (N.AVAILABILITY, 0.999, 1.0, 0.998),
    ],
)
def test_a_floor_is_kept_from_above_a_ceiling_from_below_and_the_unknown_keeps_neither(name, target, kept, broken):
    objective = Objective(VPN, name, target)
    assert objective.is_kept_by(kept)
    assert not objective.is_kept_by(broken)
    assert not objective.is_kept_by(nan)


@pytest.mark.parametrize("name, target", [(N.LOSS, 1.5), (N.AVAILABILITY, -0.1), (N.JITTER, inf), (N.JITTER, nan)])
def test_a_target_that_cannot_be_is_refused_with_the_objective_named(name, target):
    with pytest.raises(InvalidInputError, match=f"l3vpn:v1/{name}"):
        Objective(VPN, name, target)


def measured(*spans, record=None):
    record = record or Availability()
    for start, end, is_good in spans:
        record = record.measured(start, end, is_good=is_good, window_seconds=AVAILABLE.window_seconds)
    return record


def test_the_budget_of_three_nines_over_ten_days_is_864_seconds():
    record = measured((0.0, 5 * DAY, True), (5 * DAY, 5 * DAY + 432, False), (5 * DAY + 432, 10 * DAY, True))
    budget = record.budget(AVAILABLE, 10 * DAY)
    assert budget.remaining_ratio == pytest.approx(0.5)
    assert budget.availability == pytest.approx(1 - 432 / (10 * DAY))
    assert budget.burn_rate == pytest.approx(0.5)
    assert budget.exhausted_in_seconds == pytest.approx(10 * DAY)


def test_the_burn_rate_of_the_last_hour_sees_what_the_window_hides():
    record = measured((0.0, 9 * DAY, True), (9 * DAY, 9 * DAY + 36, False), (9 * DAY + 36, 9 * DAY + 3600, True))
    now = 9 * DAY + 3600
    assert record.budget(AVAILABLE, now, 3600.0).burn_rate == pytest.approx(10.0)
    assert record.budget(AVAILABLE, now).burn_rate < 0.05


def test_what_was_not_measured_is_neither_good_nor_bad():
    record = measured((0.0, 100.0, True), (900.0, 1000.0, False))
    assert record.budget(AVAILABLE, 1000.0).availability == pytest.approx(0.5)
    assert isnan(Availability().budget(AVAILABLE, 1000.0).availability)
    assert Availability().budget(AVAILABLE, 1000.0).burn_rate == 0.0


def test_what_is_older_than_the_window_is_forgotten():
    record = measured((0.0, 864.0, False), (864.0, 10 * DAY, True))
    assert record.budget(AVAILABLE, 10 * DAY).remaining_ratio == pytest.approx(0.0)
    assert measured((10 * DAY, 12 * DAY, True), record=record).budget(AVAILABLE, 12 * DAY).availability == 1.0


def test_of_a_spell_across_the_edge_of_the_window_only_the_part_within_counts():
    budget = measured((0.0, 100.0, False), (100.0, 200.0, True)).budget(AVAILABLE, 200.0, 150.0)
    assert (budget.bad_seconds, budget.measured_seconds) == (50.0, 150.0)


def test_a_promise_without_a_budget_is_broken_by_the_first_bad_second():
    always = replace(AVAILABLE, target=1.0)
    budget = measured((0.0, 10.0, True), (10.0, 11.0, False)).budget(always, 11.0)
    assert (budget.remaining_ratio, budget.burn_rate, budget.exhausted_in_seconds) == (-inf, inf, 0.0)


spans = st.lists(st.tuples(st.floats(-5.0, 60.0), st.floats(0.001, 60.0), st.booleans()), max_size=40)


@given(spans)
def test_however_the_measurements_come_no_second_counts_twice_and_ratios_are_ratios(steps):
    record, time = Availability(), 0.0
    for gap, length, is_good in steps:
        record = record.measured(time + gap, time + gap + length, is_good=is_good, window_seconds=1e4)
        time = max(time, time + gap + length)
    for before, after in zip(record.spells, record.spells[1:], strict=False):
        assert before.end <= after.start
    budget = record.budget(replace(AVAILABLE, window_seconds=1e4), time)
    assert budget.measured_seconds <= time + 60.0
    assert 0.0 <= budget.bad_seconds <= budget.measured_seconds


def test_a_flapping_service_keeps_a_bounded_record_whose_totals_stay_right():
    record = Availability()
    for n in range(4 * SPELLS_KEPT):
        record = record.measured(n * 10.0, n * 10.0 + 10.0, is_good=n % 2 == 0, window_seconds=AVAILABLE.window_seconds)
    assert len(record.spells) == SPELLS_KEPT
    assert record.budget(AVAILABLE, 4 * SPELLS_KEPT * 10.0).availability == pytest.approx(0.5)


@pytest.mark.parametrize(
    "name, subject, remedy",
    [
        (N.LOSS, "pe-a>pe-c", "take one of: pe-a>pe-b, pe-b>pe-a"),
        (N.BANDWIDTH, "pe-a>pe-b", "take one of: a/primary, b/primary"),
        (N.AVAILABILITY, "a/primary", "leave it out"),
    ],
)
def test_an_objective_of_what_the_service_does_not_have_is_refused_with_what_it_has(name, subject, remedy):
    accesses = [Access("a", "primary", DeviceName("pe-a")), Access("b", "primary", DeviceName("pe-b"))]
    refuse_unknown_subjects(accesses, [Objective(VPN, N.JITTER, 0.5, subject="pe-b>pe-a"), Objective(VPN, name, 0.5)])
    with pytest.raises(InvalidInputError, match=subject) as refused:
        refuse_unknown_subjects(accesses, [Objective(VPN, name, 0.5, subject=subject)])
    assert remedy in refused.value.remedy
