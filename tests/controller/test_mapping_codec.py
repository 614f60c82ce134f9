"""Tuples of plain values through JSON: taken as they are, refused when the number of values is wrong."""

import pytest

from controller.mapping.codec import from_json, to_json
from controller.mapping.identifiers import Allocation
from controller.model.errors import InvalidInputError


def test_tuples_of_plain_values_come_back_as_tuples() -> None:
    allocated: tuple[Allocation, ...] = (("rd", "a", 1), ("rt", "b", 2))
    assert from_json(tuple[Allocation, ...], to_json(allocated)) == allocated


@pytest.mark.parametrize("document", [["rd", "a"], ["rd", "a", 1, 2], [], 7, None])
def test_a_tuple_with_another_number_of_values_is_refused(document: object) -> None:
    with pytest.raises(InvalidInputError, match="not the JSON of"):
        from_json(tuple[Allocation, ...], [document])
