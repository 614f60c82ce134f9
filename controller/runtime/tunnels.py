"""Owns the use cases of TE tunnels: create, change, move, delete, reoptimise. Each makes a plan; nothing is sent here.

A plan of tunnels is committed at once like any other, or begun as a staged change (make-before-break): `staged` says
the states that lead there.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from controller.mapping.tunnel import STAMP, Tunnel
from controller.mapping.tunnel_book import TunnelChange
from controller.mapping.tunnel_paths import (
    NOTHING,
    Avoidance,
    along,
    check,
    colored,
    is_alive,
    placed,
    state_of,
    with_backup,
)
from controller.mapping.tunnel_stages import TunnelStages, replacement_reason, stages_in_place, stages_replacement
from controller.model.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    NotSupportedError,
    StalePlanError,
    UndecidedError,
)
from controller.model.identifiers import DeviceName, TransactionId
from controller.model.units import BitRate
from controller.runtime.planner import Planner
from controller.runtime.reservations import tunnel_changes
from controller.runtime.topology_discovery import TopologyView
from controller.runtime.world import World
from controller.topology.network import LinkId
from controller.topology.network import Path as LinkPath
from controller.topology.te_database import TeDatabase
from controller.transaction.plan import Plan
from controller.transaction.stages import Probe, StagedPlan

_FIRST_SESSION = 1000
"""STAMP sessions below are the operator's and those of links."""
_LEAST_DRAIN_SECONDS = 0.2
_MOST_NAME = 48
_REVERSE = "-back"
_PATH_WISHES = (
    "bandwidth",
    "delay_bound_seconds",
    "link_loss_limit",
    "exclude_any",
    "include_any",
    "include_all",
    "protection",
    "objective",
)


@dataclass(frozen=True, slots=True)
class TunnelWish:
    """What is asked of a tunnel. None is left as it is, or at its default for a new one."""

    bandwidth: BitRate | None = None
    delay_bound_seconds: float | None = None
    is_unbounded: bool = False
    """The delay bound that there was is taken away."""
    exclude_any: int | None = None
    include_any: int | None = None
    include_all: int | None = None
    protection: str | None = None
    objective: str | None = None
    services: tuple[str, ...] | None = None
    link_loss_limit: float | None = None
    """1 sets no limit."""

    def on(self, tunnel: Tunnel) -> Tunnel:
        """The tunnel with what is asked."""
        names = [part.name for part in fields(self) if part.name != "is_unbounded"]
        asked: dict[str, Any] = {name: value for name in names if (value := getattr(self, name)) is not None}
        if self.is_unbounded:
            asked["delay_bound_seconds"] = None
        return replace(tunnel, **asked)


