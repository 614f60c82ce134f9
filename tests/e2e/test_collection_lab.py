"""Telemetry over the lab's routers: read by polling, never in a change's way; campaigns that know and give back."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from controller.events import types
from controller.mapping.measurement import Measurement, measurements_of
from controller.model.errors import BusyError, InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.runtime.collection import Pace
from controller.runtime.collection_campaigns import STREAM, CampaignWish
from controller.telemetry.campaign import Answer, Question
from controller.telemetry.sample import Provenance, SeriesKey
from controller.telemetry.schedule import Outcome
from lab.topology import Topology
from lab.topology_file import load_topology
from tests.e2e.provider import ACTOR, Provider, open_provider, profiles
from tests.patience import PATIENCE_SECONDS

DEMO = Path(__file__).parents[2] / "config/lab/demo.yaml"
LONDON, PARIS = DeviceName("pe-london"), DeviceName("pe-paris")
TOMORROW = time.time() + 86_400.0
QUICK = Pace(0.2, jitter=0.0)
KEPT = Pace(1.0, jitter=0.0)
"""A pace that a busy machine keeps too: for tests of how far what was read can be trusted."""


@asynccontextmanager
async def demo(directory: Path, pace: Pace = QUICK, topology: Topology | None = None) -> AsyncIterator[Provider]:
    """The demonstration's network, or another, read at the pace, as the daemon's clockwork does it."""
    async with open_provider(directory, topology or load_topology(DEMO)) as provider:
        await provider.controller.topology.refresh()
        provider.controller.collection.take_over(pace)
        provider.controller.collection.start()
        ticking = asyncio.create_task(tick(provider))
        try:
            yield provider
        finally:
            ticking.cancel()


async def tick(provider: Provider) -> None:
    while True:
        await provider.controller.collection.tick()
        await asyncio.sleep(0.02)


async def until(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the lab has nothing to wait for
            await asyncio.sleep(0.02)


def asking(bound: float, **more: float) -> CampaignWish:
    """Whether packets from London to Paris take longer than the bound, sampled as fast as a test wants it."""
    wanted = {"until": TOMORROW, "packets_per_second": 100.0, "sample_seconds": 0.05} | more
    return CampaignWish("London", "Paris", Question(bound, tolerated_ratio=0.2), **wanted)


def held(provider: Provider) -> list[str]:
    known = provider.controller.world.network.device(LONDON)
    return [measurement.holder for measurement in measurements_of(LONDON, known.contributions)]


def probed(provider: Provider, *devices: DeviceName) -> set[tuple[str, str]]:
    """From where to where the second closer look measures."""
    known = provider.controller.world.network
    sessions = (one for name in devices for one in measurements_of(name, known.device(name).contributions))
    return {(one.device, one.target) for one in sessions if one.holder.startswith("enhanced-2/")}


async def test_every_router_is_read_and_its_series_are_what_the_router_counts(tmp_path: Path) -> None:
    async with demo(tmp_path, KEPT) as provider:
        collection = provider.controller.collection
        key = SeriesKey(LONDON, "oper-status", "core0")
        await until(lambda: len({key.device for key in collection.series.latest}) == len(provider.lab))
        await until(lambda: len(collection.series.store.samples(key, 0.0, 4e9)) > 0)
        assert collection.series.latest[key].value == 1.0
        assert collection.series.latest[key].provenance is Provenance.POLLED
        assert (
            collection.series.speeds[LONDON, "core0"] == provider.lab.plane.interfaces(LONDON)["core0"].speed_bit_rate
        )
        rate = SeriesKey(LONDON, "out-octets", "core0")
        await until(lambda: collection.series.latest[rate].is_usable)
        await until(lambda: collection.series.score(rate, provider.controller.clock.now()).value > 0.6)
        assert not collection.unread


async def test_a_device_that_a_transaction_holds_is_left_alone_and_read_afterwards(tmp_path: Path) -> None:
    async with demo(tmp_path, Pace(0)) as provider:
        controller = provider.controller
        async with controller.leases.hold([LONDON], "tx-1", "a change", 1.0):
            assert await controller.collection.read(LONDON) is Outcome.YIELDED
        async with controller.sessions.use(PARIS):
            assert await controller.collection.read(PARIS) is Outcome.YIELDED
        assert await controller.collection.read(LONDON) is Outcome.READ
        assert await controller.collection.read(PARIS) is Outcome.READ


async def test_a_device_that_is_gone_is_told_and_read_again_when_it_is_back(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        collection, router = provider.controller.collection, provider.lab[LONDON]
        await until(lambda: collection.polls["read"] > 0)
        await router.stop()
        await until(lambda: LONDON in collection.unread)
        await router.start()
        await until(lambda: LONDON not in collection.unread)


async def test_an_interval_of_zero_reads_nobody(tmp_path: Path) -> None:
    async with demo(tmp_path, Pace(0)) as provider:
        await provider.controller.collection.tick()
        assert not list(provider.controller.collection.schedule.devices)


async def test_a_router_that_offers_to_push_tells_by_itself_and_is_polled_less(tmp_path: Path) -> None:
    async with demo(tmp_path, Pace(0.5, jitter=0.0)) as provider:
        controller = provider.controller
        collection, key = controller.collection, SeriesKey(LONDON, "oper-status", "core0")
        await until(lambda: key in collection.series.latest)
        controller.pushes.is_wanted = True
        controller.pushes.follow()
        await until(lambda: LONDON in collection.pushing)
        assert collection.schedule.interval_seconds(LONDON) == 3.0
        await until(lambda: collection.series.latest[key].provenance is Provenance.PUSHED)
        rate = SeriesKey(LONDON, "out-octets", "core0")
        await until(lambda: collection.series.latest[rate].provenance is Provenance.PUSHED)
        provider.lab.plane.set_link("pe-london--p-brussels", up=False)
        await until(lambda: collection.series.latest[key].value == 0.0)
        assert collection.series.latest[key].provenance is Provenance.PUSHED
        await controller.pushes.stop()
        assert not collection.pushing
        assert collection.schedule.interval_seconds(LONDON) == 0.5


async def test_a_state_that_changes_is_pushed_at_once_and_not_when_its_turn_comes(tmp_path: Path) -> None:
    async with demo(tmp_path, Pace(3600.0, jitter=0.0)) as provider:
        controller = provider.controller
        latest, key = controller.collection.series.latest, SeriesKey(LONDON, "oper-status", "core0")
        controller.pushes.is_wanted = True
        await until(lambda: controller.pushes.follow() or LONDON in controller.collection.pushing)
        provider.lab.plane.set_link("pe-london--p-brussels", up=False)
        await until(lambda: key in latest and latest[key].value == 0.0)
        assert latest[key].provenance is Provenance.PUSHED


# -- campaigns -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound, answer", [(0.0001, Answer.EXCEEDS), (1.0, Answer.STAYS_BELOW)])
async def test_a_campaign_stops_when_it_knows_and_gives_everything_back(
    tmp_path: Path, bound: float, answer: Answer
) -> None:
    async with demo(tmp_path) as provider:
        controller, before = provider.controller, provider.running()
        campaign = await controller.campaigns.begin(asking(bound), ACTOR)
        assert controller.campaigns.budget.granted == {campaign.id: 100.0}
        await until(lambda: campaign.state == "measuring")
        assert held(provider) == [campaign.id]
        done = await asyncio.wait_for(controller.campaigns.finish(campaign.id), PATIENCE_SECONDS)
        assert (done.state, done.test.answer) == ("answered", answer), done.reason
        assert held(provider) == []
        assert provider.running() == before
        assert not controller.campaigns.budget.granted
        assert not controller.collection.series.keys(kind="last-forward-delay")
        told = [(event.type, event.data["answer"]) for event in controller.log.read(stream=STREAM)]
        assert told == [(types.CAMPAIGN_BEGUN, "unknown"), (types.CAMPAIGN_ENDED, answer.value)]


async def test_test_packets_that_never_come_back_are_above_any_bound(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        for wire in ("pe-london--p-brussels", "pe-london--p-lyon"):
            provider.lab.set_link(wire, up=False, silent=True)
        campaign = await provider.controller.campaigns.begin(asking(1.0), ACTOR)
        await asyncio.wait_for(provider.controller.campaigns.finish(campaign.id), PATIENCE_SECONDS)
        assert (campaign.state, campaign.test.answer) == ("answered", Answer.EXCEEDS)
        assert campaign.test.lost == campaign.test.above > 0


async def test_a_campaign_whose_time_is_over_says_what_it_knows(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        wish = CampaignWish("London", "Paris", Question(1.0), provider.controller.clock.now() + 1.0, sample_seconds=0.1)
        campaign = await provider.controller.campaigns.begin(wish, ACTOR)
        done = await asyncio.wait_for(provider.controller.campaigns.finish(campaign.id), PATIENCE_SECONDS)
        assert (done.state, done.test.answer) == ("undecided", Answer.UNKNOWN)
        assert "its time is over" in done.reason
        assert held(provider) == []


async def test_a_campaign_can_be_stopped(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        campaign = await provider.controller.campaigns.begin(asking(1.0, packets_per_second=1.0), ACTOR)
        await until(lambda: campaign.state == "measuring")
        await provider.controller.campaigns.end(campaign.id)
        done = await asyncio.wait_for(provider.controller.campaigns.finish(campaign.id), PATIENCE_SECONDS)
        assert done.state == "stopped"
        assert held(provider) == []


async def test_a_restarted_controller_goes_on_with_a_campaign_from_what_was_told_of_it(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        campaigns = provider.controller.campaigns
        campaign = await campaigns.begin(asking(1.0, packets_per_second=50.0, sample_seconds=0.2), ACTOR)
        await until(lambda: campaign.test.taken >= 3)
        await campaigns.stop()
        campaigns.budget.give_back(campaign.id)
        before, sent = campaign.to_json(), len(list(provider.controller.world.transactions))
        campaigns.resume()
        again = campaigns.get(campaign.id)
        assert again is not campaign
        assert again.to_json() == before | {"state": "starting"}
        assert campaigns.budget.granted[campaign.id] == 50.0
        await until(lambda: again.state == "measuring" and again.test.taken > before["samples"], PATIENCE_SECONDS)
        assert held(provider) == [campaign.id]
        assert len(list(provider.controller.world.transactions)) == sent, "its session stood all the time"
        done = await asyncio.wait_for(campaigns.finish(campaign.id), 2 * PATIENCE_SECONDS)
        assert (done.state, done.test.answer) == ("answered", Answer.STAYS_BELOW)
        assert held(provider) == []
        await campaigns.stop()
        campaigns.resume()
        assert campaigns.get(campaign.id).to_json() == done.to_json()
        assert (await campaigns.begin(asking(1.0, packets_per_second=1.0), ACTOR)).id == "campaign-2"


async def test_a_campaign_that_a_restarted_controller_has_no_budget_for_ends_and_says_so(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        campaigns = provider.controller.campaigns
        campaign = await campaigns.begin(asking(1.0, packets_per_second=20.0), ACTOR)
        await until(lambda: campaign.state == "measuring")
        await campaigns.stop()
        campaigns.budget.give_back(campaign.id)
        campaigns.budget.packets_per_second = 5.0
        campaigns.resume()
        done = await asyncio.wait_for(campaigns.finish(campaign.id), PATIENCE_SECONDS)
        assert done.state == "stopped"
        assert done.reason.startswith("the daemon was started anew, and campaign-1 asks for 20 test packets a second")
        assert held(provider) == []


async def test_a_campaign_whose_time_went_by_while_no_daemon_ran_ends_with_what_it_knew(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        campaigns = provider.controller.campaigns
        wish = asking(1.0, until=provider.controller.clock.now() + 15.0, packets_per_second=20.0)
        campaign = await campaigns.begin(wish, ACTOR)
        await until(lambda: campaign.test.taken >= 1)
        await campaigns.stop()
        campaigns.budget.give_back(campaign.id)
        await until(lambda: provider.controller.clock.now() > wish.until, PATIENCE_SECONDS)
        campaigns.resume()
        done = await asyncio.wait_for(campaigns.finish(campaign.id), PATIENCE_SECONDS)
        assert (done.state, "its time is over" in done.reason) == ("undecided", True)
        assert done.test.taken >= campaign.test.taken
        assert held(provider) == []


async def test_a_campaign_that_cannot_be_is_refused_and_takes_nothing(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        campaigns = provider.controller.campaigns
        with pytest.raises(InvalidInputError, match="'Atlantis' names no provider edges"):
            await campaigns.begin(CampaignWish("London", "Atlantis", Question(1.0), TOMORROW), ACTOR)
        with pytest.raises(InvalidInputError, match="same router"):
            await campaigns.begin(CampaignWish("London", LONDON, Question(1.0), TOMORROW), ACTOR)
        with pytest.raises(InvalidInputError, match="past"):
            await campaigns.begin(CampaignWish("London", "Paris", Question(1.0), 1.0), ACTOR)
        with pytest.raises(InvalidInputError, match="more than 30 days"):
            await campaigns.begin(CampaignWish("London", "Paris", Question(1.0), TOMORROW + 31 * 86_400.0), ACTOR)
        with pytest.raises(InvalidInputError, match="'colour' cannot be measured"):
            await campaigns.begin(CampaignWish("London", "Paris", Question(1.0), TOMORROW, "colour"), ACTOR)
        campaigns.budget.packets_per_second = 5.0
        with pytest.raises(BusyError, match="of the budget of 5"):
            await campaigns.begin(asking(1.0), ACTOR)
        with pytest.raises(NotFoundError):
            campaigns.get("campaign-9")
        assert not campaigns.budget.granted
        assert not list(campaigns)


# -- enhanced monitoring -------------------------------------------------------------------------------------------


async def test_a_closer_look_probes_the_links_of_an_area_and_ends_by_itself(tmp_path: Path) -> None:
    async with demo(tmp_path, Pace(1.0, jitter=0.0)) as provider:
        controller, before = provider.controller, provider.running()
        found = await controller.enhanced.begin([LONDON], 0.1, 3.0, ACTOR)
        links = list(controller.topology.network.out_of(LONDON))
        assert (found.devices, found.probes, found.reason) == ((LONDON,), len(links), "")
        assert controller.campaigns.budget.granted == {"enhanced-1": 10.0 * len(links)}
        book = controller.collection.series
        sessions = measurements_of(LONDON, controller.world.network.device(LONDON).contributions)
        keys = [SeriesKey(LONDON, "forward-delay", str(session.number)) for session in sessions]
        assert len(keys) == len(links)
        await until(lambda: not list(controller.enhanced), PATIENCE_SECONDS)
        assert provider.running() == before
        assert not controller.campaigns.budget.granted
        assert not any(key in book.latest for key in keys)


async def test_a_closer_look_that_takes_longer_to_begin_than_it_lasts_leaves_nothing_behind(tmp_path: Path) -> None:
    async with demo(tmp_path, KEPT) as provider:
        enhanced, before = provider.controller.enhanced, provider.running()
        commit = enhanced.commit

        async def slowly(begun: Iterable[Measurement], ended: Iterable[Measurement], *told: str) -> None:
            if begun:
                await asyncio.sleep(0.5)
            await commit(begun, ended, *told)

        enhanced.commit = slowly
        found = await enhanced.begin([LONDON], 0.1, 0.0, ACTOR)
        await until(lambda: not list(enhanced))
        assert found.probes > 0
        assert provider.running() == before
        assert not provider.controller.campaigns.budget.granted


async def test_a_closer_look_takes_no_more_than_the_budget_has(tmp_path: Path) -> None:
    async with demo(tmp_path, Pace(1.0, jitter=0.0)) as provider:
        provider.controller.campaigns.budget.packets_per_second = 25.0
        found = await provider.controller.enhanced.begin([LONDON], 0.1, 600.0, ACTOR)
        assert found.probes == 1
        assert "the probe budget allows" in found.reason
        links = provider.controller.topology.network.out_of(LONDON)
        neighbour = next(link.target.node for link in links)
        provider.controller.campaigns.budget.packets_per_second = 55.0
        assert (await provider.controller.enhanced.begin([LONDON, neighbour], 0.1, 600.0, ACTOR)).probes == 2
        assert probed(provider, LONDON, neighbour) == {(LONDON, neighbour), (neighbour, LONDON)}, (
            "the area's own come first"
        )
        provider.controller.campaigns.budget.packets_per_second = 1.0
        assert (await provider.controller.enhanced.begin([PARIS], 0.1, 600.0, ACTOR)).probes == 0


async def test_a_restarted_daemon_ends_a_closer_look(tmp_path: Path) -> None:
    async with demo(tmp_path, Pace(1.0, jitter=0.0)) as provider:
        before = provider.running()
        await provider.controller.enhanced.begin([LONDON], 0.1, 600.0, ACTOR)
        assert provider.running() != before
        await provider.controller.enhanced.stop()
        provider.controller.enhanced.resume()
        await until(lambda: not list(provider.controller.enhanced), PATIENCE_SECONDS)
        assert provider.running() == before


async def test_a_closer_look_at_a_router_that_cannot_be_told_says_so_and_reads_it_more_often(tmp_path: Path) -> None:
    async with demo(tmp_path, Pace(1.0, jitter=0.0)) as provider:
        await provider.lab[LONDON].stop()
        found = await provider.controller.enhanced.begin([LONDON], 0.1, 600.0, ACTOR)
        assert (found.devices, found.probes) == ((LONDON,), 0)
        assert "pe-london" in found.reason
        found = await provider.controller.enhanced.begin([LONDON, PARIS], 0.1, 600.0, ACTOR)
        own = measurements_of(PARIS, provider.controller.world.network.device(PARIS).contributions)
        assert found.probes == len(list(own)) > 0, "it keeps no other from measuring"
        assert "pe-london" in found.reason
        await provider.lab[LONDON].start()


# -- other ways in -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def demo_with(directory: Path, profile: str) -> AsyncIterator[Provider]:
    """The demonstration's network, where London speaks nothing but that."""
    async with open_provider(directory, load_topology(DEMO), profiles({LONDON: profile})) as provider:
        await provider.controller.topology.refresh()
        yield provider


