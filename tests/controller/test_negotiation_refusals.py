"""Everything that is refused: by name, before effort, for no money, with a record."""

from dataclasses import replace
from typing import Any

import pytest

from controller.model.units import BitRate
from controller.negotiation.checks import Work
from controller.negotiation.dialogue import Stage
from controller.negotiation.enterprise import Purse
from controller.negotiation.jose import SigningKey
from controller.negotiation.message_bodies import Proposal
from controller.negotiation.messages import Message, MessageCheck, MessageKind, MessageRefusedError, seal
from controller.negotiation.roles import Domain, Role
from controller.negotiation.standing_to_speak import own_name
from controller.runtime.negotiation_holder import HeldWallet
from tests.controller.market_samples import loads, ticked
from tests.controller.negotiation_plane import ENVELOPE, START, TERMS, TREASURY, TREASURY_KEY, Plane, held
from tests.controller.negotiation_samples import (
    CONSUMER,
    CONSUMER_KEY,
    NETWORK,
    PROVIDER,
    PROVIDER_KEY,
    STRANGER_KEY,
    euro,
)
from tests.controller.test_negotiation_plane import WISH, negotiated, taken

_EFFORT = {Work.PRICING, Work.PLANNING, Work.JUDGING}
OTHER = "did:web:thief.example"
HIGH_FLOOR = replace(TERMS.floor, bandwidth=BitRate(10**9))
UNTRUSTED = SigningKey.of(f"{TREASURY}#key-2", bytes([97] * 32))


def free(plane: Plane) -> bool:
    """Nothing was priced, planned, provisioned or paid for."""
    effort = ("find-offers", "offer", "provision", "reserve-money", "sign-agreement")
    return not any(plane.records(tool) for tool in effort) and taken(plane) == 0 and not _EFFORT & set(plane.work)


BAD_WALLETS: list[tuple[str, dict[str, Any], str]] = [
    ("revoked", {"is_revoked": True}, "status"),
    ("expired", {"held": held(replace(TERMS, valid_until=START - 3600))}, "dates"),
    ("not yet valid", {"held": held(replace(TERMS, valid_from=START + 3600))}, "dates"),
    ("forged", {"held": held(key=SigningKey.of(TREASURY_KEY.id, bytes([98] * 32)))}, "signature"),
    ("signed with a key nobody trusts", {"held": held(key=UNTRUSTED)}, "issuer"),
    ("of another holder", {"held": held(holder=OTHER)}, "holder"),
    ("for others' workloads", {"held": held(replace(TERMS, classes={"general": TERMS.classes["general"]}))}, "policy"),
    (
        "for a better level",
        {"held": held(replace(TERMS, floor=replace(TERMS.floor, bandwidth=BitRate(10**9))))},
        "policy",
    ),
    ("for another operator", {"held": held(replace(TERMS, operators=frozenset({OTHER})))}, "policy"),
    ("out before the service ends", {"held": held(replace(TERMS, valid_until=START + 60))}, "policy"),
]


@pytest.mark.parametrize("bad", BAD_WALLETS, ids=[name for name, _, _ in BAD_WALLETS])
async def test_a_bad_wallet_is_refused_by_name_before_any_effort(bad: tuple[str, dict[str, Any], str]) -> None:
    _, parts, check = bad
    plane = Plane(**parts)
    # The agent believes that its wallet would do: what counts is the credential.
    plane.tools.wallets[ENVELOPE] = HeldWallet(plane.held.credentials, Purse(ENVELOPE, TERMS))
    done = await negotiated(plane)
    assert done.stage is Stage.REFUSED
    assert done.refusal is not None
    assert done.refusal.check == check
    assert free(plane)
    (record,) = plane.records("refuse-wallet")
    assert record.data["arguments"]["check"] == check


async def test_a_forged_signature_on_a_good_credential_is_refused() -> None:
    good = held().credentials[0]
    forged = held(replace(TERMS, ceiling=euro("100000.00"))).credentials[0]
    spliced = ".".join([*forged.split(".")[:2], good.split(".")[2]])
    plane = Plane(held=HeldWallet((spliced,), Purse(ENVELOPE, TERMS)))
    done = await negotiated(plane)
    assert done.refusal is not None
    assert done.refusal.check == "signature"
    assert free(plane)


async def test_who_holds_no_wallet_for_a_class_asks_nobody() -> None:
    plane = Plane()
    plane.tools.wallets.clear()
    done = await negotiated(plane)
    assert (done.stage, done.refusal.check if done.refusal else "") == (Stage.REFUSED, "wallet")
    assert not plane.records("take-in")


async def test_a_presentation_that_was_used_is_worth_nothing_in_another_message() -> None:
    plane = Plane()
    await negotiated(plane)
    before = taken(plane)
    said = next(event.data["arguments"]["message"] for event in plane.records("take-in"))
    body, name = Proposal.from_json(said["body"]), own_name(Domain.ENTERPRISE, CONSUMER, 9)
    fresh = Message(
        "m-replay",
        MessageKind.PROPOSAL,
        name,
        Role.ENTERPRISE_POLICY,
        CONSUMER,
        Role.BSS_POLICY,
        PROVIDER,
        float(START),
        START + 60.0,
        body,
    )
    house = plane.negotiations.house(PROVIDER)
    await house.receive(seal(fresh, CONSUMER_KEY))
    await plane.negotiations.idle()
    refused = house.desk.dialogue(name)
    assert (refused.stage, refused.refusal.check if refused.refusal else "") == (Stage.REFUSED, "holder")
    assert taken(plane) == before


