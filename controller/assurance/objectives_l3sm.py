"""Owns which objectives an L3VPN service has: of its documents (RFC 8299), its intent, and what was set beside them.

An access's service bandwidths are the least that the network must have for it (6.12.2); a class's latency and jitter
boundaries (6.12.3) hold between each two edge routers of the service; the strictest class and the stricter end count.
L3SM knows no ratio of availability and no loss: those come from the intent, or are set.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

from controller.assurance.objectives import Objective, ObjectiveName, objectives_of
from controller.intent.model import Intent
from controller.mapping.fragment import service_id
from controller.mapping.infrastructure import STANDARD_QOS_PROFILES, QosClass
from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName, ServiceId

Json = Any
MOST_PAIRS = 64
"""Of edge routers of one service that have objectives of their own."""
PER_PAIR = frozenset(
    {ObjectiveName.ONE_WAY_DELAY, ObjectiveName.ROUND_TRIP_DELAY, ObjectiveName.JITTER, ObjectiveName.LOSS}
)
"""What is promised between two edge routers."""
_HUB = "hub-role"
_SPOKE = "spoke-role"


@dataclass(frozen=True, slots=True)
class Access:
    """An access of a service: where it is, and what its documents promise. Bit/s and seconds."""

    site: str
    name: str
    device: DeviceName
    port: str = ""
    role: str = ""
    bit_rate: int = 0
    delay_seconds: float | None = None
    jitter_seconds: float | None = None

    @property
    def subject(self) -> str:
        """What its own objectives are about."""
        return f"{self.site}/{self.name}"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two edge routers of a service, in the direction of the packets."""

    head: DeviceName
    tail: DeviceName

    def __str__(self) -> str:
        return f"{self.head}>{self.tail}"


def vpn_of(service: ServiceId) -> str:
    """The VPN that a service is."""
    return service.partition(":")[2]


def accesses_of(
    vpn_id: str, sites: Mapping[str, Json], places: Mapping[tuple[str, str], tuple[DeviceName, str]]
) -> tuple[Access, ...]:
    """The accesses of a VPN that have a place; `places` gives (device, port) by (site, access)."""
    found = (
        _access(site_id, access, places[site_id, access["site-network-access-id"]], site)
        for site_id, site in sites.items()
        for access in site.get("site-network-accesses", {}).get("site-network-access", [])
        if (site_id, access["site-network-access-id"]) in places and _is_of(access, vpn_id)
    )
    return tuple(found)


def pairs_of(accesses: Iterable[Access]) -> tuple[Pair, ...]:
    """The pairs of edge routers that packets of the service go between, both directions; no two spokes."""
    roles: dict[DeviceName, set[str]] = {}
    for access in accesses:
        roles.setdefault(access.device, set()).add(access.role)
    spokes = {device for device, kinds in roles.items() if kinds == {_SPOKE}}
    pairs = (Pair(*ends) for ends in permutations(sorted(roles), 2) if not spokes.issuperset(ends))
    return tuple(pairs)[:MOST_PAIRS]


def promised(
    vpn_id: str, accesses: Iterable[Access], intent: Intent | None = None, more: Iterable[Objective] = ()
) -> tuple[Objective, ...]:
    """Every objective of a service. What the intent says goes before its documents, what was set (`more`) before both.

    One that is set without a subject holds for every pair where it is one of pairs.
    """
    found: dict[tuple[ObjectiveName, str], Objective] = {}
    accesses = tuple(accesses)
    pairs = pairs_of(accesses)
    for objective in (*_documented(vpn_id, accesses, pairs), *_intended(vpn_id, intent), *more):
        for one in _spread(objective, pairs):
            found[one.name, one.subject] = one
    return tuple(found[key] for key in sorted(found))


