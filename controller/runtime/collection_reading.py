"""Owns what is asked of devices for telemetry and how answers become readings: XML in, a dict, readings out.

Vocabularies: RFC 8343 (interfaces, statistics, discontinuity-time), accord-router's STAMP sessions (RFC 8762), RFC 8641
notifications that carry either, and FRR's `show interface json`. xmltodict makes the dict of a push; of a poll's answer
lxml does, ten times as fast: a network of a thousand routers answers a hundred polls a second.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from xml.parsers.expat import ExpatError

import orjson
import xmltodict
from lxml import etree

from controller.model.errors import ProtocolViolationError
from controller.model.identifiers import DeviceName
from controller.model.inventory import DeviceRecord
from controller.ports import DeviceSession, Transport
from controller.runtime.collection_shown import JUNOS_INTERFACE, JUNOS_LIKE, SHOW_INTERFACES, shown
from controller.telemetry.sample import Provenance, Reading, SeriesKey

_IF = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
_ROUTER = "urn:accord:router"
_COUNTERS = ("in-octets", "out-octets", "out-discards")
_MICROSECONDS = ("last-round-trip-delay", "last-forward-delay", "round-trip-delay", "forward-delay", "delay-variation")
_PACKETS = ("sent-packets", "lost-packets")
INTERFACES = (
    f'<interfaces xmlns="{_IF}"><interface><name/><oper-status/><speed/><statistics><discontinuity-time/>'
    + "".join(f"<{name}/>" for name in _COUNTERS)
    + "</statistics></interface></interfaces>"
)
INTERFACE_STATES = f'<interfaces xmlns="{_IF}"><interface><name/><oper-status/></interface></interfaces>'
MEASUREMENTS = f'<router xmlns="{_ROUTER}"><oam><stamp-session/></oam></router>'
_RESOURCES = ("ietf-interfaces:interfaces", "accord-router:router/oam")
_FRR = "show interface json"
_LISTS = ("interface", "stamp-session")
COUNTERS = frozenset({*_COUNTERS, *_PACKETS})
"""Kinds of series whose readings count from some beginning."""

Json = Any


@dataclass(frozen=True, slots=True)
class Told:
    """What one answer told. `speeds` in bit/s by interface."""

    readings: tuple[Reading, ...] = ()
    speeds: Mapping[str, int] = field(default_factory=dict)


async def ask(session: DeviceSession, record: DeviceRecord) -> bytes:
    """The state that telemetry is made of; empty where nobody knows how to ask a command line for it."""
    transport = session.capabilities.transport
    if transport is Transport.NETCONF:
        return (await session.read_state((INTERFACES, MEASUREMENTS))).body
    if transport is Transport.RESTCONF:
        return (await session.read_state(_RESOURCES)).body
    command = _FRR if record.profile == "frr" else SHOW_INTERFACES if record.platform in JUNOS_LIKE else ""
    return (await session.read_state((command,))).body if command else b""


def read_answer(device: DeviceName, body: bytes, source_time: float, receive_time: float) -> Told:
    """What a poll brought: XML, or FRR's JSON; `ProtocolViolationError` for anything else."""
    if not body.strip():
        return Told()
    at = _At(device, source_time, receive_time, Provenance.POLLED)
    if body.lstrip().startswith(b"{"):
        return _frr(at, body)
    if body.lstrip().startswith(JUNOS_INTERFACE):
        return Told(*shown(at.reading, body.decode(errors="replace")))
    return _told(at, _tree(_root(device, body)))


def read_push(device: DeviceName, message: bytes, receive_time: float) -> Told | None:
    """What a notification brought: push-update or push-change-update (RFC 8641); None when it is another one."""
    if b"push-" not in message:
        return None
    notification = _parsed(device, message)["notification"]
    if not isinstance(notification, dict):
        return None
    update = notification.get("push-update") or notification.get("push-change-update")
    if not isinstance(update, dict):
        return None
    time = _seconds(notification.get("eventTime", ""))
    at = _At(device, receive_time if time is None else time, receive_time, Provenance.PUSHED)
    return _told(at, update)


