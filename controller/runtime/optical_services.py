"""Owns carving a service over access, IP and optical segments, and provisioning what it was carved into.

The optical segments come first, each in a transaction of its own, then the tunnels that take the service over them.
What was lit for a service that then cannot be carried is taken down again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from controller.mapping.fragment import access_owner
from controller.mapping.optical_carving import Requirement
from controller.mapping.service_carving import Attachment, Segment, ServiceCarving, carve_service, site_point
from controller.model.errors import AccordError, ConflictError, InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.runtime.optical_domains import OpticalDomains
from controller.runtime.topology_discovery import TopologyView
from controller.runtime.tunnels import Tunnels, TunnelWish
from controller.runtime.world import World
from controller.topology.network import LinkId
from controller.transaction.history import TransactionSummary
from controller.transaction.plan import Plan
from controller.transaction.states import Phase

_MARGIN_SECONDS = 30.0
"""On top of what a domain says that setting up takes."""
_CARRIER_SECONDS = 10.0
"""Within which a router sees the carrier of a link that is up."""
_LOOK_SECONDS = 0.2
_TWO = 2


@dataclass(frozen=True, slots=True)
class CarvingWish:
    """A service between two of its sites; what is left out follows from the service."""

    service: str = ""
    source: str = ""
    target: str = ""
    bandwidth: BitRate | None = None
    delay_bound_seconds: float | None = None
    is_deterministic: bool = False


class _Plans(Protocol):
    """The use cases that carve nothing themselves."""

    async def plan_optical(
        self,
        domain: DeviceName,
        name: str,
        link: LinkId,
        actor: str,
        *,
        bandwidth: BitRate,
        delay_bound_seconds: float | None = None,
    ) -> Plan: ...

    async def plan_optical_removal(self, domain: DeviceName, name: str, actor: str) -> Plan: ...

    async def plan_tunnels(self, make: Callable[[Tunnels], Plan], actor: str) -> Plan: ...


@dataclass(slots=True)
class OpticalServices:
    """Services over both networks."""

    world: World
    topology: TopologyView
    optical: OpticalDomains
    tunnels: Tunnels
    plans: _Plans
    commit: Callable[[Plan, str], Awaitable[TransactionSummary]]
    """Commit a plan to its end; what it returns is the verdict."""

    async def carve(self, wish: CarvingWish) -> ServiceCarving:
        """The segments of a service; `CarvingError` names those that stand in its way."""
        service, sites = self._named(wish)
        found = [list(self._attachments(service, site)) for site in sites]
        bandwidth = wish.bandwidth or min(
            max(at.inward for at in found[0]),
            max(at.outward for at in found[1]),
        )
        source, target = map(site_point, sites)
        requirement = Requirement(source, target, bandwidth, wish.delay_bound_seconds, wish.is_deterministic)
        domains = await self.optical.all()
        return carve_service(requirement, [*found[0], *found[1]], self.topology.database, domains)

    async def provision(
        self, wish: CarvingWish, name: str, actor: str
    ) -> tuple[ServiceCarving, list[TransactionSummary]]:
        """Light the optical segments, then take the service over the whole way; the transactions that did it."""
        self.tunnels.refuse_names(name)
        service, _ = self._named(wish)
        carved = await self.carve(wish)
        if carved.ends[0] == carved.ends[1]:
            raise InvalidInputError(
                f"both sites are attached to '{carved.ends[0]}': there is nothing to provision", path=service
            )
        done: list[TransactionSummary] = []
        lit: list[tuple[DeviceName, str]] = []
        try:
            for number, segment in enumerate(carved.segments):
                if segment.is_to_be_lit:
                    done.append(await self._light(segment, name if not lit else f"{name}-{number}", actor, lit))
            await self._see_up(carved)
            plan = await self.plans.plan_tunnels(lambda tunnels: _along(tunnels, carved, name, service), actor)
            done.append(await self._committed(plan, actor))
        except AccordError as error:
            if left := await self._darkened(reversed(lit), actor):
                again = f"still lit: {', '.join(left)}; take it down: accord optical delete DOMAIN NAME"
                error.remedy = "; ".join(filter(None, (error.remedy, again)))
            raise
        return carved, done

    async def _darkened(self, lit: Iterable[tuple[DeviceName, str]], actor: str) -> list[str]:
        """Take down what was lit; what could not be, and why."""
        left = []
        for domain, tunnel in lit:
            try:
                await self._committed(await self.plans.plan_optical_removal(domain, tunnel, actor), actor)
            except AccordError as error:
                left.append(f"'{tunnel}' of '{domain}' ({error.message})")
        return left

    async def _light(
        self, segment: Segment, name: str, actor: str, lit: list[tuple[DeviceName, str]]
    ) -> TransactionSummary:
        """Have the domain bring a link up, and wait until it is."""
        domain = segment.resource.domain or DeviceName("")
        (link,) = segment.resource.links
        plan = await self.plans.plan_optical(
            domain,
            name,
            link.id,
            actor,
            bandwidth=segment.portion.bandwidth,
            delay_bound_seconds=segment.portion.delay_budget_seconds,
        )
        done = await self._committed(plan, actor)
        lit.append((domain, name))
        patience = (await self.optical.read(domain)).setup_seconds + _MARGIN_SECONDS
        tunnel = await self.optical.settled(domain, name, patience)
        if not tunnel.is_up:
            raise ConflictError(
                f"optical tunnel '{name}' of '{domain}' is {tunnel.status}: {tunnel.reason or 'no reason told'}",
                remedy="look at the domain: accord optical list",
                path=name,
            )
        return done

    async def _see_up(self, carved: ServiceCarving) -> None:
        """Ask the routers until they see a carrier on what was lit; that they never do is found when it is used."""
        ends = {end.node: None for link in carved.lit for end in (link.source, link.target)}
        deadline = self.optical.clock.monotonic() + _CARRIER_SECONDS
        while ends:
            await self.topology.refresh(ends)
            is_up = all(self.topology.database.is_up(link.id) for link in carved.lit)
            if is_up or self.optical.clock.monotonic() >= deadline:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _committed(self, plan: Plan, actor: str) -> TransactionSummary:
        done = await self.commit(plan, actor)
        if done.phase is not Phase.COMMITTED:
            raise ConflictError(
                f"{plan.summary}: {done.reason}", remedy=f"see: accord transaction show {done.id}", path=done.id
            )
        return done

    # -- the service -------------------------------------------------------------------------------------------

    def _named(self, wish: CarvingWish) -> tuple[str, tuple[str, str]]:
        """The VPN and its two sites."""
        services = self.world.services
        for site in filter(None, (wish.source, wish.target)):
            if site not in services.sites:
                raise NotFoundError(f"there is no site '{site}'", remedy="see: accord service show VPN", path=site)
        if wish.service and wish.service not in services.services:
            raise NotFoundError(
                f"there is no VPN '{wish.service}'", remedy="list them: accord service list", path=wish.service
            )
        service = wish.service or self._common(wish.source, wish.target)
        sites = (wish.source, wish.target) if wish.source or wish.target else tuple(services.vpn_sites.get(service, ()))
        if len(set(sites)) != _TWO or "" in sites:
            raise InvalidInputError(
                f"VPN '{service}' is carved between two of its sites, and these are {', '.join(filter(None, sites))}",
                remedy="name one to begin at and another to end at",
                path=service,
            )
        return service, (sites[0], sites[1])

    def _common(self, source: str, target: str) -> str:
        """The one VPN that both sites are in."""
        vpns = self.world.services.site_vpns
        common = set(vpns.get(source, ())) & set(vpns.get(target, ()))
        if len(common) != 1:
            listed = ", ".join(sorted(common)) or "none"
            raise InvalidInputError(
                f"sites '{source}' and '{target}' have not one VPN in common but {listed}",
                remedy="name the service",
                path="service",
            )
        return common.pop()

    def _attachments(self, service: str, site: str) -> Iterator[Attachment]:
        state = self.world.services
        keys = [key for key in state.occupancy.sites.get(site, ()) if service in state.placements[key].vpns]
        if not keys:
            raise NotFoundError(f"site '{site}' is not attached to VPN '{service}'", path=site)
        for key in keys:
            access = state.fragments[access_owner(service, *key)].access
            at = state.placements[key]
            if access is not None:
                rates = (BitRate(access.input_bandwidth), BitRate(access.output_bandwidth))
                yield Attachment(site, key[1], at.device, at.port, at.vlan, *rates)


def _along(tunnels: Tunnels, carved: ServiceCarving, name: str, service: str) -> Plan:
    """Tunnels both ways along the segments; where delay is to stay constant, they keep to links of that kind."""
    asked = carved.requirement
    wish = TunnelWish(
        bandwidth=asked.bandwidth,
        delay_bound_seconds=asked.delay_bound_seconds,
        include_all=carved.affinity if asked.is_deterministic else None,
        objective="delay",
        services=(service,),
    )
    return tunnels.create(name, *carved.ends, wish, both_ways=True, along_links=carved.links)
