"""Owns holding the witnesses of each link against one another: the counters at its two ends, and probes over it.

What contradicts something else loses its trust at once (`telemetry.quality`) and has it back when they agree again.
Without probes over a link, what went in and did not come out may have been lost; what came out and never went in is
a lie in any case.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan

import numpy as np
from numpy.typing import NDArray

from controller.mapping.measurement import probe_sessions
from controller.mapping.tunnel_probes import PROBES
from controller.model.errors import NotFoundError
from controller.model.identifiers import DeviceName
from controller.runtime.collection_series import SeriesBook
from controller.runtime.topology_discovery import TopologyView
from controller.runtime.world import World
from controller.telemetry.contradictions import LinkWitnesses
from controller.telemetry.sample import SeriesKey
from controller.topology.network import Link

Array = NDArray[np.float64]


@dataclass(slots=True)
class Witnesses:
    """Call `compare` once in each interval of collection."""

    world: World
    topology: TopologyView
    series: SeriesBook
    contradicted: tuple[SeriesKey, ...] = ()
    """Series that others contradict now."""
    _links: tuple[Link, ...] = ()
    _compared: LinkWitnesses = field(default_factory=lambda: LinkWitnesses(0))
    _wrong: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    _read_at: dict[SeriesKey, float] = field(default_factory=dict)
    _numbers: dict[DeviceName, tuple[int, dict[str, str]]] = field(default_factory=dict)

    def compare(self) -> tuple[SeriesKey, ...]:
        """Judge every link of which both ends have told something new; the series that are not believed."""
        links = tuple(self.topology.network.links.values())
        if [link.id for link in links] != [link.id for link in self._links]:
            self._links, self._compared = links, LinkWitnesses(len(links))
            self._wrong = np.zeros(len(links), dtype=np.bool_)
        ends = [(_out_of(link), _into(link)) for link in links]
        fresh = [self._fresh(pair) for pair in ends]
        out, into = (
            np.array([self._rate(pair[side]) if new else nan for pair, new in zip(ends, fresh, strict=True)])
            for side in (0, 1)
        )
        sent, lost = self._probed(links, fresh)
        wrong = self._compared.step(out, into, sent, lost)
        is_probed = np.isfinite(sent)
        may_be_lost = ~is_probed & (out > into)
        # Of a link that has told nothing new, what was found stays: its averages alone do not say who is wrong.
        self._wrong = np.where(fresh, wrong & ~may_be_lost, self._wrong)
        judged = [pair for pair, bad in zip(ends, self._wrong, strict=True) if bad]
        self._tell({key for pair in judged for key in pair}, {key for pair in ends for key in pair})
        return self.contradicted

    def _tell(self, wrong: set[SeriesKey], all_: set[SeriesKey]) -> None:
        for key in all_:
            try:
                self.series.judge(key).contradict(contradicted=key in wrong)
            except NotFoundError:
                continue
        self.contradicted = tuple(sorted(wrong))

    def _fresh(self, keys: Sequence[SeriesKey]) -> bool:
        """Whether all of them were read since they were last looked at."""
        times = [one.source_time if (one := self.series.latest.get(key)) else nan for key in keys]
        is_fresh = all(time > self._read_at.get(key, 0.0) for key, time in zip(keys, times, strict=True))
        if is_fresh:
            self._read_at |= dict(zip(keys, times, strict=True))
        return is_fresh

    def _rate(self, key: SeriesKey) -> float:
        sample = self.series.latest.get(key)
        return sample.value if sample is not None and sample.is_usable else nan

    def _probed(self, links: Sequence[Link], fresh: Sequence[bool]) -> tuple[Array, Array]:
        """Test packets over each link since the last look, as far as there are any."""
        found: list[tuple[float, float]] = []
        for link, is_fresh in zip(links, fresh, strict=True):
            number = self._sessions_on(link.source.node).get(link.segment) if is_fresh and link.segment else None
            if number is None:
                found.append((nan, nan))
                continue
            device, seconds = link.source.node, self.series.interval_seconds
            kinds = (SeriesKey(device, kind, number) for kind in ("sent-packets", "lost-packets"))
            sent, lost = (self._rate(key) * seconds for key in kinds)
            found.append((sent, lost))
        table = np.array(found).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    def _sessions_on(self, device: DeviceName) -> dict[str, str]:
        """The numbers of sessions over the links of a router, by segment."""
        if device not in self.world.network:
            return {}
        known = self.world.network.device(device)
        seen = self._numbers.get(device)
        if seen is None or seen[0] != known.version:
            sessions = probe_sessions(known.contributions.of(PROBES))
            seen = self._numbers[device] = known.version, {segment: str(number) for segment, number in sessions.items()}
        return seen[1]


def _out_of(link: Link) -> SeriesKey:
    return SeriesKey(link.source.node, "out-octets", link.source.name)


def _into(link: Link) -> SeriesKey:
    return SeriesKey(link.target.node, "in-octets", link.target.name)
