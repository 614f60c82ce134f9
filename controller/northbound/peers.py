"""Owns the door for other parties: one signed message a request, over TLS with certificates on both sides.

POST /peer/v1/messages, the token as `application/jose`: 202 once it is durable here, 422 when it is turned away for
good (the body names the check). Who may speak is decided by the signature; the certificate decides who may knock.
"""

import ssl
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from controller.model.errors import InvalidInputError
from controller.negotiation.messages import MOST_OCTETS, MessageCheck, MessageRefusedError
from controller.runtime.negotiation import Negotiations

MESSAGES = "/peer/v1/messages"


def peer_app(negotiations: Callable[[], Negotiations]) -> Starlette:
    """The application behind the parties' port."""

    async def message(request: Request) -> Response:
        octets = await _body(request)
        party = request.headers.get("x-party", "")
        houses = {house.party: house for house in negotiations().houses()}
        if octets is None or party not in houses:
            check = MessageCheck.SIZE if octets is None else MessageCheck.RECIPIENT
            return JSONResponse({"check": check, "text": f"not taken for '{party[:200]}'"}, 422)
        try:
            await houses[party].receive(octets.decode("utf-8", "replace"))
        except MessageRefusedError as error:
            return JSONResponse({"check": error.check, "text": str(error)}, 422)
        return Response(status_code=202)

    return Starlette(routes=[Route(MESSAGES, message, methods=["POST"])])


async def _body(request: Request) -> bytes | None:
    """None when it is over the limit."""
    octets = bytearray()
    async for chunk in request.stream():
        octets += chunk
        if len(octets) > MOST_OCTETS:
            return None
    return bytes(octets)


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
