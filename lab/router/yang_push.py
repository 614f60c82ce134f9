"""Owns YANG-Push on a NETCONF session (a subset of RFC 8639, 8640 and 8641): who is told of which part of the state.

establish-subscription with a subtree filter of the operational datastore, periodic or on-change; delete-subscription;
push-update and push-change-update. Periodic updates fall on multiples of the period. On-change looks at the state as
often as its dampening period allows, tells what differs, and says everything once at the beginning (sync-on-start).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

from lxml import etree

from lab.router import rpc_errors
from lab.router.rpc_errors import RpcError
from lab.router.xml import add, element, serialise

SUBSCRIBED = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
PUSH = "urn:ietf:params:xml:ns:yang:ietf-yang-push"
CAPABILITIES = (
    f"{SUBSCRIBED}?module=ietf-subscribed-notifications&revision=2019-09-09",
    f"{PUSH}?module=ietf-yang-push&revision=2019-09-09",
)
"""For <hello>: that the operations are there. The modules themselves are not in the router's library."""
_OPERATIONAL = "operational"
_HUNDREDTHS = 100.0
_SHORTEST_SECONDS = 0.05
_MOST_SUBSCRIPTIONS = 16


@dataclass(slots=True)
class _Wanted:
    """One subscription."""

    number: int
    filter: etree._Element
    seconds: float
    on_change: bool
    told: dict[bytes, bytes] = field(default_factory=dict)
    timer: asyncio.TimerHandle | None = None


class Push:
    """The subscriptions of one session. `select` gives what a filter picks of the state, `publish` sends an event."""

    def __init__(
        self, select: Callable[[etree._Element], etree._Element], publish: Callable[[etree._Element], None]
    ) -> None:
        self._select = select
        self._publish = publish
        self._wanted: dict[int, _Wanted] = {}
        self._last_number = 0

    def establish(self, request: etree._Element) -> bytes:
        """Begin a subscription; the reply's content with its number. Raises RpcError."""
        if len(self._wanted) >= _MOST_SUBSCRIPTIONS:
            raise RpcError("resource-denied", f"a session has {_MOST_SUBSCRIPTIONS} subscriptions at most")
        self._last_number += 1
        wanted = _read(request, self._last_number)
        self._wanted[wanted.number] = wanted
        if wanted.on_change:
            wanted.timer = asyncio.get_running_loop().call_later(0, self._tell, wanted)
        else:
            self._schedule(wanted)
        return serialise(_number(wanted.number))

    def delete(self, request: etree._Element) -> bytes:
        """End a subscription. Raises RpcError when the session has none of that number."""
        text = (request.findtext(f"{{{SUBSCRIBED}}}id") or "").strip()
        wanted = self._wanted.pop(int(text), None) if text.isdecimal() else None
        if wanted is None:
            raise rpc_errors.invalid_value(f"this session has no subscription {text}", type="application")
        _cancel(wanted)
        return b"<ok/>"

    def close(self) -> None:
        """The session is over, and so are they."""
        for wanted in self._wanted.values():
            _cancel(wanted)
        self._wanted.clear()

    def _schedule(self, wanted: _Wanted) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = (int(now / wanted.seconds) + 1) * wanted.seconds
        wanted.timer = loop.call_at(due, self._tell, wanted)

    def _tell(self, wanted: _Wanted) -> None:
        if wanted.number not in self._wanted:
            return
        found = self._select(wanted.filter)
        if not wanted.on_change:
            self._publish(_update("push-update", wanted.number, list(found)))
        else:
            self._tell_changes(wanted, found)
        self._schedule(wanted)

    def _tell_changes(self, wanted: _Wanted, found: etree._Element) -> None:
        """What differs from what was told last, entry by entry of the lists in it."""
        now = {key: (serialise(entry), entry) for key, entry in _entries(found)}
        changed = [entry for key, (text, entry) in now.items() if wanted.told.get(key) != text]
        is_first = not wanted.told
        wanted.told = {key: text for key, (text, _) in now.items()}
        if changed:
            shown = [_alone(entry) for entry in changed]
            self._publish(_update("push-update" if is_first else "push-change-update", wanted.number, shown))


