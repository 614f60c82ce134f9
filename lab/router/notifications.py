"""Owns NETCONF notifications: the stream's subscribers and the events of the base (RFC 5277, RFC 6470)."""

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from lab.router import filters, rpc_errors
from lab.router.datastore import CommitEvent, ConfigChange
from lab.router.rpc_errors import RpcError
from lab.router.schema import Schema
from lab.router.xml import NC, NOTIFICATION, add, data, element, serialise

EVENTS = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"
_PREFIX = re.compile(r"""'[^']*'|"[^"]*"|([A-Za-z_][\w.-]*):""")


@dataclass(slots=True)
class Subscription:
    """What one session wants to hear: everything, or what a subtree or XPath filter selects of an event."""

    schema: Schema
    send: Callable[[bytes], None]
    subtree: etree._Element | None = None
    select: tuple[str, Mapping[str, str]] | None = None
    stop_time: datetime | None = None

    def offer(self, event: etree._Element, at: datetime) -> bool:
        """Send an event if the filter lets it through; False when the subscription has ended."""
        if self.stop_time is not None and at > self.stop_time:
            return False
        if self._wants(event):
            self.send(notification(event, at))
        return True

    def _wants(self, event: etree._Element) -> bool:
        if self.subtree is not None:
            return any(item.tag == event.tag or not len(self.subtree) for item in self.subtree)
        if self.select is None:
            return True
        tree = data()
        tree.append(deepcopy(event))
        return len(filters.xpath(self.schema, tree, *self.select)) > 0


class Stream:
    """The router's NETCONF event stream."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._subscriptions: dict[int, Subscription] = {}

    def subscribe(self, session_id: int, subscription: Subscription) -> None:
        """Add a session's subscription. Raises in-use when it has one (RFC 5277 section 6.2)."""
        if session_id in self._subscriptions:
            raise RpcError("in-use", f"session {session_id} has a subscription already", type="protocol")
        self._subscriptions[session_id] = subscription

    def unsubscribe(self, session_id: int) -> None:
        """Forget a session."""
        self._subscriptions.pop(session_id, None)

    def has_subscribers(self) -> bool:
        """False when publishing would reach nobody."""
        return bool(self._subscriptions)

    def publish(self, event: etree._Element) -> None:
        """Send an event to every session that wants it."""
        at = self._now()
        for session_id, subscription in tuple(self._subscriptions.items()):
            if not subscription.offer(event, at):
                subscription.send(notification(element("notificationComplete", NOTIFICATION), at))
                self.unsubscribe(session_id)


def subscription(schema: Schema, request: etree._Element, send: Callable[[bytes], None]) -> Subscription:
    """Read a <create-subscription>. Raises RpcError; nothing is replayed, so a start time is refused."""
    wanted = _text(request, "stream") or "NETCONF"
    if wanted != "NETCONF":
        raise rpc_errors.invalid_value(f"there is no stream {wanted}", type="protocol")
    if _text(request, "startTime") is not None:
        raise rpc_errors.not_supported("this stream keeps nothing to replay: leave startTime out")
    if _text(request, "stopTime") is not None:
        raise RpcError(
            "missing-element", "stopTime needs a startTime", type="protocol", info=(("bad-element", "startTime"),)
        )
    made = Subscription(schema, send)
    chosen = request.find(f"{{{NOTIFICATION}}}filter")
    if chosen is None:
        chosen = request.find(f"{{{NC}}}filter")  # where ncclient puts it
    if chosen is not None and chosen.get("type", chosen.get(f"{{{NC}}}type", "subtree")) == "xpath":
        prefixes = {prefix: uri for prefix, uri in chosen.nsmap.items() if prefix}
        made.select = (chosen.get("select", ""), prefixes)
        filters.xpath(schema, data(), *made.select)
    elif chosen is not None:
        made.subtree = chosen
    return made


def notification(event: etree._Element, at: datetime) -> bytes:
    """Return the message that carries an event."""
    stamp = at.isoformat().replace("+00:00", "Z")
    head = f'<notification xmlns="{NOTIFICATION}"><eventTime>{stamp}</eventTime>'
    return head.encode() + serialise(event) + b"</notification>"


def config_change(change: ConfigChange, namespaces: Mapping[str, str]) -> etree._Element:
    """Return netconf-config-change for a change of running or startup."""
    event = _event("netconf-config-change")
    _changed_by(event, change.session_id, change.username)
    _add(event, "datastore", change.datastore)
    for edit in change.edits:
        entry = _add(event, "edit")
        used = {match[1] for match in _PREFIX.finditer(edit.path) if match[1]}
        prefixes = {name: namespaces[name] for name in sorted(used) if name in namespaces}
        add(entry, f"{{{EVENTS}}}target", edit.path, **prefixes)
        _add(entry, "operation", edit.operation)
    return event


def confirmed_commit(commit: CommitEvent) -> etree._Element:
    """Return netconf-confirmed-commit."""
    event = _event("netconf-confirmed-commit")
    if commit.outcome != "timeout":
        _identify(event, commit.session_id, commit.username)
    _add(event, "confirm-event", commit.outcome)
    if commit.outcome in {"start", "extend"}:
        _add(event, "timeout", str(round(commit.timeout)))
    return event


def session_started(session_id: int, username: str, source_host: str) -> etree._Element:
    """Return netconf-session-start."""
    event = _event("netconf-session-start")
    _identify(event, session_id, username)
    _add(event, "source-host", source_host)
    return event


def session_ended(session_id: int, username: str, reason: str) -> etree._Element:
    """Return netconf-session-end; reason is closed, killed, dropped, timeout, bad-hello or other."""
    event = _event("netconf-session-end")
    _identify(event, session_id, username)
    _add(event, "termination-reason", reason)
    return event


def _event(name: str) -> etree._Element:
    return element(name, EVENTS)


def _changed_by(event: etree._Element, session_id: int, username: str) -> None:
    by = _add(event, "changed-by")
    if session_id:
        _identify(by, session_id, username)
    else:
        _add(by, "server")


def _identify(parent: etree._Element, session_id: int, username: str) -> None:
    _add(parent, "username", username)
    _add(parent, "session-id", str(session_id))


def _add(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    return add(parent, f"{{{EVENTS}}}{name}", text)


def _text(request: etree._Element, name: str) -> str | None:
    return request.findtext(f"{{{NOTIFICATION}}}{name}")
