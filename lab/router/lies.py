"""Owns routers that lie: the operational state is the truth but for the counters of some interfaces.

For tests of what a controller makes of it. Set it in place of a router's `operational`:

    router.operational = LyingState(router.operational, {"core0": Lie(out_factor=1.5)})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from lxml import etree

from lab.router.forwarding import IF


class _Truth(Protocol):
    def state_tree(self) -> etree._Element: ...


@dataclass(frozen=True, slots=True)
class Lie:
    """What an interface says of its octets: what was counted times a factor, or for ever what it said first."""

    in_factor: float = 1.0
    out_factor: float = 1.0
    is_frozen: bool = False


class LyingState:
    """The operational state of a router, with lies by interface."""

    def __init__(self, truth: _Truth, lies: Mapping[str, Lie]) -> None:
        self._truth = truth
        self._lies = lies
        self._first: dict[tuple[str, str], str] = {}

    def state_tree(self) -> etree._Element:
        """The tree with the counters of liars changed."""
        tree = self._truth.state_tree()
        for interface in tree.iterfind(f"{IF}interfaces/{IF}interface"):
            name = interface.findtext(f"{IF}name", "")
            lie, statistics = self._lies.get(name), interface.find(f"{IF}statistics")
            if lie is not None and statistics is not None:
                self._tell(name, lie, statistics)
        return tree

    def _tell(self, name: str, lie: Lie, statistics: etree._Element) -> None:
        for leaf, factor in (("in-octets", lie.in_factor), ("out-octets", lie.out_factor)):
            counter = statistics.find(f"{IF}{leaf}")
            if counter is not None:
                said = str(round(int(counter.text or 0) * factor))
                counter.text = self._first.setdefault((name, leaf), said) if lie.is_frozen else said
