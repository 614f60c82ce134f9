"""Owns what customers were promised, in words that no device knows: who is attached where, and who may talk to whom.

Roles and topologies are those of RFC 8299 section 6.2.1. A destination is a prefix, or what a customer's router will
announce, which nobody can know beforehand: that one is written as the protocol and its neighbour (`learned`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from controller.model.identifiers import DeviceName
from controller.topology.network import LinkId

ANY, HUB, SPOKE = "any-to-any-role", "hub-role", "spoke-role"
_SEEN: Mapping[tuple[str, str], frozenset[str]] = {
    ("any-to-any", ANY): frozenset({ANY}),
    ("hub-spoke", HUB): frozenset({HUB, SPOKE}),
    ("hub-spoke", SPOKE): frozenset({HUB}),
    ("hub-spoke-disjoint", HUB): frozenset({SPOKE}),
    ("hub-spoke-disjoint", SPOKE): frozenset({HUB}),
}


def learned(protocol: str, neighbour: str) -> str:
    """The destination that stands for all that a customer's router announces."""
    return f"{protocol} {neighbour}"


@dataclass(frozen=True, slots=True, order=True)
class Attachment:
    """A VLAN on a port of an edge router: where a customer's packets come in and go out."""

    device: DeviceName
    port: str
    vlan: int

    def __str__(self) -> str:
        return f"{self.device} {self.port}.{self.vlan}"


@dataclass(frozen=True, slots=True)
class Member:
    """An attachment as part of one VPN. `prefixes`: destination -> next hop there, empty where any will do."""

    attachment: Attachment
    vpn: str
    site: str
    role: str = ANY
    prefixes: Mapping[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    """Prefixes behind it that this VPN is not given."""
    gateways: tuple[str, ...] = ()
    """Addresses with length that the customer sends to."""
    bit_rate: int = 0
    """What the customer may send, bit/s."""
    delay_bound_seconds: float | None = None
    """Longest one-way delay that its packets may have."""


@dataclass(frozen=True, slots=True)
class VpnIntent:
    """One VPN's promise."""

    vpn: str
    topology: str = "any-to-any"

    def lets(self, source: str, target: str) -> bool:
        """Whether members of one role send to members of another."""
        return target in _SEEN.get((self.topology, source), frozenset())


@dataclass(frozen=True, slots=True)
class TunnelIntent:
    """A tunnel's promise; `paths` are its links, the preferred path first, empty where they are not prescribed."""

    name: str
    source: DeviceName
    target: DeviceName
    color: int
    endpoint: str
    bit_rate: int = 0
    delay_bound_seconds: float | None = None
    paths: Mapping[int, tuple[LinkId, ...]] = field(default_factory=dict)
    """By discriminator."""


@dataclass(slots=True)
class Intended:
    """All promises, by VPN and by attachment. A member is named by its VPN and whatever its maker calls it."""

    vpns: dict[str, VpnIntent] = field(default_factory=dict)
    members: dict[str, dict[str, Member]] = field(default_factory=dict)
    at: dict[Attachment, tuple[Member, ...]] = field(default_factory=dict)
    tunnels: dict[str, TunnelIntent] = field(default_factory=dict)

    @classmethod
    def of(
        cls, vpns: Iterable[VpnIntent], members: Iterable[Member], tunnels: Iterable[TunnelIntent] = ()
    ) -> "Intended":
        """Promises from their parts."""
        made = cls({each.vpn: each for each in vpns}, tunnels={each.name: each for each in tunnels})
        for member in members:
            made.put(str(member.attachment), member)
        return made

    def put(self, name: str, member: Member) -> None:
        """Add a member."""
        self.members.setdefault(member.vpn, {})[name] = member
        self.at[member.attachment] = (*self.at.get(member.attachment, ()), member)

    def remove(self, vpn: str, name: str) -> None:
        """Take a member out; nothing when it is not there."""
        member = self.members.get(vpn, {}).pop(name, None)
        if member is None:
            return
        if not self.members[vpn]:
            del self.members[vpn]
        left = tuple(each for each in self.at[member.attachment] if each is not member)
        if left:
            self.at[member.attachment] = left
        else:
            del self.at[member.attachment]

    def copy(self, vpns: Iterable[str]) -> "Intended":
        """Another one, of which these VPNs may be changed."""
        members = dict(self.members)
        members.update({vpn: dict(members[vpn]) for vpn in vpns if vpn in members})
        return Intended(dict(self.vpns), members, dict(self.at), dict(self.tunnels))

    def must_send(self, source: Member, target: Member) -> bool:
        """Whether the source's packets have to arrive at the target."""
        return source.vpn == target.vpn and self.vpns[source.vpn].lets(source.role, target.role)

    def may_send(self, source: Member, target: Member) -> bool:
        """Whether they may: a site is not kept apart from itself."""
        return source.vpn == target.vpn and (source.site == target.site or self.must_send(source, target))
