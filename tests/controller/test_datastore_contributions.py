"""Ownership of lines: what holds depends on who wants what, never on the order in which they came."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from controller.datastore.contributions import Contributions, Delta, by_rank, is_conflict, merge_deltas, rank, resolve
from controller.model.identifiers import Owner
from controller.model.yang_path import Path
from tests.controller.datastore_samples import entry, leaf

A, B = Owner("l3vpn:a/node/r1/a"), Owner("l3vpn:b/node/r1/b")
OOB, ADOPTED = Owner("oob@r1"), Owner("device:r1/adopted")
OWNERS = st.sampled_from([A, B, OOB, ADOPTED])
PATHS = st.sampled_from([leaf("small"), leaf("big"), entry("x"), leaf("extra", module="lab-probe-extra")])
VALUES = st.sampled_from(["1", "2", "3"])
WISHES = st.dictionaries(OWNERS, VALUES, max_size=4)
LINES = st.dictionaries(PATHS, VALUES, max_size=4)
STEPS = st.lists(st.tuples(OWNERS, LINES), max_size=8)


def settled(*steps: tuple[Owner, dict[Path, str]]) -> Contributions:
    contributions = Contributions()
    for owner, lines in steps:
        contributions.apply(contributions.replace_owner(owner, lines))
    return contributions


def held(contributions: Contributions) -> dict[Path, str | None]:
    return {path: resolve(wishes) for path, wishes in contributions.by_path.items()}


@given(st.dictionaries(OWNERS, LINES, max_size=4))
def test_any_order_of_arrival_gives_the_same(wanted: dict[Owner, dict[Path, str]]) -> None:
    outcomes = [settled(*order) for order in permutations(wanted.items())]
    assert all(held(outcome) == held(outcomes[0]) for outcome in outcomes)
    assert all(outcome.by_path == outcomes[0].by_path for outcome in outcomes)
    assert all(outcome.by_owner == outcomes[0].by_owner for outcome in outcomes)


@given(STEPS)
def test_history_leaves_no_trace_only_the_last_wish_of_each_owner_counts(
    steps: list[tuple[Owner, dict[Path, str]]],
) -> None:
    assert settled(*steps) == settled(*dict(steps).items())


@given(STEPS, OWNERS)
def test_an_owner_that_comes_and_leaves_changes_nothing(
    steps: list[tuple[Owner, dict[Path, str]]], guest: Owner
) -> None:
    before = settled(*[step for step in steps if step[0] != guest])
    after = settled(*[step for step in steps if step[0] != guest], (guest, {leaf("small"): "9"}), (guest, {}))
    assert after == before
    assert guest not in set(after.owners())


@given(STEPS, OWNERS, LINES)
def test_a_delta_tells_beforehand_what_it_will_make_of_each_path(
    steps: list[tuple[Owner, dict[Path, str]]], owner: Owner, lines: dict[Path, str]
) -> None:
    contributions = settled(*steps)
    delta = contributions.replace_owner(owner, lines)
    foreseen = contributions.wishes_after(delta)
    assert contributions == settled(*steps), "looking ahead changes nothing"
    contributions.apply(delta)
    assert {path: dict(contributions.at(path)) for path in delta.paths()} == foreseen
    assert contributions.of(owner) == lines
    assert not contributions.replace_owner(owner, lines), "what is wanted already is no delta"


@given(STEPS, LINES, LINES)
def test_deltas_of_different_owners_can_be_merged(
    steps: list[tuple[Owner, dict[Path, str]]], of_a: dict[Path, str], of_b: dict[Path, str]
) -> None:
    one, other = settled(*steps), settled(*steps)
    deltas = [one.replace_owner(A, of_a), one.replace_owner(B, of_b)]
    other.apply(merge_deltas(deltas))
    for delta in reversed(deltas):
        one.apply(delta)
    assert one == other


@given(WISHES)
def test_the_best_rank_holds_and_only_its_own_disagreement_is_a_conflict(wishes: dict[Owner, str]) -> None:
    best = min(map(rank, wishes), default=None)
    equals = {owner: value for owner, value in wishes.items() if rank(owner) == best}
    assert resolve(wishes) == (equals[min(equals)] if equals else None)
    assert is_conflict(wishes) == (len(set(equals.values())) > 1)
    assert sorted(by_rank(wishes)) == sorted(wishes)
    assert not wishes or resolve(wishes) == wishes[by_rank(wishes)[0]]


def test_the_outcome_of_a_conflict_is_the_smallest_name_and_the_loser_returns_when_it_leaves() -> None:
    contributions = settled((B, {leaf("small"): "2"}), (A, {leaf("small"): "1"}))
    assert is_conflict(contributions.at(leaf("small")))
    assert resolve(contributions.at(leaf("small"))) == "1"
    contributions.apply(contributions.replace_owner(A, {}))
    assert resolve(contributions.at(leaf("small"))) == "2"
    assert not is_conflict(contributions.at(leaf("small")))
    contributions.apply(contributions.replace_owner(B, {}))
    assert contributions == Contributions()


def test_a_service_outranks_what_was_accepted_and_that_outranks_what_was_adopted() -> None:
    wishes = {ADOPTED: "3", OOB: "2", B: "1"}
    assert resolve(wishes) == "1"
    assert not is_conflict(wishes), "being outranked is no conflict"
    assert resolve({ADOPTED: "3", OOB: "2"}) == "2"
    assert resolve({ADOPTED: "3"}) == "3"
    assert resolve({}) is None


def test_a_wish_in_the_same_delta_as_its_withdrawal_holds() -> None:
    contributions = settled((A, {leaf("small"): "1"}))
    delta = Delta(wanted=((leaf("small"), A, "2"),), withdrawn=((leaf("small"), A), (leaf("big"), B)))
    assert contributions.wishes_after(delta) == {leaf("small"): {A: "2"}, leaf("big"): {}}
    contributions.apply(delta)
    assert contributions == settled((A, {leaf("small"): "2"}))
    assert delta.paths() == {leaf("small"), leaf("big")}
    assert not Delta()
