"""Owns reading the knowledge base from YAML: `cities.yaml`, `customers.yaml` and `templates.yaml` of one directory.

Unknown keys, duplicate keys and values of the wrong kind are refused with the file and the place in it, so that a
misspelt word never silently means a default.
"""

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.adapters.yaml_files import read_mapping
from controller.intent.codec import decode_amount
from controller.intent.knowledge import City, Customer, CustomerSite, KnowledgeBase, ServiceTemplate
from controller.intent.model import (
    AddressAllocation,
    AddressFamily,
    Condition,
    Property,
    PropertyExpectation,
    Routing,
    ServiceType,
    Topology,
)
from controller.model.errors import InvalidInputError, NotFoundError
from controller.recovery.situation import fallback_of


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"))


class _City(_Strict):
    name: str = Field(min_length=1)
    country: str = Field(pattern=r"^[A-Z]{2}$")
    aliases: tuple[str, ...] = ()
    latitude: float | None = Field(default=None, ge=-90, le=90)
    longitude: float | None = Field(default=None, ge=-180, le=180)


class _Cities(_Strict):
    countries: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    cities: tuple[_City, ...]


class _Site(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    site_id: str = Field(min_length=1)
    city: str
    country: str = Field(pattern=r"^[A-Z]{2}$")


class _Customer(_Strict):
    name: str = Field(min_length=1)
    aliases: tuple[str, ...] = ()
    sites: tuple[_Site, ...] = ()


class _Customers(_Strict):
    customers: tuple[_Customer, ...]


class _Template(_Strict):
    customer: str = Field(min_length=1)
    service_type: ServiceType
    topology: Literal[Topology.ANY_TO_ANY]
    bandwidth: str
    latency: str | None = None
    availability: str | None = None
    address_family: AddressFamily
    address_allocation: AddressAllocation
    routing: Routing
    qos_profile: str = Field(min_length=1)
    priority: int = Field(ge=1, le=9)
    fallback_policy: str = ""


class _Templates(_Strict):
    default: str
    templates: dict[str, _Template]


_CONDITIONS = {
    Property.BANDWIDTH: Condition.AT_LEAST,
    Property.LATENCY: Condition.AT_MOST,
    Property.AVAILABILITY: Condition.AT_LEAST,
}
Document = TypeVar("Document", bound=BaseModel)


def load_knowledge(directory: Path) -> KnowledgeBase:
    """The knowledge base of a directory.

    Raises `NotFoundError` for a missing file and `InvalidInputError` naming file and place for anything wrong in one.
    """
    places = _read(directory / "cities.yaml", _Cities)
    customers = _read(directory / "customers.yaml", _Customers)
    templates = _read(directory / "templates.yaml", _Templates)
    _require_known_cities(directory / "customers.yaml", places, customers)
    return KnowledgeBase(
        cities=tuple(City(**city.model_dump()) for city in places.cities),
        customers=tuple(_customer(customer) for customer in customers.customers),
        templates=tuple(_template(name, template) for name, template in templates.templates.items()),
        default_template=templates.default,
        countries=places.countries,
    )


def _customer(customer: _Customer) -> Customer:
    sites = tuple(CustomerSite(site.site_id, site.city, site.country) for site in customer.sites)
    return Customer(customer.name, customer.aliases, sites)


def _template(name: str, template: _Template) -> ServiceTemplate:
    amounts = {
        Property.BANDWIDTH: template.bandwidth,
        Property.LATENCY: template.latency,
        Property.AVAILABILITY: template.availability,
    }
    properties = tuple(
        PropertyExpectation(about, _CONDITIONS[about], decode_amount(about, text, f"templates.{name}.{about}"))
        for about, text in amounts.items()
        if text is not None
    )
    fallback_of(template.fallback_policy, f"templates.{name}.fallback-policy")
    return ServiceTemplate(
        name=name,
        customer=template.customer,
        service_type=template.service_type,
        topology=template.topology,
        properties=properties,
        address_family=template.address_family,
        address_allocation=template.address_allocation,
        routing=template.routing,
        qos_profile=template.qos_profile,
        priority=template.priority,
        fallback_policy=template.fallback_policy,
    )


def _require_known_cities(path: Path, places: _Cities, customers: _Customers) -> None:
    known = {(city.name, city.country) for city in places.cities}
    for customer in customers.customers:
        for site in customer.sites:
            if (site.city, site.country) not in known:
                raise InvalidInputError(
                    f"{path}: site '{site.site_id}' is in '{site.city}, {site.country}', unknown to cities.yaml",
                    path=f"customers.{customer.name}.sites.{site.site_id}",
                    remedy="add the city to cities.yaml or correct the site",
                )


def _read(path: Path, model: type[Document]) -> Document:
    try:
        return model.model_validate(read_mapping(path))
    except NotFoundError as error:
        raise NotFoundError(error.message, path=error.path, remedy="give it or name another directory") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidInputError(f"{path}: {first['msg']}", path=place, remedy="correct the file") from error
