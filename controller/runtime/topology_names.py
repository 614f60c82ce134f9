"""Owns how people name what is in the network: a link by its id, by one of its ports, or by its two routers."""

from controller.mapping.tunnel_paths import Avoidance
from controller.model.errors import NotFoundError
from controller.model.identifiers import DeviceName
from controller.topology.network import LinkId, Network


def links_named(network: Network, words: str) -> frozenset[LinkId]:
    """Both directions of `a:port>b:port`, of the wire at `a:port`, or of every wire between two routers, `a-b`."""
    links = network.links.values()
    ends = _pairs(network, words)
    found = {
        link.id
        for link in links
        if words in {link.id, str(link.source)} or (link.source.node, link.target.node) in ends
    }
    if not found:
        raise NotFoundError(
            f"the network has no link '{words}'",
            remedy="write it like 'a:port', 'a-b' or 'a:port>b:port'; list them: accord topology",
            path=words,
        )
    return network.both_directions(found)


def avoidance(network: Network, words: tuple[str, ...]) -> Avoidance:
    """What is named by routers and links."""
    nodes = frozenset(DeviceName(word) for word in words if word in network.nodes)
    links = [links_named(network, word) for word in words if word not in nodes]
    return Avoidance(frozenset().union(*links), nodes)


def _pairs(network: Network, words: str) -> set[tuple[str, str]]:
    """Names of routers hold hyphens themselves, so every one of them may be the one between."""
    splits = [(words[:at], words[at + 1 :]) for at, character in enumerate(words) if character == "-"]
    return {(a, b) for a, b in splits if a in network.nodes and b in network.nodes}
