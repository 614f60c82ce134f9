"""Owns signed objects in the JOSE form: compact JWS (RFC 7515) with Ed25519 (RFC 8037; named `Ed25519` by RFC 9864).

A token is judged in one order: size, header, key, signature, payload. The header may hold `alg`, `kid`, `typ` and `cty`
and nothing else: no key travels with what it signs, nothing is fetched, and `crit` has nothing that we could honour.
`kind` is the `typ` both sides agree on, so a token of one kind never passes for another (RFC 8725 3.11).
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from controller.model.errors import InvalidInputError
from controller.negotiation.strict_json import read_object

_ALGORITHMS = ("Ed25519", "EdDSA")
_MEMBERS = frozenset({"alg", "kid", "typ", "cty"})
_REQUIRED = frozenset({"alg", "kid", "typ"})
_MOST_HEADER_OCTETS = 2_048
_SIGNATURE_OCTETS = 64
MOST_OCTETS = 65_536
"""Of a token, unless the caller says otherwise."""


class Fault(StrEnum):
    """What was wrong with a token, in the order in which it is looked at."""

    SIZE = "size"
    HEADER = "header"
    KEY = "key"
    SIGNATURE = "signature"
    PAYLOAD = "payload"


@dataclass(slots=True, eq=False)
class TokenRefusedError(InvalidInputError):
    """A token that is not taken; `fault` says at which step."""

    fault: Fault = Fault.HEADER


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are verified with; `id` is what a header's `kid` names, as `did:web:bank.example#key-1`."""

    id: str
    public: Ed25519PublicKey = field(repr=False)

    @classmethod
    def of(cls, key_id: str, raw: bytes) -> "PublicKey":
        """From its 32 octets (RFC 8032)."""
        try:
            return cls(key_id, Ed25519PublicKey.from_public_bytes(raw))
        except ValueError as error:
            raise InvalidInputError(f"'{key_id}' is not an Ed25519 public key: it is 32 octets long") from error

    @property
    def raw(self) -> bytes:
        """Its 32 octets."""
        return self.public.public_bytes(Encoding.Raw, PublicFormat.Raw)

    def accepts(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature is this key's over the message."""
        try:
            self.public.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key; it never shows in `repr`, and nothing here writes it anywhere."""

    id: str
    private: Ed25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def of(cls, key_id: str, raw: bytes) -> "SigningKey":
        """From its 32 octets of seed (RFC 8032)."""
        try:
            return cls(key_id, Ed25519PrivateKey.from_private_bytes(raw))
        except ValueError as error:
            raise InvalidInputError(f"'{key_id}' is not an Ed25519 private key: it is 32 octets long") from error

    @property
    def public(self) -> PublicKey:
        """The half that may be shown."""
        return PublicKey(self.id, self.private.public_key())

    def sign(self, message: bytes) -> bytes:
        """The signature, the same each time for the same message."""
        return self.private.sign(message)


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token says and which key said it."""

    payload: bytes = field(repr=False)
    document: Mapping[str, Any]
    key_id: str


KeyOf = Callable[[str], PublicKey | None]


def sign(payload: bytes, key: SigningKey, *, kind: str, content: str = "") -> str:
    """The compact token of a payload; `kind` becomes `typ`, `content` becomes `cty` when there is one."""
    header = {"alg": _ALGORITHMS[0], "kid": key.id, "typ": kind, **({"cty": content} if content else {})}
    signed = f"{encode(orjson.dumps(header))}.{encode(payload)}"
    return f"{signed}.{encode(key.sign(signed.encode('ascii')))}"


def verify(token: str, key_of: KeyOf, *, kind: str, max_octets: int = MOST_OCTETS, content: str = "") -> Verified:
    """What the token says, once it is of this kind and signed with a key that `key_of` knows.

    `content` is the one `cty` that is taken beside none. `TokenRefusedError` names the first fault.
    """
    octets, kid = verify_octets(token, key_of, kind=kind, max_octets=max_octets, content=content)
    try:
        return Verified(octets, read_object(octets), kid)
    except InvalidInputError as error:
        raise TokenRefusedError(f"the payload: {error}", fault=Fault.PAYLOAD) from error


def verify_octets(
    token: str, key_of: KeyOf, *, kind: str, max_octets: int = MOST_OCTETS, content: str = ""
) -> tuple[bytes, str]:
    """The signed octets, not yet read, and the name of the key; otherwise as `verify`."""
    if len(token) > max_octets:
        raise TokenRefusedError(f"a token of {len(token)} octets is over the limit of {max_octets}", fault=Fault.SIZE)
    header, payload, signature = _parts(token)
    kid = _kid(header, kind, content)
    key = key_of(kid)
    if key is None:
        raise TokenRefusedError(f"no trusted key has the name '{shown(kid)}'", fault=Fault.KEY)
    if not key.accepts(_signature(signature), token[: -len(signature) - 1].encode("ascii")):
        raise TokenRefusedError(f"the signature is not that of '{shown(kid)}'", fault=Fault.SIGNATURE)
    try:
        return decode(payload), kid
    except InvalidInputError as error:
        raise TokenRefusedError(f"the payload: {error}", fault=Fault.PAYLOAD) from error


def encode(octets: bytes) -> str:
    """base64url without padding (RFC 7515 2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """The octets; `InvalidInputError` for any text but the one that `encode` gives for them."""
    try:
        octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInputError("not base64url without padding (RFC 7515 2)") from error
    if encode(octets) != text:
        raise InvalidInputError("not the one base64url form of these octets (RFC 7515 2)")
    return octets


def shown(text: str) -> str:
    """A name from outside as it may stand in a message: short, and without controls or surrogates."""
    return ascii(text)[1:-1][:80]


def _parts(token: str) -> tuple[str, str, str]:
    parts = token.split(".", 3) if token.isascii() else []
    if len(parts) != 3:
        raise TokenRefusedError("a signed token is three parts of base64url (RFC 7515 7.1)", fault=Fault.HEADER)
    return parts[0], parts[1], parts[2]


def _kid(encoded: str, kind: str, content: str) -> str:
    """The name of the key in a header that has only what it may have."""
    if len(encoded) > _MOST_HEADER_OCTETS:
        raise TokenRefusedError(f"a header is at most {_MOST_HEADER_OCTETS} octets", fault=Fault.HEADER)
    try:
        header = _header(encoded)
    except InvalidInputError as error:
        raise TokenRefusedError(f"the header: {error}", fault=Fault.HEADER) from error
    if header.get("typ") != kind or header.get("alg") not in _ALGORITHMS or header.get("cty") not in {None, content}:
        said = ", ".join(f"{name} {shown(str(header.get(name)))}" for name in ("typ", "alg", "cty") if name in header)
        raise TokenRefusedError(f"the header must say typ {kind} and alg Ed25519, not: {said}", fault=Fault.HEADER)
    kid: str = header["kid"]
    return kid


@lru_cache(maxsize=1024)
def _header(encoded: str) -> Mapping[str, Any]:
    """Its members, checked for names and types; the same few headers come again and again."""
    header = read_object(decode(encoded))
    if not _REQUIRED <= header.keys() <= _MEMBERS:
        names = sorted(header.keys() ^ _REQUIRED)
        raise InvalidInputError(f"it holds alg, kid, typ, perhaps cty, and no more; here: {shown(', '.join(names))}")
    if not all(isinstance(value, str) for value in header.values()):
        raise InvalidInputError("its members are texts")
    return header


def _signature(encoded: str) -> bytes:
    try:
        octets = decode(encoded)
    except InvalidInputError as error:
        raise TokenRefusedError(f"the signature: {error}", fault=Fault.SIGNATURE) from error
    if len(octets) != _SIGNATURE_OCTETS:
        raise TokenRefusedError("an Ed25519 signature is 64 octets", fault=Fault.SIGNATURE)
    return octets
