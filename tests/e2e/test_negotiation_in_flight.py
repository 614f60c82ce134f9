"""An agreement is renegotiated while packets flow over it: it moves on real emulated routers, and none is lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from controller.negotiation.agreement import Strategy, verify_chain
from controller.negotiation.catalogue import Tier
from controller.negotiation.dialogue import Stage
from controller.negotiation.mesh import Mesh
from controller.negotiation.quote import Seller
from controller.runtime.negotiation_tunnels import TunnelProvisioner
from controller.runtime.tunnels import TunnelWish
from lab.router.faults_point import Action, Fault
from lab.topology_file import load_topology
from tests.controller.mapping_samples import access, edit, service, site
from tests.controller.market_samples import CATALOGUE, POLICY
from tests.controller.negotiation_plane import START, Plane, key_of
from tests.controller.negotiation_samples import REQUEST
from tests.controller.test_negotiation_in_life import forecast
from tests.controller.test_negotiation_plane import negotiated, taken
from tests.e2e.provider import ACTOR, Provider, open_provider
from tests.e2e.test_make_before_break import DEMO, FRANKFURT, LONDON, traffic

WISH = replace(
    REQUEST, a=str(LONDON), z=str(FRANKFURT), latency_seconds=0.05, start=float(START), duration_seconds=36_000
)


@asynccontextmanager
async def sold(directory: Path) -> AsyncIterator[tuple[Provider, Plane]]:
    """The demonstration's network with a VPN from London to Frankfurt, and an operator that sells it."""
    async with open_provider(directory, load_topology(DEMO)) as provider:
        await provider.commit(
            edit(service(), site("l", "London", "GB", access(1)), site("f", "Frankfurt", "DE", access(2)))
        )
        await provider.controller.topology.refresh()
        mesh = Mesh.of(Tier.IP, provider.controller.topology.database, CATALOGUE, POLICY)
        carrier = TunnelProvisioner(provider.controller)
        yield provider, Plane(carrier=carrier, operator=Seller(CATALOGUE, POLICY, (mesh,)))


async def test_a_live_agreement_moves_off_the_links_at_risk_without_losing_a_packet(tmp_path: Path) -> None:
    async with sold(tmp_path) as (provider, plane):
        done = await negotiated(plane, WISH)
        assert done.stage is Stage.DONE
        name = done.service
        serving = await provider.controller.plan_tunnels(
            lambda tunnels: tunnels.change(name, TunnelWish(services=("acme",))), ACTOR
        )
        await provider.commit_plan(serving)
        before = provider.controller.world.tunnels.get(name)
        async with traffic(provider, FRANKFURT) as flow:
            await forecast(plane, 0.95, 60.0, before.ranked[0].hops[:1])
        after = provider.controller.world.tunnels.get(name)
        (standing,) = plane.negotiations.agreements()
        verify_chain(standing.issues, key_of)
        assert standing.terms.strategy is Strategy.REROUTE
        assert (after.color, after.services) == (before.color, before.services)
        assert before.ranked[0].hops[0] not in after.ranked[0].hops
        assert flow.lost == 0, flow.report
        assert taken(plane) == sum(issue.terms.amount.minor for issue in standing.issues)


async def test_what_a_router_refuses_after_signing_is_not_paid_for(tmp_path: Path) -> None:
    async with sold(tmp_path) as (provider, plane):
        provider.lab.faults.add(str(LONDON), "commit", Action(Fault.REJECT))
        done = await negotiated(plane, WISH)
        assert done.stage is Stage.FAILED
        assert taken(plane) == 0
        assert not list(provider.controller.world.tunnels)
