"""Owns the knowledge base: the places, customers, running VPNs and service templates that language may refer to.

Draft ps-agentic-ai, Intent Based Service Delivery, steps b and c: the agent looks words up here to understand an
intent. It is plain data, handed in whole; files are read by `controller.adapters.knowledge`.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from controller.intent.model import (
    AddressAllocation,
    AddressFamily,
    PropertyExpectation,
    Routing,
    ServiceType,
    SiteReference,
    Topology,
)
from controller.model.errors import InvalidInputError


def normalised(text: str) -> str:
    """How words are compared: case and accents do not matter.

    Only an accent that composes with its letter is taken off, so that struck-out text does not read like plain text.
    """
    composed = unicodedata.normalize("NFKC", text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    return "".join(map(_without_accent, composed)).casefold()


def _without_accent(character: str) -> str:
    if unicodedata.combining(character):
        return character
    decomposed = unicodedata.normalize("NFD", character)
    return "".join(part for part in decomposed if not unicodedata.combining(part))


@dataclass(frozen=True, slots=True)
class City:
    """A place on the map. `country` is ISO 3166-1 alpha-2; `aliases` are other names people use."""

    name: str
    country: str
    aliases: tuple[str, ...] = ()
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class CustomerSite:
    """One of a customer's registered sites, in a known city."""

    site_id: str
    city: str
    country: str


@dataclass(frozen=True, slots=True)
class Customer:
    """Who services are for."""

    name: str
    aliases: tuple[str, ...] = ()
    sites: tuple[CustomerSite, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownVpn:
    """A running service that a change or a deletion may mean."""

    vpn_id: str
    customer: str
    sites: tuple[SiteReference, ...] = ()
    properties: tuple[PropertyExpectation, ...] = ()
    hubs: tuple[SiteReference, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceTemplate:
    """What a service is like when nobody says otherwise. `customer` stands in where the speaker names none."""

    name: str
    customer: str
    service_type: ServiceType
    topology: Topology
    properties: tuple[PropertyExpectation, ...]
    address_family: AddressFamily
    address_allocation: AddressAllocation
    routing: Routing
    qos_profile: str
    priority: int
    fallback_policy: str = ""
    """Which remedies are allowed when something fails; all where it is empty."""


@dataclass(frozen=True, slots=True, eq=False)
class KnowledgeBase:
    """All of it, compared by identity. `countries` maps a country's code to the names people use for it."""

    cities: tuple[City, ...] = ()
    customers: tuple[Customer, ...] = ()
    templates: tuple[ServiceTemplate, ...] = ()
    default_template: str = ""
    countries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    vpns: tuple[KnownVpn, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that would make a reading depend on the order of a file."""
        _require_unique("customer", (name for customer in self.customers for name in _names(customer)))
        _require_unique("template", (template.name for template in self.templates))
        _require_unique("vpn", (vpn.vpn_id for vpn in self.vpns))
        _require_unique("site", (site.site_id for customer in self.customers for site in customer.sites))
        _require_unique("city", (f"{city.name}/{city.country}" for city in self.cities))
        if self.templates and self.default_template not in {template.name for template in self.templates}:
            raise InvalidInputError(f"default template '{self.default_template}' is not defined", path="default")

    def merged(
        self,
        *,
        cities: Iterable[City] = (),
        customers: Iterable[Customer] = (),
        vpns: Iterable[KnownVpn] = (),
    ) -> "KnowledgeBase":
        """This knowledge plus what the inventory and the running services know; what is known already stays as it is.

        Running VPNs replace those of the same id.
        """
        known_cities = {(normalised(city.name), city.country) for city in self.cities}
        known_customers = {normalised(name) for customer in self.customers for name in _names(customer)}
        new_cities = {(normalised(city.name), city.country): city for city in cities}
        new_customers = {normalised(customer.name): customer for customer in customers}
        running = {vpn.vpn_id: vpn for vpn in (*self.vpns, *vpns)}
        return replace(
            self,
            cities=(*self.cities, *(city for key, city in new_cities.items() if key not in known_cities)),
            customers=(*self.customers, *(who for key, who in new_customers.items() if key not in known_customers)),
            vpns=tuple(running.values()),
        )

    def seen_by(self, customer: str) -> "KnowledgeBase":
        """What this customer may refer to: its own name, sites and VPNs, and every city and template.

        Raises `InvalidInputError` for an unknown customer.
        """
        known = tuple(who for who in self.customers if who.name == customer)
        if not known:
            raise InvalidInputError(
                f"there is no customer '{customer}'", path="caller", remedy="add it to customers.yaml"
            )
        return replace(self, customers=known, vpns=self.vpns_of(customer))

    def template(self, name: str) -> ServiceTemplate:
        """The template of that name; `InvalidInputError` when there is none."""
        for template in self.templates:
            if template.name == name:
                return template
        raise InvalidInputError(f"there is no service template '{name}'", remedy="define it in templates.yaml")

    def customer(self, name: str) -> Customer:
        """The customer of that exact name, or one without sites."""
        return next((customer for customer in self.customers if customer.name == name), Customer(name))

    def vpns_of(self, customer: str) -> tuple[KnownVpn, ...]:
        """The customer's running VPNs."""
        return tuple(vpn for vpn in self.vpns if vpn.customer == customer)


def _names(customer: Customer) -> tuple[str, ...]:
    return (customer.name, *customer.aliases)


def _require_unique(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        key = normalised(name)
        if key in seen:
            raise InvalidInputError(f"{what} '{name}' is defined twice", path=what)
        seen.add(key)
