"""Whatever happens in whatever order: money, network, and both sides' logs tell the same story."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from random import Random

import pytest

from controller.model.errors import AccordError
from controller.model.units import BitRate
from controller.negotiation.agreement import verify_chain
from controller.negotiation.catalogue import Axis
from controller.negotiation.roles import Domain
from controller.negotiation.strategy import Risk
from tests.controller.negotiation_plane import Plane, both_tiers, key_of
from tests.controller.negotiation_samples import euro
from tests.controller.test_negotiation_in_life import breach
from tests.controller.test_negotiation_plane import WISH, taken

_STEPS = 25
_RATES = (10_000_000, 50_000_000, 200_000_000, 10**9)
_CLASSES = ("general", "order-execution", "bulk-transfer")


class History:
    """A plane to which things happen."""

    def __init__(self, seed: int) -> None:
        self.draw = Random(seed)
        self.plane = Plane(operator=both_tiers())

    async def step(self) -> None:
        """One thing happens; it may be refused, and never breaks anything."""
        act = self.draw.choice(
            (self.ask, self.ask, self.change, self.change, self.end, self.risk, self.clear, self.again)
        )
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
            await self.plane.negotiations.negotiate(wish)

    async def change(self) -> None:
        for root in self.draw.sample(self.live(), min(2, len(self.live()))):
            await self.plane.negotiations.change(root, {"bandwidth": BitRate(self.draw.choice(_RATES))})

    async def end(self) -> None:
        for root in self.live()[:1]:
            await self.plane.negotiations.terminate(root, "no need")

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

    def check(self) -> None:
        """Everybody has the same agreements, the network carries them, and the ledger has what they cost."""
        plane = self.plane
        houses = plane.negotiations.houses()
        stuck = [
            f"{house.domain} {id_} {house.desk.dialogues[id_].stage}" for house in houses for id_ in house.desk.open
        ]
        assert not stuck
        views = [
            {root: (one.is_over, [issue.hash for issue in one.issues]) for root, one in house.desk.agreements.items()}
            for house in houses
        ]
        assert views[0] == views[1] == views[2]
        for standing in plane.negotiations.agreements():
            verify_chain(standing.issues, key_of)
        live = {one.service: one.terms for one in plane.negotiations.agreements() if not one.is_over}
        assert {name: terms for name, (terms, _) in plane.carrier.services.items()} == live
        assert taken(plane) <= plane.held.purse.terms.ceiling.minor
        (consumer,) = [house for house in houses if house.domain is Domain.ENTERPRISE]
        account = plane.negotiations.consumer().policy.account(plane.held.purse.envelope, "EUR", plane.clock.time)
        assert abs(account.total("EUR").minor - taken(plane)) <= len(plane.records("debit"))
        assert consumer.desk.agreements or taken(plane) == 0


@pytest.mark.parametrize("seed", range(8))
async def test_after_any_history_both_sides_the_network_and_the_ledger_agree(seed: int) -> None:
    history = History(seed)
    for _ in range(_STEPS):
        await history.step()
    history.check()
    assert len(history.plane.carrier.acts) > 2
    after = history.plane.restarted()
    for before, house in zip(history.plane.negotiations.houses(), after.negotiations.houses(), strict=True):
        assert house.desk.agreements == before.desk.agreements
    assert euro("0.00").minor <= taken(history.plane)
