"""Owns risk groups: the things that can fail, each with the elements of the network that fail with it.

A link, a node, a shared risk link group (RFC 8795 section 4) and a line card. Elements are directed links by their name
in RFC 8345 words and nodes by theirs, so that a path is a set of elements and what it shares with a group is a set too.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from controller.model.identifiers import DeviceName
from controller.topology.network import LinkId, Network


class RiskKind(StrEnum):
    """What kind of thing fails."""

    LINK = "link"
    NODE = "node"
    SRLG = "srlg"
    LINE_CARD = "line-card"


@dataclass(frozen=True, slots=True)
class RiskGroup:
    """Elements that fail together. `direction` is set where only that direction of a link fails."""

    kind: RiskKind
    name: str
    elements: frozenset[str]
    direction: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def risk_groups(network: Network, cards: Mapping[str, Iterable[LinkId]] | None = None) -> tuple[RiskGroup, ...]:
    """Everything of the network that can fail. `cards` says which links end on each line card, in either direction."""
    wires = {wire_name(network, link_id): network.both_directions([link_id]) for link_id in sorted(network.links)}
    return (
        *(group for name, wire in wires.items() for group in _link_groups(name, wire)),
        *(RiskGroup(RiskKind.NODE, node, _node_elements(network, node)) for node in sorted(network.nodes)),
        *(RiskGroup(RiskKind.SRLG, str(srlg), elements) for srlg, elements in _shared_risks(network).items()),
        *(
            RiskGroup(RiskKind.LINE_CARD, card, frozenset(network.both_directions(links)))
            for card, links in (cards or {}).items()
        ),
    )


def wire_name(network: Network, link_id: LinkId) -> LinkId:
    """One name for both directions of a link: the first of the two in the order of the alphabet."""
    return min(network.both_directions([link_id]))


def _link_groups(name: LinkId, wire: frozenset[LinkId]) -> Iterator[RiskGroup]:
    yield RiskGroup(RiskKind.LINK, name, frozenset(wire))
    if len(wire) > 1:
        for link_id in sorted(wire):
            yield RiskGroup(RiskKind.LINK, name, frozenset({link_id}), direction=link_id)


def _node_elements(network: Network, node: DeviceName) -> frozenset[str]:
    leaving = [link.id for link in network.out_of(node)]
    return frozenset({node, *leaving, *(link.id for link in network.links.values() if link.target.node == node)})


def _shared_risks(network: Network) -> Mapping[int, frozenset[str]]:
    found: dict[int, set[str]] = {}
    for link in network.links.values():
        for srlg in link.srlgs:
            found.setdefault(srlg, set()).add(link.id)
    return {srlg: frozenset(found[srlg]) for srlg in sorted(found)}
