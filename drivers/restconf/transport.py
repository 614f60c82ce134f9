"""Owns the HTTPS side of a RESTCONF session: TLS trust, deadlines, size limits, and whether a request has left.

RFC 8040 section 2: TLS with a verified server certificate, always. Redirects are not followed, so credentials never
travel to another host; proxies and `.netrc` of the environment are ignored.
"""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3 import HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import HTTPError as UrllibError
from urllib3.exceptions import TimeoutError as UrllibTimeout
from urllib3.response import BaseHTTPResponse

from controller.model.errors import (
    AuthenticationFailedError,
    ConnectionFailedError,
    OutcomeUnknownError,
    ProtocolViolationError,
)
from controller.ports import DeviceTarget

DEFAULT_MAX_BODY = 64 * 1024 * 1024
_CHUNK = 64 * 1024
_SAFE = {"GET", "HEAD"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete response: status, headers and the decoded body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class _Wire:
    """What is known of the connections of one session, shared between the thread that works and the one that aborts."""

    sent: bool = False
    fresh: bool = False
    """Whether the last request made a connection of its own."""
    was_cut: bool = False
    closed: bool = False
    sockets: list[socket.socket] = field(default_factory=list)

    def cut(self) -> None:
        """Shut every socket down; a thread blocked in one wakes at once. Safe from any thread."""
        self.was_cut = True
        for raw in list(self.sockets):
            with contextlib.suppress(OSError):
                # SSLSocket.shutdown would drop the TLS state under the reader; the plain one only wakes it.
                socket.socket.shutdown(raw, socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    """Trusts exactly the given context and notes when a request leaves."""

    def __init__(self, context: ssl.SSLContext, wire: _Wire, keepalive_seconds: float) -> None:
        self._context = context
        seconds = max(1, int(keepalive_seconds))
        # An idle event stream would never notice a peer that vanished.
        self._socket_options = [
            *HTTPSConnection.default_socket_options,
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, seconds // 3)),
        ]
        self._wire = wire
        super().__init__(pool_connections=1, pool_maxsize=2, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        manager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, ssl_context=self._context, **kwargs)
        manager.pool_classes_by_scheme = {"https": _pool_class(self._wire)}
        manager.connection_pool_kw["socket_options"] = self._socket_options
        self.poolmanager = manager

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        # Without this, requests would add its own bundle of public authorities to the context.
        return host, {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """The context decides, nothing else."""


def _pool_class(wire: _Wire) -> type[HTTPSConnectionPool]:
    class Connection(HTTPSConnection):
        def connect(self) -> None:
            if wire.closed:
                raise OSError("the session is closed")
            super().connect()
            wire.fresh = True
            wire.sockets.append(self.sock)
            if wire.closed:
                wire.cut()

        def request(self, *args: Any, **kwargs: Any) -> None:
            # urllib3 connects and verifies before this; from here on bytes may be on their way.
            wire.sent = True
            super().request(*args, **kwargs)

        def close(self) -> None:
            if self.sock in wire.sockets:
                wire.sockets.remove(self.sock)
            super().close()

    class Pool(HTTPSConnectionPool):
        ConnectionCls = Connection

    return Pool


class HttpsTransport:
    """Blocking HTTPS to one device. `exchange` for whole answers, `lines` for an event stream."""

    def __init__(self, target: DeviceTarget, *, max_body_bytes: int = DEFAULT_MAX_BODY) -> None:
        self._target = target
        self._max_body = max_body_bytes
        self._wire = _Wire()
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.adapters.clear()
        self._session.mount("https://", _Adapter(_context(target), self._wire, target.keepalive_seconds))
        password = target.password.reveal() if target.password else ""
        self._session.auth = HTTPBasicAuth(target.username.encode(), password.encode())
        host = f"[{target.hostname}]" if ":" in target.hostname else target.hostname
        self._base = f"https://{host}:{target.port}"

    def cut(self) -> None:
        """Make a blocked call return at once; the next call connects anew."""
        self._wire.cut()

    def close(self) -> None:
        """Cut everything and connect no more. Idempotent, safe from any thread."""
        self._wire.closed = True
        self._wire.cut()
        self._session.close()

    def exchange(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """One request, one answer, redirects as they are.

        Raises `ConnectionFailedError` when nothing was sent, `AuthenticationFailedError` for an untrusted certificate,
        `OutcomeUnknownError` when the answer did not come, `ProtocolViolationError` when it is beyond the size limit.
        """
        self._wire.was_cut = False
        try:
            return self._exchange(method, path, headers, body)
        except OutcomeUnknownError as error:
            if method not in _SAFE or self._wire.fresh or self._wire.was_cut or _is_timeout(error):
                raise
        # A kept connection that had died: reading again on a new one is safe (RFC 9110 section 9.2.2).
        return self._exchange(method, path, headers, body)

    def _exchange(self, method: str, path: str, headers: Mapping[str, str] | None, body: bytes | None) -> Answer:
        deadline = time.monotonic() + self._target.rpc_timeout_seconds
        with self._guard(), self._send(method, path, headers, body, self._target.rpc_timeout_seconds) as response:
            return Answer(response.status_code, response.headers, self._body(response, deadline))

    def lines(self, path: str, headers: Mapping[str, str], idle_seconds: float | None) -> Iterator[bytes]:
        """The lines of a streamed answer until the peer or `cut` ends it; a status other than 200 raises."""
        with self._guard(), self._send("GET", path, headers, None, idle_seconds) as response:
            if response.status_code != 200:
                raise ProtocolViolationError(
                    f"the event stream {path} answers with status {response.status_code}", device=self._target.name
                )
            yield from _split_lines(_chunks(response, 1), self._max_body)

    def _send(
        self, method: str, path: str, headers: Mapping[str, str] | None, body: bytes | None, read_seconds: float | None
    ) -> requests.Response:
        self._wire.sent = self._wire.fresh = False
        return self._session.request(
            method,
            self._base + path,
            headers=dict(headers or {}),
            data=body,
            timeout=(self._target.connect_timeout_seconds, read_seconds),
            allow_redirects=False,
            stream=True,
        )

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        for chunk in _chunks(response, _CHUNK):
            size += len(chunk)
            if size > self._max_body:
                raise ProtocolViolationError(
                    f"the answer is larger than {self._max_body} bytes once decoded",
                    tag="too-big",
                    remedy="read less at a time, or raise the limit",
                    device=self._target.name,
                )
            if time.monotonic() > deadline:
                raise TimeoutError("the answer takes too long")
            parts.append(chunk)
        return b"".join(parts)

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (requests.RequestException, UrllibError, OSError) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> Exception:
        name = self._target.name
        if self._wire.sent:
            return OutcomeUnknownError(
                f"no complete answer: {_reason(error)}", remedy="read back before deciding", device=name
            )
        if _certificate_error(error):
            return AuthenticationFailedError(
                f"the server's certificate is not accepted: {_reason(error)}",
                remedy="check the device's tls_ca and host name",
                device=name,
            )
        return ConnectionFailedError(f"cannot connect to {self._base}: {_reason(error)}", device=name)


def _context(target: DeviceTarget) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=target.tls_ca or None)
    except ssl.SSLError as error:
        raise AuthenticationFailedError(
            f"tls_ca holds no usable certificate: {error}", remedy="give the authority's PEM", device=target.name
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _chunks(response: requests.Response, amount: int) -> Iterator[bytes]:
    raw: BaseHTTPResponse = response.raw
    # urllib3 decompresses no more than is asked for, so a small answer cannot unfold into memory.
    yield from raw.stream(amount, decode_content=True)


def _split_lines(chunks: Iterator[bytes], limit: int) -> Iterator[bytes]:
    pending = bytearray()
    for chunk in chunks:
        pending += chunk
        while (end := pending.find(b"\n")) >= 0:
            yield bytes(pending[:end]).rstrip(b"\r")
            del pending[: end + 1]
        if len(pending) > limit:
            raise ProtocolViolationError(f"an event line is longer than {limit} bytes", tag="too-big")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__


def _is_timeout(error: Exception) -> bool:
    return any(isinstance(cause, TimeoutError | requests.Timeout | UrllibTimeout) for cause in _causes(error))


def _certificate_error(error: Exception) -> bool:
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def _reason(error: Exception) -> str:
    innermost = list(_causes(error))[-1]
    return str(innermost) or type(innermost).__name__
