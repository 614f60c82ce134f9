"""Health scores and the assurance graph: from a symptom to the services it reaches, and back."""

import pytest

from controller.assurance.impact import (
    AssuranceGraph,
    Carriage,
    Dependency,
    DependencyKind,
    Impact,
    assurance_graph,
    subjects_of,
)
from controller.assurance.root_cause_groups import RiskKind, risk_groups
from controller.assurance.symptoms import Symptom, health_score
from controller.model.errors import InvalidInputError, NotFoundError
from controller.topology.network import LinkId
from tests.controller.topology_samples import drawn

SQUARE = drawn(("a", "b", 1), ("b", "d", 1), ("a", "c", 2), ("c", "d", 2))
UPPER = SQUARE.path([LinkId("a:core0>b:core0"), LinkId("b:core1>d:core0")])
LOWER = SQUARE.path([LinkId("a:core1>c:core0"), LinkId("c:core1>d:core1")])
GRAPH = assurance_graph(
    SQUARE, {"vpn-1": Carriage((UPPER,), (LOWER,)), "vpn-2": Carriage((LOWER,)), "vpn-3": Carriage((UPPER, LOWER))}
)
INFORMATIONAL = DependencyKind.INFORMATIONAL


def symptom(subject, weight=100, start=0.0, end=None):
    return Symptom(f"{subject}-{weight}", subject, "loss", start, end, weight)


def test_what_fails_hits_the_services_on_it_and_warns_those_that_have_it_in_reserve():
    assert GRAPH.impacts(["node/c"]) == (Impact("vpn-1", False), Impact("vpn-2", True), Impact("vpn-3", True))
    assert GRAPH.impacts(["node/a"]) == (Impact("vpn-1", True), Impact("vpn-2", True), Impact("vpn-3", True))
    assert GRAPH.impacts(["link/a:core0>b:core0"]) == (Impact("vpn-1", True), Impact("vpn-3", True))


def test_a_link_that_carries_nothing_reaches_no_service():
    assert assurance_graph(SQUARE, {"vpn-1": Carriage((UPPER,))}).impacts(["node/c"]) == ()


def test_a_risk_group_is_asked_about_by_its_elements():
    node_c = next(group for group in risk_groups(SQUARE) if (group.kind, group.name) == (RiskKind.NODE, "c"))
    assert subjects_of(SQUARE, node_c.elements) == {"node/c", "link/a:core1>c:core0", "link/c:core1>d:core1"}


def test_a_service_is_told_its_own_symptoms_and_those_below_it_heaviest_first():
    light, heavy, other = symptom("vpn-2", 10), symptom("node/c", 60), symptom("node/b", 90)
    assert GRAPH.symptoms_of("vpn-2", [light, heavy, other]) == (heavy, light)


def test_health_passes_up_along_impacting_dependencies_only():
    health = GRAPH.health([symptom("node/c", 60), symptom("vpn-2", 10)], at=1.0)
    assert (health["node/c"], health["vpn-1"], health["vpn-2"], health["vpn-3"]) == (40, 100, 40, 40)


def test_health_passes_through_what_lies_between():
    graph = AssuranceGraph({"s": (Dependency("t"),), "t": (Dependency("l"),), "l": ()})
    assert graph.health([symptom("l", 30)], at=0.0) == {"s": 70, "t": 70, "l": 70}


def test_a_hit_by_one_way_is_a_hit_whatever_the_other_ways():
    graph = AssuranceGraph(
        {
            "s": (Dependency("x", INFORMATIONAL), Dependency("y")),
            "x": (Dependency("l"),),
            "y": (Dependency("l"),),
            "l": (),
        }
    )
    assert graph.impacts(["l"]) == (Impact("s", True),)


def test_symptoms_take_their_share_of_what_is_left_while_they_last():
    both = [symptom("l", 50), symptom("l", 20, start=10.0, end=20.0)]
    assert [health_score(both, at) for at in (-1.0, 0.0, 10.0, 20.0)] == [100, 50, 40, 50]
    assert health_score([symptom("l"), symptom("l", 50)], 0.0) == 0


def test_what_is_wrong_with_a_graph_or_a_symptom_is_named():
    with pytest.raises(InvalidInputError, match="'s' depends on 'l', which is not"):
        AssuranceGraph({"s": (Dependency("l"),)})
    with pytest.raises(InvalidInputError, match="circle of dependencies"):
        AssuranceGraph({"s": (Dependency("t"),), "t": (Dependency("s"),)})
    with pytest.raises(NotFoundError, match="no 'node/z'"):
        GRAPH.impacts(["node/z"])
    with pytest.raises(NotFoundError, match="no 'vpn-9'"):
        GRAPH.symptoms_of("vpn-9", [])
    with pytest.raises(InvalidInputError, match="weighs 101"):
        symptom("l", 101)
    with pytest.raises(InvalidInputError, match="before it starts"):
        symptom("l", start=2.0, end=1.0)
