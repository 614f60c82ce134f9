"""Owns putting the doors together: every route behind one application, and the headers that all answers carry."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.datastore.schema import Schema
from controller.model.errors import InvalidInputError, NotFoundError
from controller.northbound.actn import Actn
from controller.northbound.api import Api
from controller.northbound.assurance import AssuranceDoor
from controller.northbound.auth import TokenStore
from controller.northbound.changes import Changes
from controller.northbound.door import Door, Limits
from controller.northbound.events import EventFeed
from controller.northbound.metrics import Flows
from controller.northbound.metrics_assurance import AssuranceMetrics
from controller.northbound.metrics_negotiation import NegotiationMetrics
from controller.northbound.metrics_pages import MetricsPages
from controller.northbound.metrics_recovery import RecoveryMetrics
from controller.northbound.metrics_state import Reload, StateMetrics
from controller.northbound.metrics_telemetry import TelemetryMetrics
from controller.northbound.negotiation import NegotiationDoor
from controller.northbound.optical import OpticalDoor
from controller.northbound.problem import problem_response
from controller.northbound.recovery import RecoveryDoor
from controller.northbound.restconf import Restconf
from controller.northbound.telemetry import TelemetryDoor
from controller.northbound.tunnels import TunnelDoor
from controller.northbound.twin import Twin
from controller.runtime.controller import Controller
from controller.runtime.negotiation import Negotiations
from controller.runtime.upkeep import Upkeep
from controller.settings import Settings

_HEADERS = {
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}
"""Whatever an answer says itself stays as it is."""


@dataclass(slots=True)
class Doors:
    """Everything that answers requests, made of the use cases. `tokens` is asked at each request."""

    controller: Controller
    tokens: Callable[[], TokenStore]
    settings: Callable[[], Settings]
    schema: Schema
    """Of ietf-l3vpn-svc."""
    upkeep: Upkeep
    reload: Callable[[], Reload]
    negotiations: Negotiations | None = None
    flows: Flows = field(init=False)
    feed: EventFeed = field(init=False)
    routes: list[BaseRoute] = field(init=False)
    app: "CommonHeaders" = field(init=False)

    def __post_init__(self) -> None:
        """Make every route."""
        self.feed = EventFeed(self.controller.log)
        self.flows = Flows(self.controller.clock)
        door = Door(self.tokens, _limits(self.settings()), self.flows.observe_request)
        restconf = Restconf(self.controller, self.schema, self._confirm_timeout_seconds)
        self.routes = [
            *Api(self.controller, self.negotiations).routes(door),
            *Changes(self.controller.changes).routes(door),
            *TunnelDoor(self.controller, self.negotiations).routes(door),
            *Twin(self.controller).routes(door),
            *TelemetryDoor(self.controller).routes(door),
            *RecoveryDoor(self.controller.recoveries, self.controller.localisation).routes(door),
            *AssuranceDoor(self.controller).routes(door),
            *NegotiationDoor(self.negotiations).routes(door),
            *self.feed.routes(door),
            *Actn(self.controller).routes(door),
            *OpticalDoor(self.controller).routes(door),
            *restconf.routes(door),
            *(self._metrics().routes(door) if self.settings().metrics.enabled else ()),
        ]
        self.app = build_app(self.routes)

    def _metrics(self) -> MetricsPages:
        controller = self.controller
        self.flows.add(StateMetrics(controller, self.upkeep.drift, self.reload, lambda: self.feed.readers))
        self.flows.add(TelemetryMetrics(controller))
        recovery = RecoveryMetrics(controller)
        self.flows.add(recovery)
        controller.log.subscribe(recovery.note_events)
        self.flows.add(AssuranceMetrics(controller))
        controller.assurance.observe = self.flows.observe_assurance
        negotiation = NegotiationMetrics(self.negotiations)
        self.flows.add(negotiation)
        controller.log.subscribe(negotiation.note_events)
        controller.log.subscribe(self.flows.note_events)
        controller.planner.observe = self.flows.observe_planning
        requires_token = self.settings().metrics.requires_token
        return MetricsPages(self.flows.registry, controller.records, self.upkeep.probe, requires_token)

    def _confirm_timeout_seconds(self) -> float:
        return self.settings().transactions.confirm_timeout_seconds


def _limits(settings: Settings) -> Limits:
    return Limits(settings.api.body_bytes, settings.api.depth, settings.api.requests_per_second)


class CommonHeaders:
    """ASGI middleware: what every answer carries, so that a browser can do no harm with it (RFC 6797 and friends)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers that the answer does not have."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def build_app(routes: Sequence[BaseRoute]) -> CommonHeaders:
    """The application of these routes; what none of them serves is answered by a problem document."""
    handlers = {404: _not_found, 405: _not_allowed}
    return CommonHeaders(Starlette(routes=list(routes), exception_handlers=handlers))


async def _not_found(request: Request, _error: Exception) -> Response:
    return problem_response(NotFoundError("there is no such resource", path=request.url.path))


async def _not_allowed(request: Request, error: Exception) -> Response:
    allowed = (error.headers or {}).get("Allow", "") if isinstance(error, HTTPException) else ""
    refused = InvalidInputError(
        f"{request.method} is not offered here", remedy=f"use one of: {allowed}", path=request.url.path
    )
    response = problem_response(refused, status=405)
    response.headers["Allow"] = allowed
    return response
