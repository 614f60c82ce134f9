"""Owns accord itself over the lab of the traffic benches: its services, its tunnel from head to tail, its moves.

The daemon's parts run in this process beside the lab and reach the routers over NETCONF as they would any other. What
routers forward by comes from accord alone: no router is edited behind its back before `release`.
"""

import asyncio
import gc
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

from bench.synthetic import edit, joined, service, site
from bench.traffic_edits import HEAD, TAIL
from bench.traffic_lab import LONG_HOP_SECONDS, SHORT, TrafficLab, network_of
from controller.adapters.settings_loader import load_settings
from controller.bootstrap import Daemon, open_daemon
from controller.mapping.service_change import L3smEdit
from controller.mapping.tunnel import Tunnel
from controller.model.identifiers import DeviceName
from controller.runtime.transactions import CommitOptions
from controller.runtime.tunnels import TunnelWish
from controller.topology.network import LinkId
from controller.transaction.plan import Plan
from controller.transaction.stages import Stage
from controller.transaction.states import Phase
from lab.inventory import write_files
from lab.network import LabNetwork
from lab.planes import Attachment
from lab.traffic.attachments import find_attachment

TUNNEL = "gold"
ACTOR = "bench"
_QUICK = CommitOptions(confirm_timeout_seconds=600.0, lease_wait_seconds=60.0)
_PORT_BIT_RATE = 10**9
_MOST_BIT_RATE = 10**8
"""Of a service; more of them share their port."""
_AT_ONCE = 50
_DEADLINE_SECONDS = 20.0
_LOOK_SECONDS = 0.01


class AccordLab(TrafficLab):
    """The lab, with accord as the one who configures it."""

    def __init__(self, network: LabNetwork, daemon: Daemon, services: int) -> None:
        super().__init__(network, services)
        self.daemon = daemon
        self.controller = daemon.controller
        self._is_released = False

    @property
    def tunnel(self) -> Tunnel:
        """The tunnel that carries the services."""
        return self.controller.world.tunnels.get(TUNNEL)

    def customer(self, router: str, service: int = 0) -> Attachment:
        """A host of the n-th service at this router."""
        forwarding = self.network.forwarding(router)
        return find_attachment(router, forwarding, vpn=sorted(each.name for each in forwarding.instances)[service])

    async def provision(self) -> None:
        """The services, and one tunnel for all of them over the short way."""
        names = [_vpn(number) for number in range(self.services)]
        for first in range(0, self.services, _AT_ONCE):
            batch = range(first, min(first + _AT_ONCE, self.services))
            wish = joined([self._service(number) for number in batch])
            await self.commit(await self.controller.plan_services(wish, f"{len(batch)} services", ACTOR))
        await self.controller.topology.refresh()
        asked = TunnelWish(services=tuple(names))
        await self.commit(await self.controller.plan_tunnels(lambda t: t.create(TUNNEL, _HEAD, _TAIL, asked), ACTOR))
        await self.move_at_once(SHORT)

    def _service(self, number: int) -> L3smEdit:
        rate = min(_MOST_BIT_RATE, _PORT_BIT_RATE // (self.services + 1))
        cities = {name: int(self.network.topology.node(name).site.city.split()[-1]) for name in (HEAD, TAIL)}
        vpn = _vpn(number)
        sites = [
            site(f"{vpn}-{name}", city, vpn, [2 * number + end], rate)
            for end, (name, city) in enumerate(cities.items())
        ]
        return edit(service(vpn), *sites)

    async def commit(self, plan: Plan) -> None:
        """Carry a plan out; it has to succeed."""
        done = await self.controller.commit(plan.id, _QUICK, ACTOR)
        if done.phase is not Phase.COMMITTED:
            raise SystemExit(f"{plan.summary}: {done.phase}: {done.reason}")

    async def move_in_stages(self, way: Sequence[str]) -> None:
        """Make-before-break: build, verify by measurement, move, drain, remove."""
        plan = await self._plan_move(way)
        if plan is None:
            return
        begun = await self.controller.begin_staged(plan.id, ACTOR, checksum=plan.checksum)
        done = await self.controller.changes.finish(begun.id)
        if done.stage is not Stage.DONE:
            raise SystemExit(f"{plan.summary}: {done.stage}: {done.steps}")
        await self.settled()

    async def move_at_once(self, way: Sequence[str]) -> None:
        """One transaction that gives the tunnel another path."""
        plan = await self._plan_move(way)
        if plan is not None:
            await self.commit(plan)
            await self.settled()

    async def _plan_move(self, way: Sequence[str]) -> Plan | None:
        """None when the tunnel is there already."""
        hops = links_of(way)
        if len(self.tunnel.paths) == 1 and self.tunnel.paths[0].hops == tuple(hops):
            return None
        return await self.controller.plan_tunnels(lambda tunnels: tunnels.move(TUNNEL, along_links=hops), ACTOR)

    async def protect(self, kind: str) -> None:
        """Give the tunnel a second path that its head end switches to by itself."""
        asked = TunnelWish(protection=kind)
        await self.commit(await self.controller.plan_tunnels(lambda tunnels: tunnels.change(TUNNEL, asked), ACTOR))
        await self.settled()

    async def listen(self) -> None:
        """Carrier events reach accord from now on, and it repairs."""
        self.daemon.link_events.follow()
        async with asyncio.timeout(_DEADLINE_SECONDS):
            while len(self.daemon.link_events.listening) < len(self.network.topology.nodes):  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_SECONDS)
        await self.controller.topology.refresh()

    async def release(self) -> None:
        """Accord is stopped; from now on others may edit the routers."""
        if not self._is_released:
            self._is_released = True
            await self.daemon.stop(10.0)


def links_of(way: Sequence[str]) -> list[LinkId]:
    """The links between routers in a row, as accord calls them."""
    return [LinkId(f"{a}:to-{b}>{b}:to-{a}") for a, b in pairwise(way)]


@asynccontextmanager
async def accord_lab(
    plane: str, *, services: int = 1, igp_seconds: float = 0.4, long_hop_seconds: float = LONG_HOP_SECONDS
) -> AsyncIterator[AccordLab]:
    """The lab on that plane with accord over it, carrying packets over the short way."""
    with tempfile.TemporaryDirectory() as directory:
        async with network_of(plane, igp_seconds=igp_seconds, long_hop_seconds=long_hop_seconds) as network:
            lab = AccordLab(network, await _daemon(Path(directory), network), services)
            try:
                await lab.provision()
                await lab.carrying()
                gc.freeze()  # as the daemon does when it has started
                yield lab
            finally:
                gc.unfreeze()
                await lab.release()


async def _daemon(directory: Path, network: LabNetwork) -> Daemon:
    files = write_files(
        directory,
        network.running_routers(),
        username=network.options.username,
        password=network.password,
        authority_pem=network.authority_pem,
    )
    settings = directory / "accord.yaml"
    settings.write_text(
        f"state_dir: {directory}/state\ninventory: {files['inventory']}\n"
        f"credentials: {files['credentials']}\ntokens: {directory}/tokens.yaml\n"
    )
    daemon = await open_daemon(load_settings(settings))
    names = list(daemon.controller.records())
    await asyncio.gather(*(daemon.controller.sync_from(name, ACTOR) for name in names))
    return daemon


def _vpn(number: int) -> str:
    return f"vpn-{number}"


_HEAD, _TAIL = DeviceName(HEAD), DeviceName(TAIL)
