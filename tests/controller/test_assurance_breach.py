"""A breach is predicted from a forecast, as far as its data can be trusted, and acted on only with every ground."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.assurance.breach import Breach, Level, SchmittTrigger, predict
from controller.assurance.decision import CauseFinding, Ground, decide, finding_of
from controller.assurance.guards import Admission, Guard
from controller.assurance.instance import InstanceState, IntentInstance
from controller.assurance.objectives import Objective, ObjectiveName
from controller.assurance.root_cause import Cause, Diagnosis
from controller.assurance.root_cause_groups import RiskKind
from controller.model.errors import InvalidInputError
from controller.model.identifiers import ServiceId
from controller.telemetry.forecast import Forecast, Forecaster
from controller.twin.verdict import CounterExample, Fault, Verdict

VPN = ServiceId("l3vpn:v1")
DELAY = Objective(VPN, ObjectiveName.ONE_WAY_DELAY, 0.015)
BANDWIDTH = Objective(VPN, ObjectiveName.BANDWIDTH, 1e8)
TRIGGER = SchmittTrigger()
LINK = CauseFinding("link p1-p2 down", 0.93)


def forecast_of(*series, horizons=(6, 30)):
    table = np.array(series, dtype=float).T
    forecaster = Forecaster(table.shape[1], horizons)
    for row in table:
        made = forecaster.step(row)
    return made


def noisy(middle, spread, ticks=300):
    return middle + spread * np.random.default_rng(7).standard_normal(ticks)


def breach(probability, quality=1.0):
    return Breach(DELAY, 60.0, 0.014, 0.01, 0.02, probability, quality)


def test_a_delay_far_below_its_target_is_safe_and_one_far_above_is_not():
    forecast = forecast_of(noisy(0.010, 0.0005), noisy(0.020, 0.0005), noisy(0.015, 0.0005))
    safe, broken, even = predict((DELAY, DELAY, DELAY), forecast, 10.0, (1.0, 1.0, 1.0))
    assert safe.probability < 0.02
    assert broken.probability > 0.98
    assert 0.3 < even.probability < 0.75
    assert safe.lower <= safe.point <= safe.upper
    assert safe.horizon_seconds in {60.0, 300.0}


def test_no_delay_is_foreseen_below_zero_and_no_ratio_above_one():
    loss = Objective(DELAY.service, ObjectiveName.LOSS, 0.01)
    for found in predict((DELAY, loss), forecast_of(noisy(0.0001, 0.01), noisy(0.99, 0.2)), 10.0, (1.0, 1.0)):
        assert 0.0 <= found.lower <= found.point <= found.upper
        assert found.objective is DELAY or found.upper <= 1.0


def test_the_likeliest_horizon_is_named():
    rising = np.concatenate([noisy(0.010, 0.0001, 200), np.linspace(0.010, 0.0145, 60)])
    (found,) = predict((DELAY,), forecast_of(rising), 10.0, (1.0,))
    assert found.horizon_seconds == 300.0
    assert found.probability > 0.5


def test_where_no_horizon_is_likelier_than_another_the_farthest_is_told():
    (found,) = predict((DELAY,), forecast_of(np.full(100, 0.004)), 10.0, (1.0,))
    assert (found.probability, found.horizon_seconds) == (0.0, 300.0)
    assert str(found) == "breach of delay-one-way within 300 s at 0%"


def test_a_floor_is_broken_from_below_and_kept_by_a_constant_series_that_stands_on_it():
    forecast = forecast_of(noisy(0.8e8, 1e6), noisy(1.5e8, 1e6), np.full(300, 1e8))
    low, high, even = predict((BANDWIDTH,) * 3, forecast, 10.0, (1.0,) * 3)
    assert low.probability > 0.98
    assert high.probability < 0.02
    assert even.probability < TRIGGER.leave


def test_a_ceiling_and_its_mirrored_floor_have_the_same_probability():
    values = noisy(100.0, 4.0)
    floor = Objective(VPN, ObjectiveName.BANDWIDTH, 97.0)
    ceiling = Objective(VPN, ObjectiveName.JITTER, 103.0)
    from_below, from_above = predict((floor, ceiling), forecast_of(values, 200.0 - values), 10.0, (1.0, 1.0))
    assert from_below.probability == pytest.approx(from_above.probability, abs=0.05)


def test_quality_multiplies_the_alarm():
    forecast = forecast_of(noisy(0.020, 0.0005))
    (good,), (poor,) = predict((DELAY,), forecast, 10.0, (1.0,)), predict((DELAY,), forecast, 10.0, (0.6,))
    assert poor.confidence == pytest.approx(0.6 * good.confidence)
    assert TRIGGER.level((good,)) is Level.ABOVE
    assert TRIGGER.level((poor,)) is Level.BETWEEN


def test_a_forecast_that_is_not_a_number_raises_no_alarm_and_gives_no_all_clear():
    forecast = Forecast((6,), np.array([[np.nan]]), np.zeros((1, 9, 1)))
    (found,) = predict((DELAY,), forecast, 10.0, (1.0,))
    assert (found.probability, found.quality) == (0.0, 0.0)
    assert TRIGGER.level((found,)) is Level.BETWEEN


def test_objectives_and_series_that_do_not_match_are_refused():
    with pytest.raises(InvalidInputError, match="2 objectives and 1 qualities for 1"):
        predict((DELAY, DELAY), forecast_of(noisy(0.010, 0.0005)), 10.0, (1.0,))


@pytest.mark.parametrize(
    "breaches, level",
    [
        ((breach(0.85),), Level.ABOVE),
        ((breach(0.5),), Level.BETWEEN),
        ((breach(0.2),), Level.BELOW),
        ((breach(0.1), breach(0.9)), Level.ABOVE),
        ((breach(0.1), breach(0.5)), Level.BETWEEN),
        ((breach(0.1), breach(0.1, quality=0.4)), Level.BETWEEN),
        ((breach(1.0, quality=0.4),), Level.BETWEEN),
        ((), Level.BETWEEN),
    ],
)
def test_one_trusted_alarm_is_enough_but_all_clear_needs_all_of_them_trusted(breaches, level):
    assert TRIGGER.level(breaches) is level


@pytest.mark.parametrize("enter, leave", [(0.3, 0.8), (0.5, 0.5), (1.2, 0.3), (0.8, -0.1)])
def test_thresholds_that_are_no_hysteresis_are_refused(enter, leave):
    with pytest.raises(InvalidInputError, match="hysteresis"):
        SchmittTrigger(enter, leave)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_worse_data_never_turn_a_clear_or_an_open_question_into_an_alarm(probability, quality):
    levels = (Level.ABOVE, Level.BETWEEN)
    if TRIGGER.level((breach(probability, quality),)) is Level.ABOVE:
        assert TRIGGER.level((breach(probability),)) is Level.ABOVE
    if TRIGGER.level((breach(probability, quality),)) is Level.BELOW:
        assert TRIGGER.level((breach(probability),)) not in levels


def weigh(state=InstanceState.AT_RISK, found=None, **changes):
    grounds = {"finding": LINK, "admission": Admission(), "verdict": Verdict(classes=12), "trigger": TRIGGER}
    return decide(IntentInstance("a1", state, 0.0), found or breach(0.95), 100.0, **{**grounds, **changes})


REFUSED = Verdict((CounterExample(Fault.BLACKHOLE, "v1", "10.0.0.1", "10.0.1.0/24", "no route"),))


def test_with_every_ground_the_loop_acts():
    decision = weigh()
    assert decision.acts
    assert [reason.ground for reason in decision.reasons] == list(Ground)
    assert decision.cause == "link p1-p2 down"


def test_that_no_cause_is_known_is_a_finding_and_enough():
    decision = weigh(finding=CauseFinding())
    assert decision.acts
    assert "no cause known" in str(decision)


@pytest.mark.parametrize(
    "ground, changes",
    [
        (Ground.STATE, {"state": InstanceState.COOLING}),
        (Ground.PROBABILITY, {"found": breach(0.7)}),
        (Ground.CAUSE, {"finding": None}),
        (Ground.GUARDS, {"admission": Admission(Guard.COOLING, 500.0, "its latest change is too young")}),
        (Ground.PROOF, {"verdict": None}),
        (Ground.PROOF, {"verdict": REFUSED}),
    ],
)
def test_without_one_ground_it_does_nothing_and_the_record_says_which(ground, changes):
    decision = weigh(**changes)
    assert not decision.acts
    assert [reason.ground for reason in decision.against] == [ground]
    assert f"no   {ground}" in str(decision)
    assert decision.is_worth_planning is (ground is Ground.PROOF)
    record = decision.to_json()
    assert record["acts"] is False
    assert [one["ground"] for one in record["reasons"] if not one["holds"]] == [ground]


def test_below_the_floor_of_quality_even_certainty_does_nothing_and_the_reason_is_shown():
    decision = weigh(found=breach(1.0, quality=0.4))
    assert {reason.ground for reason in decision.against} == {Ground.PROBABILITY, Ground.QUALITY}
    assert "quality: 0.40, the floor is 0.6" in str(decision)


def diagnosis(*confidences):
    causes = tuple(Cause(RiskKind.LINK, f"p{n}", one, one, "down", (), ()) for n, one in enumerate(confidences))
    return Diagnosis(0.0, 60.0, (), causes, (), (), threshold=0.6)


def test_the_surest_known_cause_is_the_finding_and_abstention_is_one_too():
    found = finding_of(diagnosis(0.7, 0.9, 0.1))
    assert (found.cause, found.confidence) == ("link p1", 0.9)
    assert finding_of(diagnosis(0.4)) == CauseFinding()
    assert finding_of(diagnosis()) == CauseFinding()
