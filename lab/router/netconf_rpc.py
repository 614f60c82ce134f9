"""Owns what each NETCONF operation does to the router (RFC 6241 sections 7 and 8, RFC 5277, RFC 6022)."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, cast

from lxml import etree

from lab.router import filters, monitoring, notifications, rpc_errors, validation, yang_push
from lab.router.datastore import ConfigStore, DefaultOperation, ErrorOption, TestOption
from lab.router.profiles import Profile
from lab.router.rpc_errors import RpcError
from lab.router.schema import Schema
from lab.router.sessions import Sessions
from lab.router.xml import NC, NOTIFICATION, WITH_DEFAULTS, local, serialise

OK = b"<ok/>"
_DEFAULT_OPERATIONS = {"merge", "replace", "none"}
_TEST_OPTIONS = {"test-then-set", "set", "test-only"}
_ERROR_OPTIONS = {"stop-on-error", "continue-on-error", "rollback-on-error"}
_WITH_DEFAULTS_MODES = {"report-all", "report-all-tagged", "trim", "explicit"}
_LONGEST_TIMEOUT = 4_294_967_295


class Served(Protocol):
    """What the operations need of a router."""

    schema: Schema
    profile: Profile
    store: ConfigStore
    sessions: Sessions
    stream: notifications.Stream
    now: Callable[[], datetime]

    def state_tree(self) -> etree._Element:
        """Return the operational state as a <data> tree."""
        ...


class Operations:
    """The operations of one session. `send` carries notifications."""

    def __init__(self, router: Served, session_id: int, send: Callable[[bytes], None]) -> None:
        self._router = router
        self._store = router.store
        self._profile = router.profile
        self._session_id = session_id
        self._send = send
        self.closing = False
        self.push = yang_push.Push(
            self._operational, lambda event: send(notifications.notification(event, router.now()))
        )

    def perform(self, request: etree._Element) -> bytes:
        """Act on the element inside <rpc> and return the reply's content. Raises RpcError."""
        operation = _OPERATIONS.get(request.tag)
        if operation is None:
            raise rpc_errors.not_supported(f"operation {request.tag} is not known here")
        return operation(self, request)

    # -- reading

    def _get_config(self, request: etree._Element) -> bytes:
        source = self._datastore(request, "source")
        chosen, mode = self._filter(request), self._with_defaults(request)
        if chosen is None and mode is None:
            return self._store.serialised(source)
        return serialise(self._selected(self._shown(self._store.get(source), mode), chosen))

    def _get(self, request: etree._Element) -> bytes:
        chosen, mode = self._filter(request), self._with_defaults(request)
        wanted = None
        if chosen is not None and not _is_xpath(chosen):
            wanted = filters.top_level_tags(chosen)
        config = filters.limited(self._shown(self._store.get("running"), mode), wanted)
        tree = filters.union(self._router.schema, config, filters.limited(self._router.state_tree(), wanted))
        tree.extend(list(monitoring.state(self._router, wanted)))
        return serialise(self._selected(tree, chosen))

    def _operational(self, chosen: etree._Element) -> etree._Element:
        """What a subtree filter picks of configuration and state."""
        wanted = filters.top_level_tags(chosen)
        config = filters.limited(self._store.get("running"), wanted)
        tree = filters.union(self._router.schema, config, filters.limited(self._router.state_tree(), wanted))
        return filters.subtree(self._router.schema, tree, chosen)

    def _shown(self, tree: etree._Element, mode: str | None) -> etree._Element:
        return tree if mode in {None, "explicit"} else validation.with_defaults(self._router.schema, tree, str(mode))

    def _selected(self, tree: etree._Element, chosen: etree._Element | None) -> etree._Element:
        if chosen is None:
            return tree
        if not _is_xpath(chosen):
            return filters.subtree(self._router.schema, tree, chosen)
        prefixes = {prefix: uri for prefix, uri in chosen.nsmap.items() if prefix}
        return filters.xpath(self._router.schema, tree, chosen.get("select", ""), prefixes)

    def _filter(self, request: etree._Element) -> etree._Element | None:
        chosen = request.find(f"{{{NC}}}filter")
        if chosen is None:
            return None
        kind = chosen.get("type", "subtree")
        if kind == "xpath" and not self._profile.xpath:
            raise rpc_errors.not_supported("this router has no :xpath capability")
        if kind not in {"subtree", "xpath"}:
            raise _bad_attribute("type", "filter", f"filter type {kind} is not known")
        if kind == "xpath" and chosen.get("select") is None:
            raise _bad_attribute("select", "filter", "an xpath filter needs select", tag="missing-attribute")
        return chosen

    def _with_defaults(self, request: etree._Element) -> str | None:
        mode = request.findtext(f"{{{WITH_DEFAULTS}}}with-defaults")
        if mode is None:
            return None
        if not self._profile.with_defaults:
            raise rpc_errors.not_supported("this router has no :with-defaults capability")
        return _one_of(mode.strip(), _WITH_DEFAULTS_MODES, "with-defaults")

    def _get_schema(self, request: etree._Element) -> bytes:
        name = request.findtext(f"{{{monitoring.MONITORING}}}identifier")
        version = request.findtext(f"{{{monitoring.MONITORING}}}version")
        form = (request.findtext(f"{{{monitoring.MONITORING}}}format") or "yang").rpartition(":")[2]
        if name is None:
            raise rpc_errors.missing_element("identifier", "get-schema needs an identifier")
        info = self._router.schema.modules.get(name)
        if info is None or (version and version != info.revision) or form != "yang":
            raise rpc_errors.invalid_value(f"there is no schema {name} {version or ''} in format {form}")
        answer = etree.Element(f"{{{monitoring.MONITORING}}}data", nsmap={"ncm": monitoring.MONITORING})
        answer.text = info.text
        return serialise(answer)

    # -- changing

    def _edit_config(self, request: etree._Element) -> bytes:
        target = self._target(request)
        self._store.edit(
            target,
            self._config(request),
            session_id=self._session_id,
            default_operation=cast(
                DefaultOperation, _option(request, "default-operation", _DEFAULT_OPERATIONS, "merge")
            ),
            test_option=self._test_option(request),
            error_option=self._error_option(request),
        )
        return OK

    def _test_option(self, request: etree._Element) -> TestOption | None:
        option = _option(request, "test-option", _TEST_OPTIONS, "")
        if not option:
            return None
        if self._profile.validate is None or (option == "test-only" and self._profile.validate == "1.0"):
            raise rpc_errors.not_supported(f"this router cannot {option}")
        return cast(TestOption, option)

    def _error_option(self, request: etree._Element) -> ErrorOption:
        option = _option(request, "error-option", _ERROR_OPTIONS, "stop-on-error")
        if option == "rollback-on-error" and not self._profile.rollback_on_error:
            raise rpc_errors.not_supported("this router has no :rollback-on-error capability")
        return cast(ErrorOption, option)

    def _copy_config(self, request: etree._Element) -> bytes:
        source = self._source(request)
        target = self._datastore(request, "target")
        if target == "running" and not self._profile.writable_running:
            raise rpc_errors.not_supported("running is not writable here: edit the candidate and commit")
        self._store.copy(source, target, session_id=self._session_id)
        return OK

    def _delete_config(self, request: etree._Element) -> bytes:
        self._store.delete(self._datastore(request, "target"), session_id=self._session_id)
        return OK

    def _lock(self, request: etree._Element) -> bytes:
        self._store.lock(self._datastore(request, "target"), self._session_id)
        return OK

    def _unlock(self, request: etree._Element) -> bytes:
        self._store.unlock(self._datastore(request, "target"), self._session_id)
        return OK

    def _discard(self, _: etree._Element) -> bytes:
        self._require(self._profile.candidate, "candidate")
        self._store.discard(self._session_id)
        return OK

    def _validate(self, request: etree._Element) -> bytes:
        self._require(self._profile.validate is not None, "validate")
        self._store.validate(self._source(request))
        return OK

    def _commit(self, request: etree._Element) -> bytes:
        self._require(self._profile.candidate, "candidate")
        confirmed = request.find(f"{{{NC}}}confirmed") is not None
        persist, persist_id = _text(request, "persist"), _text(request, "persist-id")
        if confirmed:
            self._require(self._profile.confirmed_commit is not None, "confirmed-commit")
        if persist is not None or persist_id is not None:
            self._require(self._profile.confirmed_commit == "1.1", "confirmed-commit:1.1")
        if persist is not None and not confirmed:
            raise rpc_errors.bad_element("persist", "persist needs confirmed")
        timeout = _seconds(_text(request, "confirm-timeout") or "600")
        self._store.commit(
            self._session_id, confirmed=confirmed, timeout=timeout, persist=persist, persist_id=persist_id
        )
        return OK

    def _cancel_commit(self, request: etree._Element) -> bytes:
        self._require(self._profile.confirmed_commit == "1.1", "confirmed-commit:1.1")
        self._store.cancel_commit(self._session_id, _text(request, "persist-id"))
        return OK

    # -- sessions

    def _close_session(self, _: etree._Element) -> bytes:
        self.closing = True
        return OK

    def _kill_session(self, request: etree._Element) -> bytes:
        text = _text(request, "session-id")
        if text is None:
            raise rpc_errors.missing_element("session-id", "kill-session needs a session-id")
        if not text.isdecimal() or int(text) == self._session_id:
            raise rpc_errors.invalid_value(f"session {text} is this session, or no number", type="protocol")
        if not self._router.sessions.kill(int(text)):
            raise rpc_errors.invalid_value(f"there is no session {text}", type="protocol")
        return OK

    def _create_subscription(self, request: etree._Element) -> bytes:
        self._require(self._profile.notifications, "notification")
        made = notifications.subscription(self._router.schema, request, self._send)
        self._router.stream.subscribe(self._session_id, made)
        return OK

    def _establish_subscription(self, request: etree._Element) -> bytes:
        self._require(self._profile.notifications, "notification")
        return self.push.establish(request)

    def _delete_subscription(self, request: etree._Element) -> bytes:
        return self.push.delete(request)

    # -- parameters

    def _require(self, has: bool, capability: str) -> None:
        if not has:
            raise rpc_errors.not_supported(f"this router has no :{capability} capability")

    def _target(self, request: etree._Element) -> str:
        target = self._datastore(request, "target")
        if target == "startup":
            raise rpc_errors.invalid_value("startup cannot be edited, only copied to", type="protocol")
        if target == "running" and not self._profile.writable_running:
            raise rpc_errors.not_supported("running is not writable here: edit the candidate and commit")
        return target

    def _datastore(self, request: etree._Element, parameter: str) -> str:
        name = local(_choice(request, parameter).tag)
        known = {"running": True, "candidate": self._profile.candidate, "startup": self._profile.startup}
        if name == "url":
            raise rpc_errors.not_supported("this router has no :url capability")
        if name not in known:
            raise rpc_errors.bad_element(name, f"{name} is not a datastore")
        self._require(known[name], name)
        return name

    def _source(self, request: etree._Element) -> str | etree._Element:
        chosen = _choice(request, "source")
        return chosen if chosen.tag == f"{{{NC}}}config" else self._datastore(request, "source")

    def _config(self, request: etree._Element) -> etree._Element:
        config = request.find(f"{{{NC}}}config")
        if config is not None:
            return config
        if request.find(f"{{{NC}}}url") is not None:
            raise rpc_errors.not_supported("this router has no :url capability")
        raise rpc_errors.missing_element("config", "edit-config needs a config element in the NETCONF namespace")


