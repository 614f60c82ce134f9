"""The file of parties: who is here, who is elsewhere, and whose VPNs those may have carried."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.adapters.parties_file import load_parties
from controller.adapters.wallet_files import load_identity
from controller.model.errors import InvalidInputError
from controller.negotiation.multibase import multikey
from tests.e2e.negotiating import PARTIES, Keys, make_keys

BANK, BUSINESS = PARTIES["enterprise"], PARTIES["bss"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys") / "keys")


def written(keys: Keys, directory: Path, **more: Any) -> Path:
    """The network's process: the bank is elsewhere."""
    identity = load_identity(keys.directory / "enterprise")
    bank = {"domain": "enterprise", "key_id": identity.key.id, "key": multikey(identity.key.public)}
    here = {name: {"identity": str(keys.directory / name)} for name in ("bss", "oss")}
    file = directory / "parties.yaml"
    file.write_text(yaml.safe_dump({"here": here, "peers": {BANK: bank}, **more}))
    return file


def test_a_party_elsewhere_has_the_vpns_of_its_own_customers_only(keys: Keys, tmp_path: Path) -> None:
    parties = load_parties(written(keys, tmp_path, customers={BANK: ["acme"]}))
    assert parties.may_carry(BANK, "acme")
    assert not parties.may_carry(BANK, "globex")
    assert not parties.may_carry("did:web:rival.example", "acme")


def test_a_party_elsewhere_that_no_customer_is_listed_for_has_none(keys: Keys, tmp_path: Path) -> None:
    assert not load_parties(written(keys, tmp_path)).may_carry(BANK, "acme")


def test_a_party_of_this_process_may_have_any_vpn_carried(keys: Keys, tmp_path: Path) -> None:
    assert load_parties(written(keys, tmp_path)).may_carry(BUSINESS, "acme")


def test_customers_of_somebody_unknown_are_refused(keys: Keys, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"customers: 'did:web:nobody\.example' is no party among the peers"):
        load_parties(written(keys, tmp_path, customers={"did:web:nobody.example": ["acme"]}))
