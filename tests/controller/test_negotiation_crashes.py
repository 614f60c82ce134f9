"""The process dies between the ledger and the log, or the ledger is busy: no money is moved twice or forgotten."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from controller.model.errors import BusyError, ConnectionFailedError, TransientError
from controller.model.units import BitRate
from controller.negotiation.checks import Refusal
from controller.negotiation.dialogue import Stage
from controller.negotiation.ledger import EntryKind, Order, Posted
from controller.negotiation.ledger_state import LedgerState
from controller.negotiation.messages import GONE_SECONDS, MessageCheck, MessageKind, MessageRefusedError, opened
from controller.negotiation.records import Dialogue
from controller.negotiation.roles import Domain
from controller.negotiation.standing_to_speak import own_name
from controller.negotiation.strategy import given_back
from controller.ports import Peers
from controller.runtime import negotiation_house
from tests.controller.negotiation_plane import ENVELOPE, Plane
from tests.controller.negotiation_samples import CONSUMER, NETWORK, PROVIDER
from tests.controller.test_negotiation_in_life import DyingLog
from tests.controller.test_negotiation_plane import WISH, negotiated, taken

pytestmark = pytest.mark.usefixtures("logged")
LATER = 400.0
"""Long enough for every quote to run out."""


class KilledError(Exception):
    """Stands for the end of the process: whatever was to follow does not."""


@dataclass
class MortalLedger(LedgerState):
    """Posts an order of one kind, and the process dies before anybody hears of it."""

    dies_after: EntryKind | None = None
    busy: int = 0

    def post(self, order: Order, now: float) -> Posted | Refusal:
        if self.busy:
            self.busy -= 1
            raise TransientError("the ledger is busy")
        answer = super().post(order, now)
        if order.kind is self.dies_after:
            self.dies_after = None
            raise KilledError
        return answer


async def begun(plane: Plane, work: Awaitable[str]) -> str:
    """Until nothing goes on any more: it is over, or the process is dead."""
    async with asyncio.timeout(60):
        subject = await work
        await plane.negotiations.idle()
    return subject


async def resumed(plane: Plane, later: float, subject: str) -> tuple[Plane, Dialogue]:
    """Another process takes over, so much later."""
    await plane.negotiations.stop()
    plane.clock.time += later
    after = plane.restarted()
    after.negotiations.resume()
    async with asyncio.timeout(60):
        await after.negotiations.idle()
        await after.negotiations.tick()
        await after.negotiations.idle()
    return after, after.negotiations.consumer().house.desk.dialogue(subject)


def settled(plane: Plane) -> None:
    """Nothing is open, no money is on hold, each side and the network have the same, and it starts again like that."""
    holdings = plane.ledger.holdings(ENVELOPE)
    assert not [one.id for one in holdings if one.reserved]
    assert taken(plane) == sum(one.committed for one in holdings)
    houses = plane.negotiations.houses()
    assert not [(house.domain, one) for house in houses for one in house.desk.open]
    views = [{root: (one.is_over, one.issues) for root, one in house.desk.agreements.items()} for house in houses]
    assert views[0] == views[1] == views[2]
    live = {one.service: one.terms for one in plane.negotiations.agreements() if not one.is_over}
    assert {name: terms for name, (terms, _) in plane.carrier.services.items()} == live
    again = replace(plane)
    assert again.negotiations.load() == len(plane.records())
    for before, house in zip(houses, again.negotiations.houses(), strict=True):
        assert house.desk.dialogues == before.desk.dialogues
        assert house.desk.agreements == before.desk.agreements


# -- between the ledger and the log ------------------------------------------------------------------------------------


async def test_what_was_reserved_and_never_told_of_is_used_by_the_next_process() -> None:
    plane = Plane(ledger=MortalLedger(dies_after=EntryKind.RESERVE))
    subject = await begun(plane, plane.negotiations.negotiate(WISH))
    assert taken(plane) > 0
    assert not plane.records("reserve-money")
    after, done = await resumed(plane, 1.0, subject)
    assert done.stage is Stage.DONE
    assert taken(after) == done.terms.quote.total.minor
    settled(after)


async def test_what_was_reserved_for_a_quote_that_ran_out_meanwhile_is_given_back() -> None:
    plane = Plane(ledger=MortalLedger(dies_after=EntryKind.RESERVE))
    subject = await begun(plane, plane.negotiations.negotiate(WISH))
    after, done = await resumed(plane, LATER, subject)
    assert (done.stage, done.refusal.check if done.refusal else "") == (Stage.REFUSED, "expiry")
    assert taken(after) == 0
    settled(after)


async def test_what_was_reserved_from_an_issuer_that_is_not_trusted_any_more_is_given_back() -> None:
    plane = Plane(ledger=MortalLedger(dies_after=EntryKind.RESERVE))
    subject = await begun(plane, plane.negotiations.negotiate(WISH))
    await plane.negotiations.stop()
    after = plane.restarted()
    after.trust = replace(after.trust, issuers={})
    after.negotiations.resume()
    async with asyncio.timeout(60):
        done = await after.negotiations.outcome(subject)
        await after.negotiations.idle()
    assert (done.stage, done.refusal.check if done.refusal else "") == (Stage.REFUSED, "issuer")
    assert taken(after) == 0
    settled(after)


@pytest.mark.parametrize("later", [1.0, LATER])
async def test_what_was_committed_and_never_told_of_is_committed_once(later: float) -> None:
    plane = Plane(ledger=MortalLedger(dies_after=EntryKind.COMMIT))
    subject = await begun(plane, plane.negotiations.negotiate(WISH))
    assert not plane.records("commit-money")
    after, done = await resumed(plane, later, subject)
    assert done.stage is Stage.DONE
    assert taken(after) == done.terms.quote.total.minor
    settled(after)


@pytest.mark.parametrize("later", [1.0, LATER])
async def test_what_was_released_and_never_told_of_is_released_once(later: float) -> None:
    plane = Plane(ledger=MortalLedger(dies_after=EntryKind.RELEASE))
    plane.carrier.refuses = {"provision"}
    subject = await begun(plane, plane.negotiations.negotiate(WISH))
    assert not plane.records("release-money")
    after, done = await resumed(plane, later, subject)
    assert done.stage is Stage.FAILED
    assert taken(after) == 0
    settled(after)


@pytest.mark.parametrize("later", [1.0, LATER])
async def test_what_was_refunded_at_an_end_and_never_told_of_is_refunded_once(later: float) -> None:
    plane = Plane(ledger=MortalLedger(dies_after=EntryKind.REFUND))
    terms = (await negotiated(plane)).terms
    plane.clock.time += 600.0
    back = given_back(terms, None, plane.clock.time)
    subject = await begun(plane, plane.negotiations.terminate(terms.root, "no need"))
    assert taken(plane) == terms.quote.total.minor - back.minor
    after, done = await resumed(plane, later, subject)
    assert done.stage is Stage.DONE
    assert taken(after) == terms.quote.total.minor - back.minor
    settled(after)


@pytest.mark.parametrize("kind", [EntryKind.COMMIT, EntryKind.REFUND])
@pytest.mark.parametrize("later", [1.0, LATER])
async def test_what_a_lesser_level_saves_comes_back_once_whenever_the_process_dies(
    kind: EntryKind, later: float
) -> None:
    plane = Plane(ledger=MortalLedger())
    terms = (await negotiated(plane)).terms
    change = {"bandwidth": BitRate(10_000_000)}
    grown = await begun(plane, plane.negotiations.change(terms.root, {"bandwidth": BitRate(10**9)}))
    assert plane.negotiations.consumer().house.desk.dialogue(grown).stage is Stage.DONE
    paid = taken(plane)
    plane.ledger.dies_after = kind
    subject = await begun(plane, plane.negotiations.change(terms.root, change))
    after, done = await resumed(plane, later, subject)
    assert done.stage is Stage.DONE
    assert done.terms.amount.minor == 0
    (standing,) = after.negotiations.agreements()
    least = paid - given_back(standing.issues[1].terms, done.terms, plane.clock.time - later).minor
    most = paid - given_back(standing.issues[1].terms, done.terms, plane.clock.time).minor
    assert least <= taken(after) <= most
    settled(after)


# -- a ledger that is busy ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(3))
async def test_a_busy_ledger_puts_money_off_and_nothing_is_lost(number: int) -> None:
    """At the reserve, at the commit, or at the refund of the end: the next tick asks again."""
    ledger = MortalLedger()
    plane = Plane(ledger=ledger)
    root = ""
    if number == 2:
        root = (await negotiated(plane)).terms.root
    ledger.busy = 1
    if number == 1:
        ledger.busy = 0
        plane.carrier.provision = _first(plane.carrier.provision, lambda: setattr(ledger, "busy", 1))  # type: ignore[method-assign]
    work = plane.negotiations.terminate(root, "no need") if root else plane.negotiations.negotiate(WISH)
    subject = await begun(plane, work)
    house = plane.negotiations.house(plane.negotiations.consumer().requirement.operator)
    assert list(house.desk.open) == [subject]
    async with asyncio.timeout(60):
        await plane.negotiations.tick()
        done = await plane.negotiations.outcome(subject)
        await plane.negotiations.idle()
    assert done.stage is Stage.DONE
    assert taken(plane) == (0 if root else done.terms.quote.total.minor)
    settled(plane)


def _first(act: Callable[..., Awaitable[str]], before: Callable[[], None]) -> Any:
    async def acted(*arguments: Any) -> str:
        before()
        return await act(*arguments)

    return acted


async def test_a_reservation_that_was_given_back_is_not_spent_under_its_old_name() -> None:
    plane = Plane(ledger=MortalLedger())
    plane.carrier.refuses = {"provision"}
    failed = await negotiated(plane)
    plane.carrier.refuses = set()
    business = plane.negotiations.business
    assert business is not None
    # As if the operator had forgotten the negotiation, and the consumer used its name once more.
    dialogue = replace(business.house.desk.dialogues[failed.id], stage=Stage.ACCEPTED, refusal=None)
    call = business.agent.due(dialogue, plane.clock.time)
    assert call is not None
    answer = await plane.business_tools.reserve(call, dialogue, plane.clock.time)
    assert answer["refused"]["check"] == "ledger"
    assert taken(plane) == 0


# -- after any record --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("later", [1.0, LATER, 100_000.0])
@pytest.mark.parametrize(
    "stored, is_torn", [*((n, False) for n in range(1, 23)), *((n, True) for n in range(2, 46, 4))]
)
async def test_dying_after_any_record_of_a_life_with_a_change_and_an_end_leaves_all_sides_agreed(
    stored: int, is_torn: bool, later: float
) -> None:
    plane = Plane()
    plane.log = log = DyingLog(clock=plane.clock)
    log.is_torn = is_torn
    plane = replace(plane)
    root = (await negotiated(plane)).terms.root
    log.left = stored
    changing = asyncio.create_task(plane.negotiations.change(root, {"bandwidth": BitRate(10_000_000)}))
    changed = own_name(Domain.ENTERPRISE, CONSUMER, 2)
    ending: asyncio.Task[str] | None = None
    for turn in range(400):
        await asyncio.sleep(0)
        if turn == 200 and plane.negotiations.consumer().house.desk.dialogue(changed).stage.is_final:
            ending = asyncio.create_task(plane.negotiations.terminate(root, "no need"))
    changing.cancel()
    if ending is not None:
        ending.cancel()
    await plane.negotiations.stop()
    log.left = 10**9
    after, done = await resumed(plane, later, changed)
    for wait in (LATER, GONE_SECONDS + 1.0):
        # What waits for an answer that will not come gives up, sooner or later.
        if any(house.desk.open for house in after.negotiations.houses()):
            after, done = await resumed(after, wait, changed)
    assert done.stage.is_final
    settled(after)


# -- what does not arrive ----------------------------------------------------------------------------------------------


class Unreachable:
    """The way to parties whose process is not there."""

    async def deliver(self, party: str, _token: str) -> None:
        raise ConnectionFailedError(f"'{party}' cannot be reached", path=party)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be delivered is tried once at a time."""
    monkeypatch.setattr(negotiation_house, "_RETRY_SECONDS", (0.0,))


