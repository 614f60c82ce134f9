"""Owns the wallet as a W3C Verifiable Credential (VC Data Model 2.0): its document, and its two secured forms.

Secured by JOSE it is a `vc+jwt` whose payload is the document itself (VC-JOSE-COSE 1.0, section 3.1.1), the form we
write; secured by an embedded eddsa-jcs-2022 proof it is a JSON text, which is also taken. The document holds the
members that are written here and no others: neither `vc` nor `vp` wrappers nor terms whose meaning nobody here knows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson

from controller.model.errors import InvalidInputError
from controller.negotiation import jose
from controller.negotiation.checks import Check, RefusedError
from controller.negotiation.data_integrity import add_proof, check_proof
from controller.negotiation.jose import Fault, PublicKey, SigningKey, TokenRefusedError
from controller.negotiation.multibase import controller_of
from controller.negotiation.strict_json import canonical, read_object
from controller.negotiation.wallet import Wallet, require_did
from controller.negotiation.wallet_codec import (
    TERMS,
    members,
    terms_from_json,
    terms_to_json,
    text,
    time_from_json,
    time_to_json,
    whole,
)

KIND, CONTENT = "vc+jwt", "vc"
CONTEXT = ["https://www.w3.org/ns/credentials/v2", {"@vocab": "urn:accord:intent-wallet#"}]
_TYPES = ["VerifiableCredential", "IntentWalletCredential"]
_MEMBERS = {"@context", "id", "type", "issuer", "validFrom", "validUntil", "credentialSubject"}
_OPTIONAL = {"credentialStatus", "parent"}
_STATUS = {"type", "statusPurpose", "statusListIndex", "statusListCredential"}
MOST_OCTETS = 16_384
"""Of one credential."""
_LARGEST_INDEX = 2**26
FAULTS = {
    Fault.SIZE: Check.SIZE,
    Fault.HEADER: Check.HEADER,
    Fault.KEY: Check.ISSUER,
    Fault.SIGNATURE: Check.SIGNATURE,
    Fault.PAYLOAD: Check.FORM,
}
"""Which check a token's fault belongs to."""
KeyOf = Callable[[str], PublicKey | None]


@dataclass(frozen=True, slots=True)
class StatusEntry:
    """Where a credential's revocation is said (Bitstring Status List 1.0): the list's address and the bit's index."""

    address: str
    index: int


@dataclass(frozen=True, slots=True)
class Credential:
    """A wallet that was signed: what it says, where its status is, and the digest of the text that said so."""

    wallet: Wallet
    status: StatusEntry | None
    digest: str


def issue(wallet: Wallet, key: SigningKey, status: StatusEntry | None = None) -> str:
    """The `vc+jwt`; the key must be the issuer's own."""
    return jose.sign(_document(wallet, key, status), key, kind=KIND, content=CONTENT)


def issue_with_proof(wallet: Wallet, key: SigningKey, status: StatusEntry | None = None, *, created: int = 0) -> str:
    """The same as a JSON text with an embedded eddsa-jcs-2022 proof."""
    document = read_object(_document(wallet, key, status))
    return canonical(add_proof(document, key, created=time_to_json(created) if created else "")).decode()


def digest_of(secured: str) -> str:
    """SHA-256 of a credential's text, by which a holder's proof names it."""
    return jose.encode(sha256(secured.encode("utf-8", "surrogatepass")).digest())


def read(secured: str, key_of: KeyOf) -> Credential:
    """The credential in a text, once its signature is that of a key `key_of` knows; `RefusedError` names the check."""
    payload, key_id = _opened(secured, key_of, MOST_OCTETS)
    try:
        wallet, status = _read_wallet(payload) if isinstance(payload, bytes) else _wallet(payload)
    except InvalidInputError as error:
        raise RefusedError(Check.FORM, str(error)) from error
    if controller_of(key_id) != wallet.issuer:
        raise RefusedError(Check.ISSUER, "the key that signed it is not its issuer's")
    return Credential(wallet, status, digest_of(secured))


def read_unverified(secured: str) -> Credential:
    """What a credential says of itself, whoever signed it: for showing, never for deciding."""
    if len(secured) > MOST_OCTETS:
        raise RefusedError(Check.SIZE, f"a credential is at most {MOST_OCTETS} octets, not {len(secured)}")
    try:
        document = read_object(_payload(secured))
        document.pop("proof", None)
        wallet, status = _wallet(document)
    except (InvalidInputError, UnicodeEncodeError) as error:
        raise RefusedError(Check.FORM, str(error)) from error
    return Credential(wallet, status, digest_of(secured))


