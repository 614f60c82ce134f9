"""Whatever happens in whatever order: money, network, and both sides' logs tell the same story."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from controller.model.errors import AccordError
from controller.model.units import BitRate
from controller.negotiation.agreement import verify_chain
from controller.negotiation.catalogue import Axis
from controller.negotiation.desk import Desk
from controller.negotiation.strategy import Risk
from controller.runtime.negotiation import Lane
from tests.controller.negotiation_plane import ENVELOPE, TERMS, Plane, both_tiers, key_of
from tests.controller.negotiation_rival import RIVALS_ENVELOPE, ContestedPlane, Liar
from tests.controller.negotiation_samples import CONSUMER, NETWORK, PROVIDER, RIVAL
from tests.controller.test_negotiation_in_life import breach
from tests.controller.test_negotiation_plane import WISH, taken

pytestmark = pytest.mark.usefixtures("logged")
_STEPS = 25
_RATES = (10_000_000, 50_000_000, 200_000_000, 10**9)
_CLASSES = ("general", "order-execution", "bulk-transfer")


class History:
    """A plane to which things happen."""

    def __init__(self, seed: int) -> None:
        self.draw = Random(seed)
        self.plane: Plane = ContestedPlane(operator=both_tiers())
        self.liar = Liar(self.draw)

    async def step(self) -> None:
        """One thing happens; it may be refused, and never breaks anything."""
        honest = (self.ask, self.ask, self.change, self.change, self.end, self.risk, self.clear, self.again)
        act = self.draw.choice((*honest, self.compete, self.lie, self.lie))
        self.plane.carrier.refuses = set(self.draw.sample(["provision", "change"], self.draw.choice((0, 0, 1))))
        async with asyncio.timeout(60):
            with suppress(AccordError):
                await act()
            await self.plane.negotiations.idle()
            await self.plane.negotiations.tick()
            await self.plane.negotiations.idle()
        self.plane.clock.time += self.draw.choice((1, 10, 400))

    def live(self) -> list[str]:
        return [one.root for one in self.plane.negotiations.agreements() if not one.is_over]

    async def ask(self) -> None:
        name = self.draw.choice(_CLASSES)
        rate = BitRate(self.draw.choice(_RATES))
        wish = replace(WISH, start=self.plane.clock.time, workload_class=name, bandwidth=rate, latency_seconds=0.05)
        for _ in range(self.draw.choice((1, 3))):
            await self.plane.negotiations.negotiate(wish, party=CONSUMER)
            await self._maybe_lie()

    async def compete(self) -> None:
        """The rival buys as well, and what it bought it changes or ends."""
        wish = replace(WISH, start=self.plane.clock.time, bandwidth=BitRate(self.draw.choice(_RATES)))
        await self.plane.negotiations.negotiate(wish, party=RIVAL)
        desk = self.plane.negotiations.consumer(RIVAL).house.desk
        for standing in [one for one in desk.agreements.values() if not one.is_over][:1]:
            await self.plane.negotiations.terminate(standing.root, "no need", party=RIVAL)
            await self._maybe_lie()

    async def lie(self) -> None:
        """The rival says what is not its to say, also while others negotiate."""
        await self.ask()
        for _ in range(20):
            await self.liar.lie(self.plane, WISH)
            await asyncio.sleep(0)

    async def _maybe_lie(self) -> None:
        if self.draw.random() < 0.5:
            await self.liar.lie(self.plane, WISH)

    async def change(self) -> None:
        for root in self.draw.sample(self.live(), min(2, len(self.live()))):
            await self.plane.negotiations.change(root, {"bandwidth": BitRate(self.draw.choice(_RATES))}, party=CONSUMER)
            await self._maybe_lie()

    async def end(self) -> None:
        for root in self.live()[:1]:
            await self.plane.negotiations.terminate(root, "no need", party=CONSUMER)
            await self._maybe_lie()

    async def risk(self) -> None:
        await self._forecast(0.95)

    async def clear(self) -> None:
        await self._forecast(0.01)

    async def _forecast(self, probability: float) -> None:
        for _ in range(8):
            self.plane.clock.time += 10
            risk = Risk(self.draw.choice(list(Axis)))
            await self.plane.negotiations.watch({root: ((breach(probability),), risk) for root in self.live()})
            await self.plane.negotiations.idle()

    async def again(self) -> None:
        """The process is stopped and another one takes over."""
        await self.plane.negotiations.stop()
        self.plane = self.plane.restarted()
        self.plane.negotiations.resume()

    async def settle(self) -> None:
        """What was offered and not taken runs out."""
        self.plane.carrier.refuses = set()
        self.plane.clock.time += 400
        async with asyncio.timeout(60):
            for _ in range(3):
                await self.plane.negotiations.tick()
                await self.plane.negotiations.idle()

    def check(self) -> None:
        """Everybody has the same agreements, the network carries them, and the ledger has what they cost."""
        plane = self.plane
        desks = {house.party: house.desk for house in plane.negotiations.houses()}
        # The rival may lie to itself.
        stuck = [(party, id_) for party in desks if party != RIVAL for id_ in desks[party].open]
        assert not stuck
        bank, sold, run = (_view(desks[party]) for party in (CONSUMER, PROVIDER, NETWORK))
        assert sold == run
        assert bank == {root: one for root, one in sold.items() if one[0] == CONSUMER}
        for standing in desks[PROVIDER].agreements.values():
            verify_chain(standing.issues, key_of)
        live = {one.service: one.terms for one in desks[PROVIDER].agreements.values() if not one.is_over}
        assert {name: terms for name, (terms, _) in plane.carrier.services.items()} == live
        account = plane.negotiations.consumer(CONSUMER).policy.account(ENVELOPE, "EUR", plane.clock.time)
        assert abs(account.total("EUR").minor - taken(plane)) <= len(plane.records("debit"))
        assert desks[CONSUMER].agreements or taken(plane) == 0
        self.check_money()
        self.check_restart()

    def check_money(self) -> None:
        """Each envelope has given what its own holder's agreements hold, nothing waits, and no ceiling is passed."""
        plane = self.plane
        sold = plane.negotiations.house(PROVIDER).desk.agreements
        for envelope, party in ((ENVELOPE, CONSUMER), (RIVALS_ENVELOPE, RIVAL)):
            holdings = [one for one in plane.ledger.holdings(envelope) if one.taken]
            issues = {issue.id for one in sold.values() if one.consumer == party for issue in one.issues}
            assert {one.id for one in holdings} <= issues
            assert not [one.id for one in holdings if one.reserved]
            committed = sum(one.committed for one in holdings)
            assert 0 <= committed == plane.ledger.taken(envelope) <= TERMS.ceiling.minor

    def check_restart(self) -> None:
        """Another process that reads the log has everything as this one has it."""
        after = replace(self.plane, lane=Lane())
        assert after.negotiations.load() == len(self.plane.records())
        for before, house in zip(self.plane.negotiations.houses(), after.negotiations.houses(), strict=True):
            assert house.desk.agreements == before.desk.agreements
            assert house.desk.dialogues == before.desk.dialogues
            assert house.desk.open == before.desk.open


def _view(desk: Desk) -> dict[str, Any]:
    return {
        root: (one.consumer, one.is_over, [issue.hash for issue in one.issues]) for root, one in desk.agreements.items()
    }


@pytest.mark.parametrize("seed", range(8))
async def test_after_any_history_both_sides_the_network_and_the_ledger_agree(seed: int) -> None:
    history = History(seed)
    for _ in range(_STEPS):
        await history.step()
    await history.settle()
    history.check()
    assert len(history.plane.carrier.acts) > 2
    assert history.liar.refused > 20
