"""Where traffic starts and ends: the words of a user become an attachment and an address behind it.

Owns reading `ROUTER:INTERFACE`, or a router and a VPN, against what the router's configuration has. The address is one
that the rest of the VPN can reach: of a network behind the customer's router (a static route), else of the interface's
own subnet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_interface, ip_network
from itertools import islice

from lab.planes import Attachment, Interface, RouterForwarding
from lab.traffic.hosts import TrafficError


def find_attachment(
    words: str, forwarding: RouterForwarding, *, vpn: str = "", version: int | None = None
) -> Attachment:
    """The attachment that `ROUTER[:INTERFACE]` names, in that VPN when it is given; raises `TrafficError`.

    `version` is the IP version of the address; None takes what there is, IPv4 first.
    """
    router, _, interface = words.partition(":")
    found = _named(router, interface, forwarding) if interface else _only(router, vpn, forwarding)
    behind = {} if found.announce_subnet else dict(_behind(found, forwarding))
    return Attachment(router, found.name, _address(router, found, version, behind))


def router_of(words: str) -> str:
    """The router that `ROUTER[:INTERFACE]` names."""
    return words.partition(":")[0]


def _named(router: str, name: str, forwarding: RouterForwarding) -> Interface:
    customers = dict(_customer_interfaces(forwarding))
    if name not in customers:
        what = "is in no VPN" if name in forwarding.interfaces else "is not configured"
        raise TrafficError(f"{router}: interface {name} {what} (in a VPN: {', '.join(sorted(customers)) or 'none'})")
    return customers[name]


def _only(router: str, vpn: str, forwarding: RouterForwarding) -> Interface:
    if not vpn:
        known = ", ".join(f"{router}:{name}" for name, _ in sorted(_customer_interfaces(forwarding)))
        raise TrafficError(f"{router}: say which interface, or which VPN with --vpn (interfaces: {known or 'none'})")
    instances = [instance for instance in forwarding.instances if instance.name == vpn]
    if not instances:
        known = ", ".join(sorted(instance.name for instance in forwarding.instances))
        raise TrafficError(f"{router}: there is no VPN {vpn} (its VPNs: {known or 'none'})")
    for name in sorted(instances[0].interfaces):
        return forwarding.interfaces[name]
    raise TrafficError(f"{router}: VPN {vpn} has no interface there: give it a site on {router}")


def _customer_interfaces(forwarding: RouterForwarding) -> Iterator[tuple[str, Interface]]:
    for instance in forwarding.instances:
        for name in sorted(instance.interfaces):
            if name in forwarding.interfaces:
                yield name, forwarding.interfaces[name]


def _behind(interface: Interface, forwarding: RouterForwarding) -> Iterator[tuple[int, str]]:
    """By IP version, an address of a network that static routes lead to over the interface."""
    subnets = [ip_interface(address).network for address in interface.addresses]
    for instance in forwarding.instances:
        for route in instance.static_routes if interface.name in instance.interfaces else ():
            hop, network = ip_address(route.next_hop), ip_network(route.prefix)
            if any(hop in subnet for subnet in subnets if subnet.version == hop.version):
                yield network.version, str(next(network.hosts()))


def _address(router: str, interface: Interface, version: int | None, behind: Mapping[int, str]) -> str:
    for wanted in (4, 6) if version is None else (version,):
        if wanted in behind:
            return behind[wanted]
        for address in _addresses(interface, wanted):
            return address
    what = "no address" if version is None else f"no IPv{version} address"
    raise TrafficError(f"{router}: interface {interface.name} has {what}: a host behind it cannot have one either")


def _addresses(interface: Interface, version: int) -> Iterator[str]:
    yield from (text for text in interface.neighbours if ip_address(text).version == version)
    for own in map(ip_interface, interface.addresses):
        if own.version == version:
            yield from (str(other) for other in islice(own.network.hosts(), 2) if other != own.ip)
