"""Owns the values that an intent leaves open and L3SM wants: addresses of links and LANs, MTU, AS numbers."""

import ipaddress
from dataclasses import dataclass

from controller.model.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class AddressPlan:
    """What an intent leaves open. Prefixes are cut into equal pieces, the n-th site of a VPN gets the n-th."""

    links4: str = "172.16.0.0/12"
    links6: str = "fd00:acc1::/48"
    lans4: str = "10.0.0.0/8"
    lans6: str = "fd00:acc2::/48"
    mtu: int = 1500
    customer_asn: int = 64512
    ospf_area: str = "0.0.0.0"  # noqa: S104 - the backbone area, not an address to bind
    dynamic_addresses: int = 100
    two_accesses_above_ppm: int = 999_900
    """Above this availability a site gets two accesses on different routers."""

    def link(self, family: str, number: int) -> tuple[str, str, int]:
        """Provider's address, customer's address and prefix length of a link."""
        length = 30 if family == "ipv4" else 126
        subnet = _piece(self.links4 if family == "ipv4" else self.links6, length, number)
        return str(subnet[1]), str(subnet[2]), length

    def lan(self, family: str, number: int) -> str:
        """LAN of a site."""
        return str(_piece(self.lans4 if family == "ipv4" else self.lans6, 24 if family == "ipv4" else 64, number))


def _piece(prefix: str, length: int, number: int) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    whole = ipaddress.ip_network(prefix)
    base = int(whole.network_address) + (number << (whole.max_prefixlen - length))
    if number >> (length - whole.prefixlen):
        raise InvalidInputError(
            f"{prefix} has no piece number {number}", remedy="give the address plan larger prefixes"
        )
    if isinstance(whole, ipaddress.IPv4Network):
        return ipaddress.IPv4Network((base, length))
    return ipaddress.IPv6Network((base, length))
