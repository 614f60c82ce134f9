"""Owns the optical domains as the daemon sees them: read from their controllers when somebody asks (MPI, RFC 8453).

Nothing is remembered: slots and states move without us.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from controller.mapping.optical_domain import STATE_RESOURCE, OpticalDomain, OpticalTunnel, read_domain
from controller.model.errors import AccordError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.inventory import DeviceRecord
from controller.ports import Clock, DeviceSession
from controller.runtime.sessions import SessionPool
from controller.topology.network import LinkId

PROFILE = "otn"
"""The mapping profile of optical domain controllers."""
_LOOK_SECONDS = 0.2
_log = structlog.get_logger(__name__)


def is_optical(record: DeviceRecord) -> bool:
    """Whether a device controls an optical domain, and so is no router."""
    return record.profile == PROFILE


@dataclass(slots=True)
class OpticalDomains:
    """The domains of the inventory."""

    sessions: SessionPool
    records: Callable[[], Mapping[DeviceName, DeviceRecord]]
    clock: Clock
    unread: dict[DeviceName, str] = field(default_factory=dict)
    """Domains that did not tell their state when they were last asked, and why."""

    async def read(self, name: DeviceName) -> OpticalDomain:
        """One domain as it is now; `NotFoundError` when the inventory has none of that name."""
        record = self.records().get(name)
        if record is None or not is_optical(record):
            raise NotFoundError(f"there is no optical domain '{name}'", remedy=self._named())
        return read_domain(name, await self.sessions.ask(name, _state))

    async def all(self) -> Sequence[OpticalDomain]:
        """Every domain that answers."""
        return [domain for domain in await asyncio.gather(*map(self._tried, self._names())) if domain is not None]

    async def delays(self) -> Mapping[LinkId, float]:
        """What links take that tunnels have up, in both directions, as the domains tell."""
        told: dict[LinkId, float] = {}
        for domain in await self.all():
            attached = {str(port): port.attached for port in domain.client_ports}
            for tunnel in domain.tunnels:
                a, b = attached.get(tunnel.source), attached.get(tunnel.target)
                if tunnel.is_up:
                    told[LinkId(f"{a}>{b}")] = told[LinkId(f"{b}>{a}")] = tunnel.delay_seconds
        return told

    async def settled(self, name: DeviceName, tunnel: str, timeout_seconds: float) -> OpticalTunnel:
        """The tunnel when it carries or has failed, or as it is at the end of the time; `NotFoundError` without it."""
        deadline = self.clock.monotonic() + timeout_seconds
        while True:
            found = (await self.read(name)).tunnel(tunnel)
            if found is None:
                raise NotFoundError(f"'{name}' has no tunnel '{tunnel}'", remedy="commit its plan first")
            if found.is_up or found.status == "failed" or self.clock.monotonic() >= deadline:
                return found
            await asyncio.sleep(_LOOK_SECONDS)

    async def _tried(self, name: DeviceName) -> OpticalDomain | None:
        try:
            domain = await self.read(name)
        except AccordError as error:
            self.unread[name] = str(error)
            _log.warning("optical_domain_unread", device=name, error=str(error))
            return None
        self.unread.pop(name, None)
        return domain

    def _names(self) -> list[DeviceName]:
        return [name for name, record in self.records().items() if is_optical(record)]

    def _named(self) -> str:
        return f"there is {', '.join(self._names()) or 'none in the inventory'}"


async def _state(session: DeviceSession) -> bytes:
    return (await session.read_state([STATE_RESOURCE])).body
