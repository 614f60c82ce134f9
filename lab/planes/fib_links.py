"""Which links and interfaces carry traffic, as the routers' configurations and the cuts have it.

Owns the rules of carriers: a port is up when it and its far end are enabled and the link is not cut; a sub-interface
follows its port. A silent cut loses packets and takes no carrier away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.planes import Adjacency, Forwarding
from lab.topology import Link, Topology

_NAMED = 10
"""Links that an error names, so that a slip of the pen is seen."""


@dataclass(frozen=True, slots=True)
class NextHop:
    """The way to a neighbour: out of our `port`, over `link`, into `far_port` of `router`."""

    port: str
    link: str
    router: str
    far_port: str


class LinkStates:
    """The links of a network; `forwarding` tells what a configuration asks for."""

    def __init__(self, topology: Topology, forwarding: Forwarding) -> None:
        self._topology = topology
        self._forwarding = forwarding
        self._links = {link.name: link for link in topology.links}
        self._cut: dict[str, bool] = {}
        """Links that are cut, and whether silently."""
        self._enabled_links: dict[str, bool] = {}
        self._ports = {
            node.name: {link.end_at(node.name).port: link for link in topology.links_of(node.name)}
            for node in topology.nodes
        }

    def set_link(self, name: str, *, up: bool, silent: bool = False) -> Link:
        """Cut or restore a link; KeyError when the topology has none of that name."""
        link = self.link(name)
        if up:
            self._cut.pop(name, None)
        else:
            self._cut[name] = silent
        return link

    def link(self, name: str) -> Link:
        """The link of that name; KeyError when the topology has none."""
        try:
            return self._links[name]
        except KeyError:
            known = sorted(self._links)
            shown = ", ".join(known[:_NAMED]) + (", ..." if len(known) > _NAMED else "")
            raise KeyError(f"topology {self._topology.name} has no link {name!r} (its links: {shown})") from None

    def cut(self) -> frozenset[str]:
        """The links that are cut, silently or not."""
        return frozenset(self._cut)

    def ports(self, router: str) -> Mapping[str, Link]:
        """The links of a router by its port."""
        return self._ports[router]

    def has_carrier(self, link: Link) -> bool:
        """Whether both ends are enabled and the link is not cut with its carrier."""
        return self._cut.get(link.name, True) and self._enabled(link)

    def neighbour(self, router: str, port: str) -> NextHop | None:
        """The way over a core port; None while it is down."""
        link = self._ports[router].get(port)
        if link is None or not self.has_carrier(link):
            return None
        end = link.other_end(router)
        return NextHop(port, link.name, end.node, end.port)

    def without_carrier(self) -> frozenset[str]:
        """The links that the routers at their ends see down."""
        return frozenset(link.name for link in self._topology.links if not self.has_carrier(link))

    def loses(self, link: Link) -> bool:
        """Whether every packet on the link is lost."""
        return link.name in self._cut or not self._enabled(link)

    def is_up(self, router: str, name: str) -> bool:
        """Whether an interface carries traffic; False for one that is not configured."""
        configured = self._forwarding(router).interfaces.get(name)
        if configured is None or not configured.enabled:
            return False
        if configured.loopback:
            return True
        if configured.parent:
            return configured.parent != name and self.is_up(router, configured.parent)
        link = self._ports[router].get(name)
        if link is None:
            return name in self._topology.node(router).access_ports
        return self.has_carrier(link)

    def adjacencies(self, router: str) -> tuple[Adjacency, ...]:
        """Neighbours over the core ports that are up."""
        self._topology.node(router)
        found = []
        for port, link in self._ports[router].items():
            if self.has_carrier(link):
                end = link.other_end(router)
                found.append(Adjacency(port, end.node, end.port))
        return tuple(found)

    def configuration_changed(self, router: str) -> None:
        """Look at the ports of the router again."""
        for link in self._topology.links_of(router):
            self._enabled_links.pop(link.name, None)

    def _enabled(self, link: Link) -> bool:
        found = self._enabled_links.get(link.name)
        if found is None:
            ports = (self._forwarding(end.node).interfaces.get(end.port) for end in (link.a, link.b))
            found = self._enabled_links[link.name] = all(port is not None and port.enabled for port in ports)
        return found
