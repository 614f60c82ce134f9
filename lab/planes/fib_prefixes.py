"""Addresses and prefixes as routing tables need them: the longest match, hosts, subnets.

Owns the one place where addresses of configurations are parsed; texts repeat, so what was parsed is remembered.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Generic, TypeVar

_T = TypeVar("_T")
_REMEMBERED = 65_536  # of a network of a thousand routers, parsed once


@lru_cache(maxsize=_REMEMBERED)
def host(address: str) -> str:
    """The address without its prefix length, in canonical form."""
    return str(ipaddress.ip_interface(address).ip)


@lru_cache(maxsize=_REMEMBERED)
def subnet(address: str) -> str:
    """The prefix that an address with prefix length lies in."""
    return str(ipaddress.ip_interface(address).network)


def covers(addresses: Iterable[str], peer: str) -> bool:
    """Whether `peer` lies in the subnet of one of the addresses."""
    version, value = _number(peer)
    return any(
        found == version and value >> shift == network
        for found, network, shift in map(_network, map(subnet, addresses))
    )


def prefix_order(prefix: str) -> tuple[int, int, int]:
    """A sort key: IPv4 first, then by address, then the wider first."""
    version, network, shift = _network(prefix)
    return version, network << shift, -shift


class PrefixTable(Generic[_T]):
    """Values by prefix; a look-up finds the value of the longest prefix that holds the address."""

    def __init__(self, values: Mapping[str, _T]) -> None:
        self._levels: dict[tuple[int, int], dict[int, _T]] = {}
        for prefix, value in values.items():
            version, network, shift = _network(prefix)
            self._levels.setdefault((version, shift), {})[network] = value
        self._order = sorted(self._levels)  # the smallest shift is the longest prefix

    def lookup(self, address: str) -> _T | None:
        """The value of the longest prefix that holds the address, None when none does."""
        wanted, number = _number(address)
        for version, shift in self._order:
            if version == wanted:
                found = self._levels[version, shift].get(number >> shift)
                if found is not None:
                    return found
        return None


@lru_cache(maxsize=_REMEMBERED)
def _number(address: str) -> tuple[int, int]:
    found = ipaddress.ip_interface(address).ip
    return found.version, int(found)


@lru_cache(maxsize=_REMEMBERED)
def _network(prefix: str) -> tuple[int, int, int]:
    found = ipaddress.ip_network(prefix, strict=False)
    shift = found.max_prefixlen - found.prefixlen
    return found.version, int(found.network_address) >> shift, shift
