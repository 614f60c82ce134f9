"""One router's kernel brought to its program: what is new first, then what is replaced, then what is gone.

Owns that order (make before break) and the router's own namespace: addresses, core routes, segments. What the kernel
refuses is told as a problem and does not stop the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from ipaddress import ip_interface
from itertools import chain

from lab.planes import PolicyState
from lab.planes.netns import kernel_links, kernel_routes
from lab.planes.netns.agent_vrf import Steerings, VrfSpace, ways
from lab.planes.netns.kernel_links import LinkCounters, VethEnd
from lab.planes.netns.kernel_routes import Hop
from lab.planes.netns.netlink import KernelError
from lab.planes.netns.program import AdjacencySegment, NodeSegment, Program, Segment, Steer, VpnSegment, Vrf
from lab.planes.netns.space import Space, core_space
from lab.planes.netns.wiring import CORE_MTU, Port, mac_of, wire_address

_SEGMENT_MAC = "02:ae:00:00:00:01"


class Forwarding:
    """What a router's kernel does. `dead` answers which ports of the network are down."""

    def __init__(self, dead: Callable[[], frozenset[int]]) -> None:
        self.core: Space = core_space()
        """The router's own namespace."""
        self.program = Program()
        self.vrfs: dict[str, VrfSpace] = {}
        self._dead = dead
        self._ports: dict[str, Port] = {}
        self._made = 0
        # Local segments need a device that is always up and has no neighbours: what leaves it comes in beside it.
        ends = VethEnd("segments", _SEGMENT_MAC, CORE_MTU), VethEnd("segments-in", _SEGMENT_MAC, CORE_MTU)
        self._segment_device, _ = self.core.add_pair(*ends, self.core)
        self.core.ask(kernel_links.set_link(self._segment_device, up=True, arp=False))

    def plug(self, ports: Iterable[Port]) -> None:
        """Take the core ports, whose wires are there now."""
        for port in ports:
            self._ports[port.name] = port
            index = self.core.index(port.device)
            far = wire_address(port.far_number)
            self.core.ask(
                kernel_links.set_link(index, up=True),
                kernel_links.add_address(index, f"{wire_address(port.number)}/128"),
                kernel_links.add_neighbour(index, far, mac_of(port.far_number)),
                kernel_routes.route(f"{far}/128", [Hop(index)]),
            )

    def apply(self, program: Program) -> tuple[str, ...]:
        """Bring the kernel to the program; what it refused."""
        before, self.program = self.program, program
        steerings = self._steerings(program.vrfs.values())
        problems: list[str] = []
        for step in chain(self._build(before, program, steerings), self._sweep(before, program, steerings)):
            try:
                step()
            except (KernelError, KeyError) as error:
                problems.append(str(error))
        return tuple(problems)

    def repair(self) -> None:
        """Take the best ways that are left, now that other ports are down."""
        steerings = self._steerings(self.program.vrfs.values())
        for vrf in self.vrfs.values():
            vrf.steer(steerings)

    def policies(self) -> tuple[PolicyState, ...]:
        """The state of each policy."""
        return tuple(self._policies())

    def counters(self) -> Iterator[dict[str, LinkCounters]]:
        """Counters by name, of the core ports first, then of the customers' interfaces of a VRF at a time."""
        found = kernel_links.counters(self.core.netlink)
        yield {name: found[self.core.index(port.device)] for name, port in self._ports.items()}
        for name, vrf in list(self.vrfs.items()):
            if self.vrfs.get(name) is vrf:
                yield vrf.counters()

    def source_of(self, version: int) -> str:
        """The router's own address of a family, empty when it has none."""
        own = sorted(self.program.addresses.get("", ()))
        return next((str(ip.ip) for ip in map(ip_interface, own) if ip.version == version), "")

    def _policies(self) -> Iterator[PolicyState]:
        dead = self._dead()
        for (color, endpoint), candidates in self.program.policies.items():
            valid = [
                found.discriminator for found in candidates if any(not along.ports & dead for along in found.lists)
            ]
            yield PolicyState(color, endpoint, frozenset(valid), valid[0] if valid else None)

    def _steerings(self, vrfs: Iterable[Vrf]) -> Steerings:
        dead = self._dead()
        steers = {route for vrf in vrfs for route in vrf.routes.values() if isinstance(route, Steer)}
        return {steer: ways(steer, self.program.policies, dead) for steer in steers}

    def _build(self, before: Program, program: Program, steerings: Steerings) -> Iterator[Callable[[], None]]:
        for name in program.vrfs:
            if name not in self.vrfs:
                yield partial(self._add_vrf, name)
        for device, addresses in program.addresses.items():
            for address in sorted(addresses - before.addresses.get(device, frozenset())):
                yield partial(self._add_address, device, address)
        for prefix, ports in program.routes.items():
            if before.routes.get(prefix) != ports:
                yield partial(self._add_route, prefix, ports)
        for segment, action in program.segments.items():
            rebuilt = isinstance(action, VpnSegment) and action.instance not in before.vrfs
            if rebuilt or before.segments.get(segment) != action:
                yield partial(self._add_segment, segment, action)
        for name, vrf in program.vrfs.items():
            yield partial(self._build_vrf, name, vrf, steerings)

    def _sweep(self, before: Program, program: Program, steerings: Steerings) -> Iterator[Callable[[], None]]:
        for name, vrf in program.vrfs.items():
            yield partial(self._sweep_vrf, name, vrf, steerings)
        gone = (prefix for prefix in before.routes if prefix not in program.routes)
        for prefix in (*gone, *_segment_prefixes(before.segments, program.segments)):
            yield partial(self.core.ask, kernel_routes.delete_route(prefix))
        for device, addresses in before.addresses.items():
            for address in sorted(addresses - program.addresses.get(device, frozenset())):
                yield partial(self.core.ask, kernel_links.delete_address(self._index(device), address))
        for name in [name for name in self.vrfs if name not in program.vrfs]:
            yield self.vrfs.pop(name).close

    def _add_vrf(self, name: str) -> None:
        self._made += 1
        self.vrfs[name] = VrfSpace(self.core, self._made)

    def _build_vrf(self, name: str, vrf: Vrf, steerings: Steerings) -> None:
        self.vrfs[name].build(vrf, self.program.source, self.program.block, steerings)

    def _sweep_vrf(self, name: str, vrf: Vrf, steerings: Steerings) -> None:
        self.vrfs[name].sweep(vrf, steerings)

    def _add_address(self, port: str, address: str) -> None:
        self.core.ask(kernel_links.add_address(self._index(port), address))

    def _add_route(self, prefix: str, names: tuple[str, ...]) -> None:
        ports = [self._ports[name] for name in names]
        hops = [Hop(self.core.index(port.device), wire_address(port.far_number)) for port in ports]
        self.core.ask(kernel_routes.route(prefix, hops))

    def _add_segment(self, segment: str, action: Segment) -> None:
        if isinstance(action, AdjacencySegment):
            neighbour = wire_address(self._ports[action.port].far_number)
            self.core.ask(kernel_routes.end_x(segment, self._segment_device, neighbour))
        elif isinstance(action, NodeSegment):
            self.core.ask(kernel_routes.end(segment, self._segment_device))
        else:
            self.core.ask(kernel_routes.route(action.prefix, [self.vrfs[action.instance].towards()]))

    def _index(self, name: str) -> int:
        return self.core.index(self._ports[name].device if name else "lo")


def _segment_prefixes(before: Mapping[str, Segment], after: Mapping[str, Segment]) -> Iterator[str]:
    """The prefixes of segments that are gone."""
    kept = {_prefix(segment, action) for segment, action in after.items()}
    for segment, action in before.items():
        prefix = _prefix(segment, action)
        if prefix not in kept:
            yield prefix


def _prefix(segment: str, action: Segment) -> str:
    return action.prefix if isinstance(action, VpnSegment) else f"{segment}/128"
