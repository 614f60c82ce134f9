"""YAML that people, or attackers, write: bombs, depth, repeated and odd keys; and what of aliases is good."""

from pathlib import Path

import pytest

from controller.adapters.yaml_files import parse_mapping, read_mapping
from controller.model.errors import InvalidInputError, NotFoundError

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text, words",
    [
        (BOMB, "its aliases stand for too much"),
        ("a: &a [*a]\n", "an alias stands within its own anchor"),
        ("a: &a {b: *a}\n", "an alias stands within its own anchor"),
        ("a: " + "[" * 200_000 + "]" * 200_000, "nests too deeply"),
        ("- " * 200_000 + "a", "nests too deeply"),
        ("a: 1\na: 2\n", "line 2: the key 'a' occurs twice"),
        ("? [a, b]\n: c\n", "found unhashable key"),
        ("? {a: b}\n: c\n", "found unhashable key"),
        ("a: b\n---\nc: d\n", "but found another document"),
        ("a: !!python/object/apply:os.system [id]\n", "could not determine a constructor"),
        ("a: [\n", "line 2"),
        ("1: a\n", "must hold a mapping with names as keys"),
        ("- a\n", "must hold a mapping with names as keys"),
        ("a: \0b\n", "is not good YAML"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_reason(text: str, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_mapping(text, "file.yaml")
    assert words in str(caught.value)
    assert "file.yaml" in str(caught.value)


def test_aliases_and_merges_as_people_use_them_are_taken() -> None:
    text = "base: &base {role: pe, ports: [a, b]}\nhosts:\n" + "".join(f"  r{n}: {{<<: *base}}\n" for n in range(2_000))
    document = parse_mapping(text, "file.yaml")
    assert document["hosts"]["r1999"] == {"role": "pe", "ports": ["a", "b"]}


def test_a_file_that_is_empty_missing_or_no_text(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_mapping(tmp_path / "empty.yaml") == {}
    with pytest.raises(NotFoundError):
        read_mapping(tmp_path / "missing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    for wrong in (tmp_path / "binary.yaml", tmp_path):
        with pytest.raises(InvalidInputError, match="cannot read"):
            read_mapping(wrong)
