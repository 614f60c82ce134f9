"""What was learnt of series - what a day is like, what is usual - outlives the daemon, or is learnt anew."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controller.adapters.event_log_sqlite import SqliteEventLog
from controller.assurance.foresight import Foresight, Seen
from controller.assurance.foresight_keeping import OLDEST_SECONDS, keepsake, recall
from controller.assurance.objectives import Objective
from controller.runtime.assurance_keeping import KEEP_SECONDS, Keeping
from controller.telemetry.detectors import Shape
from tests.controller.assurance_world import DELAY, PARIS, TICK, AssuredWorld, VirtualClock, restarted
from tests.controller.mapping_samples import edit, two_sites

DAY, TICK_SECONDS, BEGIN = 96, 900.0, 19_700 * 86_400.0
FEW = [replace(DELAY, subject=f"a>{number}", target=1.0) for number in range(4)]


def values(tick: int) -> dict[Objective, Seen]:
    """Each has a day of its own: two hours in which it is high, every four hours."""
    return {one: Seen(0.01 * (n + 2) + 0.01 * ((tick + 4 * n) % 16 < 8) * (n + 1), 1.0) for n, one in enumerate(FEW)}


def days_old(days: float = 2.0) -> tuple[Foresight, float]:
    foresight = Foresight((4,), TICK_SECONDS)
    for tick in range(round(days * DAY)):
        foresight.step(values(tick), BEGIN + TICK_SECONDS * tick)
    return foresight, BEGIN + TICK_SECONDS * round(days * DAY)


def same(_name: str, _since: float) -> bool:
    return True


def recalled(parts: Mapping[str, bytes], now: float, is_same: Callable[[str, float], bool] = same) -> Foresight:
    foresight = Foresight((4,), TICK_SECONDS)
    assert recall(foresight, parts.get, now, is_same) == ""
    return foresight


def day_of(foresight: Foresight, one: Objective) -> list[float] | None:
    """What is known of its day, at six times of it."""
    for group in foresight._groups:
        if (column := group.columns.get(str(one))) is not None:
            season = group.forecaster.season
            return [float(season.last(at)[column]) for at in range(0, DAY, 15)] if season.seen > DAY else None
    return None


def test_each_series_finds_its_own_day_again_in_whatever_order_they_come_back() -> None:
    old, now = days_old()
    fresh = recalled(keepsake(old, now).parts(), now)
    told = values(2 * DAY)
    fresh.step({one: told[one] for one in (FEW[2], FEW[0])}, now)
    assert day_of(fresh, FEW[2]) == day_of(old, FEW[2])
    assert day_of(fresh, FEW[0]) == day_of(old, FEW[0])
    assert day_of(fresh, FEW[0]) != day_of(fresh, FEW[2])


def test_what_comes_back_later_is_waited_for_and_what_is_not_wanted_any_more_is_not() -> None:
    old, now = days_old()
    fresh = recalled(keepsake(old, now).parts(), now)
    told = values(2 * DAY)
    nothing = {FEW[1]: Seen(float("nan"), 0.0)}
    fresh.step({FEW[0]: told[FEW[0]]} | nothing, now)
    fresh.step({FEW[0]: told[FEW[0]], FEW[1]: told[FEW[1]], FEW[3]: told[FEW[3]]}, now + TICK_SECONDS)
    assert day_of(fresh, FEW[1]) == day_of(old, FEW[1])
    assert day_of(fresh, FEW[3]) is None, "nobody wanted it when the daemon was back: it is another one by now"
    fresh.step({FEW[0]: told[FEW[0]]}, now + 2 * TICK_SECONDS)
    fresh.step({one: told[one] for one in FEW[:2]}, now + 3 * TICK_SECONDS)
    assert day_of(fresh, FEW[1]) is None, "what went and came again is learnt anew"


def test_a_day_that_was_learnt_before_a_restart_forecasts_after_it() -> None:
    """It knows the steps that a daemon does not foresee that begins anew, over the half day after a restart."""
    old, now = days_old(4.0)

    def missed(foresight: Foresight) -> float:
        wrong = []
        for tick in range(4 * DAY, 4 * DAY + DAY // 2):
            told = foresight.step(values(tick), BEGIN + TICK_SECONDS * tick)
            ahead = values(tick + 4)
            wrong += [told[one].point - ahead[one].value for one in FEW if told[one].horizon_seconds == 3600.0]
        assert wrong
        return float(np.sqrt(np.mean(np.square(wrong))))

    assert missed(recalled(keepsake(old, now).parts(), now)) < 0.5 * missed(Foresight((4,), TICK_SECONDS))


@pytest.mark.parametrize(
    "harm, why",
    [
        (lambda parts: parts.pop("group/0"), "damaged"),
        (lambda parts: parts.update(head=b"{"), "damaged"),
        (lambda parts: parts.update({"group/0": parts["group/0"][:500]}), "damaged"),
        (lambda parts: parts.update(head=parts["head"].replace(b'["l3vpn:acme/a>0/delay-one-way",', b"[")), "damaged"),
        (lambda parts: parts.update(head=parts["head"].replace(b'"tick_seconds":900', b'"tick_seconds":9')), "pace"),
    ],
)
def test_what_is_damaged_or_of_another_pace_is_learnt_anew_and_why_is_said(
    harm: Callable[[dict[str, bytes]], object], why: str
) -> None:
    old, now = days_old()
    parts = keepsake(old, now).parts()
    harm(parts)
    fresh = Foresight((4,), TICK_SECONDS)
    assert why in recall(fresh, parts.get, now, same)
    fresh.step(values(0), now)
    assert day_of(fresh, FEW[0]) is None


def test_what_is_too_old_or_of_the_future_is_learnt_anew() -> None:
    old, now = days_old()
    parts = keepsake(old, now).parts()
    for when in (now + OLDEST_SECONDS + 1, now - 1):
        assert "days ago" in recall(Foresight((4,), TICK_SECONDS), parts.get, when, same)


def test_what_is_another_by_the_same_name_is_learnt_anew_and_the_others_are_not() -> None:
    old, now = days_old()
    fresh = recalled(keepsake(old, now).parts(), now, lambda name, _: name != str(FEW[1]))
    fresh.step(values(2 * DAY), now)
    assert day_of(fresh, FEW[1]) is None
    assert day_of(fresh, FEW[2]) == day_of(old, FEW[2])


def test_so_many_at_most_are_kept() -> None:
    old, now = days_old(0.2)
    assert sum(len(group.names) for group in keepsake(old, now, most=3).groups) == 3


# -- the daemon's ------------------------------------------------------------------------------------------------------


async def quiet(world: AssuredWorld, ticks: int) -> None:
    random = np.random.default_rng(3)
    for _ in range(ticks):
        await world.tick(0.005 + 0.0001 * random.normal())


async def shapes(world: AssuredWorld, ticks: int) -> set[Shape]:
    """What was found unusual of the delay when it had risen."""
    found = set()
    for _ in range(ticks):
        await world.tick(0.009)
        found |= {
            one.anomaly for one in world.assurance.standings["acme"].objectives if one.objective.name == DELAY.name
        }
    return found


async def served() -> AssuredWorld:
    world = AssuredWorld()
    await world.serve(two_sites())
    await world.promise(DELAY)
    await quiet(world, 150)
    return world


async def test_a_restarted_daemon_knows_at_once_what_is_usual() -> None:
    old = await served()
    world = restarted(old)
    await world.assurance.resume()
    await quiet(world, 20)
    assert await shapes(world, 6) - {Shape.NONE}, "what was learnt before the daemon was killed is of use"
    anew = restarted(old)
    await quiet(anew, 20)
    assert await shapes(anew, 6) == {Shape.NONE}, "who has learnt for twenty ticks knows nothing of the kind"


async def test_a_service_that_ended_and_began_again_while_nothing_was_kept_is_another_one() -> None:
    old = await served()
    await old.serve(edit(delete=("l", "p"), delete_services=("acme",)))
    await old.serve(two_sites())
    world = restarted(old)
    world.clock.time += TICK
    await world.assurance.resume()
    world.tell(PARIS, 20_000, 0.005, 10.0, 0.0)
    await world.tick(0.005)
    assert all(group.forecaster.season.seen <= 1 for group in world.assurance.foresight._groups)


async def test_it_is_kept_now_and_then_and_at_the_end() -> None:
    world = await served()
    keeping = world.assurance.keeping
    assert world.log.load_snapshot("foresight@1") is not None, "it was killed at any moment"
    now = world.clock.time
    await world.assurance.stop()
    assert not keeping.is_due(now + KEEP_SECONDS - 1)
    assert keeping.is_due(now + KEEP_SECONDS)
    fresh = Foresight(world.assurance.pace.horizons, TICK)
    assert Keeping(world.log, world.world.assurance).recall(fresh, now) == ""


async def test_a_damaged_file_is_noticed_by_its_digest(tmp_path: Path) -> None:
    world = await served()
    clock = VirtualClock()
    clock.time = world.clock.time
    log = SqliteEventLog(tmp_path / "events.sqlite", clock=clock)
    await Keeping(log, world.world.assurance).keep(world.assurance.foresight, clock.time)
    log.close()
    log = SqliteEventLog(tmp_path / "events.sqlite", clock=clock)
    fresh = Foresight(world.assurance.pace.horizons, TICK)
    assert Keeping(log, world.world.assurance).recall(fresh, clock.time) == ""
    log.close()
    with sqlite3.connect(tmp_path / "events.sqlite.snapshots") as file:
        file.execute("UPDATE parts SET body = zeroblob(length(body)) WHERE key = 'group/0'")
    log = SqliteEventLog(tmp_path / "events.sqlite", clock=clock)
    assert "damaged" in Keeping(log, world.world.assurance).recall(fresh, clock.time)
    log.close()
