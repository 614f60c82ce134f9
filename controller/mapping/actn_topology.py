"""Owns a domain's topology as it is shown to a customer: ietf-network and ietf-te-topology (RFC 8345, RFC 8795).

White, grey and black differ in what they hold, not in form. Grey hides the inside: its links carry what the best way
between two borders has, and neither risk groups nor colours, which would tell how the inside is built.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import permutations

from controller.mapping.actn import Abstraction, DomainView, Json, te_bandwidth, te_node_ids, uri
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.constraints import Objective, PathRequest
from controller.topology.network import Link
from controller.topology.paths import NoPathError, shortest_path
from controller.topology.te_database import TeDatabase

_MICROSECONDS = 10**6
_PRIORITY = 7
_BLACK_NODE_ID = "0.0.0.1"


def networks_document(networks: Iterable[Json]) -> Json:
    """All networks as the content of ietf-network:networks."""
    return {"ietf-network:networks": {"network": list(networks)}}


def domain_network(view: DomainView, abstraction: Abstraction) -> Json:
    """The domain as one network; its name tells the abstraction unless that is white."""
    network_id = view.name if abstraction is Abstraction.WHITE else f"{view.name}-{abstraction}"
    writers = {Abstraction.WHITE: _white, Abstraction.GREY: _grey, Abstraction.BLACK: _black}
    nodes, links = writers[abstraction](view)
    return network_frame(network_id, nodes, links)


def network_frame(network_id: str, nodes: list[Json], links: list[Json]) -> Json:
    """A TE network of these nodes and links."""
    return {
        "network-id": uri(network_id),
        "network-types": {"ietf-te-topology:te-topology": {}},
        "ietf-te-topology:te-topology-identifier": {"provider-id": 1, "client-id": 1, "topology-id": network_id},
        "ietf-te-topology:te": {"name": network_id},
        "node": nodes,
        **({"ietf-network-topology:link": links} if links else {}),
    }


def node_entry(
    name: str, te_node_id: str, ports: Iterable[str], *, is_abstract: bool = False, **attributes: Json
) -> Json:
    """A node and its termination points, which are numbered in their order."""
    marks = {"is-abstract": [None]} if is_abstract else {}
    return {
        "node-id": uri(name),
        "ietf-te-topology:te-node-id": te_node_id,
        "ietf-te-topology:te": {
            "te-node-attributes": {"admin-status": "up", "name": name, **marks, **attributes},
            "oper-status": "up",
        },
        "ietf-network-topology:termination-point": [
            {
                "tp-id": uri(port),
                "ietf-te-topology:te-tp-id": number,
                "ietf-te-topology:te": {"admin-status": "up", "name": port},
            }
            for number, port in enumerate(ports, start=1)
        ],
    }


def _white(view: DomainView) -> tuple[list[Json], list[Json]]:
    database, ids = view.database, te_node_ids(view)
    links = list(database.network.links.values())
    inner: dict[DeviceName, dict[str, None]] = {name: {} for name in database.network.arcs.nodes}
    for link in links:
        for end in (link.source, link.target):
            inner[end.node][end.name] = None
    nodes = [node_entry(name, ids[name], [*ports, *view.access_ports.get(name, ())]) for name, ports in inner.items()]
    return nodes, [_link_entry(link, _attributes(database, link), is_up=database.is_up(link.id)) for link in links]


def _grey(view: DomainView) -> tuple[list[Json], list[Json]]:
    ids, reached = te_node_ids(view), dict(_ways(view))
    ports = {name: [f"to-{other}" for one, other in reached if one == name] for name in view.borders}
    nodes = [
        node_entry(name, ids[name], [*view.access_ports[name], *ports[name]], is_abstract=True) for name in view.borders
    ]
    return nodes, [_abstract_link(*ends, *content) for ends, content in reached.items()]


def _black(view: DomainView) -> tuple[list[Json], list[Json]]:
    ports = [f"{name}:{port}" for name in view.borders for port in view.access_ports[name]]
    matrices = {"is-allowed": True}
    return [node_entry(view.name, _BLACK_NODE_ID, ports, is_abstract=True, **{"connectivity-matrices": matrices})], []


def _ways(view: DomainView) -> Iterator[tuple[tuple[DeviceName, DeviceName], tuple[BitRate, float]]]:
    """What the way of least delay has, between each two borders that have one."""
    for source, target in permutations(view.borders, 2):
        try:
            path = shortest_path(view.database, PathRequest(source, target, objective=Objective.DELAY))
        except NoPathError:
            continue
        left = min(view.database.residual(link_id) for link_id in path.link_ids)
        yield (source, target), (left, view.database.path_delay_seconds(path))


def _abstract_link(source: DeviceName, target: DeviceName, left: BitRate, delay_seconds: float) -> Json:
    attributes = {"is-abstract": [None], **_bandwidths(left, left), "te-delay-metric": _microseconds(delay_seconds)}
    return _entry(f"{source}>{target}", (source, f"to-{target}"), (target, f"to-{source}"), attributes, is_up=True)


def _link_entry(link: Link, attributes: Mapping[str, Json], *, is_up: bool) -> Json:
    source, target = ((end.node, end.name) for end in (link.source, link.target))
    return _entry(link.id, source, target, attributes, is_up=is_up)


def _entry(
    name: str, source: tuple[str, str], target: tuple[str, str], attributes: Mapping[str, Json], *, is_up: bool
) -> Json:
    return {
        "link-id": uri(name),
        "source": {"source-node": uri(source[0]), "source-tp": uri(source[1])},
        "destination": {"dest-node": uri(target[0]), "dest-tp": uri(target[1])},
        "ietf-te-topology:te": {
            "te-link-attributes": {"name": name, "access-type": "point-to-point", "admin-status": "up", **attributes},
            "oper-status": "up" if is_up else "down",
        },
    }


def _attributes(database: TeDatabase, link: Link) -> dict[str, Json]:
    attributes = {
        **_bandwidths(link.capacity, database.residual(link.id)),
        "te-delay-metric": _microseconds(database.delay_seconds(link.id)),
        "te-igp-metric": link.metric,
    }
    if link.admin_group:
        attributes["administrative-group"] = link.admin_group.to_bytes(4).hex(":")
    if link.srlgs:
        attributes["te-srlgs"] = {"value": sorted(link.srlgs)}
    return attributes


def _bandwidths(capacity: BitRate, left: BitRate) -> dict[str, Json]:
    free = max(left, BitRate(0))
    return {
        "max-link-bandwidth": {"te-bandwidth": te_bandwidth(capacity)},
        "max-resv-link-bandwidth": {"te-bandwidth": te_bandwidth(capacity)},
        "unreserved-bandwidth": [{"priority": _PRIORITY, "te-bandwidth": te_bandwidth(free)}],
    }


def _microseconds(seconds: float) -> int:
    return round(seconds * _MICROSECONDS)