def refuse_unknown_subjects(accesses: Iterable[Access], objectives: Iterable[Objective]) -> None:
    """Raise `InvalidInputError` for an objective of what the service does not have: nothing would ever measure it."""
    accesses = tuple(accesses)
    of_pairs = [str(pair) for pair in pairs_of(accesses)]
    for number, objective in enumerate(objectives):
        of_access = [one.subject for one in accesses] if objective.name is ObjectiveName.BANDWIDTH else []
        known = of_pairs if objective.name in PER_PAIR else of_access
        if objective.subject and objective.subject not in known:
            raise InvalidInputError(
                f"the service has no {objective.name} of '{objective.subject}'",
                remedy=f"leave the subject out, or take one of: {', '.join(known)}" if known else "leave it out",
                path=f"objectives/{number}",
            )


def _documented(vpn_id: str, accesses: tuple[Access, ...], pairs: tuple[Pair, ...]) -> Iterator[Objective]:
    service = service_id(vpn_id)
    for access in accesses:
        if access.bit_rate:
            yield Objective(service, ObjectiveName.BANDWIDTH, float(access.bit_rate), subject=access.subject)
    for pair in pairs:
        ends = [access for access in accesses if access.device in {pair.head, pair.tail}]
        for name, bounds in (
            (ObjectiveName.ONE_WAY_DELAY, [one.delay_seconds for one in ends]),
            (ObjectiveName.JITTER, [one.jitter_seconds for one in ends]),
        ):
            said = [bound for bound in bounds if bound is not None]
            if said:
                yield Objective(service, name, min(said), subject=str(pair))


def _intended(vpn_id: str, intent: Intent | None) -> Iterator[Objective]:
    """Bandwidths stand in the documents already, by access."""
    for objective in objectives_of(intent, service_id(vpn_id)) if intent else ():
        if objective.name is not ObjectiveName.BANDWIDTH:
            yield objective


def _spread(objective: Objective, pairs: tuple[Pair, ...]) -> Iterator[Objective]:
    if objective.name not in PER_PAIR or objective.subject:
        yield objective
    else:
        yield from (replace(objective, subject=str(pair)) for pair in pairs)


def _access(site_id: str, access: Json, place: tuple[DeviceName, str], site: Json) -> Access:
    service = {**site.get("service", {}), **access.get("service", {})}
    classes = list(_classes(service.get("qos", {}).get("qos-profile", {})))
    rates = [int(service[name]) for name in ("svc-input-bandwidth", "svc-output-bandwidth") if name in service]
    delays = [one.latency_bound_milliseconds for one in classes if one.latency_bound_milliseconds]
    jitters = [one.jitter_bound_microseconds for one in classes if one.jitter_bound_microseconds]
    role = str(access.get("vpn-attachment", {}).get("site-role", "")).rpartition(":")[2]
    return Access(
        site=site_id,
        name=access["site-network-access-id"],
        device=place[0],
        port=place[1],
        role=role if role in {_HUB, _SPOKE} else "",
        bit_rate=max(rates, default=0),
        delay_seconds=min(delays) / 1e3 if delays else None,
        jitter_seconds=min(jitters) / 1e6 if jitters else None,
    )


def _classes(profile: Json) -> Iterator[QosClass]:
    if "profile" in profile:
        yield from STANDARD_QOS_PROFILES.get(profile["profile"], ())
    for entry in profile.get("classes", {}).get("class", []):
        yield QosClass(
            name=entry["class-id"],
            guaranteed_percent="",
            latency_bound_milliseconds=_number(entry.get("latency", {}).get("latency-boundary")),
            jitter_bound_microseconds=_number(entry.get("jitter", {}).get("latency-boundary")),
        )


def _number(value: Json) -> int | None:
    return None if value is None else int(value)


def _is_of(access: Json, vpn_id: str) -> bool:
    """A site's accesses may be of several VPNs; one that names none by itself follows a policy of its site."""
    attached = access.get("vpn-attachment", {})
    return bool(attached.get("vpn-id", vpn_id) == vpn_id)
