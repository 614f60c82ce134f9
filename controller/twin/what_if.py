"""Owns the answer to "what if": a failure, a plan, more traffic, or all of it at once, compared with the present."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName
from controller.topology.network import LinkId, Network
from controller.twin.configuration import DeviceForwarding
from controller.twin.entry import Source, State, kind_of, vrf_of
from controller.twin.forecast import Demand, Forecast, Loads, Traffic, forecast, load
from controller.twin.intended import Member
from controller.twin.provider_core import CONNECTED, Core, Failure, link_failure, node_failure, srlg_failure
from controller.twin.reach import Reach
from controller.twin.routes import Key
from controller.twin.scope import whole
from controller.twin.tunnels import tunnel_faults
from controller.twin.verdict import CounterExample

ACTIVITY = 0.1
"""Share of what an access may send that it is taken to send, where nobody has measured it."""
_Pair = tuple[str, DeviceName, DeviceName, int]


@dataclass(frozen=True, slots=True)
class Question:
    """What is supposed."""

    links_down: tuple[str, ...] = ()
    nodes_down: tuple[str, ...] = ()
    srlgs_down: tuple[int, ...] = ()
    demand_factor: float = 1.0
    traffic: Traffic = field(default_factory=Traffic)

    def failure(self, network: Network | None) -> Failure:
        """All that is down at once; the error names what the network does not have."""
        parts = [*self.links_down, *self.nodes_down, *map(str, self.srlgs_down)]
        if not parts:
            return Failure()
        if network is None:
            raise InvalidInputError("no topology is known, so nothing of it can fail", remedy="accord topology refresh")
        failures = [
            *(link_failure(network, text) for text in self.links_down),
            *(node_failure(network, name) for name in self.nodes_down),
            *(srlg_failure(network, number) for number in self.srlgs_down),
        ]
        return Failure(
            " and ".join(each.name for each in failures),
            frozenset[LinkId]().union(*(each.links for each in failures)),
            frozenset[DeviceName]().union(*(each.nodes for each in failures)),
        )

    def refuse_nonsense(self) -> None:
        """Traffic is multiplied by more than nothing."""
        if not 0 < self.demand_factor < float("inf"):
            raise InvalidInputError(
                f"demand cannot be {self.demand_factor} times what it is", remedy="say x2 for twice as much"
            )


@dataclass(frozen=True, slots=True)
class LinkAnswer:
    """A link before and after."""

    link: LinkId
    source: DeviceName
    target: DeviceName
    capacity_bit_rate: int
    load_before: float
    load_after: float
    is_up: bool

    @property
    def utilisation(self) -> float:
        """Afterwards."""
        return self.load_after / self.capacity_bit_rate


@dataclass(frozen=True, slots=True)
class Answer:
    """What would be so. `broken` is what is well now and would not be then."""

    supposed: str
    broken: tuple[CounterExample, ...]
    broken_already: int
    packets: int
    links: tuple[LinkAnswer, ...]
    before: tuple[Forecast, ...]
    after: tuple[Forecast, ...]
    assumptions: tuple[str, ...]

    @property
    def overfull(self) -> tuple[LinkAnswer, ...]:
        """Links that more is sent over than they carry."""
        return tuple(link for link in self.links if link.utilisation > 1)


def answer(now: State, then: State, question: Question) -> Answer:
    """Compare the network now with the network `then`, supposing what the question says."""
    question.refuse_nonsense()
    failure = question.failure(now.model.network)
    supposed = Core(_without(then, failure), then.model.network, failure)
    demands = list(estimated(now))
    wanted = [
        Demand(each.name, each.source, each.target, each.bit_rate * question.demand_factor, each.color)
        for each in estimated(then)
        if each.source not in failure.nodes and each.target not in failure.nodes
    ]
    present = now.model.core()
    loads = load(present, demands), load(supposed, wanted)
    packets, faults = _follow(then, supposed)
    _, standing = _follow(now, present)
    known = {each.key[:-1] for each in standing}
    return Answer(
        supposed=", ".join(_supposed(question, failure)) or "nothing is changed",
        broken=tuple(each for each in faults if each.key[:-1] not in known),
        broken_already=len(standing),
        packets=packets,
        links=tuple(_links(supposed, *loads)),
        before=tuple(forecast(each, loads[0], question.traffic) for each in demands),
        after=tuple(forecast(each, loads[1], question.traffic) for each in wanted),
        assumptions=tuple(_assumptions(then, question)),
    )


def _without(then: State, failure: Failure) -> dict[DeviceName, DeviceForwarding]:
    return {name: each for name, each in then.model.devices.items() if name not in failure.nodes}


def _supposed(question: Question, failure: Failure) -> Iterator[str]:
    if failure.name != "now":
        yield f"{failure.name} down"
    if question.demand_factor != 1:
        yield f"demand x{question.demand_factor:g}"


def _assumptions(state: State, question: Question) -> Iterator[str]:
    if state.model.network is None:
        yield CONNECTED
    yield f"every access sends {ACTIVITY * question.demand_factor:.0%} of what it may, to all whom it may reach alike"
    yield f"loads are known to within {question.traffic.load_error:.0%}"


def _links(core: Core, before: Loads, after: Loads) -> Iterator[LinkAnswer]:
    for link in core.network.links.values() if core.network else ():
        is_up = link.is_up and not core.failure.hits(link)
        rates = (before.rates.get(link.id, 0.0), after.rates.get(link.id, 0.0))
        yield LinkAnswer(link.id, link.source.node, link.target.node, link.capacity.bits_per_second, *rates, is_up)


@dataclass(slots=True)
class _Group:
    """Members of one kind in one VRF, and what they may send together."""

    key: Key
    member: Member
    bit_rate: int = 0


def estimated(state: State) -> Iterator[Demand]:
    """What the VPNs are taken to send between routers: each access a share of its rate, spread over all it reaches."""
    rates: dict[_Pair, float] = {}
    for vpn in state.intended.members:
        groups = _groups(state, vpn)
        for sender in groups:
            instance = state.model.instance(sender.key)
            reached = [each for each in groups if state.intended.must_send(sender.member, each.member)]
            weight = sum(each.bit_rate for each in reached)
            for target in reached if instance and weight else ():
                pair = (vpn, sender.key[0], target.key[0], instance.color if instance else 0)
                rates[pair] = rates.get(pair, 0.0) + ACTIVITY * sender.bit_rate * target.bit_rate / weight
    for (vpn, source, target_device, color), rate in rates.items():
        if source != target_device:
            yield Demand(f"{vpn}: {source} to {target_device}", source, target_device, rate, color)


def _groups(state: State, vpn: str) -> list[_Group]:
    found: dict[object, _Group] = {}
    for member in state.intended.members[vpn].values():
        key = vrf_of(state.model, member.attachment)
        if key is not None:
            group = found.setdefault((key, kind_of(member)), _Group(key, member))
            group.bit_rate += member.bit_rate
    return list(found.values())


def _follow(state: State, core: Core) -> tuple[int, list[CounterExample]]:
    """Send a packet from each kind of sender to each kind of receiver, and see what the tunnels do."""
    reach = Reach(state, whole(state, set(state.intended.members)))
    down = core.failure.nodes
    found: list[CounterExample] = []
    for vpn in sorted(state.intended.members):
        groups = [each for each in _groups(state, vpn) if each.key[0] not in down]
        for sender in groups:
            source = Source(sender.key, sender.member.attachment, (sender.member,))
            for target in groups:
                if target is not sender and state.intended.must_send(sender.member, target.member):
                    for destination in list(target.member.prefixes)[:1]:
                        found += reach.packet(source, target.member, destination, core)
    found += tunnel_faults(state.model, state.intended, core)
    return reach.classes, found


def worst(answer: Answer, most: int = 10) -> tuple[Forecast, ...]:
    """The demands that fare worst, lost ones first."""

    def rank(each: Forecast) -> tuple[float, float]:
        return -each.loss_ratio.likely, -(each.delay_seconds.likely if each.delay_seconds else 0.0)

    return tuple(sorted(answer.after, key=rank)[:most])
