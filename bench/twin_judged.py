"""Owns the judgement of the twin by the lab: what it says becomes of packets, and what becomes of them in the lab.

One published network carries VPNs and tunnels. Changes and failures are drawn by seed; for each of them every packet
class is followed by the twin (from configuration lines) and by the lab (from the same configuration as XML, by code
that shares nothing with the twin). Forecasts are compared with test flows through the lab's memory plane.
"""

import asyncio
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lxml import etree

from bench.table import Row, row
from bench.twin_judged_network import JudgedNetwork, judged_network
from controller.model.identifiers import DeviceName
from controller.topology.network import LinkId
from controller.twin.configuration import DeviceForwarding
from controller.twin.entry import vrf_of
from controller.twin.forecast import Demand, Traffic, forecast, load
from controller.twin.intended import Attachment, Member
from controller.twin.model import Model
from controller.twin.provider_core import Core, Failure
from controller.twin.reading import reread
from lab.planes import Attachment as LabAttachment
from lab.planes import FlowReport, FlowSpec
from lab.planes.fib import Tables, View
from lab.planes.fib_walk import Delivered, walk
from lab.planes.memory import MemoryPlane
from lab.router.forwarding import read_forwarding

CASES = 200
FLOWS = 40
DELAY_ERROR_PERCENT = 5.0
LOSS_ERROR_POINTS = 2.0
_SECONDS = 5.0
_OVERLOADS = (0.6, 1.2, 1.6)
"""Times the published demands."""
Where = tuple[str, str] | None
"""Router and interface that a packet leaves by; None when it does not arrive."""


@dataclass(frozen=True, slots=True)
class Case:
    """One change of configurations, or one failure."""

    name: str
    lines: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    failure: Failure = field(default_factory=Failure)


@dataclass(frozen=True)
class Judgement:
    """Both verdicts on a case, packet by packet: (sender, address) -> where it leaves."""

    case: Case
    twin: Mapping[tuple[str, str], Where]
    lab: Mapping[tuple[str, str], Where]

    @cached_property
    def differing(self) -> list[str]:
        """Packets on which the two do not agree."""
        return [
            f"{self.case.name}: {sender} to {address}: twin {self.twin[sender, address]}, lab {there}"
            for (sender, address), there in self.lab.items()
            if self.twin[sender, address] != there
        ]


def case(network: JudgedNetwork, seed: int) -> Case:
    """The case of that number."""
    rng = random.Random(seed)
    return rng.choice((_failure, _failure, _change, _change, _change))(network, rng)


def _failure(network: JudgedNetwork, rng: random.Random) -> Case:
    topology = network.network
    kind = rng.choice(("link", "two links", "node", "srlg"))
    links = sorted(topology.links)
    if kind == "node":
        name = rng.choice(sorted(topology.nodes))
        return Case(f"node {name} down", failure=Failure(f"node {name}", nodes=frozenset([name])))
    groups = sorted({group for link in topology.links.values() for group in link.srlgs})
    if kind == "srlg" and groups:
        group = rng.choice(groups)
        found = [link.id for link in topology.links.values() if group in link.srlgs]
    else:
        found = rng.sample(links, 2 if kind == "two links" else 1)
    down = topology.both_directions(map(LinkId, found))
    name = ", ".join(sorted(down))
    return Case(f"{name} down", failure=Failure(name, links=down))


