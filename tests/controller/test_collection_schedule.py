"""When devices are read, who may send how many test packets, and when a campaign knows its answer."""

from itertools import pairwise
from math import exp, inf, lgamma
from random import Random

import pytest

from controller.model.errors import BusyError, InvalidInputError
from controller.model.identifiers import DeviceName
from controller.telemetry.budget import ProbeBudget
from controller.telemetry.campaign import Answer, Question, SequentialTest, interval, samples_needed
from controller.telemetry.schedule import Outcome, PollSchedule

NAMES = [DeviceName(f"pe{number}") for number in range(200)]
ONE = NAMES[0]


def run(schedule: PollSchedule, begin: float, end: float, outcome: Outcome = Outcome.READ) -> dict[DeviceName, list]:
    """Every reading ends at once; when who was read."""
    read: dict[DeviceName, list[float]] = {}
    now = begin
    while now < end:
        for device, _ in schedule.due(now):
            read.setdefault(device, []).append(now)
            schedule.ended(device, outcome, now)
        now += 0.1
    return read


def test_every_device_is_read_once_an_interval_and_all_are_spread_over_it() -> None:
    schedule = PollSchedule()
    schedule.follow(dict.fromkeys(NAMES, 10.0), 0.0)
    read = run(schedule, 0.0, 100.0)
    assert {len(times) for times in read.values()} <= {9, 10, 11}
    assert max(b - a for times in read.values() for a, b in pairwise(times)) < 11.2
    firsts = [times[0] for times in read.values()]
    assert all(10 <= sum(start <= first < start + 2 for first in firsts) <= 70 for start in (0, 2, 4, 6, 8))
    assert schedule.missed == 0


def test_jitter_moves_each_reading_and_never_lets_the_grid_drift() -> None:
    schedule = PollSchedule(jitter=0.2)
    schedule.follow({ONE: 10.0}, 0.0)
    times = run(schedule, 0.0, 1000.0)[ONE]
    steps = {round(b - a, 1) for a, b in pairwise(times)}
    assert len(steps) > 5
    assert abs((times[-1] - times[0]) / (len(times) - 1) - 10.0) < 0.05


def test_a_device_that_fails_is_asked_later_each_time_and_at_once_as_usual_when_it_is_back() -> None:
    schedule = PollSchedule(jitter=0.0, longest_seconds=40.0)
    schedule.follow({ONE: 10.0}, 0.0)
    times = run(schedule, 0.0, 300.0, Outcome.FAILED)[ONE]
    steps = [round(b - a) for a, b in pairwise(times)]
    assert steps[:3] == [10, 20, 40]
    assert set(steps[2:]) == {40}
    again = run(schedule, 300.0, 400.0)[ONE]
    assert round(again[-1] - again[-2]) == 10


def test_a_cycle_that_comes_while_one_is_under_way_is_missed_and_counted() -> None:
    schedule = PollSchedule(jitter=0.0)
    schedule.follow({ONE: 10.0}, 0.0)
    begin = next(now / 10 for now in range(200) if schedule.due(now / 10))
    assert schedule.due(begin + 10.0) == []
    assert schedule.due(begin + 20.0) == []
    assert schedule.missed == 2
    schedule.ended(ONE, Outcome.READ, begin + 21.0)
    assert [device for device, _ in schedule.due(begin + 30.0)] == [ONE]


def test_cycles_that_nobody_looked_at_are_missed() -> None:
    schedule = PollSchedule(jitter=0.0)
    schedule.follow({ONE: 10.0}, 0.0)
    assert schedule.due(60.0)
    assert schedule.missed in {5, 6}


def test_a_device_in_other_hands_is_asked_again_soon_and_does_not_count_as_failed() -> None:
    schedule = PollSchedule(jitter=0.0)
    schedule.follow({ONE: 10.0}, 0.0)
    begin = next(now / 10 for now in range(200) if schedule.due(now / 10))
    schedule.ended(ONE, Outcome.YIELDED, begin)
    assert [device for device, _ in schedule.due(begin + 1.1)] == [ONE]


def test_hastened_devices_go_back_to_their_interval_by_themselves() -> None:
    schedule = PollSchedule(jitter=0.0)
    schedule.follow({ONE: 10.0, NAMES[1]: 10.0}, 0.0)
    assert schedule.hasten([ONE, DeviceName("nobody")], 1.0, 60.0, 0.0) == (ONE,)
    assert schedule.hastened(0.0) == {ONE: 60.0}
    read = run(schedule, 0.0, 160.0)
    assert 58 <= sum(time < 60 for time in read[ONE]) <= 62
    assert 9 <= sum(time >= 60 for time in read[ONE]) <= 11
    assert sum(time < 60 for time in read[NAMES[1]]) <= 6
    assert schedule.hastened(160.0) == {}


def test_who_leaves_the_inventory_is_read_no_more_and_keeps_its_missed_cycles_counted() -> None:
    schedule = PollSchedule(jitter=0.0)
    schedule.follow({ONE: 10.0}, 0.0)
    schedule.due(60.0)
    missed = schedule.missed
    schedule.follow({}, 60.0)
    assert schedule.due(100.0) == []
    assert schedule.missed == missed > 0


