"""Owns the networks that the two tiers are sold on, as the daemon knows them: routers' links, and an optical domain.

A link over light is no link to sell: it is there when the domain lights it for somebody. What can be lit for a new
service is a link whose client ports are free at both ends (`negotiation_light`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from controller.mapping.optical_domain import OpticalDomain, as_te_database
from controller.model.errors import AccordError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.negotiation.catalogue import Tier
from controller.runtime.controller import Controller
from controller.runtime.optical_domains import is_optical
from controller.topology.network import LinkId, Network
from controller.topology.te_database import Measurement, Reservation, TeDatabase

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class SoldNetwork:
    """A tier's network now, and other names of its nodes: cities, and routers where its nodes are no routers."""

    database: TeDatabase
    places: Mapping[str, DeviceName]


def optical_domain_of(controller: Controller) -> DeviceName | None:
    """The domain whose light is sold: the first of the inventory; None without one."""
    return next((name for name, record in controller.records().items() if is_optical(record)), None)


async def sold_networks(
    controller: Controller, before: OpticalDomain | None
) -> tuple[dict[Tier, SoldNetwork], OpticalDomain | None]:
    """What can be sold now, by tier, and the domain as it told itself, or as it was `before` when it does not answer.

    A domain that does not answer sells nothing; its links are none of the IP tier's all the same. Nothing is sold until
    it has told once which they are: a link over light looks like any other.
    """
    name, domain = optical_domain_of(controller), None
    if name is not None:
        try:
            domain = await controller.optical.read(name)
        except AccordError:
            domain = None
    known = domain or (before if name is not None else None)
    if name is not None and known is None:
        return {}, None
    places = _places(controller)
    found = {Tier.IP: SoldNetwork(without_light(controller.topology.database, known), places)}
    if domain is not None:
        found[Tier.OPTICAL] = SoldNetwork(_slots(domain), _at_client_nodes(places, domain))
    return found, known


def without_light(database: TeDatabase, domain: OpticalDomain | None) -> TeDatabase:
    """The routers' network without the links that the domain brings up."""
    if domain is None:
        return database
    lit = [
        link.id
        for link in database.network.links.values()
        if domain.attached_to(link.source) is not None and domain.attached_to(link.target) is not None
    ]
    return without_links(database, lit)


def without_links(database: TeDatabase, gone: Collection[LinkId]) -> TeDatabase:
    """The same network less these links, and less what is reserved and measured on them."""
    links = [link for name, link in database.network.links.items() if name not in gone]
    if len(links) == len(database.network.links):
        return database
    network = Network.of(database.network.nodes.values(), links)
    reserved = {
        name: Reservation(tuple(link for link in taken.links if link in network.links), taken.bit_rate)
        for name, taken in database.reservations.items()
    }
    return TeDatabase(
        network,
        {name: taken for name, taken in reserved.items() if taken.links},
        _within(network, database.measured),
        _within(network, database.link_states),
    )


def lightable(controller: Controller, domain: OpticalDomain, ends: tuple[DeviceName, DeviceName]) -> int:
    """How many links could be lit between two nodes of the domain: those whose client ports have no tunnel."""
    found = 0
    for link in controller.topology.network.links.values():
        ports = [domain.attached_to(end) for end in (link.source, link.target)]
        here = [port for port in ports if port is not None and str(port) not in domain.taken_ports]
        found += tuple(DeviceName(port.node) for port in here) == ends
    return found


def _slots(domain: OpticalDomain) -> TeDatabase:
    """Slots that are taken are the load."""
    database = as_te_database(domain)
    loads = zip(database.network.arcs.ids, database.reserved_rates, strict=True)
    return database.with_measurements({link: Measurement(load=BitRate(rate)) for link, rate in loads})


def _at_client_nodes(places: Mapping[str, DeviceName], domain: OpticalDomain) -> dict[str, DeviceName]:
    """Routers and their cities by the nodes of the domain that they are attached to."""
    at = {port.attached.node: DeviceName(port.node) for port in reversed(domain.client_ports)}
    return {str(router): node for router, node in at.items()} | {
        city: at[router] for city, router in places.items() if router in at
    }


def _places(controller: Controller) -> dict[str, DeviceName]:
    """Cities are other names of their routers, where there is one router."""
    cities: dict[str, list[DeviceName]] = {}
    for name, record in controller.records().items():
        if record.access_ports and record.place.city:
            cities.setdefault(record.place.city, []).append(name)
    return {city: names[0] for city, names in cities.items() if len(names) == 1}


def _within(network: Network, values: Mapping[LinkId, _Value]) -> dict[LinkId, _Value]:
    return {link: value for link, value in values.items() if link in network.links}