@dataclass(slots=True)
class Tunnels:
    """Plans tunnels over the network of `topology`."""

    world: World
    planner: Planner
    topology: TopologyView

    # -- what there is -----------------------------------------------------------------------------------------

    def states(self) -> dict[str, str]:
        """By tunnel: `up`, `switched` or `down`."""
        if not len(self.world.tunnels):
            return {}
        database = self.topology.database
        return {tunnel.name: state_of(database, tunnel) for tunnel in self.world.tunnels}

    # -- plans -------------------------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        source: DeviceName,
        target: DeviceName,
        wish: TunnelWish,
        *,
        both_ways: bool = False,
        along_links: Sequence[LinkId] = (),
    ) -> Plan:
        """The plan of a new tunnel, and of the one that leads back (`NAME-back`) where both ways are wanted.

        It takes the best path for what is asked, or exactly these links, and back in the other direction of each.
        """
        ends = [(name, source, target), *([(f"{name}{_REVERSE}", target, source)] if both_ways else [])]
        made: list[Tunnel] = []
        database = self.topology.database
        for named, begin, end in ends:
            self.refuse_name(named)
            tunnel = self._colored(wish.on(Tunnel(named, begin, end, 0, self._endpoint(begin, end))), made)
            links = along_links if begin == source else self._back(along_links)
            made.append(self._along(tunnel, links) if links else placed(database, tunnel))
            database = reserving(database, made[-1])
        return self.planner.tunnels(TunnelChange(tuple(made)), f"create tunnel {name} from {source} to {target}")

    def change(self, name: str, wish: TunnelWish) -> Plan:
        """The plan of a tunnel that is to be otherwise. It keeps its paths where they do for what is asked."""
        before = self.world.tunnels.get(name)
        after = self._colored(wish.on(before), ())
        check(after)
        if _needs_path(before, after) and not self._still_fits(before, after):
            after = placed(self.topology.database, after)
        if after == before:
            raise InvalidInputError(f"tunnel '{name}' is so already", path=name)
        reason = replacement_reason(before, after)
        how = f"by replacement, as {reason}" if reason else "in place"
        return self.planner.tunnels(TunnelChange((after,)), f"change tunnel {name} {how}")

    def move(self, name: str, avoid: Avoidance = NOTHING, along_links: Sequence[LinkId] = ()) -> Plan:
        """The plan of a tunnel on another path: the best one that avoids what is named, or exactly these links."""
        before = self.world.tunnels.get(name)
        database = self.topology.database
        if along_links:
            after = along(before, self._exactly(before, along_links))
            after = after if before.protection == "none" else with_backup(database, after, after.paths[0])
        else:
            after = placed(database, before, avoid)
        if after.paths == before.paths:
            raise InvalidInputError(
                f"tunnel '{name}' is there already: {route(after)}",
                remedy="say which links or nodes to avoid",
                path=name,
            )
        return self.planner.tunnels(TunnelChange((after,)), f"move tunnel {name} to {route(after)}")

    def change_pair(self, name: str, links: Sequence[LinkId], wish: TunnelWish) -> Plan:
        """The plan of a tunnel and the one that leads back that are to be otherwise, along exactly these links."""
        made: list[Tunnel] = []
        for named, path in ((name, links), (f"{name}{_REVERSE}", self._back(links))):
            after = wish.on(self.world.tunnels.get(named))
            check(after)
            after = along(after, self._exactly(after, path))
            is_alone = after.protection == "none"
            made.append(after if is_alone else with_backup(self.topology.database, after, after.paths[0]))
        return self.planner.tunnels(TunnelChange(tuple(made)), f"change tunnel {name} with its way back")

    def delete(self, names: Iterable[str]) -> Plan:
        """The plan of the end of tunnels: what they carried follows the shortest path."""
        gone = tuple(self.world.tunnels.get(name).name for name in dict.fromkeys(names))
        return self.planner.tunnels(TunnelChange(deleted=gone), f"delete tunnel {', '.join(gone)}")

    def measure(self, *, is_on: bool) -> Plan:
        """The plan that has the delay of every link measured, or none any more."""
        plan = self.planner.link_probes(self.topology.network, is_on=is_on)
        if not plan.devices:
            raise InvalidInputError(f"links are {'all measured' if is_on else 'not measured'} already", path="measure")
        return plan

    def refuse_overbooked(self, plan: Plan) -> None:
        """Refuse a plan whose tunnels would reserve what others have taken meanwhile, or are about to take.

        `StalePlanError` when they have it, `UndecidedError` when their transaction has no verdict yet.
        """
        running = tuple(self.world.reservations.tunnels())
        for change in tunnel_changes(plan):
            taken = self.topology.database
            if link := _overbooked(taken, change):
                raise StalePlanError(
                    f"link '{link}' has no room any more for what plan '{plan.id}' reserves",
                    remedy="plan again",
                    path=link,
                )
            if running and (link := _overbooked(self._with_running(taken, running), change)):
                takers = [each for each, tunnel in running if link in self._taken(tunnel)]
                raise UndecidedError(
                    f"{', '.join(dict.fromkeys(takers))} is about to reserve what plan '{plan.id}' needs of "
                    f"link '{link}'",
                    remedy="wait for its verdict, then plan again",
                    path=takers[0],
                    tag="in-use",
                )

    def _with_running(self, database: TeDatabase, running: Iterable[tuple[TransactionId, Tunnel]]) -> TeDatabase:
        """With what running transactions are about to reserve, beside what they would leave where it still carries."""
        known = database.network.links
        for _, tunnel in running:
            links, rate = tunnel.links, tunnel.bandwidth
            if tunnel.name in self.world.tunnels:
                before = self.world.tunnels.get(tunnel.name)
                links |= {hop for path in before.paths if is_alive(database, path) for hop in path.hops}
                rate = max(rate, before.bandwidth)
            path = LinkPath(tuple(known[hop] for hop in sorted(links) if hop in known))
            database = database.with_reservation(tunnel.name, path, rate)
        return database

    def _taken(self, tunnel: Tunnel) -> set[LinkId]:
        """The links that a tunnel is about to take, and those that it has until then."""
        before = self.world.tunnels.get(tunnel.name).links if tunnel.name in self.world.tunnels else set()
        return {*tunnel.links, *before}

    def plan(self, change: TunnelChange, summary: str) -> Plan:
        """The plan of tunnels as they are here."""
        return self.planner.tunnels(change, summary)

    # -- make-before-break -------------------------------------------------------------------------------------

    def staged(self, plan: Plan) -> StagedPlan:
        """A plan of tunnels as a change in stages, with a measurement along each new path before it carries."""
        change = _change_of(plan)
        self.world.tunnels.refuse_stale(plan.effects)
        back = self.world.tunnels.inverse(change)
        stages = [self._stages(tunnel) for tunnel in change.upserted if tunnel.name in self.world.tunnels]
        fresh = tuple(tunnel for tunnel in change.upserted if tunnel.name not in self.world.tunnels)
        states = [
            TunnelChange((*fresh, *(stage.states[number] for stage in stages)), change.deleted) for number in range(4)
        ]
        states[0] = back
        before, built, moved, after = (state.to_json() for state in states)
        return StagedPlan(
            summary=plan.summary,
            before=before,
            built=built,
            moved=moved,
            after=after,
            probes=tuple(probe for stage in stages for probe in self._probes(stage)),
            drain_seconds=max([_LEAST_DRAIN_SECONDS, *(self._drain_seconds(stage) for stage in stages)]),
        )

    def _stages(self, after: Tunnel) -> TunnelStages:
        before = self.world.tunnels.get(after.name)
        sessions = self._free_sessions(after.source)
        make = stages_replacement if replacement_reason(before, after) else stages_in_place
        return make(before, after, sessions)

    def _probes(self, stage: TunnelStages) -> Iterable[Probe]:
        """Each new path within the bound of the tunnel."""
        tunnel = stage.after
        return [
            Probe(tunnel.source, probe.session, delay_bound_seconds=tunnel.delay_bound_seconds)
            for probe in stage.built.probes
        ]

    def _drain_seconds(self, stage: TunnelStages) -> float:
        """Longer than a packet takes on the slowest of the old paths."""
        database = self.topology.database
        known = database.network.links
        delays = [sum(database.delay_seconds(hop) for hop in path.hops if hop in known) for path in stage.before.paths]
        return 2 * max(delays, default=0.0)

    def _free_sessions(self, device: DeviceName) -> list[int]:
        """Numbers of STAMP sessions that nobody has on the device."""
        config = self.world.network.device(device).config
        used = {int(path[2].keys[0][1]) for path in config.below(STAMP) if len(path) > 2 and path[2].keys}
        return [number for number in range(_FIRST_SESSION, _FIRST_SESSION + len(used) + 8) if number not in used]

    # -- checks ------------------------------------------------------------------------------------------------

    def refuse_names(self, name: str) -> None:
        """Refuse a name for a new tunnel both ways: none, one that cannot be, or one that is taken."""
        for each in (name, f"{name}{_REVERSE}"):
            self.refuse_name(each)

    def refuse_name(self, name: str) -> None:
        """Refuse a name for a new tunnel."""
        if name in self.world.tunnels:
            raise ConflictError(f"there is a tunnel '{name}' already", remedy="choose another name", path=name)
        if not name or len(name) > _MOST_NAME or not name.isprintable() or "/" in name:
            raise InvalidInputError(
                f"'{name}' is no name for a tunnel", remedy=f"up to {_MOST_NAME} characters and no slash", path="name"
            )

    def _endpoint(self, source: DeviceName, target: DeviceName) -> str:
        """The address of the tail end; both ends are refused unless SR policies can be told and reached there."""
        network = self.topology.network
        network.node_position(source)
        network.node_position(target)
        if source == target:
            raise InvalidInputError(f"a tunnel from '{source}' cannot end there as well", path=target)
        if not any(link.segment for link in network.out_of(source)):
            raise NotSupportedError(
                f"'{source}' has no segments for its links: it cannot be the head end of an SR policy",
                remedy="give it an SRv6 locator and functions for its core interfaces, then refresh the topology",
                device=source,
            )
        if not network.nodes[target].endpoint:
            raise NotSupportedError(
                f"'{target}' has no IPv6 loopback, where a policy could end", remedy="give it one", device=target
            )
        return network.nodes[target].endpoint

    def _colored(self, tunnel: Tunnel, beside: Sequence[Tunnel]) -> Tunnel:
        for vpn_id in tunnel.services:
            if vpn_id not in self.world.services.services:
                raise NotFoundError(
                    f"there is no VPN '{vpn_id}' to serve", remedy="list them: accord service list", path=vpn_id
                )
        return colored(tunnel, (*self.world.tunnels, *beside))

    def _back(self, links: Sequence[LinkId]) -> list[LinkId]:
        """The same way in the other direction."""
        return [self.topology.network.link(link).reverse_id for link in reversed(links)]

    def _along(self, tunnel: Tunnel, links: Sequence[LinkId]) -> Tunnel:
        """The tunnel along exactly these links; `ConflictError` when they are not as it asks."""
        check(tunnel)
        if not _fits(self.topology.database, tunnel, links):
            raise ConflictError(
                f"the links from {tunnel.source} to {tunnel.target} do not keep what tunnel '{tunnel.name}' asks",
                remedy="look at their state, room and delay: accord topology show",
                path=tunnel.name,
            )
        return along(tunnel, self._exactly(tunnel, links))

    def _exactly(self, tunnel: Tunnel, links: Sequence[LinkId]) -> LinkPath:
        path = self.topology.network.path(links)
        if path.nodes[:1] != (tunnel.source,) or path.nodes[-1:] != (tunnel.target,):
            raise InvalidInputError(
                f"these links lead from {path.nodes[0]} to {path.nodes[-1]}, tunnel '{tunnel.name}' from "
                f"{tunnel.source} to {tunnel.target}",
                path=tunnel.name,
            )
        return path

    def _still_fits(self, before: Tunnel, after: Tunnel) -> bool:
        """Whether the paths that there are do for what is asked now; else better ones are looked for."""
        database = self.topology.database
        if before.protection != after.protection or before.objective != after.objective:
            return False
        free = database.without_reservation(before.name) if before.name in database.reservations else database
        return all(_fits(free, after, path.hops) for path in before.paths)