@pytest.mark.parametrize("profile", ["restconf", "cli"])
async def test_a_router_without_netconf_is_read_by_what_it_has_and_tells_the_same(tmp_path: Path, profile: str) -> None:
    async with demo_with(tmp_path, profile) as provider:
        collection = provider.controller.collection
        assert await collection.read(LONDON) is Outcome.READ, collection.unread
        told = {key.object for key in collection.series.keys(LONDON, "out-octets")}
        assert {"core0", "core1"} <= told
        assert collection.series.latest[SeriesKey(LONDON, "oper-status", "core0")].value == 1.0
        speed = provider.lab.plane.interfaces(LONDON)["core0"].speed_bit_rate
        assert collection.series.speeds[LONDON, "core0"] == speed
        assert await collection.read(LONDON) is Outcome.READ
        await until(lambda: collection.series.latest[SeriesKey(LONDON, "out-octets", "core0")].is_usable)
        provider.lab.plane.set_link("pe-london--p-brussels", up=False)
        assert await collection.read(LONDON) is Outcome.READ
        assert collection.series.latest[SeriesKey(LONDON, "oper-status", "core0")].value == 0.0


@pytest.mark.parametrize("profile", ["full", "restconf"])
async def test_a_router_that_tells_of_a_carrier_by_itself_is_heard_before_it_is_read(
    tmp_path: Path, profile: str
) -> None:
    async with demo_with(tmp_path, profile) as provider:
        key = SeriesKey(LONDON, "oper-status", "core0")
        latest = provider.controller.collection.series.latest
        provider.daemon.link_events.follow()
        await until(lambda: LONDON in provider.daemon.link_events.listening)

        def cut() -> bool:
            for is_up in (True, False):  # the stream may open after it was asked for
                provider.lab.plane.set_link("pe-london--p-brussels", up=is_up)
            return key in latest and latest[key].value == 0.0

        await until(cut)
        assert latest[key].provenance is Provenance.NOTIFIED
