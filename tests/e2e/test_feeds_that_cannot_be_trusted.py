"""Feeds that lie, stand still, are corrupted, late or missing: each costs its series their trust, and nothing is done
on the strength of them, however certain a breach looks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from controller.assurance.breach import Breach, Level, SchmittTrigger
from controller.assurance.objectives import Objective, ObjectiveName
from controller.model.identifiers import DeviceName, ServiceId
from controller.telemetry.quality import FLOOR, Score, refusal
from controller.telemetry.sample import Problem, SeriesKey
from lab.planes import FlowSpec
from lab.router.faults_point import Action, Fault
from lab.router.lies import Lie, LyingState
from lab.traffic.attachments import find_attachment
from tests.controller.mapping_samples import access, edit, service, site
from tests.e2e.provider import ACTOR, Provider
from tests.e2e.test_collection_lab import KEPT, LONDON, demo, until
from tests.e2e.test_make_before_break import forwarding, vrf
from tests.patience import PATIENCE_SECONDS

FRANKFURT = DeviceName("pe-frankfurt")
VPN = edit(service(), site("l", "London", "GB", access(1)), site("f", "Frankfurt", "DE", access(2)))
STATUS = SeriesKey(LONDON, "oper-status", "core0")


@asynccontextmanager
async def loaded(directory: Path) -> AsyncIterator[tuple[Provider, SeriesKey]]:
    """The demonstration's network with traffic from London to Frankfurt, and the counter that it leaves London by."""
    async with demo(directory, KEPT) as provider:
        await provider.commit(VPN)
        ends = [
            find_attachment(router, forwarding(provider, router), vpn=vrf(provider, "acme"))
            for router in (LONDON, FRANKFURT)
        ]
        await provider.lab.plane.start_flow(FlowSpec(*ends, packet_rate=5000.0, packet_octets=1000))
        book = provider.controller.collection.series

        def busy() -> list[SeriesKey]:
            rates = [key for key in book.keys(LONDON, "out-octets") if key.object.startswith("core")]
            return [key for key in rates if key in book.latest and book.latest[key].value > 1e6]

        await until(busy)
        yield provider, busy()[0]


def score(provider: Provider, key: SeriesKey) -> Score:
    return provider.controller.collection.series.score(key, provider.controller.clock.now())


def is_acted_upon(found: Score) -> bool:
    """Whether a breach that is certain, forecast of this series, would lead to anything."""
    objective = Objective(ServiceId("l3vpn:acme"), ObjectiveName.BANDWIDTH, 1e8)
    breach = Breach(objective, 300.0, 0.0, 0.0, 0.0, 1.0, found.value)
    return SchmittTrigger().level([breach]) is Level.ABOVE


async def compared(provider: Provider, condition: Callable[[], object]) -> None:
    """Until witnesses have been compared often enough."""

    def look() -> object:
        provider.controller.witnesses.compare()
        return condition()

    await until(look)


async def measure_links(provider: Provider) -> None:
    plan = await provider.controller.plan_tunnels(lambda tunnels: tunnels.measure(is_on=True), ACTOR)
    await provider.commit_plan(plan)


async def test_a_counter_that_the_other_end_and_the_probes_contradict_is_not_acted_upon(tmp_path: Path) -> None:
    async with loaded(tmp_path) as (provider, key):
        await measure_links(provider)
        router = provider.lab[LONDON]
        truth, router.operational = router.operational, LyingState(router.operational, {key.object: Lie(1.0, 0.3)})
        await compared(provider, lambda: key in provider.controller.witnesses.contradicted)
        found = score(provider, key)
        assert found.value < FLOOR
        assert Problem.CONTRADICTED in found.problems
        assert not is_acted_upon(found)
        assert "contradicted" in (refusal("bandwidth of acme", [[found]]) or "")
        router.operational = truth
        await compared(provider, lambda: key not in provider.controller.witnesses.contradicted)
        await until(lambda: score(provider, key).value >= FLOOR)


async def test_a_counter_that_stands_still_while_the_other_end_counts_is_not_acted_upon(tmp_path: Path) -> None:
    async with loaded(tmp_path) as (provider, key):
        router = provider.lab[LONDON]
        router.operational = LyingState(router.operational, {key.object: Lie(is_frozen=True)})
        await compared(provider, lambda: key in provider.controller.witnesses.contradicted)
        assert not is_acted_upon(score(provider, key))


async def test_what_never_arrives_may_have_been_lost_where_nothing_probes_the_link(tmp_path: Path) -> None:
    async with loaded(tmp_path) as (provider, key):
        router = provider.lab[LONDON]
        router.operational = LyingState(router.operational, {key.object: Lie(1.0, 3.0)})
        book = provider.controller.collection.series
        await until(lambda: book.latest[key].value > 1e7)
        read = set[float]()

        def looked_at_often() -> bool:
            assert key not in provider.controller.witnesses.compare()
            read.add(book.latest[key].source_time)
            return len(read) > _READINGS

        await until(looked_at_often)


_READINGS = 15
"""After fewer of them both ends are contradicted where nothing explains what is missing."""


async def test_a_corrupted_feed_is_told_goes_stale_and_is_not_acted_upon(tmp_path: Path) -> None:
    async with demo(tmp_path, KEPT) as provider:
        await until(lambda: score(provider, STATUS).value > FLOOR)
        provider.lab.faults.add(LONDON, "get", Fault.GARBAGE, count=None)
        await until(lambda: score(provider, STATUS).value < FLOOR)
        assert Problem.STALE in score(provider, STATUS).problems
        assert not is_acted_upon(score(provider, STATUS))
        await until(lambda: LONDON in provider.controller.collection.unread)


async def test_a_feed_whose_answers_come_late_is_not_acted_upon(tmp_path: Path) -> None:
    async with demo(tmp_path, KEPT) as provider:
        await until(lambda: score(provider, STATUS).value > FLOOR)
        provider.lab.faults.add(LONDON, "get", Action(Fault.DELAY, seconds=4.0), count=None)
        await until(lambda: score(provider, STATUS).value < FLOOR)
        assert not is_acted_upon(score(provider, STATUS))
        assert score(provider, STATUS).problems


async def test_a_feed_that_is_missing_is_not_acted_upon_until_it_has_been_back_for_a_while(tmp_path: Path) -> None:
    async with demo(tmp_path, KEPT) as provider:
        await until(lambda: score(provider, STATUS).value > FLOOR)
        await provider.lab[LONDON].stop()
        await until(lambda: score(provider, STATUS).value == 0.0)
        assert not is_acted_upon(score(provider, STATUS))
        await provider.lab[LONDON].start()
        await asyncio.wait_for(provider.controller.collection.read(LONDON), PATIENCE_SECONDS)
        await until(lambda: score(provider, STATUS).value >= FLOOR)
