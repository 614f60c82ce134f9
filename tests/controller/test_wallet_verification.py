"""A good wallet is admitted with its terms; its dates, status, holder, policy, parents and ledger are looked at."""

from dataclasses import replace
from fractions import Fraction

import pytest

from controller.model.units import BitRate, Duration
from controller.negotiation import credential
from controller.negotiation.checks import Check, Refusal
from controller.negotiation.credential import StatusEntry
from controller.negotiation.delegation import widened
from controller.negotiation.jose import SigningKey
from controller.negotiation.ledger import EntryKind, Order
from controller.negotiation.ledger_state import LedgerState
from controller.negotiation.status_list import LEAST_BITS, revoked
from controller.negotiation.trust import Trust
from controller.negotiation.verification import Admitted
from controller.negotiation.wallet import DelegationRules, ServiceLevelFloor
from tests.controller.wallet_presentations import refused_by, signed_document, verdict, with_terms
from tests.controller.wallet_samples import (
    BANK,
    BANK_KEY,
    CARRIER,
    CARRIER_KEY,
    CHILD,
    DAY,
    GRANDCHILD,
    LIST,
    NOW,
    OPERATOR,
    RETAIL,
    RETAIL_KEY,
    ROOT,
    SHOP,
    SHOP_KEY,
    STATUS,
    TRUST,
    WHOLESALE_KEY,
    asked,
    chain_tokens,
    door,
    euro,
    narrower,
    presented,
    root_token,
    status_list,
)

# -- what passes -----------------------------------------------------------------------------------------------------


def test_a_good_wallet_is_admitted_with_its_terms():
    found = verdict(presented())
    assert found == Admitted((ROOT,), asked())
    assert (found.root, found.wallet.terms.limit_of("premium")) == (f"{BANK}/line-7", euro("300.00"))


def test_a_wallet_with_an_embedded_proof_is_admitted_too():
    text = credential.issue_with_proof(ROOT, BANK_KEY, STATUS, created=NOW)
    assert verdict(presented([text])) == Admitted((ROOT,), asked())


def test_a_chain_of_delegations_is_admitted_for_its_last_holder():
    found = verdict(presented(chain_tokens(), WHOLESALE_KEY))
    assert found.chain == (ROOT, CHILD, GRANDCHILD)
    assert found.wallet.holder == GRANDCHILD.holder


def test_class_limits_are_multiplied_and_never_over_the_ceiling():
    limits = {name: ROOT.terms.limit_of(name) for name in ROOT.terms.classes}
    assert limits == {"premium": euro("300.00"), "bulk": euro("50.00"), "burst": euro("500.00")}


# -- one thing after another -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("faults", range(5))
def test_of_several_faults_the_earliest_check_is_named(faults):
    """Each step mends the first fault that was named, and the next one shows."""
    wallet = with_terms(valid_until=NOW + 1800 if faults >= 1 else NOW - 100)
    token = root_token(wallet, BANK_KEY, STATUS if faults >= 2 else None)
    key = SHOP_KEY if faults >= 3 else RETAIL_KEY
    ends = NOW + (600 if faults >= 4 else 3600)
    found = verdict(presented([token], key), ends=ends)
    named = found.check if isinstance(found, Refusal) else None
    assert named == [Check.DATES, Check.STATUS, Check.HOLDER, Check.POLICY, None][faults]


# -- status ----------------------------------------------------------------------------------------------------------


def with_list(found):
    return door(status={LIST: found}.get)


