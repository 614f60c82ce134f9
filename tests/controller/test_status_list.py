"""Status lists are read under a limit, from whoever must have signed them; keys are in their published forms."""

import base64
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model.errors import InvalidInputError
from controller.negotiation import jose
from controller.negotiation.checks import Check, RefusedError
from controller.negotiation.jose import SigningKey, decode
from controller.negotiation.multibase import (
    did_key_id,
    did_of,
    from_multibase,
    from_multikey,
    key_in,
    multikey,
    to_multibase,
)
from controller.negotiation.status_list import (
    LEAST_BITS,
    MOST_OCTETS,
    compressed,
    decompressed,
    read_status_list,
    revoked,
    sign_status_list,
)
from tests.controller.wallet_samples import BANK_KEY, DAY, LIST, NOW, SHOP_KEY, TRUST, status_list

EMPTY = bytes(LEAST_BITS // 8)


def refused_by(text, address=LIST):
    with pytest.raises(RefusedError) as refused:
        read_status_list(text, address, TRUST, NOW)
    return refused.value.refusal.check


def signed(change=lambda document: None, key=BANK_KEY):
    text = sign_status_list(EMPTY, LIST, BANK_KEY, NOW, NOW + DAY)
    document = json.loads(decode(text.split(".")[1]))
    change(document)
    return jose.sign(json.dumps(document).encode(), key, kind="vc+jwt", content="vc")


def encoded(octets):
    return "u" + base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


@given(st.sets(st.integers(0, LEAST_BITS - 1), max_size=20))
def test_what_is_revoked_is_set_and_nothing_else(indexes):
    bits = EMPTY
    for index in indexes:
        bits = revoked(bits, index)
    found = status_list(bits)
    assert all(found.is_set(index) for index in indexes)
    assert sum(octet.bit_count() for octet in found.bits) == len(indexes)


def test_the_first_credential_is_the_leftmost_bit():
    assert revoked(EMPTY, 0)[0] == 0b1000_0000
    assert revoked(EMPTY, 9)[1] == 0b0100_0000


@pytest.mark.parametrize("index", [-1, LEAST_BITS])
def test_a_place_outside_the_list_is_not_revoked(index):
    with pytest.raises(InvalidInputError):
        revoked(EMPTY, index)


def test_another_programs_gzip_is_read():
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    assert decompressed(encoded(packer.compress(EMPTY) + packer.flush())) == EMPTY
    assert decompressed(compressed(revoked(EMPTY, 5))) == revoked(EMPTY, 5)


def bomb():
    """A quarter of a gigabyte of zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([packer.compress(bytes(1 << 20)) for _ in range(256)]) + packer.flush()


def gzipped(octets):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(octets) + packer.flush()


@pytest.mark.parametrize(
    "make",
    [
        lambda: encoded(bomb()),
        lambda: encoded(gzipped(bytes(MOST_OCTETS + 1))),
        lambda: encoded(gzipped(EMPTY)[:-1]),
        lambda: encoded(gzipped(EMPTY) + b"x"),
        lambda: encoded(gzipped(EMPTY) + gzipped(EMPTY)),
        lambda: encoded(gzipped(EMPTY[:-1])),
        lambda: encoded(zlib.compress(EMPTY)),
        lambda: encoded(b""),
        lambda: "u",
        lambda: "",
        lambda: "z" + encoded(gzipped(EMPTY))[1:],
        lambda: encoded(gzipped(EMPTY)) + "=",
    ],
    ids=[
        "bomb",
        "too large",
        "cut off",
        "trailing",
        "two members",
        "too small",
        "zlib",
        "empty",
        "u",
        "",
        "z",
        "padded",
    ],
)
def test_a_list_that_is_not_one_gzip_of_its_size_is_refused(make):
    text = make()
    with pytest.raises(InvalidInputError):
        decompressed(text)
    assert refused_by(signed(lambda document: document["credentialSubject"].update(encodedList=text))) in {
        Check.FORM,
        Check.SIZE,
    }


def test_the_largest_list_is_read():
    assert len(decompressed(compressed(bytes(MOST_OCTETS)))) == MOST_OCTETS


BAD = {
    "another signer": (lambda: signed(key=SHOP_KEY), Check.ISSUER),
    "forged": (lambda: signed(key=SigningKey.of(BANK_KEY.id, bytes(32))), Check.SIGNATURE),
    "another address": (lambda: signed(lambda d: d.update(id="https://bank.example/status/2")), Check.FORM),
    "another issuer": (lambda: signed(lambda d: d.update(issuer="did:web:x.example")), Check.FORM),
    "another purpose": (lambda: signed(lambda d: d["credentialSubject"].update(statusPurpose="message")), Check.FORM),
    "another type": (lambda: signed(lambda d: d.update(type=["VerifiableCredential"])), Check.FORM),
    "no end": (lambda: signed(lambda d: d.pop("validUntil")), Check.FORM),
    "a number as list": (lambda: signed(lambda d: d["credentialSubject"].update(encodedList=1)), Check.FORM),
    "a negative ttl": (lambda: signed(lambda d: d["credentialSubject"].update(ttl=-1)), Check.FORM),
    "an endless ttl": (lambda: signed(lambda d: d["credentialSubject"].update(ttl=10**15)), Check.FORM),
    "no token": (lambda: "<html>", Check.HEADER),
    "ten megabytes": (lambda: "x" * 10_000_000, Check.SIZE),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_list_is_refused_by_the_name_of_the_check(name):
    make, check = BAD[name]
    assert refused_by(make()) is check


def test_an_address_nobody_vouches_for_is_refused():
    assert refused_by(signed(), "https://evil.example/list") is Check.ISSUER


def test_a_list_is_good_until_its_ttl_or_its_end():
    def good_until(**subject):
        text = signed(lambda document: document["credentialSubject"].update(subject))
        return read_status_list(text, LIST, TRUST, NOW + 5).good_until

    assert good_until(ttl=10_000) == NOW + 15
    assert good_until(ttl=86_400_000) == NOW + DAY
    text = signed(lambda document: document["credentialSubject"].pop("ttl"))
    assert read_status_list(text, LIST, TRUST, NOW + 5).good_until == NOW + 305


def test_our_own_lists_have_sane_sizes():
    for octets in (LEAST_BITS // 8 - 1, MOST_OCTETS + 1):
        with pytest.raises(InvalidInputError):
            sign_status_list(bytes(octets), LIST, BANK_KEY, NOW, NOW + 1)


# -- multibase -------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=80))
def test_multibase_survives_the_way_there_and_back(octets):
    assert from_multibase(to_multibase(octets)) == octets


def test_the_published_examples_of_base58_and_multikey_are_ours():
    assert to_multibase(b"Hello World!") == "z2NEpo7TZRRrLZSi2U"
    assert to_multibase(bytes.fromhex("0000287fb4cd")) == "z11233QC4"
    text = "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"
    assert multikey(from_multikey("k", text)) == text


@pytest.mark.parametrize("text", ["", "z0", "zO", "zé", "m11", "u11", "z" + "1" * 200, "z 1"])
def test_what_is_not_base58_is_refused(text):
    with pytest.raises(InvalidInputError):
        from_multibase(text)


def test_a_did_key_holds_its_key():
    did = did_of(SHOP_KEY.public)
    found = key_in(did_key_id(did))
    assert found is not None
    assert found.raw == SHOP_KEY.public.raw
    for other in (did, f"{did}#x", "did:web:a.example#key-1", "did:key:zabc#zabc", "did:key:z6Mk#z6Mk", ""):
        assert key_in(other) is None
