"""Published topologies by name, from the `topohub` package: SNDlib, Topology Zoo, CAIDA, Gabriel graphs, backbones.

Owns the way from a topohub graph to a lab `Topology`: router names, roles and ports, demands, line rates and shared
conduits that the package leaves out, and the cut or growth to a number of routers. Deterministic: name and number of
routers decide everything.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.topology import (
    Demand,
    Link,
    Node,
    PortRef,
    Role,
    Site,
    Topology,
    TopologyError,
    fibre_delay_seconds,
    great_circle_kilometres,
)
from lab.topology_traffic import (
    LINE_RATES,
    Edge,
    Graph,
    gravity_demands,
    line_rate_for,
    scale_to_largest_rate,
    shared_conduits,
    shortest_path_loads,
)

ACCESS_PORTS = 8
_HOME_LINK_SECONDS = 5e-6  # a kilometre of fibre inside a city
_KILOMETRES_PER_DEGREE = 111.2
# The one country of a national network; topohub names cities only.
_COUNTRIES = {
    "abilene": "US",
    "brain": "DE",
    "dfn-bwin": "DE",
    "dfn-gwin": "DE",
    "france": "FR",
    "germany50": "DE",
    "india35": "IN",
    "janos-us": "US",
    "newyork": "US",
    "nobel-germany": "DE",
    "nobel-us": "US",
    "norway": "NO",
    "polska": "PL",
}


@dataclass(frozen=True, slots=True)
class _Published:
    """A topohub graph under router names: sites in the published order, edges without loops and doubles."""

    name: str
    sites: dict[str, Site]
    waypoints: frozenset[str]
    kilometres: dict[Edge, float]
    demands: dict[tuple[str, str], float]


def topohub_topology(name: str, *, routers: int | None = None) -> Topology:
    """The topology that topohub calls `name`, such as `sndlib/germany50`, with that many routers.

    Fewer routers than published: the part around the best connected router. More: further provider edges at the same
    sites, each on two routers. Raises `TopologyError` for an unknown name or a number below 2.
    """
    if routers is not None and routers < 2:
        raise TopologyError(name, [f"a network has at least 2 routers, not {routers}"])
    published = _read(name)
    if routers is not None and routers < len(published.sites):
        published = _cut(published, routers)
    core = _core(published)
    return core if routers is None else _grown(core, routers)


def _read(name: str) -> _Published:
    document = _topohub_document(name)
    names = _router_names(document["nodes"])
    short = name.rpartition("/")[2]
    sites, waypoints = {}, set()
    per_degree = _units_per_degree(document["nodes"])
    for entry in document["nodes"]:
        router = names[entry["id"]]
        longitude, latitude = (coordinate / per_degree for coordinate in entry["pos"])
        city = entry.get("name") or f"{short} {entry['id']}"
        sites[router] = Site(city, _COUNTRIES.get(short, ""), latitude, longitude, router.upper())
        if "Waypoint" in entry.get("type", ""):
            waypoints.add(router)
    kilometres: dict[Edge, float] = {}
    for entry in document["edges"]:
        a, b = names[entry["source"]], names[entry["target"]]
        if a != b and (b, a) not in kilometres:
            kilometres.setdefault((a, b), max(0.1, float(entry["dist"])))
    demands = {
        (names[source], names[target]): float(rate)
        for source, targets in document["graph"]["demands"].items()
        for target, rate in targets.items()
    }
    return _Published(name, sites, frozenset(waypoints), kilometres, demands)


def _topohub_document(name: str) -> Mapping[str, Any]:
    try:
        import topohub
    except ImportError as error:
        raise TopologyError(name, ["topohub is not installed: pip install 'accord[lab]'"]) from error
    if not re.fullmatch(r"[a-z0-9]+(/[A-Za-z0-9_-]+)+", name):
        raise TopologyError(name, ["it is neither a file nor a topohub name such as sndlib/germany50"])
    try:
        document: Mapping[str, Any] = topohub.get(name)
    except KeyError as error:
        message = "topohub has no topology of that name (try sndlib/germany50, topozoo/Abilene or backbone/emea)"
        raise TopologyError(name, [message]) from error
    return document


def _units_per_degree(entries: list[dict[str, Any]]) -> float:
    """1 for positions in degrees; the kilometres of a degree for synthetic graphs, which lie on a plane."""
    planar = any(abs(entry["pos"][0]) > 180 or abs(entry["pos"][1]) > 90 for entry in entries)
    return _KILOMETRES_PER_DEGREE if planar else 1.0


def _router_names(entries: list[dict[str, Any]]) -> dict[object, str]:
    """A host name for each node: the city's letters and digits, numbered where a city has several routers."""
    slugs = {entry["id"]: _slug(entry.get("name") or "") or f"n{entry['id']}" for entry in entries}
    times = Counter(slugs.values())
    taken = {slug for slug in slugs.values() if times[slug] == 1}
    names: dict[object, str] = {}
    for identifier, slug in slugs.items():
        name, number = slug, 0
        while times[slug] > 1 and (number == 0 or name in taken):
            number += 1
            name = f"{slug}-{number}"
        taken.add(name)
        names[identifier] = name
    return names


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40]


