"""Owns holder binding: a wallet is presented with a proof that its holder has its key, for one intent and one operator.

The proof is a signed token over the digest of the intent, the digests of every credential presented, the audience, a
short time, and a nonce that is taken once. A wallet that was overheard is of no use, nor is a presentation for
another intent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from controller.model.errors import InvalidInputError
from controller.negotiation import jose
from controller.negotiation.checks import Check, RefusedError
from controller.negotiation.credential import MOST_OCTETS as MOST_CREDENTIAL_OCTETS
from controller.negotiation.credential import Credential, digest_of
from controller.negotiation.jose import KeyOf, SigningKey, TokenRefusedError
from controller.negotiation.multibase import controller_of
from controller.negotiation.strict_json import read_object
from controller.negotiation.wallet import MOST_DEPTH
from controller.negotiation.wallet_codec import members, text, texts, whole

KIND = "wallet-proof+jwt"
MOST_PROOF_OCTETS = 4_096
MOST_OCTETS = (MOST_DEPTH + 1) * MOST_CREDENTIAL_OCTETS * 2 + MOST_PROOF_OCTETS
LONGEST_SECONDS = 300
_MEMBERS = {"iss", "aud", "iat", "exp", "nonce", "intent", "credentials"}
_LATEST = 2**40


@dataclass(frozen=True, slots=True)
class Presentation:
    """The credentials of a wallet, the root's first, and the holder's proof; empty where it is only being looked at."""

    credentials: tuple[str, ...] = field(repr=False)
    proof: str = field(default="", repr=False)

    def text(self) -> str:
        """The form in which it rides with an intent."""
        return orjson.dumps({"credentials": list(self.credentials), "proof": self.proof}).decode()


@dataclass(frozen=True, slots=True)
class Proof:
    """What a holder signed."""

    holder: str
    audience: str
    issued: int
    expires: int
    nonce: str
    intent: str
    credentials: tuple[str, ...]


def read_presentation(said: str) -> Presentation:
    """The parts of a presentation, each within its size; `RefusedError` otherwise."""
    if len(said) > MOST_OCTETS:
        raise RefusedError(Check.SIZE, f"a presentation is at most {MOST_OCTETS} octets, not {len(said)}")
    try:
        found = members(read_object(said.encode()), "presentation", {"credentials", "proof"}, {"credentials"})
    except (InvalidInputError, UnicodeEncodeError) as error:
        raise RefusedError(Check.FORM, f"the presentation: {error}") from error
    credentials, proof = found["credentials"], found.get("proof", "")
    if not isinstance(credentials, list) or not isinstance(proof, str):
        raise RefusedError(Check.FORM, "a presentation is a list of credentials and a proof")
    if not all(isinstance(each, str) for each in credentials) or not credentials:
        raise RefusedError(Check.FORM, "the credentials of a presentation are texts")
    if len(credentials) > MOST_DEPTH + 1:
        raise RefusedError(Check.SIZE, f"a wallet is delegated at most {MOST_DEPTH} times")
    if max(map(len, credentials)) > MOST_CREDENTIAL_OCTETS or len(proof) > MOST_PROOF_OCTETS:
        raise RefusedError(Check.SIZE, f"a credential is at most {MOST_CREDENTIAL_OCTETS} octets, a proof less")
    return Presentation(tuple(credentials), proof)


def present(
    credentials: Sequence[str],
    key: SigningKey,
    *,
    audience: str,
    intent: str,
    nonce: str,
    now: float,
    seconds: int = 60,
) -> Presentation:
    """Present a wallet to one operator for one intent (its digest), with a nonce that was never used before."""
    if not 0 < seconds <= LONGEST_SECONDS:
        raise InvalidInputError(f"a presentation lives from 1 to {LONGEST_SECONDS} seconds")
    claims = {
        "iss": controller_of(key.id),
        "aud": audience,
        "iat": int(now),
        "exp": int(now) + seconds,
        "nonce": nonce,
        "intent": intent,
        "credentials": [digest_of(each) for each in credentials],
    }
    return Presentation(tuple(credentials), jose.sign(orjson.dumps(claims), key, kind=KIND))


def read_proof(proof: str, key_of: KeyOf) -> Proof:
    """What the holder signed; `RefusedError` when it was not a holder's key, or says more or less than it should."""
    if not proof:
        raise RefusedError(Check.HOLDER, "there is no proof of the holder's")
    try:
        token = jose.verify(proof, key_of, kind=KIND, max_octets=MOST_PROOF_OCTETS)
        claims: Any = members(token.document, "proof", _MEMBERS, _MEMBERS)
        return Proof(
            holder=text(claims["iss"], "iss"),
            audience=text(claims["aud"], "aud"),
            issued=whole(claims["iat"], "iat", _LATEST),
            expires=whole(claims["exp"], "exp", _LATEST),
            nonce=text(claims["nonce"], "nonce"),
            intent=text(claims["intent"], "intent"),
            credentials=texts(claims["credentials"], "credentials"),
        )
    except TokenRefusedError as error:
        is_strange = error.fault is jose.Fault.KEY
        why = "no trusted key of the wallet's holder has signed it" if is_strange else error.message
        raise RefusedError(Check.HOLDER, f"the holder's proof: {why}") from error
    except InvalidInputError as error:
        raise RefusedError(Check.HOLDER, f"the holder's proof: {error}") from error


def require_bound(
    proof: Proof, chain: Sequence[Credential], *, audience: str, intent: str, now: float, skew_seconds: float
) -> None:
    """Pass when the proof is for these credentials, this intent, this operator and this time."""
    faults = {
        "it is not signed by the wallet's holder": proof.holder != chain[-1].wallet.holder,
        "it is for another operator": proof.audience != audience,
        "it is for another intent": proof.intent != intent,
        "it is for other credentials": proof.credentials != tuple(each.digest for each in chain),
        f"it lives longer than {LONGEST_SECONDS} seconds": not 0 < proof.expires - proof.issued <= LONGEST_SECONDS,
        "it is from the future; is a clock wrong?": proof.issued > now + skew_seconds,
        "its time is over; is a clock wrong?": proof.expires <= now - skew_seconds,
    }
    for fault, is_so in faults.items():
        if is_so:
            raise RefusedError(Check.HOLDER, f"the holder's proof: {fault}")
