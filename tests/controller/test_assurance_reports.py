"""Intent reports say what is fulfilled, what conflicts and what is feasible, when it changed and when it is time."""

from dataclasses import replace

import pytest

from controller.assurance.breach import Breach
from controller.assurance.instance import Happening, InstanceEvent, InstanceState, IntentInstance, replay
from controller.assurance.objectives import Objective, ObjectiveName
from controller.assurance.reports import (
    Claim,
    ConflictType,
    Feasibility,
    FulfilmentStatus,
    NotFulfilledState,
    Observed,
    ReportTrigger,
    capacity_conflicts,
    feasibility_of,
    report,
    to_send,
)
from controller.model.identifiers import IntentId, ServiceId
from controller.model.units import BitRate
from controller.twin.verdict import CounterExample, Fault, Verdict

S, N, F = InstanceState, NotFulfilledState, FulfilmentStatus
VPN, INTENT = ServiceId("l3vpn:v1"), IntentId("intent-1")
DELAY = Objective(VPN, ObjectiveName.ONE_WAY_DELAY, 0.015)
RATE = Objective(VPN, ObjectiveName.BANDWIDTH, 1e8)
SERVED = IntentInstance("a1", S.ASSURED, 0.0)
GOOD = (Observed(DELAY, 0.010, 1.0), Observed(RATE, 1.2e8, 1.0))


def said(*observed, instance=SERVED, **more):
    return report(INTENT, instance, observed or GOOD, 1000.0, **more)


def test_an_intent_whose_targets_are_all_kept_is_fulfilled():
    found = said()
    assert found.info.status is F.FULFILLED
    assert [one.info.status for one in found.targets] == [F.FULFILLED, F.FULFILLED]


def test_one_broken_target_degrades_the_intent_and_says_by_how_much():
    found = said(Observed(DELAY, 0.018, 1.0), GOOD[1])
    assert found.info.state is N.DEGRADED
    assert found.info.reasons == ("delay-one-way is 18 ms, above 15 ms",)
    close = said(Observed(DELAY, 0.0150001, 1.0), GOOD[1])
    assert close.info.reasons == ("delay-one-way is 15 ms, just above 15 ms",)
    assert said(Observed(RATE, 0.9e8, 1.0)).info.reasons == ("bandwidth is 90 Mbit/s, below 100 Mbit/s",)


@pytest.mark.parametrize(
    "unknown", [Observed(DELAY, None, 1.0), Observed(DELAY, 0.010, 0.4), Observed(DELAY, 0.9, 0.4)]
)
def test_what_is_not_measured_well_enough_is_neither_fulfilled_nor_degraded(unknown):
    assert said(unknown, GOOD[1]).info.state is N.COMPLIANT
    assert said(unknown, Observed(RATE, 0.0, 1.0)).info.state is N.DEGRADED, "the other one is broken for certain"


def test_a_served_intent_of_which_nothing_is_known_is_not_called_fulfilled():
    assert report(INTENT, SERVED, (), 1000.0).info.state is N.COMPLIANT


def test_a_target_that_is_kept_still_tells_that_a_breach_is_predicted():
    def predicted(probability, quality=1.0):
        breach = Breach(DELAY, 60.0, 0.016, 0.012, 0.02, probability, quality)
        return said(Observed(DELAY, 0.010, 1.0, breach)).targets[0]

    assert predicted(0.95).info.status is F.FULFILLED
    assert predicted(0.95).predicted is F.NOT_FULFILLED
    assert predicted(0.2).predicted is F.FULFILLED
    assert predicted(0.95, quality=0.3).predicted is None


@pytest.mark.parametrize(
    "events, state",
    [
        ((), N.ACKNOWLEDGED),
        (("negotiate",), N.ACKNOWLEDGED),
        (("negotiate", "agree"), N.COMPLIANT),
        (("negotiate", "agree", "provisioning-failed"), N.ACKNOWLEDGED),
        (("negotiate", "agree", "provision", "terminate"), N.TERMINATED),
    ],
)
def test_without_service_the_report_follows_the_instance_and_claims_no_target(events, state):
    instance = replay("a1", 0.0, [Happening("a1", InstanceEvent(event), 1.0, reason=f"{event}!") for event in events])
    found = said(instance=instance)
    assert (found.info.state, found.targets) == (state, ())
    assert found.info.reasons == ((f"{events[-1]}!",) if events else ("it is declared",))