def _read(request: etree._Element, number: int) -> _Wanted:
    datastore = (request.findtext(f"{{{PUSH}}}datastore") or "").rpartition(":")[2].strip()
    if datastore != _OPERATIONAL:
        raise rpc_errors.invalid_value("only the operational datastore is pushed", type="application")
    chosen = request.find(f"{{{PUSH}}}datastore-subtree-filter")
    if chosen is None or not len(chosen):
        raise rpc_errors.missing_element("datastore-subtree-filter", "say what is to be pushed")
    periodic, on_change = (request.find(f"{{{PUSH}}}{name}") for name in ("periodic", "on-change"))
    if (periodic is None) == (on_change is None):
        raise rpc_errors.bad_element("periodic", "a subscription is either periodic or on-change")
    if periodic is not None:
        return _Wanted(number, deepcopy(chosen), _hundredths(periodic, "period", None), on_change=False)
    return _Wanted(number, deepcopy(chosen), _hundredths(on_change, "dampening-period", 1.0), on_change=True)


def _hundredths(parent: etree._Element | None, name: str, usual: float | None) -> float:
    """A span told in hundredths of a second (RFC 8641 section 4.2)."""
    text = None if parent is None else parent.findtext(f"{{{PUSH}}}{name}")
    if text is None and usual is not None:
        return usual
    if text is None or not text.strip().isdecimal():
        raise rpc_errors.invalid_value(f"{name} {text} is no number of hundredths of a second", type="application")
    seconds = int(text) / _HUNDREDTHS
    if seconds < _SHORTEST_SECONDS and usual is None:
        raise rpc_errors.invalid_value(f"{name} {text} is too short: it is 5 or more", type="application")
    return max(seconds, _SHORTEST_SECONDS)


def _number(number: int) -> etree._Element:
    answer = element("id", SUBSCRIBED)
    answer.text = str(number)
    return answer


def _entries(tree: etree._Element) -> list[tuple[bytes, etree._Element]]:
    """Each entry that has a name or a number, with the path to it; whatever else there is, as a whole."""
    found: list[tuple[bytes, etree._Element]] = []
    for top in tree:
        keyed = [each for each in top.iter() if len(each) and etree.QName(each[0]).localname in {"name", "id"}]
        outer = [each for each in keyed if not any(above in keyed for above in each.iterancestors())]
        found += [(f"{top.tag} {each.tag} {each[0].text}".encode(), each) for each in outer or [top]]
    return found


def _alone(entry: etree._Element) -> etree._Element:
    """An entry within copies of what it stands in, without its neighbours."""
    inner = deepcopy(entry)
    for above in entry.iterancestors():
        if above.getparent() is None:
            break
        name = etree.QName(above)
        outer = element(name.localname, name.namespace or "")
        outer.append(inner)
        inner = outer
    return inner


def _update(name: str, number: int, content: list[etree._Element]) -> etree._Element:
    """The event; changes are told as whole values under `edit` (RFC 8072), one for each."""
    event = element(name, PUSH)
    add(event, f"{{{PUSH}}}id", str(number))
    if name == "push-update":
        add(event, f"{{{PUSH}}}datastore-contents").extend([deepcopy(each) for each in content])
        return event
    patch = add(add(event, f"{{{PUSH}}}datastore-changes"), f"{{{PUSH}}}yang-patch")
    add(patch, f"{{{PUSH}}}patch-id", str(number))
    for position, each in enumerate(content, start=1):
        edit = add(patch, f"{{{PUSH}}}edit")
        add(edit, f"{{{PUSH}}}edit-id", str(position))
        add(edit, f"{{{PUSH}}}operation", "merge")
        add(edit, f"{{{PUSH}}}target", "/")
        add(edit, f"{{{PUSH}}}value").append(each)
    return event


def _cancel(wanted: _Wanted) -> None:
    if wanted.timer is not None:
        wanted.timer.cancel()
