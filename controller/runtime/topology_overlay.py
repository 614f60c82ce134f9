"""Owns the overlay of a network: what its links carry, how long they take and what they lose, as last measured.

Loads come from the octets that the sending port counts, delay and loss from the STAMP session over the link.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from controller.mapping.tunnel import STAMP
from controller.model.identifiers import DeviceName
from controller.model.inventory import DeviceRecord
from controller.runtime.collection_series import SeriesBook
from controller.runtime.topology_discovery import TopologyView
from controller.telemetry.sample import SeriesKey
from controller.topology.network import Link

Json = Any
KINDS = ("load", "delay", "loss")
_OCTET = 8.0


def overlay(topology: TopologyView, book: SeriesBook, records: Mapping[DeviceName, DeviceRecord], of: str) -> Json:
    """Every link with `value` (a ratio, or seconds) and where it is from; null where nothing tells it."""
    database = topology.database
    sessions = _link_sessions(topology)
    links = []
    for id_, link in sorted(database.network.links.items()):
        is_up = database.is_up(id_)
        rate = _OCTET * _value(book, SeriesKey(link.source.node, "out-octets", link.source.name))
        load = rate / link.capacity.bits_per_second if link.capacity.bits_per_second else rate * 0
        value, source = (load, "out-octets") if of == "load" else _measured(topology, book, link, sessions.get(id_), of)
        links.append(
            {
                "link": str(id_),
                "source": link.source.node,
                "target": link.target.node,
                "is_up": is_up,
                "capacity_bit_rate": link.capacity.bits_per_second,
                "bit_rate": rate if isfinite(rate) else None,
                "value": value if isfinite(value) else None,
                "from": source,
                "utilisation": load if isfinite(load) else 0.0,
            }
        )
    return {"of": of, "nodes": [_node(name, records) for name in database.network.nodes], "links": links}


def load_ratios(topology: TopologyView, book: SeriesBook) -> dict[tuple[str, str], float]:
    """How full each link is that tells it, by its sending port."""
    found = {}
    for link in topology.database.network.links.values():
        rate = _OCTET * _value(book, SeriesKey(link.source.node, "out-octets", link.source.name))
        if isfinite(rate) and link.capacity.bits_per_second:
            found[str(link.source.node), link.source.name] = rate / link.capacity.bits_per_second
    return found


def _measured(topology: TopologyView, book: SeriesBook, link: Link, session: str | None, of: str) -> tuple[float, str]:
    """The delay or the loss of a link; without a session the delay that it was given."""
    nothing = float("nan")
    if session is None:
        return (topology.database.delay_seconds(link.id), "given") if of == "delay" else (nothing, "")
    if of == "delay":
        return _value(book, SeriesKey(link.source.node, "last-forward-delay", session)), f"session {session}"
    sent, lost = (_value(book, SeriesKey(link.source.node, kind, session)) for kind in ("sent-packets", "lost-packets"))
    return (min(1.0, lost / sent) if sent > 0 else nothing), f"session {session}"


def _link_sessions(topology: TopologyView) -> dict[str, str]:
    """The STAMP session over each link that has one: its only segment is the link's own."""
    by_segment = {(link.source.node, link.segment): id_ for id_, link in topology.network.links.items() if link.segment}
    found: dict[str, str] = {}
    for name in topology.network.nodes:
        if name not in topology.world.network:
            continue
        config = topology.world.network.device(name).config
        taken: dict[str, list[str]] = {}
        for path in config.below(STAMP):
            if len(path) == 5 and path[4].name == "sid":
                taken.setdefault(path[2].keys[0][1], []).append(config[path])
        for number, segments in taken.items():
            if len(segments) == 1 and (id_ := by_segment.get((name, segments[0]))) is not None:
                found.setdefault(str(id_), number)
    return found


def _value(book: SeriesBook, key: SeriesKey) -> float:
    sample = book.latest.get(key)
    return sample.value if sample is not None and sample.is_usable else float("nan")


def _node(name: DeviceName, records: Mapping[DeviceName, DeviceRecord]) -> Json:
    place = records[name].place if name in records else None
    return {
        "name": name,
        "latitude": place.latitude if place else None,
        "longitude": place.longitude if place else None,
        "is_up": True,
    }
