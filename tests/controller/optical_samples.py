"""An optical domain of three switches as its controller shows it, and the routers around it."""

from controller.mapping.optical_domain import ClientPort, OpticalDomain, OpticalLink, OpticalTunnel
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.network import Link, Network, Node, TerminationPoint
from controller.topology.te_database import TeDatabase

OTN = DeviceName("otn-domain")
SLOT = BitRate(10_000_000)
A, B, C, P = map(DeviceName, ("pe-a", "pe-b", "pe-c", "p-1"))


def point(node: str, port: str) -> TerminationPoint:
    return TerminationPoint(DeviceName(node), port)


def domain(*tunnels: OpticalTunnel, cut: tuple[str, ...] = ()) -> OpticalDomain:
    used = {name: sum(t.slots for t in tunnels if name in t.route) for name in ("a--b", "b--c", "a--c")}
    return OpticalDomain(
        device=OTN,
        slot=SLOT,
        setup_seconds=2.0,
        nodes=("a", "b", "c"),
        client_ports=tuple(
            ClientPort(node, f"client{number}", 100, point(f"pe-{node}", f"core{2 + number}"))
            for node, numbers in (("a", 2), ("b", 2), ("c", 1))
            for number in range(numbers)
        ),
        links=(
            OpticalLink("a--b", "a", "b", 100, 100 - used["a--b"], 0.002, is_up="a--b" not in cut),
            OpticalLink("b--c", "b", "c", 100, 100 - used["b--c"], 0.003, frozenset({7}), "b--c" not in cut),
            OpticalLink("a--c", "a", "c", 40, 40 - used["a--c"], 0.001, frozenset({7}), "a--c" not in cut),
        ),
        tunnels=tunnels,
    )


def tunnel(name: str, source: str, target: str, slots: int, *route: str, status: str = "up") -> OpticalTunnel:
    delays = {"a--b": 0.002, "b--c": 0.003, "a--c": 0.001}
    return OpticalTunnel(name, source, target, slots, status, sum(delays[link] for link in route), route)


def wire(one: TerminationPoint, other: TerminationPoint, **attributes) -> tuple[Link, Link]:
    settings = {"capacity": BitRate(10**10), "delay_seconds": 0.004, "metric": 400} | attributes
    return Link(one, other, **settings), Link(other, one, **settings)


def network() -> Network:
    """Three edges around one core router; a and b, a and c have a link over the domain, which is down."""
    nodes = [Node(name, endpoint=f"2001:db8::{i}", router_id=f"192.0.2.{i}") for i, name in enumerate((A, B, C, P), 1)]
    over = {"capacity": BitRate(10**9), "metric": 16777214, "is_up": False, "admin_group": 1, "segment": "fd00::d"}
    links = [
        *wire(point(A, "core0"), point(P, "core0"), segment="fd00::a"),
        *wire(point(B, "core0"), point(P, "core1"), segment="fd00::b", srlgs=frozenset({5})),
        *wire(point(C, "core0"), point(P, "core2"), segment="fd00::c", capacity=BitRate(10**9)),
        *wire(point(A, "core2"), point(B, "core2"), delay_seconds=0.002, **over),
        *wire(point(A, "core3"), point(C, "core2"), delay_seconds=0.001, **over),
    ]
    return Network.of(nodes, links)


def database() -> TeDatabase:
    return TeDatabase(network())


def over_link(source: DeviceName, target: DeviceName) -> Link:
    return next(link for link in network().out_of(source) if link.target.node == target)