def test_an_intent_that_cannot_be_had_has_failed_before_it_was_served():
    infeasible = feasibility_of(None, ["no path is faster than 17 ms"])
    found = said(instance=IntentInstance("a1", S.DECLARED, 0.0), feasibility=infeasible)
    assert found.info.state is N.FULFILMENT_FAILED
    assert found.info.reasons == ("no path is faster than 17 ms",)


def test_the_twins_counter_examples_are_the_reasons_of_infeasibility():
    refused = Verdict((CounterExample(Fault.CAPACITY, "v1", "10.0.0.1", "10.0.1.0/24", "p1-p2 is too small"),))
    assert feasibility_of(refused).reasons == ("v1: too full: p1-p2 is too small",)
    assert feasibility_of(Verdict()) == Feasibility()
    assert feasibility_of(Verdict()).is_feasible


def test_a_report_is_sent_first_then_on_change_then_on_schedule_and_otherwise_not():
    first = to_send(said(), None, 300.0)
    assert first.trigger is ReportTrigger.ON_CHANGE
    moved = replace(said(Observed(DELAY, 0.011, 1.0), GOOD[1]), time=1100.0)
    assert to_send(moved, first, 300.0) is None, "another value is no other verdict"
    assert to_send(replace(moved, time=1300.0), first, 300.0).trigger is ReportTrigger.ON_SCHEDULE
    broken = replace(said(Observed(DELAY, 0.018, 1.0), GOOD[1]), time=1100.0)
    assert to_send(broken, first, 300.0).trigger is ReportTrigger.ON_CHANGE
    worse = replace(said(Observed(DELAY, 0.019, 1.0), GOOD[1]), time=1110.0)
    assert to_send(worse, broken, 300.0) is None


def test_intents_that_are_promised_more_than_a_link_has_conflict_with_one_another():
    claims = [
        Claim(IntentId("i1"), 1, "p1-p2", BitRate.parse("6 Gbit/s")),
        Claim(IntentId("i2"), 7, "p1-p2", BitRate.parse("6 Gbit/s")),
        Claim(IntentId("i3"), 5, "p3-p4", BitRate.parse("9 Gbit/s")),
        Claim(IntentId("i3"), 5, "elsewhere", BitRate.parse("99 Gbit/s")),
    ]
    ten = BitRate.parse("10 Gbit/s")
    found = capacity_conflicts(claims, {"p1-p2": ten, "p3-p4": ten})
    assert set(found) == {"i1", "i2"}
    (conflict,) = found[IntentId("i1")]
    assert (conflict.type, conflict.conflicting) == (ConflictType.INTENT, "i2")
    assert conflict.reason == "p1-p2 is promised 2 Gbit/s more than it has"
    assert conflict.recommended[0] == "take i2 (priority 7) off p1-p2"


def test_the_json_is_an_intent_report_of_tmf921_in_the_words_of_ts_28_312():
    conflicts = capacity_conflicts(
        [Claim(INTENT, 1, "l", BitRate(6)), Claim(IntentId("i2"), 2, "l", BitRate(6))], {"l": BitRate(10)}
    )[INTENT]
    body = said(Observed(DELAY, 0.018, 1.0), GOOD[1], conflicts=conflicts, feasibility=Feasibility()).to_json()
    assert (body["@type"], body["creationDate"]) == ("IntentReport", "1970-01-01T00:16:40.000Z")
    assert body["intent"] == {"@type": "IntentRef", "id": "intent-1"}
    value = body["expression"]["expressionValue"]
    fulfilment = value["intentFulfilmentReport"]
    assert fulfilment["intentFulfilmentInfo"] == {
        "fulfilmentStatus": "NOT_FULFILLED",
        "notFulfilledState": "DEGRADED",
        "notFulfilledReasons": ["delay-one-way is 18 ms, above 15 ms"],
    }
    results = {one["expectationId"]: one for one in fulfilment["expectationFulfilmentResult"]}
    assert results["l3vpn:v1/bandwidth"]["expectationFulfilmentInfo"] == {"fulfilmentStatus": "FULFILLED"}
    assert results["l3vpn:v1/delay-one-way"]["targetFulfilmentResults"][0]["targetAchievedValue"] == 0.018
    (conflict,) = value["intentConflictReports"]
    assert (conflict["conflictType"], conflict["conflictingIntent"]) == ("INTENT_CONFLICT", "i2")
    assert value["intentFeasibilityCheckReport"] == {"feasibilityCheckResult": "FEASIBLE"}
