"""A namespace as a router's agent uses it: its descriptor, a netlink socket inside, its devices by name.

Owns what every namespace of a router is set to before anything is put into it.
"""

from __future__ import annotations

import os
from dataclasses import replace

from lab.planes.netns import kernel_links, namespaces
from lab.planes.netns.kernel_links import VethEnd
from lab.planes.netns.netlink import Netlink, Request

_ROUTER_SETTINGS = {
    "ipv4/ip_forward": 1,
    "ipv4/conf/all/rp_filter": 0,
    "ipv4/conf/default/rp_filter": 0,
    "ipv4/conf/all/send_redirects": 0,
    "ipv4/conf/default/send_redirects": 0,
    "ipv4/conf/all/ignore_routes_with_linkdown": 1,
    "ipv4/conf/default/ignore_routes_with_linkdown": 1,
    "ipv6/conf/all/forwarding": 1,
    "ipv6/conf/default/forwarding": 1,
    "ipv6/conf/default/accept_dad": 0,
    "ipv6/conf/default/ignore_routes_with_linkdown": 1,
    "ipv6/conf/all/ignore_routes_with_linkdown": 1,
}
_SEGMENT_SETTINGS = {"ipv6/conf/all/seg6_enabled": 1, "ipv6/conf/default/seg6_enabled": 1}
_FIRST_INDEX = 1000  # those below are the kernel's to choose
_HOST_SETTINGS = {"ipv6/conf/default/accept_dad": 0, "ipv6/conf/default/accept_ra": 0}


class Space:
    """A network namespace that this process keeps alive; its descriptor is closed with it."""

    def __init__(self, descriptor: int, settings: dict[str, int]) -> None:
        self.descriptor = descriptor
        with namespaces.inside(descriptor):
            for path, value in settings.items():
                kernel_links.set_sysctl(path, value)
            self.netlink = Netlink()
        self._indices: dict[str, int] = {}
        self._reserved = _FIRST_INDEX
        self.ask(kernel_links.set_link(self.index("lo"), up=True))

    def ask(self, *requests: Request) -> None:
        """Have the kernel do all that; raises `KernelError` for the first that was refused."""
        self.netlink.ask(*requests)

    def index(self, device: str) -> int:
        """The index of a device; KeyError when the namespace has none of that name."""
        if device not in self._indices:
            self._indices = {name: notice.index for name, notice in kernel_links.links(self.netlink).items()}
        return self._indices[device]

    def reserve(self, device: str) -> int:
        """An index for a device about to be made: asking the kernel afterwards would list all there are."""
        self._reserved += 1
        self._indices[device] = self._reserved
        return self._reserved

    def forget(self, device: str) -> None:
        """Take notice that a device is gone."""
        self._indices.pop(device, None)

    def add_pair(self, near: VethEnd, far: VethEnd, there: Space) -> tuple[int, int]:
        """Make a pair whose near end is here and whose far end is there, both up; their indices."""
        one, other = self.reserve(near.name), there.reserve(far.name)
        elsewhere = -1 if there is self else there.descriptor
        self.ask(
            kernel_links.add_veth(replace(near, index=one), replace(far, index=other, namespace=elsewhere)),
            kernel_links.set_link(one, up=True),
        )
        there.ask(kernel_links.set_link(other, up=True))
        return one, other

    def close(self) -> None:
        """Let the namespace go."""
        self.netlink.close()
        os.close(self.descriptor)


def core_space() -> Space:
    """The namespace this process is in, as a router of the core."""
    return Space(namespaces.network_of_self(), {**_ROUTER_SETTINGS, **_SEGMENT_SETTINGS})


def vrf_space() -> Space:
    """A new namespace that routes; customers' segment headers mean nothing in it."""
    return Space(namespaces.made_network(), _ROUTER_SETTINGS)


def host_space() -> Space:
    """A new namespace of a customer."""
    return Space(namespaces.made_network(), _HOST_SETTINGS)
