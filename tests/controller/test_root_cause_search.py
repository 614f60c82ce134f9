"""The search for at most two faults finds what trying every set finds, and ranks as reason has it."""

from itertools import combinations, product
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.assurance.root_cause import localise
from controller.assurance.root_cause_cover import greedy_cover, obvious
from controller.assurance.root_cause_groups import RiskGroup, RiskKind
from controller.assurance.root_cause_likelihood import FaultModel
from controller.assurance.root_cause_observations import (
    LIES,
    MODES,
    Observation,
    ObservationKind,
    likelihood,
    log_prior,
)
from controller.model.errors import InvalidInputError

LETTERS = "abcdef"
LINKS = tuple(RiskGroup(RiskKind.LINK, letter, frozenset(letter)) for letter in LETTERS)
LOSS, VERDICT, CARRIER = ObservationKind.LOSS, ObservationKind.VERDICT, ObservationKind.CARRIER
DELAY = ObservationKind.DELAY


def verdict(elements, *, is_bad, sensor="", subject=""):
    return Observation(VERDICT, subject or elements, sensor or elements, frozenset(elements), is_bad=is_bad)


def loss(elements, lost, sensor="", sent=1000):
    return Observation(LOSS, elements, sensor or elements, frozenset(elements), sent=sent, lost=lost)


@st.composite
def observations(draw):
    many = []
    for number in range(draw(st.integers(1, 8))):
        elements = frozenset(draw(st.sets(st.sampled_from(LETTERS), min_size=1, max_size=3)))
        sensor = draw(st.sampled_from(["s1", "s2", "s3", "s4"]))
        kind = draw(st.sampled_from([LOSS, VERDICT, CARRIER]))
        quality = draw(st.sampled_from([1.0, 1.0, 0.4, 0.0]))
        if kind is LOSS:
            lost = draw(st.sampled_from([0, 0, 1, 12, 40, 1000]))
            many.append(Observation(kind, f"o{number}", sensor, elements, sent=1000, lost=lost, quality=quality))
        else:
            many.append(Observation(kind, f"o{number}", sensor, elements, is_bad=draw(st.booleans()), quality=quality))
    return many


def tried(groups, many, faults):
    """The logarithm of prior and likelihood of a set of faults, straight from what a noisy-OR with liars means."""
    honest: dict[str, float] = {}
    lying: dict[str, float] = {}
    for one in many:
        told = likelihood(one)
        on_it = [mode for group, mode in faults if groups[group].elements & one.elements]
        is_alone = len(on_it) == 1
        said = told.healthy if not on_it else told.alone[on_it[0]] if is_alone else told.together[on_it[0], on_it[1]]
        honest[one.sensor] = honest.get(one.sensor, log(1 - LIES)) + one.quality * said
        lying[one.sensor] = lying.get(one.sensor, log(LIES)) + one.quality * told.lie
    prior = sum(log_prior(groups[group].kind, mode, "") for group, mode in faults)
    return prior + sum(np.logaddexp(honest[sensor], lying[sensor]) for sensor in honest)


