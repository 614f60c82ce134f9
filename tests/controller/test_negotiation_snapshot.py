"""A plane that is restored from its snapshot and the rest of the log is the one that replay makes; so is its market."""

import asyncio
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.adapters.event_log_sqlite import SqliteEventLog
from controller.model.errors import PermanentError
from controller.model.units import BitRate
from controller.negotiation.catalogue import Axis, Tier
from controller.negotiation.dialogue import Stage
from controller.negotiation.market_book import MarketBook
from controller.negotiation.quote import QuoteRefusal
from controller.runtime.negotiation import Lane
from controller.runtime.negotiation_house import House
from controller.runtime.negotiation_market import LiveMarket
from controller.runtime.negotiation_networks import SoldNetwork
from controller.runtime.negotiation_snapshot import _SNAPSHOT, house_to_json
from controller.topology.te_database import Measurement, TeDatabase
from tests.controller.market_samples import CATALOGUE, NOW, POLICY, REQUEST, SQUARE
from tests.controller.negotiation_plane import Plane, Watch
from tests.controller.test_negotiation_in_life import forecast, negotiated_change
from tests.controller.test_negotiation_plane import WISH, negotiated
from tests.controller.test_negotiation_sensitivity_kept import kept

_ACTS = ("negotiate", "refused", "change", "terminate", "breach", "save")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteEventLog]:
    opened = SqliteEventLog(tmp_path / "events.sqlite", clock=Watch())
    yield opened
    opened.close()


def plane_over(log: SqliteEventLog | None = None) -> Plane:
    plane = Plane(log=log)
    kept(plane)
    return plane


def fresh(plane: Plane) -> Plane:
    """Another process over the same log, before it has read anything."""
    after = replace(plane, lane=Lane())
    kept(after)
    return after


def restored(plane: Plane) -> tuple[Plane, int]:
    after = fresh(plane)
    return after, after.negotiations.load()


def replayed(plane: Plane) -> Plane:
    """Without its snapshot."""
    after = fresh(plane)
    houses: dict[str, House] = {house.party: house for house in after.negotiations.houses()}
    for event in plane.records():
        houses[event.stream.split("/")[1]].fold(event)
    return after


def state_of(plane: Plane) -> list[Any]:
    return [house_to_json(house) for house in plane.negotiations.houses()]


async def busy(log: SqliteEventLog) -> Plane:
    """Two agreements, one changed, a snapshot, and more."""
    plane = plane_over(log)
    first = await negotiated(plane)
    await negotiated_change(plane, first.terms.root, bandwidth=BitRate(10**9))
    assert plane.negotiations.save()
    await negotiated(plane)
    return plane


async def test_a_restored_plane_is_the_replayed_one_and_reads_only_what_came_after(log: SqliteEventLog) -> None:
    plane = await busy(log)
    after, folded = restored(plane)
    assert 0 < folded < log.last_position() / 2
    assert state_of(after) == state_of(replayed(plane)) == state_of(plane)
    for house, other in zip(after.negotiations.houses(), plane.negotiations.houses(), strict=True):
        assert house.desk.dialogues == other.desk.dialogues
        assert house.desk.agreements == other.desk.agreements
    again = await negotiated(after)
    assert again.stage is Stage.DONE


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE parts SET body = x'7b207d' WHERE key = 'market'",
        "UPDATE parts SET body = x'7b207d' WHERE key LIKE 'house/%oss'",
        "DELETE FROM parts WHERE key LIKE 'house/%bss'",
    ],
)
async def test_a_damaged_snapshot_is_replaced_by_replay(log: SqliteEventLog, damage: str) -> None:
    plane = await busy(log)
    with sqlite3.connect(f"{log._path}.snapshots") as connection:
        assert connection.execute(damage).rowcount
    after, folded = restored(plane)
    assert folded == len(plane.records())
    assert state_of(after) == state_of(plane)


async def test_a_snapshot_of_another_version_is_replaced_by_replay(log: SqliteEventLog) -> None:
    plane = await busy(log)
    log.save_snapshot("negotiation@0", log.last_position(), {"market": b"[]"})
    after, folded = restored(plane)
    assert folded == len(plane.records())
    assert state_of(after) == state_of(plane)


async def test_a_snapshot_that_cannot_be_taken_up_is_put_aside_for_the_next_start(log: SqliteEventLog) -> None:
    plane = await busy(log)
    snapshot = log.load_snapshot(_SNAPSHOT)
    assert snapshot is not None
    houses = [f"house/{house.party}" for house in plane.negotiations.houses()]
    parts = {key: snapshot.part(key) or b"" for key in ("market", *houses)}
    last = orjson.loads(parts[houses[-1]])
    parts[houses[-1]] = orjson.dumps({**last, "desk": {}})
    log.save_snapshot(_SNAPSHOT, snapshot.position, parts)
    with pytest.raises(PermanentError, match="is put aside; start again") as refused:
        restored(plane)
    assert "KeyError" in str(refused.value)
    after, folded = restored(plane)
    assert folded == len(plane.records())
    assert state_of(after) == state_of(plane)


