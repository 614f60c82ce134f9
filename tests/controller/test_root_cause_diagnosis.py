"""Diagnoses: incidents told apart by time, causes ranked, and silence where nothing is known well enough."""

from dataclasses import replace

import pytest

from bench.localise import Tally, calibration_error
from bench.localise_calibration import isotonic
from bench.localise_scenarios import KINDS, SENSORS, ground, scenario
from controller.assurance.root_cause import localise
from controller.assurance.root_cause_calibration import CALIBRATION, calibrated
from controller.assurance.root_cause_groups import RiskKind, risk_groups
from controller.assurance.root_cause_observations import Observation, ObservationKind, path_elements
from controller.assurance.root_cause_time import incidents
from controller.topology.network import Link, LinkId, Network
from tests.controller.topology_samples import drawn

CHAIN = drawn(("a", "b", 1), ("b", "c", 1), ("c", "d", 1), ("a", "d", 9), ("b", "d", 9))
AB, BC, CD = LinkId("a:core0>b:core0"), LinkId("b:core1>c:core0"), LinkId("c:core1>d:core0")
GROUPS = risk_groups(CHAIN)


def loss(name, links, lost, network=CHAIN, time=None):
    path = network.path(links)
    return Observation(
        ObservationKind.LOSS, name, path.nodes[0], path_elements([path]), sent=1000, lost=lost, time=time
    )


def back(link_id):
    return CHAIN.link(link_id).reverse_id


GOOD = [
    loss("c-d", [CD], 0),
    loss("d-c", [back(CD)], 0),
    loss("a-b", [AB], 0),
    loss("b-a", [back(AB)], 0),
    loss("a-d", [LinkId("a:core1>d:core1")], 0),
    loss("b-d", [LinkId("b:core2>d:core2")], 0),
]


def test_loss_on_every_path_over_a_link_and_on_no_other_is_that_link():
    lossy = [loss("a-c", [AB, BC], 24), loss("d-b", [back(CD), back(BC)], 21)]
    (diagnosis,) = localise(GROUPS, [*GOOD, *lossy])
    assert [str(cause) for cause in diagnosis.known] == [f"link {BC}"]
    assert diagnosis.known[0].mode == "loses 2.5 %"
    assert set(diagnosis.known[0].explains) == {"a-c: 24 of 1000 lost", "d-b: 21 of 1000 lost"}
    assert diagnosis.reason == f"the cause is link {BC}"
    assert not diagnosis.unexplained


def test_loss_in_one_direction_is_told_with_the_direction():
    lossy = [loss("a-c", [AB, BC], 24), loss("b-c", [BC], 21)]
    (diagnosis,) = localise(GROUPS, [*GOOD, *lossy, loss("d-b", [back(CD), back(BC)], 0), loss("c-b", [back(BC)], 0)])
    assert [(str(cause), cause.direction) for cause in diagnosis.known] == [(f"link {BC}", BC)]


def test_what_cannot_be_told_apart_is_not_chosen_between():
    (diagnosis,) = localise(GROUPS, [loss("a-c", [AB, BC], 1000), loss("b-d", [LinkId("b:core2>d:core2")], 0)])
    assert diagnosis.abstains
    assert diagnosis.reason.startswith("no cause known: ")
    assert f"link {BC}" in {str(cause) for cause in diagnosis.causes}
    first = next(cause for cause in diagnosis.causes if cause.name == BC)
    assert f"link {AB}" not in {str(cause) for cause in diagnosis.known} or first.alike


def test_causes_that_the_same_observations_speak_for_are_named_as_alike():
    shared = frozenset({7})
    links = [replace(link, srlgs=shared) if AB in {link.id, link.reverse_id} else link for link in CHAIN.links.values()]
    network = Network.of(CHAIN.nodes.values(), links)
    (diagnosis,) = localise(risk_groups(network), [*GOOD[:2], loss("a-b", [AB], 1000), loss("b-a", [back(AB)], 1000)])
    cause = next(cause for cause in diagnosis.causes if cause.kind is RiskKind.SRLG)
    assert cause.name == "7"
    assert f"link {AB}" in cause.alike


def test_a_higher_threshold_makes_a_suspicion_of_a_cause():
    lossy = [*GOOD, loss("a-c", [AB, BC], 24), loss("d-b", [back(CD), back(BC)], 21)]
    (sure,), (doubting,) = localise(GROUPS, lossy), localise(GROUPS, lossy, threshold=1.0)
    assert sure.causes == doubting.causes
    assert doubting.known == tuple(cause for cause in sure.causes if cause.confidence == 1.0)


