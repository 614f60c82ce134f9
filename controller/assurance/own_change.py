"""Owns what this controller itself did to traffic, as explanations name it: what transactions moved.

Read off the events that make them true, so that a restarted controller names the same.
"""

from dataclasses import dataclass
from typing import Any

from controller.ports import Event

Json = Any


@dataclass(frozen=True, slots=True)
class OwnChange:
    """A transaction that changed where traffic goes, and for tunnels the links that were left and taken.

    Time in UTC seconds; `services` are VPNs.
    """

    position: int
    time: float
    transaction: str
    actor: str
    services: tuple[str, ...]
    tunnels: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()


def of_services(event: Event, services: set[str]) -> OwnChange:
    """What is served of these VPNs is no longer as it was."""
    return OwnChange(event.position, event.time, event.cause, event.actor, tuple(sorted(services)))


def of_tunnels(event: Event) -> OwnChange | None:
    """None where all that was changed is carried along the same links as before."""
    data: Json = event.data
    before, after = (_by_name(data[one]["upserted"]) for one in ("back", "change"))
    old, new = _carrying(before), _carrying(after)
    if old == new:
        return None
    vpns = {vpn for one in (*before.values(), *after.values()) for vpn in one.get("services", ())}
    return OwnChange(
        event.position,
        event.time,
        event.cause,
        event.actor,
        tuple(sorted(vpns)),
        tuple(sorted(before.keys() | after.keys())),
        tuple(sorted(old - new)),
        tuple(sorted(new - old)),
    )


def _by_name(tunnels: Json) -> dict[str, Json]:
    return {one["name"]: one for one in tunnels}


def _carrying(tunnels: dict[str, Json]) -> set[str]:
    """The links of the paths that are meant to carry."""
    found: set[str] = set()
    for one in tunnels.values():
        paths = sorted(one.get("paths", ()), key=lambda path: (path["preference"], path["discriminator"]))
        found.update(paths[-1]["hops"] if paths else ())
    return found
