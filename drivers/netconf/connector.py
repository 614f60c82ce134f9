"""Owns logging in: an inventory's target becomes a verified SSH connection and a NETCONF session on it (RFC 6242)."""

import asyncio
import re
from typing import Any

import asyncssh
from ncclient import manager
from ncclient.devices import get_supported_devices

from controller.model.errors import (
    AccordError,
    AuthenticationFailedError,
    DeviceRejectedError,
    InvalidInputError,
    ProtocolViolationError,
)
from controller.ports import DeviceTarget, ModuleRevision
from drivers.netconf.capabilities import LIBRARY_FILTERS, describe, modules_in_hello, modules_in_library
from drivers.netconf.errors import connection_failure
from drivers.netconf.framing import DEFAULT_MESSAGE_LIMIT_BYTES
from drivers.netconf.hello import Hello
from drivers.netconf.requests import requests_for
from drivers.netconf.rpc import Rpc
from drivers.netconf.session import NetconfSession
from drivers.netconf.sparing import spare
from drivers.netconf.transport import NetconfTransport

_CIPHERS = (
    "aes256-gcm@openssh.com,aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr"
)
"""asyncssh's own choice, with those first that cost it least: a call takes a third less CPU than with ChaCha20."""

PAUSE_AFTER_HELLO = "pause-after-hello"
"""Wait before the first request: netconfd loses it when it arrives together with our hello."""
_PAUSE_SECONDS = 0.1

_DEVICE_TYPE = re.compile(r"[a-z][a-z0-9_]*")


def handler_for(device_type: str) -> Any:
    """Return ncclient's handler of a device type; empty means the default one."""
    name = device_type or "default"
    known = ", ".join(sorted(get_supported_devices()))
    if not _DEVICE_TYPE.fullmatch(name) or name not in get_supported_devices():
        raise InvalidInputError(f"ncclient has no device type {name!r}", remedy=f"use one of {known}")
    return manager.make_device_handler({"name": name})


class NetconfConnector:
    """Opens NETCONF sessions, all on the running event loop. `limit_bytes` bounds one message of a device."""

    def __init__(self, *, limit_bytes: int = DEFAULT_MESSAGE_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes

    async def connect(self, target: DeviceTarget) -> NetconfSession:
        """Log in, verify the host key, exchange `hello`, find the modules."""
        connection: asyncssh.SSHClientConnection | None = None
        try:
            handler, options = handler_for(target.device_type), _ssh_options(target)
            transport = NetconfTransport(target.name, handler, limit_bytes=self._limit_bytes)
            async with asyncio.timeout(target.connect_timeout_seconds):
                connection = await asyncssh.connect(target.hostname, target.port, **options)
                spare(connection, target.keepalive_seconds)
                await transport.open(connection)
                if PAUSE_AFTER_HELLO in target.quirks:
                    await asyncio.sleep(_PAUSE_SECONDS)
                return await _session(target, handler, transport)
        except BaseException as error:
            if connection is not None:
                connection.abort()
            if isinstance(error, AccordError):
                error.device = target.name
                raise
            if isinstance(error, (OSError, asyncssh.Error)):
                raise connection_failure(target.name, f"{target.hostname}:{target.port}", error) from error
            raise


async def _session(target: DeviceTarget, handler: Any, transport: NetconfTransport) -> NetconfSession:
    requests = requests_for(target.device_type)
    rpc = Rpc(target.name, transport, handler, target.rpc_timeout_seconds)
    hello = Hello(transport.id, transport.server_capabilities)
    modules = None
    if not modules_in_hello(hello.capabilities):
        modules = await _library(rpc, requests.read("get", LIBRARY_FILTERS))
    return NetconfSession(target, transport, requests, rpc, describe(hello, modules))


async def _library(rpc: Rpc, request: Any) -> tuple[ModuleRevision, ...]:
    """Ask ietf-yang-library; a device that has none is a device whose modules are unknown."""
    try:
        return modules_in_library(await rpc.read(request))
    except (DeviceRejectedError, ProtocolViolationError):
        return ()


def _ssh_options(target: DeviceTarget) -> dict[str, Any]:
    """Return asyncssh's options: only what the inventory says, nothing from files of the account we run under."""
    options: dict[str, Any] = {
        "username": target.username,
        "password": target.password.reveal() if target.password else None,
        "client_keys": _client_keys(target),
        "encryption_algs": _CIPHERS,
        "agent_path": None,
        "config": None,
        "gss_host": None,
        "x509_trusted_certs": None,
        "login_timeout": target.connect_timeout_seconds,
        "keepalive_interval": target.keepalive_seconds,
    }
    try:
        if target.host_key:
            options["known_hosts"] = ([asyncssh.import_public_key(target.host_key)], [], [])
        elif target.known_hosts:
            options["known_hosts"] = asyncssh.import_known_hosts(target.known_hosts)
    except (asyncssh.KeyImportError, ValueError) as error:
        raise InvalidInputError(f"the host key in the inventory can't be read: {error}", device=target.name) from error
    return options


def _client_keys(target: DeviceTarget) -> list[asyncssh.SSHKey] | None:
    if target.private_key is None:
        return None
    try:
        return [asyncssh.import_private_key(target.private_key.reveal())]
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise AuthenticationFailedError(
            f"the private key in the inventory can't be read: {error}", device=target.name
        ) from error