async def test_nothing_is_stored_while_a_record_is_on_its_way(log: SqliteEventLog) -> None:
    plane = await busy(log)
    storing = asyncio.ensure_future(plane.negotiations.negotiate(WISH))
    await asyncio.sleep(0)
    assert plane.negotiations.consumer().house.is_storing
    assert not plane.negotiations.save()
    subject = await storing
    await plane.negotiations.outcome(subject)
    await plane.negotiations.idle()
    assert plane.negotiations.save()
    assert restored(plane)[1] == 0


async def test_money_that_came_back_is_in_a_snapshot_too(log: SqliteEventLog) -> None:
    plane = plane_over(log)
    first = await negotiated(plane)
    plane.clock.time += 600.0
    await plane.negotiations.outcome(await plane.negotiations.terminate(first.terms.root, "enough"))
    await plane.negotiations.idle()
    assert plane.negotiations.save()
    after, folded = restored(plane)
    assert folded == 0
    assert state_of(after) == state_of(plane)


async def _play(acts: list[str]) -> Plane:
    plane = plane_over()
    for act in acts:
        standings = [one for one in plane.negotiations.agreements() if not one.is_over]
        plane.clock.time += 7
        if act == "negotiate" and not standings:
            await negotiated(plane, replace(WISH, start=plane.clock.time))
        elif act == "refused":
            await negotiated(plane, replace(WISH, start=plane.clock.time, z="nowhere"))
        elif act == "change" and standings:
            await negotiated_change(plane, standings[0].root, bandwidth=BitRate(10**9))
        elif act == "breach" and len(plane.negotiations.agreements()) == 1 and standings:
            await forecast(plane, 0.95, 20.0)
        elif act == "terminate" and standings:
            subject = await plane.negotiations.terminate(standings[0].root, "enough")
            await plane.negotiations.outcome(subject)
            await plane.negotiations.idle()
        elif act == "save":
            plane.negotiations.save()
    return plane


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(_ACTS), max_size=8))
def test_whatever_happened_and_whenever_it_was_stored_a_restart_makes_the_same_state(acts: list[str]) -> None:
    plane = asyncio.run(_play(acts))
    after, _ = restored(plane)
    assert state_of(after) == state_of(plane) == state_of(replayed(plane))


# -- the market --------------------------------------------------------------------------------------------------------


def sold(share: float) -> dict[Tier, SoldNetwork]:
    loads = {
        link: Measurement(load=BitRate(round(share * capacity)))
        for link, capacity in zip(SQUARE.arcs.ids, SQUARE.arcs.capacities, strict=True)
    }
    return {Tier.IP: SoldNetwork(TeDatabase(SQUARE).with_measurements(loads), {})}


def live(book: MarketBook) -> LiveMarket:
    return LiveMarket(CATALOGUE, POLICY, book)


def run(market: LiveMarket, share: float, ticks: int, now: float) -> float:
    for _ in range(ticks):
        now += 10.0
        market.follow(sold(share), now)
        for data in market.tick(sold(share), now):
            market.book.apply(data)
    return now


def test_prices_bands_and_how_long_each_has_to_stay_survive_a_restart_on_every_axis() -> None:
    market = live(MarketBook())
    market.follow(sold(0.0), NOW)
    (window,) = market.market.seller.meshes[0].windows
    held = market.market.prices(replace(REQUEST, latency_seconds=0.05, availability=0.999), NOW)
    assert not isinstance(held, QuoteRefusal)
    loads = {axis: [0.95 * 10**10 * POLICY.scarcity.targets[axis].share] * 8 for axis in Axis}
    for tick in range(1, 12):
        window.tick(loads, NOW + 10.0 * tick)
        data = market.book.moved(Tier.IP, window.state())
        if data is not None:
            market.book.apply(data)
    assert all(all(ranks) for ranks in window.published().bands.values())
    book = MarketBook()
    book.load_json(market.book.to_json())
    after = live(book)
    after.follow(sold(0.0), NOW + 111)
    (again,) = after.market.seller.meshes[0].windows
    assert again.prices == window.prices
    assert again.published().bands == window.published().bands
    for axis in Axis:
        assert [state[axis].band for state in again.state().values()] == [
            state[axis].band for state in window.state().values()
        ]
    # One more look moves both alike, dwell and all.
    for each in (window, again):
        each.tick(dict.fromkeys(Axis, [0.0] * 8), NOW + 120)
    assert again.published().bands == window.published().bands


def test_only_what_a_tick_has_moved_is_told() -> None:
    market = live(MarketBook())
    now = run(market, 0.0, 3, NOW)
    market.follow(sold(0.0), now + 10)
    assert market.tick(sold(0.0), now + 10) == []
    now = run(market, 1.0, 6, now + 10)
    assert all(state[Axis.BANDWIDTH].price > 0 for state in market.book.of(Tier.IP).values())


def test_a_network_that_grows_keeps_the_prices_of_the_links_that_it_had() -> None:
    market = live(MarketBook())
    now = run(market, 1.0, 12, NOW)
    before = market.book.of(Tier.IP)
    smaller = [link for link in SQUARE.links.values() if "c" not in {link.source.node, link.target.node}]
    network = type(SQUARE).of(SQUARE.nodes.values(), smaller)
    market.follow({Tier.IP: SoldNetwork(TeDatabase(network), {})}, now)
    (window,) = market.market.seller.meshes[0].windows
    assert {link: state[Axis.BANDWIDTH].price for link, state in window.state().items()} == {
        link.id: before[link.id][Axis.BANDWIDTH].price for link in smaller
    }
