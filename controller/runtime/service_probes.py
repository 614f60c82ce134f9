"""Owns the STAMP sessions (RFC 8762) of services: between the provider edges of each VPN, within the probe budget.

A session is configuration of its own owner, committed like any other: it comes after the service and leaves with it.
Services, links and tunnels are counted against the budget from what stands on the devices, so that a restart knows.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from controller.events import types
from controller.mapping.fragment import node_owner, service_id
from controller.mapping.measurement import Measurement, is_measurement, measurements_of, packet_rate
from controller.mapping.service_measurement import End, ends_of, measurements_wanted
from controller.mapping.tunnel_probes import PROBES
from controller.model.errors import AccordError
from controller.model.identifiers import DeviceName, ServiceId
from controller.ports import Clock, Event
from controller.runtime.collection import Collection
from controller.runtime.topology_discovery import TopologyView
from controller.runtime.world import World
from controller.telemetry.budget import ProbeBudget
from controller.telemetry.sample import SeriesKey
from controller.transaction.network_state import DeviceKnowledge

_log = structlog.get_logger(__name__)
SESSION_KINDS = (
    *("last-forward-delay", "forward-delay", "last-round-trip-delay", "round-trip-delay"),
    *("delay-variation", "sent-packets", "lost-packets"),
)
"""The series of one session."""
SHARE = 0.5
"""Of the budget, what services may have: the rest is for campaigns, and for looking closer."""
INTERVALS_SECONDS = (1, 2, 4, 8, 16, 32, 64)
_FASTER_SHARE = 0.7
"""Of what services may have, below which they measure more often again."""
_LINKS = "links"
_TUNNEL = "tunnel/"
_AT_ONCE = 200
"""Services looked at before others have their turn."""
_RETRY_SECONDS = 60.0
_ALL_SECONDS = 300.0
"""How often every service is looked at, whatever was heard."""
CommitMeasurements = Callable[[Iterable[Measurement], Iterable[Measurement], str, str], Awaitable[None]]
Json = Any


@dataclass(slots=True)
class _Device:
    """What a device was found to hold at a version of what is known of it."""

    version: int
    sessions: tuple[Measurement, ...]
    rates: Mapping[str, float]
    """Test packets per second of what is not telemetry's."""


