"""Owns the intent: what somebody wants of the network, in the words of RFC 9315, TMF921 and 3GPP TS 28.312.

A `DeliveryExpectation` (TS 28.312: DELIVER) says which sites are to be connected and how; `PropertyExpectation`s
(ENSURE) say how good that has to be, each with condition, value and unit; contexts, validity, priority and owner frame
them. `IntentChange` and `IntentWithdrawal` are wishes about an intent that already exists.

Towards the mapping: `connectivity_of(intent)` gives a `ConnectivityRequest`, the flat form from which
`controller.mapping` makes an RFC 8299 instance. Its `sites` carry the L3SM site-role already, `input_bandwidth` and
`output_bandwidth` are L3SM's svc-input-bandwidth and svc-output-bandwidth (seen from the customer's site: input is
towards the site), `topology` is the value of L3SM's vpn-service-topology, and `vpn_id` is None when the mapping is to
choose one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controller.model.errors import InvalidInputError
from controller.model.identifiers import IntentId
from controller.model.units import BitRate, Duration


class ServiceType(StrEnum):
    """What kind of service is delivered."""

    L3VPN = "l3vpn"


class Topology(StrEnum):
    """RFC 8299 vpn-topology identities."""

    ANY_TO_ANY = "any-to-any"
    HUB_SPOKE = "hub-spoke"
    HUB_SPOKE_DISJOINT = "hub-spoke-disjoint"


class SiteRole(StrEnum):
    """RFC 8299 site-role identities."""

    ANY_TO_ANY = "any-to-any-role"
    HUB = "hub-role"
    SPOKE = "spoke-role"


class AddressFamily(StrEnum):
    """The address families a site's attachment carries."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"
    DUAL_STACK = "dual-stack"


class AddressAllocation(StrEnum):
    """How the customer's edge gets its address (RFC 8299 address-allocation-type)."""

    STATIC = "static"
    DHCP = "dhcp"
    DHCP_RELAY = "dhcp-relay"
    SLAAC = "slaac"


class Routing(StrEnum):
    """The protocol towards the customer's edge (RFC 8299 routing-protocol-type)."""

    DIRECT = "direct"
    STATIC = "static"
    BGP = "bgp"
    OSPF = "ospf"
    VRRP = "vrrp"


class Condition(StrEnum):
    """TS 28.312 target conditions."""

    AT_LEAST = "IS_EQUAL_TO_OR_GREATER_THAN"
    AT_MOST = "IS_EQUAL_TO_OR_LESS_THAN"
    ABOVE = "IS_GREATER_THAN"
    BELOW = "IS_LESS_THAN"
    EQUAL = "IS_EQUAL_TO"

    @property
    def symbol(self) -> str:
        """How people write it."""
        return {"AT_LEAST": ">=", "AT_MOST": "<=", "ABOVE": ">", "BELOW": "<", "EQUAL": "="}[self.name]


class Unit(StrEnum):
    """Canonical units; every value is a whole number of its unit."""

    BITS_PER_SECOND = "bit/s"
    MICROSECONDS = "us"
    PARTS_PER_MILLION = "ppm"


class Property(StrEnum):
    """What a property expectation is about."""

    BANDWIDTH = "bandwidth"
    INPUT_BANDWIDTH = "input-bandwidth"
    OUTPUT_BANDWIDTH = "output-bandwidth"
    LATENCY = "latency"
    AVAILABILITY = "availability"

    @property
    def unit(self) -> Unit:
        """The one canonical unit of this property."""
        if self is Property.LATENCY:
            return Unit.MICROSECONDS
        return Unit.PARTS_PER_MILLION if self is Property.AVAILABILITY else Unit.BITS_PER_SECOND


