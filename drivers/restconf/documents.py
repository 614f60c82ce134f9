"""Owns the XML documents of RESTCONF as a client reads them: data, errors, YANG Patch status, monitoring, host-meta.

RFC 8040 sections 3.1, 7, 9; RFC 8072 section 2.3; RFC 8525. Untrusted input: no entities, no DTD, no network.
"""

import re
from collections.abc import Iterable

from lxml import etree

from controller.model.errors import DeviceCause, ProtocolViolationError
from controller.ports import ModuleRevision
from drivers.restconf.paths import Ancestor

NETCONF_NS = "urn:ietf:params:xml:ns:netconf:base:1.0"
RESTCONF_NS = "urn:ietf:params:xml:ns:yang:ietf-restconf"


def parse(body: bytes) -> etree._Element:
    """The root of an XML document; `ProtocolViolationError` when it is not well-formed or carries a DTD."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True, remove_blank_text=True
    )
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise ProtocolViolationError(f"the answer is not XML: {error}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise ProtocolViolationError("the answer carries a document type declaration")
    return root


def new_data() -> etree._Element:
    """An empty `<data>`."""
    return etree.Element(f"{{{NETCONF_NS}}}data", nsmap={None: NETCONF_NS})  # type: ignore[dict-item]  # stubs forget the default namespace


def join(data: etree._Element, ancestors: Iterable[Ancestor], resource: etree._Element) -> None:
    """Put a resource into `data` below its containers, which several resources share."""
    parent = data
    for namespace, name in ancestors:
        tag = f"{{{namespace}}}{name}"
        found = parent.find(tag)
        parent = etree.SubElement(parent, tag, nsmap={None: namespace}) if found is None else found  # type: ignore[dict-item]  # as above
    parent.append(resource)


def local_name(element: etree._Element) -> str:
    """The name without its namespace."""
    return etree.QName(element).localname


def children_named(element: etree._Element, name: str) -> list[etree._Element]:
    """Descendants of a local name, whatever the namespace; comments and instructions are passed over."""
    return [node for node in element.iter(etree.Element) if local_name(node) == name]


def text_of(element: etree._Element, name: str) -> str:
    """The text of the first child of a local name, or nothing."""
    for child in element.iterchildren(etree.Element):
        if local_name(child) == name:
            return (child.text or "").strip()
    return ""


def causes(body: bytes) -> tuple[DeviceCause, ...]:
    """Every `error` entry of an errors document or of a YANG Patch status; empty when it is neither."""
    try:
        root = parse(body)
    except ProtocolViolationError:
        return ()
    return tuple(_cause(error) for error in children_named(root, "error"))


def _cause(error: etree._Element) -> DeviceCause:
    return DeviceCause(
        tag=text_of(error, "error-tag") or "operation-failed",
        message=text_of(error, "error-message"),
        path=text_of(error, "error-path"),
        app_tag=text_of(error, "error-app-tag"),
    )


_WARNING = re.compile(r'\d{3} \S+ "((?:[^"\\]|\\.)*)"')


def warnings(header: str) -> tuple[DeviceCause, ...]:
    """The texts of a `Warning` header (RFC 9111 5.5 keeps its form): RESTCONF has no other place for one."""
    return tuple(
        DeviceCause("operation-failed", re.sub(r"\\(.)", r"\1", text), severity="warning")
        for text in _WARNING.findall(header)
    )


def modules(root: etree._Element) -> tuple[ModuleRevision, ...]:
    """The implemented modules of a `yang-library` or a `modules-state` document (RFC 8525, RFC 7895)."""
    found = {
        text_of(module, "name"): ModuleRevision(
            text_of(module, "name"), text_of(module, "revision"), text_of(module, "namespace")
        )
        for module in children_named(root, "module")
        if text_of(module, "name") and text_of(module, "conformance-type") in {"", "implement"}
    }
    return tuple(found.values())


def restconf_root(host_meta: etree._Element) -> str:
    """The `href` of the `restconf` link of an XRD document (RFC 8040 3.1); empty when there is none."""
    for link in children_named(host_meta, "Link"):
        if link.get("rel") == "restconf":
            return link.get("href", "").rstrip("/")
    return ""


def stream_location(streams: etree._Element, name: str) -> str:
    """The XML location of an event stream (RFC 8040 9.3); empty when it is not offered."""
    for stream in children_named(streams, "stream"):
        if text_of(stream, "name") != name:
            continue
        for access in children_named(stream, "access"):
            if text_of(access, "encoding") == "xml":
                return text_of(access, "location")
    return ""
