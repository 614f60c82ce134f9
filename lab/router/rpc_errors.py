"""Owns the error a management protocol reports (RFC 6241 section 4.3, appendix A; app-tags of RFC 7950 section 15)."""

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from lxml import etree

from lab.router.xml import NC, element

_PREFIX = re.compile(r"""'[^']*'|"[^"]*"|([A-Za-z_][\w.-]*):""")

ErrorType = Literal["transport", "rpc", "protocol", "application"]
Severity = Literal["error", "warning"]


class RpcError(Exception):
    """One rpc-error. `path` is an instance-identifier whose every step carries its module's name as prefix.

    `info` holds the (local name, text) pairs of error-info; `others` are further errors reported with this one.
    """

    def __init__(
        self,
        tag: str,
        message: str,
        *,
        type: ErrorType = "application",  # noqa: A002  # the RFC's own word
        severity: Severity = "error",
        path: str | None = None,
        app_tag: str | None = None,
        info: Iterable[tuple[str, str]] = (),
        others: Iterable["RpcError"] = (),
    ) -> None:
        super().__init__(f"{tag}: {message}" + (f" at {path}" if path else ""))
        self.tag = tag
        self.message = message
        self.type = type
        self.severity = severity
        self.path = path
        self.app_tag = app_tag
        self.info = tuple(info)
        self.others = tuple(others)

    def all(self) -> tuple["RpcError", ...]:
        """This error and those reported with it."""
        return (self, *self.others)

    def element(self, namespaces: Mapping[str, str]) -> etree._Element:
        """Return the rpc-error element; `namespaces` (by module name) resolves the prefixes of the path."""
        error = element("rpc-error", NC)
        _add(error, "error-type", self.type)
        _add(error, "error-tag", self.tag)
        _add(error, "error-severity", self.severity)
        if self.app_tag:
            _add(error, "error-app-tag", self.app_tag)
        if self.path:
            path = etree.SubElement(error, f"{{{NC}}}error-path", nsmap=_used(self.path, namespaces))
            path.text = self.path
        message = _add(error, "error-message", self.message)
        message.set("{http://www.w3.org/XML/1998/namespace}lang", "en")
        if self.info:
            info = etree.SubElement(error, f"{{{NC}}}error-info")
            for name, text in self.info:
                _add(info, name, text)
        return error


def _used(path: str, namespaces: Mapping[str, str]) -> dict[str, str]:
    prefixes = (match[1] for match in _PREFIX.finditer(path))
    return {prefix: namespaces[prefix] for prefix in prefixes if prefix and prefix in namespaces}


def _add(parent: etree._Element, name: str, text: str) -> etree._Element:
    child = etree.SubElement(parent, f"{{{NC}}}{name}")
    child.text = text
    return child


def bad_element(name: str, message: str, *, tag: str = "bad-element", path: str | None = None) -> RpcError:
    """An error about an element (bad-element, unknown-element, missing-element): error-info names it."""
    return RpcError(tag, message, path=path, info=(("bad-element", name),))


def missing_element(name: str, message: str, *, path: str | None = None) -> RpcError:
    """A required element is absent; error-info names it."""
    return bad_element(name, message, tag="missing-element", path=path)


def unknown_element(name: str, message: str, *, path: str | None = None) -> RpcError:
    """An element that the schema does not have here; error-info names it."""
    return bad_element(name, message, tag="unknown-element", path=path)


def lock_denied(session_id: int) -> RpcError:
    """Refuse a lock held elsewhere; 0 names a holder that is not a NETCONF session (RFC 6241 section 7.5)."""
    return RpcError(
        "lock-denied",
        f"Lock failed, lock is already held by session {session_id}",
        type="protocol",
        info=(("session-id", str(session_id)),),
    )


def in_use(what: str, session_id: int) -> RpcError:
    """Refuse to touch what another session has locked."""
    return RpcError("in-use", f"{what} is in use by session {session_id}", info=(("session-id", str(session_id)),))


def not_supported(message: str) -> RpcError:
    """Refuse an operation, parameter or capability this router does not have."""
    return RpcError("operation-not-supported", message, type="protocol")


def invalid_value(message: str, *, path: str | None = None, type: ErrorType = "application") -> RpcError:  # noqa: A002  # the RFC's own word
    """Refuse an unacceptable parameter value."""
    return RpcError("invalid-value", message, path=path, type=type)


def failed(message: str, *, path: str | None = None, app_tag: str | None = None) -> RpcError:
    """Report an operation-failed for a reason no other tag covers."""
    return RpcError("operation-failed", message, path=path, app_tag=app_tag)
