"""Which data plane a lab runs on: namespaces where this machine and user can have them, else memory.

Owns the choice and its reasons. `auto` takes what works, and says why it was not namespaces.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from lab.planes import DataPlane, Forwarding, Plane
from lab.planes.memory import MemoryPlane
from lab.planes.netns.plane import NetnsPlane
from lab.planes.netns.processes import why_not
from lab.topology import Topology

MOST_ROUTERS = 200
"""Each is a process; `auto` takes memory for a network with more."""


class PlaneError(ValueError):
    """A data plane that cannot be had; says why and what can be done."""


def choose(topology: Topology, forwarding: Forwarding, wanted: Plane, now: Callable[[], float]) -> DataPlane:
    """The plane to run on, not started; raises `PlaneError` when namespaces are insisted on and impossible."""
    if wanted == "memory" or (wanted == "auto" and (len(topology.nodes) > MOST_ROUTERS or namespaces_refused())):
        return MemoryPlane(topology, forwarding, now=now)
    reason = namespaces_refused()
    if reason:
        raise PlaneError(
            f"no forwarding in namespaces here: {reason}. Run as root, allow user namespaces to this user, or take the "
            "memory plane"
        )
    return NetnsPlane(topology, forwarding, now=now)


@lru_cache(maxsize=1)
def namespaces_refused() -> str:
    """Why namespaces cannot forward here, empty when they can; found out once, by doing it."""
    return why_not()
