"""Owns what happens when links fail or come back: tunnels get live paths, through plan, proof and transaction.

What carries nothing any more goes first, each head end in a transaction of its own and all at the same time; protection
that was used up is put back after that. A dead path is no reason for stages: nothing can be lost on it any more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace

import structlog

from controller.events import types
from controller.mapping.tunnel import Tunnel
from controller.mapping.tunnel_book import TunnelChange
from controller.mapping.tunnel_paths import along, is_alive, request_of, restored
from controller.model.errors import AccordError
from controller.model.identifiers import DeviceName
from controller.ports import EventLog, NewEvent
from controller.runtime.topology_discovery import TopologyView
from controller.runtime.tunnels import Tunnels, reserving, route
from controller.runtime.world import World
from controller.topology.demand import TunnelDemand
from controller.topology.network import LinkId
from controller.topology.paths import NoPathError
from controller.topology.replan import replan
from controller.transaction.history import TransactionSummary
from controller.transaction.plan import Plan
from controller.transaction.states import Phase

_log = structlog.get_logger(__name__)
_ATTEMPTS = 5
_RETRY_SECONDS = 0.2
_NOTHING_CUT: frozenset[LinkId] = frozenset()
OUTCOMES = ("repaired", "protected", "failed", "unroutable")


@dataclass(frozen=True, slots=True)
class _Found:
    """New tunnels in place of broken ones, and those for which there is no way."""

    tunnels: tuple[Tunnel, ...]
    unroutable: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of new paths."""

    outcome: str
    tunnels: tuple[Tunnel, ...] = ()
    unroutable: tuple[tuple[str, str], ...] = ()
    transaction: str = ""
    reason: str = ""


@dataclass(slots=True)
class TunnelRepair:
    """Repairs tunnels. `commit` carries a plan out, proved before; `is_wanted` says whether the operator wants it."""

    world: World
    log: EventLog
    topology: TopologyView
    tunnels: Tunnels
    commit: Callable[[Plan], Awaitable[TransactionSummary]]
    is_wanted: Callable[[], bool] = lambda: True
    observe: Callable[[str, float], None] = lambda *_: None
    """Called with an outcome and the seconds from the first event."""
    _busy: set[str] = field(default_factory=set)
    """Tunnels that are being repaired: later events leave them to the repair under way, which looks again."""

    async def repair(self, links: frozenset[LinkId], since: float) -> None:
        """React to links whose state changed; `since` is the loop's time of the first event."""
        if not self.is_wanted() or not len(self.world.tunnels):
            return
        await self._repair(links, since, "repaired", self._dead)
        await self._repair(links, since, "protected", self._unprotected)

    async def _repair(
        self, links: frozenset[LinkId], since: float, outcome: str, which: Callable[[], Iterable[Tunnel]]
    ) -> None:
        """Until there is nothing left to do, or it has been tried often enough."""
        told: set[str] = set()
        for attempt in range(_ATTEMPTS):
            found = self._new_paths(tunnel for tunnel in which() if tunnel.name not in self._busy)
            hopeless = tuple(each for each in found.unroutable if each[0] not in told)
            told.update(name for name, _ in hopeless)
            if hopeless:
                await self._tell(_Done("unroutable", unroutable=hopeless), links, since)
            if not found.tunnels:
                return
            names = {tunnel.name for tunnel in found.tunnels}
            self._busy |= names
            try:
                groups = _by_source(found.tunnels)
                done = await asyncio.gather(*(self._carry_out(group, links, since, outcome) for group in groups))
            finally:
                self._busy -= names
            if not all(done):
                await asyncio.sleep(_RETRY_SECONDS * (attempt + 1))

    async def _carry_out(
        self, tunnels: tuple[Tunnel, ...], links: frozenset[LinkId], since: float, outcome: str
    ) -> bool:
        """One head end in a transaction of its own: what hinders it must not keep the others from carrying."""
        try:
            done = await self.commit(self.tunnels.plan(TunnelChange(tunnels), _summary(links, outcome)))
        except AccordError as error:
            await self._tell(_Done("failed", tunnels, reason=str(error)), links, since)
            return False
        is_done = done.phase is Phase.COMMITTED
        await self._tell(_Done(outcome if is_done else "failed", tunnels, (), done.id, done.reason), links, since)
        return is_done

    def _dead(self) -> list[Tunnel]:
        """Those of which no path lives."""
        database = self.topology.database
        return [t for t in self.world.tunnels if t.paths and not any(is_alive(database, path) for path in t.paths)]

    def _unprotected(self) -> list[Tunnel]:
        """Those that are to be protected, and have only one path that lives."""
        database = self.topology.database
        wanting = (tunnel for tunnel in self.world.tunnels if tunnel.protection != "none" and not tunnel.beside)
        return [t for t in wanting if sum(is_alive(database, path) for path in t.paths) == 1]

    def _new_paths(self, broken: Iterable[Tunnel]) -> _Found:
        """All that are broken are placed together: each sees what those before it took."""
        database = self.topology.database
        tunnels = [replace(tunnel, probes=(), beside=()) for tunnel in broken]
        plain = {tunnel.name: tunnel for tunnel in tunnels if tunnel.protection == "none"}
        demands = [TunnelDemand(name, request_of(tunnel, database)) for name, tunnel in plain.items()]
        again = replan(
            database.without_reservations(plain.keys() & database.reservations.keys()), demands, _NOTHING_CUT
        )
        found = [along(plain[name], path) for name, path in again.moved.items()]
        unroutable = dict(again.unroutable)
        database = again.database
        for tunnel in (tunnel for tunnel in tunnels if tunnel.protection != "none"):
            try:
                better = restored(database, tunnel)
            except NoPathError as error:
                unroutable[tunnel.name] = str(error)
                continue
            if better.paths == tunnel.paths:
                unroutable[tunnel.name] = "there is no second path that shares nothing with the one that carries"
                continue
            found.append(better)
            database = reserving(database, better)
        return _Found(tuple(found), tuple(unroutable.items()))

    async def _tell(self, done: "_Done", links: frozenset[LinkId], since: float) -> None:
        """One event for all that was done at a head end."""
        seconds = asyncio.get_running_loop().time() - since
        self.observe(done.outcome, seconds)
        data = {
            "links": sorted(links),
            "outcome": done.outcome,
            "moved": {tunnel.name: route(tunnel) for tunnel in done.tunnels},
            "unroutable": dict(done.unroutable),
            "transaction": done.transaction,
            "reason": done.reason,
            "milliseconds": round(seconds * 1000),
        }
        _log.info("tunnels_repaired", **data)
        await self.log.append(
            [NewEvent("tunnels", types.TUNNELS_REPAIRED, data)], actor="accord", cause=done.transaction
        )


def _by_source(tunnels: Iterable[Tunnel]) -> list[tuple[Tunnel, ...]]:
    found: dict[DeviceName, list[Tunnel]] = {}
    for tunnel in tunnels:
        found.setdefault(tunnel.source, []).append(tunnel)
    return [tuple(group) for group in found.values()]


def _summary(links: frozenset[LinkId], outcome: str) -> str:
    wires = sorted({min(link, _reversed(link)) for link in links})
    shown = ", ".join(wires[:3]) + (f" and {len(wires) - 3} more" if len(wires) > 3 else "")
    return f"{'protect' if outcome == 'protected' else 'repair'} tunnels after {shown}"


def _reversed(link: LinkId) -> LinkId:
    source, _, target = link.partition(">")
    return LinkId(f"{target}>{source}")
