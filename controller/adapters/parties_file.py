"""Owns the file of parties: the domains of negotiation that this process acts for, their keys, and the others.

here:
  bss: {identity: keys/bss}                    # directories made by `accord wallet init`
  oss: {identity: keys/oss}
  enterprise: {identity: keys/bank, wallets: [wallet.json]}
peers:                                         # parties in other processes
  did:web:shop.example: {domain: enterprise, key: z6Mk.., key_id: "did:web:shop.example#key-1", url: https://...}
customers:                                     # whose VPNs a party elsewhere may have carried; one here: anybody's
  did:web:shop.example: [shop]
trust: trust.yaml                              # whose wallets are taken (`adapters.trust_file`)
catalogue: catalogue                           # what is sold; without it the one that comes with accord
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.adapters.trust_file import TrustFile, load_trust
from controller.adapters.wallet_files import Identity, load_identity
from controller.adapters.yaml_files import read_mapping
from controller.model.errors import InvalidInputError
from controller.negotiation.holder import read_presentation
from controller.negotiation.jose import PublicKey
from controller.negotiation.multibase import controller_of, from_multikey
from controller.negotiation.roles import Domain
from controller.negotiation.trust import Trust


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Here(_Strict):
    identity: Path
    wallets: tuple[Path, ...] = ()


class _Peer(_Strict):
    domain: Domain
    key: str
    key_id: str
    url: str = ""


class _File(_Strict):
    here: dict[Domain, _Here] = Field(default_factory=dict)
    peers: dict[str, _Peer] = Field(default_factory=dict)
    customers: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    trust: Path | None = None
    catalogue: Path | None = None


@dataclass(frozen=True, slots=True)
class PartyHere:
    """A party of this process. `wallets`: the credentials of each that it holds, the root's first."""

    domain: Domain
    identity: Identity
    wallets: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Parties:
    """Everybody who negotiates. `usual`: the party of each domain that is spoken to where nobody else is named."""

    here: tuple[PartyHere, ...]
    keys: dict[str, PublicKey]
    urls: dict[str, str]
    usual: dict[Domain, str]
    domains: dict[str, Domain]
    """By party: the one domain that it speaks for."""
    registry: TrustFile
    catalogue: Path | None = None
    customers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By party: the customer names whose VPNs are its own."""

    def may_carry(self, party: str, customer: str) -> bool:
        """Whether a party decides which way a customer's VPNs go."""
        return customer in self.customers.get(party, ()) or any(party == one.identity.did for one in self.here)

    def key_of(self, key_id: str) -> PublicKey | None:
        """The key of a party that is known here."""
        return self.keys.get(key_id)


def load_parties(path: Path) -> Parties:
    """Read the file with what it names; `InvalidInputError` says what is wrong where."""
    try:
        file = _File.model_validate(read_mapping(path))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInputError(f"{path}: {where}: {first['msg']}", path=where) from None
    base = path.parent
    here = tuple(_here(base, domain, each) for domain, each in file.here.items())
    keys = {party.identity.key.id: party.identity.key.public for party in here}
    for did, peer in file.peers.items():
        if controller_of(peer.key_id) != did:
            raise InvalidInputError(f"the key '{peer.key_id}' of '{did}' is named '{did}#NAME'", path=did)
        keys[peer.key_id] = from_multikey(peer.key_id, peer.key)
    if strangers := sorted(file.customers.keys() - file.peers.keys()):
        raise InvalidInputError(f"customers: '{strangers[0]}' is no party among the peers", path="customers")
    usual = {peer.domain: did for did, peer in file.peers.items()} | {p.domain: p.identity.did for p in here}
    written = load_trust(base / file.trust) if file.trust else TrustFile(Trust({}), {})
    # Whoever is a party may hold a wallet: its key is known here.
    registry = replace(written, trust=replace(written.trust, parties={**written.trust.parties, **keys}))
    return Parties(
        here,
        keys,
        {did: peer.url for did, peer in file.peers.items() if peer.url},
        usual,
        {did: peer.domain for did, peer in file.peers.items()} | {p.identity.did: p.domain for p in here},
        registry,
        base / file.catalogue if file.catalogue else None,
        file.customers,
    )


def _here(base: Path, domain: Domain, said: _Here) -> PartyHere:
    wallets = []
    for path in said.wallets:
        try:
            wallets.append(read_presentation((base / path).read_text(encoding="utf-8")).credentials)
        except OSError as error:
            raise InvalidInputError(f"cannot read the wallet: {error.strerror}", path=str(base / path)) from error
    return PartyHere(domain, load_identity(base / said.identity), tuple(wallets))
