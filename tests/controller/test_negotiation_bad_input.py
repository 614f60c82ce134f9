"""Bad input of every kind, through the whole plane: a refusal that names the check, no money, and a record."""

import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model.money import Money
from controller.negotiation.checks import Check, RefusedError
from controller.negotiation.credential import CONTENT
from controller.negotiation.credential import KIND as CREDENTIAL
from controller.negotiation.dialogue import Stage
from controller.negotiation.enterprise import Purse
from controller.negotiation.holder import present
from controller.negotiation.jose import decode, encode, sign
from controller.negotiation.messages import (
    KIND,
    LONGEST_SECONDS,
    MOST_OCTETS,
    ROUTES,
    Message,
    MessageCheck,
    MessageRefusedError,
    seal,
    unseal,
)
from controller.negotiation.roles import Domain
from controller.negotiation.standing_to_speak import own_name
from controller.negotiation.status_list import MOST_OCTETS as MOST_BITS
from controller.negotiation.status_list import StatusList, compressed, read_status_list, sign_status_list
from controller.negotiation.strict_json import canonical
from controller.runtime.negotiation_holder import HeldWallet
from tests.controller.negotiation_plane import DAY, ENVELOPE, LIST, START, TERMS, TREASURY_KEY, Plane, held
from tests.controller.negotiation_samples import (
    CONSUMER,
    CONSUMER_KEY,
    PROVIDER,
    PROVIDER_KEY,
    key_of,
)
from tests.controller.test_negotiation_messages import SAID
from tests.controller.test_negotiation_plane import WISH, negotiated, taken

pytestmark = pytest.mark.usefixtures("logged")
NAME = own_name(Domain.ENTERPRISE, CONSUMER, 9)


def costs_nothing(plane: Plane) -> None:
    """Nothing was priced, provisioned or paid for, and the same log starts another process that is as this one."""
    tools = ("find-offers", "offer", "provision", "reserve-money", "sign-agreement")
    assert not any(plane.records(tool) for tool in tools)
    assert (taken(plane), plane.carrier.acts) == (0, [])
    after = replace(plane)
    assert after.negotiations.load() == len(plane.records())
    for before, house in zip(plane.negotiations.houses(), after.negotiations.houses(), strict=True):
        assert house.desk.dialogues == before.desk.dialogues


# -- messages ----------------------------------------------------------------------------------------------------------


def proposal(plane: Plane, **changes: Any) -> dict[str, Any]:
    """What a consumer would say, with a wallet that would do, and what is changed of it."""
    request = replace(WISH, id=NAME, consumer=CONSUMER)
    shown = present(
        plane.held.credentials, CONSUMER_KEY, audience=PROVIDER, intent=request.digest, nonce="n-1", now=START
    )
    body = {"request": request.to_json(), "presentation": shown.text(), "agreement": ""}
    body["request"] = {**request.to_json(), **changes.pop("request", {})}
    said = {
        "id": "m-1",
        "kind": "proposal",
        "correlation": NAME,
        "sender": "enterprise-policy",
        "sender_party": CONSUMER,
        "recipient": "bss-policy",
        "recipient_party": PROVIDER,
        "sent": float(START),
        "expires": START + 60.0,
        "body": {**body, **changes.pop("body", {})},
    }
    return {**said, **changes}


def signed(octets: bytes) -> str:
    return sign(octets, CONSUMER_KEY, kind=KIND)


