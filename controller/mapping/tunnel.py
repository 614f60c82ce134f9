"""Owns TE tunnels and what they mean for their head end: an SR policy (RFC 9256) and the colour of the VRFs it serves.

A tunnel is one policy (colour, endpoint) with candidate paths; the valid one with the highest preference carries. Its
paths are written as adjacency segments (End.X, RFC 8986 section 4.2). While a tunnel is replaced, it has a second
policy beside. Every line belongs to `tunnel/NAME`, so a delete is a withdrawal.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from controller.mapping.codec import from_json, to_json
from controller.model.errors import NotSupportedError
from controller.model.identifiers import DeviceName, Owner
from controller.model.units import BitRate
from controller.model.yang_path import Path, Step
from controller.topology.network import LinkId

Json = Any
PRIMARY = 200
"""Preference of the path that is meant to carry."""
BACKUP = 100
STANDBY = 50
"""Preference of a path that is only built yet, or that waits for its end."""
LOWEST_COLOR = 100
MOST_SEGMENTS = 16
"""Of one list, as the router has it."""
PROBE_MILLISECONDS = 20
_NOTHING = BitRate(0)
_SRV6 = (Step("accord-router", "router"), Step("accord-router", "srv6"))
STAMP = (Step("accord-router", "router"), Step("accord-router", "oam"))
_INSTANCES = (Step("ietf-network-instance", "network-instances"),)


@dataclass(frozen=True, slots=True)
class TunnelPath:
    """A candidate path: the links it takes, and the segments that say so."""

    discriminator: int
    preference: int
    hops: tuple[LinkId, ...]
    segments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TunnelPolicy:
    """A second policy of a tunnel that is being replaced."""

    color: int
    paths: tuple[TunnelPath, ...]


@dataclass(frozen=True, slots=True)
class TunnelProbe:
    """A measurement (STAMP, RFC 8762) along a path that is to be seen working before it carries."""

    session: int
    segments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A TE tunnel as it is wanted. Affinities are masks of administrative groups (RFC 3209 section 4.7.4)."""

    name: str
    source: DeviceName
    target: DeviceName
    color: int
    endpoint: str
    bandwidth: BitRate = _NOTHING
    delay_bound_seconds: float | None = None
    exclude_any: int = 0
    include_any: int = 0
    include_all: int = 0
    protection: str = "none"
    """`none`, `link`, `node` or `srlg`: what the second path shares nothing of with the first."""
    objective: str = "igp"
    """What its paths have least of: `igp` metric, `delay` or `hops`."""
    paths: tuple[TunnelPath, ...] = ()
    services: tuple[str, ...] = ()
    """VPNs whose traffic from here to `target` takes it."""
    beside: tuple[TunnelPolicy, ...] = ()
    probes: tuple[TunnelProbe, ...] = ()
    link_loss_limit: float | None = None
    """The share of packets that any of its links may lose, as measured when its path is chosen."""

    @property
    def owner(self) -> Owner:
        """Who wants its lines."""
        return tunnel_owner(self.name)

    @property
    def ranked(self) -> tuple[TunnelPath, ...]:
        """Its paths, the one that is meant to carry first."""
        return tuple(sorted(self.paths, key=lambda path: (-path.preference, -path.discriminator)))

    @property
    def policies(self) -> tuple[TunnelPolicy, ...]:
        """The one that carries, then those beside it."""
        return (TunnelPolicy(self.color, self.paths), *self.beside)

    @property
    def links(self) -> frozenset[LinkId]:
        """Every link that any of its paths takes."""
        return frozenset(hop for policy in self.policies for path in policy.paths for hop in path.hops)

    def to_json(self) -> Json:
        """The tunnel as JSON."""
        return to_json(self)

    @classmethod
    def from_json(cls, document: Json) -> "Tunnel":
        """The tunnel that `to_json` was made of; `InvalidInputError` when the document has another shape."""
        made: Tunnel = from_json(cls, document)
        return made


def tunnel_owner(name: str) -> Owner:
    """Who wants the lines of a tunnel."""
    return Owner(f"tunnel/{name}")


