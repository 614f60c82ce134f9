"""Assurance on a virtual clock: the real world, log, series and loop; only the network and recovery are the test's.

async with...: world = AssuredWorld(); await world.serve(two_sites()); await world.tick(delay=0.010)
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from controller.adapters.event_log_memory import MemoryEventLog
from controller.assurance.breach import Breach
from controller.assurance.decision import CauseFinding
from controller.assurance.instance import InstanceState
from controller.assurance.objectives import Objective, ObjectiveName
from controller.events import types
from controller.mapping.fragment import service_id
from controller.mapping.measurement import Measurement
from controller.mapping.service_change import L3smEdit
from controller.model.identifiers import DeviceName
from controller.ports import NewEvent
from controller.runtime.assurance import Assurance, Pace
from controller.runtime.assurance_measures import Measures
from controller.runtime.collection_reading import Told
from controller.runtime.collection_series import SeriesBook
from controller.runtime.remedies import Proposal
from controller.runtime.topology_discovery import TopologyView
from controller.runtime.world import World
from controller.telemetry.sample import Provenance, Reading, SeriesKey
from controller.twin.verdict import Verdict
from tests.controller.mapping_samples import network

LONDON, PARIS = DeviceName("lon1"), DeviceName("par1")
PORTS = ("ge0", "ge1")
TICK = 10.0
PACE = Pace(TICK, 60.0, 600.0, 20.0)
DELAY = Objective(service_id("acme"), ObjectiveName.ONE_WAY_DELAY, 0.015)
LINK = CauseFinding("link p1-p2 down", 0.9)


class VirtualClock:
    """Moved by the test alone."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def now(self) -> float:
        return self.time

    monotonic = now


@dataclass
class Recovery:
    """Finds the cause, proposes and carries out what the test says."""

    finding: CauseFinding | None = LINK
    proposal: Proposal | None = field(default_factory=lambda: Proposal("move to p3-p4", "reroute", Verdict(), None))
    failure: str = ""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    carried_out: list[Proposal] = field(default_factory=list)
    asked: list[Breach] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    def finding_for(self, service: str) -> CauseFinding | None:
        return self.finding

    async def propose(self, service: str, breach: Breach, finding: CauseFinding) -> Proposal | None:
        self.asked.append(breach)
        return self.proposal

    async def carry_out(self, proposal: Proposal, actor: str) -> str:
        await self.gate.wait()
        self.carried_out.append(proposal)
        return self.failure


class AssuredWorld:
    """Services `acme`... between London and Paris, each with a session of its own each way."""

    def __init__(self, log: MemoryEventLog | None = None, clock: VirtualClock | None = None, pace: Pace = PACE) -> None:
        self.clock = clock or VirtualClock()
        self.log = log or MemoryEventLog(clock=self.clock)
        self.world = World()
        self.world.apply_all(list(self.log.read()))
        self.log.subscribe(self.world.apply_all)
        self.series = SeriesBook(TICK, 1800.0)
        sessions = TopologyView(self.world, None, dict)  # type: ignore[arg-type]
        measures = Measures(self.world, lambda: self.series, sessions, self._sessions)
        self.assurance = Assurance(self.world, self.log, self.clock, measures, pace)
        self.counts: dict[SeriesKey, float] = {}

    def _sessions(self, service: str) -> list[Measurement]:
        return [
            Measurement(service, LONDON, PARIS, "fd00::3", 1000, number=20_000),
            Measurement(service, PARIS, LONDON, "fd00::1", 1000, number=20_000),
        ]

    # -- life --------------------------------------------------------------------------------------------------

    async def serve(self, edit: L3smEdit) -> None:
        """Commit an edit of services, as a transaction that needs no devices."""
        change = self.world.services.change(edit, network())
        document = orjson.loads(orjson.dumps(change.to_json()))
        await self.log.append([NewEvent("services", types.SERVICES_CHANGED, {"change": document})], actor="ada")

    async def promise(self, *objectives: Objective, agreement: str = "acme") -> None:
        """Set objectives over those of the documents."""
        await self.assurance.set_objectives(agreement, objectives, "ada")

    def wire(self, recovery: Recovery | None) -> None:
        """Somebody who localises and remedies, or nobody."""
        self.assurance.deciding.localiser = self.assurance.deciding.remedies = recovery

    async def tick(
        self, delay: float | None = 0.010, *, sent: float = 10.0, lost: float = 0.0, number: int = 20_000
    ) -> None:
        """Ten seconds pass; the sessions tell these values, or nothing at all; assurance looks."""
        self.clock.time += TICK
        if delay is not None:
            self.tell(LONDON, number, delay, sent, lost)
            self.tell(PARIS, number, delay, sent, lost)
        await self.assurance.tick()
        await self.settle()

    def tell(self, device: DeviceName, number: int, delay: float, sent: float, lost: float) -> None:
        """One reading of a session."""
        now = self.clock.time
        gauges = {"last-forward-delay": delay, "last-round-trip-delay": 2 * delay, "delay-variation": 0.0}
        readings = [self._reading(device, number, kind, value, now) for kind, value in gauges.items()]
        for kind, more in (("sent-packets", sent), ("lost-packets", lost)):
            key = SeriesKey(device, kind, str(number))
            self.counts[key] = self.counts.get(key, 0.0) + more * TICK
            readings.append(self._reading(device, number, kind, self.counts[key], now))
        readings += [Reading(SeriesKey(device, "oper-status", port), now, now, 1.0) for port in PORTS]
        self.series.take(device, Told(tuple(readings), dict.fromkeys(PORTS, 10**10)), TICK)

    def _reading(self, device: DeviceName, number: int, kind: str, value: float, now: float) -> Reading:
        return Reading(SeriesKey(device, kind, str(number)), now, now, value, Provenance.PROBED)

    async def settle(self) -> None:
        """Let what was begun go on as far as it can."""
        for _ in range(20):
            await asyncio.sleep(0)

    # -- what there is to see ----------------------------------------------------------------------------------

    def state(self, agreement: str = "acme") -> InstanceState:
        return self.world.assurance.loop.get(agreement).state

    def happenings(self, agreement: str = "acme") -> list[tuple[float, str]]:
        """What the loop made happen: (time, event)."""
        found: list[Any] = [
            event.data
            for event in self.log.read(stream=f"assurance/{agreement}")
            if event.type == types.ASSURANCE_HAPPENING
        ]
        return [(data["time"], data["event"]) for data in found]

    def events(self, agreement: str = "acme") -> list[str]:
        return [name for _, name in self.happenings(agreement)]

    def decisions(self, agreement: str = "acme") -> Sequence[Any]:
        return [one.data for one in self.world.assurance.decisions(agreement)]

    def against(self, ground: str, agreement: str = "acme") -> list[str]:
        """What the latest decision has against acting, on one ground."""
        reasons = self.decisions(agreement)[-1]["reasons"]
        return [one["text"] for one in reasons if one["ground"] == ground and not one["holds"]]


def restarted(old: AssuredWorld) -> AssuredWorld:
    """Another process on the same log: everything that was only in memory is gone."""
    return AssuredWorld(old.log, old.clock)