def opened(secured: str, key_of: KeyOf, max_octets: int = MOST_OCTETS) -> tuple[Mapping[str, Any], str]:
    """The document of a credential in either form, and the name of the key that signed it."""
    payload, key_id = _opened(secured, key_of, max_octets)
    try:
        return read_object(payload) if isinstance(payload, bytes) else payload, key_id
    except InvalidInputError as error:
        raise RefusedError(Check.FORM, str(error)) from error


def _opened(secured: str, key_of: KeyOf, max_octets: int) -> tuple[bytes | Mapping[str, Any], str]:
    """What was signed, as octets where it is a token, and the name of the key."""
    if len(secured) > max_octets:
        raise RefusedError(Check.SIZE, f"a credential is at most {max_octets} octets, not {len(secured)}")
    if not secured.startswith("{"):
        try:
            return jose.verify_octets(secured, key_of, kind=KIND, content=CONTENT, max_octets=max_octets)
        except TokenRefusedError as error:
            raise RefusedError(FAULTS[error.fault], error.message) from error
    try:
        return check_proof(read_object(secured.encode()), key_of)
    except (InvalidInputError, UnicodeEncodeError) as error:
        raise RefusedError(Check.FORM, str(error)) from error


def _payload(secured: str) -> bytes:
    if secured.startswith("{"):
        return secured.encode()
    parts = secured.split(".")
    if len(parts) != 3:
        raise InvalidInputError("a credential is a token of three parts, or a JSON object")
    return jose.decode(parts[1])


def _document(wallet: Wallet, key: SigningKey, status: StatusEntry | None) -> bytes:
    if controller_of(key.id) != wallet.issuer:
        raise InvalidInputError(f"the key '{key.id}' is not one of the issuer '{wallet.issuer}'")
    found: dict[str, Any] = {
        "@context": CONTEXT,
        "id": wallet.id,
        "type": _TYPES,
        "issuer": wallet.issuer,
        "validFrom": time_to_json(wallet.terms.valid_from),
        "validUntil": time_to_json(wallet.terms.valid_until),
        "credentialSubject": {"id": wallet.holder, "envelope": wallet.envelope, **terms_to_json(wallet.terms)},
    }
    if wallet.parent is not None:
        found["parent"] = wallet.parent
    if status is not None:
        found["credentialStatus"] = {
            "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation",
            "statusListIndex": str(status.index),
            "statusListCredential": status.address,
        }
    return orjson.dumps(found)


@lru_cache(maxsize=1024)
def _read_wallet(payload: bytes) -> tuple[Wallet, StatusEntry | None]:
    """The wallet in signed octets: the same wallet comes with many intents, its signature is verified each time."""
    return _wallet(read_object(payload))


def _wallet(document: Mapping[str, Any]) -> tuple[Wallet, StatusEntry | None]:
    members(document, "credential", _MEMBERS | _OPTIONAL, _MEMBERS)
    if document["@context"] != CONTEXT or document["type"] != _TYPES:
        raise InvalidInputError("its @context and type are not those of an intent wallet")
    subject = members(document["credentialSubject"], "credentialSubject", TERMS | {"id"}, {"id", "envelope"})
    begins = time_from_json(document["validFrom"], "validFrom")
    ends = time_from_json(document["validUntil"], "validUntil")
    wallet = Wallet(
        id=text(document["id"], "id"),
        envelope=text(subject["envelope"], "envelope"),
        issuer=require_did(document["issuer"]),
        holder=require_did(subject["id"]),
        terms=terms_from_json(subject, begins, ends),
        parent=text(document["parent"], "parent") if "parent" in document else None,
    )
    return wallet, _status(document["credentialStatus"]) if "credentialStatus" in document else None


def _status(value: object) -> StatusEntry:
    found = members(value, "credentialStatus", _STATUS | {"id"}, _STATUS)
    if (found["type"], found["statusPurpose"]) != ("BitstringStatusListEntry", "revocation"):
        raise InvalidInputError("'credentialStatus' is a BitstringStatusListEntry for revocation")
    index = text(found["statusListIndex"], "statusListIndex")
    if not (index.isascii() and index.isdigit() and len(index) < 10):
        raise InvalidInputError("'statusListIndex' is a whole number, as a text")
    return StatusEntry(
        text(found["statusListCredential"], "statusListCredential"), whole(int(index), "index", _LARGEST_INDEX)
    )
