"""Owns sending intent reports (TMF921, TS 28.312): when what is to be said of a service changes, and on schedule.

Every agreement that lives is reported on, also one that nothing serves yet, which then says whether it can be had.
Services conflict where their accesses are promised more of a link than it has.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from controller.assurance.objectives_l3sm import Access
from controller.assurance.reports import (
    Claim,
    Conflict,
    Feasibility,
    IntentReport,
    Observed,
    Sent,
    capacity_conflicts,
    report,
    to_send,
)
from controller.events import types
from controller.intent.book import IntentRecord
from controller.intent.codec import decode
from controller.intent.lifecycle import IntentState
from controller.intent.model import Intent
from controller.mapping.fragment import service_id
from controller.model.identifiers import DeviceName, IntentId, ServiceId
from controller.model.units import BitRate
from controller.ports import EventLog, NewEvent
from controller.runtime.world import World
from controller.topology.network import Link

_MOST_CONFLICTS = 10
_AT_ONCE = 20
_CONFLICTS_SECONDS = 60.0
_LEAST_IMPORTANT = 100
_REFUSED = frozenset({IntentState.REJECTED, IntentState.FAILED})


class Stands(Protocol):
    """What is reported of a service that is served."""

    @property
    def objectives(self) -> Iterable["Observes"]:
        """Its objectives."""
        ...


class Observes(Protocol):
    """An objective as it is reported."""

    @property
    def observed(self) -> Observed:
        """What is known of it."""
        ...


Served = Mapping[str, tuple[IntentRecord | None, tuple[Access, ...]]]


@dataclass(slots=True)
class Reporting:
    """Sends reports. `way` gives a service's links between two routers, for conflicts; without it none is found."""

    world: World
    log: EventLog
    way: Callable[[ServiceId, DeviceName, DeviceName], Iterable[Link]] | None = None
    _conflicting: dict[str, tuple[Conflict, ...]] = field(default_factory=dict)
    _conflicting_of: tuple[int, int] = (-1, -1)

    async def send(self, served: Served, standings: Mapping[str, Stands], interval_seconds: float, now: float) -> None:
        """One append for all that have something new to say."""
        conflicts = self._conflicts(served, now)
        events = []
        for count, agreement in enumerate(tuple(self.world.assurance.agreements), start=1):
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)
            standing = standings.get(agreement)
            observed = [one.observed for one in standing.objectives] if standing else []
            intent, _ = served.get(agreement, (self.world.intents.of_vpn(agreement), ()))
            fresh = self._report(agreement, intent, observed, conflicts.get(agreement, ()), now)
            last = self.world.assurance.report(agreement)
            sent = Sent(last.data["verdict"], last.time) if last else None
            if (one := to_send(fresh, sent, interval_seconds)) is not None:
                data = {"report": one.to_json(), "verdict": one.verdict, "time": now}
                events.append(NewEvent(f"assurance/{agreement}", types.ASSURANCE_REPORTED, data))
        if events:
            await self.log.append(events, actor="accord")

    def _report(
        self,
        agreement: str,
        intent: IntentRecord | None,
        observed: Iterable[Observed],
        conflicts: tuple[Conflict, ...],
        now: float,
    ) -> IntentReport:
        loop = self.world.assurance.loop
        id_ = intent.id if intent else IntentId(agreement)
        return report(
            id_,
            loop.get(agreement),
            observed,
            now,
            conflicts=conflicts,
            feasibility=_feasibility(intent),
            trigger=loop.trigger,
        )

    def _conflicts(self, served: Served, now: float) -> dict[str, tuple[Conflict, ...]]:
        """Looked for when services change, and now and then, since the network does too."""
        of = self.world.assurance.version, int(now // _CONFLICTS_SECONDS)
        if self.way is None or of == self._conflicting_of:
            return self._conflicting
        links: dict[str, Link] = {}
        claims = [claim for name, of in served.items() for claim in self._claims(name, *of, links)]
        found = capacity_conflicts(claims, {name: link.capacity for name, link in links.items()})
        self._conflicting = {str(name): conflicts[:_MOST_CONFLICTS] for name, conflicts in found.items()}
        self._conflicting_of = of
        return self._conflicting

    def _claims(
        self, agreement: str, record: IntentRecord | None, accesses: tuple[Access, ...], links: dict[str, Link]
    ) -> Iterator[Claim]:
        """What an access may send needs room once on each link that its packets may take (the hose model)."""
        devices = sorted({access.device for access in accesses})
        for access in accesses:
            taken = {
                str(link.id): link
                for tail in devices
                if tail != access.device and self.way
                for link in self.way(service_id(agreement), access.device, tail)
            }
            links.update(taken)
            for name in taken:
                yield Claim(IntentId(agreement), _priority(record), name, BitRate(access.bit_rate))


def _priority(record: IntentRecord | None) -> int:
    wish = decode(record.intent) if record is not None and record.intent else None
    return wish.priority if isinstance(wish, Intent) else _LEAST_IMPORTANT


def _feasibility(intent: IntentRecord | None) -> Feasibility:
    """What planning and the twin said of it, where they refused it."""
    refused = intent is not None and intent.state in _REFUSED and intent.reason
    return Feasibility((intent.reason,)) if intent is not None and refused else Feasibility()