def test_where_nothing_is_wrong_there_is_nothing_to_diagnose():
    assert localise(GROUPS, GOOD) == ()
    assert localise(GROUPS, []) == ()


def test_one_path_that_lost_little_while_those_over_its_links_lost_nothing_has_no_known_cause():
    (diagnosis,) = localise(GROUPS, [*GOOD, loss("b-c", [BC], 0), loss("a-c", [AB, BC], 9)])
    assert diagnosis.abstains


def test_symptoms_far_apart_in_time_are_two_incidents_with_a_cause_each():
    first = [loss("a-b", [AB], 1000, time=100.0), loss("b-a", [back(AB)], 1000, time=110.0)]
    second = [loss("c-d", [CD], 1000, time=900.0), loss("d-c", [back(CD)], 1000, time=905.0)]
    up = [loss("b-c", [BC], 0), loss("c-b", [back(BC)], 0), *GOOD[-2:]]
    found = localise(GROUPS, [*second, *first, *up])
    assert [(one.start, one.end) for one in found] == [(100.0, 110.0), (900.0, 905.0)]
    assert [[str(cause) for cause in one.known] for one in found] == [[f"link {AB}"], [f"link {CD}"]]
    together = localise(GROUPS, [*second, *first, *up], gap_seconds=1000.0)
    assert [{str(cause) for cause in one.known} for one in together] == [{f"link {AB}", f"link {CD}"}]


def test_a_symptom_that_goes_on_belongs_to_the_incident_in_which_it_began():
    lasting = [loss("a-b", [AB], 1000, time=time) for time in range(100, 1000, 10)]
    later = loss("c-d", [CD], 1000, time=900.0)
    before = loss("c-d", [CD], 0, time=80.0)
    one, other = incidents([*lasting, before, later], 60.0)
    assert {(each.subject, each.lost, each.time) for each in one.observations} == {("a-b", 1000, 100), ("c-d", 0, 80.0)}
    assert [each.subject for each in other.observations] == ["c-d"]


def test_a_line_card_takes_its_links_and_not_its_node():
    cards = {"b/1": [LinkId(AB), LinkId(BC)]}
    groups = risk_groups(CHAIN, cards)
    lost = [
        loss("a-b", [AB], 1000),
        loss("b-a", [back(AB)], 1000),
        loss("b-c", [BC], 1000),
        loss("c-b", [back(BC)], 1000),
    ]
    (diagnosis,) = localise(groups, [*GOOD[:2], *GOOD[4:], *lost, loss("d-b", [LinkId("d:core2>b:core2")], 0)])
    assert [str(cause) for cause in diagnosis.known] == ["line-card b/1"]


def test_a_wire_of_one_direction_is_one_group():
    link = CHAIN.links[AB]
    alone = Network.of([CHAIN.nodes[link.source.node], CHAIN.nodes[link.target.node]], [link])
    assert [str(group) for group in risk_groups(alone)] == [f"link {AB}", "node a", "node b"]
    assert isinstance(link, Link)


def test_confidence_rises_with_the_posterior_and_is_a_probability():
    shares = [calibrated(step / 100) for step in range(101)]
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1
    assert [list(side) for side in zip(*CALIBRATION, strict=True)] == [
        sorted(side) for side in zip(*CALIBRATION, strict=True)
    ]


def test_isotonic_regression_pools_what_contradicts_the_order():
    told = [(0.1, False)] * 30 + [(0.3, True)] * 30 + [(0.5, False)] * 30 + [(0.9, True)] * 30
    assert isotonic(told) == [
        (pytest.approx(0.1), 0.0),
        (pytest.approx(0.4), pytest.approx(0.5)),
        (pytest.approx(0.9), pytest.approx(1.0)),
    ]


def test_the_tally_of_the_bench_counts_an_abstention_as_missed():
    tally = Tally()
    tally.count(frozenset({("link", "x")}), frozenset({("link", "x")}))
    tally.count(frozenset(), frozenset({("link", "y")}))
    assert (tally.f1, tally.answered_f1, tally.silent) == (pytest.approx(2 / 3), 1.0, 1)
    assert calibration_error([(0.9, True)] * 9 + [(0.9, False)]) == pytest.approx(0.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sensors", SENSORS)
def test_drawn_faults_are_found(kind, sensors):
    tally = Tally()
    for seed in range(6):
        case = scenario(ground("sndlib/abilene"), kind, sensors, f"test-{seed}")
        assert case == scenario(ground("sndlib/abilene"), kind, sensors, f"test-{seed}")
        found = localise(case.ground.groups, case.observations)
        tally.count(frozenset((cause.kind, cause.name) for one in found for cause in one.known), case.truth)
    assert tally.answered_f1 >= 0.6
