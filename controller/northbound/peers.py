"""Owns the door for other parties: one signed message a request, over TLS with certificates on both sides.

POST /peer/v1/messages, the token as `application/jose`: 202 once it is durable here, 422 when it is turned away for
good (the body names the check), 429 when an address asks too often. Who may speak is decided by the signature; the
certificate decides who may knock.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from controller.model.errors import BusyError, InvalidInputError
from controller.negotiation.messages import MOST_OCTETS, MessageCheck, MessageRefusedError
from controller.northbound.door import Buckets, Limits
from controller.runtime.negotiation import Negotiations

MESSAGES = "/peer/v1/messages"
CHECK = "X-Check"
"""Which check a message did not pass."""
_BODY_SECONDS = 15.0
_log = structlog.get_logger(__name__)


def peer_app(negotiations: Callable[[], Negotiations], limits: Limits | None = None) -> Starlette:
    """The application behind the parties' port."""
    buckets = Buckets((limits or Limits()).requests_per_second)

    async def message(request: Request) -> Response:
        address = request.client.host if request.client else ""
        try:
            buckets.take(address, time.monotonic())
            async with asyncio.timeout(_BODY_SECONDS):
                octets = await _body(request)
        except BusyError as error:
            return JSONResponse({"text": error.message}, 429)
        except (TimeoutError, ClientDisconnect):
            return JSONResponse({"text": "the message did not come"}, 408)
        party = request.headers.get("x-party", "")
        houses = {house.party: house for house in negotiations().houses()}
        if party not in houses:
            _log.warning("message_for_nobody", address=address, party=party[:200])
            return JSONResponse({"check": MessageCheck.RECIPIENT, "text": f"not taken for '{party[:200]}'"}, 422)
        try:
            await houses[party].receive(octets.decode("utf-8", "replace"))
        except MessageRefusedError as error:
            told = {"check": error.check, "text": str(error)}
            return JSONResponse(told, 422, headers={CHECK: error.check})
        return Response(status_code=202)

    return Starlette(routes=[Route(MESSAGES, message, methods=["POST"])])


async def _body(request: Request) -> bytes:
    """No more than is enough to see that it is too much."""
    octets = bytearray()
    async for chunk in request.stream():
        octets += chunk
        if len(octets) > MOST_OCTETS:
            break
    return bytes(octets[: MOST_OCTETS + 1])


def peer_tls(certificate: Path, key: Path, ca: Path) -> ssl.SSLContext:
    """A server's context that believes nobody without a certificate of that authority's."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise InvalidInputError(f"certificate and key cannot be used: {error}", path=f"{certificate}, {key}") from error
    return context
