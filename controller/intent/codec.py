"""Owns the JSON form of wishes at the door: strict in, canonical out, errors that name the field.

Keys are kebab-case; amounts are text with their unit (`200 Mbit/s`, `20 ms`, `99.95 %`) and come out exactly as they
went in, or in the base unit where no prefix fits; conditions are TS 28.312's; moments are RFC 3339 with a zone.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from controller.intent.model import (
    AddressAllocation,
    AddressFamily,
    Condition,
    Context,
    DeliveryExpectation,
    Intent,
    IntentChange,
    IntentWithdrawal,
    Property,
    PropertyExpectation,
    Routing,
    ServiceType,
    SiteReference,
    Topology,
    Unit,
    Validity,
)
from controller.intent.reading import NeedsClarification, Question, Result, Wish
from controller.model.errors import InvalidInputError
from controller.model.identifiers import IntentId

Json = Mapping[str, object]
T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
_AMOUNT = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,15})?) ?([A-Za-z/%]+)")
_FACTORS: Mapping[Unit, Mapping[str, int]] = {
    Unit.BITS_PER_SECOND: {
        "bit/s": 1, "kbit/s": 10**3, "Mbit/s": 10**6, "Gbit/s": 10**9, "Tbit/s": 10**12,
    },
    Unit.MICROSECONDS: {"us": 1, "ms": 10**3, "s": 10**6},
    Unit.PARTS_PER_MILLION: {"ppm": 1, "%": 10**4},
}  # fmt: skip


def encode(wish: Wish) -> dict[str, object]:
    """The JSON object of a wish; empty parts are left out."""
    if isinstance(wish, Intent):
        return {"type": "intent", **_encode_intent(wish)}
    if isinstance(wish, IntentChange):
        return {"type": "change", **_encode_change(wish)}
    body = {"customer": wish.customer, "vpn-id": wish.vpn_id, "effective": _moment(wish.effective)}
    return {"type": "withdrawal", **_compact(body)}


def encode_result(result: Result) -> dict[str, object]:
    """The JSON object of what listening resulted in: the wish with readings and assumptions, or the questions."""
    if isinstance(result, NeedsClarification):
        return {"understood": False, "questions": [_encode_question(question) for question in result.questions]}
    readings = [{"words": item.words, "field": item.field, "value": item.value} for item in result.readings]
    assumed = [{"field": item.field, "value": item.value, "template": item.template} for item in result.assumed]
    return {"understood": True, "wish": encode(result.wish), "readings": readings, "assumed": assumed}


def decode(document: object) -> Wish:
    """The wish of a JSON object; `InvalidInputError` with the field's path for anything unknown, missing or wrong."""
    reader = _Reader(document, "")
    kind = reader.take("type", _text)
    if kind == "intent":
        return reader.done(_decode_intent)
    if kind == "change":
        return reader.done(_decode_change)
    if kind == "withdrawal":
        return reader.done(
            lambda source: IntentWithdrawal(
                source.take("customer", _text), source.take("vpn-id", _text), source.maybe("effective", _read_moment)
            )
        )
    raise _wrong("type", "must be intent, change or withdrawal")


def decode_amount(about: Property, text: str, path: str) -> int:
    """`200 Mbit/s` as a whole number of the property's unit; `InvalidInputError` with `path` otherwise."""
    match = _AMOUNT.fullmatch(text)
    factor = _FACTORS[about.unit].get(match[2]) if match else None
    if match is None or factor is None:
        raise _wrong(path, f"'{text}' is not an amount of {about}", f"units: {', '.join(_FACTORS[about.unit])}")
    value = Decimal(match[1]) * factor
    if value != value.to_integral_value():
        raise _wrong(path, f"'{text}' is not a whole number of {about.unit}")
    return int(value)


