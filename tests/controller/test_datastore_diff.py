"""The laws of the difference between configurations, and of the paths that they are made of."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.datastore.diff import (
    Change,
    apply,
    describe,
    diff,
    inverse,
    scope_of,
    to_json,
    topmost_deletions,
    within,
)
from controller.model.errors import InvalidInputError
from controller.model.yang_path import Path, Step, format_path, is_within, parse_path
from tests.controller.datastore_samples import TEXT, configs, entry, leaf

NAMES = st.sampled_from(["alpha", "b-2", "_c", "d.e"])
KEYS = st.lists(st.tuples(NAMES | st.just("."), TEXT | st.just("")), max_size=2)
PATHS = st.lists(st.builds(Step, NAMES, NAMES, KEYS.map(tuple)), max_size=4).map(tuple)


@given(configs(), configs())
@settings(max_examples=50)
def test_applying_the_difference_gives_the_other_and_the_inverse_gives_back(
    a: dict[Path, str], b: dict[Path, str]
) -> None:
    edit = diff(a, b)
    assert apply(a, edit) == b
    assert apply(b, inverse(edit)) == a
    assert inverse(edit) == diff(b, a)
    assert inverse(inverse(edit)) == edit


@given(configs())
@settings(max_examples=50)
def test_no_difference_is_no_edit(a: dict[Path, str]) -> None:
    assert diff(a, dict(a)) == ()
    assert scope_of(()) == ()
    assert describe(()) == []


@given(configs(), configs())
@settings(max_examples=50)
def test_children_go_before_what_holds_them_and_come_after_it(a: dict[Path, str], b: dict[Path, str]) -> None:
    seen: set[Path] = set()
    is_setting = False
    for change in diff(a, b):
        if change.new is None:
            assert not is_setting, "a deletion after a setting"
            assert not any(is_within(change.path, gone) for gone in seen), "a child after its parent has gone"
            seen.add(change.path)
        else:
            is_setting = True
            ancestors = [change.path[:length] for length in range(1, len(change.path))]
            assert not {other.path for other in _later(diff(a, b), change)} & set(ancestors)


def _later(edit: tuple[Change, ...], change: Change) -> list[Change]:
    return [other for other in edit[edit.index(change) + 1 :] if other.new is not None]


@given(configs(), configs())
@settings(max_examples=50)
def test_the_topmost_deletions_are_few_and_cover_all(a: dict[Path, str], b: dict[Path, str]) -> None:
    edit = diff(a, b)
    top = topmost_deletions(edit)
    deleted = {change.path for change in edit if change.new is None}
    assert set(top) <= deleted
    assert {path for path in a if any(is_within(path, root) for root in top)} == deleted
    assert not any(is_within(one, other) for one in top for other in top if one != other)
    assert top == sorted(top)


@given(configs(), configs())
@settings(max_examples=50)
def test_the_scope_holds_every_change_and_no_root_twice(a: dict[Path, str], b: dict[Path, str]) -> None:
    edit = diff(a, b)
    scope = scope_of(edit)
    assert all(any(is_within(change.path, root) for root in scope) for change in edit)
    assert not any(is_within(one, other) for one in scope for other in scope if one != other)
    inside = within(a, scope)
    assert inside == {path: value for path, value in a.items() if any(is_within(path, root) for root in scope)}
    assert apply(inside, edit) == within(b, scope)


@given(configs())
@settings(max_examples=50)
def test_a_configuration_survives_being_written_out(a: dict[Path, str]) -> None:
    assert {parse_path(text): value for text, value in to_json(a).items()} == a


def test_a_change_is_described_with_both_its_values() -> None:
    edit = (
        Change(entry("it's"), "", None),
        Change(leaf("small"), "1", "2"),
        Change(leaf("flag"), None, "true"),
        Change(leaf("marker"), None, ""),
    )
    assert describe(edit) == [
        '- /lab-probe:top/entry[name="it\'s"]',
        "+ /lab-probe:top/flag: true",
        "+ /lab-probe:top/marker",
        "~ /lab-probe:top/small: 1 -> 2",
    ]


@given(PATHS)
def test_a_path_reads_back_as_it_was_written(path: Path) -> None:
    assert parse_path(format_path(path)) == path


@given(PATHS, PATHS)
def test_two_paths_are_never_written_alike(one: Path, other: Path) -> None:
    assert (format_path(one) == format_path(other)) == (one == other)


@given(PATHS, PATHS)
def test_a_path_is_within_its_ancestors_only(one: Path, other: Path) -> None:
    assert is_within((*one, *other), one)
    assert is_within(one, ())
    assert is_within(one, (*one, Step("m", "below"))) is False


@pytest.mark.parametrize(
    "text",
    [
        "interfaces",
        "/interfaces",
        "//",
        "/m:",
        "/:a",
        "/m:a/",
        "/m:a:b",
        "/m:a[k=v]",
        "/m:a[k='v]",
        "/m:a[k='v'",
        "/m:a[='v']",
        "/m:a[k='v']x",
        '/m:a[k="v\\',
        "/m:a[",
        "/m:a b/c ",
        "/m:a]",
    ],
)
def test_what_is_not_a_path_is_refused_with_the_place(text: str) -> None:
    with pytest.raises(InvalidInputError, match="character"):
        parse_path(text)
