"""Owns carrying out agreements as TE tunnels: a pair of them along the priced links, changed without losing a packet.

The road is everybody's: a plan, the twin's proof, a network-wide transaction; a change goes in stages, make before
break, under the same names, so what the consumer calls its service stays. What holds already is not done again, so an
order that is carried out a second time after a crash changes nothing.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from controller.model.errors import ConflictError, StalePlanError
from controller.model.identifiers import PlanId
from controller.model.units import BitRate
from controller.negotiation.agreement import Terms
from controller.runtime.controller import Controller
from controller.runtime.transactions import CommitOptions
from controller.runtime.tunnels import TunnelWish
from controller.topology.network import LinkId
from controller.transaction.plan import Plan
from controller.transaction.stages import Stage
from controller.transaction.states import Phase

ACTOR = "oss-planning"
_PROTECTED_PPM = 999_900
"""From this availability on a second path shares no link with the first."""
_BACK = "-back"
_MOST_PLANS = 20
"""So often an order is planned anew because others changed the same routers first."""
Planning = Callable[[], Awaitable[Plan]]


@dataclass(frozen=True, slots=True)
class TunnelProvisioner:
    """The agreements' services as tunnels `SERVICE` and `SERVICE-back`."""

    controller: Controller
    serving: Callable[[Terms], tuple[str, ...]] = lambda _: ()
    """The VPNs that go over a new one whose terms name none."""

    async def provision(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        """A new pair along these links."""
        if service in self.controller.world.tunnels:
            return f"tunnel '{service}' is there already"
        path = self.controller.topology.network.path(links)
        source, target = path.nodes[0], path.nodes[-1]
        wish = wish_of(terms)
        wish = replace(wish, services=wish.services or self.serving(terms) or None)
        return await carry_out(
            self.controller,
            lambda: self.controller.plan_tunnels(
                lambda tunnels: tunnels.create(service, source, target, wish, both_ways=True, along_links=links), ACTOR
            ),
        )

    async def change(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        """The pair as these terms have it, in stages."""
        return await _planned_anew(lambda: self._change(service, terms, links))

    async def _change(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        plan = await self.controller.plan_tunnels(
            lambda tunnels: tunnels.change_pair(service, links, wish_of(terms)), ACTOR
        )
        if plan.is_empty:
            # Where only the booking changes there is nothing to build beside the old.
            return await commit(self.controller, plan) if plan.effects else f"tunnel '{service}' is so already"
        begun = await self.controller.begin_staged(plan.id, ACTOR)
        done = await self.controller.changes.finish(begun.id)
        if done.stage is not Stage.DONE:
            raise ConflictError(f"the change was taken back: {done.steps[-1].reason}", path=done.id)
        return f"{plan.summary}: {done.id}"

    async def remove(self, service: str) -> str:
        """The end of the pair."""
        names = [name for name in (service, f"{service}{_BACK}") if name in self.controller.world.tunnels]
        if not names:
            return f"tunnel '{service}' is gone already"
        return await carry_out(
            self.controller, lambda: self.controller.plan_tunnels(lambda tunnels: tunnels.delete(names), ACTOR)
        )


async def carry_out(controller: Controller, planning: Planning) -> str:
    """Plan it and carry it out; planned anew where others were first on the same routers."""

    async def once() -> str:
        plan = await planning()
        return (
            f"{plan.summary}: nothing to do" if plan.is_empty and not plan.effects else await commit(controller, plan)
        )

    return await _planned_anew(once)


async def _planned_anew(act: Callable[[], Awaitable[str]]) -> str:
    for _ in range(_MOST_PLANS - 1):
        with suppress(StalePlanError):
            return await act()
    return await act()


async def commit(controller: Controller, plan: Plan) -> str:
    """Carry a plan out; `ConflictError` when it was not."""
    done = await controller.commit(PlanId(plan.id), CommitOptions(comment=plan.summary), ACTOR)
    if done.phase is not Phase.COMMITTED:
        raise ConflictError(
            f"'{plan.summary}' was not carried out: {done.reason}",
            remedy=f"see: accord transaction show {done.id}",
            path=done.id,
        )
    return f"{plan.summary}: {done.id}"


def wish_of(terms: Terms) -> TunnelWish:
    """What a tunnel is to give for these terms."""
    late = terms.level.latency_microseconds
    return TunnelWish(
        bandwidth=BitRate(terms.level.bit_rate),
        delay_bound_seconds=None if late is None else late / 1_000_000,
        is_unbounded=late is None,
        protection="link" if terms.level.availability_ppm >= _PROTECTED_PPM else "none",
        services=(terms.request.vpn,) if terms.request.vpn else None,
    )
