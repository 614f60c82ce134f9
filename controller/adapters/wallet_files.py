"""Owns the files of who issues and holds wallets: a directory with a key, and an issuer's list of what it revoked.

`key.pem` (PKCS #8, mode 0600) never leaves the directory and is never printed; `identity.json` says whose it is.
`status.jwt` is the signed status list, to be served at its address; `issued.json` says which place of it each wallet
has; `trust.yaml` is what an operator needs to take the issuer's wallets.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.adapters.secrets import require_private
from controller.model.errors import ConflictError, InvalidInputError, NotFoundError
from controller.negotiation.checks import RefusedError
from controller.negotiation.credential import StatusEntry
from controller.negotiation.jose import SigningKey
from controller.negotiation.multibase import did_key_id, did_of, multikey
from controller.negotiation.status_list import LEAST_BITS, read_status_list, revoked, sign_status_list
from controller.negotiation.strict_json import read_object
from controller.negotiation.trust import Trust
from controller.negotiation.wallet import require_did

LIST_SECONDS = 30 * 86_400
"""How long a status list that we sign is good; sign it anew before."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a directory belongs to. `status_list`: the address of its list, for one who issues root wallets."""

    directory: Path
    did: str
    key: SigningKey
    status_list: str = ""

    @property
    def public(self) -> dict[str, str]:
        """What may be shown."""
        said = {"did": self.did, "key_id": self.key.id, "public_key": multikey(self.key.public)}
        return {**said, **({"status_list": self.status_list} if self.status_list else {})}

    def trust_entry(self) -> str:
        """What an operator adds to its trust registry to take root wallets of this issuer."""
        lists = f'\n    status_lists: {{"{self.status_list}": status.jwt}}' if self.status_list else ""
        return f'issuers:\n  {self.did}:\n    keys: {{"{self.key.id}": {multikey(self.key.public)}}}{lists}\n'


def create_identity(directory: Path, did: str = "", status_list: str = "", *, now: float) -> Identity:
    """Make a directory with a new key; with no `did` its name is the key's own (did:key)."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (directory / "key.pem").exists():
        raise ConflictError("there is a key already; it is not overwritten", path=str(directory / "key.pem"))
    private = Ed25519PrivateKey.generate()
    own = did_of(SigningKey("", private).public)
    key_id = f"{require_did(did)}#key-1" if did else did_key_id(own)
    identity = Identity(directory, did or own, SigningKey(key_id, private), status_list)
    _write(directory / "identity.json", json.dumps({"did": identity.did, "key_id": key_id, "status_list": status_list}))
    if status_list:
        _write(directory / "issued.json", "{}")
        _write(directory / "trust.yaml", identity.trust_entry())
        _write_list(identity, bytes(LEAST_BITS // 8), now)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(directory / "key.pem", pem.decode("ascii"), mode=0o600)
    return identity


def load_identity(directory: Path) -> Identity:
    """Whose directory it is, with the key; refused when others may read the key."""
    said = _read_json(directory / "identity.json")
    path = directory / "key.pem"
    require_private(path)
    try:
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise InvalidInputError("this file holds no private key in PEM", path=str(path)) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise InvalidInputError("a wallet's key is an Ed25519 key", path=str(path))
    try:
        return Identity(directory, require_did(said["did"]), SigningKey(said["key_id"], private), said["status_list"])
    except KeyError as error:
        raise InvalidInputError(f"the file lacks {error}", path=str(directory / "identity.json")) from error


def allot(identity: Identity, wallet_id: str) -> StatusEntry:
    """A free place of the status list for a new wallet, at random, so that a place tells nothing of when."""
    with _alone(identity):
        places = _read_json(identity.directory / "issued.json")
        free = LEAST_BITS - len(places)
        if free < 1:
            raise ConflictError("the status list is full", remedy="begin another issuer directory with a new list")
        used = set(places.values())
        index = next(place for place in iter(lambda: secrets.randbelow(LEAST_BITS), None) if place not in used)
        _write(identity.directory / "issued.json", json.dumps({**places, wallet_id: index}))
    return StatusEntry(identity.status_list, index)


def revoke(identity: Identity, wallet_id: str, now: float) -> int:
    """Set the bit of a wallet and sign the list anew; with no wallet, only sign it anew. How many wallets it is of."""
    if not identity.status_list:
        raise InvalidInputError(
            "this directory has no status list",
            remedy="what was delegated from here ends with the wallet it is from, or at its time",
            path=str(identity.directory),
        )
    with _alone(identity):
        places = _read_json(identity.directory / "issued.json")
        if wallet_id and wallet_id not in places:
            raise NotFoundError("no wallet of this id was issued here", path=wallet_id)
        bits = _bits(identity)
        _write_list(identity, revoked(bits, places[wallet_id]) if wallet_id else bits, now)
    return len(places)


def new_id() -> str:
    """A name that no other wallet has."""
    return uuid4().urn


def new_nonce() -> str:
    """A nonce that was never used."""
    return secrets.token_urlsafe(16)


@contextmanager
def _alone(identity: Identity) -> Iterator[None]:
    """One process at a time changes an issuer's files; the next one waits."""
    descriptor = os.open(identity.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _bits(identity: Identity) -> bytes:
    """The bits of our own list, as it stands, once we see that we signed it."""
    path = identity.directory / "status.jwt"
    try:
        token = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise InvalidInputError(f"cannot read the status list: {error.strerror}", path=str(path)) from error
    own = Trust({identity.did: {identity.key.id: identity.key.public}}, {}, {identity.status_list: identity.did})
    try:
        return read_status_list(token, identity.status_list, own, 0).bits
    except RefusedError as error:
        raise InvalidInputError(f"this is not our status list: {error.refusal}", path=str(path)) from error


def _write_list(identity: Identity, bits: bytes, now: float) -> None:
    signed = sign_status_list(bits, identity.status_list, identity.key, int(now), int(now) + LIST_SECONDS)
    _write(identity.directory / "status.jwt", signed + "\n")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return read_object(path.read_bytes())
    except FileNotFoundError:
        raise NotFoundError(
            "this is no directory of an issuer or holder", remedy="make one: accord wallet init DIR", path=str(path)
        ) from None
    except InvalidInputError as error:
        raise replace(error, path=str(path)) from error


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    """Put a file in place whole, never half, and never readable by others before it is private."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