_OPERATIONS: dict[str, Callable[[Operations, etree._Element], bytes]] = {
    f"{{{NC}}}{name}": operation
    for name, operation in {
        "get": Operations._get,  # noqa: SLF001  # the table belongs to the class
        "get-config": Operations._get_config,  # noqa: SLF001
        "edit-config": Operations._edit_config,  # noqa: SLF001
        "copy-config": Operations._copy_config,  # noqa: SLF001
        "delete-config": Operations._delete_config,  # noqa: SLF001
        "lock": Operations._lock,  # noqa: SLF001
        "unlock": Operations._unlock,  # noqa: SLF001
        "discard-changes": Operations._discard,  # noqa: SLF001
        "validate": Operations._validate,  # noqa: SLF001
        "commit": Operations._commit,  # noqa: SLF001
        "cancel-commit": Operations._cancel_commit,  # noqa: SLF001
        "close-session": Operations._close_session,  # noqa: SLF001
        "kill-session": Operations._kill_session,  # noqa: SLF001
    }.items()
}
_OPERATIONS[f"{{{monitoring.MONITORING}}}get-schema"] = Operations._get_schema  # noqa: SLF001
_OPERATIONS[f"{{{NOTIFICATION}}}create-subscription"] = Operations._create_subscription  # noqa: SLF001
_OPERATIONS[f"{{{yang_push.SUBSCRIBED}}}establish-subscription"] = Operations._establish_subscription  # noqa: SLF001
_OPERATIONS[f"{{{yang_push.SUBSCRIBED}}}delete-subscription"] = Operations._delete_subscription  # noqa: SLF001


