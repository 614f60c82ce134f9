"""Owns measuring links: a STAMP session (RFC 8762) over each link to the router at its end, which tells its delay.

Test packets take the link's own segment (RFC 9503) and come back as the network likes: what counts is the way there.
"""

from collections.abc import Iterable, Mapping

from controller.mapping.tunnel import TunnelProbe, probe_lines
from controller.model.identifiers import DeviceName, Owner
from controller.model.yang_path import Path
from controller.topology.network import Network

PROBES = Owner("topology/probes")
LINK_MILLISECONDS = 1000
_FIRST_SESSION = 100


def link_probes(network: Network, taken: Mapping[DeviceName, Iterable[int]]) -> Mapping[DeviceName, Mapping[Path, str]]:
    """By router, sessions over its links; `taken` are the numbers of sessions that others have there."""
    return {name: _of_router(network, name, set(taken.get(name, ()))) for name in network.nodes}


def _of_router(network: Network, name: DeviceName, taken: set[int]) -> Mapping[Path, str]:
    lines: dict[Path, str] = {}
    number = _FIRST_SESSION
    for link in network.out_of(name):
        endpoint = network.nodes[link.target.node].endpoint
        if not link.segment or not endpoint:
            continue
        while number in taken:
            number += 1
        lines.update(probe_lines(endpoint, TunnelProbe(number, (link.segment,)), LINK_MILLISECONDS))
        number += 1
    return lines
