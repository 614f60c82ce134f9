"""Owns opening a RESTCONF session: root, login, capabilities, modules (RFC 8040 sections 3.1, 9; RFC 8525)."""

import asyncio

from lxml import etree

from controller.model.errors import AccordError, ConnectionFailedError, OutcomeUnknownError
from controller.ports import Capabilities, DeviceTarget, ModuleRevision, ParticipantClass, Transport
from drivers.restconf import documents
from drivers.restconf.errors import error_of
from drivers.restconf.session import RestconfSession
from drivers.restconf.transport import DEFAULT_MAX_BODY, HttpsTransport
from drivers.threads import DeadlineError, DriverThreads

_DEFAULT_ROOT = "/restconf"
_ACCEPT = {"Accept": "application/yang-data+xml"}


class RestconfConnector:
    """Opens RESTCONF sessions; `max_body_bytes` bounds each answer after decompression."""

    def __init__(self, threads: DriverThreads, *, max_body_bytes: int = DEFAULT_MAX_BODY) -> None:
        self._threads = threads
        self._max_body = max_body_bytes

    async def connect(self, target: DeviceTarget) -> RestconfSession:
        """Verify the certificate, log in and learn what the device offers."""
        transport = HttpsTransport(target, max_body_bytes=self._max_body)
        seconds = target.connect_timeout_seconds + target.rpc_timeout_seconds
        try:
            root, capabilities = await self._threads.run(
                lambda: _Discovery(target, transport).run(), deadline_seconds=seconds, abort=transport.close
            )
        except DeadlineError:
            raise ConnectionFailedError(f"no answer within {seconds:g} s", device=target.name) from None
        except OutcomeUnknownError as error:
            # Discovery only reads: nothing can be in doubt.
            raise ConnectionFailedError(error.message, device=target.name) from error
        except (AccordError, asyncio.CancelledError):
            transport.close()
            raise
        return RestconfSession(target, transport, self._threads, root, capabilities)


class _Discovery:
    def __init__(self, target: DeviceTarget, transport: HttpsTransport) -> None:
        self._target = target
        self._transport = transport

    def run(self) -> tuple[str, Capabilities]:
        root = self._root()
        monitoring = self._optional(f"{root}/data/ietf-restconf-monitoring:restconf-state/capabilities")
        urns = documents.children_named(monitoring, "capability") if monitoring is not None else []
        return root, Capabilities(
            transport=Transport.RESTCONF,
            participant=ParticipantClass.IMMEDIATE,
            urns=frozenset((urn.text or "").strip() for urn in urns),
            modules=self._modules(root),
        )

    def _root(self) -> str:
        answer = self._transport.exchange("GET", "/.well-known/host-meta", {"Accept": "application/xrd+xml"})
        if answer.status == 401:
            raise error_of(answer, self._target.name, "login")
        if answer.status != 200:
            return _DEFAULT_ROOT
        return documents.restconf_root(documents.parse(answer.body)) or _DEFAULT_ROOT

    def _modules(self, root: str) -> tuple[ModuleRevision, ...]:
        for resource in ("ietf-yang-library:yang-library", "ietf-yang-library:modules-state"):
            library = self._optional(f"{root}/data/{resource}")
            if library is not None and (found := documents.modules(library)):
                return found
        return ()

    def _optional(self, path: str) -> etree._Element | None:
        answer = self._transport.exchange("GET", path, _ACCEPT)
        if answer.status == 200:
            return documents.parse(answer.body)
        if answer.status in {204, 404}:
            return None
        raise error_of(answer, self._target.name, f"GET {path}")
