"""Owns which router and port an access goes to (RFC 8299 6.6): location, bearer, capacity, diversity.

Deterministic: candidates are ranked by distance, postal code, bearer type, load and name. A refusal names the
constraint that nothing met and the candidates it was asked of.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from controller.mapping.infrastructure import Coordinates, Infrastructure, PeInfo, PortInfo
from controller.mapping.l3sm_location import Constraint, Location, PlacementRequest
from controller.mapping.occupancy import ALL_GROUPS, AccessKey, Members, Occupancy, Placement
from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName

_EARTH_RADIUS_KM = 6371.0
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """One port of one router; distance in km from the site."""

    router: PeInfo
    port: PortInfo
    distance: float = 0.0

    def __str__(self) -> str:
        return f"{self.router.device} {self.port.name}"


@dataclass(frozen=True, slots=True)
class Placer:
    """Finds places among what is free. `has_vlan(device, port)` tells whether a VLAN is left."""

    infrastructure: Infrastructure
    occupancy: Occupancy
    has_vlan: Callable[[DeviceName, str], bool]

    def ranked(self, key: AccessKey, request: PlacementRequest, customers: tuple[str, ...]) -> list[Candidate]:
        """All places that fit, best first; `InvalidInputError` naming what cannot be met when there is none."""
        found = self._by_bearer(request) if request.bearer_reference else self._by_location(request)
        found = self._with_capacity(request, found)
        for constraint in request.constraints:
            others = list(self._targets(key, request.groups, customers, constraint))
            found = self._keep(found, constraint, others, constraint.path, "")
        for other, constraint in self._watching(key, request.groups, customers):
            name = "/".join(other)
            found = self._keep(found, constraint, [other], request.path, f" of {name}")
        return sorted(found, key=lambda candidate: self._rank(candidate, request))

    def misfit(self, key: AccessKey, placement: Placement) -> str:
        """Why a place that was found earlier does not fit any more; '' when it does."""
        here = f"{placement.device} {placement.port}"
        router = self.infrastructure.by_device.get(placement.device)
        port = self.infrastructure.ports.get((placement.device, placement.port))
        if router is None or port is None:
            return f"customers are not attached to {here} any more"
        load = self.occupancy.load.get((placement.device, placement.port), 0)
        if load + placement.bandwidth > port.speed.bits_per_second:
            return f"{here} has no {placement.bandwidth} bit/s left"
        shared = self.occupancy.shared_address(placement)
        if shared:
            return f"the access {shared} in the same VPN on {placement.device}"
        for constraint, other in self._neighbours(key, placement):
            if not self._holds(constraint.kind, Candidate(router, port), self.occupancy.placements[other]):
                return f"the constraint {constraint.kind} keeps it off {here}: see the access {'/'.join(other)}"
        return ""

    def _neighbours(self, key: AccessKey, placement: Placement) -> Iterator[tuple[Constraint, AccessKey]]:
        """What the constraints of an access, and those of others against it, are asked of."""
        for constraint in placement.constraints:
            for other in self._targets(key, placement.groups, placement.customers, constraint):
                yield constraint, other
        for other, constraint in self._watching(key, placement.groups, placement.customers):
            yield constraint, other

    def _by_bearer(self, request: PlacementRequest) -> list[Candidate]:
        match = self.infrastructure.by_bearer.get(request.bearer_reference)
        if match is None:
            raise InvalidInputError(
                f"there is no bearer '{request.bearer_reference}'", path=f"{request.path}/bearer/bearer-reference"
            )
        return [Candidate(*match)]

    def _by_location(self, request: PlacementRequest) -> list[Candidate]:
        routers = self._routers_near(request.location)
        found = [
            Candidate(router, port, distance)
            for router, distance in routers
            for port in router.ports
            if not port.bearer_reference
        ]
        if not request.bearer_type or not request.is_bearer_type_strict:
            return found
        kept = [candidate for candidate in found if candidate.port.bearer_type == request.bearer_type]
        if not kept:
            raise InvalidInputError(
                f"no port has the bearer type '{request.bearer_type}' among {_list(found)}",
                path=f"{request.path}/bearer/requested-type/requested-type",
                remedy="name another type or do not be strict",
            )
        return kept

    def _routers_near(self, location: Location) -> list[tuple[PeInfo, float]]:
        city, country = location.city.casefold(), location.country.casefold()
        known = self.infrastructure
        if not city:
            routers = known.by_country.get(country, ())
        elif country:
            routers = known.by_city.get((city, country), ())
        else:
            routers = tuple(router for (name, _), there in known.by_city.items() if name == city for router in there)
        if routers:
            return [(router, 0.0) for router in routers]
        return self._routers_by_distance(location, known.places.get((city, country)))

    def _routers_by_distance(self, location: Location, where: Coordinates | None) -> list[tuple[PeInfo, float]]:
        domestic = self.infrastructure.by_country.get(location.country.casefold(), ())
        found = [(pe, _distance(where, pe.coordinates)) for pe in domestic if where and pe.coordinates]
        if found:
            return found
        cities = sorted({f"{router.city}, {router.country}" for router in domestic or self.infrastructure.routers})
        raise InvalidInputError(
            f"no router serves '{location.city or '?'}, {location.country or '?'}'; there are routers in "
            f"{'; '.join(cities[:_SHOWN]) or 'no city'}",
            path=f"{location.path}/{'city' if location.city else 'country-code'}",
            remedy="correct the location or add a router there",
        )

    def _with_capacity(self, request: PlacementRequest, found: list[Candidate]) -> list[Candidate]:
        load = self.occupancy.load
        kept = [
            candidate
            for candidate in found
            if load.get((candidate.router.device, candidate.port.name), 0) + request.bandwidth
            <= candidate.port.speed.bits_per_second
            and self.has_vlan(candidate.router.device, candidate.port.name)
        ]
        if not kept:
            raise InvalidInputError(
                f"no port has {request.bandwidth} bit/s and a VLAN left among {_list(found)}",
                path=f"{request.path}/service/svc-input-bandwidth",
                remedy="ask for less or add ports",
                tag="resource-denied",
            )
        return kept

    def _targets(
        self, key: AccessKey, groups: tuple[str, ...], customers: tuple[str, ...], constraint: Constraint
    ) -> Iterator[AccessKey]:
        index = self.occupancy
        found: Members = {}
        if constraint.all_other_accesses:
            found |= index.sites.get(key[0], {})
        for customer in customers:
            for group in constraint.groups:
                found |= index.groups.get(f"{customer}/{group}", {})
            if constraint.all_other_groups:
                own = set(groups)
                there = index.grouped.get(customer, {})
                found |= {other: None for other in there if own.isdisjoint(index.placements[other].groups)}
        found.pop(key, None)
        yield from found

    def _watching(
        self, key: AccessKey, own_groups: tuple[str, ...], customers: tuple[str, ...]
    ) -> Iterator[tuple[AccessKey, Constraint]]:
        """Constraints of others that this access has to respect: they hold from both sides."""
        index, groups = self.occupancy, set(own_groups)
        for other in index.site_watchers.get(key[0], {}):
            if other != key:
                constraints = index.placements[other].constraints
                yield from ((other, found) for found in constraints if found.all_other_accesses)
        for customer in customers if groups else ():
            names = [f"{customer}/{group}" for group in (*own_groups, ALL_GROUPS)]
            for other in {other: None for name in names for other in index.watchers.get(name, {})}:
                placement = index.placements[other]
                for constraint in placement.constraints if other != key else ():
                    strange = constraint.all_other_groups and groups.isdisjoint(placement.groups)
                    if strange or not groups.isdisjoint(constraint.groups):
                        yield other, constraint

    def _keep(
        self, found: list[Candidate], constraint: Constraint, others: Sequence[AccessKey], path: str, whose: str
    ) -> list[Candidate]:
        placed = [self.occupancy.placements[other] for other in others]
        kept = [candidate for candidate in found if all(self._holds(constraint.kind, candidate, o) for o in placed)]
        if kept:
            return kept
        occupied = ", ".join(sorted({f"{o.device} {o.port}" for o in placed})[:_SHOWN])
        raise InvalidInputError(
            f"the constraint {constraint.kind}{whose} cannot be met: others stand at {occupied}; "
            f"candidates were {_list(found)}",
            path=path,
            remedy="relax the constraint, or add a router or port",
        )

    def _holds(self, kind: str, candidate: Candidate, other: Placement) -> bool:
        same_pe = candidate.router.device == other.device
        same_port = same_pe and candidate.port.name == other.port
        if kind == "pop-diverse":
            there = self.infrastructure.by_device[other.device]
            return candidate.router.point_of_presence != there.point_of_presence
        if kind == "linecard-diverse":
            return not same_pe or candidate.port.card != self.infrastructure.ports[other.device, other.port].card
        return {
            "pe-diverse": not same_pe,
            "bearer-diverse": not same_port,
            "same-pe": same_pe,
            "same-bearer": same_port,
        }[kind]

    def _rank(
        self, candidate: Candidate, request: PlacementRequest
    ) -> tuple[float, bool, bool, float, str, float, str]:
        router, port, load = candidate.router, candidate.port, self.occupancy.load
        speed = sum(each.speed.bits_per_second for each in router.ports)
        booked = sum(load.get((router.device, each.name), 0) for each in router.ports)
        return (
            candidate.distance,
            bool(request.location.postal_code) and router.postal_code != request.location.postal_code,
            bool(request.bearer_type) and port.bearer_type != request.bearer_type,
            booked / speed,
            router.device,
            load.get((router.device, port.name), 0) / port.speed.bits_per_second,
            port.name,
        )


def _distance(a: Coordinates, b: Coordinates) -> float:
    """Great-circle distance in km."""
    lat1, lon1, lat2, lon2 = map(math.radians, (*a, *b))
    chord = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(chord))


def _list(found: Sequence[Candidate]) -> str:
    shown = ", ".join(sorted(str(candidate) for candidate in found)[:_SHOWN])
    return f"{shown} and {len(found) - _SHOWN} more" if len(found) > _SHOWN else shown or "no port"