BAD_MESSAGES: Mapping[str, tuple[dict[str, Any], MessageCheck]] = {
    "unknown kind": ({"kind": "demand"}, MessageCheck.VOCABULARY),
    "a member too many": ({"urgent": True}, MessageCheck.VOCABULARY),
    "negative rate": ({"request": {"bandwidth": -1}}, MessageCheck.VOCABULARY),
    "huge rate": ({"request": {"bandwidth": 10**15 + 1}}, MessageCheck.VOCABULARY),
    "rate beyond a JSON number": ({"request": {"bandwidth": 2**53 - 1}}, MessageCheck.VOCABULARY),
    "fractional rate": ({"request": {"bandwidth": 1.5}}, MessageCheck.VOCABULARY),
    "rate as a text": ({"request": {"bandwidth": "200"}}, MessageCheck.VOCABULARY),
    "a list for a tier": ({"request": {"tier": ["ip"]}}, MessageCheck.VOCABULARY),
    "an object for a tier": ({"request": {"tier": {}}}, MessageCheck.VOCABULARY),
    "endless duration": ({"request": {"duration_seconds": 10**12}}, MessageCheck.VOCABULARY),
    "no duration": ({"request": {"duration_seconds": 0}}, MessageCheck.VOCABULARY),
    "availability of more than all": ({"request": {"availability": 1.1}}, MessageCheck.VOCABULARY),
    "from a place to itself": ({"request": {"z": "a"}}, MessageCheck.VOCABULARY),
    "a place of 10 kB": ({"request": {"z": "x" * 10_000}}, MessageCheck.VOCABULARY),
    "controls in a name": ({"request": {"a": "a\x1b[2J"}}, MessageCheck.VOCABULARY),
    "a presentation that is a number": ({"body": {"presentation": 5}}, MessageCheck.VOCABULARY),
    "from the future": ({"sent": START + 61.0, "expires": START + 90.0}, MessageCheck.CLOCK),
    "over before it was sent": ({"expires": START - 1.0}, MessageCheck.CLOCK),
    "held back until it expired": ({"sent": START - 500.0, "expires": START - 61.0}, MessageCheck.EXPIRY),
    "good for a year": ({"expires": START + 366.0 * DAY}, MessageCheck.EXPIRY),
    "a time beyond the calendar": ({"expires": 1e300}, MessageCheck.VOCABULARY),
    "an agreement that there is not": ({"body": {"agreement": "agr-1"}}, MessageCheck.TURN),
    "another's request": ({"request": {"consumer": PROVIDER}}, MessageCheck.TURN),
    "another's name": ({"correlation": own_name(Domain.BSS, PROVIDER, 1)}, MessageCheck.TURN),
    "for somebody else": ({"recipient_party": CONSUMER}, MessageCheck.RECIPIENT),
    "in another's name": ({"sender_party": PROVIDER}, MessageCheck.SENDER),
    "in another's role": ({"sender": "oss-planning", "kind": "refusal"}, MessageCheck.VOCABULARY),
}


@pytest.mark.parametrize("what", BAD_MESSAGES)
async def test_a_bad_message_is_refused_by_its_check_and_recorded(what: str) -> None:
    plane = Plane()
    changes, check = BAD_MESSAGES[what]
    await refused(plane, signed(canonical(proposal(plane, **changes))), check)


async def refused(plane: Plane, token: str, check: MessageCheck) -> None:
    house = plane.negotiations.house(PROVIDER)
    with pytest.raises(MessageRefusedError) as caught:
        await house.receive(token)
    assert caught.value.check is check
    await plane.negotiations.idle()
    (record,) = plane.records("turn-away")
    assert record.data["arguments"]["check"] == check
    costs_nothing(plane)


async def test_the_message_that_the_bad_ones_are_made_of_is_a_good_one() -> None:
    plane = Plane()
    await plane.negotiations.house(PROVIDER).receive(signed(canonical(proposal(plane))))
    await plane.negotiations.idle()
    assert plane.negotiations.house(PROVIDER).desk.dialogue(NAME).stage is Stage.OFFERED


RAW: Mapping[str, Any] = {
    "a key twice": lambda said: said[:-1] + b',"id":"m-2"}',
    "a key twice inside": lambda said: said.replace(b'"bandwidth":', b'"bandwidth":1,"bandwidth":', 1),
    "NaN": lambda said: said.replace(b'"availability":0.999', b'"availability":NaN', 1),
    "infinity": lambda said: said.replace(b'"availability":0.999', b'"availability":1e999', 1),
    "a lone surrogate": lambda said: said.replace(b'"m-1"', b'"m-\\ud800"', 1),
    "an integer of a thousand digits": lambda said: said.replace(b"200000000", b"2" * 1_000, 1),
    "brackets without end": lambda said: said.replace(b'"m-1"', b"[" * 50_000, 1),
    "nesting without end": lambda said: said.replace(b'"m-1"', b"[" * 50_000 + b"]" * 50_000, 1),
    "no UTF-8": lambda said: said.replace(b"m-1", b"m-\xff", 1),
}


@pytest.mark.parametrize("what", RAW)
async def test_a_payload_with_no_single_meaning_is_refused_as_one_and_recorded(what: str) -> None:
    plane = Plane()
    good = canonical(proposal(plane))
    bad = RAW[what](good)
    assert bad != good
    await refused(plane, signed(bad), MessageCheck.PAYLOAD)


