"""Objectives of documents, groups of forecasts, turning points, and availability at risk."""

from dataclasses import replace
from math import isnan, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.assurance.breach import SchmittTrigger, unforeseen
from controller.assurance.foresight import Foresight, Seen
from controller.assurance.objectives import Availability, Objective, ObjectiveName
from controller.assurance.objectives_l3sm import Access, Pair, accesses_of, pairs_of, promised, vpn_of
from controller.assurance.reports import Observed
from controller.assurance.standing import Symptoms, availability_breach, health
from controller.assurance.turning import levels
from controller.mapping.fragment import service_id
from controller.model.identifiers import DeviceName
from controller.telemetry.detectors import Shape
from controller.telemetry.sample import Sample, SeriesKey, imputed
from tests.controller.assurance_world import DELAY
from tests.controller.mapping_samples import access, site

N = ObjectiveName
KEY = SeriesKey(DeviceName("pe1"), "last-forward-delay", "1")
QOS = {
    "qos": {
        "qos-profile": {
            "classes": {
                "class": [
                    {"class-id": "voice", "latency": {"latency-boundary": 20}, "jitter": {"latency-boundary": 2000}},
                    {"class-id": "data", "latency": {"latency-boundary": 80}},
                ]
            }
        }
    },
    "svc-input-bandwidth": "100000000",
    "svc-output-bandwidth": "50000000",
}


def served(*roles: str) -> tuple[Access, ...]:
    """The accesses of a VPN with a site in each of some places, the first with QoS classes."""
    sites, places = {}, {}
    for number, role in enumerate(roles):
        more: dict[str, Any] = {"service": QOS} if number == 0 else {}
        sites[f"s{number}"] = site(f"s{number}", "London", "GB", access(number, role=role, **more))
        places[f"s{number}", "a1"] = (DeviceName(f"pe{number}"), "ge0")
    return accesses_of("acme", sites, places)


# -- objectives of documents -----------------------------------------------------------------------------------------


def test_classes_promise_delay_and_jitter_between_routers_the_strictest_counting() -> None:
    found = {(one.name, one.subject): one.target for one in promised("acme", served(*["any-to-any-role"] * 2))}
    assert found == {
        (N.BANDWIDTH, "s0/a1"): 1e8,
        (N.BANDWIDTH, "s1/a1"): 1e8,
        (N.ONE_WAY_DELAY, "pe0>pe1"): 0.02,
        (N.ONE_WAY_DELAY, "pe1>pe0"): 0.02,
        (N.JITTER, "pe0>pe1"): 0.002,
        (N.JITTER, "pe1>pe0"): 0.002,
    }


def test_two_spokes_are_promised_nothing_between_them() -> None:
    pairs = pairs_of(served("hub-role", "spoke-role", "spoke-role"))
    assert Pair(DeviceName("pe1"), DeviceName("pe2")) not in pairs
    assert len(pairs) == 4


def test_what_is_set_goes_before_the_documents_and_without_a_subject_holds_for_every_pair() -> None:
    accesses = served(*["any-to-any-role"] * 2)
    wanted = (
        replace(DELAY, target=0.005),
        Objective(service_id("acme"), N.LOSS, 0.01, subject="pe0>pe1"),
        Objective(service_id("acme"), N.AVAILABILITY, 0.99),
    )
    found = {(one.name, one.subject): one.target for one in promised("acme", accesses, more=wanted)}
    assert found[N.ONE_WAY_DELAY, "pe0>pe1"] == found[N.ONE_WAY_DELAY, "pe1>pe0"] == 0.005
    assert (N.LOSS, "pe1>pe0") not in found
    assert found[N.AVAILABILITY, ""] == 0.99
    assert vpn_of(service_id("acme")) == "acme"


# -- forecasts in groups -----------------------------------------------------------------------------------------------


def objective(number: int) -> Objective:
    return replace(DELAY, subject=f"a>{number}")


def test_objectives_that_come_one_by_one_are_each_forecast_and_keep_their_past() -> None:
    foresight = Foresight((3,), 10.0)
    seen: dict[Objective, Seen] = {}
    for number in range(60):
        seen[objective(number)] = Seen(0.001 * (number + 1), 1.0)
        found = foresight.step(seen)
        assert set(found) == set(seen)
    for number in (0, 30, 59):
        breach = found[objective(number)]
        assert breach.point == pytest.approx(0.001 * (number + 1))
        assert (breach.probability > 0.5) == (0.001 * (number + 1) > DELAY.target)
        assert foresight.recent(objective(number))[-1] == 0.001 * (number + 1)
    gone = seen.pop(objective(7))
    assert objective(7) not in foresight.step(seen)
    assert gone.quality == 1.0
    assert foresight.recent(objective(7)) == []


def test_what_was_never_measured_is_not_foreseen_and_what_stops_is_foreseen_without_trust() -> None:
    foresight = Foresight((3,), 10.0)
    one, other = objective(1), objective(2)
    assert foresight.step({one: Seen(nan, 0.0), other: Seen(0.01, 1.0)}).keys() == {other}
    for _ in range(5):
        found = foresight.step({one: Seen(nan, 0.0), other: Seen(nan, 0.0)})
    assert found[other].quality == 0.0
    assert isnan(unforeseen(one).point)


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1) | st.just(nan)), max_size=80))
def test_whatever_comes_and_goes_every_measured_objective_has_one_breach(ticks: list[tuple[int, float]]) -> None:
    foresight = Foresight((2,), 10.0)
    for number, value in ticks:
        seen = {objective(each): Seen(value, 1.0) for each in range(number)}
        found = foresight.step(seen)
        assert found.keys() <= seen.keys()
        assert all(one.objective is each for each, one in zip(found, found.values(), strict=True) if each in found)
        if value == value:  # noqa: PLR0124 - not NaN
            assert found.keys() == seen.keys()


