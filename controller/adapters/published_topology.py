"""Owns published networks by name, from the `topohub` package, to look at markets on: places, fibres, one line rate."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from controller.model.errors import NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.network import Link, Network, Node, TerminationPoint

LINE_RATE = BitRate(20 * 10**9)
_SECONDS_PER_KILOMETRE = 5e-6
_SHORTEST_KILOMETRES = 0.1


def published_network(name: str) -> Network:
    """The network topohub calls `name`, such as `sndlib/germany50`; `NotFoundError` when it has none."""
    import topohub

    try:
        document: Mapping[str, Any] = topohub.get(name)
    except (KeyError, OSError, ValueError):
        raise NotFoundError(
            f"'{name}' is neither a file nor a topology of topohub", remedy="try sndlib/germany50"
        ) from None
    names = _names(document["nodes"])
    lengths: dict[frozenset[str], float] = {}
    for edge in document["edges"]:
        ends = frozenset((names[edge["source"]], names[edge["target"]]))
        lengths.setdefault(ends, max(_SHORTEST_KILOMETRES, float(edge["dist"])))
    nodes = [Node(DeviceName(each)) for each in names.values()]
    return Network.of(nodes, _links(lengths))


def _links(lengths: Mapping[frozenset[str], float]) -> Iterator[Link]:
    ports: Counter[str] = Counter()
    for ends, kilometres in sorted(lengths.items(), key=lambda item: sorted(item[0])):
        if len(ends) < 2:
            continue
        points = [TerminationPoint(DeviceName(end), f"core{ports[end]}") for end in sorted(ends)]
        ports.update(ends)
        delay = kilometres * _SECONDS_PER_KILOMETRE
        for source, target in (points, points[::-1]):
            yield Link(source, target, LINE_RATE, delay, max(1, round(delay * 1e5)))


def _names(entries: list[dict[str, Any]]) -> dict[object, str]:
    """A name for each node: its city's letters and digits, with its number where a city has several."""
    plain = {entry["id"]: _plain(entry.get("name") or f"n{entry['id']}") for entry in entries}
    times = Counter(plain.values())
    return {key: name if times[name] == 1 else f"{name}-{key}" for key, name in plain.items()}


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:40] or "n"
