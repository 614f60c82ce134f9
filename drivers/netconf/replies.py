"""Owns what a reply says (RFC 6241 section 4.3): data, warnings, or the device's reasons to refuse.

Each reply is parsed once; a large one in a worker thread, since libxml2 works outside the interpreter lock and one
device's 50 MB must not delay the others.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from lxml import etree

from controller.model.errors import DeviceCause, ProtocolViolationError
from controller.model.identifiers import DeviceName
from drivers.netconf.errors import MOST_CAUSES, cause_of, lock_holder, refusal
from drivers.netconf.framing import Message
from drivers.netconf.xml import BASE, local_name, parse

LARGE_REPLY_BYTES = 256 * 1024

_OK = f"{{{BASE}}}ok"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answered RPC. `data`: the serialised data element, None for `<ok/>`."""

    data: bytes | None
    warnings: tuple[DeviceCause, ...] = ()


_PLAIN_OK = Reply(None)


async def read_reply(device: DeviceName, handler: Any, message: Message) -> Reply:
    """Read a reply; raises `DeviceRejectedError` or `LockedError` in the device's words, `ProtocolViolationError`."""
    if len(message) < LARGE_REPLY_BYTES:
        return read_reply_here(device, handler, message)
    return await asyncio.get_running_loop().run_in_executor(None, read_reply_here, device, handler, message)


def read_reply_here(device: DeviceName, handler: Any, message: Message) -> Reply:
    """Read a reply in this thread."""
    root = _parse(handler, message)
    if len(root) == 1 and root[0].tag == _OK:
        return _PLAIN_OK
    errors = _rpc_errors(root)
    warnings = _warnings_or_raise(device, handler, errors) if errors else ()
    data = next((child for child in root if local_name(child) == "data"), None)
    return Reply(None if data is None else etree.tostring(data, encoding="UTF-8", with_tail=False), warnings)


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