async def ticked(plane: Plane, later: float) -> None:
    plane.clock.time += later
    async with asyncio.timeout(60):
        await plane.negotiations.tick()
        await plane.negotiations.idle()


async def until(is_so: Callable[[], bool]) -> None:
    """As many turns as it takes."""
    for _ in range(100_000):
        if is_so():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come to that")


@pytest.mark.usefixtures("impatient")
async def test_what_could_not_be_delivered_is_delivered_when_the_other_is_there() -> None:
    plane = Plane()
    network = plane.lane.houses.pop(NETWORK)
    plane.lane.beyond = Unreachable()
    subject = await begun(plane, plane.negotiations.negotiate(WISH))
    assert plane.negotiations.house(PROVIDER).desk.dialogue(subject).stage is Stage.ASKED
    plane.lane.houses[NETWORK] = network
    await ticked(plane, 1.0)
    assert plane.negotiations.consumer().house.desk.dialogue(subject).stage is Stage.DONE
    settled(plane)


@dataclass
class Held:
    """The way to the others, on which one kind of message does not arrive for a while."""

    way: Peers
    kind: MessageKind | None

    async def deliver(self, party: str, token: str) -> None:
        if opened(token).kind is self.kind:
            raise BusyError("not now")
        await self.way.deliver(party, token)