def test_a_revoked_wallet_is_refused_and_its_neighbours_are_not():
    bits = bytes(LEAST_BITS // 8)
    assert refused_by(presented(), at=with_list(status_list(revoked(bits, 42)))) is Check.STATUS
    for neighbour in (41, 43):
        assert isinstance(verdict(presented(), at=with_list(status_list(revoked(bits, neighbour)))), Admitted)


@pytest.mark.parametrize("age, is_taken", [(0, True), (299, True), (300, False), (10_000, False)])
def test_a_list_is_believed_for_its_time_and_no_longer(age, is_taken):
    found = verdict(presented(), at=with_list(status_list(read_at=NOW - age)))
    assert isinstance(found, Admitted) is is_taken
    assert is_taken or found.check is Check.STATUS


@pytest.mark.parametrize("times", [{"valid_until": NOW}, {"valid_from": NOW + 31}])
def test_a_list_outside_of_its_own_dates_is_refused(times):
    assert refused_by(presented(), at=with_list(status_list(**times))) is Check.STATUS


def test_without_a_list_nothing_is_admitted():
    assert refused_by(presented(), at=with_list(None)) is Check.STATUS


def test_a_child_with_a_status_is_refused_unless_its_own_issuer_signs_that_list():
    tokens = [root_token(), credential.issue(CHILD, SHOP_KEY, StatusEntry(LIST, 1))]
    assert refused_by(presented(tokens, RETAIL_KEY)) is Check.STATUS


# -- holder ----------------------------------------------------------------------------------------------------------


def test_a_presentation_is_taken_once():
    at = door()
    assert isinstance(verdict(presented(), at=at), Admitted)
    assert refused_by(presented(), at=at) is Check.HOLDER
    assert isinstance(verdict(presented(nonce="n-2"), at=at), Admitted)


def test_nonces_are_each_holders_own():
    at = door()
    assert isinstance(verdict(presented(), at=at), Admitted)
    assert isinstance(verdict(presented(chain_tokens(2), RETAIL_KEY), at=at), Admitted)


def test_a_forged_proof_does_not_use_up_a_nonce():
    at = door()
    forger = SigningKey.of(SHOP_KEY.id, bytes([9] * 32))
    assert refused_by(presented(key=forger), at=at) is Check.HOLDER
    assert isinstance(verdict(presented(), at=at), Admitted)


@pytest.mark.parametrize("skew, is_taken", [(-29, True), (29, True), (-31, False), (91, False)])
def test_clocks_may_differ_by_the_skew_and_no_more(skew, is_taken):
    found = verdict(presented(), now=NOW + skew)
    assert isinstance(found, Admitted) is is_taken
    assert is_taken or found.check is Check.HOLDER


def test_a_holder_with_a_known_key_needs_no_did_key():
    shop, key = "did:web:shop.example", SigningKey.of("did:web:shop.example#1", bytes([7] * 32))
    trust = Trust(TRUST.issuers, {key.id: key.public}, TRUST.status_lists)
    text = presented([root_token(replace(ROOT, holder=shop))], key)
    assert isinstance(verdict(text, at=door(trust=trust)), Admitted)
    assert refused_by(text) is Check.HOLDER


# -- policy ----------------------------------------------------------------------------------------------------------

LEVEL = asked().level


@pytest.mark.parametrize(
    "changes",
    [
        {"workload_class": "unknown"},
        {"workload_class": "standard"},
        {"workload_class": "\ud800"},
        {"starts": NOW - 2 * DAY},
        {"ends": NOW + 31 * DAY},
        {"ends": NOW},
        {"ends": float("nan")},
        {"starts": float("nan")},
        {"ends": float("inf")},
        {"level": replace(LEVEL, bandwidth=BitRate(9_999_999))},
        {"level": replace(LEVEL, latency=Duration(50_001))},
        {"level": replace(LEVEL, availability=Fraction("0.9989"))},
        {"level": ServiceLevelFloor()},
    ],
    ids=str,
)
def test_what_the_wallet_does_not_pay_for_is_refused_by_policy(changes):
    at = door(catalogue_classes={"premium", "standard"})
    assert refused_by(presented(), at=at, **changes) is Check.POLICY


def test_a_level_at_the_floor_is_honoured():
    assert isinstance(verdict(presented(), level=ROOT.terms.floor), Admitted)


# -- delegation ------------------------------------------------------------------------------------------------------

LATER = NOW + 30 * DAY + 1
WIDER = {
    "ceiling": {"ceiling": euro("500.01")},
    "maximum rate": {"maximum_rate_per_hour": euro("400.01")},
    "no maximum rate": {"maximum_rate_per_hour": None},
    "earlier": {"valid_from": NOW - DAY - 1},
    "later": {"valid_until": LATER},
    "slower floor": {"floor": replace(ROOT.terms.floor, bandwidth=BitRate(9_999_999))},
    "later floor": {"floor": replace(ROOT.terms.floor, latency=Duration(50_001))},
    "no floor": {"floor": ServiceLevelFloor()},
    "deeper": {"delegation": DelegationRules(2)},
    "another class": {"classes": {**ROOT.terms.classes, "gold": ROOT.terms.classes["burst"]}},
    "a class ceiling": {"classes": {"premium": replace(ROOT.terms.classes["premium"], ceiling=euro("200.01"))}},
    "no class ceiling": {"classes": {"premium": replace(ROOT.terms.classes["premium"], ceiling=None)}},
    "a multiplier": {"classes": {"premium": replace(ROOT.terms.classes["premium"], multiplier=Fraction("1.6"))}},
}


@pytest.mark.parametrize("name", WIDER)
def test_a_child_wider_than_its_parent_in_one_term_is_refused(name):
    child = narrower(ROOT, RETAIL, "retail", **WIDER[name])
    assert refused_by(presented([root_token(), credential.issue(child, SHOP_KEY)], RETAIL_KEY)) is Check.POLICY


@pytest.mark.parametrize(
    "child",
    [
        replace(CHILD, parent="urn:uuid:other"),
        replace(CHILD, envelope=f"{BANK}/line-8/retail"),
        replace(CHILD, envelope=f"{BANK}/line-7"),
        replace(CHILD, envelope=f"{BANK}/line-7/a/b"),
    ],
    ids=["another parent", "another root", "its parent's own envelope", "skips one"],
)
def test_a_child_of_another_line_is_refused(child):
    assert refused_by(presented([root_token(), credential.issue(child, SHOP_KEY)], RETAIL_KEY)) is Check.POLICY


@pytest.mark.parametrize("operators", [frozenset(), frozenset({OPERATOR, CARRIER})], ids=["anybody", "one more"])
def test_a_child_is_not_spent_at_more_operators_than_its_parent(operators):
    root = with_terms(operators=frozenset({OPERATOR}))
    child = narrower(root, RETAIL, "retail", operators=operators)
    answer = verdict(presented([root_token(root), credential.issue(child, SHOP_KEY)], RETAIL_KEY))
    assert isinstance(answer, Refusal)
    assert (answer.check, "operators" in answer.text) == (Check.POLICY, True)


def test_who_may_delegate_to_named_holders_does_not_let_others_delegate_to_anybody():
    root = with_terms(delegation=DelegationRules(2, frozenset({RETAIL})))
    child = narrower(root, RETAIL, "retail", delegation=DelegationRules(1))
    answer = verdict(presented([root_token(root), credential.issue(child, SHOP_KEY)], RETAIL_KEY))
    assert isinstance(answer, Refusal)
    assert (answer.check, "holders" in answer.text) == (Check.POLICY, True)


def test_only_the_holder_of_a_wallet_delegates_from_it():
    stolen = replace(CHILD, issuer=CARRIER)
    tokens = [root_token(), credential.issue(stolen, CARRIER_KEY)]
    assert refused_by(presented(tokens, RETAIL_KEY)) is Check.ISSUER


def test_a_child_issued_by_another_than_the_holder_is_wider_than_its_parent():
    assert widened(CHILD, ROOT) == ""
    assert "holder" in widened(replace(CHILD, issuer=CARRIER), ROOT)


def test_one_trusted_issuer_does_not_sign_in_the_name_of_another():
    other = "did:web:other.example"
    trust = replace(TRUST, issuers={**TRUST.issuers, other: {f"{other}#1": SHOP_KEY.public}})
    forged = signed_document(
        lambda document: [
            document.update(issuer=other),
            document["credentialSubject"].update(envelope=f"{other}/line-7"),
        ]
    )
    assert refused_by(presented([forged]), at=door(trust=trust)) is Check.ISSUER


def test_a_chain_does_not_begin_with_a_child():
    trust = replace(TRUST, issuers={**TRUST.issuers, SHOP: {SHOP_KEY.id: SHOP_KEY.public}})
    text = presented([credential.issue(CHILD, SHOP_KEY, STATUS)], RETAIL_KEY)
    assert refused_by(text, at=door(trust=trust)) is Check.ISSUER


def test_nobody_delegates_below_the_depth_that_the_root_allows():
    last = replace(narrower(GRANDCHILD, CARRIER, "carrier"), issuer=GRANDCHILD.holder)
    tokens = [*chain_tokens(), credential.issue(last, WHOLESALE_KEY)]
    assert refused_by(presented(tokens, CARRIER_KEY)) is Check.POLICY


def test_a_wallet_may_be_delegated_to_named_holders_only():
    root = with_terms(delegation=DelegationRules(1, frozenset({CARRIER})))
    child = narrower(root, RETAIL, "retail")
    assert refused_by(presented([root_token(root), credential.issue(child, SHOP_KEY)], RETAIL_KEY)) is Check.POLICY
    child = narrower(root, CARRIER, "retail")
    found = verdict(presented([root_token(root), credential.issue(child, SHOP_KEY)], CARRIER_KEY))
    assert isinstance(found, Admitted)


def test_a_child_falls_with_its_root():
    bits = revoked(bytes(LEAST_BITS // 8), 42)
    assert refused_by(presented(chain_tokens(), WHOLESALE_KEY), at=with_list(status_list(bits))) is Check.STATUS


# -- ledger ----------------------------------------------------------------------------------------------------------


def spent(ledger, chain, amount, workload_class="burst", reservation="r-1"):
    order = Order.reserve(chain, workload_class, reservation=reservation, key=reservation, amount=euro(amount))
    answer = ledger.post(order, NOW)
    assert not isinstance(answer, Refusal), answer


def without_rate(wallet):
    return replace(wallet, terms=replace(wallet.terms, maximum_rate_per_hour=None))


def test_a_wallet_with_nothing_left_is_refused_by_the_ledger_whatever_paper_it_is_written_on():
    ledger = LedgerState()
    spent(ledger, [without_rate(ROOT)], "500.00")
    fork = replace(ROOT, id="urn:uuid:fork")
    for number, token in enumerate([root_token(), root_token(fork)]):
        assert refused_by(presented([token], nonce=f"n{number}"), at=door(ledger=ledger)) is Check.LEDGER
    assert refused_by(presented(chain_tokens(), WHOLESALE_KEY), at=door(ledger=ledger)) is Check.LEDGER


def test_a_class_with_nothing_left_is_refused_while_others_are_taken():
    ledger = LedgerState()
    spent(ledger, [ROOT], "300.00", "premium")
    at = door(ledger=ledger)
    assert refused_by(presented(), at=at) is Check.LEDGER
    assert isinstance(verdict(presented(nonce="n-2"), at=at, workload_class="burst"), Admitted)


def test_what_a_child_spent_is_spent_of_its_root_and_a_released_one_is_back():
    ledger = LedgerState()
    spent(ledger, [ROOT, CHILD], "250.00")
    at = door(ledger=ledger)
    assert refused_by(presented(chain_tokens(2), RETAIL_KEY, nonce="c"), at=at) is Check.LEDGER
    assert isinstance(verdict(presented(nonce="r"), at=at), Admitted)
    ledger.post(Order.of(EntryKind.RELEASE, ROOT.root, reservation="r-1", key="k"), NOW)
    assert isinstance(verdict(presented(chain_tokens(2), RETAIL_KEY, nonce="d"), at=at), Admitted)


def test_a_root_is_counted_in_one_currency():
    ledger = LedgerState()
    spent(ledger, [ROOT], "1.00")
    yen = with_terms(
        ceiling=replace(euro("5.00"), currency="JPY"),
        classes={"premium": ROOT.terms.classes["burst"]},
        maximum_rate_per_hour=None,
    )
    assert refused_by(presented([root_token(yen)]), at=door(ledger=ledger)) is Check.LEDGER