def encode_amount(expectation: PropertyExpectation) -> str:
    """The amount in the largest unit in which it is a whole number; percentages with their decimals."""
    if expectation.unit is Unit.PARTS_PER_MILLION:
        return expectation.amount
    fitting = [(factor, unit) for unit, factor in _FACTORS[expectation.unit].items() if expectation.value % factor == 0]
    factor, unit = max(fitting)
    return f"{expectation.value // factor} {unit}"


class _Reader:
    """Takes the members of one JSON object, one by one, and knows what was left."""

    def __init__(self, document: object, path: str) -> None:
        if not isinstance(document, Mapping):
            raise _wrong(path or "document", "must be an object")
        self._left = {str(key): value for key, value in document.items() if value is not None}
        self._path = path

    def take(self, key: str, read: Callable[[object, str], T]) -> T:
        """A member that must be there."""
        if key not in self._left:
            raise _wrong(self._at(key), "is missing")
        return read(self._left.pop(key), self._at(key))

    def maybe(self, key: str, read: Callable[[object, str], T]) -> T | None:
        """A member that may be there."""
        return read(self._left.pop(key), self._at(key)) if key in self._left else None

    def done(self, build: "Callable[[_Reader], T]") -> T:
        """Build from this object and refuse what nobody took; the object's own path leads the errors of its parts."""
        try:
            built = build(self)
        except InvalidInputError as error:
            if not error.path.startswith(self._path):
                error.path = self._at(error.path)
            raise
        if self._left:
            raise _wrong(self._at(min(self._left)), "is not known here")
        return built

    def _at(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key


def _wrong(path: str, text: str, remedy: str = "") -> InvalidInputError:
    return InvalidInputError(f"{path}: {text}", path=path, remedy=remedy)


def _text(value: object, path: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong(path, "must be a text that is not empty")
    return value


def _whole(value: object, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(path, "must be a whole number")
    return value


def _one_of(kind: type[E]) -> Callable[[object, str], E]:
    def read(value: object, path: str) -> E:
        try:
            return kind(_text(value, path))
        except ValueError as error:
            raise _wrong(path, f"'{value}' is not one of {', '.join(kind)}") from error

    return read


def _list_of(read: Callable[[object, str], T]) -> Callable[[object, str], tuple[T, ...]]:
    def read_all(value: object, path: str) -> tuple[T, ...]:
        if not isinstance(value, list | tuple):
            raise _wrong(path, "must be a list")
        return tuple(read(item, f"{path}[{position}]") for position, item in enumerate(value))

    return read_all


def _object(build: Callable[[_Reader], T]) -> Callable[[object, str], T]:
    return lambda value, path: _Reader(value, path).done(build)


def _read_moment(value: object, path: str) -> datetime:
    text = _text(value, path)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _wrong(path, f"'{text}' is not an RFC 3339 moment") from error
    if moment.utcoffset() is None:
        raise _wrong(path, f"'{text}' has no time zone", f"write {text}Z")
    return moment


def _decode_site(source: _Reader) -> SiteReference:
    return SiteReference(
        source.take("city", _text), source.take("country", _text), source.maybe("site-id", _text) or ""
    )


def _decode_property(source: _Reader) -> PropertyExpectation:
    about = source.take("property", _one_of(Property))
    condition = source.take("condition", _one_of(Condition))
    return PropertyExpectation(
        about, condition, source.take("value", lambda value, path: decode_amount(about, _text(value, path), path))
    )


def _decode_delivery(source: _Reader) -> DeliveryExpectation:
    return DeliveryExpectation(
        service_type=source.take("service-type", _one_of(ServiceType)),
        topology=source.take("topology", _one_of(Topology)),
        sites=source.take("sites", _sites),
        hubs=source.maybe("hubs", _sites) or (),
        address_family=source.take("address-family", _one_of(AddressFamily)),
        address_allocation=source.take("address-allocation", _one_of(AddressAllocation)),
        routing=source.take("routing", _one_of(Routing)),
        qos_profile=source.take("qos-profile", _text),
    )


_sites = _list_of(_object(_decode_site))
_properties = _list_of(_object(_decode_property))
_contexts = _list_of(_object(lambda source: Context(source.take("name", _text), source.take("value", _text))))
_validity = _object(lambda source: Validity(source.maybe("start", _read_moment), source.maybe("end", _read_moment)))


def _decode_intent(source: _Reader) -> Intent:
    return Intent(
        customer=source.take("customer", _text),
        owner=source.take("owner", _text),
        delivery=source.take("delivery", _object(_decode_delivery)),
        properties=source.take("properties", _properties),
        contexts=source.maybe("contexts", _contexts) or (),
        validity=source.maybe("validity", _validity) or Validity(),
        priority=source.take("priority", _whole),
        template=source.maybe("template", _text) or "",
        vpn_id=source.maybe("vpn-id", _text),
        intent_id=IntentId(source.maybe("id", _text) or ""),
    )


def _decode_change(source: _Reader) -> IntentChange:
    return IntentChange(
        customer=source.take("customer", _text),
        vpn_id=source.take("vpn-id", _text),
        add_sites=source.maybe("add-sites", _sites) or (),
        remove_sites=source.maybe("remove-sites", _sites) or (),
        properties=source.maybe("properties", _properties) or (),
        topology=source.maybe("topology", _one_of(Topology)),
        hubs=source.maybe("hubs", _sites) or (),
        validity=source.maybe("validity", _validity) or Validity(),
    )


def _encode_intent(intent: Intent) -> dict[str, object]:
    delivery = intent.delivery
    return _compact(
        {
            "id": intent.intent_id,
            "customer": intent.customer,
            "owner": intent.owner,
            "vpn-id": intent.vpn_id,
            "delivery": _compact(
                {
                    "service-type": delivery.service_type.value,
                    "topology": delivery.topology.value,
                    "sites": [_encode_site(site) for site in delivery.sites],
                    "hubs": [_encode_site(site) for site in delivery.hubs],
                    "address-family": delivery.address_family.value,
                    "address-allocation": delivery.address_allocation.value,
                    "routing": delivery.routing.value,
                    "qos-profile": delivery.qos_profile,
                }
            ),
            # Required on the way in, so never left out.
            "properties": tuple(_encode_property(expectation) for expectation in intent.properties),
            "contexts": [{"name": context.name, "value": context.value} for context in intent.contexts],
            "validity": _encode_validity(intent.validity),
            "priority": intent.priority,
            "template": intent.template,
        }
    )


def _encode_change(change: IntentChange) -> dict[str, object]:
    return _compact(
        {
            "customer": change.customer,
            "vpn-id": change.vpn_id,
            "add-sites": [_encode_site(site) for site in change.add_sites],
            "remove-sites": [_encode_site(site) for site in change.remove_sites],
            "properties": [_encode_property(expectation) for expectation in change.properties],
            "topology": change.topology.value if change.topology else None,
            "hubs": [_encode_site(site) for site in change.hubs],
            "validity": _encode_validity(change.validity),
        }
    )


def _encode_site(site: SiteReference) -> dict[str, object]:
    return _compact({"city": site.city, "country": site.country, "site-id": site.site_id})


def _encode_property(expectation: PropertyExpectation) -> dict[str, object]:
    return {
        "property": expectation.about.value,
        "condition": expectation.condition.value,
        "value": encode_amount(expectation),
    }


def _encode_question(question: Question) -> dict[str, object]:
    return {
        "kind": question.kind.value,
        "words": question.words,
        "start": question.start,
        "text": question.text,
        "suggestions": list(question.suggestions),
    }


def _encode_validity(validity: Validity) -> dict[str, object]:
    return _compact({"start": _moment(validity.start), "end": _moment(validity.end)})


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _compact(members: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in members.items() if value is not None and value not in ("", [], {})}
