"""Owns the overlay of a network: what its links carry, how long they take and what they lose, as last measured.

All of it is the TE database's, so that people see what paths are computed from.
"""

from collections.abc import Mapping
from typing import Any

from controller.model.identifiers import DeviceName
from controller.model.inventory import DeviceRecord
from controller.topology.expected_delay import LateLink, has_baseline, late_links
from controller.topology.network import Link
from controller.topology.te_database import Measurement, TeDatabase

Json = Any
KINDS = ("load", "delay", "loss")
_COUNTED, _PROBED, _GIVEN = "counters", "probes", "given"


def overlay(database: TeDatabase, records: Mapping[DeviceName, DeviceRecord], of: str) -> Json:
    """Every link with `value` (a ratio, or seconds) and where it is from; null where nothing tells it."""
    late = {one.link.id: one for one in late_links(database)} if of == "delay" else {}
    links = [_link(database, link, of, late.get(id_)) for id_, link in sorted(database.network.links.items())]
    return {"of": of, "nodes": [_node(name, records) for name in database.network.nodes], "links": links}


def load_ratios(database: TeDatabase) -> dict[tuple[str, str], float]:
    """How full each link is that tells it, by its sending port."""
    found = {}
    for link in database.network.links.values():
        ratio = _load_ratio(link, database.measured.get(link.id, _NOTHING))
        if ratio is not None:
            found[str(link.source.node), link.source.name] = ratio
    return found


def _link(database: TeDatabase, link: Link, of: str, late: LateLink | None) -> Json:
    seen = database.measured.get(link.id, _NOTHING)
    load = _load_ratio(link, seen)
    value, source = {
        "load": (load, _COUNTED),
        "delay": (database.delay_seconds(link.id), _GIVEN if seen.delay_seconds is None else _PROBED),
        "loss": (seen.loss_ratio, _PROBED),
    }[of]
    return {
        "link": str(link.id),
        "source": link.source.node,
        "target": link.target.node,
        "is_up": database.is_up(link.id),
        "capacity_bit_rate": link.capacity.bits_per_second,
        "bit_rate": None if seen.load is None else seen.load.bits_per_second,
        "value": value,
        "from": "" if value is None else source,
        "note": _note(database, link, late) if of == "delay" and seen.delay_seconds is not None else "",
        "utilisation": load or 0.0,
    }


def _note(database: TeDatabase, link: Link, late: LateLink | None) -> str:
    """What is said of a measured delay: that it may be late, or that nobody knows what it should be."""
    if late is not None:
        return f"late? {late.expectation}"
    return "" if has_baseline(database, link) else "no baseline: neither a length nor the other direction is known"


def _load_ratio(link: Link, seen: Measurement) -> float | None:
    capacity = link.capacity.bits_per_second
    return seen.load.bits_per_second / capacity if seen.load is not None and capacity else None


def _node(name: DeviceName, records: Mapping[DeviceName, DeviceRecord]) -> Json:
    place = records[name].place if name in records else None
    return {
        "name": name,
        "latitude": place.latitude if place else None,
        "longitude": place.longitude if place else None,
        "is_up": True,
    }


_NOTHING = Measurement()
