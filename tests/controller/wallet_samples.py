"""A bank that issues wallets, a shop that holds one, an operator at whose door it is presented."""

from dataclasses import replace
from fractions import Fraction

from controller.model.money import Money
from controller.model.units import BitRate, Duration
from controller.negotiation import credential
from controller.negotiation.credential import StatusEntry
from controller.negotiation.holder import present
from controller.negotiation.jose import SigningKey
from controller.negotiation.ledger_state import LedgerState
from controller.negotiation.multibase import did_key_id, did_of
from controller.negotiation.status_list import LEAST_BITS, read_status_list, sign_status_list
from controller.negotiation.trust import Trust
from controller.negotiation.verification import Asked, Door
from controller.negotiation.wallet import ClassTerms, DelegationRules, ServiceLevelFloor, Wallet, WalletTerms

NOW = 1_800_000_000
DAY = 86_400
BANK, OPERATOR = "did:web:bank.example", "did:web:operator.example"
LIST = "https://bank.example/status/1"
BANK_KEY = SigningKey.of(f"{BANK}#key-1", bytes([1] * 32))


def party(number):
    """A holder with a did:key: its name and its key."""
    raw = bytes([number] * 32)
    did = did_of(SigningKey.of("", raw).public)
    return did, SigningKey.of(did_key_id(did), raw)


SHOP, SHOP_KEY = party(2)
RETAIL, RETAIL_KEY = party(3)
WHOLESALE, WHOLESALE_KEY = party(4)
CARRIER, CARRIER_KEY = party(5)


def euro(text):
    return Money.parse(text, "EUR")


TERMS = WalletTerms(
    ceiling=euro("500.00"),
    classes={
        "premium": ClassTerms(euro("200.00"), Fraction(3, 2)),
        "bulk": ClassTerms(None, Fraction(1, 10)),
        "burst": ClassTerms(),
    },
    valid_from=NOW - DAY,
    valid_until=NOW + 30 * DAY,
    floor=ServiceLevelFloor(BitRate(10_000_000), Duration(50_000), Fraction("0.999")),
    maximum_rate_per_hour=euro("400.00"),
    delegation=DelegationRules(2),
)
ROOT = Wallet("urn:uuid:1", f"{BANK}/line-7", BANK, SHOP, TERMS)
STATUS = StatusEntry(LIST, 42)


def narrower(parent, holder, name, **changes):
    """A child of a wallet, narrower where `changes` do not say otherwise."""
    rules = parent.terms.delegation
    terms = {
        "ceiling": parent.terms.ceiling.times(Fraction(1, 2)),
        "delegation": DelegationRules(max(0, rules.depth - 1)),
    }
    return Wallet(
        f"urn:uuid:{name}",
        f"{parent.envelope}/{name}",
        parent.holder,
        holder,
        replace(parent.terms, **{**terms, **changes}),
        parent.id,
    )


CHILD = narrower(ROOT, RETAIL, "retail")
GRANDCHILD = narrower(CHILD, WHOLESALE, "wholesale")


def root_token(wallet=ROOT, key=BANK_KEY, status=STATUS):
    return credential.issue(wallet, key, status)


def chain_tokens(length=3):
    """The credentials of a chain: the root's and those delegated from it."""
    wallets = [(ROOT, BANK_KEY, STATUS), (CHILD, SHOP_KEY, None), (GRANDCHILD, RETAIL_KEY, None)]
    return [credential.issue(*each) for each in wallets[:length]]


def asked(**changes):
    level = ServiceLevelFloor(BitRate(50_000_000), Duration(20_000), Fraction("0.9999"))
    return replace(Asked("intent-digest", "premium", NOW, NOW + 3600, level), **changes)


def presented(tokens=None, key=SHOP_KEY, **changes):
    """The text of a presentation."""
    said = {"audience": OPERATOR, "intent": "intent-digest", "nonce": "n-1", "now": NOW, **changes}
    return present(tokens or [root_token()], key, **said).text()


def status_list(bits=bytes(LEAST_BITS // 8), read_at=NOW, trust=None, valid_from=NOW - 10, valid_until=NOW + DAY):
    signed = sign_status_list(bits, LIST, BANK_KEY, valid_from, valid_until)
    return read_status_list(signed, LIST, trust or TRUST, read_at)


TRUST = Trust({BANK: {BANK_KEY.id: BANK_KEY.public}}, {}, {LIST: BANK})


def door(**changes):
    lists = {LIST: status_list()}
    return replace(Door(OPERATOR, TRUST, lists.get, LedgerState(), {"premium", "bulk", "burst"}), **changes)
