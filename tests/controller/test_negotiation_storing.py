"""What is stored together and what is stored first: few appends, and never an effect or a message before its reason."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from controller.adapters.event_log_memory import MemoryEventLog
from controller.model.units import BitRate
from controller.negotiation import desk as desk_room
from controller.negotiation.checks import Refusal
from controller.negotiation.dialogue import Stage
from controller.negotiation.ledger import Order, Posted
from controller.negotiation.ledger_state import LedgerState
from controller.negotiation.messages import GONE_SECONDS, opened
from controller.negotiation.roles import Role, Tool
from controller.ports import Event, NewEvent, Peers
from tests.controller.negotiation_plane import Carrier, Plane
from tests.controller.test_negotiation_in_life import negotiated_change
from tests.controller.test_negotiation_plane import WISH, negotiated

MONEY = {Tool.RESERVE_MONEY, Tool.COMMIT_MONEY, Tool.RELEASE_MONEY}


class CountingLog(MemoryEventLog):
    """Remembers what was stored together."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.together: list[list[Tool]] = []

    async def append(self, events: Sequence[NewEvent], **how: Any) -> Sequence[Event]:
        stored = await super().append(events, **how)
        self.together.append([Tool(event.type.removeprefix("negotiation.")) for event in stored])
        return stored


@dataclass
class WatchedLedger(LedgerState):
    """Notes what the operator's log has last when money is moved."""

    plane: Any = None
    seen: list[tuple[str, str]] = field(default_factory=list)

    def post(self, order: Order, now: float) -> Posted | Refusal:
        self.seen.append((order.kind, last_of(self.plane, "bss")))
        return super().post(order, now)


@dataclass
class WatchedCarrier(Carrier):
    """Notes what the network's log has last when a device is touched."""

    plane: Any = None
    seen: list[str] = field(default_factory=list)

    def _act(self, act: str, service: str) -> None:
        self.seen.append(last_of(self.plane, "oss"))
        super()._act(act, service)


@dataclass
class WatchedWay:
    """Sees of each message that leaves whether the log has it."""

    way: Peers
    plane: Plane
    seen: list[bool] = field(default_factory=list)

    async def deliver(self, party: str, token: str) -> None:
        said = [one for event in self.plane.records() for one in event.data.get("says", ())]
        self.seen.append([party, token] in said)
        await self.way.deliver(party, token)


def last_of(plane: Plane, domain: str) -> str:
    tools = [event.type.removeprefix("negotiation.") for event in plane.records() if event.actor.startswith(domain)]
    return str(tools[-1])


def watched() -> Plane:
    plane = Plane()
    plane.log = CountingLog(clock=plane.clock)
    plane.ledger, plane.carrier = WatchedLedger(), WatchedCarrier()
    plane = replace(plane)
    plane.ledger.plane = plane.carrier.plane = plane  # type: ignore[attr-defined]
    return plane


async def lived(plane: Plane) -> None:
    """Agreed, changed, a change that fails, and ended."""
    root = (await negotiated(plane)).terms.root
    await negotiated_change(plane, root, bandwidth=BitRate(10_000_000))
    plane.carrier.refuses = {"change"}
    await negotiated_change(plane, root, bandwidth=BitRate(10**9))
    await plane.negotiations.terminate(root, "no need")
    await plane.negotiations.idle()


async def test_what_follows_from_one_another_in_one_house_is_stored_at_once() -> None:
    plane = watched()
    await negotiated(plane)
    together = plane.log.together  # type: ignore[union-attr]
    assert [Tool.DECLARE_INTENT, Tool.ATTACH_WALLET, Tool.PROPOSE] in together
    assert [Tool.TAKE_IN, Tool.VERIFY_WALLET, Tool.ASK_FEASIBILITY] in together
    assert [Tool.RESERVE_MONEY, Tool.SIGN_AGREEMENT, Tool.ISSUE_ORDER] in together
    assert sum(map(len, together)) == 29
    assert len(together) == 14


async def test_money_and_devices_wait_until_what_led_to_them_is_in_the_log() -> None:
    plane = watched()
    await lived(plane)
    together = plane.log.together  # type: ignore[union-attr]
    assert all(not MONEY & set(tools[1:]) for tools in together)
    assert all(not {Tool.PROVISION, Tool.VALIDATE_ORDER} & set(tools[1:]) for tools in together)
    assert set(plane.ledger.seen) == {
        ("reserve", "verify-wallet"),
        ("commit", "take-in"),
        ("release", "take-in"),
        ("refund", "take-in"),
    }
    assert set(plane.carrier.seen) == {"validate-order"}  # type: ignore[attr-defined]


async def test_what_is_told_to_another_party_is_in_the_log_before_it_leaves() -> None:
    plane = watched()
    ways = []
    for house in plane.negotiations.houses():
        house.peers = way = WatchedWay(plane.lane, plane)
        ways.append(way)
    await lived(plane)
    seen = [one for way in ways for one in way.seen]
    assert len(seen) > 20
    assert all(seen)


async def test_of_steps_that_are_stored_together_each_is_its_own_agents() -> None:
    plane = watched()
    await negotiated(plane)
    used = {(event.type.removeprefix("negotiation."), event.actor) for event in plane.records()}
    assert ("declare-intent", Role.REQUIREMENT) in used
    assert ("propose", Role.ENTERPRISE_POLICY) in used
    assert ("verify-wallet", Role.BSS_POLICY) in used
    assert ("ask-feasibility", Role.BSS_NEGOTIATION) in used


async def test_every_message_of_a_long_negotiation_has_a_name_of_its_own() -> None:
    plane = Plane()
    assert (await negotiated(plane, replace(WISH, bandwidth=BitRate(10**13)))).stage is Stage.DONE
    said = [opened(token).id for event in plane.records() for _, token in event.data.get("says", ())]
    assert len(plane.records("counter-offer")) > 1
    assert len(said) == len(set(said))


async def test_a_house_keeps_nothing_of_negotiations_that_are_long_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_room, "OVER_KEPT", 2)
    plane = Plane()
    sizes = []
    for number in range(6):
        await negotiated(plane, replace(WISH, start=plane.clock.time))
        if number % 3 == 2:
            for _ in range(2):  # agreements end, and then there is nobody left to be told of it again
                plane.clock.time += GONE_SECONDS + 1.0
                await plane.negotiations.tick()
                await plane.negotiations.idle()
            sizes.append([_size(house) for house in plane.negotiations.houses()])
    assert sizes[0] == sizes[1]


def _size(house: Any) -> dict[str, int]:
    """How much each part that grows with negotiations has, but for what is in force and what must be known again."""
    mine = {name: len(getattr(house, name)) for name in house.__slots__ if isinstance(getattr(house, name), dict)}
    return mine | {"dialogues": len(house.desk.dialogues), "open": len(house.desk.open)}
