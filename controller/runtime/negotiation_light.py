"""Owns carrying out agreements over both tiers: light for the deterministic one, tunnels for either.

A service over the optical tier is an optical segment of its own, set up by the domain's controller, and the pair of
tunnels over the link that it brings up. The light comes before the tunnels move onto it and goes after they have left,
so an agreement changes its tier with both in place, make before break.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from controller.mapping.optical import segment_owner
from controller.mapping.optical_domain import OpticalDomain, as_te_database
from controller.model.errors import AccordError, ConflictError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.negotiation.agreement import Terms
from controller.negotiation.catalogue import Tier
from controller.runtime.controller import Controller
from controller.runtime.negotiation_networks import optical_domains_of
from controller.runtime.negotiation_tunnels import ACTOR, TunnelProvisioner, carry_out
from controller.topology.network import Link, LinkId

_MARGIN_SECONDS = 30.0
"""On top of what the domain says that setting up takes."""
_CARRIER_SECONDS = 10.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class LightProvisioner:
    """The agreements' services over IP links or over light of `domains`; one optical tunnel, `SERVICE`, for each."""

    controller: Controller
    tunnels: TunnelProvisioner
    domains: Sequence[DeviceName]
    turns: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Who orders light takes a port that is free: the next one is to see it taken."""

    async def provision(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        """A new service; where it cannot be had its light is taken down again."""
        if terms.level.tier != Tier.OPTICAL:
            return await self.tunnels.provision(service, terms, links)
        domain = await self._domain_of(service, links)
        lit = await self._lit(domain, service, terms, links)
        try:
            done = await self.tunnels.provision(service, terms, (lit.id,))
        except AccordError:
            await self._darken(service, (domain,))
            raise
        return f"{await self._told(domain, service)}; {done}"

    async def change(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        """A live service as these terms have it; the other tier is there until nothing is under way on it any more."""
        before = self._lit_in(service)
        if terms.level.tier != Tier.OPTICAL:
            done = await self.tunnels.change(service, terms, links)
            await self._darken(service, before)
            return done
        domain = await self._domain_of(service, links)
        lit = await self._lit(domain, service, terms, links)
        try:
            done = await self.tunnels.change(service, terms, (lit.id,))
        except AccordError:
            if domain not in before:
                await self._darken(service, (domain,))
            raise
        await self._darken(service, [other for other in before if other != domain])
        return f"{await self._told(domain, service)}; {done}"

    async def remove(self, service: str) -> str:
        """The end of a service and of its light."""
        done = await self.tunnels.remove(service)
        await self._darken(service, self._lit_in(service))
        return done

    async def _domain_of(self, service: str, fibres: Sequence[LinkId]) -> DeviceName:
        """The domain that has these fibres."""
        for name in self.domains:
            with suppress(AccordError):
                told = await self.controller.optical.read(name)
                if fibres[0] in as_te_database(told).network.links:
                    return name
        raise ConflictError(f"no optical domain that answers has the fibre '{fibres[0]}'", path=service)

    async def _lit(self, name: DeviceName, service: str, terms: Terms, fibres: Sequence[LinkId]) -> Link:
        """The link between routers that the service's light brings up, when they see its carrier."""
        async with self.turns:
            setup_seconds, link = await self._order(name, service, terms, fibres)
        found = await self.controller.optical.settled(name, service, setup_seconds + _MARGIN_SECONDS)
        if not found.is_up:
            await self._darken(service, (name,))
            raise ConflictError(
                f"the light of '{service}' is {found.status}: {found.reason or 'no reason told'}", path=service
            )
        await self._see_up(link)
        return link

    async def _order(
        self, name: DeviceName, service: str, terms: Terms, fibres: Sequence[LinkId]
    ) -> tuple[float, Link]:
        """How long the domain says that it takes, and the link that comes of it."""
        controller, late = self.controller, terms.level.latency_microseconds
        domain = await controller.optical.read(name)
        link = self._link(domain, service, fibres)
        await carry_out(
            controller,
            lambda: controller.plan_optical(
                name,
                service,
                link.id,
                ACTOR,
                bandwidth=BitRate(terms.level.bit_rate),
                delay_bound_seconds=None if late is None else late / 1_000_000,
            ),
        )
        return domain.setup_seconds, link

    def _link(self, domain: OpticalDomain, service: str, fibres: Sequence[LinkId]) -> Link:
        """The link that its light joins, or one between these ends whose client ports are free."""
        standing = domain.tunnel(service)
        own = {standing.source, standing.target} if standing else set()
        ends = as_te_database(domain).network.path(fibres).nodes
        for link in self.controller.topology.network.links.values():
            ports = [domain.attached_to(end) for end in (link.source, link.target)]
            found = [port for port in ports if port is not None]
            is_free = not own and not any(str(port) in domain.taken_ports for port in found)
            if [port.node for port in found] == [ends[0], ends[-1]] and (is_free or {*map(str, found)} == own):
                return link
        raise ConflictError(f"no client ports of '{domain.device}' are free from {ends[0]} to {ends[-1]}", path=service)

    async def _see_up(self, link: Link) -> None:
        """Ask the routers until they see a carrier; that they never do is found by the probe along it."""
        clock, ends = self.controller.clock, (link.source.node, link.target.node)
        deadline = clock.monotonic() + _CARRIER_SECONDS
        while True:
            await self.controller.topology.refresh(ends)
            if self.controller.topology.database.is_up(link.id) or clock.monotonic() >= deadline:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def _lit_in(self, service: str) -> Sequence[DeviceName]:
        """Where light was ordered for a service; a domain that does not answer keeps no other from its change."""
        known = self.controller.world.network
        owner = segment_owner(service)
        return [name for name in self.domains if name in known and known.device(name).contributions.of(owner)]

    async def _darken(self, service: str, domains: Sequence[DeviceName]) -> None:
        ours = self._lit_in(service)
        for name in domains:
            if name in ours:
                await self._darken_in(name, service)

    async def _darken_in(self, name: DeviceName, service: str) -> None:
        async with self.turns:
            if (await self.controller.optical.read(name)).tunnel(service) is None:
                return
            await carry_out(self.controller, lambda: self.controller.plan_optical_removal(name, service, ACTOR))
        await self.controller.topology.refresh()

    async def _told(self, domain: DeviceName, service: str) -> str:
        found = (await self.controller.optical.read(domain)).tunnel(service)
        return f"light over {', '.join(found.route)}" if found else "no light"


@dataclass(frozen=True, slots=True)
class TieredProvisioner:
    """Both tiers where the inventory has an optical domain, as it stands when an order comes; tunnels alone else."""

    controller: Controller
    tunnels: TunnelProvisioner
    turns: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def provision(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        """A new service."""
        return await self._now(terms).provision(service, terms, links)

    async def change(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        """A live service as these terms have it."""
        return await self._now(terms).change(service, terms, links)

    async def remove(self, service: str) -> str:
        """The end of a service."""
        return await self._now().remove(service)

    def _now(self, terms: Terms | None = None) -> LightProvisioner | TunnelProvisioner:
        domains = optical_domains_of(self.controller)
        if domains:
            return LightProvisioner(self.controller, self.tunnels, domains, self.turns)
        if terms is not None and terms.level.tier == Tier.OPTICAL:
            raise ConflictError(f"'{terms.id}' is over light and there is no optical domain any more", path=terms.id)
        return self.tunnels
