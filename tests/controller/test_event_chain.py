"""The bytes that are hashed are the documented ones, so an auditor needs nothing of ours to check them."""

import hashlib
import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.events.canonical import canonical_json, read_json
from controller.events.chain import GENESIS, Draft, Head, Origin, draft, record_hash, seal
from controller.events.upcasting import Upcasters, split_type
from controller.model.errors import InvalidInputError
from controller.ports import Event, NewEvent

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def shuffled(value: Any) -> Any:
    """The same value with every object's keys the other way round."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@given(JSON)
def test_canonical_bytes_do_not_depend_on_order_and_survive_the_way_back(value: Any) -> None:
    encoded = canonical_json(value)
    assert canonical_json(shuffled(value)) == encoded
    assert canonical_json(read_json(encoded)) == encoded
    assert json.dumps(json.loads(encoded)) == json.dumps(json.loads(canonical_json(read_json(encoded))))
    assert b"\n" not in encoded


@given(JSON)
def test_what_comes_back_is_what_went_in(value: Any) -> None:
    back = read_json(canonical_json(value))
    assert back == value
    assert repr(back) == repr(read_json(canonical_json(back)))


def test_the_canonical_form_is_fixed() -> None:
    value = {
        "b": 1,
        "a": [1.0, 0.1, -0.0, 5e-324, None, True],
        "é": '\u2028\x01"\\/',
        "aa": MappingProxyType({"x": ()}),
    }
    expected = '{"a":[1.0,0.1,-0.0,5e-324,null,true],"aa":{"x":[]},"b":1,"é":"\u2028\\u0001\\"\\\\/"}'
    assert canonical_json(value) == expected.encode()


@pytest.mark.parametrize("value", [float("nan"), {"a": [float("-inf"), None]}, 2**64, {1: 1}, object(), b"", {1}, 1j])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(InvalidInputError, match="no canonical JSON"):
        canonical_json(value)


@pytest.mark.parametrize("document", [b"", b"{", b"NaN", b'{"a":1}x', b"\xff"])
def test_what_is_no_json_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidInputError, match="not a JSON document"):
        read_json(document)


def test_a_record_is_hashed_over_the_documented_bytes() -> None:
    origin = Origin(actor="ann", cause="request 7", idempotency_key="k", time_microseconds=1_700_000_000_123_456)
    drafts = [draft(NewEvent("service/ä", "added@2", {"b": 2, "a": 1}))]
    (record,) = seal(drafts, Head(), {"service/ä": 4}.__getitem__, origin)
    envelope = '[1,"service/ä",5,"added@2",1700000000123456,"ann","request 7","k"]'
    expected = hashlib.sha256(bytes(32) + envelope.encode() + b"\n" + b'{"a":1,"b":2}').digest()
    assert record.hash == record_hash(record) == expected
    assert record.previous_hash == GENESIS
    event = record.event()
    assert (event.time, event.hash) == (1_700_000_000.123456, expected.hex())


@given(st.lists(st.sampled_from("abc"), max_size=12), st.integers(0, 12))
def test_sealing_in_two_parts_gives_the_same_chain_as_in_one(streams: list[str], cut: int) -> None:
    drafts = [Draft(stream, "t", str(number).encode()) for number, stream in enumerate(streams)]
    origin = Origin("me", "", "", 1)
    whole = list(seal(drafts, Head(), lambda _: 0, origin))
    first = list(seal(drafts[:cut], Head(), lambda _: 0, origin))
    head = Head(first[-1].position, first[-1].hash) if first else Head()
    rest = seal(drafts[cut:], head, [record.stream for record in first].count, origin)
    assert first + list(rest) == whole


def event(event_type: str, **data: object) -> Event:
    return Event(1, "s", 1, event_type, 0.0, "me", "", data, "", "")


def test_upcasters_work_step_by_step_and_each_step_is_there_once() -> None:
    upcasters = Upcasters()
    upcasters.register("a", 2, lambda data: {**data, "two": 1})
    upcasters.register("a", 1, lambda data: {**data, "one": 1})
    assert upcasters.lift(event("a")).data == {"one": 1, "two": 1}
    assert upcasters.lift(event("a@2")).data == {"two": 1}
    assert upcasters.lift(event("a@3")) == event("a@3")
    assert upcasters.lift(event("b")) == event("b")
    with pytest.raises(ValueError, match="already an upcaster for a@1"):
        upcasters.register("a", 1, lambda data: data)


@pytest.mark.parametrize(
    "text, parts", [("a", ("a", 1)), ("a@2", ("a", 2)), ("a@b", ("a@b", 1)), ("@2", ("", 2)), ("a@b@3", ("a@b", 3))]
)
def test_the_shape_version_stands_behind_the_last_at(text: str, parts: tuple[str, int]) -> None:
    assert split_type(text) == parts
