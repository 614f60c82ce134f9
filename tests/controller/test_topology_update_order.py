"""The order of updates never overfills a link: every state in between is replayed by an oracle."""

import random
from collections import Counter
from itertools import permutations

import pytest

from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.network import LinkId, Network, Path
from controller.topology.paths import PathRequest, k_shortest
from controller.topology.te_database import TeDatabase
from controller.topology.update_order import Action, Move, Step, order_updates
from tests.controller.topology_samples import GIGABIT, a_hundred, drawn, plain

A, D = DeviceName("a"), DeviceName("d")
# Two ways from a to d; both carry 10 Gbit/s.
SQUARE = drawn(("a", "b", 1), ("b", "d", 1), ("a", "c", 1), ("c", "d", 1))
UPPER = SQUARE.path([LinkId("a:core0>b:core0"), LinkId("b:core1>d:core0")])
LOWER = SQUARE.path([LinkId("a:core1>c:core0"), LinkId("c:core1>d:core1")])


def gigabits(count: float) -> BitRate:
    return BitRate(round(count * GIGABIT))


def before(network: Network, moves: list[Move]) -> TeDatabase:
    database = TeDatabase(network)
    for move in moves:
        if move.old:
            database = database.with_reservation(move.name, move.old, move.bit_rate)
    return database


def replayed(network: Network, moves: list[Move], steps: tuple[Step, ...]) -> dict[str, tuple[Path | None, int]]:
    """Go through every state, the worst of each step included; where each tunnel is at the end, and its rate."""
    by_name = {move.name: move for move in moves}
    now = {move.name: ([move.old] if move.old else [], move.bit_rate.bits_per_second) for move in moves}
    start = loads(now)
    allowed = {key: max(start[key], link.capacity.bits_per_second) for key, link in network.links.items()}

    def check(state: dict[str, tuple[list[Path], int]]) -> None:
        assert all(load <= allowed[key] for key, load in loads(state).items())

    for step in steps:
        during = dict(now)
        for name, rate in step.rates.items():
            paths, before_rate = now[name]
            move = by_name[name]
            if step.action is Action.MOVE:
                assert rate.bits_per_second == before_rate, "a move changes no rate"
                during[name] = ([path for path in (move.old, move.new) if path], before_rate)
                now[name] = ([move.new] if move.new else [], before_rate)
            else:
                assert (rate.bits_per_second < before_rate) == (step.action is Action.THROTTLE)
                during[name] = (paths, max(before_rate, rate.bits_per_second))
                now[name] = (paths, rate.bits_per_second)
        if step.action is not Action.THROTTLE:
            check(during)
        check(now)
    return {name: (paths[0] if paths else None, rate) for name, (paths, rate) in now.items()}


def loads(state: dict[str, tuple[list[Path], int]]) -> Counter[LinkId]:
    carried: Counter[LinkId] = Counter()
    for paths, rate in state.values():
        for link_id in {link_id for path in paths for link_id in path.link_ids}:
            carried[link_id] += rate
    return carried


def wanted(moves: list[Move]) -> dict[str, tuple[Path | None, int]]:
    return {move.name: (move.new, move.bit_rate.bits_per_second) for move in moves}


def throttles(steps: tuple[Step, ...]) -> int:
    return sum(step.action is Action.THROTTLE for step in steps)


def ordered(network: Network, moves: list[Move]) -> tuple[Step, ...]:
    steps = order_updates(before(network, moves), moves)
    assert replayed(network, moves, steps) == wanted(moves)
    return steps


def test_moves_that_do_not_meet_are_one_step() -> None:
    moves = [Move("one", UPPER, LOWER, gigabits(3)), Move("two", UPPER, LOWER, gigabits(4))]
    assert ordered(SQUARE, moves) == (Step(Action.MOVE, {"one": gigabits(3), "two": gigabits(4)}),)


def test_a_move_waits_for_the_one_that_makes_room() -> None:
    moves = [Move("enters", None, LOWER, gigabits(7)), Move("leaves", LOWER, UPPER, gigabits(6))]
    assert [set(step.rates) for step in ordered(SQUARE, moves)] == [{"leaves"}, {"enters"}]


