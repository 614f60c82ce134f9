"""Test traffic as the control socket offers it: `traffic-start`, `traffic-report`, `traffic-stop`, `traffic-tcp`.

Owns the requests, which flows were started from here, and the rows that tell about them. What carries it is the lab's
data plane; every row says which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from lab.control_socket import ControlError
from lab.planes import Attachment, DataPlane, FlowReport, FlowSpec, Forwarding
from lab.topology import Topology
from lab.traffic.attachments import find_attachment, router_of
from lab.traffic.flows import check_flow
from lab.traffic.hosts import Host, TrafficError
from lab.traffic.throughput import measure_throughput


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EndsRequest(_Request):
    """From where to where: `ROUTER:INTERFACE`, or a router when the VPN is given."""

    source: str
    target: str
    vpn: str = ""
    version: Literal[4, 6] | None = None


class StartRequest(EndsRequest):
    """Packets to send until the flow is stopped."""

    packet_rate: float = 2000.0
    packet_octets: int = 200


class TcpRequest(EndsRequest):
    """How long to send over TCP."""

    seconds: Annotated[int, Field(ge=1, le=600)] = 2


class ReportRequest(_Request):
    """Which flow; all when it is not given."""

    flow: str | None = None


class StopRequest(_Request):
    """Which flow."""

    flow: str


@runtime_checkable
class _Hosts(Protocol):
    """A plane that forwards real packets, and has hosts to send them from."""

    async def host(self, attachment: Attachment) -> Host: ...


Operation = tuple[Callable[[Any], Any], type[BaseModel]]


class TrafficService:
    """Traffic over one plane; `forwarding` tells what a router's configuration has."""

    def __init__(self, topology: Topology, plane: DataPlane, forwarding: Forwarding) -> None:
        self._topology = topology
        self._plane = plane
        self._forwarding = forwarding
        self._flows: dict[str, FlowSpec] = {}

    def operations(self) -> Mapping[str, Operation]:
        """What can be asked: a coroutine that answers, and the members it takes."""
        return {
            "traffic-start": (self.start, StartRequest),
            "traffic-report": (self.report, ReportRequest),
            "traffic-stop": (self.stop, StopRequest),
            "traffic-tcp": (self.tcp, TcpRequest),
        }

    async def start(self, request: StartRequest) -> dict[str, Any]:
        """Start a flow; the row names it."""
        source, target = self._ends(request)
        spec = FlowSpec(source, target, request.packet_rate, request.packet_octets)
        try:
            check_flow(spec, target.address)
            name = await self._plane.start_flow(spec)
        except (ValueError, TimeoutError) as error:
            raise ControlError(str(error) or "the generator did not start in time") from error
        self._flows[name] = spec
        rate = {"packet_rate": spec.packet_rate, "packet_octets": spec.packet_octets}
        return {"flow": name, "plane": self._plane.name, **_ends(spec), **rate}

    async def report(self, request: ReportRequest) -> list[dict[str, Any]]:
        """What has become of the running flows so far."""
        if request.flow is not None and request.flow not in self._flows:
            raise self._unknown(request.flow)
        try:
            reports = await self._plane.flows()
        except (TrafficError, TimeoutError) as error:
            raise ControlError(str(error) or "a generator does not answer: stop the flow") from error
        return [self._row(found) for found in reports if request.flow in {None, found.flow}]

    async def stop(self, request: StopRequest) -> dict[str, Any]:
        """Stop a flow and tell what became of it."""
        if request.flow not in self._flows:
            raise self._unknown(request.flow)
        try:
            row = self._row(await self._plane.stop_flow(request.flow))
        except (TrafficError, TimeoutError) as error:
            raise ControlError(str(error) or "the generator does not answer") from error
        finally:
            del self._flows[request.flow]
        return row

    async def tcp(self, request: TcpRequest) -> dict[str, Any]:
        """Send over TCP and tell how much arrived."""
        if not isinstance(self._plane, _Hosts):
            raise ControlError(f"the plane of this lab ({self._plane.name}) carries no TCP: start it on namespaces")
        ends = self._ends(request)
        try:
            source, target = [await self._plane.host(end) for end in ends]
            found = await measure_throughput(self._plane.name, source, target, seconds=request.seconds)
        except (ValueError, TimeoutError) as error:
            raise ControlError(str(error) or "iperf3 does not answer") from error
        return asdict(found)

    def _ends(self, request: EndsRequest) -> tuple[Attachment, Attachment]:
        source = self._attachment(request.source, request.vpn, request.version)
        version = 6 if ":" in source.address else 4
        return source, self._attachment(request.target, request.vpn, version)

    def _attachment(self, words: str, vpn: str, version: int | None) -> Attachment:
        router = router_of(words)
        try:
            self._topology.node(router)
            return find_attachment(words, self._forwarding(router), vpn=vpn, version=version)
        except KeyError as error:
            raise ControlError(f"{error.args[0]}: `accord lab status` lists them") from error
        except TrafficError as error:
            raise ControlError(str(error)) from error

    def _unknown(self, flow: str) -> ControlError:
        return ControlError(f"there is no flow {flow!r} (running: {', '.join(self._flows) or 'none'})")

    def _row(self, report: FlowReport) -> dict[str, Any]:
        spec = self._flows.get(report.flow)
        return {**asdict(report), **(_ends(spec) if spec else {})}


def _ends(spec: FlowSpec) -> dict[str, str]:
    return {"source": _text(spec.source), "target": _text(spec.target)}


def _text(end: Attachment) -> str:
    return f"{end.router}:{end.interface} {end.address}"
