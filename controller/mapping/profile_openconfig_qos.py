"""Owns how bandwidths, classes and classification are told to an OpenConfig router (openconfig-qos).

Each access has a scheduler policy per direction: sequence 0 holds the access's rate, the classes follow, each with its
guarantee and limit. Queues and forwarding groups are named after the access, so that accesses do not share them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from controller.mapping.network_model import NetworkAccess, QosRule
from controller.mapping.profile import Row, Section, always, exists, only
from controller.model.errors import NotSupportedError

_QOS = "/openconfig-qos:qos"
_TYPES = "openconfig-qos-types"


@dataclass(frozen=True, slots=True)
class _Policy:
    """One direction of an access."""

    direction: str
    rate: int


@dataclass(frozen=True, slots=True)
class _Scheduled:
    """One class in one direction."""

    policy: str
    sequence: int
    queue: str
    guarantee: int
    limit: int
    is_strict: bool


@dataclass(frozen=True, slots=True)
class _Term:
    """One rule in the classifier of one family."""

    family: str
    rule: QosRule
    group: str

    @property
    def classifier(self) -> str:
        """OpenConfig's name of the family."""
        return self.family.upper()

    @property
    def name(self) -> str:
        """Terms are tried in the order of their ids: the sequence leads, with a fixed width."""
        return f"{self.rule.sequence:06d}-{self.rule.name}"


def _policies(access: NetworkAccess) -> tuple[_Policy, ...]:
    return _Policy("input", access.input_bandwidth), _Policy("output", access.output_bandwidth)


def _scheduled(access: NetworkAccess) -> Iterator[_Scheduled]:
    for policy in _policies(access):
        for sequence, found in enumerate(access.classes, start=1):
            if found.direction in {policy.direction, "both"}:
                yield _Scheduled(
                    policy=f"{access.interface}-{policy.direction}",
                    sequence=sequence,
                    queue=f"{access.interface}-{found.name}",
                    guarantee=found.input_guarantee if policy.direction == "input" else found.output_guarantee,
                    limit=int(policy.rate * Decimal(found.rate_limit or 100) / 100),
                    is_strict=found.lowest_latency,
                )


def _queues(access: NetworkAccess) -> tuple[str, ...]:
    return tuple(f"{access.interface}-{found.name}" for found in access.classes)


def _terms(access: NetworkAccess) -> Iterator[_Term]:
    for rule in access.rules:
        prefix = rule.source_prefix or rule.destination_prefix
        families = ("ipv4", "ipv6") if not prefix else ("ipv6",) if ":" in prefix else ("ipv4",)
        for family in families:
            yield _Term(family, rule, f"{access.interface}-{rule.traffic_class}")


def _classifiers(access: NetworkAccess) -> tuple[_Term, ...]:
    return tuple({term.family: term for term in _terms(access)}.values())


def _field(name: str) -> Callable[[_Term], int | str | None]:
    def read(term: _Term) -> int | str | None:
        value: int | str | None = getattr(term.rule, name)
        return None if value == "" else value

    return read


def _port(name: str) -> Callable[[_Term], str | None]:
    return lambda term: next((ports.replace("-", "..") for ports in getattr(term.rule, name)), None)


def _conditions(family: str) -> Section:
    return Section(f"/conditions/{family}/config", (
        Row("/source-address", _field("source_prefix")),
        Row("/destination-address", _field("destination_prefix")),
        Row("/dscp", _field("dscp")),
        Row("/protocol", _field("protocol")),
    ), each=lambda term: (term,) if term.family == family else ())  # fmt: skip


_INTERFACE = Section(f"{_QOS}/interfaces/interface[interface-id='{{interface}}']", (
    Row("", exists),
    Row("/config/interface-id", "interface"),
    Row("/interface-ref/config/interface", "port"),
    Row("/interface-ref/config/subinterface", "vlan"),
    Row("/input/scheduler-policy/config/name", "{interface}-input"),
    Row("/output/scheduler-policy/config/name", "{interface}-output"),
    Section("/input/classifiers/classifier[type='{classifier}']", (
        Row("", exists),
        Row("/config/type", "classifier"),
        Row("/config/name", "{interface}-{family}"),
    ), each=_classifiers),
))  # fmt: skip