@pytest.mark.usefixtures("impatient")
async def test_a_consumer_whose_acceptance_comes_too_late_learns_of_it_at_once() -> None:
    plane = Plane()
    consumer, business = plane.negotiations.consumer().house, plane.negotiations.house(PROVIDER)
    consumer.peers = held = Held(plane.lane, MessageKind.ACCEPTANCE)
    subject = await begun(plane, plane.negotiations.negotiate(WISH))
    assert consumer.desk.dialogue(subject).stage is Stage.ACCEPTED
    plane.clock.time += LATER
    async with asyncio.timeout(60):
        await business.tick()
        await business.idle()
    assert business.desk.dialogue(subject).stage is Stage.LAPSED
    held.kind = None
    await ticked(plane, 0.0)
    done = consumer.desk.dialogue(subject)
    assert (done.stage, done.refusal.check if done.refusal else "") == (Stage.REFUSED, "turn")
    assert taken(plane) == 0
    settled(plane)


@pytest.mark.usefixtures("impatient")
async def test_money_for_an_order_that_comes_too_late_is_given_back_at_once_and_the_consumer_told() -> None:
    plane = Plane()
    business, network = plane.negotiations.house(PROVIDER), plane.negotiations.house(NETWORK)
    business.peers = held = Held(plane.lane, MessageKind.ORDER)
    subject = await begun(plane, plane.negotiations.negotiate(WISH))
    assert business.desk.dialogue(subject).stage is Stage.ORDERED
    assert taken(plane) > 0
    plane.clock.time += GONE_SECONDS + 1.0
    async with asyncio.timeout(60):
        await network.tick()
        await network.idle()
    held.kind = None
    await ticked(plane, 0.0)
    assert plane.negotiations.consumer().house.desk.dialogue(subject).stage is Stage.FAILED
    assert taken(plane) == 0
    settled(plane)


