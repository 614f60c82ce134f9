"""Identifier pools: the lowest free number, stable, returned, and never twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.mapping.identifiers import IdentifierDraft, IdentifierPools
from controller.model.errors import BusyError


def commit(draft: IdentifierDraft) -> None:
    draft.pools.apply(
        [(*key, number) for key, number in draft.allocated.items()],
        [(*key, number) for key, number in draft.returned.items()],
    )


def test_a_key_keeps_its_number_and_others_get_the_lowest_free_one() -> None:
    pools = IdentifierPools()
    draft = IdentifierDraft(pools)
    assert [draft.number("vlan/r/p", key) for key in ("a", "b", "a", "c")] == [2, 3, 2, 4]
    commit(draft)
    draft = IdentifierDraft(pools)
    draft.release("vlan/r/p", "b")
    assert draft.number("vlan/r/p", "d") == 5
    commit(draft)
    assert IdentifierDraft(pools).number("vlan/r/p", "e") == 3


def test_what_is_returned_in_a_change_is_not_given_out_in_the_same_one() -> None:
    pools = IdentifierPools()
    first = IdentifierDraft(pools)
    first.number("rd", "a")
    commit(first)
    draft = IdentifierDraft(pools)
    draft.release("rd", "a")
    assert draft.number("rd", "b") == 2


def test_a_draft_changes_nothing_until_it_is_applied() -> None:
    pools = IdentifierPools()
    IdentifierDraft(pools).number("rd", "a")
    assert pools.pools == {}


def test_an_exhausted_pool_is_refused_by_name() -> None:
    pools = IdentifierPools()
    draft = IdentifierDraft(pools)
    for key in range(4093):
        draft.number("vlan/r/p", str(key))
    assert not draft.has_free("vlan/r/p")
    with pytest.raises(BusyError, match="'vlan/r/p' is exhausted"):
        draft.number("vlan/r/p", "one more")


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=40))
def test_numbers_are_the_lowest_free_ones_after_any_history(history: list[tuple[str, bool]]) -> None:
    pools, held = IdentifierPools(), {}
    for key, takes in history:
        draft = IdentifierDraft(pools)
        if takes:
            number = draft.number("rd", key)
            free = min(set(range(1, 50)) - set(held.values()))
            assert number == held.get(key, free)
            held[key] = number
        else:
            draft.release("rd", key)
            held.pop(key, None)
        commit(draft)
    assert pools.pools == {} if not held else pools.pools["rd"].taken == held