@pytest.mark.parametrize("octets", [MOST_OCTETS + 1, 10_000_000])
async def test_a_credential_of_any_size_is_refused_by_the_size_of_what_brings_it(octets: int) -> None:
    plane = Plane()
    said = proposal(plane, body={"presentation": "x" * octets})
    await refused(plane, signed(orjson.dumps(said)), MessageCheck.SIZE)


async def test_a_message_that_was_taken_is_not_taken_again_by_the_next_process() -> None:
    plane = Plane()
    done = await negotiated(plane)
    before = taken(plane)
    said = [one for event in plane.records() for one in event.data.get("says", ())]
    after = plane.restarted()
    length = len(after.records())
    for party, token in said:
        await after.negotiations.house(party).receive(token)
    after.clock.time += LONGEST_SECONDS + 100.0
    for party, token in said:
        with pytest.raises(MessageRefusedError) as caught:
            await after.negotiations.house(party).receive(token)
        assert caught.value.check is MessageCheck.EXPIRY
    await after.negotiations.idle()
    assert not [event for event in after.records()[length:] if event.type != "negotiation.turn-away"]
    assert taken(after) == before == done.terms.quote.total.minor


# -- whatever stands anywhere ------------------------------------------------------------------------------------------

_NASTY = st.sampled_from(
    [None, True, -1, 0, 2**53 - 1, 1.5, -0.0, "", "x" * 2_000, "\x1b[2J", "é\u202e", [], [[]], {}, {"a": 1}, ["ip"]]
)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    inner: Any = document.items() if isinstance(document, dict) else ()
    if isinstance(document, list):
        inner = enumerate(document)
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value in one place."""
    if not path:
        return value
    copied = dict(document) if isinstance(document, dict) else list(document)
    copied[path[0]] = put(copied[path[0]], path[1:], value)
    return copied


@settings(max_examples=150)
@given(st.data())
def test_whatever_stands_anywhere_in_any_message_is_refused_by_name_or_read_as_it_was_written(data: Any) -> None:
    kind, sender, body = data.draw(st.sampled_from(SAID))
    hearer = min(ROUTES[kind, sender])
    said = Message("m-1", kind, NAME, sender, CONSUMER, hearer, PROVIDER, float(START), START + 60.0, body).to_json()
    changed = put(said, data.draw(st.sampled_from(places(said)[1:])), data.draw(_NASTY))
    try:
        read = unseal(signed(orjson.dumps(changed)), key_of, PROVIDER, float(START))
    except MessageRefusedError:
        return
    assert Message.from_json(read.to_json()) == read


# -- money and wallets -------------------------------------------------------------------------------------------------


def with_ceiling(ceiling: Any, **subject: Any) -> HeldWallet:
    """A credential that its issuer signed though no wallet may say that."""
    token = held().credentials[0]
    document = orjson.loads(_payload(token))
    document["credentialSubject"] |= {"ceiling": ceiling, **subject}
    made = sign(orjson.dumps(document), TREASURY_KEY, kind=CREDENTIAL, content=CONTENT)
    return HeldWallet((made,), Purse(ENVELOPE, TERMS))


def _payload(token: str) -> bytes:
    return decode(token.split(".")[1])


BAD_MONEY: Mapping[str, HeldWallet] = {
    "unknown currency": with_ceiling({"amount": "100.00", "currency": "XXY"}),
    "negative amount": with_ceiling({"amount": "-100.00", "currency": "EUR"}),
    "a ceiling that overflows": with_ceiling({"amount": "9" * 40, "currency": "EUR"}),
    "a number for an amount": with_ceiling({"amount": 100, "currency": "EUR"}),
    "more digits than the currency has": with_ceiling({"amount": "1.001", "currency": "EUR"}),
    "an amount in another alphabet": with_ceiling({"amount": "\u0661\u0660\u0660", "currency": "EUR"}),
    "a negative class": with_ceiling(
        {"amount": "100.00", "currency": "EUR"},
        classes={"order-execution": {"ceiling": {"amount": "-1.00", "currency": "EUR"}}},
    ),
}


@pytest.mark.parametrize("what", BAD_MONEY)
async def test_money_that_is_none_is_refused_by_the_form_of_its_wallet(what: str) -> None:
    plane = Plane(held=BAD_MONEY[what])
    done = await negotiated(plane)
    assert (done.stage, done.refusal.check if done.refusal else "") == (Stage.REFUSED, Check.FORM)
    (record,) = plane.records("refuse-wallet")
    assert record.data["arguments"]["check"] == Check.FORM
    costs_nothing(plane)


async def test_a_class_that_nobody_knows_is_refused_by_the_policy() -> None:
    plane = Plane(held=held(replace(TERMS, classes={**TERMS.classes, "mining": TERMS.classes["general"]})))
    done = await negotiated(plane, replace(WISH, workload_class="mining"))
    assert (done.stage, done.refusal.check if done.refusal else "") == (Stage.REFUSED, Check.POLICY)
    costs_nothing(plane)


async def test_a_wallet_in_another_currency_than_the_prices_buys_nothing() -> None:
    yen = replace(TERMS, ceiling=Money.parse("100000", "JPY"))
    plane = Plane(held=held(yen))
    done = await negotiated(plane)
    assert (done.stage, done.refusal.check if done.refusal else "") == (Stage.REFUSED, "currency")
    assert (taken(plane), plane.carrier.acts) == (0, [])
    assert plane.records("refuse-offer")


def bomb(octets: int) -> str:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return "u" + encode(packer.compress(bytes(octets)) + packer.flush())


async def test_a_status_list_that_is_a_bomb_is_not_read_and_nothing_is_sold_on_it() -> None:
    good = sign_status_list(bytes(16_384), LIST, TREASURY_KEY, START - 10, START + DAY)
    document = orjson.loads(_payload(good))
    document["credentialSubject"]["encodedList"] = bomb(MOST_BITS * 8)
    token = sign(orjson.dumps(document), TREASURY_KEY, kind=CREDENTIAL, content=CONTENT)
    assert len(token) < MOST_OCTETS
    plane = Plane()
    with pytest.raises(RefusedError) as caught:
        read_status_list(token, LIST, plane.trust, START)
    assert caught.value.refusal.check is Check.FORM
    # So there is no list: the last good one is stale by then, and nobody knows who is revoked.
    stale = StatusList(LIST, bytes(16_384), START - 2 * DAY, START - DAY)
    plane.status_list = lambda: stale  # type: ignore[method-assign]
    done = await negotiated(plane)
    assert (done.stage, done.refusal.check if done.refusal else "") == (Stage.REFUSED, Check.STATUS)
    costs_nothing(plane)
    assert compressed(bytes(16_384)) != bomb(16_384 * 8)


@pytest.mark.parametrize("apart", [-400.0, 400.0])
async def test_clocks_that_are_far_apart_are_told_so_and_nothing_is_sold(apart: float) -> None:
    plane = Plane()
    said = Message.from_json(proposal(plane))
    late = replace(said, sent=said.sent + apart, expires=said.expires + apart)
    await refused(plane, seal(late, CONSUMER_KEY), MessageCheck.EXPIRY if apart < 0 else MessageCheck.CLOCK)


async def test_an_offer_with_money_or_bands_that_are_none_is_refused_by_the_consumer() -> None:
    plane = Plane()
    await negotiated(plane)
    offer = next(
        event.data["arguments"]["message"]
        for event in plane.records("take-in")
        if event.data["arguments"]["message"]["kind"] == "quote"
    )
    house = plane.negotiations.house(CONSUMER)
    quote: tuple[Any, ...] = ("body", "terms", 0, "quote")
    bad = {
        (*quote, "total", "amount"): "-1.00",
        (*quote, "total", "currency"): "XXY",
        (*quote, "bands"): {"bandwidth": "free"},
        (*quote, "valid_until"): "tomorrow",
        (*quote, "bit_rate"): -5,
        (*quote, "tier"): ["ip"],
        ("body", "terms", 0, "amount"): {"amount": "9" * 40, "currency": "EUR"},
    }
    length = len(plane.records("turn-away"))
    for number, (place, value) in enumerate(bad.items(), start=1):
        token = sign(canonical(put({**offer, "id": f"m-{number}"}, place, value)), PROVIDER_KEY, kind=KIND)
        with pytest.raises(MessageRefusedError) as caught:
            await house.receive(token)
        assert caught.value.check is MessageCheck.VOCABULARY
        assert len(plane.records("turn-away")) == length + number
