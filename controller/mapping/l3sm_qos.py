"""Owns reading bandwidth classes and classification (RFC 8299 6.12).

L3SM looks from the customer's site, the network model from the provider's router: `site-to-wan` is the router's input.
What an access says replaces what its site says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from controller.mapping.infrastructure import QosClass
from controller.mapping.network_model import QosRule, QosTreatment
from controller.mapping.reader import Reader

_DIRECTIONS = {"site-to-wan": "input", "wan-to-site": "output", "both": "both"}
_PROTOCOLS = {
    "tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58, "gre": 47, "ipip": 4,
    "hop-by-hop": 0, "routing": 43, "esp": 50, "ah": 51,
}  # fmt: skip
_SEQUENCE_STEP = 10


@dataclass(frozen=True, slots=True)
class Qos:
    """Rules and classes as asked for; bandwidths are still percentages."""

    path: str
    rules: tuple[QosRule, ...]
    classes: tuple[QosClass, ...]


def read_qos(holder: Reader, profiles: Mapping[str, tuple[QosClass, ...]]) -> Qos | None:
    """The `service/qos` of a site or an access; None when it says nothing."""
    if not holder.has("service"):
        return None
    service = holder.child("service")
    if not service.has("qos"):
        return None
    qos = service.child("qos")
    policy = qos.child("qos-classification-policy")
    rules = tuple(_rule(entry, at) for at, entry in enumerate(policy.entries("rule", "id"), start=1))
    classes = _classes(qos.child("qos-profile"), profiles)
    _check(qos, rules, classes)
    return Qos(qos.path, rules, classes)


def _check(qos: Reader, rules: tuple[QosRule, ...], classes: tuple[QosClass, ...]) -> None:
    names = {found.name for found in classes}
    for rule in rules:
        if rule.traffic_class not in names:
            path = f"qos-classification-policy/rule[id='{rule.name}']/target-class-id"
            raise qos.wrong(path, f"the profile has no class '{rule.traffic_class}'", f"use one of: {sorted(names)}")
    for side in ("site-to-wan", "wan-to-site"):
        total = sum(Decimal(found.guaranteed_percent) for found in classes if found.direction in {side, "both"})
        if total > 100:
            raise qos.wrong("qos-profile", f"the classes guarantee {total} % of the bandwidth {side}")


def _rule(entry: Reader, position: int) -> QosRule:
    flow = entry.child("match-flow")
    sources = {family: flow.prefix(f"{family}-src-prefix", family) for family in ("ipv4", "ipv6")}
    targets = {family: flow.prefix(f"{family}-dst-prefix", family) for family in ("ipv4", "ipv6")}
    if (sources["ipv4"] or targets["ipv4"]) and (sources["ipv6"] or targets["ipv6"]):
        raise entry.wrong("match-flow", "no packet is both IPv4 and IPv6", "write two rules")
    return QosRule(
        sequence=position * _SEQUENCE_STEP,
        name=entry.required("id"),
        traffic_class=entry.required("target-class-id"),
        dscp=flow.integer("dscp", 0, 63),
        dot1p=flow.integer("dot1p", 0, 7),
        source_prefix=sources["ipv4"] or sources["ipv6"],
        destination_prefix=targets["ipv4"] or targets["ipv6"],
        protocol=_protocol(flow),
        source_ports=_ports(flow, "src"),
        destination_ports=_ports(flow, "dst"),
        application=entry.identity("match-application"),
    )


def _protocol(flow: Reader) -> int | None:
    name = flow.identity_or_number("protocol-field")
    if isinstance(name, str) and name not in _PROTOCOLS:
        raise flow.wrong("protocol-field", f"'{name}' is not a known protocol", f"use one of: {sorted(_PROTOCOLS)}")
    if isinstance(name, int) and not 0 <= name <= 255:
        raise flow.wrong("protocol-field", f"{name} is outside 0..255")
    return _PROTOCOLS[name] if isinstance(name, str) else name


def _ports(flow: Reader, side: str) -> tuple[str, ...]:
    single = flow.integer(f"l4-{side}-port", 0, 65535)
    span = flow.child(f"l4-{side}-port-range")
    lower, upper = span.integer("lower-port", 0, 65535), span.integer("upper-port", 0, 65535)
    if upper is not None and (lower is None or upper < lower):
        raise span.wrong("upper-port", "a range goes from a lower to an upper port")
    ports = [] if single is None else [str(single)]
    if lower is not None:
        ports.append(str(lower) if upper in {None, lower} else f"{lower}-{upper}")
    return tuple(ports)


def _classes(profile: Reader, profiles: Mapping[str, tuple[QosClass, ...]]) -> tuple[QosClass, ...]:
    name = profile.text("profile")
    if name:
        if name not in profiles:
            raise profile.wrong("profile", f"there is no QoS profile '{name}'", f"use one of: {sorted(profiles)}")
        return profiles[name]
    return tuple(_class(entry) for entry in profile.child("classes").entries("class", "class-id"))


def _class(entry: Reader) -> QosClass:
    direction = entry.identity("direction", "both")
    if direction not in _DIRECTIONS:
        raise entry.refuse("direction", f"'{direction}' is not a known direction")
    latency, jitter, bandwidth = entry.child("latency"), entry.child("jitter"), entry.child("bandwidth")
    guaranteed = bandwidth.percent("guaranteed-bw-percent")
    if not guaranteed:
        raise bandwidth.wrong("guaranteed-bw-percent", "the guaranteed share is needed", "add it; 0 for none")
    return QosClass(
        name=entry.required("class-id"),
        guaranteed_percent=guaranteed,
        direction=direction,
        rate_limit=entry.percent("rate-limit"),
        lowest_latency=latency.empty("use-lowest-latency"),
        latency_bound_milliseconds=latency.integer("latency-boundary", 0, 2**16 - 1),
        lowest_jitter=jitter.empty("use-lowest-jitter"),
        jitter_bound_microseconds=jitter.integer("latency-boundary", 0, 2**32 - 1),
        end_to_end=bandwidth.empty("end-to-end"),
    )


def treatments(classes: tuple[QosClass, ...], input_bandwidth: int, output_bandwidth: int) -> tuple[QosTreatment, ...]:
    """Classes on an access with these bandwidths, in bit/s as the router sees them."""
    return tuple(_treatment(found, input_bandwidth, output_bandwidth) for found in classes)


def _treatment(found: QosClass, input_bandwidth: int, output_bandwidth: int) -> QosTreatment:
    direction = _DIRECTIONS[found.direction]
    share = Decimal(found.guaranteed_percent) / 100
    return QosTreatment(
        name=found.name,
        direction=direction,
        input_guarantee=int(input_bandwidth * share) if direction != "output" else 0,
        output_guarantee=int(output_bandwidth * share) if direction != "input" else 0,
        rate_limit=found.rate_limit,
        lowest_latency=found.lowest_latency,
        latency_bound_milliseconds=found.latency_bound_milliseconds,
        lowest_jitter=found.lowest_jitter,
        jitter_bound_microseconds=found.jitter_bound_microseconds,
        end_to_end=found.end_to_end,
    )
