"""Owns what the mapping knows of the provider's network: edge routers, their ports and where they stand.

Plain data handed in by the runtime (from the inventory); RFC 8299 section 6.6 says what placement may look at.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Final

from controller.model.identifiers import DeviceName
from controller.model.units import BitRate

Coordinates = tuple[float, float]
"""Latitude and longitude in degrees."""


@dataclass(frozen=True, slots=True)
class PortInfo:
    """A port that customers can be attached to. With a `bearer_reference` only accesses that name it may use it."""

    name: str
    speed: BitRate
    bearer_type: str = "ethernet"
    bearer_reference: str = ""
    card: str = ""


@dataclass(frozen=True, slots=True)
class PeInfo:
    """A provider edge router. `pop` defaults to its city; `locator` names its SRv6 locator (RFC 8986 3.1)."""

    device: DeviceName
    profile: str
    city: str
    country: str
    asn: int
    loopback: str
    ports: tuple[PortInfo, ...]
    pop: str = ""
    postal_code: str = ""
    lat: float | None = None
    lon: float | None = None
    locator: str = "main"

    @property
    def point_of_presence(self) -> str:
        """The building: routers of one are not PoP-diverse."""
        return self.pop or f"{self.city}/{self.country}"

    @property
    def coordinates(self) -> Coordinates | None:
        """Where it stands, when known."""
        return None if self.lat is None or self.lon is None else (self.lat, self.lon)


@dataclass(frozen=True, slots=True)
class QosClass:
    """One class of a standard QoS profile; the fields are those of L3SM's custom class (RFC 8299 6.12.3)."""

    name: str
    guaranteed_percent: str
    direction: str = "both"
    rate_limit: str = ""
    lowest_latency: bool = False
    latency_bound_milliseconds: int | None = None
    lowest_jitter: bool = False
    jitter_bound_microseconds: int | None = None
    end_to_end: bool = False


STANDARD_QOS_PROFILES: Final[Mapping[str, tuple[QosClass, ...]]] = MappingProxyType(
    {
        "standard": (QosClass("best-effort", "100.0"),),
        "silver": (QosClass("business", "60.0"), QosClass("best-effort", "40.0")),
        "gold": (
            QosClass("voice", "20.0", lowest_latency=True, lowest_jitter=True, end_to_end=True),
            QosClass("business", "60.0", end_to_end=True),
            QosClass("best-effort", "20.0"),
        ),
    }
)
"""What a provider sells unless it says otherwise."""
STANDARD_BFD_PROFILES: Final[Mapping[str, int]] = MappingProxyType({"slow": 3000, "normal": 900, "fast": 150})
"""Detection times in milliseconds."""


@dataclass(frozen=True)
class Infrastructure:
    """All edge routers, and the profiles the provider sells. `places` locates cities without a router of their own."""

    routers: tuple[PeInfo, ...]
    qos_profiles: Mapping[str, tuple[QosClass, ...]] = field(default_factory=lambda: STANDARD_QOS_PROFILES)
    bfd_profiles: Mapping[str, int] = field(default_factory=lambda: STANDARD_BFD_PROFILES)
    """Name -> detection time in milliseconds."""
    places: Mapping[tuple[str, str], Coordinates] = field(default_factory=lambda: MappingProxyType({}))
    """(city, country code), both casefolded -> coordinates."""
    slaac_pool: str = "fd00:acc0::/32"
    """Prefix from which accesses with SLAAC and no address of their own get a /64."""

    asn: int = 0
    """Autonomous system that route targets are written with; the first router's when 0."""

    @property
    def provider_asn(self) -> int:
        """The autonomous system of route targets."""
        return self.asn or (self.routers[0].asn if self.routers else 0)

    @cached_property
    def by_device(self) -> Mapping[DeviceName, PeInfo]:
        """Routers by name."""
        return {router.device: router for router in self.routers}

    @cached_property
    def by_city(self) -> Mapping[tuple[str, str], tuple[PeInfo, ...]]:
        """Routers by (city, country), casefolded."""
        found: dict[tuple[str, str], list[PeInfo]] = {}
        for router in self.routers:
            found.setdefault((router.city.casefold(), router.country.casefold()), []).append(router)
        return {place: tuple(routers) for place, routers in found.items()}

    @cached_property
    def by_country(self) -> Mapping[str, tuple[PeInfo, ...]]:
        """Routers by country code, casefolded."""
        found: dict[str, list[PeInfo]] = {}
        for router in self.routers:
            found.setdefault(router.country.casefold(), []).append(router)
        return {country: tuple(routers) for country, routers in found.items()}

    @cached_property
    def ports(self) -> Mapping[tuple[DeviceName, str], PortInfo]:
        """Ports by (device, name)."""
        return {(router.device, port.name): port for router in self.routers for port in router.ports}

    @cached_property
    def by_bearer(self) -> Mapping[str, tuple[PeInfo, PortInfo]]:
        """The port behind each bearer reference."""
        return {
            port.bearer_reference: (router, port)
            for router in self.routers
            for port in router.ports
            if port.bearer_reference
        }