@dataclass(slots=True)
class ServiceProbes:
    """Sees to it that every service is measured as long as `is_wanted`. `reconcile` is called by a scheduler."""

    world: World
    clock: Clock
    collection: Collection
    topology: TopologyView
    budget: ProbeBudget
    commit: CommitMeasurements
    is_wanted: bool = False
    unmeasured: dict[ServiceId, str] = field(default_factory=dict)
    """Services without sessions that could have some, and why."""
    interval_seconds: int = INTERVALS_SECONDS[0]
    """Between test packets of each session."""
    _devices: dict[DeviceName, _Device] = field(default_factory=dict)
    _wanted: dict[ServiceId, tuple[Measurement, ...]] = field(default_factory=dict)
    _held: dict[ServiceId, tuple[Measurement, ...]] = field(default_factory=dict)
    _touched: set[str] | None = None
    """VPNs to look at again; None for all of them."""
    _retry_at: float = 0.0
    _all_at: float = 0.0
    _was_wanted: bool = False

    # -- what others ask -----------------------------------------------------------------------------------------

    def measurements_of(self, service: ServiceId) -> tuple[Measurement, ...]:
        """The sessions of a service that stand on the devices, by sender and target."""
        return self._held.get(service, ())

    def sessions_of(self, service: ServiceId) -> tuple[SeriesKey, ...]:
        """Every series that the sessions of a service tell."""
        return tuple(key for found in self.measurements_of(service) for key in series_of(found))

    def services(self) -> Iterator[ServiceId]:
        """Those that have sessions."""
        return iter(tuple(self._held))

    # -- what happens --------------------------------------------------------------------------------------------

    def hear(self, events: Sequence[Event]) -> None:
        """Note which VPNs to look at again; subscribed to the log after the world."""
        for event in events:
            data: Json = event.data
            if event.type == types.TRANSACTION_ABORTED:
                self._touched = None  # what it had reserved may have been looked at
            elif self._touched is None:
                return
            elif event.type == types.SERVICES_CHANGED:
                self._touched |= _vpns_in(data)
            elif event.type == types.TUNNELS_CHANGED:
                self._touched |= self._vpns_on(data)

    async def reconcile(self) -> bool:
        """Make the sessions that stand those that are wanted; whether there was anything to do, and it was done."""
        self.account()
        if not (self.is_wanted or self._held):
            return False
        if self.is_wanted != self._was_wanted:
            self._touched, self._was_wanted = None, self.is_wanted
        now = self.clock.monotonic()
        if now >= self._all_at:
            self._touched, self._all_at = None, now + _ALL_SECONDS
        if self._touched == set() and (not self.unmeasured or now < self._retry_at):
            return False
        await self._look()
        return await self._settle()

    def account(self) -> None:
        """Count what stands on the devices against the budget."""
        changed = False
        for name in self.world.network:
            known = self.world.network.device(name)
            seen = self._devices.get(name)
            if seen is None or seen.version != known.version:
                self._devices[name] = _found(known)
                changed = True
        gone = self._devices.keys() - set(self.world.network)
        for name in gone:
            del self._devices[name]
        if changed or gone:
            self._fold()

    # -- working ---------------------------------------------------------------------------------------------------

    def _fold(self) -> None:
        held: dict[ServiceId, list[Measurement]] = {}
        rates: defaultdict[str, float] = defaultdict(float)
        for device in self._devices.values():
            for session in device.sessions:
                if _is_service(session.holder):
                    held.setdefault(ServiceId(session.holder), []).append(session)
                    rates[session.holder] += session.packets_per_second
            for holder, rate in device.rates.items():
                rates[holder] += rate
        self._retire(held)
        self._held = {
            service: tuple(sorted(found, key=lambda one: (one.device, one.target))) for service, found in held.items()
        }
        self.budget.account(rates)

    def _retire(self, held: Mapping[ServiceId, Sequence[Measurement]]) -> None:
        """Series of sessions that have gone go as well."""
        there = {(one.device, one.number) for found in held.values() for one in found}
        gone = [one for found in self._held.values() for one in found if (one.device, one.number) not in there]
        self.collection.series.retire(key for one in gone for key in series_of(one))

    async def _look(self) -> None:
        """Work out what is wanted of the VPNs that were touched."""
        touched, self._touched = self._touched, set()
        if touched is None:
            self._wanted = {}
            touched = {*self.world.services.vpns}
        if not self.is_wanted:
            return
        for count, vpn_id in enumerate(sorted(touched), start=1):
            wanted = self._wanted_of(vpn_id)
            if wanted:
                self._wanted[service_id(vpn_id)] = wanted
            else:
                self._wanted.pop(service_id(vpn_id), None)
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _wanted_of(self, vpn_id: str) -> tuple[Measurement, ...]:
        if vpn_id not in self.world.services.vpns:
            return ()
        ends = [end for end in ends_of(self.world.services, vpn_id) if self._stands(vpn_id, end)]
        tunnels = [tunnel for tunnel in self.world.tunnels if vpn_id in tunnel.services]
        nodes = self.topology.network.nodes
        loopbacks = {end.device: nodes[end.device].endpoint for end in ends if end.device in nodes}
        return measurements_wanted(vpn_id, ends, tunnels, loopbacks)

    def _stands(self, vpn_id: str, end: End) -> bool:
        """Whether the VPN is committed there, on a router that can measure."""
        record = self.topology.records().get(end.device)
        if record is None or record.platform == "frr" or end.device not in self.world.network:
            return False
        owners = self.world.network.device(end.device).contributions.by_owner
        return all(node_owner(vpn_id, end.device, vrf) in owners for vrf in end.nodes)

    async def _settle(self) -> bool:
        admitted = self._admitted()
        held = {(one.device, one.owner): one for found in self._held.values() for one in found}
        wanted = {(one.device, one.owner): one for found in admitted.values() for one in found}
        gone = [one for place, one in held.items() if place not in wanted]
        news = [one for place, one in wanted.items() if place not in held or not _same(one, held[place])]
        if not (gone or news):
            return False
        try:
            await self.commit(news, gone, "measure services", "accord")
        except AccordError as error:
            _log.info("services_not_measured_at_once", error=str(error))
            await self._one_by_one(news, gone)
        self.account()
        return True

    async def _one_by_one(self, news: Sequence[Measurement], gone: Sequence[Measurement]) -> None:
        """A router that cannot be told keeps no other service from being measured."""
        for service in sorted({one.holder for one in (*news, *gone)}):
            own, over = ([one for one in part if one.holder == service] for part in (news, gone))
            try:
                await self.commit(own, over, f"measure {service}", "accord")
            except AccordError as error:
                _log.warning("service_not_measured", service=service, error=str(error))
                self.unmeasured[ServiceId(service)] = str(error)
        self._retry_at = self.clock.monotonic() + _RETRY_SECONDS

    # -- the budget --------------------------------------------------------------------------------------------------

    def _admitted(self) -> dict[ServiceId, tuple[Measurement, ...]]:
        """What of it there is room for, at one pace for all: slower before anybody goes without."""
        room = self._room()
        self.interval_seconds = _pace(sum(map(len, self._wanted.values())), room, self.interval_seconds)
        milliseconds = 1000 * self.interval_seconds
        admitted, left = {}, room
        self.unmeasured = {}
        for service in sorted(self._wanted):
            need = len(self._wanted[service]) / self.interval_seconds
            if need > left:
                self.unmeasured[service] = f"the probe budget has no room for {need:g} more test packets a second"
                continue
            left -= need
            admitted[service] = tuple(replace(one, interval_milliseconds=milliseconds) for one in self._wanted[service])
        if self.unmeasured:
            self._retry_at = self.clock.monotonic() + _RETRY_SECONDS
        return admitted

    def _room(self) -> float:
        """Test packets a second that services may have; campaigns come and go and do not count."""
        others = sum(rate for holder, rate in self.budget.standing.items() if not _is_service(holder))
        whole = self.budget.packets_per_second
        return max(0.0, min(SHARE * whole, whole - others))

    @staticmethod
    def _vpns_on(data: Json) -> set[str]:
        """The VPNs that changed tunnels carry or carried."""
        return {vpn for part in data.values() for tunnel in part["upserted"] for vpn in tunnel.get("services", ())}


