"""Owns revocation by Bitstring Status List (W3C, version 1.0): reading lists that others sign, and writing our own.

A list is a signed credential whose bits are gzipped. It is decompressed under a limit, kept as bytes, and believed
until its `validUntil` or its `ttl` is over, whichever is first; after that nothing is known, and what is not known is
refused.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from controller.model.errors import InvalidInputError
from controller.negotiation import jose
from controller.negotiation.checks import Check, RefusedError
from controller.negotiation.credential import CONTENT, KIND, StatusEntry, opened
from controller.negotiation.jose import SigningKey, decode, encode
from controller.negotiation.multibase import controller_of
from controller.negotiation.trust import Trust
from controller.negotiation.wallet_codec import members, text, time_from_json, time_to_json, whole

LEAST_BITS = 131_072
"""So that asking for a list does not tell which credential is meant (section 6.1)."""
MOST_OCTETS = 1 << 20
"""Of a list's bits, decompressed: eight million credentials."""
MOST_TOKEN_OCTETS = 2 << 20
DEFAULT_TTL_SECONDS = 300
_LONGEST_TTL_SECONDS = 86_400
_CONTEXT = ["https://www.w3.org/ns/credentials/v2"]
_TYPES = ["VerifiableCredential", "BitstringStatusListCredential"]
_MEMBERS = {"@context", "id", "type", "issuer", "validFrom", "validUntil", "credentialSubject"}
_SUBJECT = {"type", "statusPurpose", "encodedList"}
_GZIP = 31


@dataclass(frozen=True, slots=True)
class StatusList:
    """A list as it was read; it says nothing outside of its time."""

    address: str
    bits: bytes = field(repr=False)
    good_from: float
    good_until: float

    def is_set(self, index: int) -> bool:
        """The bit of a credential; the first is the leftmost of the first octet (section 3.2)."""
        return bool(self.bits[index >> 3] & (0x80 >> (index & 7)))


Lists = Callable[[str], StatusList | None]
"""The list at an address, as far as it is known."""


def require_good(entry: StatusEntry, lists: Lists, now: float, skew_seconds: float) -> None:
    """Pass when a fresh list says that the credential is not revoked; `RefusedError` in every other case."""
    found = lists(entry.address)
    if found is None:
        raise RefusedError(Check.STATUS, "no list is known at the address of its status")
    if not found.good_from - skew_seconds <= now < found.good_until:
        raise RefusedError(Check.STATUS, "the list of its status is stale; it is read anew before anything is taken")
    if entry.index >= len(found.bits) * 8:
        raise RefusedError(Check.STATUS, "its place is outside of the list of its status")
    if found.is_set(entry.index):
        raise RefusedError(Check.STATUS, "it is revoked")


def read_status_list(secured: str, address: str, trust: Trust, read_at: float) -> StatusList:
    """The list in a text found at `address` at that time; `RefusedError` names what is wrong with it."""
    document, key_id = opened(secured, lambda key: trust.status_list_key(key, address), MOST_TOKEN_OCTETS)
    try:
        _require_head(document, address, controller_of(key_id))
        return _list(document, address, read_at)
    except InvalidInputError as error:
        raise RefusedError(Check.FORM, f"the status list: {error}") from error


def sign_status_list(bits: bytes, address: str, key: SigningKey, valid_from: int, valid_until: int) -> str:
    """The signed list; anybody who reads it may believe it for `DEFAULT_TTL_SECONDS` and until it ends."""
    if not LEAST_BITS <= len(bits) * 8 <= MOST_OCTETS * 8:
        raise InvalidInputError(f"a status list has from {LEAST_BITS} to {MOST_OCTETS * 8} bits")
    document = {
        "@context": _CONTEXT,
        "id": address,
        "type": _TYPES,
        "issuer": controller_of(key.id),
        "validFrom": time_to_json(valid_from),
        "validUntil": time_to_json(valid_until),
        "credentialSubject": {
            "id": f"{address}#list",
            "type": "BitstringStatusList",
            "statusPurpose": "revocation",
            "encodedList": compressed(bits),
            "ttl": DEFAULT_TTL_SECONDS * 1000,
        },
    }
    return jose.sign(orjson.dumps(document), key, kind=KIND, content=CONTENT)


def revoked(bits: bytes, index: int) -> bytes:
    """The bits with one more set; none is ever cleared."""
    if not 0 <= index < len(bits) * 8:
        raise InvalidInputError(f"the list has no place {index}")
    changed = bytearray(bits)
    changed[index >> 3] |= 0x80 >> (index & 7)
    return bytes(changed)


def compressed(bits: bytes) -> str:
    """The bits as `encodedList`: gzip, base64url, and the multibase prefix `u`."""
    packer = zlib.compressobj(9, zlib.DEFLATED, _GZIP)
    return f"u{encode(packer.compress(bits) + packer.flush())}"


def decompressed(encoded: str) -> bytes:
    """The bits of an `encodedList`, never more than `MOST_OCTETS` of them in memory."""
    if not encoded.startswith("u"):
        raise InvalidInputError("'encodedList' is base64url multibase (it begins with u)")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        bits = unpacker.decompress(decode(encoded[1:]), MOST_OCTETS)
    except zlib.error as error:
        raise InvalidInputError("'encodedList' is not gzip") from error
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise InvalidInputError(f"'encodedList' is cut off, or larger than {MOST_OCTETS} octets")
    if unpacker.unused_data or len(bits) * 8 < LEAST_BITS:
        raise InvalidInputError(f"'encodedList' is one gzip member of at least {LEAST_BITS} bits")
    return bits


def _require_head(document: Mapping[str, Any], address: str, signer: str) -> None:
    members(document, "status list", _MEMBERS | {"name", "description"}, _MEMBERS)
    if document["@context"] != _CONTEXT or document["type"] != _TYPES:
        raise InvalidInputError("its @context and type are not those of a status list")
    if document["id"] != address or document["issuer"] != signer:
        raise InvalidInputError("it is not the list of this address, or not its signer's")


def _list(document: Mapping[str, Any], address: str, read_at: float) -> StatusList:
    subject = members(document["credentialSubject"], "credentialSubject", _SUBJECT | {"id", "ttl"}, _SUBJECT)
    if (subject["type"], subject["statusPurpose"]) != ("BitstringStatusList", "revocation"):
        raise InvalidInputError("its subject is a BitstringStatusList for revocation")
    ttl = whole(subject.get("ttl", DEFAULT_TTL_SECONDS * 1000), "ttl", _LONGEST_TTL_SECONDS * 1000) / 1000
    begins = time_from_json(document["validFrom"], "validFrom")
    ends = time_from_json(document["validUntil"], "validUntil")
    encoded = subject["encodedList"]
    if not isinstance(encoded, str):
        raise InvalidInputError("'encodedList' is a text")
    return StatusList(text(address, "id"), decompressed(encoded), begins, min(ends, read_at + ttl))
