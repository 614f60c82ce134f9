"""Owns who hears whose VPN routes: core BGP sessions (RFC 4271) and reflectors (RFC 4456), from both ends."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from controller.model.identifiers import DeviceName
from controller.twin.configuration import DeviceForwarding, Router

ASSUMED = "no core sessions are configured in what is known: every router is taken to hear every other"


@dataclass(frozen=True, slots=True)
class Sessions:
    """Who hears whom. `heard` None: everybody hears everybody."""

    heard: Mapping[DeviceName, frozenset[DeviceName]] | None = None
    assumed: frozenset[DeviceName] = field(default_factory=frozenset)
    """Devices whose module set does not say how they take part in the core."""

    def hears(self, listener: DeviceName, speaker: DeviceName) -> bool:
        """Whether routes of one arrive at the other."""
        if self.heard is None or listener == speaker or listener in self.assumed or speaker in self.assumed:
            return True
        return speaker in self.heard.get(listener, frozenset())


def sessions(devices: Iterable[DeviceForwarding]) -> Sessions:
    """The sessions that both ends configure. A peer that is not known is taken for a reflector that passes all on."""
    known = {each.device: each for each in devices}
    if not any(each.router.peers for each in known.values()):
        return Sessions()
    owners = {address: each.device for each in known.values() for address in each.core_addresses}
    clients: dict[DeviceName, set[DeviceName]] = {}
    others: dict[DeviceName, set[DeviceName]] = {}
    beyond: dict[str, set[DeviceName]] = {}
    for each in known.values():
        for peer in each.router.peers:
            far = owners.get(peer.address)
            if far is None:
                beyond.setdefault(peer.address, set()).add(each.device)
            elif _answers(known[far], each, peer.remote_as):
                (clients if peer.is_client else others).setdefault(each.device, set()).add(far)
    heard: dict[DeviceName, set[DeviceName]] = {}
    for name in known:
        own, from_client = others.get(name, set()), clients.get(name, set())
        heard[name] = own | from_client
        for peer_name in heard[name].copy():
            passed = clients.get(peer_name, set())
            heard[name] |= passed | others.get(peer_name, set()) if name in passed else passed
    for group in beyond.values():
        for name in group:
            heard[name] |= group
    silent = frozenset(name for name, each in known.items() if each.router == Router())
    return Sessions({name: frozenset(each) for name, each in heard.items()}, silent)


def _answers(far: DeviceForwarding, near: DeviceForwarding, expected_as: int) -> bool:
    back = [peer for peer in far.router.peers if peer.address in near.core_addresses]
    return far.router.autonomous_system == expected_as and any(
        peer.remote_as == near.router.autonomous_system for peer in back
    )
