"""Owns `hello` (RFC 6241 section 8.1): writing ours as the device type's handler wants it, reading the device's."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ncclient.capabilities import Capabilities as NcclientCapabilities
from ncclient.transport.session import HelloHandler

from controller.model.errors import ProtocolViolationError
from drivers.netconf.framing import Message
from drivers.netconf.xml import parse

BASE_11 = "urn:ietf:params:netconf:base:1.1"
_SESSION_ID = re.compile(rb"<(?:[\w.-]+:)?session-id[^>]*>\s*(\d+)\s*</(?:[\w.-]+:)?session-id\s*>")


@dataclass(frozen=True, slots=True)
class Hello:
    """What the device said first."""

    session_id: str
    capabilities: NcclientCapabilities


def client_hello(handler: Any) -> bytes:
    """Return our `hello`."""
    message: str = HelloHandler.build(handler.get_capabilities(), handler)
    return message.encode()


def read_hello(message: Message) -> Hello:
    """Read the device's `hello`; equal ones share what they say, as the routers of one kind all say the same."""
    number = _SESSION_ID.search(message)
    rest = bytes(message) if number is None else bytes(message[: number.start()] + message[number.end() :])
    return Hello(number[1].decode() if number else "", _read_capabilities(rest))


@lru_cache(maxsize=128)
def _read_capabilities(message: bytes) -> NcclientCapabilities:
    try:
        parse(message)  # ours is the hardened parser, so it looks first
        _, capabilities = HelloHandler.parse(message.decode())
        uris: Iterable[str] = [uri.strip() for uri in capabilities]
    except (ValueError, TypeError, AttributeError) as error:
        raise ProtocolViolationError(f"the device sent a hello that can't be read: {error}") from error
    return NcclientCapabilities(uris)