async def test_a_message_that_comes_twice_is_taken_once() -> None:
    plane = Plane()
    done = await negotiated(plane)
    length = len(plane.records())
    said = [one for event in plane.records() for one in event.data.get("says", ())]
    for party, token in said:
        await plane.lane.deliver(party, token)
    await plane.negotiations.idle()
    assert len(plane.records()) == length
    assert done.signed is not None


async def test_a_forked_wallet_spends_from_the_same_envelope() -> None:
    once = replace(TERMS, ceiling=euro("5.00"))
    plane = Plane(held=held(once))
    first = await negotiated(plane)
    plane.tools.wallets[ENVELOPE] = HeldWallet(held(once, id_="urn:uuid:2").credentials, Purse(ENVELOPE, TERMS))
    second = await negotiated(plane)
    assert first.stage is Stage.DONE
    assert (second.stage, second.refusal.check if second.refusal else "") == (Stage.REFUSED, "ledger")
    assert taken(plane) == first.terms.amount.minor <= once.ceiling.minor


async def test_a_consumer_that_believes_in_a_higher_ceiling_is_held_by_the_ledger() -> None:
    plane = Plane(held=held(replace(TERMS, ceiling=euro("1.00"))))
    plane.tools.wallets[ENVELOPE] = HeldWallet(plane.held.credentials, Purse(ENVELOPE, TERMS))
    done = await negotiated(plane)
    assert (done.stage, done.refusal.check if done.refusal else "") == (Stage.REFUSED, "ledger")
    assert taken(plane) == 0
    assert not plane.records("sign-agreement")
    assert not plane.carrier.acts


async def test_an_offer_that_is_too_dear_is_refused_by_the_consumer_and_what_was_held_is_free_again() -> None:
    plane = Plane(held=held(replace(TERMS, ceiling=euro("0.10"))))
    done = await negotiated(plane)
    assert (done.stage, done.refusal.check if done.refusal else "") == (Stage.REFUSED, "ceiling")
    assert taken(plane) == 0
    assert plane.negotiations.network is not None
    (mesh,) = plane.operator.meshes
    assert not any(window.holdings.open for window in mesh.windows)


async def test_a_withdrawn_grade_is_not_to_be_had_and_nothing_is_paid() -> None:
    plane = Plane()
    full = loads(plane.operator.meshes[0], "ab", "bd", "ac", "cd", share=1.0)
    plane.clock.time = ticked(plane.operator, full, 3, plane.clock.time)
    done = await negotiated(plane, replace(WISH, start=plane.clock.time))
    assert (done.stage, done.refusal.check if done.refusal else "") == (Stage.REFUSED, "nothing-offered")
    assert done.refusal is not None
    assert "withdrawn" in done.refusal.text
    assert taken(plane) == 0


async def test_provisioning_that_fails_after_signing_gives_the_money_back() -> None:
    plane = Plane()
    plane.carrier.refuses = {"provision"}
    done = await negotiated(plane)
    assert done.stage is Stage.FAILED
    assert done.refusal is not None
    assert "the twin has a packet" in done.refusal.text
    assert plane.records("reserve-money")
    assert plane.records("release-money")
    assert taken(plane) == 0
    assert not plane.negotiations.agreements()
    assert not any(window.holdings.open for mesh in plane.operator.meshes for window in mesh.windows)


async def test_what_the_network_would_not_prove_is_agreed_once_it_can_be() -> None:
    plane = Plane()
    plane.carrier.refuses = {"provision"}
    await negotiated(plane)
    plane.carrier.refuses = set()
    assert (await negotiated(plane)).stage is Stage.DONE


@pytest.mark.parametrize(
    "key, check",
    [(STRANGER_KEY, MessageCheck.KEY), (SigningKey.of(CONSUMER_KEY.id, bytes([99] * 32)), MessageCheck.SIGNATURE)],
)
async def test_a_message_that_is_turned_away_leaves_a_record(key: SigningKey, check: MessageCheck) -> None:
    plane = Plane()
    await negotiated(plane)
    said = next(event.data["arguments"]["message"] for event in plane.records("take-in"))
    house = plane.negotiations.house(PROVIDER)
    with pytest.raises(MessageRefusedError):
        await house.receive(seal(Message.from_json(said), key))
    record = plane.records("turn-away")[-1]
    assert (record.actor, record.data["arguments"]["check"]) == (Role.BSS_POLICY, check)


async def test_an_order_out_of_turn_is_turned_away_and_nothing_is_provisioned_twice() -> None:
    plane = Plane()
    await negotiated(plane)
    acts = list(plane.carrier.acts)
    order = next(
        event.data["arguments"]["message"]
        for event in plane.records("take-in")
        if event.data["arguments"]["message"]["kind"] == "order"
    )
    network = plane.negotiations.house(NETWORK)
    again = Message.from_json({**order, "id": "m-again", "correlation": "again-1"})
    await network.receive(seal(again, PROVIDER_KEY))
    await plane.negotiations.idle()
    refused = network.desk.dialogue("again-1")
    assert (refused.stage, refused.refusal.check if refused.refusal else "") == (Stage.REFUSED, "replayed")
    with pytest.raises(MessageRefusedError) as caught:
        await network.receive(seal(Message.from_json({**order, "id": "m-third"}), PROVIDER_KEY))
    assert caught.value.check is MessageCheck.TURN
    assert plane.carrier.acts == acts