def _cut(published: _Published, routers: int) -> _Published:
    """The part reached first, breadth first, from the router with most links."""
    neighbours = Graph(tuple(published.sites), published.kilometres).neighbours()
    kept = [min(neighbours, key=lambda node: (-len(neighbours[node]), node))]
    for node in kept:
        kept += [near for near, _ in neighbours[node] if near not in kept][: routers - len(kept)]
    keep = set(kept)
    return _Published(
        published.name,
        {node: site for node, site in published.sites.items() if node in keep},
        published.waypoints & keep,
        {edge: length for edge, length in published.kilometres.items() if keep.issuperset(edge)},
        {ends: rate for ends, rate in published.demands.items() if keep.issuperset(ends)},
    )


def _core(published: _Published) -> Topology:
    graph = Graph(tuple(published.sites), published.kilometres)
    demands = published.demands or gravity_demands(graph, seed=published.name)
    loads = shortest_path_loads(graph, demands)
    scale = scale_to_largest_rate(loads)
    conduits = shared_conduits(published.kilometres, published.sites)
    degree: Counter[str] = Counter()
    links = []
    for (a, b), kilometres in published.kilometres.items():
        ends = PortRef(a, f"core{degree[a]}"), PortRef(b, f"core{degree[b]}")
        degree.update((a, b))
        rate = line_rate_for(loads[a, b] * scale)
        links.append(Link(f"{a}--{b}", *ends, rate, fibre_delay_seconds(kilometres), conduits[a, b]))
    nodes = tuple(
        _node(name, site, name in published.waypoints, degree[name]) for name, site in published.sites.items()
    )
    traffic = tuple(Demand(*ends, round(rate * scale)) for ends, rate in demands.items())
    return Topology(published.name, nodes, tuple(links), traffic)


def _node(name: str, site: Site, waypoint: bool, links: int) -> Node:
    core_ports = tuple(f"core{index}" for index in range(links))
    if waypoint:
        return Node(name, Role.P, site, core_ports)
    return Node(name, Role.PE, site, core_ports, tuple(f"access{index}" for index in range(ACCESS_PORTS)))


def _grown(core: Topology, routers: int) -> Topology:
    """`core` with provider edges added round the sites until it has that many routers, each on two core routers."""
    extra = routers - len(core.nodes)
    if extra <= 0:
        return core
    ports = {node.name: list(node.core_ports) for node in core.nodes}
    added, links = [], list(core.links)
    taken = set(ports)
    for index in range(extra):
        home = core.nodes[index % len(core.nodes)]
        name = _free_name(f"{home.name}-e{index // len(core.nodes) + 1}", taken)
        parents = _parents(core, home)
        added.append(_node(name, home.site, waypoint=False, links=len(parents)))
        for number, parent in enumerate(parents):
            port = f"core{len(ports[parent.name])}"
            ports[parent.name].append(port)
            delay = _HOME_LINK_SECONDS + _ground_delay(home, parent)
            ends = PortRef(name, f"core{number}"), PortRef(parent.name, port)
            links.append(Link(f"{name}--{parent.name}", *ends, LINE_RATES[0], delay))
    nodes = tuple(
        Node(n.name, n.role, n.site, tuple(ports[n.name]), n.access_ports, n.access_bit_rate) for n in core.nodes
    )
    return Topology(core.name, (*nodes, *added), tuple(links), core.demands)


def _free_name(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "x"
    taken.add(name)
    return name


def _parents(core: Topology, home: Node) -> list[Node]:
    near = [core.node(link.other_end(home.name).node) for link in core.links_of(home.name)]
    near.sort(key=lambda node: (great_circle_kilometres(home.site, node.site), node.name))
    return [home, *near[:1]]


def _ground_delay(home: Node, parent: Node) -> float:
    if parent is home:
        return 0.0
    return fibre_delay_seconds(great_circle_kilometres(home.site, parent.site))
