"""The running flows of a plane that forwards packets: a sender and a receiver each, in their hosts' namespaces.

Owns their names, their processes, and putting both accounts together into a `FlowReport`. A packet counts as lost when
it has not come some time after it left, longer than the slowest has taken so far.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lab.planes import FlowReport, FlowSpec
from lab.traffic.children import Child
from lab.traffic.hosts import Host, TrafficError
from lab.traffic.packets import LARGEST_OCTETS, smallest_octets
from lab.traffic.sender import Sending

_PATIENCE_SECONDS = 0.3
_LOOK_SECONDS = 0.02
FASTEST_PACKET_RATE = 20_000


@dataclass(frozen=True, slots=True)
class _Flow:
    name: str
    sender: Child
    receiver: Child


class Flows:
    """The flows of one plane, whose name stands in every report."""

    def __init__(self, plane: str) -> None:
        self._plane = plane
        self._flows: dict[str, _Flow] = {}
        self._started = 0

    async def start(self, spec: FlowSpec, source: Host, target: Host) -> str:
        """Start sending; the flow's name. Raises `TrafficError` for what cannot be sent."""
        check_flow(spec, target.address)
        self._started += 1
        name = f"flow-{self._started}"
        label = f"{name} at {spec.target.router}:{spec.target.interface}"
        listening = {"process": target.process, "address": target.address}
        receiver, told = await Child.start(f"the receiver of {label}", "lab.traffic.receiver", listening)
        sending = Sending(
            source.address, target.address, **told, packet_rate=spec.packet_rate, packet_octets=spec.packet_octets
        )
        label = f"{name} at {spec.source.router}:{spec.source.interface}"
        words = {"process": source.process, **asdict(sending)}
        try:
            sender, _ = await Child.start(f"the sender of {label}", "lab.traffic.sender", words)
        except BaseException:
            await receiver.end()
            raise
        self._flows[name] = _Flow(name, sender, receiver)
        return name

    async def stop(self, name: str) -> FlowReport:
        """Stop sending, wait for what is under way, and tell; KeyError for an unknown flow."""
        flow = self._flow(name)
        del self._flows[name]
        try:
            return await self._report(flow, await flow.sender.ask("stop"))
        finally:
            await asyncio.gather(flow.sender.end(), flow.receiver.end())

    async def reports(self) -> tuple[FlowReport, ...]:
        """What has become of each running flow so far."""
        return tuple(await asyncio.gather(*map(self._report_so_far, list(self._flows.values()))))

    async def close(self) -> None:
        """End all flows without a report."""
        flows, self._flows = list(self._flows.values()), {}
        await asyncio.gather(*(child.end() for flow in flows for child in (flow.sender, flow.receiver)))

    async def _report_so_far(self, flow: _Flow) -> FlowReport:
        return await self._report(flow, await flow.sender.ask("report"))

    async def _report(self, flow: _Flow, sent: Mapping[str, Any]) -> FlowReport:
        question = {member: sent[member] for member in ("sent", "first_sent", "last_sent")}
        waited = 0.0
        while True:
            found = await flow.receiver.ask(question)
            missing = sent["sent"] - found["received"] - found["missed"]
            if missing <= 0 or waited > _PATIENCE_SECONDS + 2 * (found["delay_maximum_seconds"] or 0.0):
                break
            await asyncio.sleep(_LOOK_SECONDS)
            waited += _LOOK_SECONDS
        return FlowReport(
            flow=flow.name, plane=self._plane, sent=sent["sent"], late=sent["late"], lost=max(0, missing), **found
        )

    def _flow(self, name: str) -> _Flow:
        if name not in self._flows:
            running = ", ".join(self._flows) or "none"
            raise KeyError(f"there is no flow {name!r} (running: {running})")
        return self._flows[name]


def check_flow(spec: FlowSpec, address: str) -> None:
    """Raises `TrafficError` for a rate or size that no generator keeps to."""
    if not 0 < spec.packet_rate <= FASTEST_PACKET_RATE:
        raise TrafficError(f"{spec.packet_rate:g} packets/s: give more than 0 and at most {FASTEST_PACKET_RATE}")
    smallest = smallest_octets(address)
    if not smallest <= spec.packet_octets <= LARGEST_OCTETS:
        raise TrafficError(f"packets of {spec.packet_octets} octets to {address}: give {smallest} to {LARGEST_OCTETS}")
