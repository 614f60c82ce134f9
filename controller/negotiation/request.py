"""Owns what an asker wants priced: two places, the grades it needs, and when. There is no room in it for a budget."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from math import isfinite
from typing import Any

from controller.events.canonical import canonical_json
from controller.model.errors import InvalidInputError
from controller.model.units import BitRate
from controller.negotiation.catalogue import Tier

_MOST_TEXT = 128
_MOST_RATE = 10**15
_MOST_SECONDS = 10 * 366 * 86_400
_MOST_TIME = 1e11
"""UTC seconds, some thousand years from now."""


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """From `a` to `z` and back. No `latency_seconds`: any will do; no `tier`: all are asked. `consumer` is a label."""

    id: str
    a: str
    z: str
    bandwidth: BitRate
    latency_seconds: float | None
    availability: float
    workload_class: str
    start: float
    duration_seconds: int
    consumer: str = ""
    tier: Tier | None = None
    vpn: str = ""
    """The L3VPN service (RFC 8299) whose traffic it is to carry; empty where none is named."""
    digest: str = field(init=False, compare=False)
    """SHA-256 over the canonical form."""

    def __post_init__(self) -> None:
        """Refuse what no service could be; the error names the request and the member."""
        if self.a == self.z and _is_text(self.a):
            raise InvalidInputError(
                f"the request {self.id!a:.40} goes from {self.a!a:.40} to the same place",
                path="z",
                remedy="name two places",
            )
        for name, problem in _problems(self):
            raise InvalidInputError(
                f"the request {self.id!a:.40} has {name} {problem!a:.40}", path=name, remedy=_REMEDIES[name]
            )
        # On the wire a whole number may come back without its point: the digest is that of the same value either way.
        for name in ("latency_seconds", "availability", "start"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else float(value))
        object.__setattr__(self, "digest", sha256(canonical_json(self.to_json())).hexdigest())

    def to_json(self) -> dict[str, Any]:
        """The form on the wire."""
        document = {
            "id": self.id,
            "a": self.a,
            "z": self.z,
            "bandwidth": self.bandwidth.bits_per_second,
            "latency_seconds": self.latency_seconds,
            "availability": self.availability,
            "workload_class": self.workload_class,
            "start": self.start,
            "duration_seconds": self.duration_seconds,
            "consumer": self.consumer,
            "tier": self.tier,
        }
        return document | {"vpn": self.vpn} if self.vpn else document

    @classmethod
    def from_json(cls, document: object) -> "ServiceRequest":
        """Read what `to_json` writes and nothing else; `InvalidInputError` names what is wrong."""
        members = set(cls.__slots__) - {"digest", "vpn"}
        if not isinstance(document, Mapping) or set(document) - {"vpn"} != members or document.get("vpn") == "":
            raise InvalidInputError("a request is an object of exactly " + ", ".join(sorted(members)))
        rate, tier = document["bandwidth"], document["tier"]
        if tier is not None and (not isinstance(tier, str) or tier not in set(Tier)):
            raise InvalidInputError(
                f"the request {document['id']!a:.40} has tier {tier!a:.40}", remedy=_REMEDIES["tier"]
            )
        return cls(**{**document, "bandwidth": BitRate(rate), "tier": None if tier is None else Tier(tier)})


_REMEDIES = {
    **dict.fromkeys(
        ("id", "a", "z", "workload_class", "consumer", "vpn"), f"write a text of up to {_MOST_TEXT} characters"
    ),
    "bandwidth": f"ask for whole bit/s from 1 to {_MOST_RATE}",
    "latency_seconds": "ask for seconds above 0, or for none",
    "availability": "ask for a share from 0 to 1, such as 0.9999",
    "start": "give the time in UTC seconds",
    "duration_seconds": "ask for whole seconds, up to ten years",
    "tier": f"name one of {', '.join(Tier)}, or none",
}


def _problems(request: ServiceRequest) -> list[tuple[str, object]]:
    required = {"id": request.id, "a": request.a, "z": request.z, "workload_class": request.workload_class}
    wrong: dict[str, bool] = {name: not _is_text(value) for name, value in required.items()}
    wrong["consumer"] = request.consumer != "" and not _is_text(request.consumer)
    wrong["vpn"] = request.vpn != "" and not _is_text(request.vpn)
    rate = request.bandwidth.bits_per_second
    wrong["bandwidth"] = not (type(rate) is int and 0 < rate <= _MOST_RATE)
    latency = request.latency_seconds
    wrong["latency_seconds"] = latency is not None and not (_is_number(latency) and latency > 0)
    wrong["availability"] = not (_is_number(request.availability) and 0 <= request.availability <= 1)
    wrong["start"] = not (_is_number(request.start) and 0 <= request.start <= _MOST_TIME)
    duration = request.duration_seconds
    wrong["duration_seconds"] = not (type(duration) is int and 0 < duration <= _MOST_SECONDS)
    wrong["tier"] = request.tier is not None and not isinstance(request.tier, Tier)
    said = {name: getattr(request, name) for name in wrong} | {"bandwidth": rate}
    return [(name, said[name]) for name, is_wrong in wrong.items() if is_wrong]


def _is_text(value: object) -> bool:
    if not isinstance(value, str) or not 0 < len(value) <= _MOST_TEXT:
        return False
    return value.isprintable()  # a lone surrogate is not


def _is_number(value: object) -> bool:
    return type(value) in {int, float} and isfinite(value)  # type: ignore[arg-type]  # the two types just named
