"""Owns whom we believe: the issuers of root wallets, their pinned keys and status lists, and parties with known keys.

Keys are pinned by the operator of this daemon; nothing in a credential adds one. The addresses of status lists stand
here too, so that no credential makes us fetch what its author chose.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.negotiation.jose import PublicKey
from controller.negotiation.multibase import controller_of, key_in


@dataclass(frozen=True, slots=True)
class Trust:
    """`issuers`: by DID, the names of keys that sign root wallets and status lists; `parties`: keys of holders.

    `status_lists`: by address, the DID that signs the list which is found there.
    """

    issuers: Mapping[str, Mapping[str, PublicKey]]
    parties: Mapping[str, PublicKey] = field(default_factory=dict)
    status_lists: Mapping[str, str] = field(default_factory=dict)

    def issuer_key(self, key_id: str) -> PublicKey | None:
        """The key, when it is one of an issuer we believe."""
        return self.issuers.get(controller_of(key_id), {}).get(key_id)

    def key_of_party(self, key_id: str, party: str) -> PublicKey | None:
        """The key, when it is this party's: known here, or written in the party's did:key."""
        if controller_of(key_id) != party:
            return None
        return self.parties.get(key_id) or self.issuer_key(key_id) or key_in(key_id)

    def status_list_key(self, key_id: str, address: str) -> PublicKey | None:
        """The key, when it is one of whoever signs the list at this address."""
        signer = self.status_lists.get(address)
        return None if signer is None else self.key_of_party(key_id, signer)
