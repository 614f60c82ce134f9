"""A domain of three switches in a triangle, a scheduler turned by hand, and tunnels as XML."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lab.optical.domain import ClientPort, OpticalDomain, OpticalLink, OpticalNode

OTN = "urn:accord:otn"


def domain(**changes) -> OpticalDomain:
    settings = {
        "name": "otn-domain",
        "nodes": (
            OpticalNode(
                "a", (ClientPort("client0", "pe-a", "core2", 100), ClientPort("client1", "pe-a", "core3", 100))
            ),
            OpticalNode(
                "b", (ClientPort("client0", "pe-b", "core2", 100), ClientPort("client1", "pe-b", "core3", 100))
            ),
            OpticalNode("c", (ClientPort("client0", "pe-c", "core2", 100),)),
        ),
        "links": (
            OpticalLink("a--b", "a", "b", 100, 0.002),
            OpticalLink("b--c", "b", "c", 100, 0.003, (7,)),
            OpticalLink("a--c", "a", "c", 40, 0.001, (7,)),
        ),
        "setup_seconds": 2.0,
    }
    return OpticalDomain(**(settings | changes))


def tunnel(
    name: str, source: str, target: str, slots: int, *, bound: int | None = None, enabled: bool | None = None
) -> str:
    """One tunnel of the configuration; the bound is in microseconds."""
    ends = "".join(
        f"<{end}><node>{client.split(':')[0]}</node><port>{client.split(':')[1]}</port></{end}>"
        for end, client in (("source", source), ("target", target))
    )
    more = "" if bound is None else f"<delay-bound>{bound}</delay-bound>"
    more += "" if enabled is None else f"<enabled>{str(enabled).lower()}</enabled>"
    return f"<tunnel><name>{name}</name>{ends}<slots>{slots}</slots>{more}</tunnel>"


@dataclass
class Call:
    at: float
    callback: Callable[[], object]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass
class HandClock:
    """A clock that stands until it is turned; calls happen in the order of their times."""

    seconds: float = 0.0
    calls: list[Call] = field(default_factory=list)

    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def call_later(self, delay: float, callback: Callable[[], object]) -> Call:
        call = Call(self.seconds + delay, callback)
        self.calls.append(call)
        return call

    def turn(self, seconds: float) -> None:
        end = self.seconds + seconds
        while due := sorted((c for c in self.calls if not c.is_cancelled and c.at <= end), key=lambda c: c.at):
            self.calls.remove(due[0])
            self.seconds = due[0].at
            due[0].callback()
        self.seconds = end