def test_a_shared_link_is_counted_once() -> None:
    longer = drawn(("a", "b", 1), ("b", "d", 1), ("b", "c", 1), ("c", "d", 1))
    direct = longer.path([LinkId("a:core0>b:core0"), LinkId("b:core1>d:core0")])
    round_about = longer.path([LinkId("a:core0>b:core0"), LinkId("b:core2>c:core0"), LinkId("c:core1>d:core1")])
    assert len(ordered(longer, [Move("only", direct, round_about, gigabits(9))])) == 1


def test_of_two_that_change_places_without_room_one_is_throttled_to_the_room_there_is() -> None:
    moves = [Move("large", UPPER, LOWER, gigabits(8)), Move("small", LOWER, UPPER, gigabits(7))]
    steps = ordered(SQUARE, moves)
    assert [(step.action, dict(step.rates)) for step in steps] == [
        (Action.THROTTLE, {"large": gigabits(3)}),
        (Action.MOVE, {"large": gigabits(3)}),
        (Action.MOVE, {"small": gigabits(7)}),
        (Action.RESTORE, {"large": gigabits(8)}),
    ]


def test_what_was_overfull_to_begin_with_may_be_emptied() -> None:
    moves = [Move("one", UPPER, LOWER, gigabits(8)), Move("two", UPPER, UPPER, gigabits(8))]
    assert throttles(ordered(SQUARE, moves)) == 0


def test_an_end_that_cannot_be_is_refused_with_the_link() -> None:
    moves = [Move("one", UPPER, LOWER, gigabits(6)), Move("two", UPPER, LOWER, gigabits(6))]
    with pytest.raises(InvalidInputError, match=r"a:core1>c:core0 \(12 Gbit/s of 10 Gbit/s\)"):
        order_updates(TeDatabase(SQUARE), moves)


def test_two_moves_of_one_tunnel_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="same name"):
        order_updates(TeDatabase(SQUARE), [Move("one", UPPER, LOWER, gigabits(1))] * 2)


def test_no_moves_are_no_steps() -> None:
    assert order_updates(TeDatabase(SQUARE), []) == ()


def drawn_moves(network: Network, draw: random.Random, count: int) -> list[Move]:
    """Moves between random paths, as many as fit: the start and the end both do."""
    moves: list[Move] = []
    old, new = TeDatabase(network), TeDatabase(network)
    for number in range(count):
        paths = k_shortest(old, PathRequest(*draw.sample(sorted(network.nodes), 2)), 4)
        first, last = draw.choice(paths), draw.choice(paths)
        rate = gigabits(draw.randint(2, 8))
        fits = all(old.residual(link) >= rate for link in first.link_ids)
        if fits and all(new.residual(link) >= rate for link in last.link_ids):
            moves.append(Move(f"t{number}", first, last, rate))
            old = old.with_reservation(f"t{number}", first, rate)
            new = new.with_reservation(f"t{number}", last, rate)
    return moves


def ten_gigabits(network: Network) -> Network:
    ends = {tuple(sorted((link.source.node, link.target.node))) for link in network.links.values()}
    return drawn(*((one, other, 1) for one, other in sorted(ends)))


@pytest.mark.parametrize("name", a_hundred())
def test_every_state_in_between_fits_on_published_networks(name: str) -> None:
    network = ten_gigabits(plain(name))
    moves = drawn_moves(network, random.Random(name), 60)
    assert len(moves) > 3
    ordered(network, moves)


def one_by_one_fits(network: Network, moves: tuple[Move, ...]) -> bool:
    steps = tuple(Step(Action.MOVE, {move.name: move.bit_rate}) for move in moves)
    try:
        replayed(network, list(moves), steps)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("seed", range(40))
def test_nobody_is_throttled_where_some_order_does_without(seed: int) -> None:
    draw = random.Random(seed)
    network = drawn(("a", "b", 1), ("b", "d", 1), ("a", "c", 1), ("c", "d", 1), ("b", "c", 1))
    moves = drawn_moves(network, draw, 14)[:6]
    possible = any(one_by_one_fits(network, order) for order in permutations(moves))
    assert (throttles(ordered(network, moves)) == 0) == possible
