"""Owns the checks between a tentative commit and its confirmation.

Read-back of configuration is the coordinator's own; these look at whether the network still works.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from controller.datastore.codec_xml import parse
from controller.model.identifiers import DeviceName
from controller.ports import Transport
from controller.runtime.sessions import SessionPool
from controller.transaction.coordinator import Coordinator

_INTERFACES = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
_FILTERS = {
    Transport.NETCONF: f'<interfaces xmlns="{_INTERFACES}"/>',
    Transport.RESTCONF: "ietf-interfaces:interfaces",
}


@dataclass(frozen=True, slots=True)
class InterfacesStayUp:
    """Interfaces that the change configured and that are enabled must not be down (RFC 8343 oper-status)."""

    sessions: SessionPool

    async def check(self, coordinator: Coordinator, devices: Sequence[DeviceName]) -> str:
        """Name the first interface that is down, or an empty string."""
        for device in devices:
            touched = _touched(coordinator, device)
            down = touched & await self._down(device) if touched else set()
            if down:
                return f"{device}: interface '{min(down)}' is down after the change"
        return ""

    async def _down(self, device: DeviceName) -> set[str]:
        async with self.sessions.use(device) as session:
            if session.capabilities.transport not in _FILTERS:
                return set()
            reading = await session.read_state([_FILTERS[session.capabilities.transport]])
        root = parse(reading.body)
        return {
            interface.findtext(f"{{{_INTERFACES}}}name") or ""
            for interface in root.iter(f"{{{_INTERFACES}}}interface")
            if interface.findtext(f"{{{_INTERFACES}}}oper-status") == "down"
            and interface.findtext(f"{{{_INTERFACES}}}enabled") != "false"
        }


def _touched(coordinator: Coordinator, device: DeviceName) -> set[str]:
    """Interfaces with a line that the edit set."""
    names = set()
    for change in coordinator.devices[device].edit:
        if change.new is not None and len(change.path) > 1 and change.path[1].name == "interface":
            names.add(change.path[1].keys[0][1])
    return names