@pytest.mark.usefixtures("impatient")
async def test_who_hears_late_that_a_message_was_turned_away_that_is_answered_meanwhile_takes_no_notice() -> None:
    plane = Plane()
    done = await negotiated(plane)
    house, length = plane.negotiations.consumer().house, len(plane.records())
    ((_, said),) = [one for event in plane.records("accept-offer") for one in event.data["says"]]
    await house._give_up(done.id, said, MessageRefusedError("no", check=MessageCheck.TURN))
    assert len(plane.records()) == length
    settled(plane)


@pytest.mark.usefixtures("impatient")
async def test_a_network_that_never_answers_is_not_waited_for_for_ever() -> None:
    plane = Plane()
    network = plane.lane.houses.pop(NETWORK)
    plane.lane.beyond = Unreachable()
    subject = await begun(plane, plane.negotiations.negotiate(WISH))
    await ticked(plane, LATER)
    await ticked(plane, LATER)
    refused = plane.negotiations.house(PROVIDER).desk.dialogue(subject)
    assert (refused.stage, refused.refusal.check if refused.refusal else "") == (Stage.REFUSED, "feasibility")
    plane.lane.houses[NETWORK] = network
    await ticked(plane, 1.0)
    assert taken(plane) == 0
    settled(plane)


@pytest.mark.usefixtures("impatient")
async def test_what_was_held_for_a_business_side_that_is_gone_is_free_again() -> None:
    plane = Plane()
    business = plane.lane.houses[PROVIDER]
    network = plane.negotiations.house(NETWORK)
    subject = await plane.negotiations.negotiate(WISH)
    await until(lambda: network.desk.dialogue(subject).stage is not Stage.NEW)
    async with asyncio.timeout(60):
        del plane.lane.houses[PROVIDER]
        plane.lane.beyond = Unreachable()
        await plane.negotiations.idle()
    assert network.desk.dialogue(subject).stage is Stage.OFFERED
    await ticked(plane, GONE_SECONDS + 1.0)
    assert network.desk.dialogue(subject).stage is Stage.WITHDRAWN
    assert not any(window.holdings.open for mesh in plane.operator.meshes for window in mesh.windows)
    plane.lane.houses[PROVIDER] = business
    await ticked(plane, 1.0)
    settled(plane)


async def test_an_order_whose_time_is_over_is_not_carried_out_and_costs_nothing() -> None:
    plane = Plane()
    plane.log = log = DyingLog(clock=plane.clock)
    plane = replace(plane)
    subject = await plane.negotiations.negotiate(WISH)
    await until(lambda: plane.negotiations.house(PROVIDER).desk.dialogue(subject).stage is Stage.ORDERED)
    log.left = 0
    await plane.negotiations.stop()
    log.left = 10**9
    after, done = await resumed(plane, WISH.duration_seconds + 1.0, subject)
    assert done.stage is Stage.FAILED
    assert not plane.carrier.acts
    assert taken(after) == 0
    settled(after)


async def test_what_is_said_again_after_a_long_night_is_known_and_nothing_happens_twice() -> None:
    plane = Plane()
    done = await negotiated(plane)
    length = len(plane.records())
    after, _ = await resumed(plane, 1_000.0, done.id)
    assert len(after.records()) == length
    assert taken(after) == done.terms.quote.total.minor
    settled(after)