_RATES = Section(f"{_QOS}/scheduler-policies/scheduler-policy[name='{{interface}}-{{direction}}']", (
    Row("", exists),
    Row("/config/name", "{interface}-{direction}"),
    Section("/schedulers/scheduler[sequence='0']", (
        Row("", exists),
        Row("/config/sequence", always("0")),
        Row("/config/type", always(f"{_TYPES}:ONE_RATE_TWO_COLOR")),
        Row("/one-rate-two-color/config/cir", "rate"),
        Row("/one-rate-two-color/exceed-action/config/drop", always("true")),
    )),
), each=_policies)  # fmt: skip

_CLASSES = Section(
    f"{_QOS}/scheduler-policies/scheduler-policy[name='{{policy}}']/schedulers/scheduler[sequence='{{sequence}}']", (
    Row("", exists),
    Row("/config/sequence", "sequence"),
    Row("/config/type", always(f"{_TYPES}:TWO_RATE_THREE_COLOR")),
    Row("/config/priority", only("is_strict", always("STRICT"))),
    Row("/inputs/input[id='{queue}']", exists),
    Row("/inputs/input[id='{queue}']/config/id", "queue"),
    Row("/inputs/input[id='{queue}']/config/input-type", always("QUEUE")),
    Row("/inputs/input[id='{queue}']/config/queue", "queue"),
    Row("/two-rate-three-color/config/cir", "guarantee"),
    Row("/two-rate-three-color/config/pir", "limit"),
), each=_scheduled)  # fmt: skip

_QUEUES = Section(_QOS, (
    Row("/queues/queue[name='{interface}-{name}']", exists),
    Row("/queues/queue[name='{interface}-{name}']/config/name", "{interface}-{name}"),
    Row("/forwarding-groups/forwarding-group[name='{interface}-{name}']", exists),
    Row("/forwarding-groups/forwarding-group[name='{interface}-{name}']/config/name", "{interface}-{name}"),
    Row("/forwarding-groups/forwarding-group[name='{interface}-{name}']/config/output-queue", "{interface}-{name}"),
), each=lambda access: access.classes)  # fmt: skip

_CLASSIFIERS = Section(f"{_QOS}/classifiers/classifier[name='{{interface}}-{{family}}']", (
    Row("", exists),
    Row("/config/name", "{interface}-{family}"),
    Row("/config/type", "classifier"),
    Section("/terms/term[id='{name}']", (
        Row("", exists),
        Row("/config/id", "name"),
        _conditions("ipv4"),
        _conditions("ipv6"),
        Row("/conditions/transport/config/source-port", _port("source_ports")),
        Row("/conditions/transport/config/destination-port", _port("destination_ports")),
        Row("/actions/config/target-group", "group"),
    )),
), each=_terms)  # fmt: skip

QOS = (_INTERFACE, _RATES, _CLASSES, _QUEUES, _CLASSIFIERS)


def check_qos(access: NetworkAccess) -> None:
    """Refuse what openconfig-qos cannot say; paths are relative to the access."""
    for rule in access.rules:
        for asked, what in (
            (rule.dot1p is not None, "classify by 802.1p priority"),
            (rule.application, "classify by application"),
            (max(len(rule.source_ports), len(rule.destination_ports)) > 1, "match two ranges of ports in one rule"),
        ):
            if asked:
                raise _cannot(f"service/qos/qos-classification-policy/rule[id='{rule.name}']", what)
    for found in access.classes:
        for asked, what in (
            (found.latency_bound_milliseconds is not None, "bound latency"),
            (found.lowest_jitter or found.jitter_bound_microseconds is not None, "bound jitter"),
            (found.end_to_end, "reserve end to end"),
        ):
            if asked:
                raise _cannot(f"service/qos/qos-profile/classes/class[class-id='{found.name}']", what)


def _cannot(path: str, what: str) -> NotSupportedError:
    return NotSupportedError(f"OpenConfig's models cannot {what}", path=path, remedy="use a router of another profile")