@dataclass(frozen=True, slots=True)
class PropertyExpectation:
    """How good it has to be. `value` counts `about.unit`: bit/s, microseconds (one way), or parts per million."""

    about: Property
    condition: Condition
    value: int

    def __str__(self) -> str:
        return f"{self.condition.symbol} {self.amount}"

    @property
    def unit(self) -> Unit:
        """The unit of `value`."""
        return self.about.unit

    @property
    def amount(self) -> str:
        """The value as people write it."""
        if self.unit is Unit.MICROSECONDS:
            return str(Duration(self.value))
        if self.unit is Unit.PARTS_PER_MILLION:
            whole, rest = divmod(self.value, 10_000)
            return f"{whole}.{rest:04d}".rstrip("0").rstrip(".") + " %"
        return str(BitRate(self.value))


@dataclass(frozen=True, slots=True, order=True)
class SiteReference:
    """A place to be connected: a city, or one of the customer's registered sites there when `site_id` is set."""

    city: str
    country: str
    """ISO 3166-1 alpha-2."""
    site_id: str = ""

    def __str__(self) -> str:
        return self.site_id or self.city


@dataclass(frozen=True, slots=True)
class DeliveryExpectation:
    """What is to be delivered: connectivity of a service type between sites, in a topology."""

    service_type: ServiceType
    topology: Topology
    sites: tuple[SiteReference, ...]
    hubs: tuple[SiteReference, ...]
    address_family: AddressFamily
    address_allocation: AddressAllocation
    routing: Routing
    qos_profile: str

    def __post_init__(self) -> None:
        """Refuse what could not be a service: too few sites, the same site twice, hubs that contradict the topology."""
        if len(self.sites) < 2:
            raise InvalidInputError("connectivity needs at least two sites", path="delivery.sites")
        if len(set(self.sites)) != len(self.sites):
            raise InvalidInputError("a site is named twice", path="delivery.sites")
        if not set(self.hubs) <= set(self.sites):
            raise InvalidInputError("a hub is not one of the sites", path="delivery.hubs")
        if bool(self.hubs) == (self.topology is Topology.ANY_TO_ANY):
            raise InvalidInputError("a hub-and-spoke topology needs a hub, any-to-any has none", path="delivery.hubs")
        if self.hubs and len(self.hubs) == len(self.sites):
            raise InvalidInputError("every site is a hub, no spoke is left", path="delivery.hubs")


FALLBACK_POLICY = "fallback-policy"
"""The context that says which remedies its owner allows when something fails: `reroute, degrade`."""


@dataclass(frozen=True, slots=True)
class Context:
    """A circumstance of an intent, such as the service model asked for."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Validity:
    """From `start` (None: at once) to before `end` (None: until withdrawn); aware datetimes."""

    start: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse a period that is naive or ends before it starts."""
        for name, moment in (("start", self.start), ("end", self.end)):
            if moment is not None and moment.utcoffset() is None:
                raise InvalidInputError(f"the {name} has no time zone", path=f"validity.{name}")
        if self.start and self.end and self.end <= self.start:
            raise InvalidInputError("the validity ends before it starts", path="validity.end")


@dataclass(frozen=True, slots=True)
class Intent:
    """A whole intent. `intent_id` is empty until it is registered; `vpn_id` is None until somebody chose one."""

    customer: str
    owner: str
    delivery: DeliveryExpectation
    properties: tuple[PropertyExpectation, ...]
    contexts: tuple[Context, ...] = ()
    validity: Validity = Validity()
    priority: int = 5
    """1 is the most important, 9 the least."""
    template: str = ""
    vpn_id: str | None = None
    intent_id: IntentId = IntentId("")  # noqa: RUF009 - a NewType of str is immutable

    def __post_init__(self) -> None:
        """Refuse two expectations about one property and a priority outside 1..9."""
        require_distinct(self.properties, "properties")
        if not 1 <= self.priority <= 9:
            raise InvalidInputError(f"priority {self.priority} is not in 1..9", path="priority")


