"""Owns keys and signatures as W3C's data integrity writes them: base58btc multibase, Ed25519 Multikeys, did:key.

A `did:key` names a key by the key itself, so it is resolved here, with nothing asked of anybody.
"""

from functools import lru_cache

from controller.model.errors import InvalidInputError
from controller.negotiation.jose import PublicKey, shown

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_MOST_CHARACTERS = 128
_ED25519_PUBLIC = b"\xed\x01"
"""The multicodec 0xed as a varint."""
_DID_KEY = "did:key:"


def to_multibase(octets: bytes) -> str:
    """base58btc with its prefix `z`."""
    number, text = int.from_bytes(octets, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _ALPHABET[digit] + text
    zeros = len(octets) - len(octets.lstrip(b"\0"))
    return f"z{'1' * zeros}{text}"


def from_multibase(text: str) -> bytes:
    """The octets; `InvalidInputError` for what is not base58btc of moderate length."""
    digits = text[1:]
    if text[:1] != "z" or len(text) > _MOST_CHARACTERS or not _VALUES.keys() >= set(digits):
        raise InvalidInputError(f"'{shown(text)}' is not a base58btc multibase text (it begins with z)")
    number = 0
    for character in digits:
        number = number * 58 + _VALUES[character]
    zeros = len(digits) - len(digits.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def multikey(key: PublicKey) -> str:
    """The key as `publicKeyMultibase` (W3C Controlled Identifiers 2.2.2): `z6Mk...`."""
    return to_multibase(_ED25519_PUBLIC + key.raw)


def from_multikey(key_id: str, text: str) -> PublicKey:
    """The key that a Multikey stands for, under the name `key_id`."""
    octets = from_multibase(text)
    if octets[:2] != _ED25519_PUBLIC:
        raise InvalidInputError(f"'{shown(text)}' is not an Ed25519 Multikey (it begins with z6Mk)")
    return PublicKey.of(key_id, octets[2:])


def did_of(key: PublicKey) -> str:
    """The did:key that names a key."""
    return _DID_KEY + multikey(key)


def did_key_id(did: str) -> str:
    """What a token's `kid` calls the one key of a did:key."""
    return f"{did}#{did.removeprefix(_DID_KEY)}"


@lru_cache(maxsize=1024)
def key_in(key_id: str) -> PublicKey | None:
    """The key that is written in a did:key's own name (`did:key:z6Mk...#z6Mk...`); None for any other name."""
    did, _, fragment = key_id.partition("#")
    if not did.startswith(_DID_KEY) or fragment != did.removeprefix(_DID_KEY):
        return None
    try:
        return from_multikey(key_id, fragment)
    except InvalidInputError:
        return None


def controller_of(key_id: str) -> str:
    """Whose key it is: what stands before the fragment."""
    return key_id.partition("#")[0]
