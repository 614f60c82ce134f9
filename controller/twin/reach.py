"""Owns the first half of a proof: everybody who may talk to somebody does, by the right exit and in time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from controller.twin.entry import Source, State, entry_fault, exit_of, kind_of, vrf_of
from controller.twin.intended import Member
from controller.twin.model import Exit
from controller.twin.provider_core import Core
from controller.twin.routes import Route
from controller.twin.scope import Scope
from controller.twin.verdict import CounterExample, Fault, Hop, is_too_slow

Names = frozenset[tuple[str, str]]
"""(VPN, member)."""


@dataclass(slots=True)
class Reach:
    """Follows what was promised in one state. `absent` members are left out."""

    state: State
    scope: Scope
    absent: Names = frozenset()
    classes: int = 0
    _senders: dict[str, list[Source]] = field(default_factory=dict)

    def faults(self) -> Iterator[CounterExample]:
        """Every promise in scope that is broken."""
        for vpn in sorted(self.scope.vpns):
            members = self.members(vpn)
            yield from self._entries(vpn, members)
            yield from self._packets(vpn, members)

    def members(self, vpn: str) -> dict[str, Member]:
        """The members of a VPN on devices that are known."""
        known = self.state.model.devices
        return {
            name: member
            for name, member in self.state.intended.members.get(vpn, {}).items()
            if member.attachment.device in known and (vpn, name) not in self.absent
        }

    def _entries(self, vpn: str, members: Mapping[str, Member]) -> Iterator[CounterExample]:
        concerned = {key[0] for key in (*self.scope.keys, *self.scope.ports, *self.state.model.replaced)}
        for name, member in members.items():
            if (vpn, name) in self.scope.members or member.attachment.device in concerned:
                fault = entry_fault(self.state.model, member)
                if fault is not None:
                    yield fault

    def senders(self, vpn: str) -> list[Source]:
        """One of each kind that sends from a VRF."""
        if vpn not in self._senders:
            found: dict[object, Source] = {}
            for member in self.members(vpn).values():
                key = vrf_of(self.state.model, member.attachment)
                if key is not None:
                    found.setdefault((key, kind_of(member)), Source(key, member.attachment, (member,)))
            self._senders[vpn] = list(found.values())
        return self._senders[vpn]

    def _packets(self, vpn: str, members: Mapping[str, Member]) -> Iterator[CounterExample]:
        moved = self._moved(vpn, members)
        for source in self.senders(vpn):
            sender = source.members[0]
            is_whole = source.key in self.scope.keys or (source.key, kind_of(sender)) in self.scope.senders
            for target in members.values() if is_whole else moved:
                if target is not sender and self.state.intended.must_send(sender, target):
                    for destination in target.prefixes:
                        yield from self.packet(source, target, destination)

    def _moved(self, vpn: str, members: Mapping[str, Member]) -> list[Member]:
        """Members whose destinations have to be tried from everywhere."""
        by_device: dict[str, set[str]] = {}
        for (device, _), destinations in self.scope.routes.items():
            by_device.setdefault(device, set()).update(destinations)
        nothing: set[str] = set()
        return [
            member
            for name, member in members.items()
            if (vpn, name) in self.scope.members
            or not by_device.get(member.attachment.device, nothing).isdisjoint(member.prefixes)
        ]

    def packet(
        self, source: Source, target: Member, destination: str, core: Core | None = None
    ) -> Iterator[CounterExample]:
        """Send one packet and compare what becomes of it with what was promised."""
        self.classes += 1
        found = self.state.model.follow(source.key, destination, core)
        fault, why = found.fault, found.explanation
        if found.route is not None:
            fault, why = self._exit_fault(found.route, target, destination)
        if fault is None:
            fault, why = _delay_fault(source.members[0], target, found)
        if fault is not None:
            place = source.attachment
            entry = Hop(place.device, f"takes it in on {place.port}, VLAN {place.vlan}")
            down = "" if core is None or core.failure.name == "now" else core.failure.name
            yield CounterExample(
                fault, f"VPN {target.vpn}", str(place), destination, why, (entry, *found.hops), source.entry, down
            )

    def _exit_fault(self, route: Route, target: Member, destination: str) -> tuple[Fault | None, str]:
        """Whether it leaves by an attachment that the destination was promised at, to the right neighbour."""
        there = [
            member
            for member in self.state.intended.at.get(exit_of(self.state.model, route), ())
            if member.vpn == target.vpn and destination in member.prefixes
        ]
        if not there:
            return Fault.WRONG_EXIT, f"it leaves {route.device} by {route.interface}, where {destination} is not"
        expected = {member.prefixes[destination] for member in there} - {""}
        if expected and route.next_hop and route.next_hop not in expected:
            return Fault.WRONG_EXIT, f"it is handed to {route.next_hop}, not to {', '.join(sorted(expected))}"
        return None, ""


def _delay_fault(sender: Member, target: Member, found: Exit) -> tuple[Fault | None, str]:
    bounds = [each.delay_bound_seconds for each in (sender, target) if each.delay_bound_seconds is not None]
    if bounds and is_too_slow(found.delay_seconds, min(bounds)):
        return Fault.DELAY, f"it takes {found.delay_seconds * 1000:.2f} ms, {min(bounds) * 1000:g} ms were promised"
    return None, ""
