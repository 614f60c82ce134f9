"""The life of the tunnels: a table of transitions, and the clock that sets them up.

Owns which tunnel carries. A tunnel is set up in the domain's set-up time; a cut on its route fails it, and it is set up
anew when the route is whole again (no protection in the optical layer). More or fewer slots do not interrupt it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from lab.optical.allocation import Route, Wish
from lab.router.confirmed import Scheduler, Timer


class Status(StrEnum):
    """Where a tunnel stands, in the words of accord-otn."""

    PLANNED = "planned"
    SETTING_UP = "setting-up"
    UP = "up"
    FAILED = "failed"


class Event(StrEnum):
    """What happens to a tunnel."""

    ENABLE = "enable"
    DISABLE = "disable"
    SWITCHED = "switched"
    CUT = "cut"
    WHOLE = "whole"


TRANSITIONS: Mapping[tuple[Status, Event], Status] = MappingProxyType(
    {
        (Status.PLANNED, Event.ENABLE): Status.SETTING_UP,
        (Status.SETTING_UP, Event.SWITCHED): Status.UP,
        (Status.SETTING_UP, Event.CUT): Status.FAILED,
        (Status.SETTING_UP, Event.DISABLE): Status.PLANNED,
        (Status.UP, Event.CUT): Status.FAILED,
        (Status.UP, Event.DISABLE): Status.PLANNED,
        (Status.FAILED, Event.WHOLE): Status.SETTING_UP,
        (Status.FAILED, Event.DISABLE): Status.PLANNED,
    }
)
"""Every other pair leaves the tunnel as it is."""


@dataclass(slots=True)
class Tunnel:
    """A tunnel that is configured: its wish, its route and where it stands since when."""

    wish: Wish
    route: Route
    status: Status
    changed_at: datetime
    timer: Timer | None = None
    reason: str = ""


class Tunnels:
    """All tunnels of a domain. `told` is called after each change of a status with the tunnel and the status before."""

    def __init__(
        self,
        setup_seconds: float,
        *,
        scheduler: Scheduler,
        now: Callable[[], datetime],
        told: Callable[[Tunnel, Status], None],
    ) -> None:
        self._setup_seconds = setup_seconds
        self._scheduler = scheduler
        self._now = now
        self._told = told
        self._tunnels: dict[str, Tunnel] = {}
        self.cut: set[str] = set()

    def __iter__(self) -> Iterator[Tunnel]:
        return iter(self._tunnels.values())

    def get(self, name: str) -> Tunnel | None:
        """The tunnel of that name."""
        return self._tunnels.get(name)

    @property
    def routes(self) -> dict[str, Route]:
        """The routes that stand."""
        return {name: tunnel.route for name, tunnel in self._tunnels.items()}

    def configure(self, wishes: Iterable[Wish], routes: Mapping[str, Route]) -> None:
        """Make these the tunnels: what is gone is torn down at once, what is new is set up."""
        wanted = {wish.name: wish for wish in wishes}
        for name, tunnel in list(self._tunnels.items()):
            if name not in wanted or tunnel.route != routes[name]:
                self._step(tunnel, Event.DISABLE)
                del self._tunnels[name]
        for name, wish in wanted.items():
            if name not in self._tunnels:
                self._tunnels[name] = Tunnel(wish, routes[name], Status.PLANNED, self._now())
            tunnel = self._tunnels[name]
            tunnel.wish = wish
            self._step(tunnel, Event.ENABLE if wish.enabled else Event.DISABLE)
            if self._cuts_of(tunnel):
                self._step(tunnel, Event.CUT)

    def set_link(self, name: str, *, up: bool) -> None:
        """A fibre is cut or whole again."""
        (self.cut.discard if up else self.cut.add)(name)
        for tunnel in list(self._tunnels.values()):
            if any(link.name == name for link in tunnel.route.links):
                self._step(tunnel, Event.CUT if self._cuts_of(tunnel) else Event.WHOLE)

    def stop(self) -> None:
        """Set nothing up any more."""
        for tunnel in self._tunnels.values():
            _call_off(tunnel)

    def _step(self, tunnel: Tunnel, event: Event) -> None:
        before = tunnel.status
        after = TRANSITIONS.get((before, event))
        if after is None:
            return
        _call_off(tunnel)
        tunnel.status, tunnel.changed_at = after, self._now()
        tunnel.reason = f"{', '.join(self._cuts_of(tunnel))} is cut" if after is Status.FAILED else ""
        if after is Status.SETTING_UP:
            tunnel.timer = self._scheduler.call_later(self._setup_seconds, lambda: self._step(tunnel, Event.SWITCHED))
        self._told(tunnel, before)

    def _cuts_of(self, tunnel: Tunnel) -> list[str]:
        return [link.name for link in tunnel.route.links if link.name in self.cut]


def _call_off(tunnel: Tunnel) -> None:
    if tunnel.timer is not None:
        tunnel.timer.cancel()
        tunnel.timer = None
