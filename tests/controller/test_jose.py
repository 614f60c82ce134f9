"""A token is taken whole or refused at a named step; no two texts mean one token and no text means two."""

import base64
import json
from contextlib import suppress
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from controller.model.errors import InvalidInputError
from controller.negotiation.jose import Fault, PublicKey, SigningKey, TokenRefusedError, decode, encode, sign, verify
from controller.negotiation.strict_json import canonical, read_object

KEY = SigningKey.of("did:web:bank.example#key-1", bytes(range(32)))
OTHER = SigningKey.of("did:web:bank.example#key-2", bytes(range(1, 33)))
KEYS = {KEY.id: KEY.public}
KIND = "test+jwt"


def fault_of(token, *, kind=KIND, max_octets=65_536):
    with pytest.raises(TokenRefusedError) as refused:
        verify(token, KEYS.get, kind=kind, max_octets=max_octets)
    return refused.value.fault


def token_of(payload, **header):
    """A token signed with the good key over whatever header."""
    members = {"alg": "Ed25519", "kid": KEY.id, "typ": KIND} | header
    text = json.dumps({name: value for name, value in members.items() if value is not ...})
    return signed(text.encode(), payload)


def signed(header, payload):
    content = f"{encode(header)}.{encode(payload)}"
    return f"{content}.{encode(KEY.sign(content.encode()))}"


def test_what_was_signed_is_what_is_read():
    found = verify(sign(b'{"a":1}', KEY, kind=KIND), KEYS.get, kind=KIND)
    assert (found.document, found.payload, found.key_id) == ({"a": 1}, b'{"a":1}', KEY.id)


def test_the_example_of_rfc_8037_verifies_by_both_names_of_the_algorithm():
    key = SigningKey.of(KEY.id, decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"))
    assert encode(key.public.raw) == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    payload = encode(b"Example of Ed25519 signing")
    header = encode(b'{"alg":"EdDSA"}')
    signature = encode(key.sign(f"{header}.{payload}".encode()))
    assert signature == "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    for name in ("EdDSA", "Ed25519"):
        assert verify(token_of(b"{}", alg=name), KEYS.get, kind=KIND).document == {}


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES256"},
        {"typ": "other+jwt"},
        {"typ": ...},
        {"kid": ...},
        {"kid": 5},
        {"cty": "vc"},
        {"crit": ["exp"]},
        {"jwk": {"kty": "OKP"}},
        {"jku": "https://evil.example"},
        {"x5c": []},
        {"zip": "DEF"},
        {"b64": False},
    ],
    ids=str,
)
def test_a_header_that_says_more_or_less_is_refused_however_well_it_is_signed(header):
    assert fault_of(token_of(b"{}", **header)) is Fault.HEADER


def test_a_header_with_a_key_twice_is_refused():
    doubled = b'{"alg":"none","alg":"Ed25519","kid":"' + KEY.id.encode() + b'","typ":"test+jwt"}'
    assert fault_of(signed(doubled, b"{}")) is Fault.HEADER


def test_a_key_nobody_trusts_is_told_from_a_bad_signature():
    assert fault_of(sign(b"{}", OTHER, kind=KIND)) is Fault.KEY
    forged = sign(b"{}", SigningKey.of(KEY.id, bytes(32)), kind=KIND)
    assert fault_of(forged) is Fault.SIGNATURE


@given(st.data())
def test_any_changed_character_is_refused(data):
    token = sign(b'{"ceiling":"100.00"}', KEY, kind=KIND)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from([c for c in "AQgwB-_.=+ \n" if c != token[at]]))
    assert fault_of(token[:at] + other + token[at + 1 :]) in set(Fault)


def test_no_two_texts_are_the_same_token():
    token = sign(b"{}", KEY, kind=KIND)
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = token[:-1] + digits[digits.index(token[-1]) + 1]
    octets = {base64.urlsafe_b64decode(text.split(".")[2] + "==") for text in (token, twin)}
    assert len(octets) == 1
    assert fault_of(twin) is Fault.SIGNATURE
    assert fault_of(token + "=") is Fault.SIGNATURE


@pytest.mark.parametrize("token", ["", ".", "..", "a.b", "a.b.c.d", "é.a.b", "\ud800.a.b", "{}"])
def test_what_is_no_token_is_refused_at_the_header(token):
    assert fault_of(token) is Fault.HEADER


def test_size_is_looked_at_before_anything_else():
    assert fault_of("x" * 10_000_000) is Fault.SIZE
    assert fault_of(sign(b"{}", KEY, kind=KIND), max_octets=10) is Fault.SIZE


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"1",
        b'{"a":1,"a":2}',
        b'{"b":{"a":1,"a":1}}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e999}',
        b'{"a":"\\ud800"}',
        b'{"a":9007199254740993}',
        b'{"a":' + b"1" * 5000 + b"}",
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"a":' + b"[" * 30000,
        b'{"a":1} x',
    ],
    ids=lambda payload: payload[:20],
)
def test_a_payload_with_no_single_meaning_is_refused_however_well_it_is_signed(payload):
    assert fault_of(signed(json.dumps({"alg": "EdDSA", "kid": KEY.id, "typ": KIND}).encode(), payload)) is Fault.PAYLOAD


def test_private_keys_do_not_show():
    seed = bytes(range(32))
    for text in (repr(KEY), str(KEY), f"{KEY}"):
        assert encode(seed) not in text
        assert seed.hex() not in text
    assert "private" not in repr(KEY)


@pytest.mark.parametrize("make", [PublicKey.of, SigningKey.of])
def test_keys_of_another_size_are_refused(make):
    with pytest.raises(InvalidInputError, match="32 octets"):
        make("k", b"short")


# -- RFC 8785 --------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBER = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUE = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(TEXT, VALUE, max_size=4))
def test_canonical_json_means_what_was_written(value):
    encoded = canonical(value)
    back = json.loads(encoded, parse_int=float)
    assert back == value
    assert canonical(back) == encoded


@pytest.mark.parametrize(
    "value, text",
    [
        (0.0, "0"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9007199254740991, "9007199254740991"),
        (1e23, "1e+23"),
        (1e21, "1e+21"),
        (999999999999999900000.0, "999999999999999900000"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (333333333.3333332, "333333333.3333332"),
        (-12.5, "-12.5"),
        (100.0, "100"),
        (0.001, "0.001"),
        (1.5e-9, "1.5e-9"),
    ],
)
def test_numbers_are_written_as_ecmascript_does(value, text):
    assert canonical(value) == text.encode()


def test_keys_are_in_the_order_of_their_utf_16_units():
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    expected = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical(dict.fromkeys(keys, 1)))) == expected
    assert canonical({"k": '\u20ac$\u000f\nA\'B"\\\\"/'}) == '{"k":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'.encode()
    assert all(a.encode("utf-16-be") < b.encode("utf-16-be") for a, b in pairwise(expected))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, "\ud800", {"\ud800": 1}, {1: 2}, b"x", {1, 2}])
def test_what_json_cannot_hold_has_no_canonical_form(value):
    with pytest.raises(InvalidInputError):
        canonical(value)


@given(st.binary(max_size=80))
def test_any_octets_are_read_or_refused_as_bad_input(octets):
    with suppress(InvalidInputError):
        assert isinstance(read_object(octets), dict)


def test_keys_made_elsewhere_are_taken():
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    key = SigningKey("plain-id", private)
    assert verify(sign(b"{}", key, kind=KIND), {"plain-id": key.public}.get, kind=KIND).key_id == "plain-id"