@dataclass(frozen=True, slots=True)
class _At:
    device: DeviceName
    source_time: float
    receive_time: float
    provenance: Provenance

    def reading(
        self, name: str, kind: str, value: float, *, since: float | None = None, provenance: Provenance | None = None
    ) -> Reading:
        key = SeriesKey(self.device, kind, name)
        return Reading(key, self.source_time, self.receive_time, value, provenance or self.provenance, since)


def _parsed(device: DeviceName, body: bytes) -> Json:
    try:
        return xmltodict.parse(body, process_namespaces=True, namespaces=_NoNames(), force_list=_LISTS)
    except (ExpatError, ValueError) as error:
        raise ProtocolViolationError(f"its telemetry is not XML: {error}", device=device) from error


def _root(device: DeviceName, body: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True, remove_comments=True, remove_pis=True
    )
    try:
        return etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise ProtocolViolationError(f"its telemetry is not XML: {error}", device=device) from error


def _tree(element: etree._Element) -> dict[str, Json]:
    """What xmltodict makes of it: nodes by local name, entries of lists in lists, leaves as text."""
    found: dict[str, Json] = {}
    for child in element.iterchildren("*"):
        name = child.tag.rpartition("}")[2]
        value = _tree(child) if len(child) else child.text
        if name in _LISTS:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


class _NoNames(dict[str, str | None]):
    """Every namespace is left out: what is asked for has no two nodes of one name."""

    def __missing__(self, _uri: str) -> None:
        return None


def _told(at: _At, tree: Json) -> Told:
    readings: list[Reading] = []
    speeds: dict[str, int] = {}
    for kind, entry in _entries(tree):
        if kind == "stamp-session":
            if entry.get("id"):
                readings += _measurement(at, str(entry["id"]), entry)
        elif name := str(entry.get("name") or ""):
            readings += _interface(at, name, entry)
            if (speed := _number(entry.get("speed"))) is not None:
                speeds[name] = int(speed)
    return Told(tuple(readings), speeds)


def _entries(tree: Json) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Every interface and every session, wherever they stand; nothing of these is in another."""
    if isinstance(tree, dict):
        for tag, below in tree.items():
            if tag in _LISTS:
                yield from ((tag, entry) for entry in below if isinstance(entry, dict))
            elif tag != "interfaces-state" and not isinstance(below, str):
                yield from _entries(below)
    elif isinstance(tree, list):
        for each in tree:
            yield from _entries(each)


def _interface(at: _At, name: str, told: Mapping[str, Json]) -> Iterator[Reading]:
    if (status := told.get("oper-status")) is not None:
        yield at.reading(name, "oper-status", float(status == "up"))
    statistics = told.get("statistics")
    if isinstance(statistics, dict):
        since = _seconds(statistics.get("discontinuity-time"))
        for kind in _COUNTERS:
            if (value := _number(statistics.get(kind))) is not None:
                yield at.reading(name, kind, value, since=since)


def _measurement(at: _At, number: str, told: Mapping[str, Json]) -> Iterator[Reading]:
    for kind in _MICROSECONDS:
        if (value := _number(told.get(kind))) is not None:
            yield at.reading(number, kind, value / 1e6, provenance=Provenance.PROBED)
    for kind in _PACKETS:
        if (value := _number(told.get(kind))) is not None:
            yield at.reading(number, kind, value, provenance=Provenance.PROBED)


def _frr(at: _At, body: bytes) -> Told:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ProtocolViolationError(f"its '{_FRR}' is not JSON: {error}", device=at.device) from error
    told = [(name, entry) for name, entry in document.items() if isinstance(entry, dict)]
    readings = [
        at.reading(name, "oper-status", float(entry["operationalStatus"] == "up"))
        for name, entry in told
        if "operationalStatus" in entry
    ]
    speeds = {name: int(speed) * 10**6 for name, entry in told if isinstance(speed := entry.get("speed"), int)}
    return Told(tuple(readings), speeds)


def _number(text: Json) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _seconds(text: Json) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None
