"""Owns `make bench-plan`: planning costs what the change costs, not what the service or the fleet holds.

Adding one access beside creating the whole service in the same run, and one more service for a large fleet beside the
same for a small one. All of planning is in it, validation by libyang included; nothing is sent. `python -m bench.plan`.
"""

import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Iterator

from bench.synthetic import Fleet, edit, joined, service, site, small_service
from bench.table import Row, row, write
from controller.mapping.service_change import L3smEdit
from controller.model.yang_path import format_path
from controller.transaction.plan import Plan

ACCESSES = (30, 300, 3000)
ACCESSES_PER_SITE = 10
ROUTERS = 40
FLEETS = ((10, 50), (1000, 5000))
AT_ONCE = 50
"""Services of one transaction while a fleet is being filled."""
REPEATS = 15
_VPN = "acme"


def _created(accesses: int, cities: int) -> L3smEdit:
    numbers = range(accesses)
    sites = [
        site(f"site-{first}", first // ACCESSES_PER_SITE % cities, _VPN, numbers[first : first + ACCESSES_PER_SITE])
        for first in numbers[::ACCESSES_PER_SITE]
    ]
    return edit(service(_VPN), *sites)


def _grown(accesses: int) -> L3smEdit:
    """The first site with one access more."""
    return edit(site("site-0", 0, _VPN, [*range(ACCESSES_PER_SITE), accesses]))


def _extended(accesses: int, cities: int) -> L3smEdit:
    """Another site with one access."""
    return edit(site("site-more", accesses // ACCESSES_PER_SITE % cities, _VPN, [accesses]))


def _timed(work: Callable[[], Plan], repeats: int = 1) -> tuple[float, Plan]:
    """Median milliseconds of CPU, and the last plan. Planning is one thread's computing, without waiting."""
    seconds = []
    gc.collect()
    for _ in range(repeats):
        start = time.process_time()
        plan = work()
        seconds.append(time.process_time() - start)
    return 1000 * statistics.median(seconds), plan


def _refuse_other_paths(plan: Plan, site_id: str, access: int) -> None:
    """The plan of one access names that access's paths and no others: all are new, and all are its own."""
    assert sum(len(device.edit) for device in plan.devices), "nothing is planned"
    for device in plan.devices:
        for change in device.edit:
            owners = device.owners[change.path]
            is_own = all(owner.endswith(f"/access/{site_id}/a{access}") for owner in owners)
            is_new_node = all("/node/" in owner for owner in owners)
            assert change.old is None, f"{format_path(change.path)} was there before"
            assert is_own or is_new_node, f"{format_path(change.path)} is not the access's own"


async def _service(accesses: int) -> Iterator[Row]:
    fleet = await Fleet(ROUTERS).open()
    planner = fleet.planner
    whole, plan = _timed(lambda: planner.services(_created(accesses, fleet.cities), "create"))
    await fleet.commit(plan)
    baseline = f"creating all {accesses}"
    grown, plan = _timed(lambda: planner.services(_grown(accesses), "one access more"), REPEATS)
    _refuse_other_paths(plan, "site-0", accesses)
    more, plan = _timed(lambda: planner.services(_extended(accesses, fleet.cities), "one site more"), REPEATS)
    _refuse_other_paths(plan, "site-more", accesses)
    return iter(
        (
            row("plan one access more", accesses, grown, whole, baseline, "ms of CPU", less_is_better=True),
            row("plan one site more", accesses, more, whole, baseline, "ms of CPU", less_is_better=True),
        )
    )


async def _fleet(routers: int, services: int) -> float:
    fleet = await Fleet(routers).open()
    for first in range(0, services, AT_ONCE):
        wanted = joined([small_service(number, fleet.cities) for number in range(first, first + AT_ONCE)])
        await fleet.commit(fleet.planner.services(wanted, "fill"))
    planned, plan = _timed(
        lambda: fleet.planner.services(small_service(services, fleet.cities), "one more"), 3 * REPEATS
    )
    assert len(plan.changed) == 2, "a service of two sites in two cities changes two routers"
    return planned


async def _rows() -> list[Row]:
    rows = [line for accesses in ACCESSES for line in await _service(accesses)]
    (few, _), (many, filled) = FLEETS
    small = await _fleet(*FLEETS[0])
    large = await _fleet(*FLEETS[1])
    name = f"{few} devices with {FLEETS[0][1]} services"
    rows.append(row(f"plan beside {filled} services", many, large, small, name, "ms of CPU", less_is_better=True))
    return rows


def main() -> None:
    write("plan", asyncio.run(_rows()))


if __name__ == "__main__":
    main()
