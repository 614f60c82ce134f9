"""A device's configuration, indexed: the same as a plain mapping, whatever is done to it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.datastore.config_tree import ConfigTree
from controller.datastore.diff import apply, diff
from controller.model.yang_path import Path, is_within
from tests.controller.datastore_samples import TOP, configs, entry, leaf

ROOTS = st.sampled_from([(), (TOP,), leaf("feature"), entry("a"), leaf("small"), leaf("no-such")])


def below(plain: dict[Path, str], root: Path) -> dict[Path, str]:
    return {path: value for path, value in plain.items() if is_within(path, root)}


STEPS = st.lists(
    st.tuples(st.just("edit"), st.just([]), configs())
    | st.tuples(st.just("replace"), st.lists(ROOTS, max_size=3), configs())
    | st.tuples(st.just("remove what may be gone already"), st.just([]), configs()),
    max_size=6,
)


@given(configs(), STEPS)
@settings(max_examples=50)
def test_a_tree_is_what_a_dict_is_after_the_same_changes(
    start: dict[Path, str], steps: list[tuple[str, list[Path], dict[Path, str]]]
) -> None:
    tree, plain = ConfigTree(start), dict(start)
    for step, roots, lines in steps:
        if step == "replace":
            tree.replace(roots, lines)
            plain = {path: value for path, value in plain.items() if not any(is_within(path, root) for root in roots)}
            plain |= lines
        else:
            edit = diff(plain, lines) if step == "edit" else diff(lines, {})
            tree.apply(edit)
            plain = apply(plain, edit)
        assert dict(tree) == plain
        assert len(tree) == len(plain)
        for root in ((), (TOP,), leaf("feature"), entry("a")):
            assert tree.below(root) == sorted(below(plain, root))


@given(configs(), st.lists(ROOTS, max_size=3))
@settings(max_examples=50)
def test_what_is_within_some_roots_is_what_a_search_of_everything_finds(a: dict[Path, str], roots: list[Path]) -> None:
    expected = {path: value for path, value in a.items() if any(is_within(path, root) for root in roots)}
    assert ConfigTree(a).within(roots) == expected


def test_a_tree_does_not_change_what_it_was_made_of() -> None:
    start = {leaf("small"): "1"}
    tree = ConfigTree(start)
    tree.replace([()], {})
    assert start == {leaf("small"): "1"}
    assert not tree
    assert tree.get(leaf("small")) is None
    assert dict(ConfigTree()) == {}


def test_a_tree_tells_which_paths_were_touched_since_a_revision() -> None:
    tree = ConfigTree({leaf("feature"): "on"})
    revision = tree.revision
    tree.replace((), {leaf("small"): "1"})
    tree.apply(diff({leaf("feature"): "on"}, {}))
    assert tree.touched_since(revision) == [leaf("small"), leaf("feature")]
    assert tree.touched_since(tree.revision) == []


def test_a_tree_says_so_when_a_revision_is_too_long_ago() -> None:
    tree = ConfigTree()
    revision = tree.revision
    for number in range(5000):
        tree.replace((), {leaf("small"): str(number)})
    assert tree.touched_since(revision) is None
    assert tree.touched_since(tree.revision - 10) == [leaf("small")] * 10
