"""Owns TE tunnels in the words of ietf-te: those of our routers (SR policies) and those of an optical domain.

A candidate path that is meant to carry is a primary path, the others are secondary ones; hops are the nodes by name.
Rates are octets per second in both layers, so that a customer compares them.
"""

from collections.abc import Callable, Iterable, Sequence

from controller.mapping.actn import Json, te_bandwidth, uri
from controller.mapping.optical_domain import OpticalDomain, OpticalTunnel
from controller.mapping.tunnel import Tunnel, TunnelPath
from controller.model.units import BitRate

_MICROSECONDS = 10**6
_DELAY = "ietf-te-types:path-metric-delay-average"
_LSP_STATES = {
    "planned": "ietf-te-types:lsp-state-down",
    "setting-up": "ietf-te-types:lsp-state-setting-up",
    "up": "ietf-te-types:lsp-state-up",
    "failed": "ietf-te-types:lsp-state-down",
}


def te_document(tunnels: Sequence[Json], lsps: Sequence[Json] = ()) -> Json:
    """Tunnels, and the state of their label switched paths, as the content of ietf-te:te."""
    content = {"tunnels": {"tunnel": list(tunnels)}} if tunnels else {}
    return {"ietf-te:te": content | ({"lsps": {"lsp": list(lsps)}} if lsps else {})}


def packet_tunnel(tunnel: Tunnel, *, is_up: bool) -> Json:
    """One of our tunnels; `is_up` when its head end has a valid path for it."""
    primary, *others = tunnel.ranked or (None,)
    content = {
        **_frame(tunnel.name, tunnel.source, tunnel.target, tunnel.bandwidth, is_up=is_up),
        "color": tunnel.color,
        "encoding": "ietf-te-types:lsp-encoding-packet",
        "switching-type": "ietf-te-types:switching-psc1",
        "bidirectional": False,
    }
    if primary is not None:
        bound = _metric_bound(tunnel.delay_bound_seconds)
        content["primary-paths"] = {"primary-path": [{**_path(primary, rank=1), **bound}]}
    if others:
        paths = [{**_path(path, rank=rank), **bound} for rank, path in enumerate(others, start=2)]
        content["secondary-paths"] = {"secondary-path": paths}
    return content


def optical_tunnel(domain: OpticalDomain, tunnel: OpticalTunnel) -> Json:
    """A tunnel of the optical domain, with the delay and the route that its controller tells."""
    rate = BitRate(tunnel.slots * domain.slot.bits_per_second)
    source, target = (end.partition(":")[0] for end in (tunnel.source, tunnel.target))
    nodes = optical_nodes(domain, tunnel)
    return {
        **_frame(_qualified(domain, tunnel), source, target, rate, is_up=tunnel.is_up),
        "encoding": "ietf-te-types:lsp-encoding-oduk",
        "switching-type": "ietf-te-types:switching-otn",
        "bidirectional": True,
        "primary-paths": {
            "primary-path": [
                {
                    "name": "route",
                    **_metric_bound(tunnel.delay_bound_seconds),
                    "computed-paths-properties": {
                        "computed-path-properties": [
                            {"k-index": 1, "path-properties": _properties(tunnel.delay_seconds, nodes)}
                        ]
                    },
                }
            ]
        },
    }


def optical_lsps(domain: OpticalDomain, node_id: Callable[[str], str]) -> list[Json]:
    """Where the optical tunnels stand, each at its first node; `node_id` gives a node's TE identifier."""
    return [
        {
            "tunnel-name": _qualified(domain, tunnel),
            "lsp-id": 1,
            "node": node_id(tunnel.source.partition(":")[0]),
            "operational-state": _LSP_STATES[tunnel.status],
        }
        for tunnel in domain.tunnels
    ]


def _qualified(domain: OpticalDomain, tunnel: OpticalTunnel) -> str:
    """Names are unique in ietf-te, and each domain has names of its own."""
    return f"{domain.device}/{tunnel.name}"


def optical_nodes(domain: OpticalDomain, tunnel: OpticalTunnel) -> list[str]:
    """The nodes on a tunnel's route, from source to target."""
    ends = {link.name: (link.a, link.b) for link in domain.links}
    nodes = [tunnel.source.partition(":")[0]]
    for name in tunnel.route:
        a, b = ends[name]
        nodes.append(b if nodes[-1] == a else a)
    return nodes


def _frame(name: str, source: str, target: str, rate: BitRate, *, is_up: bool) -> dict[str, Json]:
    return {
        "name": name,
        "admin-state": "ietf-te-types:tunnel-admin-state-up",
        "operational-state": f"ietf-te-types:tunnel-state-{'up' if is_up else 'down'}",
        "source": {"node-id": uri(source)},
        "destination": {"node-id": uri(target)},
        "te-bandwidth": te_bandwidth(rate),
    }


def _path(path: TunnelPath, *, rank: int) -> dict[str, Json]:
    nodes = [hop.partition(">")[2].rpartition(":")[0] for hop in path.hops]
    hops = [
        {
            "index": index,
            "explicit-route-usage": "ietf-te-types:route-include-object",
            "numbered-node-hop": {"node-id-uri": uri(node), "hop-type": "strict"},
        }
        for index, node in enumerate(nodes, start=1)
    ]
    return {
        "name": f"candidate-{path.discriminator}",
        "preference": rank,
        "path-computation-method": "ietf-te-types:path-explicitly-defined",
        "explicit-route-objects": {"route-object-include-exclude": hops},
    }


def _metric_bound(seconds: float | None) -> dict[str, Json]:
    if seconds is None:
        return {}
    bound = {"metric-type": _DELAY, "upper-bound": _microseconds(seconds)}
    return {"path-metric-bounds": {"path-metric-bound": [bound]}}


def _properties(delay_seconds: float, nodes: Iterable[str]) -> Json:
    return {
        "path-metric": [{"metric-type": _DELAY, "accumulative-value": _microseconds(delay_seconds)}],
        "path-route-objects": {
            "path-route-object": [
                {"index": index, "numbered-node-hop": {"node-id-uri": uri(node), "hop-type": "strict"}}
                for index, node in enumerate(nodes, start=1)
            ]
        },
    }


def _microseconds(seconds: float) -> str:
    """As text: RFC 7951 section 6.1 writes 64-bit numbers so."""
    return str(round(seconds * _MICROSECONDS))
