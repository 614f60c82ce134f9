"""The demonstration's network with telemetry, localisation and recovery at a test's pace, and what tests ask of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from controller.mapping.tunnel import Tunnel
from controller.model.identifiers import DeviceName
from controller.recovery.history import Recovery
from controller.recovery.states import Mode
from controller.runtime.collection import Pace
from controller.runtime.localisation_observations import Patience
from controller.runtime.recovery import Pace as RecoveryPace
from controller.runtime.tunnels import TunnelWish
from lab.topology import Topology
from lab.topology_file import load_topology
from tests.controller.mapping_samples import access, edit, service, site
from tests.e2e.provider import ACTOR, Provider, open_provider
from tests.e2e.world import until
from tests.patience import PATIENCE_SECONDS

LONDON, FRANKFURT, PARIS = DeviceName("pe-london"), DeviceName("pe-frankfurt"), DeviceName("pe-paris")
BRUSSELS, LYON = DeviceName("p-brussels"), DeviceName("p-lyon")
DEMO = Path(__file__).parents[2] / "config/lab/demo.yaml"
NORTH_WIRE, SOUTH_WIRE = "pe-london--p-brussels", "pe-london--p-lyon"
NORTH = "link p-brussels:core0>pe-london:core0"
"""The cause that a fault of the northern wire has."""
LONG = 2 * PATIENCE_SECONDS
PATIENCE = Patience(carrier=0.3, silence=1.0, verdict=0.6, window=8.0, long_window=30.0, again=0.5, stale=12.0)
PACE = RecoveryPace(settle=0.6, settle_unknown=60.0, clear=2.0, verify=40.0, watch=30.0, watch_interval=0.2)


@asynccontextmanager
async def recovering(
    directory: Path, mode: Mode = Mode.AUTO, *, tunnels: Sequence[str] = (), topology: Topology | None = None
) -> AsyncIterator[Provider]:
    """A VPN between London and Frankfurt, links measured; `tunnels` of these names carry it there and back."""
    async with open_provider(directory, topology or load_topology(DEMO)) as provider:
        await provider.commit(
            edit(service(), site("l", "London", "GB", access(1)), site("f", "Frankfurt", "DE", access(2)))
        )
        await provider.controller.topology.refresh()
        for name in tunnels:
            await made(provider, name)
        await planned(provider, lambda known: known.measure(is_on=True))
        async with running(provider, mode):
            yield provider


@asynccontextmanager
async def running(provider: Provider, mode: Mode = Mode.AUTO, *, when_well: bool = True) -> AsyncIterator[None]:
    """Telemetry is read and recovery ticks, as the daemon's clockwork has it, but faster."""
    begin(provider, mode)
    events = provider.daemon.link_events
    events.follow()
    await until(lambda: len(events.listening) == len(provider.lab.topology.nodes), LONG)
    await provider.controller.topology.refresh()
    ticking = [asyncio.create_task(work) for work in (_reading(provider), _looking(provider))]
    try:
        if when_well:
            await until(lambda: is_well(provider), LONG, lambda: provider.controller.localisation.reason)
        yield
    finally:
        for task in ticking:
            task.cancel()
        await asyncio.gather(*ticking, return_exceptions=True)


def begin(provider: Provider, mode: Mode) -> None:
    """Everything at a test's pace."""
    controller = provider.controller
    controller.collection.take_over(Pace(0.25, jitter=0.0))
    controller.collection.start()
    controller.localisation.patience = controller.localisation.witness.patience = PATIENCE
    controller.recoveries.pace, controller.recoveries.mode = PACE, lambda: mode


async def _reading(provider: Provider) -> None:
    while True:
        await provider.controller.collection.tick()
        await asyncio.sleep(0.02)


async def _looking(provider: Provider) -> None:
    while True:
        await provider.controller.recoveries.tick()
        await asyncio.sleep(0.1)


def is_well(provider: Provider) -> bool:
    """Every router was heard, every link is measured, and nothing is wrong."""
    localisation = provider.controller.localisation
    witness = localisation.witness
    heard = witness.heard_since(provider.controller.records().keys(), 0.0)
    if localisation.now is None or len(heard) < len(provider.lab):
        return False
    sessions = [one for one in witness.sessions(localisation.now) if one[2].startswith("link probe")]
    measured = [witness.loss(device, number, 0.0)[0] >= 20 for device, number, *_ in sessions]
    return all(measured) and bool(measured) and not localisation.faults


async def planned(provider: Provider, make: Any) -> None:
    plan = await provider.controller.plan_tunnels(make, ACTOR)
    await provider.commit_plan(plan)


async def made(provider: Provider, name: str, **wish: Any) -> Tunnel:
    """A tunnel of the VPN from London to Frankfurt, or back where its name ends so."""
    ends = (FRANKFURT, LONDON) if name.endswith("-back") else (LONDON, FRANKFURT)
    wanted = TunnelWish(**{"services": ("acme",)} | wish)
    await planned(provider, lambda known: known.create(name, *ends, wanted))
    return provider.controller.world.tunnels.get(name)


def recoveries(provider: Provider) -> list[Recovery]:
    return list(provider.controller.world.recoveries)


def by(condition: Callable[[Recovery], object], provider: Provider) -> Recovery | None:
    """The first recovery of which that is so."""
    return next((one for one in recoveries(provider) if condition(one)), None)


async def eventually(condition: Callable[[Recovery], object], provider: Provider) -> Recovery:
    """Wait until that is so of some recovery."""
    await until(lambda: by(condition, provider) is not None, LONG, lambda: told(provider))
    found = by(condition, provider)
    assert found is not None
    return found


def told(provider: Provider) -> str:
    """Everything that was done, for a test that fails."""
    lines = [f"localisation: {provider.controller.localisation.reason}"]
    for one in recoveries(provider):
        lines.append(f"{one.id} {one.cause} {one.state} {one.services}")
        lines += [f"  {step.state}: {step.reason}" for step in one.steps]
    return "\n".join(lines)


def lose(provider: Provider, wire: str, ratio: float) -> None:
    """Packets are lost on a link, and nobody notices by its carrier."""
    provider.lab.lose_on_link(wire, ratio)


def ways(provider: Provider, name: str) -> set[str]:
    """The routers that a tunnel's preferred path leads over."""
    hops = provider.controller.world.tunnels.get(name).ranked[0].hops
    return {hop.partition(">")[2].partition(":")[0] for hop in hops[:-1]}


async def stop_quietly(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
