"""Owns YANG Patch bodies (RFC 8072) and data-resource identifiers (RFC 8040 3.5.3) for RESTCONF devices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote

from lxml import etree

from controller.datastore.codec_xml import XmlCodec
from controller.datastore.diff import Edit, topmost_deletions
from controller.datastore.schema import Schema
from controller.model.yang_path import Config, Path

_PATCH = "urn:ietf:params:xml:ns:yang:ietf-yang-patch"
_NAMESPACES = cast("dict[str, str]", {None: _PATCH})


def resource(path: Path) -> str:
    """`ietf-interfaces:interfaces/interface=eth%2F0`: the path below `{+restconf}/data/`."""
    parts: list[str] = []
    module = ""
    for step in path:
        prefix = f"{step.module}:" if step.module != module else ""
        module = step.module
        keys = ",".join(quote(value, safe="") for _, value in step.keys)
        parts.append(f"{prefix}{step.name}" + (f"={keys}" if step.keys else ""))
    return "/".join(parts)


@dataclass(frozen=True, slots=True)
class RestconfCodec:
    """RESTCONF speaks the same XML; only the envelope of an edit and the shape of a filter differ."""

    schema: Schema

    def encode_edit(self, edit: Edit) -> bytes:
        """One YANG Patch: deletes first, then one merge per top-level node; applied all or nothing (RFC 8072 2.5)."""
        patch = etree.Element(f"{{{_PATCH}}}yang-patch", nsmap=_NAMESPACES)
        _add(patch, "patch-id", "accord")
        for path in topmost_deletions(edit):
            _add_edit(patch, "delete", f"/{resource(path)}")
        settings = tuple(change for change in edit if change.new is not None)
        merged = etree.fromstring(XmlCodec(self.schema).encode_edit(settings)) if settings else ()
        for child in list(merged):
            name = etree.QName(child)
            module = self.schema.modules[name.namespace or ""]
            value = etree.SubElement(_add_edit(patch, "merge", f"/{module}:{name.localname}"), f"{{{_PATCH}}}value")
            value.append(child)
        return etree.tostring(patch)

    def encode_filters(self, scope: Sequence[Path]) -> Sequence[str]:
        """Top-level resources: a deeper resource would answer without its ancestors."""
        return tuple(sorted({resource(path[:1]) for path in scope}))

    def decode(self, body: bytes) -> Config:
        """As for NETCONF: the driver joins the resources below one root."""
        return XmlCodec(self.schema).decode(body)


def _add(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, f"{{{_PATCH}}}{name}").text = text


def _add_edit(patch: etree._Element, operation: str, target: str) -> etree._Element:
    edit = etree.SubElement(patch, f"{{{_PATCH}}}edit")
    _add(edit, "edit-id", f"edit-{len(patch) - 1}")
    _add(edit, "operation", operation)
    _add(edit, "target", target)
    return edit
