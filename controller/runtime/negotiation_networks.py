"""Owns the networks that the two tiers are sold on, as the daemon knows them: routers' links, and optical domains.

A link over light is no link to sell: it is there when a domain lights it for somebody. What can be lit for a new
service is a link whose client ports are free at both ends (`negotiation_light`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
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


Told = Mapping[DeviceName, OpticalDomain]
"""Optical domains as they told themselves last."""


def optical_domains_of(controller: Controller) -> tuple[DeviceName, ...]:
    """The domains whose light is sold, in the order of the inventory."""
    return tuple(name for name, record in controller.records().items() if is_optical(record))


async def sold_networks(controller: Controller, before: Told) -> tuple[dict[Tier, SoldNetwork], Told]:
    """What can be sold now, by tier, and the domains as they told themselves, or did `before` where they do not answer.

    A domain that does not answer sells nothing; its links are none of the IP tier's all the same. Nothing is sold until
    each has told once which they are: a link over light looks like any other.
    """
    names = optical_domains_of(controller)
    now = {name: told for name in names if (told := await _asked(controller, name)) is not None}
    known = {name: told for name in names if (told := now.get(name) or before.get(name)) is not None}
    if len(known) < len(names):
        return {}, known
    places = _places(controller)
    found = {Tier.IP: SoldNetwork(without_light(controller.topology.database, known.values()), places)}
    if now:
        apart = _told_apart(now.values())
        found[Tier.OPTICAL] = SoldNetwork(_slots(apart), _at_client_nodes(places, apart))
    return found, known


async def _asked(controller: Controller, name: DeviceName) -> OpticalDomain | None:
    try:
        return await controller.optical.read(name)
    except AccordError:
        return None


def without_light(database: TeDatabase, domains: Collection[OpticalDomain]) -> TeDatabase:
    """The routers' network without the links that the domains bring up."""
    lit = [
        link.id
        for link in database.network.links.values()
        if any(domain.attached_to(link.source) and domain.attached_to(link.target) for domain in domains)
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


def lightable(controller: Controller, domains: Iterable[OpticalDomain], ends: tuple[DeviceName, DeviceName]) -> int:
    """How many links could be lit between two nodes of a domain: those whose client ports have no tunnel."""
    found = 0
    for domain in domains:
        for link in controller.topology.network.links.values():
            ports = [domain.attached_to(end) for end in (link.source, link.target)]
            here = [port for port in ports if port is not None and str(port) not in domain.taken_ports]
            found += tuple(DeviceName(port.node) for port in here) == ends
    return found


def _told_apart(domains: Iterable[OpticalDomain]) -> list[OpticalDomain]:
    """Without those that call a node as one before them does: what is priced there could not be told apart."""
    apart: list[OpticalDomain] = []
    for domain in domains:
        if not any(set(domain.nodes) & set(other.nodes) for other in apart):
            apart.append(domain)
    return apart


def _slots(domains: Sequence[OpticalDomain]) -> TeDatabase:
    """All of them as one network, between whose parts no path leads. Slots that are taken are the load."""
    parts = [as_te_database(domain) for domain in domains]
    network = Network.of(
        (node for part in parts for node in part.network.nodes.values()),
        (link for part in parts for link in part.network.links.values()),
    )
    reserved: dict[str, Reservation] = {}
    for name, taken in (pair for part in parts for pair in part.reservations.items()):
        # A service that moves from one domain to another has light in both for a while.
        links = (*reserved[name].links, *taken.links) if name in reserved else taken.links
        reserved[name] = Reservation(links, taken.bit_rate)
    database = TeDatabase(network, reserved)
    loads = zip(database.network.arcs.ids, database.reserved_rates, strict=True)
    return database.with_measurements({link: Measurement(load=BitRate(rate)) for link, rate in loads})


def _at_client_nodes(places: Mapping[str, DeviceName], domains: Sequence[OpticalDomain]) -> dict[str, DeviceName]:
    """Routers and their cities by the nodes of the domains that they are attached to: the first's, of several."""
    ports = [port for domain in domains for port in domain.client_ports]
    at = {port.attached.node: DeviceName(port.node) for port in reversed(ports)}
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