def _overbooked(before: TeDatabase, change: TunnelChange) -> LinkId | None:
    """A link that would have more reserved than it carries, and than it has now."""
    known = before.network.links
    after = before.without_reservations(name for name in change.names if name in before.reservations)
    for tunnel in change.upserted:
        after = reserving(after, tunnel)
    touched = sorted({link for tunnel in change.upserted for link in tunnel.links if link in known})
    return next((link for link in touched if after.residual(link) < min(BitRate(0), before.residual(link))), None)


def _fits(database: TeDatabase, tunnel: Tunnel, hops: Collection[LinkId]) -> bool:
    links = database.network.links
    if not all(hop in links and database.is_up(hop) for hop in hops):
        return False
    groups = [links[hop].admin_group for hop in hops]
    bound = tunnel.delay_bound_seconds
    return (
        all(database.residual(hop) >= tunnel.bandwidth for hop in hops)
        and not any(group & tunnel.exclude_any for group in groups)
        and all(not tunnel.include_any or group & tunnel.include_any for group in groups)
        and all(group & tunnel.include_all == tunnel.include_all for group in groups)
        and all(tunnel.link_loss_limit is None or database.loss_ratio(hop) <= tunnel.link_loss_limit for hop in hops)
        and (bound is None or sum(database.delay_seconds(hop) for hop in hops) <= bound)
    )


def _needs_path(before: Tunnel, after: Tunnel) -> bool:
    return any(getattr(before, name) != getattr(after, name) for name in _PATH_WISHES)


def reserving(database: TeDatabase, tunnel: Tunnel) -> TeDatabase:
    """The database with what a tunnel takes, in place of what it took before."""
    known = database.network.links
    links = tuple(known[hop] for hop in sorted(tunnel.links) if hop in known)
    return database.with_reservation(tunnel.name, LinkPath(links), tunnel.bandwidth)


def _change_of(plan: Plan) -> TunnelChange:
    found = tunnel_changes(plan)
    if len(found) != 1 or len(plan.effects) != 1:
        raise InvalidInputError(
            f"plan '{plan.id}' is not one of tunnels alone", remedy=f"commit it: accord commit {plan.id}", path=plan.id
        )
    return found[0]


def route(tunnel: Tunnel) -> str:
    """The preferred path by its routers."""
    hops = tunnel.ranked[0].hops if tunnel.paths else ()
    nodes = [hop.partition(":")[0] for hop in hops[:1]] + [hop.partition(">")[2].partition(":")[0] for hop in hops]
    return " > ".join(nodes)
