"""Owns published networks by name, from the `topohub` package: places and fibres, all of one line rate.

Markets are looked at on them, and scenarios to diagnose may name one. Routers are called as the lab calls them.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from controller.model.errors import NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.network import Link, Network, Node, TerminationPoint

LINE_RATE = BitRate(20 * 10**9)
_NAME = re.compile(r"[a-z0-9]+(/[A-Za-z0-9_-]+)+")
_SECONDS_PER_KILOMETRE = 5e-6
_SHORTEST_KILOMETRES = 0.1


def published_network(name: str) -> Network:
    """The network topohub calls `name`, such as `sndlib/germany50`; `NotFoundError` when it has none."""
    try:
        import topohub
    except ImportError:
        raise NotFoundError(
            f"'{name}' is no file, and topohub, which knows topologies by name, is not installed",
            remedy="pip install 'accord[lab]'",
        ) from None
    try:
        document: Mapping[str, Any] | None = topohub.get(name) if _NAME.fullmatch(name) else None
    except (KeyError, OSError, ValueError):
        document = None
    if document is None:
        raise NotFoundError(f"'{name}' is neither a file nor a topology of topohub", remedy="try sndlib/germany50")
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
    """A name for each node: its city's letters and digits, numbered where a city has several."""
    plain = {entry["id"]: _plain(entry.get("name") or f"n{entry['id']}") for entry in entries}
    times = Counter(plain.values())
    taken, names = {name for name in plain.values() if times[name] == 1}, dict(plain)
    for key, name in plain.items():
        if times[name] > 1:
            numbered = (f"{name}-{number}" for number in count(1))
            names[key] = next(one for one in numbered if one not in taken)
            taken.add(names[key])
    return names


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:40] or "n"