# -- turning points ----------------------------------------------------------------------------------------------------


def samples(*values: float) -> list[Sample]:
    return [Sample(KEY, 10.0 * number, 10.0 * number, value) for number, value in enumerate(values)]


@pytest.mark.parametrize(
    "values, split",
    [
        ((1, 1, 1, 1, 5, 5, 5), (4, 7)),
        ((5, 5, 5, 1, 1, 1, 1, 1), (3, 8)),
        ((1, 1, 1, 5, 5, 1, 1, 1, 1), (3, 5)),
    ],
)
def test_a_change_is_found_where_it_is(values: tuple[float, ...], split: tuple[int, int]) -> None:
    found = levels(samples(*values))
    assert found is not None
    before, during = found
    assert [one.value for one in before] == list(values[: split[0]])
    assert [one.value for one in during] == list(values[split[0] : split[1]])


def test_what_changed_by_little_is_no_story_however_sure_it_is() -> None:
    assert levels(samples(*[100.0] * 20, *[99.5] * 20)) is None
    assert levels(samples(*[100.0] * 20, *[90.0] * 20)) is not None
    assert levels(samples(*[90.0] * 20, *[100.0] * 20)) is not None


def test_noise_and_what_nobody_measured_have_no_turning_point() -> None:
    noise = np.random.default_rng(5).standard_normal(60)
    assert levels(samples(*noise)) is None
    assert levels(samples(1, 1, 1)) is None
    assert levels([*samples(1, 1, 1, 1), *(imputed(KEY, 100.0 + n, 9.0, 1.0) for n in range(9))]) is None


# -- availability and health -------------------------------------------------------------------------------------------

AVAILABLE = Objective(service_id("acme"), N.AVAILABILITY, 0.999, 86_400.0)


def measured(*spells: tuple[float, bool]) -> Availability:
    availability, at = Availability(), 0.0
    for seconds, is_good in spells:
        availability = availability.measured(at, at + seconds, is_good=is_good, window_seconds=86_400.0)
        at += seconds
    return availability


def test_an_outage_alarms_and_one_that_is_long_over_does_not() -> None:
    during = availability_breach(AVAILABLE, measured((3000, True), (600, False)), 3600.0, 300.0, 1.0)
    assert during.probability == 1.0
    assert during.point < during.upper
    over = availability_breach(AVAILABLE, measured((600, False), (20_000, True)), 20_600.0, 300.0, 1.0)
    assert over.probability == 0.0
    assert over.point < AVAILABLE.target, "the budget is overdrawn all the same"


def test_a_moment_of_outage_is_less_of_an_alarm_than_a_long_one() -> None:
    moment = availability_breach(AVAILABLE, measured((3590, True), (10, False)), 3600.0, 300.0, 1.0)
    assert 0.0 < moment.probability < 0.3


def test_health_falls_with_what_is_wrong_and_symptoms_keep_their_beginning() -> None:
    symptoms = Symptoms(SchmittTrigger())
    broken = Observed(replace(DELAY, subject="a>b"), 0.02, 1.0)
    fine = Observed(replace(DELAY, subject="b>a"), 0.01, 1.0)
    unknown = Observed(replace(DELAY, subject="c>a"), None, 0.0)
    first = symptoms.look("acme", [broken, fine, unknown], 100.0)
    again = symptoms.look("acme", [broken, fine, unknown], 200.0)
    assert [one.start for one in again] == [100.0, 100.0]
    assert health(first, 100.0) == 27
    assert health(symptoms.look("acme", [fine], 300.0), 300.0) == 100
    assert [one.start for one in symptoms.look("acme", [broken], 400.0)] == [400.0]
    symptoms.forget(["acme"])
    assert [one.start for one in symptoms.look("acme", [broken], 500.0)] == [500.0]


def test_what_is_unusual_takes_the_same_little_of_the_health_however_many_objectives_show_it() -> None:
    symptoms = Symptoms(SchmittTrigger())
    fine = [Observed(replace(DELAY, subject=f"a>{n}"), 0.01, 1.0) for n in range(20)]
    shapes = {one.objective: Shape.LEVEL_SHIFT for one in fine}
    one = symptoms.look("acme", fine, 100.0, dict([next(iter(shapes.items()))]))
    all_ = symptoms.look("acme", fine, 200.0, shapes)
    assert health(one, 100.0) == health(all_, 200.0) == 85
    assert [(each.kind, each.start) for each in all_] == [("unusual", 100.0)]
    assert one[0].reason == "delay-one-way a>0 (level-shift)"
    assert all_[0].reason.endswith("a>2 (level-shift) and 17 more")
    assert symptoms.look("acme", fine, 300.0, dict.fromkeys(shapes, Shape.NONE)) == ()


def test_what_is_broken_or_tells_nothing_is_not_called_unusual_too() -> None:
    symptoms = Symptoms(SchmittTrigger())
    broken = Observed(replace(DELAY, subject="a>b"), 0.02, 1.0)
    silent = Observed(replace(DELAY, subject="b>a"), None, 0.0)
    found = symptoms.look(
        "acme", [broken, silent], 100.0, {broken.objective: Shape.LEVEL_SHIFT, silent.objective: Shape.SILENCE}
    )
    assert [one.kind for one in found] == ["broken", "not-trusted"]