# -- budget --------------------------------------------------------------------------------------------------------


def test_the_budget_refuses_what_it_does_not_have_and_says_who_has_most() -> None:
    budget = ProbeBudget(100.0)
    budget.take("service acme", 80.0)
    budget.take("service beta", 10.0)
    with pytest.raises(BusyError, match=r"20 test packets.*there are 10; most of it has service acme"):
        budget.take("campaign-1", 20.0)
    assert budget.give_back("service acme") == 80.0
    budget.take("campaign-1", 20.0)
    assert budget.free == 70.0


def test_a_holder_that_asks_again_has_the_new_amount_and_not_both() -> None:
    budget = ProbeBudget(100.0)
    budget.take("acme", 80.0)
    budget.take("acme", 90.0)
    assert dict(budget.granted) == {"acme": 90.0}
    assert budget.give_back("acme") == 90.0
    assert budget.give_back("acme") == 0.0


# -- sequential test -----------------------------------------------------------------------------------------------


def decide(question: Question, draws: list[float]) -> SequentialTest:
    test = SequentialTest(question)
    for value in draws:
        if test.take(value) is not Answer.UNKNOWN:
            break
    return test


def delays(seed: int, share: float, count: int) -> list[float]:
    chance = Random(seed)
    return [0.02 if chance.random() < share else 0.010 + 0.001 * chance.random() for _ in range(count)]


def test_a_quiet_path_is_known_to_stay_below_after_as_many_measurements_as_were_foretold() -> None:
    question = Question(0.015, tolerated_ratio=0.05)
    test = decide(question, delays(1, 0.0, 5000))
    assert test.answer is Answer.STAYS_BELOW
    assert samples_needed(question) <= test.taken <= 2 * samples_needed(question)


def test_a_busy_path_is_known_to_exceed_long_before_a_quiet_one_is_known_not_to() -> None:
    question = Question(0.015, tolerated_ratio=0.05)
    test = decide(question, delays(2, 0.4, 5000))
    assert test.answer is Answer.EXCEEDS
    assert test.taken < 60
    assert test.interval()[0] > 0.05


@pytest.mark.parametrize("share, wrong", [(0.05, Answer.EXCEEDS), (0.045, Answer.EXCEEDS), (0.055, Answer.STAYS_BELOW)])
def test_wrong_answers_are_no_more_frequent_than_the_confidence_allows_however_often_one_looks(
    share: float, wrong: Answer
) -> None:
    question = Question(0.015, confidence=0.9, tolerated_ratio=0.05)
    answers = [decide(question, delays(seed, share, 800)).answer for seed in range(100)]
    assert answers.count(wrong) <= 0.1 * len(answers)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_it_takes_as_much_evidence_as_chance_gives_no_more_often_than_the_confidence_allows(confidence: float) -> None:
    question = Question(0.015, confidence=confidence, tolerated_ratio=0.05)
    needed = samples_needed(question)

    def evidence(quiet: int) -> float:
        """By how much all quiet is likelier of any share, whatever it is, than of the one that is tolerated."""
        return beta(0.5, 0.5 + quiet) / beta(0.5, 0.5) / 0.95**quiet

    assert evidence(needed - 1) < 1 / (1 - confidence) <= evidence(needed)


def beta(a: float, b: float) -> float:
    return exp(lgamma(a) + lgamma(b) - lgamma(a + b))


def test_measurements_that_resemble_each_other_count_for_less() -> None:
    chance, value, alike = Random(3), 0.0, []
    for _ in range(400):
        value = 0.9 * value + 0.1 * chance.gauss(0.0, 1.0)
        alike.append(0.010 + 0.0005 * value)
    question = Question(0.015, tolerated_ratio=0.05)
    slow, quick = decide(question, alike), decide(question, delays(1, 0.0, 400))
    assert quick.answer is Answer.STAYS_BELOW
    assert slow.taken > 3 * quick.taken
    assert slow.alike > 0.7


def test_a_lost_test_packet_counts_as_above_the_bound() -> None:
    test = decide(Question(0.015, tolerated_ratio=0.05), [0.010, inf] * 50)
    assert test.answer is Answer.EXCEEDS
    assert test.lost == test.above > 0
    assert test.highest == 0.010


def test_an_answer_is_final() -> None:
    test = decide(Question(0.015, tolerated_ratio=0.05), [0.02] * 100)
    taken = test.taken
    assert test.take(0.001) is Answer.EXCEEDS
    assert test.taken == taken


def test_the_interval_holds_the_share_that_was_seen_and_narrows() -> None:
    wide, narrow = interval(5, 50, 0.05), interval(50, 500, 0.05)
    assert wide[0] < narrow[0] < 0.1 < narrow[1] < wide[1]
    assert interval(0, 0, 0.05) == (0.0, 1.0)


@pytest.mark.parametrize("wrong", [{"bound": 0.0}, {"bound": inf}, {"confidence": 1.0}, {"tolerated_ratio": 0.0}])
def test_a_question_that_cannot_be_answered_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError):
        Question(**({"bound": 0.015} | wrong))