def _change(network: JudgedNetwork, rng: random.Random) -> Case:
    member = rng.choice(network.members)
    device, place = member.attachment.device, member.attachment
    vrf = vrf_of(network.model, place)
    assert vrf is not None
    instance = network.devices[device].instances[vrf[1]]
    vpn = f"/ietf-network-instance:network-instances/network-instance[name='{vrf[1]}']"
    interface = f"/ietf-interfaces:interfaces/interface[name='{place.port}.{place.vlan}']"
    other = network.devices[device].instances[rng.choice(sorted(network.devices[device].instances))]
    route = instance.static_routes[0]
    target = f"{vpn}/accord-router:l3vpn/vpn-targets"
    core = f"/ietf-interfaces:interfaces/interface[name='core{rng.randrange(2)}']"
    inside = route.prefix.replace(".0/24", ".64/26")
    policies = sorted(network.devices[device].router.policies) or [(1, "::1")]
    color, endpoint = policies[0]
    policy = f"/accord-router:router/srv6/policy[color='{color}'][endpoint='{endpoint}']"
    texts: dict[str, dict[str, str | None]] = {
        "a route gone": {
            f"{vpn}/accord-router:l3vpn/static-route[prefix='{route.prefix}'][next-hop='{route.next_hop}']": None
        },
        "a narrower route": {
            f"{vpn}/accord-router:l3vpn/static-route[prefix='{inside}'][next-hop='{route.next_hop}']": ""
        },
        "an import gone": {f"{target}/import[.='0:{min(instance.imports)}']": None},
        "a foreign import": {f"{target}/import[.='0:{min(other.exports)}']": ""},
        "a foreign export": {f"{target}/export[.='0:{min(other.imports)}']": ""},
        "an interface shut": {f"{interface}/enabled": "false"},
        "an interface elsewhere": {f"{interface}/ietf-network-instance:bind-ni-name": other.name},
        "a VRF disabled": {f"{vpn}/enabled": "false"},
        "a segment gone": {f"{vpn}/accord-router:l3vpn/srv6": None},
        "a core port shut": {f"{core}/enabled": "false"},
        "another metric": {f"{core}/accord-router:igp/metric": str(rng.randint(1, 5000))},
        "no sessions": {"/accord-router:router/bgp": None},
        "a policy gone": {policy: None},
        "a first path gone": {f"{policy}/candidate-path[discriminator='2']": None},
        "another color": {f"{vpn}/accord-router:l3vpn/color": str(rng.choice((100, 101, 999)))},
        "no adjacency": {f"{core}/accord-router:igp/adjacency-function": None},
    }
    what = rng.choice(sorted(texts))
    return Case(f"{what} on {device}", {device: texts[what]})


def judge(network: JudgedNetwork, each: Case) -> Judgement:
    """Follow every packet in both."""
    edits = {DeviceName(name): network.edit(name, change) for name, change in each.lines.items()}
    changed = [reread(network.devices[name], network.trees[name], (), edit) for name, edit in edits.items()]
    model = network.model.changed(changed)
    tables = lab_tables(network, {name: network.after(name, edit) for name, edit in edits.items()}, each.failure)
    senders = [member for member in network.members if member.attachment.device not in each.failure.nodes]
    core = Core(_alive(model, each.failure), network.network, each.failure)
    twin: dict[tuple[str, str], Where] = {}
    lab: dict[tuple[str, str], Where] = {}
    for sender in senders:
        for address in network.addresses:
            key = (str(sender.attachment), address)
            twin[key] = _in_the_twin(model, core, sender.attachment, address)
            lab[key] = _in_the_lab(tables, sender.attachment, address)
    return Judgement(each, twin, lab)


def _alive(model: Model, failure: Failure) -> dict[DeviceName, DeviceForwarding]:
    return {name: device for name, device in model.devices.items() if name not in failure.nodes}


def _in_the_twin(model: Model, core: Core, place: Attachment, address: str) -> Where:
    key = vrf_of(model, place)
    device = model.devices[place.device]
    if key is None or not device.is_up(device.by_vlan[place.port, place.vlan]):
        return None
    route = model.follow(key, f"{address}/32", core).route
    return None if route is None else (route.device, route.interface)


def lab_tables(network: JudgedNetwork, changed: Mapping[str, etree._Element], failure: Failure) -> Tables:
    """The lab's forwarding tables once all routers know what is down."""
    tables = Tables(network.topology, lambda name: read_forwarding(changed.get(name, network.documents[name])))
    for link in network.topology.links:
        ends = {f"{link.a}>{link.b}", f"{link.b}>{link.a}"}
        if ends & failure.links or {link.a.node, link.b.node} & failure.nodes:
            tables.links.set_link(link.name, up=False)
    down = tables.links.without_carrier()
    tables.see(View(down, down))
    return tables


