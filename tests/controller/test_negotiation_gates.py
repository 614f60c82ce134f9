"""What must hold between asking and agreeing: offers are held, wallets are their holders', a risk is flagged once."""

from dataclasses import replace
from typing import Any

from controller.assurance.breach import Breach
from controller.assurance.closed_loop import ClosedLoop
from controller.assurance.guards import GuardLimits
from controller.assurance.instance import Happening, InstanceEvent
from controller.assurance.objectives import Objective, ObjectiveName
from controller.model.identifiers import ServiceId
from controller.model.units import BitRate
from controller.negotiation.agreement import Strategy
from controller.negotiation.bands import Band
from controller.negotiation.catalogue import Axis
from controller.negotiation.desk import Desk
from controller.negotiation.holder import present
from controller.negotiation.message_bodies import Variation
from controller.negotiation.oss import FLAG_SECONDS, OssAssuranceAgent
from controller.negotiation.quote import QuoteCheck, QuoteRefusal, Seller
from controller.negotiation.records import Dialogue, Record, ToolCall
from controller.negotiation.roles import Domain, Role, Tool
from controller.negotiation.strategy import Risk
from controller.runtime.negotiation_network import Market
from tests.controller.market_samples import NOW, REQUEST, asked, loads, offered, seller, ticked
from tests.controller.negotiation_plane import ENVELOPE, START, Plane
from tests.controller.negotiation_samples import CONSUMER, CONSUMER_KEY, PROVIDER
from tests.controller.test_negotiation_plane import WISH
from tests.controller.topology_samples import drawn

WHOLE = replace(REQUEST, bandwidth=BitRate(10**10))
ROOT = "agr-1"


def one_link() -> Seller:
    return seller(drawn(("a", "d", 1)))


# -- quotes ------------------------------------------------------------------------------------------------------------


def test_what_is_offered_is_held_for_the_asker_until_the_offer_runs_out() -> None:
    market = Market(one_link())
    (offer,) = market.find(Variation(Strategy.AS_ASKED, WHOLE), NOW)  # type: ignore[misc]  # it is no refusal
    other = replace(WHOLE, id="r2", consumer="label-2")
    refused = market.prices(other, NOW)
    assert isinstance(refused, QuoteRefusal)
    assert refused.check is QuoteCheck.WITHDRAWN
    late = offer.quote.valid_until + 1.0
    market.run_out(late)
    (window,) = market.seller.meshes[0].windows
    assert window.room(Axis.BANDWIDTH, 0) == 10**10


def test_a_price_that_was_only_looked_up_holds_nothing() -> None:
    market = Market(one_link())
    for _ in range(3):
        assert not isinstance(market.prices(WHOLE, NOW), QuoteRefusal)
    (window,) = market.seller.meshes[0].windows
    assert window.room(Axis.BANDWIDTH, 0) == 10**10


def test_a_grade_whose_band_is_withdrawn_is_not_sold_though_there_is_room_and_is_again_when_it_clears() -> None:
    operator = one_link()
    small = {"bandwidth": BitRate(10**7)}
    now = ticked(operator, loads(operator.meshes[0], "ad", share=0.95), 200)
    published = operator.meshes[0].windows[0].published()
    assert set(published.bands[Axis.BANDWIDTH]) == {Band.WITHDRAWN.rank}
    assert min(published.on_sale[Axis.BANDWIDTH]) > 0
    refused = asked(operator, now, **small)
    assert isinstance(refused, QuoteRefusal)
    assert refused.check is QuoteCheck.WITHDRAWN
    now = ticked(operator, loads(operator.meshes[0], share=0.0), 200, now)
    assert offered(operator, now, **small).quote.bands[Axis.BANDWIDTH] is Band.BASELINE


# -- wallets -----------------------------------------------------------------------------------------------------------


async def verified(holder: str = CONSUMER, wallet: str = "") -> Any:
    """What the business side's policy agent finds of a good presentation that `holder` sends, to be of `wallet`."""
    plane = Plane()
    request = replace(WISH, id="asked", consumer=holder)
    shown = present(
        plane.held.credentials, CONSUMER_KEY, audience=PROVIDER, intent=request.digest, nonce="n-1", now=START
    )
    said = {
        "presentation": shown.text(),
        "digest": request.digest,
        "holder": holder,
        "wallet": wallet,
        "agreement": "",
        "request": request.to_json(),
        "terms": None,
    }
    call = ToolCall(Role.BSS_POLICY, Tool.VERIFY_WALLET, "asked", said)
    return await plane.negotiations.house(PROVIDER).tools[Tool.VERIFY_WALLET](call, Dialogue("asked"), float(START))


async def test_a_wallet_is_presented_by_who_holds_it_and_pays_for_what_it_paid_for_before() -> None:
    assert await verified() == await verified(wallet=ENVELOPE) == {"wallet": ENVELOPE}
    assert (await verified(holder="did:web:rival.example"))["refused"]["check"] == "holder"
    assert (await verified(wallet=f"{ENVELOPE}-2"))["refused"]["check"] == "policy"


# -- flags -------------------------------------------------------------------------------------------------------------


def at_risk() -> OssAssuranceAgent:
    """An agreement that is at risk, and nobody has been told."""
    agent = OssAssuranceAgent(Desk(Domain.OSS), "did:web:bss", ClosedLoop(GuardLimits(jitter_seconds=0.0)))
    agent.loop.declare(ROOT, NOW)
    for event in ("negotiate", "agree", "provision"):
        agent.loop.apply(Happening(ROOT, InstanceEvent(event), NOW))
    seen = agent.look(ROOT, (breach(),), NOW)
    assert seen is not None
    done(agent, seen, NOW)
    return agent


def breach() -> Breach:
    objective = Objective(ServiceId("naas"), ObjectiveName.ONE_WAY_DELAY, 0.02)
    return Breach(objective, 300.0, 0.03, 0.02, 0.04, 0.95, 1.0)


def done(agent: OssAssuranceAgent, call: ToolCall, now: float) -> None:
    agent.apply(Record(now, call.role, call.tool, call.subject, call.arguments))


def flagged(agent: OssAssuranceAgent, now: float) -> ToolCall | None:
    return agent.flag(ROOT, (breach(),), Risk(Axis.LATENCY, ("a:ad>d:ad",)), now)


def test_a_risk_is_flagged_once_while_nobody_has_answered_and_again_under_another_name() -> None:
    agent = at_risk()
    first = flagged(agent, NOW + 1.0)
    assert first is not None
    done(agent, first, NOW + 1.0)
    assert flagged(agent, NOW + 11.0) is None
    again = flagged(agent, NOW + 2.0 + FLAG_SECONDS)
    assert again is not None
    assert again.subject != first.subject
