"""Owns data integrity proofs with the cryptosuite eddsa-jcs-2022 (W3C Data Integrity EdDSA 1.0, section 3.3).

What is signed: SHA-256 of the canonical proof options, then SHA-256 of the canonical document without its proof.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from controller.model.errors import InvalidInputError
from controller.negotiation.checks import Check, RefusedError
from controller.negotiation.jose import PublicKey, SigningKey, shown
from controller.negotiation.multibase import from_multibase, to_multibase
from controller.negotiation.strict_json import canonical

_TYPE, _SUITE = "DataIntegrityProof", "eddsa-jcs-2022"
_REQUIRED = {"type", "cryptosuite", "verificationMethod", "proofPurpose", "proofValue"}
_MEMBERS = _REQUIRED | {"created", "@context"}
_SIGNATURE_OCTETS = 64


def add_proof(document: Mapping[str, Any], key: SigningKey, *, created: str = "") -> dict[str, Any]:
    """The document with a proof by `key`; `created` as RFC 3339, when it is to be said."""
    options = {
        "type": _TYPE,
        "cryptosuite": _SUITE,
        **({"created": created} if created else {}),
        "verificationMethod": key.id,
        "proofPurpose": "assertionMethod",
        **({"@context": document["@context"]} if "@context" in document else {}),
    }
    signature = key.sign(_signed(document, options))
    return {**document, "proof": {**options, "proofValue": to_multibase(signature)}}


def check_proof(secured: Mapping[str, Any], key_of: Callable[[str], PublicKey | None]) -> tuple[dict[str, Any], str]:
    """The document without its proof, and the name of the key that signed it; `RefusedError` otherwise."""
    document = dict(secured)
    options = _options(document.pop("proof", None))
    if "@context" in options and options["@context"] != document.get("@context"):
        raise RefusedError(Check.HEADER, "the proof's @context is not the document's")
    value, key_id = options.pop("proofValue"), options["verificationMethod"]
    key = key_of(key_id)
    if key is None:
        raise RefusedError(Check.ISSUER, f"no trusted key has the name '{shown(key_id)}'")
    if not key.accepts(_signature(value), _signed(document, options)):
        raise RefusedError(Check.SIGNATURE, f"the proof is not that of '{shown(key_id)}'")
    return document, key_id


def _options(proof: object) -> dict[str, Any]:
    """The members of the one proof, when they say what we can honour and nothing more."""
    if not isinstance(proof, Mapping) or not _REQUIRED <= proof.keys() <= _MEMBERS:
        raise RefusedError(Check.HEADER, f"one proof with {', '.join(sorted(_REQUIRED))}, perhaps created, and no more")
    if not all(isinstance(proof[name], str) for name in proof.keys() - {"@context"}):
        raise RefusedError(Check.HEADER, "the members of a proof are texts")
    said = (proof["type"], proof["cryptosuite"], proof["proofPurpose"])
    if said != (_TYPE, _SUITE, "assertionMethod"):
        raise RefusedError(Check.HEADER, f"only {_TYPE} of {_SUITE} for assertionMethod is taken")
    return dict(proof)


def _signature(value: str) -> bytes:
    try:
        octets = from_multibase(value)
    except InvalidInputError as error:
        raise RefusedError(Check.SIGNATURE, f"the proof's value: {error}") from error
    if len(octets) != _SIGNATURE_OCTETS:
        raise RefusedError(Check.SIGNATURE, "an Ed25519 signature is 64 octets")
    return octets


def _signed(document: Mapping[str, Any], options: Mapping[str, Any]) -> bytes:
    return sha256(canonical(options)).digest() + sha256(canonical(document)).digest()
