"""Owns the packets: flows of the consumer's services and of tenants, both ways, and what becomes of each.

Rates follow what is agreed or set; a flow that ends is counted for good. Where packets go is asked of the lab's tables,
not of the controller.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from controller.model.errors import ConflictError, NotFoundError
from controller.scenarios.surroundings import PACKET_OCTETS, Delivery
from lab.network import LabNetwork
from lab.planes import Attachment, FlowSpec
from lab.planes.fib_walk import Delivered, Way, walk
from lab.planes.fluid_ways import wire_octets
from lab.planes.memory import MemoryPlane
from lab.traffic.attachments import find_attachment

TENANT_OCTETS = 9000
"""Few large packets load a link like many small ones, and are sooner counted."""
_ONE_SEGMENT = 1


@dataclass(frozen=True, slots=True)
class _Sent:
    """The flows of somebody between two places, and what became of those before."""

    name: str
    vpn: str
    ends: tuple[str, str]
    bit_rate: float
    flows: tuple[str, ...] = ()
    ended: Delivery = field(default_factory=Delivery)


class Traffic:
    """Everybody's flows, by a name that the caller gives."""

    def __init__(self, lab: LabNetwork) -> None:
        self._lab = lab
        self._sent: dict[str, _Sent] = {}

    async def send(self, name: str, vpn: str, ends: tuple[str, str], bit_rate: float) -> None:
        """From now on so much, both ways, in a service's packets; 0 for nothing."""
        await self._change(_Sent(name, vpn, ends, bit_rate), bit_rate / 8 / PACKET_OCTETS, PACKET_OCTETS)

    async def fill(self, name: str, vpn: str, ends: tuple[str, str], bit_rate: float) -> None:
        """From now on so much as the wire counts it, with all headers."""
        rate = bit_rate / 8 / wire_octets(TENANT_OCTETS, _ONE_SEGMENT)
        await self._change(_Sent(name, vpn, ends, bit_rate), rate, TENANT_OCTETS)

    async def end(self, name: str) -> None:
        """Send no more of it; what was sent stays counted."""
        if (before := self._sent.get(name)) is not None:
            await self._change(replace(before, bit_rate=0.0, flows=()), 0.0, PACKET_OCTETS)

    async def _change(self, wanted: "_Sent", packet_rate: float, octets: int) -> None:
        plane, before = self._lab.plane, self._sent.get(wanted.name)
        if before is not None and before.bit_rate == wanted.bit_rate:
            return
        reports = [await plane.stop_flow(flow) for flow in before.flows] if before else []
        ended = sum((Delivery(one.sent, one.lost) for one in reports), before.ended if before else Delivery())
        flows: tuple[str, ...] = ()
        if packet_rate > 0:
            a, z = (self._host(wanted.vpn, place) for place in wanted.ends)
            specs = FlowSpec(a, z, packet_rate, octets), FlowSpec(z, a, packet_rate, octets)
            flows = tuple([await plane.start_flow(spec) for spec in specs])
        self._sent[wanted.name] = replace(wanted, flows=flows, ended=ended)

    async def delivered(self) -> Mapping[str, Delivery]:
        """What became of the packets so far, by name."""
        running = {report.flow: report for report in await self._lab.plane.flows()}
        return {
            name: sum((Delivery(running[flow].sent, running[flow].lost) for flow in sent.flows), sent.ended)
            for name, sent in self._sent.items()
        }

    async def on_the_way_seconds(self, name: str) -> float | None:
        """How long its first packets take, the slower of both ways; None while none has left that will arrive."""
        running = {report.flow: report for report in await self._lab.plane.flows()}
        delays = [running[flow].delay_minimum_seconds for flow in self._sent[name].flows]
        known = [delay for delay in delays if delay is not None]
        return max(known) if known and len(known) == len(delays) else None

    def way(self, name: str) -> Way:
        """The links that packets take now; `ConflictError` where they do not arrive."""
        plane, sent = self._lab.plane, self._sent[name]
        assert isinstance(plane, MemoryPlane)  # noqa: S101 - there is no other on a stage
        target = self._host(sent.vpn, sent.ends[1])
        ways = walk(plane.tables, sent.ends[0], self._instance(sent.vpn, sent.ends[0]), target.address)
        if len(ways) != 1 or not isinstance(ways[0].end, Delivered):
            raise ConflictError(f"packets of '{name}' do not take one way: {ways}", path=name)
        return ways[0]

    def _host(self, vpn: str, place: str) -> Attachment:
        return find_attachment(place, self._lab.forwarding(place), vpn=self._instance(vpn, place))

    def _instance(self, vpn: str, place: str) -> str:
        for instance in self._lab.forwarding(place).instances:
            if instance.name.startswith(vpn):
                return instance.name
        raise NotFoundError(f"'{place}' has no instance of VPN '{vpn}'", remedy="provision it first", path=vpn)
