"""Owns reading XML that came from a device: what may stand at the head of a message, and the hardened parser.

RFC 6241 section 3 forbids document type declarations, so a message that has one is refused before it is parsed; that
leaves no entities to expand. Depth is bounded by libxml2, size by the framing.
"""

import re
import threading
from dataclasses import dataclass
from typing import cast
from xml.parsers import expat

from lxml import etree

from controller.model.errors import ProtocolViolationError
from drivers.netconf.framing import Message

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
# Atomic and possessive, so that a hostile prolog can't make the search backtrack.
_HEAD = re.compile(
    rb"(?>(?:\s+|<\?.*?\?>|<!--.*?-->)*)<(?:[A-Za-z_][\w.-]*+:)?([A-Za-z_][\w.-]*+)"
    rb"([^>\"']*+(?:(?:\"[^\"]*+\"|'[^']*+')[^>\"']*+)*+)>",
    re.DOTALL,
)
_NUMBERED_REPLY = re.compile(
    rb"(?:<\?xml[^>?]*+\?>)?+\s*+<(?:[\w.-]++:)?rpc-reply(?:\s++xmlns(?::[\w.-]++)?+=\"[^\"]*+\")*+"
    rb"\s++message-id=\"([0-9]++)\"[^<>]*+>"
)
"""How replies nearly always begin."""
_SLICE_BYTES = 64 * 1024
_MESSAGE_ID = re.compile(rb"\smessage-id\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


@dataclass(frozen=True, slots=True)
class Head:
    """The root element of a message, found without parsing it."""

    name: bytes
    message_id: bytes | None


class _Parsers(threading.local):
    """A parser for each thread: making one costs as much as parsing a small reply."""

    def __init__(self) -> None:
        self.parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=True,
            remove_comments=True,
            remove_pis=True,
        )


_parsers = _Parsers()


def read_head(message: Message) -> Head | None:
    """Return the root's local name and message-id, None when this isn't an XML element (or hides behind a DOCTYPE)."""
    reply = _NUMBERED_REPLY.match(message, 0, 65536)
    if reply is not None:
        return Head(b"rpc-reply", reply[1])
    head = _HEAD.match(message, 0, 65536)
    if head is None:
        return None
    attribute = _MESSAGE_ID.search(head[2])
    return Head(bytes(head[1]), bytes(attribute[1] or attribute[2] or b"") if attribute else None)


def parse(message: Message) -> etree._Element:
    """Parse one message; `ProtocolViolationError` when it is not well-formed or has a document type."""
    if _HEAD.match(message, 0, 65536) is None:
        raise ProtocolViolationError(f"the device sent something that is no XML element: {bytes(message[:60])!r}")
    try:
        return etree.fromstring(cast("bytes", message), _parsers.parser)  # lxml takes any buffer, its stubs do not
    except etree.XMLSyntaxError as error:
        raise ProtocolViolationError(f"the device sent broken XML: {error.msg}") from error


def is_well_formed(element: bytes) -> bool:
    """Check one element in UTF-8 without building a tree, which for 50 MB would take 150 ms of the lock to free."""
    parser = expat.ParserCreate(namespace_separator=" ")
    try:
        if len(element) <= _SLICE_BYTES:
            parser.Parse(element, True)
            return True
        view = memoryview(element)
        for start in range(0, len(view), _SLICE_BYTES):  # between slices other threads have their turn
            parser.Parse(view[start : start + _SLICE_BYTES], False)
        parser.Parse(b"", True)
    except expat.ExpatError:
        return False
    return True


def local_name(element: etree._Element) -> str:
    """Return an element's name without its namespace."""
    return element.tag.rpartition("}")[2]
