"""Owns reading the addressing of an access and its liveness check (RFC 8299 6.3.2.2, ip-connection)."""

import ipaddress
from collections.abc import Mapping

from controller.mapping.network_model import BfdSession, DhcpPool, IpConnection
from controller.mapping.reader import Reader
from controller.model.errors import InvalidInputError

FAMILIES = ("ipv4", "ipv6")
DEFAULT_DETECTION_MILLISECONDS = 900
_LENGTHS = {"ipv4": 32, "ipv6": 128}
AUTOMATIC = "automatic"
"""`advertised_prefix` of a SLAAC connection until a prefix is allocated."""


def read_connections(access: Reader) -> tuple[IpConnection, ...]:
    """The addressing of each family that is enabled."""
    holder = access.child("ip-connection")
    found = tuple(filter(None, (_read_family(holder.child(family), family) for family in FAMILIES)))
    if not found:
        raise InvalidInputError(
            "the access has no address family", path=holder.path, remedy="give ipv4 or ipv6 an allocation type"
        )
    return found


def _read_family(reader: Reader, family: str) -> IpConnection | None:
    kind = reader.identity("address-allocation-type")
    if not kind:
        return None
    if kind == "static-address":
        return _static(reader.child("addresses"), family)
    if kind == "provider-dhcp-relay":
        return _relay(reader.child("dhcp-relay"), family)
    if kind == "provider-dhcp" or (kind == "provider-dhcp-slaac" and family == "ipv6"):
        return _server(reader.child("provider-dhcp"), family, slaac=kind == "provider-dhcp-slaac")
    if kind == "slaac" and family == "ipv6":
        return IpConnection(family, AUTOMATIC, 64, advertised_prefix=AUTOMATIC)
    raise reader.refuse("address-allocation-type", f"'{kind}' is not offered for {family}")


def _subnet(reader: Reader, family: str) -> tuple[str, int]:
    provider = reader.address("provider-address", family)
    if not provider:
        raise reader.wrong("provider-address", "the provider's address is needed", "add it")
    length = reader.integer("prefix-length", 1, _LENGTHS[family])
    if length is None:
        raise reader.wrong("prefix-length", "the length of the subnet is needed", "add it")
    return provider, length


def _static(reader: Reader, family: str) -> IpConnection:
    provider, length = _subnet(reader, family)
    customer = reader.address("customer-address", family)
    if customer and (customer == provider or not _contains(provider, length, customer)):
        raise reader.wrong("customer-address", f"{customer} is not another address of {provider}/{length}")
    return IpConnection(family, provider, length, customer_address=customer)


def _contains(provider: str, length: int, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(f"{provider}/{length}", strict=False)


def _relay(reader: Reader, family: str) -> IpConnection:
    provider, length = _subnet(reader, family)
    servers = reader.child("customer-dhcp-servers").addresses("server-ip-address", family)
    if not servers:
        raise reader.wrong("customer-dhcp-servers", "a relay needs a server to relay to", "add server-ip-address")
    return IpConnection(family, provider, length, relay_servers=servers)


def _server(reader: Reader, family: str, *, slaac: bool) -> IpConnection:
    provider, length = _subnet(reader, family)
    pools = tuple(
        _pool(entry, family) for entry in reader.child("customer-addresses").entries("address-group", "group-id")
    )
    count = reader.integer("number-of-dynamic-address", 1, 2**16 - 1)
    if pools and count is not None:
        raise reader.refuse("number-of-dynamic-address", "either a number of addresses or groups of them")
    prefix = str(ipaddress.ip_network(f"{provider}/{length}", strict=False))
    return IpConnection(
        family,
        provider,
        length,
        dhcp_addresses=None if pools else count or 1,
        dhcp_pools=pools,
        advertised_prefix=prefix if slaac else "",
        managed=family == "ipv6",
    )


def _pool(entry: Reader, family: str) -> DhcpPool:
    start = entry.address("start-address", family)
    end = entry.address("end-address", family)
    if not start and not end:
        raise InvalidInputError("the group has no address", path=entry.path, remedy="add start-address")
    first, last = start or end, end or start
    if int(ipaddress.ip_address(first)) > int(ipaddress.ip_address(last)):
        raise entry.wrong("end-address", f"{last} is before {first}")
    return DhcpPool(entry.required("group-id"), first, last)


def read_bfd(
    access: Reader, connections: tuple[IpConnection, ...], profiles: Mapping[str, int]
) -> tuple[BfdSession, ...]:
    """Liveness sessions with the customer's addresses; empty when not asked for."""
    bfd = access.child("ip-connection").child("oam").child("bfd")
    if not bfd.boolean("enabled", default=False):
        return ()
    milliseconds = bfd.integer("fixed-value", 1, 2**32 - 1)
    profile = bfd.text("profile-name")
    if profile:
        if profile not in profiles:
            raise bfd.wrong("profile-name", f"there is no BFD profile '{profile}'", _choices(profiles))
        milliseconds = profiles[profile]
    addresses = [connection.customer_address for connection in connections if connection.customer_address]
    if not addresses:
        raise bfd.refuse("enabled", "BFD needs the customer's address", "give a static customer-address")
    return tuple(BfdSession(address, milliseconds or DEFAULT_DETECTION_MILLISECONDS) for address in addresses)


def _choices(names: Mapping[str, object]) -> str:
    return f"use one of: {', '.join(sorted(names))}" if names else "none is defined"
