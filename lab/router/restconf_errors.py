"""Owns: the errors document and the mapping of error-tags to HTTP status codes (RFC 8040 section 7)."""

from dataclasses import dataclass
from typing import Literal

from lxml import etree

from lab.router.rpc_errors import RpcError

RESTCONF_NS = "urn:ietf:params:xml:ns:yang:ietf-restconf"

_STATUS_OF_TAG = {
    "in-use": 409,
    "lock-denied": 409,
    "resource-denied": 409,
    "data-exists": 409,
    "data-missing": 409,
    "too-big": 413,
    "access-denied": 403,
    "rollback-failed": 500,
    "operation-failed": 500,
    "partial-operation": 500,
    "operation-not-supported": 405,
}

ErrorType = Literal["transport", "rpc", "protocol", "application"]


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """One `error` list entry: type, tag, message, and where known the app-tag, path and info."""

    tag: str
    message: str
    error_type: ErrorType = "protocol"
    path: str | None = None
    app_tag: str | None = None
    info: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, object]:
        """The entry as a JSON object of `ietf-restconf:errors`."""
        entry: dict[str, object] = {"error-type": self.error_type, "error-tag": self.tag}
        if self.app_tag:
            entry["error-app-tag"] = self.app_tag
        if self.path:
            entry["error-path"] = self.path
        entry["error-message"] = self.message
        if self.info:
            entry["error-info"] = dict(self.info)
        return entry


class RestconfError(Exception):
    """A refused request: the entries of its errors document and the HTTP status that goes with it."""

    def __init__(self, *entries: ErrorEntry, status: int | None = None) -> None:
        super().__init__("; ".join(entry.message for entry in entries))
        self.entries = entries
        self.status = status if status is not None else status_of_tag(entries[0].tag)


def status_of_tag(tag: str) -> int:
    """The HTTP status of an error-tag; 400 where the RFC leaves a choice.

    operation-failed is 500 also for a constraint that does not hold: 412 stays what it means elsewhere in HTTP, that
    the resource is not in the version the client expected.
    """
    return _STATUS_OF_TAG.get(tag, 400)


def refuse(
    tag: str, message: str, *, status: int | None = None, path: str | None = None, app_tag: str | None = None
) -> RestconfError:
    """Make the error of a single entry, to be raised."""
    return RestconfError(ErrorEntry(tag, message, path=path, app_tag=app_tag), status=status)


def errors_json(entries: tuple[ErrorEntry, ...]) -> dict[str, object]:
    """Render the entries as the JSON document of RFC 8040 section 7.1."""
    return {"ietf-restconf:errors": {"error": [entry.as_json() for entry in entries]}}


def errors_xml(entries: tuple[ErrorEntry, ...], *, tag: str = "errors", namespace: str = RESTCONF_NS) -> etree._Element:
    """Render the document in XML: the root element is named `tag`, all of it is in `namespace`."""
    root = etree.Element(f"{{{namespace}}}{tag}", nsmap={None: namespace})  # type: ignore[dict-item]  # the stubs forget the default namespace
    for entry in entries:
        error = etree.SubElement(root, f"{{{namespace}}}error")
        for name, value in entry.as_json().items():
            child = etree.SubElement(error, f"{{{namespace}}}{name}")
            if isinstance(value, dict):
                for key, text in value.items():
                    etree.SubElement(child, f"{{{namespace}}}{key}").text = str(text)
            else:
                child.text = str(value)
    return root


def entries_of(error: RpcError) -> tuple[ErrorEntry, ...]:
    """Every error that `error` reports, as entries; warnings count only when there is nothing else."""
    errors = [entry for entry in error.all() if entry.severity == "error"] or list(error.all())
    return tuple(
        ErrorEntry(
            entry.tag,
            entry.message,
            entry.type,
            entry.path,
            entry.app_tag,
            tuple((name, text) for name, text in entry.info if isinstance(text, str)),
        )
        for entry in errors
    )