def _in_the_lab(tables: Tables, place: Attachment, address: str) -> Where:
    own, name = tables.forwarding(place.device), f"{place.port}.{place.vlan}"
    instance = next((each.name for each in own.instances if name in each.interfaces), None)
    if instance is None or not own.interfaces[name].enabled:
        return None
    ways = walk(tables, place.device, instance, address)
    ends = {(way.end.router, way.end.interface) if isinstance(way.end, Delivered) else None for way in ways}
    return ends.pop() if len(ends) == 1 else None


# -- forecasts -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compared:
    """A flow as it was forecast and as it was measured. Delay error in percent, loss error in points."""

    flow: str
    loss_ratio: float
    delay_error: float
    loss_error: float


def compare(network: JudgedNetwork, overload: float, seed: int) -> list[Compared]:
    """Forecast some flows beside the demands of the topology, then send them through the lab."""
    rng = random.Random(seed)
    pairs = [_pair(network, rng) for _ in range(FLOWS)]
    topology = network.loaded(overload)
    reports = asyncio.run(_measured(network, overload, pairs))
    flows = [
        Demand(f"flow {n}", a.attachment.device, b.attachment.device, _FLOW_BIT_RATE, network.color_of(a))
        for n, (a, b) in enumerate(pairs)
    ]
    demands = [
        Demand(f"{each.source}>{each.target}", DeviceName(each.source), DeviceName(each.target), each.bit_rate)
        for each in topology.demands
    ]
    loads = load(network.model.core(), [*demands, *flows])
    found = []
    for flow, report in zip(flows, reports, strict=True):
        told = forecast(flow, loads, Traffic())
        if told.delay_seconds is not None and report.delay_median_seconds is not None:
            seen, lost = report.delay_median_seconds, report.lost / report.sent
            delay_error = 100 * abs(told.delay_seconds.likely - seen) / seen
            found.append(Compared(flow.name, lost, delay_error, 100 * abs(told.loss_ratio.likely - lost)))
    return found


_FLOW_RATE, _FLOW_OCTETS = 500.0, 450
_FLOW_BIT_RATE = _FLOW_RATE * 8 * _FLOW_OCTETS


def _pair(network: JudgedNetwork, rng: random.Random) -> tuple[Member, Member]:
    while True:
        a, b = rng.sample(network.members, 2)
        if a.vpn == b.vpn and a.attachment.device != b.attachment.device and network.intended.must_send(a, b):
            return a, b


async def _measured(network: JudgedNetwork, overload: float, pairs: list[tuple[Member, Member]]) -> list[FlowReport]:
    clock = [0.0]
    documents = network.documents
    plane = MemoryPlane(
        network.loaded(overload), lambda name: read_forwarding(documents[name]), now=lambda: clock[0], seed=1
    )
    await plane.start()
    clock[0] = 1.0
    names = [
        await plane.start_flow(FlowSpec(_end(network, a), _end(network, b), _FLOW_RATE, _FLOW_OCTETS)) for a, b in pairs
    ]
    clock[0] = 1.0 + _SECONDS
    reports = [await plane.stop_flow(name) for name in names]
    await plane.stop()
    return reports


def _end(network: JudgedNetwork, member: Member) -> LabAttachment:
    place = member.attachment
    return LabAttachment(place.device, f"{place.port}.{place.vlan}", network.address_of(member))


def judged_rows() -> Iterator[Row]:
    """How often the two agree, and how far forecasts are out."""
    network = judged_network()
    judgements = [judge(network, case(network, seed)) for seed in range(CASES)]
    packets = sum(len(each.lab) for each in judgements)
    for judgement in judgements:
        for line in judgement.differing[:1]:
            print(line)
    agreed = sum(not each.differing for each in judgements)
    yield row(
        "memory verdicts equal", CASES, 100 * agreed / CASES, 100, f"all {packets} packets followed", "% of cases"
    )
    found = [each for factor in _OVERLOADS for each in compare(network, factor, seed=7)]
    for name, errors, stated, unit in (
        ("memory delay, error of forecast", [each.delay_error for each in found], DELAY_ERROR_PERCENT, "%, 95 of 100"),
        ("memory loss, error of forecast", [each.loss_error for each in found], LOSS_ERROR_POINTS, "points, 95 of 100"),
    ):
        worst = sorted(errors)[int(0.95 * (len(errors) - 1))]
        yield row(name, len(errors), worst, stated, "stated error", unit, less_is_better=True)
