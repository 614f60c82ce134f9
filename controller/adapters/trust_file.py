"""Owns the trust registry as a file: whose wallets are taken, with which keys, and whose status lists.

issuers:
  did:web:bank.example:
    keys: {"did:web:bank.example#key-1": z6Mk...}
    status_lists: {"https://bank.example/status/1": bank-status.jwt}   # a file beside this one, or empty: fetched
parties:                                         # may not issue roots; said where one has no did:key, or has a list
  did:web:shop.example:
    keys: {"did:web:shop.example#key-1": z6Mk...}
    status_lists: {"https://shop.example/status": ""}
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.adapters.yaml_files import read_mapping
from controller.model.errors import InvalidInputError
from controller.negotiation.jose import PublicKey
from controller.negotiation.multibase import controller_of, from_multikey
from controller.negotiation.trust import Trust
from controller.negotiation.wallet import require_did


class _Party(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: dict[str, str] = Field(default_factory=dict)
    status_lists: dict[str, str | None] = Field(default_factory=dict)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    issuers: dict[str, _Party] = Field(default_factory=dict)
    parties: dict[str, _Party] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrustFile:
    """Whom we believe, and where each status list comes from: a file, or None for its own address."""

    trust: Trust
    sources: dict[str, Path | None]


def load_trust(path: Path) -> TrustFile:
    """Read the registry; `InvalidInputError` names the entry that is wrong."""
    try:
        file = _File.model_validate(read_mapping(path))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInputError(f"{path}: {where}: {first['msg']}", path=where) from None
    issuers = {did: _keys(did, party.keys) for did, party in file.issuers.items()}
    parties = {key_id: key for did, party in file.parties.items() for key_id, key in _keys(did, party.keys).items()}
    lists: dict[str, str] = {}
    sources: dict[str, Path | None] = {}
    for did, party in (*file.issuers.items(), *file.parties.items()):
        for address, name in party.status_lists.items():
            if lists.setdefault(address, did) != did:
                raise InvalidInputError(f"{path}: two parties have the status list '{address}'", path=address)
            sources[address] = path.parent / name if name else None
    return TrustFile(Trust(issuers, parties, lists), sources)


def _keys(did: str, written: dict[str, str]) -> dict[str, PublicKey]:
    require_did(did)
    for key_id in written:
        if controller_of(key_id) != did or key_id == did:
            raise InvalidInputError(f"the key '{key_id}' of '{did}' is named '{did}#NAME'", path=key_id)
    return {key_id: from_multikey(key_id, text) for key_id, text in written.items()}