@dataclass(frozen=True, slots=True)
class IntentChange:
    """A wish to change a running service; what is empty or None stays as it is."""

    customer: str
    vpn_id: str
    add_sites: tuple[SiteReference, ...] = ()
    remove_sites: tuple[SiteReference, ...] = ()
    properties: tuple[PropertyExpectation, ...] = ()
    topology: Topology | None = None
    hubs: tuple[SiteReference, ...] = ()
    validity: Validity = Validity()
    """`start`: when the change takes effect; `end`: the new end of the service."""

    def __post_init__(self) -> None:
        """Refuse a change that changes nothing or says two things about one property."""
        require_distinct(self.properties, "properties")
        wishes = (self.add_sites, self.remove_sites, self.properties, self.topology, self.hubs, self.validity.end)
        if not any(wishes):
            raise InvalidInputError("the change changes nothing", path="change")


@dataclass(frozen=True, slots=True)
class IntentWithdrawal:
    """A wish to end a running service, at `effective` (None: at once)."""

    customer: str
    vpn_id: str
    effective: datetime | None = None


@dataclass(frozen=True, slots=True)
class SiteRequest:
    """A site in a `ConnectivityRequest`, with its part in the topology."""

    city: str
    country: str
    site_id: str
    """Empty when the mapping is to name it."""
    role: SiteRole


@dataclass(frozen=True, slots=True)
class ConnectivityRequest:
    """What the mapping needs to write an L3SM instance: an intent without its history."""

    customer: str
    vpn_id: str | None
    sites: tuple[SiteRequest, ...]
    topology: Topology
    input_bandwidth: BitRate
    output_bandwidth: BitRate
    latency: Duration | None
    availability_ppm: int | None
    address_family: AddressFamily
    address_allocation: AddressAllocation
    routing: Routing
    qos_profile: str
    validity: Validity
    priority: int


def require_distinct(properties: Iterable[PropertyExpectation], path: str) -> None:
    """Raise `InvalidInputError` when one property is expected twice, or `bandwidth` beside one of its directions."""
    seen: set[Property] = set()
    for expectation in properties:
        name = expectation.about
        if name is Property.BANDWIDTH:
            covered = {name, Property.INPUT_BANDWIDTH, Property.OUTPUT_BANDWIDTH}
        else:
            directed = name in {Property.INPUT_BANDWIDTH, Property.OUTPUT_BANDWIDTH}
            covered = {name, Property.BANDWIDTH} if directed else {name}
        if covered & seen:
            raise InvalidInputError(f"{name} is expected twice", path=path)
        if expectation.value <= 0:
            raise InvalidInputError(f"{name} must be above zero", path=path)
        if name is Property.AVAILABILITY and expectation.value > 1_000_000:
            raise InvalidInputError("availability is above 100 %", path=path)
        seen.add(name)


def connectivity_of(intent: Intent) -> ConnectivityRequest:
    """The flat request of an intent; `InvalidInputError` when no bandwidth is expected in one of the directions."""
    values = {expectation.about: expectation.value for expectation in intent.properties}
    delivery = intent.delivery
    latency = values.get(Property.LATENCY)
    return ConnectivityRequest(
        customer=intent.customer,
        vpn_id=intent.vpn_id,
        sites=tuple(_site_request(site, delivery) for site in delivery.sites),
        topology=delivery.topology,
        input_bandwidth=_rate(values, Property.INPUT_BANDWIDTH),
        output_bandwidth=_rate(values, Property.OUTPUT_BANDWIDTH),
        latency=None if latency is None else Duration(latency),
        availability_ppm=values.get(Property.AVAILABILITY),
        address_family=delivery.address_family,
        address_allocation=delivery.address_allocation,
        routing=delivery.routing,
        qos_profile=delivery.qos_profile,
        validity=intent.validity,
        priority=intent.priority,
    )


def _rate(values: dict[Property, int], direction: Property) -> BitRate:
    value = values.get(direction, values.get(Property.BANDWIDTH))
    if value is None:
        raise InvalidInputError(f"the intent has no {direction}", path="properties", remedy="say a bandwidth")
    return BitRate(value)


def _site_request(site: SiteReference, delivery: DeliveryExpectation) -> SiteRequest:
    role = SiteRole.ANY_TO_ANY
    if delivery.hubs:
        role = SiteRole.HUB if site in delivery.hubs else SiteRole.SPOKE
    return SiteRequest(site.city, site.country, site.site_id, role)