def series_of(session: Measurement) -> Iterator[SeriesKey]:
    """What a session tells."""
    return (SeriesKey(session.device, kind, str(session.number)) for kind in SESSION_KINDS)


def _pace(sessions: int, room: float, now: int) -> int:
    """The shortest interval at which they all fit; not shorter than now before there is room to spare."""
    fits = next((seconds for seconds in INTERVALS_SECONDS if sessions / seconds <= room), INTERVALS_SECONDS[-1])
    if fits >= now:
        return fits
    spare = next((seconds for seconds in INTERVALS_SECONDS if sessions / seconds <= _FASTER_SHARE * room), now)
    return min(spare, now)


def _same(wanted: Measurement, held: Measurement) -> bool:
    return replace(wanted, number=held.number) == held


def _is_service(holder: str) -> bool:
    return holder.startswith("l3vpn:")


def _found(known: DeviceKnowledge) -> _Device:
    owners = list(known.contributions.owners())
    has_any = any(map(is_measurement, owners))
    sessions = tuple(measurements_of(known.name, known.contributions)) if has_any else ()
    rates = {
        _LINKS if owner == PROBES else owner: rate
        for owner in owners
        if (owner == PROBES or owner.startswith(_TUNNEL)) and (rate := packet_rate(known.contributions.of(owner)))
    }
    return _Device(known.version, sessions, rates)


def _vpns_in(data: Json) -> set[str]:
    """The VPNs that a change of services touches."""
    found: set[str] = set()
    for part in (data["change"], data["back"]):
        found |= {*part["edit"]["upserted-services"], *part["edit"]["deleted-services"]}
        found |= {vpn for _, vpns in part.get("site_vpns", ()) for vpn in vpns}
    return found
