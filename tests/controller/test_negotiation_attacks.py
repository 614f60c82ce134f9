"""What a known party does that is not its to do: it is turned away, moves no money, and leaves the plane startable."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from controller.model.errors import ConflictError
from controller.model.units import BitRate
from controller.negotiation.agreement import Agreement, sign_terms
from controller.negotiation.bookings import Booking
from controller.negotiation.dialogue import Stage
from controller.negotiation.message_bodies import (
    Acceptance,
    Action,
    Feasibility,
    Finding,
    Offers,
    Order,
    Report,
)
from controller.negotiation.messages import MessageCheck, MessageKind
from controller.negotiation.records import Dialogue
from controller.negotiation.roles import Domain, Role, Tool
from controller.negotiation.standing_to_speak import own_name
from controller.ports import NewEvent
from tests.controller.negotiation_attackers import UNKNOWN, proposal, rivals, said, turned_away, unharmed, withdrawal
from tests.controller.negotiation_plane import Plane
from tests.controller.negotiation_rival import RIVALS_ENVELOPE, ContestedPlane
from tests.controller.negotiation_samples import (
    CONSUMER,
    CONSUMER_KEY,
    NETWORK,
    NETWORK_KEY,
    OTHER_PROVIDER_KEY,
    PROVIDER,
    PROVIDER_KEY,
    RIVAL,
    RIVAL_KEY,
    terms,
)
from tests.controller.test_negotiation_plane import WISH, negotiated, taken

_K, _R = MessageKind, Role
pytestmark = pytest.mark.usefixtures("logged")


# -- whose role it is --------------------------------------------------------------------------------------------------


async def test_a_consumer_cannot_ask_the_network_as_if_it_were_the_operators_business_side() -> None:
    plane = Plane()
    network = plane.negotiations.house(NETWORK)
    ask = said(_K.FEASIBILITY, _R.BSS_NEGOTIATION, _R.OSS_PLANNING, Feasibility(), "steal-1", to=NETWORK)
    assert await turned_away(network, ask) is MessageCheck.SENDER
    own = terms(consumer=RIVAL, provider=RIVAL)
    signature = sign_terms(own, RIVAL_KEY)
    body = Order(Action.ADD, Agreement(own, signature, signature))
    order = said(_K.ORDER, _R.BSS_NEGOTIATION, _R.OSS_NEGOTIATION, body, "steal-2", to=NETWORK)
    assert await turned_away(network, order) is MessageCheck.SENDER
    await plane.negotiations.idle()
    assert not plane.carrier.acts


async def test_a_consumer_cannot_report_as_the_network_that_its_service_failed() -> None:
    plane = Plane()
    done = await negotiated(plane)
    before = taken(plane)
    body = Report(Finding.FAILED, done.terms.root, "it broke")
    report = said(_K.REPORT, _R.OSS_PLANNING, _R.BSS_NEGOTIATION, body, done.id, key=CONSUMER_KEY)
    assert await turned_away(plane.negotiations.house(PROVIDER), report) is MessageCheck.SENDER
    assert taken(plane) == before > 0


async def test_a_message_for_an_agent_of_another_domain_is_turned_away() -> None:
    house = Plane().negotiations.house(CONSUMER)
    ask = said(
        _K.FEASIBILITY, _R.BSS_NEGOTIATION, _R.OSS_PLANNING, Feasibility(), "lost-1", key=PROVIDER_KEY, to=CONSUMER
    )
    assert await turned_away(house, ask) is MessageCheck.RECIPIENT


async def test_nothing_is_provisioned_that_its_seller_sells_to_itself() -> None:
    plane = Plane()
    own = terms(consumer=PROVIDER)
    signature = sign_terms(own, PROVIDER_KEY)
    body = Order(Action.ADD, Agreement(own, signature, signature))
    network = plane.negotiations.house(NETWORK)
    # As if something were held for it: all that is wrong is who buys.
    quote, wish = own.quote, own.request
    plane.network_tools.bookings.open[quote.reservation] = Booking(
        quote.reservation,
        wish.consumer,
        quote.offering,
        quote.tier,
        quote.bit_rate,
        (),
        wish.start,
        wish.duration_seconds,
        quote.valid_until,
    )
    await network.receive(
        said(_K.ORDER, _R.BSS_NEGOTIATION, _R.OSS_NEGOTIATION, body, "self-1", key=PROVIDER_KEY, to=NETWORK)
    )
    await plane.negotiations.idle()
    refused = network.desk.dialogue("self-1")
    assert (refused.stage, refused.refusal.check if refused.refusal else "") == (Stage.REFUSED, "agreement")
    assert not plane.carrier.acts


# -- agreements that there are not, or not any more --------------------------------------------------------------------


def about(root: str) -> dict[str, tuple[str, str]]:
    """Everything that can be said about an agreement without anything having been said before: (to whom, token)."""
    wish = replace(WISH, consumer=CONSUMER)
    own = own_name(Domain.ENTERPRISE, CONSUMER, 77)
    bss = own_name(Domain.BSS, PROVIDER, 77)
    offers = Offers((replace(terms(root), root=root),))
    ended, flag = Report(Finding.TERMINATED, root, "it is over"), Report(Finding.PREDICTED_BREACH, root, "soon")
    to_bank: dict[str, Any] = {"key": PROVIDER_KEY, "to": CONSUMER}
    return {
        "a change": (PROVIDER, proposal(wish, own, root, CONSUMER_KEY)),
        "its end": (PROVIDER, withdrawal(root, own, CONSUMER_KEY)),
        "a risk": (
            PROVIDER,
            said(_K.REPORT, _R.OSS_ASSURANCE, _R.BSS_NEGOTIATION, flag, f"{root}~1", key=NETWORK_KEY),
        ),
        "an offer": (
            CONSUMER,
            said(_K.COUNTER_OFFER, _R.BSS_NEGOTIATION, _R.ENTERPRISE_POLICY, offers, bss, **to_bank),
        ),
        "no offer": (
            CONSUMER,
            said(_K.COUNTER_OFFER, _R.BSS_NEGOTIATION, _R.ENTERPRISE_POLICY, Offers(()), bss, **to_bank),
        ),
        "that it ended": (
            CONSUMER,
            said(_K.REPORT, _R.BSS_NEGOTIATION, _R.ENTERPRISE_POLICY, ended, bss, **to_bank),
        ),
    }


@pytest.mark.parametrize("what", about(UNKNOWN))
async def test_a_message_about_an_agreement_that_there_is_not_is_turned_away_and_the_plane_starts_again(
    what: str,
) -> None:
    plane = Plane()
    await negotiated(plane)
    before, (party, token) = taken(plane), about(UNKNOWN)[what]
    assert await turned_away(plane.negotiations.house(party), token) is MessageCheck.TURN
    assert plane.records("turn-away")[-1].data["arguments"]["check"] == "turn"
    unharmed(plane)
    assert taken(plane) == before > 0


@pytest.mark.parametrize("what", [what for what in about(UNKNOWN) if what != "no offer"])
async def test_a_message_about_an_agreement_that_is_over_is_turned_away_and_the_plane_starts_again(what: str) -> None:
    plane = Plane()
    root = (await negotiated(plane)).terms.root
    await ended(plane, root)
    before, (party, token) = taken(plane), about(root)[what]
    assert await turned_away(plane.negotiations.house(party), token) is MessageCheck.TURN
    unharmed(plane)
    assert taken(plane) == before


async def ended(plane: Plane, root: str) -> Dialogue:
    async with asyncio.timeout(60):
        done = await plane.negotiations.outcome(await plane.negotiations.terminate(root, "no need"))
        await plane.negotiations.idle()
    return done


async def test_the_network_answers_about_an_agreement_that_it_does_not_know() -> None:
    plane = Plane()
    network = plane.negotiations.house(NETWORK)
    body = Feasibility(agreement=UNKNOWN)
    await network.receive(
        said(_K.FEASIBILITY, _R.BSS_NEGOTIATION, _R.OSS_PLANNING, body, "lost-1", key=PROVIDER_KEY, to=NETWORK)
    )
    await plane.negotiations.idle()
    assert network.desk.dialogue("lost-1").stage is Stage.OFFERED
    unharmed(plane)


async def test_terms_that_were_never_offered_are_not_accepted_and_the_plane_starts_again() -> None:
    plane = Plane()
    done = await negotiated(plane)
    house = plane.negotiations.house(PROVIDER)
    house.desk.dialogues[done.id] = replace(house.desk.dialogues[done.id], stage=Stage.OFFERED)
    body = Acceptance("agr-invented", "sig", "{}")
    token = said(_K.ACCEPTANCE, _R.ENTERPRISE_POLICY, _R.BSS_NEGOTIATION, body, done.id, key=CONSUMER_KEY)
    assert await turned_away(house, token) is MessageCheck.TURN
    house.desk.dialogues[done.id] = replace(house.desk.dialogues[done.id], stage=Stage.DONE)
    unharmed(plane)


async def test_a_record_that_cannot_be_folded_does_not_keep_the_others_from_coming_back(logged: list[Any]) -> None:
    plane = Plane()
    done = await negotiated(plane)
    assert plane.log is not None
    said_ = {"subject": done.id, "arguments": {"text": "too late"}, "result": None}
    await plane.log.append(
        [NewEvent(f"negotiation/{PROVIDER}/{done.id}", "negotiation.let-lapse", said_)], actor=Role.BSS_NEGOTIATION
    )
    after = plane.restarted()
    (line,) = [one for one in logged if one["event"] == "record_not_folded"]
    assert done.id in line["stream"]
    for before, house in zip(plane.negotiations.houses(), after.negotiations.houses(), strict=True):
        assert house.desk.agreements == before.desk.agreements
    assert (await negotiated(after)).stage is Stage.DONE


async def test_a_tool_whose_turn_it_is_not_leaves_no_record() -> None:
    plane = Plane()
    done = await negotiated(plane)
    business = plane.negotiations.business
    assert business is not None
    length = len(plane.records())
    with pytest.raises(ConflictError):
        await business.house.begin(business.agent.end(done.id, done.terms.root, "now"))
    assert len(plane.records()) == length
    unharmed(plane)


# -- whose agreement it is ---------------------------------------------------------------------------------------------


async def test_a_rival_can_neither_end_nor_change_an_agreement_of_others() -> None:
    plane = Plane()
    root = (await negotiated(plane)).terms.root
    before, acts = taken(plane), list(plane.carrier.acts)
    house = plane.negotiations.house(PROVIDER)
    wish = replace(WISH, consumer=RIVAL, bandwidth=BitRate(10_000_000))
    assert await turned_away(house, withdrawal(root, rivals(1))) is MessageCheck.TURN
    assert await turned_away(house, proposal(wish, rivals(2), root)) is MessageCheck.TURN
    await plane.negotiations.idle()
    (standing,) = plane.negotiations.agreements()
    assert not standing.is_over
    assert (taken(plane), plane.carrier.acts) == (before, acts)
    assert not house.desk.under_way(root)
    unharmed(plane)


async def test_another_operator_can_neither_end_nor_change_what_this_one_sold() -> None:
    plane = Plane()
    done = await negotiated(plane)
    (standing,) = plane.negotiations.agreements()
    house = plane.negotiations.house(CONSUMER)
    other: dict[str, Any] = {"key": OTHER_PROVIDER_KEY, "to": CONSUMER}
    report = Report(Finding.TERMINATED, standing.root, "it is over")
    offers = Offers((replace(done.terms, id="agr-x", parent=standing.current.id, parent_hash=standing.current.hash),))
    name = f"{standing.root}~1"
    for kind, body in ((_K.REPORT, report), (_K.COUNTER_OFFER, offers)):
        token = said(kind, _R.BSS_NEGOTIATION, _R.ENTERPRISE_POLICY, body, name, **other)
        assert await turned_away(house, token) is MessageCheck.TURN
    assert house.desk.agreements[standing.root] == standing
    unharmed(plane)


async def test_an_agreement_that_is_yet_to_come_cannot_be_blocked_beforehand() -> None:
    plane = Plane()
    network = plane.negotiations.house(NETWORK)
    future = f"agr-{own_name(Domain.ENTERPRISE, CONSUMER, 1)}-01"
    body = Feasibility(agreement=future)
    await network.receive(
        said(_K.FEASIBILITY, _R.BSS_NEGOTIATION, _R.OSS_PLANNING, body, "early-1", key=PROVIDER_KEY, to=NETWORK)
    )
    wish = replace(WISH, consumer=RIVAL)
    house = plane.negotiations.house(PROVIDER)
    assert await turned_away(house, proposal(wish, rivals(), future)) is MessageCheck.TURN
    done = await negotiated(plane)
    assert done.terms.root == future
    assert not any(one.desk.under_way(future) for one in plane.negotiations.houses())
    assert (await ended(plane, future)).stage is Stage.DONE
    assert not plane.carrier.services


async def test_an_open_change_does_not_keep_an_agreement_from_its_end() -> None:
    plane = Plane()
    root = (await negotiated(plane)).terms.root
    house = plane.negotiations.house(PROVIDER)
    usual = house.tools

    async def never(*_: Any) -> Any:
        raise RuntimeError("the disk is full")

    house.tools = {**usual, Tool.VERIFY_WALLET: never}
    name = own_name(Domain.ENTERPRISE, CONSUMER, 50)
    await house.receive(proposal(replace(WISH, consumer=CONSUMER), name, root, CONSUMER_KEY))
    await plane.negotiations.idle()
    assert [one.id for one in house.desk.under_way(root)] == [name]
    plane.clock.time = WISH.start + WISH.duration_seconds + 1.0
    await ticked(plane)
    assert all(one.is_over for one in plane.negotiations.agreements())
    assert not plane.carrier.services
    # What stood in its way is gone: the change goes on, and there is nothing left to change.
    house.tools = usual
    await ticked(plane)
    assert house.desk.dialogue(name).stage is Stage.REFUSED
    assert not house.desk.open
    unharmed(plane)


async def ticked(plane: Plane) -> None:
    async with asyncio.timeout(60):
        for _ in range(2):
            await plane.negotiations.tick()
            await plane.negotiations.idle()


async def test_of_several_ends_of_one_agreement_one_happens_and_its_money_comes_back_once() -> None:
    plane = Plane()
    root = (await negotiated(plane)).terms.root
    house = plane.negotiations.house(PROVIDER)
    for number in (50, 51, 52):
        await house.receive(withdrawal(root, own_name(Domain.ENTERPRISE, CONSUMER, number), CONSUMER_KEY))
    async with asyncio.timeout(60):
        await plane.negotiations.idle()
    assert [act for act, _ in plane.carrier.acts] == ["provision", "remove"]
    assert house.desk.agreements[root].is_over
    assert taken(plane) == 0
    assert not house.desk.open
    unharmed(plane)


async def test_a_consumer_asks_once_for_the_end_of_an_agreement() -> None:
    plane = Plane()
    root = (await negotiated(plane)).terms.root
    first, second = await asyncio.gather(
        plane.negotiations.terminate(root, "no need"),
        plane.negotiations.terminate(root, "no need"),
        return_exceptions=True,
    )
    assert isinstance(second, ConflictError)
    assert isinstance(first, str)
    async with asyncio.timeout(60):
        assert (await plane.negotiations.outcome(first)).stage is Stage.DONE
        await plane.negotiations.idle()


async def test_an_agreement_is_not_moved_to_other_places() -> None:
    plane = Plane()
    root = (await negotiated(plane)).terms.root
    house = plane.negotiations.house(PROVIDER)
    elsewhere = replace(WISH, consumer=CONSUMER, z="c")
    token = proposal(elsewhere, own_name(Domain.ENTERPRISE, CONSUMER, 60), root, CONSUMER_KEY)
    assert await turned_away(house, token) is MessageCheck.TURN


async def test_a_rival_does_not_have_anothers_vpn_carried_its_own_way() -> None:
    plane = ContestedPlane()
    wish = replace(WISH, vpn="acme")
    done = await plane.negotiations.outcome(await plane.negotiations.negotiate(wish, party=CONSUMER), party=CONSUMER)
    assert done.stage is Stage.DONE
    refused = await plane.negotiations.outcome(await plane.negotiations.negotiate(wish, party=RIVAL), party=RIVAL)
    await plane.negotiations.idle()
    assert refused.stage is Stage.REFUSED
    assert refused.refusal is not None
    assert "carried for another" in refused.refusal.text
    assert plane.ledger.taken(RIVALS_ENVELOPE) == 0
    assert [act for act, _ in plane.carrier.acts] == ["provision"]
    # Nor where both ask before either has it: the order is looked at as well.
    network = plane.negotiations.network
    assert network is not None
    late = replace(network.house.desk.dialogues[done.id], action=Action.ADD, chosen=replace(done.terms, root="agr-2"))
    late = replace(late, chosen=replace(late.terms, request=replace(wish, consumer=RIVAL)))
    refusal = plane.network_tools.orders.refusal_of(late)
    assert refusal is not None
    assert refusal.check == "vpn"


async def test_a_vpn_that_is_not_a_consumers_own_is_none_to_it() -> None:
    plane = ContestedPlane()
    plane.network_tools.has_vpn = lambda consumer, vpn: (consumer, vpn) == (CONSUMER, "acme")
    wish = replace(WISH, vpn="acme")
    refused = await plane.negotiations.outcome(await plane.negotiations.negotiate(wish, party=RIVAL), party=RIVAL)
    await plane.negotiations.idle()
    assert refused.refusal is not None
    assert f"'{RIVAL}' has no VPN 'acme'" in refused.refusal.text
    assert plane.ledger.taken(RIVALS_ENVELOPE) == 0
    done = await plane.negotiations.outcome(await plane.negotiations.negotiate(wish, party=CONSUMER), party=CONSUMER)
    assert done.stage is Stage.DONE
