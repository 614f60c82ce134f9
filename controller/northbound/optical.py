"""Owns the API of optical domains under `/api/v1`.

| method and path | does |
|---|---|
| GET /optical | the domains: links with slots, client ports, tunnels and where they stand |
| POST /optical/DOMAIN/tunnels {name, link, bandwidth, delay_bound?} | plan the tunnel that brings a link up |
| POST /optical/DOMAIN/tunnels/NAME/delete | plan its end |
"""

from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from controller.mapping.optical_domain import OpticalDomain
from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate, Duration
from controller.northbound import views
from controller.northbound.auth import Action
from controller.northbound.door import Call, Door, json_response
from controller.runtime.controller import Controller
from controller.topology.network import LinkId
from controller.transaction.plan_json import Json

_MEMBERS = ("name", "link", "bandwidth", "delay_bound")


@dataclass(frozen=True, slots=True)
class OpticalDoor:
    """The handlers."""

    controller: Controller

    def routes(self, door: Door) -> list[Route]:
        """Every route."""
        table = {
            "/optical": {"GET": (Action.READ, self.list)},
            "/optical/{domain}/tunnels": {"POST": (Action.PLAN, self.create)},
            "/optical/{domain}/tunnels/{name}/delete": {"POST": (Action.PLAN, self.delete)},
        }
        return [door.route(f"/api/v1{path}", handlers) for path, handlers in table.items()]

    async def list(self, call: Call) -> Response:
        """GET /optical."""
        call.require(Action.READ, "optical domains")
        found = [_domain_view(domain) for domain in await self.controller.optical.all()]
        return json_response({"domains": found, "unread": dict(self.controller.optical.unread)})

    async def create(self, call: Call) -> Response:
        """POST /optical/DOMAIN/tunnels."""
        call.require(Action.PLAN, "optical tunnel")
        body = call.json(_MEMBERS)
        plan = await self.controller.plan_optical(
            DeviceName(call.path("domain")),
            _text(body, "name"),
            LinkId(_text(body, "link")),
            call.actor,
            bandwidth=BitRate.parse(_text(body, "bandwidth")),
            delay_bound_seconds=Duration.parse(_text(body, "delay_bound")).seconds if "delay_bound" in body else None,
        )
        return json_response(views.plan_view(plan), 201)

    async def delete(self, call: Call) -> Response:
        """POST /optical/DOMAIN/tunnels/NAME/delete."""
        call.require(Action.PLAN, "optical tunnel")
        domain, name = DeviceName(call.path("domain")), call.path("name")
        return json_response(views.plan_view(await self.controller.plan_optical_removal(domain, name, call.actor)), 201)


def _domain_view(domain: OpticalDomain) -> Json:
    return {
        "name": domain.device,
        "slot_bit_rate": domain.slot.bits_per_second,
        "setup_seconds": domain.setup_seconds,
        "client_ports": [
            {"name": str(port), "attached": str(port.attached), "slots": port.slots} for port in domain.client_ports
        ],
        "links": [
            {
                "name": link.name,
                "slots": link.slots,
                "free_slots": link.free_slots,
                "delay_seconds": link.delay_seconds,
                "is_up": link.is_up,
            }
            for link in domain.links
        ],
        "tunnels": [
            {
                "domain": domain.device,
                "name": tunnel.name,
                "status": tunnel.status,
                "source": tunnel.source,
                "target": tunnel.target,
                "slots": tunnel.slots,
                "delay_seconds": tunnel.delay_seconds,
                "route": list(tunnel.route),
                "reason": tunnel.reason,
            }
            for tunnel in domain.tunnels
        ],
    }


def _text(body: Json, member: str) -> str:
    value = body.get(member)
    if not isinstance(value, str) or not 0 < len(value) <= 1_000:
        raise InvalidInputError(f"'{member}' is missing or not a short text", path=member, tag="missing-element")
    return value