@settings(max_examples=40, deadline=None)
@given(observations())
def test_the_best_set_is_the_best_of_all_sets_of_at_most_two(many):
    touched = {
        group for group, each in enumerate(LINKS) for one in many if one.is_symptom and each.elements & one.elements
    }
    single = [(group, mode) for group in touched for mode in range(len(MODES))]
    double = [pair for pair in combinations(single, 2) if pair[0][0] != pair[1][0]]
    best = max(tried(LINKS, many, faults) for faults in [(), *((one,) for one in single), *double])
    posterior = FaultModel(LINKS, many).search()
    assert posterior.log_likelihood == pytest.approx(best, abs=1e-6)
    found = [(fault.group, fault.mode) for fault in posterior.faults]
    assert tried(LINKS, many, found) == pytest.approx(best, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(observations(), st.randoms(use_true_random=False))
def test_the_order_of_observations_does_not_matter(many, random):
    shuffled = random.sample(many, len(many))
    one, other = FaultModel(LINKS, many).search(), FaultModel(LINKS, shuffled).search()
    assert one.groups == pytest.approx(other.groups, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(observations(), st.sets(st.sampled_from(LETTERS), min_size=1))
def test_what_is_of_no_quality_tells_nothing(many, elements):
    worthless = Observation(VERDICT, "new", "s9", frozenset(elements), is_bad=True, quality=0.0)
    with_it = FaultModel(LINKS, [*many, worthless]).search()
    assert with_it.groups == pytest.approx(FaultModel(LINKS, many).search().groups, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sets(st.sampled_from("cdef"), max_size=2), min_size=1, max_size=5),
    st.lists(st.sets(st.sampled_from("cdef"), min_size=1, max_size=2), max_size=5),
    st.integers(1, 4),
    st.integers(0, 3),
)
def test_what_explains_everything_is_not_ranked_below_what_explains_a_part(bad, good, explained, on_both):
    """`a` is on every bad path, `b` on only some of them; they are on the same good ones."""
    explained = min(explained, len(bad) - 1)
    paths = [
        verdict("".join(sorted({"a", *others, *("b" if number < explained else "")})), is_bad=True, sensor=f"s{number}")
        for number, others in enumerate(bad)
    ]
    paths += [verdict("".join(sorted(others)), is_bad=False, sensor=f"g{number}") for number, others in enumerate(good)]
    paths += [verdict("ab", is_bad=False, sensor=f"h{number}") for number in range(on_both)]
    weight = FaultModel(LINKS, paths).search().groups
    assert weight[0] >= weight[1] - 1e-9


@settings(max_examples=60, deadline=None)
@given(observations(), st.sampled_from(LETTERS), st.booleans())
def test_a_good_path_over_a_link_never_raises_its_rank(many, letter, counted):
    """Against every link that the new path does not pass."""
    new = loss(letter, 0, sensor="new") if counted else verdict(letter, is_bad=False, sensor="new")
    before, after = FaultModel(LINKS, many).search().groups, FaultModel(LINKS, [*many, new]).search().groups
    link = LETTERS.index(letter)
    for other in set(range(len(LINKS))) - {link}:
        if before[other] > before[link] + 1e-3:
            assert after[other] >= after[link]


def test_two_faults_on_one_path_lose_more_than_either():
    many = [loss("a", 30), loss("b", 30), loss("ab", 59), loss("ac", 31), loss("bd", 28), loss("c", 0), loss("d", 0)]
    posterior = FaultModel(LINKS, many).search()
    assert {LINKS[fault.group].name for fault in posterior.faults} == {"a", "b"}


def test_a_sensor_that_says_nothing_right_is_taken_for_a_liar():
    honest = [verdict("ab", is_bad=True, sensor=f"s{number}", subject=f"x{number}") for number in range(4)]
    honest += [verdict("b", is_bad=False, sensor=f"t{number}") for number in range(4)]
    lies = [verdict("a", is_bad=False, sensor="liar", subject=f"y{number}") for number in range(9)]
    lies += [verdict("c", is_bad=True, sensor="liar", subject=f"z{number}") for number in range(9)]
    many = [*honest, *(verdict("c", is_bad=False, sensor=f"u{number}") for number in range(4)), *lies]
    model = FaultModel(LINKS, many)
    posterior = model.search()
    assert [LINKS[fault.group].name for fault in posterior.faults] == ["a"]
    assert [sensor for sensor, lies in zip(model.sensors, posterior.lies, strict=True) if lies > 0.5] == ["liar"]


def test_a_carrier_that_is_up_makes_it_a_silent_loss():
    lost = [loss("a", 1000, sensor="s1"), loss("ab", 1000, sensor="s2")]
    up = Observation(CARRIER, "port", "r1", frozenset("a"))
    down = Observation(CARRIER, "port", "r1", frozenset("a"), is_bad=True)

    def mode(carrier):
        return [MODES[fault.mode].name for fault in FaultModel(LINKS, [*lost, carrier]).search().faults]

    assert (mode(up), mode(down)) == (["blackhole"], ["down"])


def test_a_node_that_tells_of_its_ports_is_not_down_itself():
    node = RiskGroup(RiskKind.NODE, "n", frozenset("abn"))
    ports = [
        Observation(CARRIER, f"{link}-{end}", end, frozenset(link), is_bad=True) for link in "ab" for end in ("n", link)
    ]
    answers = Observation(ObservationKind.SILENCE, "n", "controller", frozenset("n"))
    heard = FaultModel([*LINKS, node], [*ports, answers]).search()
    crashed = FaultModel(
        [*LINKS, node],
        [
            *(one for one in ports if one.sensor != "n"),
            Observation(answers.kind, "n", "controller", frozenset("n"), is_bad=True),
        ],
    ).search()
    assert crashed.groups[-1] > 0.95
    assert heard.groups[-1] < crashed.groups[-1]


def late(element, count, sensor=""):
    """So many readings of a link's own session in a row of which it was late, or one of which it was not."""
    return [
        Observation(DELAY, f"{element}, {n} ago", sensor or element, frozenset(element), is_bad=count > 0)
        for n in range(max(1, count))
    ]


def good(sensor):
    """What else a router tells that is well."""
    return [Observation(CARRIER, f"port {n}", sensor, frozenset(f"{sensor}{n}")) for n in range(5)]


def test_a_link_that_is_late_and_loses_nothing_is_the_cause_as_soon_as_two_readings_say_so() -> None:
    def found(count):
        well = [each for letter in LETTERS[1:] for each in (*late(letter, 0), *good(letter))]
        (diagnosis,) = localise(LINKS, [*late("a", count), *good("a"), loss("a", 0), *well])
        return diagnosis

    assert found(1).abstains
    for count in (2, 3, 6):
        (cause, *_) = found(count).causes
        assert (str(cause), cause.mode, found(count).abstains) == ("link a", "late", False)
    assert found(6).causes[0].posterior > found(2).causes[0].posterior


def test_a_router_whose_clock_is_wrong_makes_no_link_a_cause() -> None:
    told = [each for letter in "abc" for each in late(letter, 6, "s1")]
    (diagnosis,) = localise(LINKS, [*told, *late("d", 0), *late("e", 0)])
    assert diagnosis.abstains
    assert diagnosis.doubtful_sensors == ("s1",)


def test_a_loss_with_delays_in_time_is_none_of_lateness() -> None:
    (diagnosis,) = localise(LINKS, [loss("a", 30), *late("a", 0), loss("b", 0, "b")])
    assert diagnosis.causes[0].mode.startswith("loses ")


def test_likelihoods_are_those_of_chances_that_sum_to_one():
    for kind, mode in product((CARRIER, VERDICT, DELAY, ObservationKind.SILENCE), range(len(MODES))):
        both = [likelihood(Observation(kind, "x", "s", frozenset("x"), is_bad=bad)) for bad in (True, False)]
        assert sum(np.exp(told.healthy) for told in both) == pytest.approx(1)
        assert sum(np.exp(told.alone[mode]) for told in both) == pytest.approx(1)
        assert sum(np.exp(told.together[mode, 0]) for told in both) == pytest.approx(1)
    losses = [likelihood(loss("a", lost, sent=50)) for lost in range(51)]
    for mode in range(len(MODES)):
        assert sum(np.exp(told.alone[mode]) for told in losses) == pytest.approx(1)
    assert sum(np.exp(told.healthy) for told in losses) == pytest.approx(1)


def test_set_cover_takes_what_explains_most_and_then_what_is_left():
    covers = np.array([[1, 0, 0], [1, 0, 1], [1, 1, 0], [0, 1, 0], [0, 0, 1]], dtype=bool)
    is_symptom = np.array([1, 1, 1, 1, 0], dtype=bool)
    assert greedy_cover(covers, is_symptom, np.ones(3), 0.8) == (0, 1)
    assert greedy_cover(covers, is_symptom, np.array([9.0, 1.0, 1.0]), 0.5) == (1, 2, 0)
    assert greedy_cover(covers, np.zeros(5, dtype=bool), np.ones(3), 0.8) == ()


def test_the_obvious_explains_every_symptom_and_nothing_else_and_is_alone_in_that():
    covers = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1]], dtype=bool)
    assert obvious(covers, np.array([1, 1, 0], dtype=bool)) == 0
    assert obvious(covers, np.array([1, 1, 1], dtype=bool)) is None
    assert obvious(covers[:, [0, 0]], np.array([1, 1, 0], dtype=bool)) is None


@pytest.mark.parametrize(
    "lost,sent,quality,named", [(5, 4, 1.0, "lost 5 of 4"), (0, 0, 1.0, "lost 0 of 0"), (0, 1, 1.5, "quality 1.5")]
)
def test_what_cannot_have_been_observed_is_refused(lost, sent, quality, named):
    with pytest.raises(InvalidInputError, match=named):
        Observation(LOSS, "p", "s", frozenset("a"), sent=sent, lost=lost, quality=quality)
