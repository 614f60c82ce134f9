"""What the forwarding lab needs of a kernel, found out by doing it in a namespace that goes away.

Owns the list; an OSError names what is refused and what to do about it.
"""

from __future__ import annotations

from ipaddress import IPv6Network
from pathlib import Path
from socket import AF_INET, AF_INET6

from lab.planes.netns import kernel_links, kernel_queues, kernel_routes
from lab.planes.netns.netlink import KernelError, Netlink, Request

_SEGMENTS = ("fc00:0:2:a000::", "fc00:0:3:1::4")


def probe() -> None:
    """Try everything once, in the namespace that the thread is in; raises OSError for what does not work."""
    try:
        Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1", encoding="utf-8")
    except OSError as error:
        raise OSError(error.errno, f"routing cannot be switched on ({error}): is /proc/sys writable?") from error
    netlink = Netlink()
    try:
        pair = kernel_links.add_veth(kernel_links.VethEnd("probe0"), kernel_links.VethEnd("probe1"))
        _try(netlink, "virtual Ethernet pairs (CONFIG_VETH)", pair)
        found = kernel_links.links(netlink)
        near, far = found["probe0"].index, found["probe1"].index
        _try(netlink, "interfaces", *(kernel_links.set_link(index, up=True) for index in (near, far)))
        for need, requests in _needs(near, far).items():
            _try(netlink, need, *requests)
        netlink.ask(kernel_links.delete_link(near))
    finally:
        netlink.close()


def _needs(near: int, far: int) -> dict[str, tuple[Request, ...]]:
    return {
        "IPv6 with segment routing (CONFIG_IPV6_SEG6_LWTUNNEL)": (
            kernel_routes.end("fc00:0:1:e000::", near),
            kernel_routes.end_x("fc00:0:1:a000::", near, "fdff::2"),
            kernel_routes.end_dt4("fc00:0:1:1::4", near),
            kernel_routes.end_dt6("fc00:0:1:1::6", near),
        ),
        "nexthop objects (Linux 5.3 or newer)": (
            kernel_routes.encapsulating_nexthop(1, AF_INET, near, _SEGMENTS),
            kernel_routes.encapsulating_nexthop(2, AF_INET6, near, _SEGMENTS),
            kernel_routes.nexthop_group(3, [(1, 1)]),
            kernel_routes.route_over_nexthop("10.0.0.0/24", 3),
        ),
        "rate limits (CONFIG_NET_SCH_TBF)": (kernel_queues.limit_rate(near, 10**7, 0.05),),
        "filters (CONFIG_NET_CLS_U32, CONFIG_NET_ACT_MIRRED)": (
            kernel_queues.take_ingress(near),
            kernel_queues.pass_destinations(near, far, IPv6Network("fc00::/16")),
        ),
    }


def _try(netlink: Netlink, need: str, *requests: Request) -> None:
    try:
        netlink.ask(*requests)
    except KernelError as error:
        raise OSError(error.errno, f"this kernel has no {need}: {error.strerror}") from error
