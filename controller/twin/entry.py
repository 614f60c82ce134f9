"""Owns where packets come in: attachments, who sends there, and whether the router takes it."""

from collections.abc import Iterator
from dataclasses import dataclass

from controller.model.identifiers import DeviceName
from controller.twin.configuration import Interface
from controller.twin.intended import ANY, Attachment, Intended, Member
from controller.twin.model import Model
from controller.twin.routes import Key, Route
from controller.twin.verdict import CounterExample, Fault, Hop


@dataclass(frozen=True, slots=True)
class State:
    """The network and the promises at one time."""

    model: Model
    intended: Intended


@dataclass(frozen=True, slots=True)
class Source:
    """Who sends into a VRF: an attachment and what it was promised; a stranger was promised nothing."""

    key: Key
    attachment: Attachment
    members: tuple[Member, ...] = ()

    @property
    def entry(self) -> str:
        """What it shares with others of its kind."""
        return f"{self.key[0]} VRF {self.key[1]}"


def attachment_of(device: DeviceName, interface: Interface) -> Attachment:
    """The attachment that an interface serves."""
    return Attachment(device, interface.parent or interface.name, interface.vlan)


def exit_of(model: Model, route: Route) -> Attachment:
    """The attachment that a route leaves by."""
    return attachment_of(route.device, model.devices[route.device].interfaces[route.interface])


def vrf_of(model: Model, place: Attachment) -> Key | None:
    """The VRF that an attachment's packets come into."""
    device = model.devices.get(place.device)
    interface = device.by_vlan.get((place.port, place.vlan)) if device else None
    name = device.instance_of.get(interface.name) if device and interface else None
    return (place.device, name) if name else None


def kind_of(member: Member) -> tuple[str, str, str]:
    """Members of one kind in one VRF are promised the same."""
    return member.vpn, member.role, "" if member.role == ANY else member.site


def sources_of(state: State, key: Key) -> Iterator[Source]:
    """One sender of each kind that is attached to the VRF."""
    seen: set[frozenset[tuple[str, str, str]]] = set()
    for place in _places(state.model, key):
        members = state.intended.at.get(place, ())
        kind = frozenset(map(kind_of, members))
        if members and kind not in seen:
            seen.add(kind)
            yield Source(key, place, members)


def strangers_in(state: State, key: Key) -> Iterator[Source]:
    """Interfaces of the VRF that nobody was promised anything at."""
    for place in _places(state.model, key):
        if place not in state.intended.at:
            yield Source(key, place)


def _places(model: Model, key: Key) -> Iterator[Attachment]:
    device = model.devices.get(key[0])
    for interface in device.bound.get(key[1], ()) if device else ():
        if device and device.is_up(interface) and interface.addresses:
            yield attachment_of(key[0], interface)


def entry_fault(model: Model, member: Member) -> CounterExample | None:
    """Why a member's packets are not taken in, if they are not."""
    place = member.attachment
    device = model.devices[place.device]
    interface = device.by_vlan.get((place.port, place.vlan))
    if interface is None:
        why = f"no interface of {place.device} takes VLAN {place.vlan} on {place.port}"
    elif not device.is_up(interface):
        why = f"{place.device} {interface.name} is shut"
    elif interface.name not in device.instance_of:
        why = f"{place.device} {interface.name} is in no VRF"
    elif (instance := device.instances.get(device.instance_of[interface.name])) is None or not instance.enabled:
        why = f"the VRF {device.instance_of[interface.name]} of {place.device} {interface.name} is not there"
    elif missing := set(member.gateways) - set(interface.addresses):
        why = f"{place.device} {interface.name} has not the address {', '.join(sorted(missing))}"
    else:
        return None
    hop = Hop(place.device, f"drops it on {place.port}, VLAN {place.vlan}")
    anywhere = "any destination of the VPN"
    return CounterExample(Fault.NO_ENTRY, f"VPN {member.vpn}", str(place), anywhere, why, (hop,))
