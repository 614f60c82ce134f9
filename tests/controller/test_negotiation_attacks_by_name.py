"""In another's name, unsigned, or again and again: it is turned away, and fills neither memory nor log."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from controller.model.errors import ConflictError, InvalidInputError
from controller.negotiation.dialogue import Stage
from controller.negotiation.jose import SigningKey
from controller.negotiation.message_bodies import (
    CounterRequest,
)
from controller.negotiation.messages import Message, MessageCheck, MessageKind
from controller.negotiation.records import Dialogue
from controller.negotiation.request import ServiceRequest
from controller.negotiation.roles import Domain, Role, Tool
from controller.negotiation.standing_to_speak import MOST_COUNTERS, own_name
from controller.runtime import negotiation_tally
from tests.controller.negotiation_attackers import UNKNOWN, proposal, rivals, turned_away, unharmed, withdrawal
from tests.controller.negotiation_plane import START, Plane
from tests.controller.negotiation_samples import (
    CONSUMER,
    CONSUMER_KEY,
    PROVIDER,
    PROVIDER_KEY,
    RIVAL,
    STRANGER_KEY,
)
from tests.controller.test_negotiation_plane import WISH, negotiated, taken

_K, _R = MessageKind, Role
pytestmark = pytest.mark.usefixtures("logged")


# -- in whose name -----------------------------------------------------------------------------------------------------


async def test_a_request_is_in_the_name_of_whoever_sends_it() -> None:
    plane = Plane()
    house = plane.negotiations.house(PROVIDER)
    assert await turned_away(house, proposal(replace(WISH, consumer=CONSUMER), rivals())) is MessageCheck.TURN
    assert await turned_away(house, proposal(replace(WISH, consumer=""), rivals(2))) is MessageCheck.TURN
    assert not plane.records("verify-wallet")


@pytest.mark.parametrize(
    "name",
    [
        own_name(Domain.ENTERPRISE, CONSUMER, 1),
        own_name(Domain.BSS, PROVIDER, 1),
        f"agr-{own_name(Domain.ENTERPRISE, CONSUMER, 1)}-01~1",
        "mine",
        rivals(0),
        f"{rivals(1)}/..",
        f"{rivals(1)}" + "0" * 12,
    ],
)
async def test_nobody_takes_the_name_of_a_negotiation_that_another_is_to_open(name: str) -> None:
    plane = Plane()
    house = plane.negotiations.house(PROVIDER)
    assert await turned_away(house, proposal(replace(WISH, consumer=RIVAL), name)) is MessageCheck.TURN
    assert name not in house.desk.dialogues
    done = await negotiated(plane)
    assert done.stage is Stage.DONE
    plane.clock.time = WISH.start + WISH.duration_seconds + 1.0
    async with asyncio.timeout(60):
        await plane.negotiations.tick()
        await plane.negotiations.idle()
    assert all(one.is_over for one in plane.negotiations.agreements())


async def test_a_counter_offer_stays_within_what_the_wallet_was_admitted_for_and_there_are_so_many() -> None:
    plane = Plane()
    done = await negotiated(plane)
    house = plane.negotiations.house(PROVIDER)
    offered = replace(house.desk.dialogues[done.id], stage=Stage.OFFERED)

    def countered(request: ServiceRequest, dialogue: Dialogue) -> Message:
        house.desk.dialogues[done.id] = dialogue
        body, id_ = CounterRequest(replace(request, consumer=CONSUMER)), f"m-{request.workload_class}-{dialogue.round}"
        return Message(
            id_,
            _K.COUNTER_OFFER,
            done.id,
            _R.ENTERPRISE_POLICY,
            CONSUMER,
            _R.BSS_NEGOTIATION,
            PROVIDER,
            float(START),
            START + 60.0,
            body,
        )

    other = countered(replace(WISH, workload_class="general"), offered)
    with pytest.raises(ConflictError, match="was admitted for 'order-execution'"):
        house.desk.refuse_turn(other)
    last = countered(WISH, replace(offered, round=MOST_COUNTERS))
    with pytest.raises(ConflictError, match="already"):
        house.desk.refuse_turn(last)
    house.desk.refuse_turn(countered(WISH, replace(offered, round=MOST_COUNTERS - 1)))


# -- signatures --------------------------------------------------------------------------------------------------------


async def test_what_the_operator_has_not_signed_is_no_agreement_to_anybody_and_costs_nothing() -> None:
    plane = Plane()
    house = plane.negotiations.house(PROVIDER)
    forger = SigningKey.of(PROVIDER_KEY.id, bytes([77] * 32))
    house.tools = {**house.tools, Tool.SIGN_AGREEMENT: replace(plane.business_tools, key=forger).sign}
    done = await negotiated(plane)
    assert done.stage is Stage.FAILED
    assert any(event.stream.split("/")[1] == CONSUMER for event in plane.records("turn-away"))
    assert not any(one.desk.agreements for one in plane.negotiations.houses())
    assert taken(plane) == 0
    assert not plane.carrier.acts
    unharmed(plane)


async def test_terms_that_are_not_those_accepted_are_no_agreement() -> None:
    plane = Plane()
    house = plane.negotiations.house(PROVIDER)
    real = plane.business_tools.sign

    async def dearer(call: Any, dialogue: Dialogue, now: float) -> Any:
        told = {**call.arguments, "terms": {**call.arguments["terms"], "wallet": "another"}}
        return await real(replace(call, arguments=told), dialogue, now)

    house.tools = {**house.tools, Tool.SIGN_AGREEMENT: dearer}
    done = await negotiated(plane)
    assert done.stage is Stage.FAILED
    assert taken(plane) == 0


# -- what fills memory and log -----------------------------------------------------------------------------------------


async def test_who_has_no_key_does_not_fill_the_log_and_is_told_no_each_time() -> None:
    plane = Plane()
    house = plane.negotiations.house(PROVIDER)
    number = 50 + negotiation_tally.AT_ONCE
    for one in range(number):
        token = proposal(WISH, f"flood-{one}", key=STRANGER_KEY)
        assert await turned_away(house, token) is MessageCheck.KEY
    assert len(plane.records("turn-away")) == negotiation_tally.AT_ONCE
    plane.clock.time += negotiation_tally.EVERY_SECONDS
    assert await turned_away(house, "no token at all") is MessageCheck.HEADER
    assert plane.records("turn-away")[-1].data["arguments"]["more"] == 50
    unharmed(plane)


async def test_a_party_that_is_refused_again_and_again_is_counted_by_itself() -> None:
    plane = Plane()
    house = plane.negotiations.house(PROVIDER)
    for one in range(10 + negotiation_tally.AT_ONCE):
        await turned_away(house, withdrawal(UNKNOWN, rivals(one + 1)))
    assert len(plane.records("turn-away")) == negotiation_tally.AT_ONCE
    await turned_away(house, proposal(WISH, "mine", key=CONSUMER_KEY))
    assert plane.records("turn-away")[-1].data["arguments"]["more"] == 0


async def test_the_same_token_is_written_down_once() -> None:
    plane = Plane()
    house = plane.negotiations.house(PROVIDER)
    for _ in range(5):
        assert await turned_away(house, withdrawal(UNKNOWN, rivals())) is MessageCheck.TURN
    assert len(plane.records("turn-away")) == 1


async def test_nothing_is_kept_of_a_negotiation_that_was_turned_away() -> None:
    plane = Plane()
    house = plane.negotiations.house(PROVIDER)
    for one in range(10):
        await turned_away(house, withdrawal(UNKNOWN, rivals(one + 1)))
    await negotiated(plane)
    for each in plane.negotiations.houses():
        assert len(each._turns) == len(each._lanes) == 0


def test_a_tier_that_is_a_list_is_refused_by_name() -> None:
    with pytest.raises(InvalidInputError, match="tier"):
        ServiceRequest.from_json({**WISH.to_json(), "tier": ["ip"]})
