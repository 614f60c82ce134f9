"""Owns the checks between a tentative commit and its confirmation.

Read-back of configuration is the coordinator's own; these look at whether the network still works.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from controller.datastore.codec_xml import parse
from controller.model.identifiers import DeviceName
from controller.ports import DeviceSession, Transport
from controller.runtime.sessions import SessionPool
from controller.transaction.coordinator import Coordinator

_INTERFACES = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class InterfacesStayUp:
    """Interfaces that the change configured and that are enabled must not be down (RFC 8343 oper-status)."""

    sessions: SessionPool

    async def check(self, coordinator: Coordinator, devices: Sequence[DeviceName]) -> str:
        """Name the first interface that is down, or an empty string."""
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def check_one(device: DeviceName) -> str:
            touched = _touched(coordinator, device)
            if not touched:
                return ""
            async with at_once:
                down = touched & await self._down(device, touched)
            return f"{device}: interface '{min(down)}' is down after the change" if down else ""

        failures = await asyncio.gather(*(check_one(device) for device in devices))
        return next(filter(None, failures), "")

    async def _down(self, device: DeviceName, names: set[str]) -> set[str]:
        body = await self.sessions.ask(device, lambda session: _read_state(session, names))
        if b"down" not in body and b"&#" not in body:  # nearly always, and looked at for every device
            return set()
        return {
            interface.findtext(f"{{{_INTERFACES}}}name") or ""
            for interface in parse(body).iter(f"{{{_INTERFACES}}}interface")
            if interface.findtext(f"{{{_INTERFACES}}}oper-status") == "down"
            and interface.findtext(f"{{{_INTERFACES}}}enabled") != "false"
        }


async def _read_state(session: DeviceSession, names: set[str]) -> bytes:
    filter_ = _filter(session.capabilities.transport, names)
    return (await session.read_state([filter_])).body if filter_ else b""


def _filter(transport: Transport, names: set[str]) -> str:
    if transport is Transport.RESTCONF:
        return "ietf-interfaces:interfaces"
    if transport is Transport.CLI:
        return ""
    selected = "".join(
        f"<interface><name>{escape(name)}</name><enabled/><oper-status/></interface>" for name in sorted(names)
    )
    return f'<interfaces xmlns="{_INTERFACES}">{selected}</interfaces>'


def _touched(coordinator: Coordinator, device: DeviceName) -> set[str]:
    """Interfaces with a line that the edit set."""
    names = set()
    for change in coordinator.devices[device].edit:
        if change.new is not None and len(change.path) > 1 and change.path[1].name == "interface":
            names.add(change.path[1].keys[0][1])
    return names
