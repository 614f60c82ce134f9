"""Which tunnel has which route and so which slots: decided from what is wanted and from the routes that stand.

Owns admission. A tunnel keeps its route for as long as it is there; a new one takes the route of least delay that has
the slots. What does not fit is refused with the name of the link that is full.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

from lab.optical.domain import Client, OpticalDomain, OpticalLink


class AllocationError(ValueError):
    """A tunnel that cannot be had; `reason` is the error-app-tag."""

    def __init__(self, tunnel: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.tunnel = tunnel
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class Wish:
    """A tunnel as it is configured; `delay_bound_seconds` None when any delay will do."""

    name: str
    source: Client
    target: Client
    slots: int
    delay_bound_seconds: float | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Route:
    """The links a tunnel takes from source to target."""

    source: Client
    target: Client
    links: tuple[OpticalLink, ...]

    @property
    def delay_seconds(self) -> float:
        """The delay from end to end."""
        return round(sum(link.delay_seconds for link in self.links), 9)


def allocate(
    domain: OpticalDomain, wishes: Iterable[Wish], standing: Mapping[str, Route], cut: Collection[str] = ()
) -> dict[str, Route]:
    """A route for each wish; raises `AllocationError` for the first that cannot be had. `cut` links take no more."""
    wanted = list(wishes)
    _check_clients(domain, wanted)
    kept = {wish.name: standing[wish.name] for wish in wanted if _stands(wish, standing)}
    used = dict.fromkeys((link.name for link in domain.links), 0)
    routes: dict[str, Route] = {}
    for wish in sorted(wanted, key=lambda wish: wish.name not in kept):
        route = kept.get(wish.name) or _routed(domain, wish, used, cut)
        _check_route(wish, route, used)
        for link in route.links:
            used[link.name] += wish.slots
        routes[wish.name] = route
    return routes


def free_slots(domain: OpticalDomain, wishes: Iterable[Wish], routes: Mapping[str, Route]) -> dict[str, int]:
    """Slots of each link that no tunnel has."""
    free = {link.name: link.slots for link in domain.links}
    for wish in wishes:
        for link in routes[wish.name].links:
            free[link.name] -= wish.slots
    return free


def least_delay_seconds(domain: OpticalDomain, source: Client, target: Client) -> float | None:
    """The least delay between two client ports while no link is full or cut; None when no fibre leads there."""
    links = _least_delay(domain.links, source.node, target.node)
    return None if links is None else Route(source, target, links).delay_seconds


def _stands(wish: Wish, standing: Mapping[str, Route]) -> bool:
    route = standing.get(wish.name)
    return route is not None and (route.source, route.target) == (wish.source, wish.target)


def _check_clients(domain: OpticalDomain, wishes: Iterable[Wish]) -> None:
    taken: dict[Client, str] = {}
    for wish in wishes:
        if wish.source.node == wish.target.node:
            raise AllocationError(wish.name, "same-node", f"tunnel {wish.name} ends where it begins")
        for client in (wish.source, wish.target):
            port = domain.clients.get(client)
            if port is None:
                raise AllocationError(wish.name, "no-client-port", f"{domain.name} has no client port {client}")
            if client in taken:
                message = f"client port {client} has tunnel {taken[client]} already"
                raise AllocationError(wish.name, "client-port-taken", message)
            if wish.slots > port.slots:
                message = f"client port {client} takes {port.slots} slots and tunnel {wish.name} wants {wish.slots}"
                raise AllocationError(wish.name, "slots-exhausted", message)
            taken[client] = wish.name


def _check_route(wish: Wish, route: Route, used: Mapping[str, int]) -> None:
    for link in route.links:
        free = link.slots - used[link.name]
        if free < wish.slots:
            raise AllocationError(wish.name, "slots-exhausted", _full(wish, link, free))
    bound = wish.delay_bound_seconds
    if bound is not None and route.delay_seconds > bound:
        names = ", ".join(link.name for link in route.links)
        message = (
            f"tunnel {wish.name} would take {route.delay_seconds * 1000:g} ms over {names}, "
            f"and its bound is {bound * 1000:g} ms"
        )
        raise AllocationError(wish.name, "delay-bound", message)


def _routed(domain: OpticalDomain, wish: Wish, used: Mapping[str, int], cut: Collection[str]) -> Route:
    open_links = [link for link in domain.links if link.name not in cut]
    roomy = [link for link in open_links if link.slots - used[link.name] >= wish.slots]
    links = _least_delay(roomy, wish.source.node, wish.target.node)
    if links is None:
        links = _least_delay(open_links, wish.source.node, wish.target.node)  # to say which link is full
    if links is None:
        message = f"no fibre leads from {wish.source.node} to {wish.target.node}" + (
            f" while {', '.join(sorted(cut))} is cut" if cut else ""
        )
        raise AllocationError(wish.name, "no-route", message)
    return Route(wish.source, wish.target, links)


def _full(wish: Wish, link: OpticalLink, free: int) -> str:
    return f"link {link.name} has {free} of {link.slots} slots free and tunnel {wish.name} wants {wish.slots}"


def _least_delay(links: Iterable[OpticalLink], source: str, target: str) -> tuple[OpticalLink, ...] | None:
    """Least delay, then fewest links, then by name."""
    at: dict[str, list[tuple[str, OpticalLink]]] = {}
    for link in links:
        at.setdefault(link.a, []).append((link.b, link))
        at.setdefault(link.b, []).append((link.a, link))
    queue: list[tuple[float, int, tuple[str, ...], str, tuple[OpticalLink, ...]]] = [(0.0, 0, (), source, ())]
    done: set[str] = set()
    while queue:
        delay, hops, names, node, route = heappop(queue)
        if node == target:
            return route
        if node in done:
            continue
        done.add(node)
        for other, link in at.get(node, ()):
            if other not in done:
                step = (delay + link.delay_seconds, hops + 1, (*names, link.name), other, (*route, link))
                heappush(queue, step)
    return None
