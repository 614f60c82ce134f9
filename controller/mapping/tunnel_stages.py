"""Owns the states of tunnels that a change without harm goes through (make-before-break, RFC 3209 section 2.5).

In place, the new path stands beside the old one in the same policy, and the two swap preferences: the colour stays. A
replacement builds a second policy of a new colour, and the colour of the VRFs moves. In each state something carries.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from controller.mapping.tunnel import STANDBY, Tunnel, TunnelPath, TunnelPolicy, TunnelProbe


@dataclass(frozen=True, slots=True)
class TunnelStages:
    """One tunnel before, with the new built beside the old, moved onto the new, and after the old is gone."""

    before: Tunnel
    built: Tunnel
    moved: Tunnel
    after: Tunnel

    @property
    def states(self) -> tuple[Tunnel, ...]:
        """All four in order."""
        return (self.before, self.built, self.moved, self.after)


def replacement_reason(before: Tunnel, after: Tunnel) -> str:
    """Why the change cannot be made within the tunnel's policy; empty when it can."""
    if before.color != after.color:
        return f"its colour becomes {after.color}"
    return ""


def stages_in_place(before: Tunnel, after: Tunnel, sessions: Iterable[int]) -> TunnelStages:
    """The way from `before` to `after` within the policy; each new path is probed by one of the `sessions`.

    The larger of the two bandwidths is held from the beginning, so that nobody else takes it meanwhile; a new bound on
    the delay holds from when the new path carries.
    """
    new = [path for path in after.ranked if not _is_known(path, before.paths)]
    old = [path for path in before.ranked if not _is_known(path, after.paths)]
    probes = tuple(TunnelProbe(session, path.segments) for session, path in zip(sessions, new, strict=False))
    built = replace(
        after,
        services=before.services,
        delay_bound_seconds=before.delay_bound_seconds,
        bandwidth=max(before.bandwidth, after.bandwidth),
        paths=(*before.paths, *_demoted(new, len(old))),
        probes=probes,
    )
    moved = replace(after, paths=(*after.paths, *_demoted(old)), probes=probes)
    return TunnelStages(before, built, moved, after)


def stages_replacement(before: Tunnel, after: Tunnel, sessions: Iterable[int]) -> TunnelStages:
    """The way from `before` to `after`, a tunnel of another colour: its policy is built beside, then the VRFs move."""
    probes = tuple(TunnelProbe(session, path.segments) for session, path in zip(sessions, after.ranked, strict=False))
    old, new = TunnelPolicy(before.color, before.paths), TunnelPolicy(after.color, after.paths)
    built = replace(
        after,
        color=before.color,
        services=before.services,
        delay_bound_seconds=before.delay_bound_seconds,
        bandwidth=max(before.bandwidth, after.bandwidth),
        paths=before.paths,
        beside=(new,),
        probes=probes,
    )
    moved = replace(after, beside=(old,), probes=probes)
    return TunnelStages(before, built, moved, after)


def _is_known(path: TunnelPath, others: Iterable[TunnelPath]) -> bool:
    return any((path.hops, path.segments) == (other.hops, other.segments) for other in others)


def _demoted(paths: Iterable[TunnelPath], below: int = 0) -> Iterable[TunnelPath]:
    """The same paths, ranked below every one that is in use."""
    return (replace(path, preference=STANDBY - below - rank) for rank, path in enumerate(paths))
