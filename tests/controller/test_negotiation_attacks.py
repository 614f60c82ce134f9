"""What a known party does that is not its to do: it is turned away, moves no money, and leaves the plane startable."""

import pytest

from controller.negotiation.agreement import Agreement, sign_terms
from controller.negotiation.bookings import Booking
from controller.negotiation.dialogue import Stage
from controller.negotiation.jose import SigningKey
from controller.negotiation.message_bodies import Action, Body, Feasibility, Finding, Order, Report
from controller.negotiation.messages import Message, MessageCheck, MessageKind, MessageRefusedError, seal
from controller.negotiation.roles import Role
from controller.runtime.negotiation_house import House
from tests.controller.negotiation_plane import START, Plane
from tests.controller.negotiation_samples import (
    CONSUMER,
    CONSUMER_KEY,
    NETWORK,
    PROVIDER,
    PROVIDER_KEY,
    RIVAL,
    RIVAL_KEY,
    terms,
)
from tests.controller.test_negotiation_plane import negotiated, taken

_K, _R = MessageKind, Role


def said(
    kind: MessageKind,
    sender: Role,
    recipient: Role,
    body: Body,
    correlation: str,
    *,
    key: SigningKey = RIVAL_KEY,
    to: str = PROVIDER,
) -> str:
    """A message that is well signed by whoever has the key."""
    party = key.id.partition("#")[0]
    id_ = f"m-{kind}-{correlation}-{party[-12:-8]}"
    message = Message(id_, kind, correlation, sender, party, recipient, to, float(START), START + 3000.0, body)
    return seal(message, key)


async def turned_away(house: House, token: str) -> MessageCheck:
    """By which check."""
    with pytest.raises(MessageRefusedError) as caught:
        await house.receive(token)
    return caught.value.check


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