def policy_name(tunnel: str, color: int) -> str:
    """What a policy is called on its router, where names are unique: a tunnel may have two for a while."""
    return f"{tunnel}@{color}"


def tunnel_lines(tunnel: Tunnel, vrfs: Iterable[str]) -> dict[Path, str]:
    """What a tunnel wants on its head end; `vrfs` are those of its services there."""
    lines: dict[Path, str] = {}
    for policy in tunnel.policies:
        lines.update(_policy_lines(tunnel, policy))
    for probe in tunnel.probes:
        lines.update(probe_lines(tunnel.endpoint, probe, PROBE_MILLISECONDS))
    for vrf in vrfs:
        lines[(*_INSTANCES, _entry("ietf-network-instance", "network-instance", name=vrf), *_COLOR)] = str(tunnel.color)
    return lines


def _policy_lines(tunnel: Tunnel, policy: TunnelPolicy) -> Iterator[tuple[Path, str]]:
    root = (*_SRV6, _entry("accord-router", "policy", color=str(policy.color), endpoint=tunnel.endpoint))
    yield root, ""
    yield (*root, Step("accord-router", "name")), policy_name(tunnel.name, policy.color)
    for path in policy.paths:
        _refuse_long(tunnel, path)
        at = (*root, _entry("accord-router", "candidate-path", discriminator=str(path.discriminator)))
        segments = (*at, _entry("accord-router", "segment-list", id="1"))
        yield at, ""
        yield (*at, Step("accord-router", "preference")), str(path.preference)
        yield segments, ""
        yield from _segment_lines(segments, path.segments)


def probe_lines(endpoint: str, probe: TunnelProbe, interval_milliseconds: int) -> Iterator[tuple[Path, str]]:
    """A STAMP session to an address along segments."""
    root = (*STAMP, _entry("accord-router", "stamp-session", id=str(probe.session)))
    yield root, ""
    yield (*root, Step("accord-router", "remote-address")), endpoint
    yield (*root, Step("accord-router", "interval")), str(interval_milliseconds)
    yield from _segment_lines(root, probe.segments)


def _segment_lines(root: Path, segments: Iterable[str]) -> Iterator[tuple[Path, str]]:
    for index, segment in enumerate(segments, start=1):
        at = (*root, _entry("accord-router", "segment", index=str(index)))
        yield at, ""
        yield (*at, Step("accord-router", "sid")), segment


def _entry(module: str, name: str, /, **keys: str) -> Step:
    return Step(module, name, tuple(keys.items()))


_COLOR = (Step("accord-router", "l3vpn"), Step("accord-router", "color"))


def _refuse_long(tunnel: Tunnel, path: TunnelPath) -> None:
    if len(path.segments) > MOST_SEGMENTS:
        raise NotSupportedError(
            f"a path of tunnel '{tunnel.name}' takes {len(path.segments)} links, segments say {MOST_SEGMENTS}",
            remedy="bound its delay, or tell it which links to avoid",
            path=tunnel.name,
            device=tunnel.source,
        )


def number_paths(
    held: Iterable[TunnelPath], wanted: Iterable[tuple[tuple[LinkId, ...], tuple[str, ...]]]
) -> tuple[TunnelPath, ...]:
    """Candidate paths for (hops, segments), best first: a path that is held already keeps its discriminator."""
    known = {(path.hops, path.segments): path.discriminator for path in held}
    used = set(known.values())
    made = []
    for rank, content in enumerate(wanted):
        number = known.get(content)
        if number is None:
            number = next(n for n in range(1, 1 << 32) if n not in used)
            used.add(number)
        made.append(TunnelPath(number, PRIMARY - rank * (PRIMARY - BACKUP), *content))
    return tuple(made)


def with_paths(tunnel: Tunnel, *wanted: tuple[tuple[LinkId, ...], tuple[str, ...]]) -> Tunnel:
    """The tunnel along these (hops, segments), best first."""
    return replace(tunnel, paths=number_paths(tunnel.paths, wanted))


def lowest_free_color(taken: Mapping[int, object] | set[int]) -> int:
    """A colour that nobody uses."""
    return next(color for color in range(LOWEST_COLOR, 1 << 32) if color not in taken)
