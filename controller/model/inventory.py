"""Owns what the controller knows of a device before it speaks to it: role, place, ports, numbers, profile, policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.model.identifiers import DeviceName
from controller.model.units import BitRate


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device stands. Degrees for the coordinates; None when nobody said."""

    city: str = ""
    country: str = ""
    pop: str = ""
    latitude: float | None = None
    longitude: float | None = None
    postal_code: str = ""


@dataclass(frozen=True, slots=True)
class AccessPort:
    """An interface that a customer can be attached to; `bit_rate` None when unknown.

    A port with a `bearer_reference` (RFC 8299 6.3.2) is kept for the customer who was given it. `card` tells which
    ports share a line card.
    """

    name: str
    bit_rate: BitRate | None = None
    bearer_type: str = "ethernet"
    bearer_reference: str = ""
    card: str = ""


@dataclass(frozen=True, slots=True)
class Loopback:
    """The interface that names the device in the network, and its addresses without prefix lengths."""

    interface: str = ""
    ipv4: str = ""
    ipv6: str = ""


@dataclass(frozen=True, slots=True)
class Srv6Locator:
    """The device's SRv6 locator (RFC 8986): name and IPv6 prefix."""

    name: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class OutOfBandRule:
    """Node names from the root below which `policy` holds: `accept`, `restore`, `adopt` or `abort`."""

    prefix: tuple[str, ...]
    policy: str


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """One device of the inventory, without the way to it (`controller.ports.DeviceTarget`)."""

    name: DeviceName
    role: str = ""
    """`pe`, `p`, `ce` or whatever the network calls it."""
    profile: str = "ietf"
    """The mapping profile its configuration is written in: `ietf`, `openconfig`, ..."""
    schema_set: str = ""
    """The set of YANG modules it implements; empty means the profile's own."""
    platform: str = ""
    """nornir's word for the device's system."""
    place: Place = field(default_factory=Place)
    access_ports: tuple[AccessPort, ...] = ()
    autonomous_system: int | None = None
    router_id: str = ""
    loopback: Loopback = field(default_factory=Loopback)
    srv6_locator: Srv6Locator = field(default_factory=Srv6Locator)
    out_of_band: tuple[OutOfBandRule, ...] = ()
    groups: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    """Words of the user's own; the controller shows them and uses none."""
