"""Owns what a reply says (RFC 6241 section 4.3): data, warnings, or the device's reasons to refuse.

Most replies take one of two short ways: a plain `<ok/>` is recognised, a data element is cut out and checked without
building a tree. A large one is read in a worker thread: one device's 50 MB must not delay the others.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from lxml import etree

from controller.model.errors import DeviceCause, ProtocolViolationError
from controller.model.identifiers import DeviceName
from drivers.netconf.errors import MOST_CAUSES, cause_of, lock_holder, refusal
from drivers.netconf.framing import Message
from drivers.netconf.xml import BASE, is_well_formed, local_name, parse

LARGE_REPLY_BYTES = 256 * 1024

_DATA_OPEN = f'<data xmlns="{BASE}">'.encode()
_DATA_END = b"</data>"
_ID = rb"(?:\s++message-id=(?:\"[^\"<]*+\"|'[^'<]*+'))?+"
_NAMESPACE = rb"\s++xmlns=[\"']" + BASE.encode() + rb"[\"']"
_DATA_START = re.compile(
    rb"(?:<\?xml\s[^>]*?encoding=[\"'][Uu][Tt][Ff]-8[\"']\s*+\?>)?+\s*+"
    rb"<rpc-reply%b%b%b\s*+>\s*+<data(?:%b)?+\s*+>" % (_ID, _NAMESPACE, _ID, _NAMESPACE)
)
"""Nothing that the data could have inherited but its own namespace; everything is known to be UTF-8."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answered RPC. `data`: the serialised data element, None for `<ok/>`."""

    data: bytes | None
    warnings: tuple[DeviceCause, ...] = ()


_PLAIN_OK = Reply(None)
_PLAIN_OK_REPLY = re.compile(
    rb"(?:<\?xml[^>]*+>)?+\s*+<(?:[\w.-]++:)?rpc-reply\s[^<>]*+>\s*+<(?:[\w.-]++:)?ok\s*+/>\s*+"
    rb"</(?:[\w.-]++:)?rpc-reply\s*+>\s*+"
)
"""What most answers are, known without a parser."""
_LONGEST_PLAIN_OK = 1024


async def read_reply(device: DeviceName, handler: Any, message: Message) -> Reply:
    """Read a reply; raises `DeviceRejectedError` or `LockedError` in the device's words, `ProtocolViolationError`."""
    if len(message) < LARGE_REPLY_BYTES:
        return read_reply_here(device, handler, message)
    return await asyncio.get_running_loop().run_in_executor(None, read_reply_here, device, handler, message)


def read_reply_here(device: DeviceName, handler: Any, message: Message) -> Reply:
    """Read a reply in this thread."""
    if len(message) < _LONGEST_PLAIN_OK and _PLAIN_OK_REPLY.fullmatch(message) is not None:
        return _PLAIN_OK
    if (data := _cut_data(message)) and is_well_formed(data):
        return Reply(data)
    root = _parse(handler, message)
    errors = _rpc_errors(root)
    warnings = _warnings_or_raise(device, handler, errors) if errors else ()
    element = next((child for child in root if local_name(child) == "data"), None)
    return Reply(None if element is None else etree.tostring(element, encoding="UTF-8", with_tail=False), warnings)


def _cut_data(message: Message) -> bytes:
    """Return a reply's data element as it came, empty where only parsing tells which bytes it is."""
    start = _DATA_START.match(message)
    if start is None:
        return b""
    end = message.rfind(_DATA_END) + len(_DATA_END)
    if message[end:].strip() != b"</rpc-reply>":
        return b""
    return b"".join((_DATA_OPEN, memoryview(message)[start.end() : end]))


def _parse(handler: Any, message: Message) -> etree._Element:
    """Parse, or let the device type's handler repair what can't be parsed."""
    try:
        return parse(message)
    except ProtocolViolationError:
        repaired = handler.handle_raw_dispatch(bytes(message).decode(errors="replace"))
        if isinstance(repaired, str):
            return parse(repaired.encode())
        raise


def _rpc_errors(root: etree._Element) -> list[etree._Element]:
    """Return the rpc-errors: children of the reply, deeper where a device wraps them."""
    errors = [child for child in root if local_name(child) == "rpc-error"]
    if not errors and not any(local_name(child) in {"data", "ok"} for child in root):
        errors = list(root.iterfind(".//{*}rpc-error"))
    return errors


def _warnings_or_raise(device: DeviceName, handler: Any, errors: list[etree._Element]) -> tuple[DeviceCause, ...]:
    """Return rpc-errors that are no errors: severity warning, or known to the device type's handler as harmless."""
    serious: list[DeviceCause] = []
    warnings: list[DeviceCause] = []
    holder = ""
    for element in errors:
        cause = cause_of(element)
        if cause.severity == "warning" or handler.is_rpc_error_exempt(cause.message):
            warnings.append(cause)
        else:
            serious.append(cause)
            holder = holder or lock_holder(element)
    if serious:
        raise refusal(device, serious, holder)
    return tuple(warnings[:MOST_CAUSES])
