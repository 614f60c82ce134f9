"""A network is checked whole; the database over it adds up what is reserved and measured."""

from dataclasses import replace

import pytest

from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.network import Link, LinkId, Network, Node, TerminationPoint, TopologyError
from controller.topology.te_database import Measurement, Reservation, TeDatabase
from tests.controller.topology_samples import GIGABIT, drawn

A, B = DeviceName("a"), DeviceName("b")
TRIANGLE = drawn(("a", "b", 1), ("b", "c", 2), ("a", "c", 5))
AB, BC, AC = LinkId("a:core0>b:core0"), LinkId("b:core1>c:core0"), LinkId("a:core1>c:core1")


def link(source: str, target: str, **attributes: object) -> Link:
    points = (TerminationPoint(DeviceName(end.split(":")[0]), end.split(":")[1]) for end in (source, target))
    return replace(Link(*points, BitRate(GIGABIT)), **attributes)


def test_a_network_is_refused_with_all_its_problems_at_once() -> None:
    nodes = [Node(A, termination_points=("core0",)), Node(B)]
    links = [
        link("a:core0", "b:x", delay_seconds=-1.0, capacity=BitRate(0)),
        link("a:core7", "b:y"),
        link("a:core0", "nowhere:z", metric=0, loss_ratio=1.5),
        link("b:q", "b:p", availability=-0.1, admin_group=1 << 32, srlgs=frozenset({-4})),
    ]
    with pytest.raises(TopologyError) as refused:
        Network.of(nodes, links)
    for problem in (
        "'a:core0>b:x' has delay -1.0 s",
        "'a:core0>b:x' has capacity 0 bit/s",
        "'a:core7', which is not a port of 'a'",
        "'nowhere', which is not a node",
        "metric 0",
        "loss ratio 1.5",
        "'b:q>b:p' ends where it begins",
        "availability -0.1",
        "administrative group 0x100000000",
        "negative number",
        "port 'a:core0' carries more than one link",
    ):
        assert problem in refused.value.message


def test_a_delay_that_is_no_number_is_refused() -> None:
    with pytest.raises(TopologyError, match="has delay nan s"):
        Network.of([Node(A), Node(B)], [link("a:x", "b:x", delay_seconds=float("nan"))])


def test_a_name_that_comes_twice_is_refused() -> None:
    with pytest.raises(TopologyError, match="more than once: a, a:x>b:x"):
        Network.of([Node(A), Node(B), Node(A)], [link("a:x", "b:x"), link("a:x", "b:x")])


def test_a_link_listed_under_another_name_is_refused() -> None:
    with pytest.raises(TopologyError, match="link 'a:x>b:x' is listed as 'wire'"):
        Network({A: Node(A), B: Node(B)}, {LinkId("wire"): link("a:x", "b:x")})


def test_links_and_their_way_back_are_found_by_name() -> None:
    assert [one.id for one in TRIANGLE.out_of(A)] == [AB, AC]
    assert TRIANGLE.both_directions([AB]) == {AB, "b:core0>a:core0"}


@pytest.mark.parametrize(
    "lookup", [lambda: TRIANGLE.link(LinkId("a:core0>z:core0")), lambda: TRIANGLE.out_of(DeviceName("z"))]
)
def test_what_is_not_in_the_network_is_named(lookup) -> None:
    with pytest.raises(NotFoundError, match="z"):
        lookup()


def test_a_path_adds_up_its_links() -> None:
    path = TRIANGLE.path([AB, BC])
    assert path.nodes == ("a", "b", "c")
    assert (path.metric, path.delay_seconds) == (3, pytest.approx(0.003))
    assert str(path) == "a > b > c"


def test_a_path_with_a_gap_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"'b:core1>c:core0' does not begin at 'c'"):
        TRIANGLE.path([AC, BC])


def test_reservations_come_off_the_residual_and_back() -> None:
    path = TRIANGLE.path([AB, BC])
    database = TeDatabase(TRIANGLE).with_reservation("red", path, BitRate(3 * GIGABIT))
    database = database.with_reservation("blue", TRIANGLE.path([AB]), BitRate(GIGABIT))
    assert database.residual(AB) == BitRate(6 * GIGABIT)
    assert database.reserved_by(AB) == {"red": BitRate(3 * GIGABIT), "blue": BitRate(GIGABIT)}
    assert database.without_reservation("red").residual(AB) == BitRate(9 * GIGABIT)
    assert database.without_reservation("red").residual(BC) == BitRate(10 * GIGABIT)


def test_a_second_reservation_of_the_same_tunnel_takes_the_place_of_the_first() -> None:
    database = TeDatabase(TRIANGLE).with_reservation("red", TRIANGLE.path([AB]), BitRate(3 * GIGABIT))
    database = database.with_reservation("red", TRIANGLE.path([AC]), BitRate(GIGABIT))
    assert database.reserved(AB) == BitRate(0)
    assert database.reserved(AC) == BitRate(GIGABIT)


def test_a_database_made_whole_equals_one_made_by_steps() -> None:
    steps = TeDatabase(TRIANGLE).with_reservation("red", TRIANGLE.path([AB, BC]), BitRate(5))
    steps = steps.with_measured(AB, delay_seconds=0.25).with_link_state([AC], is_up=False)
    whole = TeDatabase(
        TRIANGLE, {"red": Reservation((AB, BC), BitRate(5))}, {AB: Measurement(delay_seconds=0.25)}, {AC: False}
    )
    assert steps == whole
    assert steps.reserved_rates == whole.reserved_rates
    assert steps.delays_nanoseconds == whole.delays_nanoseconds
    assert steps.states == whole.states


def test_what_was_measured_stands_before_what_was_given() -> None:
    database = TeDatabase(TRIANGLE).with_measured(AB, delay_seconds=0.02, load=BitRate(7))
    database = database.with_measured(AB, loss_ratio=0.5)
    assert database.delay_seconds(AB) == pytest.approx(0.02)
    assert database.loss_ratio(AB) == pytest.approx(0.5)
    assert (database.load(AB), database.load(BC)) == (BitRate(7), BitRate(0))
    assert database.path_delay_seconds(TRIANGLE.path([AB, BC])) == pytest.approx(0.022)


def test_an_update_leaves_the_database_it_was_made_from_alone() -> None:
    before = TeDatabase(TRIANGLE)
    before.with_link_state([AB], is_up=False)
    assert before.is_up(AB)


@pytest.mark.parametrize("seen", [{"load": BitRate(-1)}, {"delay_seconds": -0.1}, {"loss_ratio": 2.0}])
def test_an_impossible_measurement_is_refused(seen: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match=AB):
        TeDatabase(TRIANGLE).with_measured(AB, **seen)


@pytest.mark.parametrize(
    "update",
    [
        lambda database: database.with_link_state([LinkId("a:core9>b:core9")], is_up=False),
        lambda database: database.with_measured(LinkId("a:core9>b:core9"), load=BitRate(1)),
        lambda database: database.residual(LinkId("a:core9>b:core9")),
        lambda database: database.without_reservation("a:core9>b:core9"),
    ],
)
def test_the_database_names_what_is_not_there(update) -> None:
    with pytest.raises(NotFoundError, match="a:core9>b:core9"):
        update(TeDatabase(TRIANGLE))


def test_a_negative_reservation_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="'red' cannot reserve -1 bit/s"):
        TeDatabase(TRIANGLE).with_reservation("red", TRIANGLE.path([AB]), BitRate(-1))
