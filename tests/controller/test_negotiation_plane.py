"""Seven agents conduct a negotiation from intent to a service in force, and everything that may stand in its way."""

import asyncio
from dataclasses import replace

import pytest

from controller.negotiation import desk as desk_room
from controller.negotiation.agreement import verify_chain
from controller.negotiation.dialogue import Stage
from controller.negotiation.records import Dialogue
from controller.negotiation.request import ServiceRequest
from controller.negotiation.roles import AUTHORITY, Role, Tool
from tests.controller.negotiation_plane import ENVELOPE, START, Plane, key_of
from tests.controller.negotiation_samples import CONSUMER, NETWORK, PROVIDER, REQUEST

WISH = replace(REQUEST, start=float(START))
_PATIENCE_SECONDS = 60.0


async def negotiated(plane: Plane, wish: ServiceRequest = WISH, agreement: str = "") -> Dialogue:
    subject = await plane.negotiations.negotiate(wish, agreement=agreement)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        done = await plane.negotiations.outcome(subject)
        await plane.negotiations.idle()
    return done


def taken(plane: Plane) -> int:
    return int(plane.ledger.taken(ENVELOPE))


async def test_an_intent_becomes_a_signed_agreement_and_a_service_without_anybodys_help() -> None:
    plane = Plane()
    done = await negotiated(plane)
    assert done.stage is Stage.DONE
    (standing,) = plane.negotiations.agreements()
    verify_chain(standing.issues, key_of)
    terms, links = plane.carrier.services[standing.service]
    assert terms == standing.terms
    assert terms.request.bandwidth == WISH.bandwidth
    assert links
    assert taken(plane) == terms.quote.total.minor > 0
    desks = [house.desk for house in plane.negotiations.houses()]
    assert len({tuple(desk.agreements) for desk in desks}) == 1


async def test_each_change_of_state_is_one_tool_of_one_agent_in_the_log() -> None:
    plane = Plane()
    await negotiated(plane)
    events = plane.records()
    used = {(Role(event.actor), Tool(event.type.removeprefix("negotiation."))) for event in events}
    assert {role for role, _ in used} == set(Role) - {Role.OSS_ASSURANCE}
    assert all(role in AUTHORITY[tool] for role, tool in used)
    assert {event.stream.split("/")[1] for event in events} == {CONSUMER, PROVIDER, NETWORK}


async def test_a_restarted_plane_stands_where_it_stood() -> None:
    plane = Plane()
    done = await negotiated(plane)
    after = plane.restarted()
    for before, house in zip(plane.negotiations.houses(), after.negotiations.houses(), strict=True):
        assert house.desk.dialogues == before.desk.dialogues
        assert house.desk.agreements == before.desk.agreements
    again = await negotiated(after)
    assert again.stage is Stage.DONE
    assert again.id != done.id


async def test_what_is_over_long_ago_is_forgotten_and_the_agreements_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_room, "OVER_KEPT", 3)
    plane = Plane()
    for _ in range(5):
        await negotiated(plane)
    for house in plane.negotiations.houses():
        assert len(house.desk.dialogues) == 3
        assert len(house.desk.agreements) == 5
    after = plane.restarted()
    assert [list(house.desk.dialogues) for house in after.negotiations.houses()] == [
        list(house.desk.dialogues) for house in plane.negotiations.houses()
    ]
