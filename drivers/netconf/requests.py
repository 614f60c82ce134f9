"""Owns requests as bytes: ncclient builds each operation once per device type, later calls only fill in the blanks.

ncclient's operation classes (RFC 6241 section 7, vendor handlers included) write the XML; what changes from call to
call - the message-id, an edit, a filter - is spliced in. That keeps tree building out of every call.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lxml import etree
from ncclient import manager
from ncclient.operations import rpc as ncclient_rpc
from ncclient.xml_ import new_ele

from controller.model.errors import InvalidInputError
from drivers.netconf.framing import END_OF_MESSAGE
from drivers.netconf.xml import BASE

YANG_PUSH = "urn:ietf:params:xml:ns:yang:ietf-yang-push"
_SUBSCRIBED = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
_DATASTORES = "urn:ietf:params:xml:ns:yang:ietf-datastores"
_BLANK = "accord-blank"
_CONFIG_BLANK = re.compile(rb"<(?:\w+:)?config\b[^>]*>\s*accord-blank\s*</(?:\w+:)?config>")
_FILTER_BLANK = re.compile(rb"<accord-blank[^>]*/>")
_DECLARATION = re.compile(rb"\s*<\?xml[^>]*\?>\s*")


@dataclass(frozen=True, slots=True)
class Request:
    """An RPC without its message-id. `changes`: it may change the device, so no answer means an unknown outcome."""

    name: str
    before_id: bytes
    after_id: bytes
    changes: bool = True

    def numbered(self, message_id: int) -> bytes:
        """Return the message with its id."""
        return b"%b%d%b" % (self.before_id, message_id, self.after_id)

    def filled(self, blank: re.Pattern[bytes], content: bytes) -> "Request":
        """Return this request with `content` where the blank is."""
        before, after = blank.split(self.after_id, maxsplit=1)
        return Request(self.name, self.before_id, before + content + after, self.changes)


def establish_subscription(filters: Sequence[str], period_seconds: float) -> Request:
    """Return the request to have state pushed (RFC 8640): every period, or with 0 when it changes."""
    hundredths = round(period_seconds * 100)
    trigger = f"<yp:periodic><yp:period>{hundredths}</yp:period></yp:periodic>" if hundredths else "<yp:on-change/>"
    body = (
        f'"><establish-subscription xmlns="{_SUBSCRIBED}" xmlns:yp="{YANG_PUSH}">'
        f'<yp:datastore xmlns:ds="{_DATASTORES}">ds:operational</yp:datastore>'
        f"<yp:datastore-subtree-filter>{''.join(filters)}</yp:datastore-subtree-filter>{trigger}"
        "</establish-subscription></rpc>"
    )
    return Request("establish-subscription", f'<rpc xmlns="{BASE}" message-id="'.encode(), body.encode(), changes=False)


class _Everything:
    """Stands for server capabilities while a template is built; the session has checked the real ones."""

    def __contains__(self, _capability: str) -> bool:
        return True


class _Recorder:
    """Stands for ncclient's session: keeps what an operation would send."""

    server_capabilities = _Everything()
    id = None
    """Asked for where everything is logged."""

    def __init__(self) -> None:
        self.sent = ""

    def get_listener_instance(self, _kind: type) -> None:
        """Say that there is no listener yet."""

    def add_listener(self, _listener: object) -> None:
        """Ignore the listener: nothing will be answered."""

    def send(self, message: str) -> None:
        """Keep the message."""
        self.sent = message


class _CloseSession(ncclient_rpc.RPC):  # type: ignore[misc]  # ncclient is untyped; its own class closes the transport too
    def request(self) -> object:
        """Ask for the end of the session."""
        return self._request(new_ele("close-session"))


def build(handler: Any, operation: type | None, name: str, *arguments: Any, **options: Any) -> Request:
    """Return ncclient's request for one operation, written by this device type's handler."""
    recorder = _Recorder()
    kind = operation or manager.OPERATIONS[name.replace("-", "_")]
    rpc = kind(recorder, device_handler=handler, async_mode=True)
    rpc.request(*arguments, **options)
    before, found, after = recorder.sent.encode().partition(rpc.id.encode())
    if not found:
        raise InvalidInputError(f"the handler of this device type writes {name} without a message-id")
    return Request(name, before, after, changes=name not in {"get", "get-config", "close-session"})


class Requests:
    """The requests of one device type. `transforms_edits`: its handler must see each edit as a tree."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler
        plain = manager.make_device_handler(None).__class__.transform_edit_config
        self._transforms_edits = handler.__class__.transform_edit_config is not plain
        self._simple = lru_cache(maxsize=64)(self._build_simple)
        self._with_options = lru_cache(maxsize=256)(self._build_with_options)
        self._edit = lru_cache(maxsize=16)(self._build_edit)
        self.close_session = build(handler, _CloseSession, "close-session")

    def simple(self, name: str, *arguments: str) -> Request:
        """Return an operation that takes only datastore names, e.g. `lock`, `running`."""
        return self._simple(name, *arguments)

    def read(self, operation: str, filters: Sequence[str]) -> Request:
        """Return `get-config` of running or `get`, all or with subtree filter elements."""
        arguments = ("running",) if operation == "get-config" else ()
        if not filters:
            return self._simple(operation, *arguments)
        template = self._simple(operation, *arguments, _BLANK)
        return template.filled(_FILTER_BLANK, "".join(filters).encode())

    def edit(self, target: str, edit: bytes, *, rollback: bool, test: bool) -> Request:
        """Return `edit-config` with `edit`, a complete <config> element."""
        if END_OF_MESSAGE in edit:
            raise InvalidInputError(f"an edit must not hold {END_OF_MESSAGE.decode()}, the end-of-message mark")
        if self._transforms_edits:
            return self._build_edit(target, rollback, test, etree.fromstring(edit))
        start = _DECLARATION.match(edit)
        content = edit[start.end() :] if start else edit
        return self._edit(target, rollback, test).filled(_CONFIG_BLANK, content)

    def commit(self, **options: str | bool) -> Request:
        """Return `commit`: `confirmed`, `timeout` (seconds, as text), `persist`, `persist_id`."""
        return self._with_options("commit", **options)

    def cancel_commit(self, persist_id: str) -> Request:
        """Return `cancel-commit` of the named confirmed commit."""
        return self._with_options("cancel-commit", persist_id=persist_id)

    def _build_with_options(self, name: str, **options: str | bool) -> Request:
        return build(self._handler, None, name, **options)

    def _build_simple(self, name: str, *arguments: str) -> Request:
        if arguments and arguments[-1] == _BLANK:
            return build(self._handler, None, name, *arguments[:-1], filter=("subtree", f"<{_BLANK}/>"))
        return build(self._handler, None, name, *arguments)

    def _build_edit(self, target: str, rollback: bool, test: bool, config: Any = None) -> Request:
        return build(
            self._handler,
            None,
            "edit-config",
            f'<config xmlns="{BASE}">{_BLANK}</config>' if config is None else config,
            target=target,
            test_option="test-then-set" if test else None,
            error_option="rollback-on-error" if rollback else None,
        )


@lru_cache(maxsize=32)
def requests_for(device_type: str) -> Requests:
    """Return the shared requests of a device type (a name that `handler_for` accepted)."""
    return Requests(manager.make_device_handler({"name": device_type or "default"}))