def _is_xpath(chosen: etree._Element) -> bool:
    return chosen.get("type") == "xpath"


def _choice(request: etree._Element, parameter: str) -> etree._Element:
    holder = request.find(f"{{{NC}}}{parameter}")
    if holder is None or len(holder) == 0:
        raise rpc_errors.missing_element(parameter, f"{local(request.tag)} needs a {parameter}")
    if len(holder) > 1:
        raise rpc_errors.bad_element(parameter, f"{parameter} names more than one datastore")
    return holder[0]


def _text(request: etree._Element, name: str) -> str | None:
    text = request.findtext(f"{{{NC}}}{name}")
    return text.strip() if text is not None else None


def _option(request: etree._Element, name: str, allowed: set[str], default: str) -> str:
    text = _text(request, name)
    return default if text is None else _one_of(text, allowed, name)


def _one_of(text: str, allowed: set[str], name: str) -> str:
    if text not in allowed:
        raise rpc_errors.invalid_value(f"{name} {text} is none of {', '.join(sorted(allowed))}", type="protocol")
    return text


def _seconds(text: str) -> float:
    if not text.isdecimal() or not 1 <= int(text) <= _LONGEST_TIMEOUT:
        raise rpc_errors.invalid_value(f"confirm-timeout {text} is no number of seconds", type="protocol")
    return float(text)


def _bad_attribute(attribute: str, element: str, message: str, *, tag: str = "bad-attribute") -> RpcError:
    return RpcError(tag, message, type="protocol", info=(("bad-attribute", attribute), ("bad-element", element)))
