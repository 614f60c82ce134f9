"""Owns how the network and its tunnels look from outside: JSON of links, tunnels and their paths."""

from controller.mapping.tunnel import Tunnel, TunnelPath, TunnelPolicy
from controller.mapping.tunnel_paths import is_alive, state_of
from controller.runtime.topology_discovery import TopologyView
from controller.runtime.tunnel_optimise import Reoptimisation
from controller.runtime.tunnels import route
from controller.topology.network import Link
from controller.topology.te_database import Measurement, TeDatabase
from controller.transaction.plan_json import Json


def topology_view(topology: TopologyView) -> Json:
    """Nodes, links and the devices that did not answer."""
    database = topology.database
    return {
        "nodes": [
            {"name": n.name, "role": n.role, "router_id": n.router_id, "endpoint": n.endpoint, "segment": n.segment}
            for n in sorted(database.network.nodes.values(), key=lambda node: node.name)
        ],
        "links": [_link_view(database.network.links[id_], database) for id_ in sorted(database.network.links)],
        "unread": dict(topology.unread),
    }


def _link_view(link: Link, database: TeDatabase) -> Json:
    measured = database.measured.get(link.id, Measurement())
    load = database.load(link.id).bits_per_second
    return {
        "id": link.id,
        "source": str(link.source),
        "target": str(link.target),
        "is_up": database.is_up(link.id),
        "capacity_bit_rate": link.capacity.bits_per_second,
        "reserved_bit_rate": database.reserved(link.id).bits_per_second,
        "load_bit_rate": load,
        "is_load_measured": measured.load is not None,
        "utilisation": load / link.capacity.bits_per_second,
        "delay_seconds": database.delay_seconds(link.id),
        "is_delay_measured": measured.delay_seconds is not None,
        "metric": link.metric,
        "srlgs": sorted(link.srlgs),
        "admin_group": link.admin_group,
        "loss_ratio": database.loss_ratio(link.id),
        "is_loss_measured": measured.loss_ratio is not None,
        "availability": link.availability,
        "segment": link.segment,
    }


def tunnel_view(tunnel: Tunnel, database: TeDatabase) -> Json:
    """A tunnel with its paths, best first, and how it is."""
    return {
        "name": tunnel.name,
        "state": state_of(database, tunnel),
        "source": tunnel.source,
        "target": tunnel.target,
        "color": tunnel.color,
        "endpoint": tunnel.endpoint,
        "bandwidth_bit_rate": tunnel.bandwidth.bits_per_second,
        "delay_bound_seconds": tunnel.delay_bound_seconds,
        "link_loss_limit": tunnel.link_loss_limit,
        "exclude_any": _bits(tunnel.exclude_any),
        "include_any": _bits(tunnel.include_any),
        "include_all": _bits(tunnel.include_all),
        "protection": tunnel.protection,
        "objective": tunnel.objective,
        "services": list(tunnel.services),
        "route": route(tunnel),
        "paths": [_path_view(path, database) for path in tunnel.ranked],
        "beside": [_policy_view(policy, database) for policy in tunnel.beside],
    }


def reoptimisation_view(found: Reoptimisation) -> Json:
    """What placing all anew brings, and the tunnels of each step with where they go."""
    return {
        "utilisation_before": found.utilisation_before,
        "utilisation_after": found.utilisation_after,
        "bound": found.bound,
        "method": found.method,
        "steps": [{tunnel.name: route(tunnel) for tunnel in step} for step in found.steps],
    }


def _policy_view(policy: TunnelPolicy, database: TeDatabase) -> Json:
    return {"color": policy.color, "paths": [_path_view(path, database) for path in policy.paths]}


def _path_view(path: TunnelPath, database: TeDatabase) -> Json:
    links = database.network.links
    known = [hop for hop in path.hops if hop in links]
    return {
        "discriminator": path.discriminator,
        "preference": path.preference,
        "links": list(path.hops),
        "segments": list(path.segments),
        "delay_seconds": sum(database.delay_seconds(hop) for hop in known),
        "is_alive": is_alive(database, path),
    }


def _bits(mask: int) -> list[int]:
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]
