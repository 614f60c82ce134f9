"""A bad wallet is refused by the name of the first check it does not pass, before any effort is spent."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.negotiation import credential, jose
from controller.negotiation.checks import Check, Refusal, Work
from controller.negotiation.credential import StatusEntry
from controller.negotiation.holder import KIND as PROOF
from controller.negotiation.holder import LONGEST_SECONDS, MOST_OCTETS, Presentation
from controller.negotiation.jose import SigningKey, decode, encode
from controller.negotiation.ledger_state import LedgerState
from controller.negotiation.multibase import to_multibase
from controller.negotiation.status_list import LEAST_BITS
from controller.negotiation.strict_json import canonical
from controller.negotiation.verification import Admitted, verify_wallet
from tests.controller.wallet_presentations import refused_by, signed_document, signed_text, verdict, with_terms
from tests.controller.wallet_samples import (
    BANK,
    BANK_KEY,
    GRANDCHILD,
    LIST,
    NOW,
    RETAIL,
    RETAIL_KEY,
    ROOT,
    SHOP,
    SHOP_KEY,
    STATUS,
    WHOLESALE_KEY,
    asked,
    chain_tokens,
    door,
    presented,
    root_token,
)

# -- what does not ---------------------------------------------------------------------------------------------------

FORGER = SigningKey.of(BANK_KEY.id, bytes([9] * 32))
STRANGER = SigningKey.of("did:web:stranger.example#key-1", bytes([9] * 32))
OLD = {"now": NOW - 400}

BAD = {
    "ten megabytes": (lambda: "x" * 10_000_000, Check.SIZE),
    "a credential of a megabyte": (lambda: Presentation(("x" * 1_000_000,)).text(), Check.SIZE),
    "a credential over its size": (lambda: Presentation(("x" * 20_000,)).text(), Check.SIZE),
    "too long a chain": (lambda: Presentation(("x",) * 9).text(), Check.SIZE),
    "a proof over its size": (lambda: Presentation((root_token(),), "x" * 5_000).text(), Check.SIZE),
    "no JSON": (lambda: "wallet", Check.FORM),
    "a lone surrogate": (lambda: '{"credentials":["\ud800"]}', Check.FORM),
    "an escaped surrogate": (lambda: '{"credentials":["\\ud800"]}', Check.FORM),
    "a key twice": (lambda: '{"credentials":["x"],"credentials":["y"]}', Check.FORM),
    "no credential": (lambda: '{"credentials":[]}', Check.FORM),
    "credentials that are numbers": (lambda: '{"credentials":[1]}', Check.FORM),
    "another kind of token": (lambda: presented([presented_proof()]), Check.HEADER),
    "an unknown algorithm": (lambda: presented([with_header(alg="none")]), Check.HEADER),
    "a header that must be understood": (lambda: presented([with_header(crit=["x"])]), Check.HEADER),
    "a key in the header": (lambda: presented([with_header(jwk={})]), Check.HEADER),
    "an issuer nobody trusts": (lambda: presented([root_token(by_stranger(), STRANGER)]), Check.ISSUER),
    "a holder who issues to himself": (lambda: presented([root_token(by_shop(), SHOP_KEY)]), Check.ISSUER),
    "an envelope of another issuer": (
        lambda: presented([signed_document(lambda d: d["credentialSubject"].update(envelope="did:web:x.example/a"))]),
        Check.FORM,
    ),
    "an issuer other than who signed": (
        lambda: presented([signed_document(lambda d: d.update(issuer="did:web:x.example"))]),
        Check.FORM,
    ),
    "a forged signature": (lambda: presented([root_token(key=FORGER)]), Check.SIGNATURE),
    "a payload changed after signing": (lambda: presented([tampered()]), Check.SIGNATURE),
    "a document without its wallet": (lambda: presented([signed_text(b"{}")]), Check.FORM),
    "a wrapper of version 1": (lambda: presented([signed_document(lambda d: d.update(vc={}))]), Check.FORM),
    "an unknown currency": (lambda: presented([with_subject(ceiling=money("5.00", "XYZ"))]), Check.FORM),
    "a negative ceiling": (lambda: presented([with_subject(ceiling=money("-5.00"))]), Check.FORM),
    "a ceiling of nothing": (lambda: presented([with_subject(ceiling=money("0.00"))]), Check.FORM),
    "a ceiling that overflows": (lambda: presented([with_subject(ceiling=money("9" * 400))]), Check.FORM),
    "a ceiling just too large": (lambda: presented([with_subject(ceiling=money("10000000000000.01"))]), Check.FORM),
    "a ceiling as a number": (lambda: presented([with_subject(ceiling=money(5.0))]), Check.FORM),
    "a ceiling that is no number": (lambda: presented([raw_ceiling(b"NaN")]), Check.FORM),
    "a ceiling said twice": (lambda: presented([raw_ceiling(b'"1.00","amount":"2.00"')]), Check.FORM),
    "a surrogate in a name": (lambda: presented([raw_ceiling(b'"\\udc00"')]), Check.FORM),
    "an unknown term": (lambda: presented([with_subject(discount="1")]), Check.FORM),
    "no classes": (lambda: presented([with_subject(classes={})]), Check.FORM),
    "a class with a strange name": (lambda: presented([with_subject(classes={"A b": {}})]), Check.FORM),
    "a multiplier as a number": (lambda: presented([with_subject(classes={"bulk": {"multiplier": 2}})]), Check.FORM),
    "a multiplier of nothing": (lambda: presented([with_subject(classes={"bulk": {"multiplier": "0"}})]), Check.FORM),
    "two currencies": (lambda: presented([with_subject(maximumRatePerHour=money("1", "JPY"))]), Check.FORM),
    "a floor above all the time": (lambda: presented([with_subject(floor={"availability": "1.5"})]), Check.FORM),
    "an endless delegation": (lambda: presented([with_subject(delegation={"depth": 2**31})]), Check.FORM),
    "a day that is none": (
        lambda: presented([signed_document(lambda d: d.update(validUntil="2027-02-30T00:00:00Z"))]),
        Check.FORM,
    ),
    "a window that is empty": (
        lambda: presented([signed_document(lambda d: d.update(validUntil=d["validFrom"]))]),
        Check.FORM,
    ),
    "expired": (lambda: presented([root_token(with_terms(valid_until=NOW - 31))]), Check.DATES),
    "not valid yet": (lambda: presented([root_token(with_terms(valid_from=NOW + 31))]), Check.DATES),
    "no status": (lambda: presented([root_token(status=None)]), Check.STATUS),
    "an unknown list": (lambda: presented([root_token(status=StatusEntry("https://x.example", 1))]), Check.STATUS),
    "a place outside the list": (lambda: presented([root_token(status=StatusEntry(LIST, LEAST_BITS))]), Check.STATUS),
    "no proof": (lambda: Presentation((root_token(),)).text(), Check.HOLDER),
    "another's proof": (lambda: presented(key=RETAIL_KEY), Check.HOLDER),
    "a proof for another operator": (lambda: presented(audience="did:web:other.example"), Check.HOLDER),
    "a proof for another intent": (lambda: presented(intent="other"), Check.HOLDER),
    "a proof for another wallet": (lambda: Presentation((root_token(),), proof_for_another()).text(), Check.HOLDER),
    "a proof whose time is over": (lambda: presented(now=NOW - 91), Check.HOLDER),
    "a proof that lives too long": (lambda: Presentation((root_token(),), long_lived_proof()).text(), Check.HOLDER),
    "a proof from the future": (lambda: presented(now=NOW + 31), Check.HOLDER),
    "a window that ends too early": (lambda: presented([root_token(with_terms(valid_until=NOW + 1800))]), Check.POLICY),
    "another operator's wallet": (
        lambda: presented([root_token(with_terms(operators=frozenset({"did:web:other.example"})))]),
        Check.POLICY,
    ),
}


def money(amount, currency="EUR"):
    return {"amount": amount, "currency": currency}


def by_stranger():
    return replace(ROOT, issuer="did:web:stranger.example", envelope="did:web:stranger.example/line-7")


def by_shop():
    return replace(ROOT, issuer=SHOP, envelope=f"{SHOP}/line-7")


def presented_proof():
    return json.loads(presented())["proof"]


def with_header(**members):
    header = {"alg": "Ed25519", "kid": BANK_KEY.id, "typ": "vc+jwt", "cty": "vc"} | members
    return signed_text(decode(root_token().split(".")[1]), encode(json.dumps(header).encode()))


def with_subject(**members):
    return signed_document(lambda document: document["credentialSubject"].update(members))


def raw_ceiling(amount):
    payload = decode(root_token().split(".")[1])
    assert payload.count(b'"500.00"') == 1
    return signed_text(payload.replace(b'"500.00"', amount))


def tampered():
    header, payload, signature = root_token().split(".")
    return f"{header}.{encode(decode(payload).replace(b'500.00', b'900.00'))}.{signature}"


def long_lived_proof():
    claims = json.loads(decode(presented_proof().split(".")[1]))
    claims["exp"] = claims["iat"] + LONGEST_SECONDS + 1
    return jose.sign(json.dumps(claims).encode(), SHOP_KEY, kind=PROOF)


def proof_for_another():
    """A good proof by the same holder, for another of his wallets."""
    return json.loads(presented([root_token(replace(ROOT, id="urn:uuid:9"))]))["proof"]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_wallet_is_refused_by_the_name_of_the_check(name):
    make, check = BAD[name]
    assert refused_by(make()) is check


ORDER = [Check.SIZE, Check.HEADER, Check.ISSUER, Check.SIGNATURE, Check.FORM]


@pytest.mark.parametrize("name", BAD)
def test_no_effort_is_spent_beyond_the_check_that_refuses(name):
    make, check = BAD[name]
    text, counted, ledger = make(), Counter(), LedgerState()
    verify_wallet(text, asked(), NOW, door(spent=lambda work: counted.update([work]), ledger=ledger))
    most = {
        Check.SIZE: {},
        Check.HEADER: {},
        Check.ISSUER: {},
        Check.SIGNATURE: {Work.SIGNATURE: 1},
        Check.FORM: {Work.SIGNATURE: 1},
        Check.DATES: {Work.SIGNATURE: 1},
        Check.STATUS: {Work.SIGNATURE: 1, Work.STATUS: 1},
        Check.HOLDER: {Work.SIGNATURE: 2, Work.STATUS: 1, Work.LEDGER: 1},
        Check.POLICY: {Work.SIGNATURE: 2, Work.STATUS: 1, Work.LEDGER: 1},
    }[check]
    assert counted <= Counter(most), counted
    assert ledger.head()[0] == 0


def test_all_the_effort_of_a_good_wallet_is_counted():
    counted = Counter()
    assert isinstance(
        verify_wallet(presented(), asked(), NOW, door(spent=lambda work: counted.update([work]))), Admitted
    )
    assert counted == {Work.SIGNATURE: 2, Work.STATUS: 1, Work.LEDGER: 2}


def test_the_order_of_the_checks_is_the_order_of_the_words():
    assert list(Check) == [*ORDER, Check.DATES, Check.STATUS, Check.HOLDER, Check.POLICY, Check.LEDGER]


# -- embedded proofs -------------------------------------------------------------------------------------------------


def with_proof(change, wallet=ROOT, key=BANK_KEY):
    document = json.loads(credential.issue_with_proof(wallet, key, STATUS, created=NOW))
    change(document)
    return canonical(document).decode()


EMBEDDED = {
    "no proof": (lambda d: d.pop("proof"), Check.HEADER),
    "two proofs": (lambda d: d.update(proof=[d["proof"], d["proof"]]), Check.HEADER),
    "another suite": (lambda d: d["proof"].update(cryptosuite="eddsa-rdfc-2022"), Check.HEADER),
    "another purpose": (lambda d: d["proof"].update(proofPurpose="authentication"), Check.HEADER),
    "an unknown option": (lambda d: d["proof"].update(domain="x"), Check.HEADER),
    "another context": (lambda d: d["proof"].update({"@context": []}), Check.HEADER),
    "an unknown key": (lambda d: d["proof"].update(verificationMethod=f"{BANK}#key-2"), Check.ISSUER),
    "a changed ceiling": (lambda d: d["credentialSubject"]["ceiling"].update(amount="900.00"), Check.SIGNATURE),
    "a changed date": (lambda d: d["proof"].update(created="2020-01-01T00:00:00Z"), Check.SIGNATURE),
    "a value in another base": (
        lambda d: d["proof"].update(proofValue="m" + d["proof"]["proofValue"]),
        Check.SIGNATURE,
    ),
    "a short value": (lambda d: d["proof"].update(proofValue=to_multibase(b"x")), Check.SIGNATURE),
}


@pytest.mark.parametrize("name", EMBEDDED)
def test_an_embedded_proof_is_held_to_the_same_checks(name):
    change, check = EMBEDDED[name]
    assert refused_by(presented([with_proof(change)])) is check


def test_an_embedded_document_with_a_key_twice_is_refused():
    text = with_proof(lambda document: None)
    assert refused_by(presented(['{"id":"urn:x",' + text[1:]])) is Check.FORM


# -- anything --------------------------------------------------------------------------------------------------------


@given(st.data())
def test_any_changed_character_of_a_presentation_is_refused(data):
    text = presented()
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters().filter(lambda c: c != text[at]))
    found = verdict(text[:at] + other + text[at + 1 :])
    assert isinstance(found, Refusal)


@given(st.text(st.characters(exclude_categories=[])) | st.binary().map(lambda b: b.decode("latin-1")))
def test_any_text_is_refused_and_never_crashes(text):
    assert isinstance(verdict(text), Refusal)
    assert isinstance(verdict(Presentation((text,)).text() if text.isascii() else text), Refusal)


def test_a_presentation_of_the_longest_chain_is_within_its_size():
    assert len(presented(chain_tokens(), WHOLESALE_KEY)) < MOST_OCTETS
    assert GRANDCHILD.issuer == RETAIL


def test_a_class_that_is_not_sold_is_refused_by_policy_whatever_the_wallet_pays_for():
    answer = verify_wallet(presented(), asked(), NOW, door(catalogue_classes={"bulk"}))
    assert isinstance(answer, Refusal)
    assert (answer.check, "nothing is offered" in answer.text) == (Check.POLICY, True)
