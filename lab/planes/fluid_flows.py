"""Test flows of customers through the fluid network, and what becomes of packets that are under way when it changes.

Owns `FlowReport`s of the memory plane. A packet follows the tables that its next router has when it gets there; what is
on a fibre when it is cut is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from lab.planes import Attachment, FlowReport, FlowSpec
from lab.planes.fib import Tables
from lab.planes.fib_walk import Delivered, Dropped, Hop, Way, walk, walk_on
from lab.planes.fluid_loads import DirectionKey
from lab.planes.fluid_stream import Account, Conditions, PacketStream
from lab.planes.fluid_ways import Direction, Passed, choose, passed, wire_octets

PLANE = "memory"


@dataclass(slots=True)
class _Flow:
    """A running flow: the way that packets take now, and what they meet on it since the last event."""

    name: str
    spec: FlowSpec
    instance: str
    stream: PacketStream
    way: Way
    met: Passed

    @property
    def bit_rate(self) -> float:
        return self.spec.packet_rate * 8 * self.spec.packet_octets


class Flows:
    """The test flows of a network."""

    def __init__(self, tables: Tables, directions: Mapping[DirectionKey, Direction], *, seed: int) -> None:
        self._tables = tables
        self._directions = directions
        self._seed = seed
        self._flows: dict[str, _Flow] = {}
        self._started = 0

    def start(self, time: float, spec: FlowSpec) -> str:
        """Begin to send; ValueError for an attachment that is none. The caller lets the network refresh."""
        instance = self._instance(spec.source)
        self._instance(spec.target)
        if spec.packet_rate <= 0 or spec.packet_octets <= 0:
            raise ValueError(f"a flow has packets and sends some, not {spec.packet_rate:g}/s of {spec.packet_octets}")
        self._started += 1
        name = f"flow-{self._started}"
        way = Way(1.0, (), Dropped(spec.source.router, "it has not started"))
        met = Passed(way, Conditions(delivered=False), ())
        stream = PacketStream(time, spec.packet_rate, met.conditions, seed=f"{self._seed} {name}")
        self._flows[name] = _Flow(name, spec, instance, stream, way, met)
        return name

    def stop(self, time: float, name: str) -> FlowReport:
        """Stop sending and tell; KeyError for an unknown flow."""
        report = self._report(self._flow(name), time)
        del self._flows[name]
        return report

    def reports(self, time: float) -> tuple[FlowReport, ...]:
        """What has become of each flow so far."""
        return tuple(self._report(flow, time) for flow in self._flows.values())

    def spec(self, name: str) -> FlowSpec:
        """What the flow was started as; KeyError for an unknown flow."""
        return self._flow(name).spec

    def way(self, name: str) -> Way:
        """The way that packets of the flow take now; KeyError for an unknown flow."""
        return self._flow(name).way

    def access_rates(self, router: str, interface: str) -> tuple[float, float]:
        """Bit/s of all flows that come in over the interface, and that leave by it."""
        wanted = router, interface
        flows = self._flows.values()
        entering = [f for f in flows if (f.spec.source.router, f.spec.source.interface) == wanted]
        leaving = [f for f in flows if (f.spec.target.router, f.spec.target.interface) == wanted]
        return sum(f.bit_rate for f in entering), sum(f.bit_rate for f in leaving if isinstance(f.way.end, Delivered))

    # Taking part in the simulation

    def resolve(self) -> None:
        """Find the flows' ways through the tables as they are now."""
        for flow in self._flows.values():
            flow.way = self._way(flow)

    def loads(self) -> Iterator[tuple[DirectionKey, float]]:
        """Bit/s of each flow on each link it takes: of what the rate limit of its entry lets in."""
        for flow in self._flows.values():
            packet_rate = flow.spec.packet_rate * self._passing(flow.spec.source, entering=True)
            for hop in flow.way.hops:
                octets = wire_octets(flow.spec.packet_octets, hop.segments)
                yield (hop.router, hop.port), packet_rate * 8 * octets

    def meet(self, time: float, *, core_changed: bool) -> None:
        """From `time` on packets meet what the links are like now."""
        del core_changed
        for flow in self._flows.values():
            met = passed(
                flow.way,
                self._directions,
                time,
                packet_octets=flow.spec.packet_octets,
                loss_ratio=self._refused(flow),
            )
            if met.way != flow.met.way:
                self._change_in_flight(flow, time)
            if met.conditions != flow.met.conditions:
                flow.stream.change(time, met.conditions)
            flow.met = met

    def _way(self, flow: _Flow) -> Way:
        source = flow.spec.source
        if not self._tables.links.is_up(source.router, source.interface):
            return Way(1.0, (), Dropped(source.router, f"interface {source.interface} is down"))
        ways = walk(self._tables, source.router, flow.instance, flow.spec.target.address)
        return self._checked(flow, choose(ways, flow.name))

    def _checked(self, flow: _Flow, way: Way) -> Way:
        """A way that ends at another attachment than the flow's is a loss."""
        target = flow.spec.target
        if isinstance(way.end, Delivered) and (way.end.router, way.end.interface) != (target.router, target.interface):
            reason = f"it was delivered to {way.end.router}, interface {way.end.interface}"
            return replace(way, end=Dropped(way.end.router, reason))
        return way

    def _refused(self, flow: _Flow) -> float:
        """The share of its packets that the rate limits of its two attachments take."""
        return 1 - self._passing(flow.spec.source, entering=True) * self._passing(flow.spec.target, entering=False)

    def _passing(self, attachment: Attachment, *, entering: bool) -> float:
        """The share of what is offered at an attachment that its rate limit lets pass."""
        interface = self._tables.forwarding(attachment.router).interfaces.get(attachment.interface)
        if interface is None:
            return 1.0
        limit = interface.input_bit_rate if entering else interface.output_bit_rate
        offered = self.access_rates(attachment.router, attachment.interface)[0 if entering else 1]
        return min(1.0, limit / offered) if limit and offered else 1.0

    def _change_in_flight(self, flow: _Flow, time: float) -> None:
        """Packets that have left and not arrived go on from the next router as its tables are now."""
        stream, before = flow.stream, flow.met
        passed_before = 0.0
        for hop, offset in zip(before.way.hops, before.offsets, strict=True):
            first = max(stream.epoch.first, stream.sent(time - offset))
            last = stream.sent(time - passed_before)
            passed_before = offset
            if first < last:
                rest = self._rest(flow, hop, time)
                if before.conditions.delivered and rest is None:
                    stream.lose_in_flight(first, last)
                elif not before.conditions.delivered and rest is not None:
                    stream.save_in_flight(first, last, offset + rest)

    def _rest(self, flow: _Flow, hop: Hop, time: float) -> float | None:
        """Seconds to the target of packets that are on that link; None when they never get there."""
        link = self._directions[hop.router, hop.port].link
        if self._tables.links.loses(link):
            return None
        router = link.other_end(hop.router).node
        ways = walk_on(self._tables, router, hop, flow.instance, flow.spec.target.address)
        rest = self._checked(flow, choose(ways, flow.name))
        if not isinstance(rest.end, Delivered):
            return None
        return passed(rest, self._directions, time, packet_octets=flow.spec.packet_octets).conditions.delay_seconds

    def _instance(self, attachment: Attachment) -> str:
        own = self._tables.forwarding(attachment.router)
        for instance in own.instances:
            if instance.enabled and attachment.interface in instance.interfaces:
                return instance.name
        raise ValueError(f"{attachment.router}: interface {attachment.interface} is in no VPN")

    def _flow(self, name: str) -> _Flow:
        try:
            return self._flows[name]
        except KeyError:
            raise KeyError(f"there is no flow {name!r}") from None

    def _report(self, flow: _Flow, time: float) -> FlowReport:
        account, sent = flow.stream.account(time), flow.stream.sent(time)
        return FlowReport(
            flow=flow.name,
            plane=PLANE,
            sent=sent,
            received=sent - account.lost,
            lost=account.lost,
            reordered=account.reordered,
            delay_minimum_seconds=min(account.delays, default=None),
            delay_median_seconds=_quantile(account, 0.5),
            delay_p99_seconds=_quantile(account, 0.99),
            delay_maximum_seconds=max(account.delays, default=None),
            longest_gap_seconds=account.longest_gap,
        )


def _quantile(account: Account, share: float) -> float | None:
    left = share * sum(account.delays.values())
    for delay in sorted(account.delays):
        left -= account.delays[delay]
        if left <= 0:
            return delay
    return None
