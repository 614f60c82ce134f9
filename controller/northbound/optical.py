"""Owns the API of optical domains under `/api/v1`.

| method and path | does |
|---|---|
| GET /optical | the domains: links with slots, client ports, tunnels and where they stand |
| POST /optical/DOMAIN/tunnels {name, link, bandwidth, delay_bound?} | plan the tunnel that brings a link up |
| POST /optical/DOMAIN/tunnels/NAME/delete | plan its end |
| POST /optical/carve {service, source?, target?, ...} | the access, IP and optical segments of a service |
| POST /optical/carve/NAME {service, source?, target?, ...} | provision that: optical tunnels, then tunnels over them |

What is asked of a carving beside its sites: bandwidth, delay_bound, constant_delay.
"""

from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from controller.mapping.optical_domain import OpticalDomain
from controller.mapping.service_carving import Segment, ServiceCarving
from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate, Duration
from controller.northbound import views
from controller.northbound.auth import Action
from controller.northbound.door import Call, Door, json_response
from controller.runtime.controller import Controller
from controller.runtime.optical_services import CarvingWish
from controller.topology.network import LinkId
from controller.transaction.plan_json import Json

_MEMBERS = ("name", "link", "bandwidth", "delay_bound")
_CARVING = ("service", "source", "target", "bandwidth", "delay_bound", "constant_delay")


@dataclass(frozen=True, slots=True)
class OpticalDoor:
    """The handlers."""

    controller: Controller

    def routes(self, door: Door) -> list[Route]:
        """Every route."""
        table = {
            "/optical": {"GET": (Action.READ, self.list)},
            "/optical/carve": {"POST": (Action.PLAN, self.carve)},
            "/optical/carve/{name}": {"POST": (Action.CHANGE, self.provision)},
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

    async def carve(self, call: Call) -> Response:
        """POST /optical/carve."""
        wish = _carving_wish(call.json(_CARVING))
        call.require(Action.PLAN, "service", ["", wish.service])
        return json_response(carving_view(await self.controller.optical_services.carve(wish)))

    async def provision(self, call: Call) -> Response:
        """POST /optical/carve/NAME; answers when the last transaction is over."""
        wish = _carving_wish(call.json(_CARVING))
        call.require(Action.CHANGE, "tunnel", ["", wish.service])
        carved, done = await self.controller.optical_services.provision(wish, call.path("name"), call.actor)
        transactions = [views.transaction_view(summary) for summary in done]
        return json_response({**carving_view(carved), "transactions": transactions}, 201)


def carving_view(carved: ServiceCarving) -> Json:
    """A service's segments in order, each with its resource and what it has to keep."""
    asked = carved.requirement
    return {
        "source": asked.source,
        "target": asked.target,
        "bandwidth_bit_rate": asked.bandwidth.bits_per_second,
        "delay_bound_seconds": asked.delay_bound_seconds,
        "is_delay_constant": asked.is_deterministic,
        "delay_seconds": carved.carving.delay_seconds,
        "segments": [_segment_view(segment) for segment in carved.segments],
    }


def _segment_view(segment: Segment) -> Json:
    portion, resource = segment.portion, segment.resource
    return {
        "kind": portion.offer.kind,
        "source": segment.source,
        "target": segment.target,
        "resource": resource.interface or " ".join(link.id for link in resource.links),
        "bandwidth_bit_rate": portion.bandwidth.bits_per_second,
        "available_bit_rate": portion.offer.available.bits_per_second,
        "delay_seconds": portion.offer.delay_seconds,
        "delay_budget_seconds": portion.delay_budget_seconds,
        "domain": resource.domain,
        "tunnel": resource.tunnel,
        "slots": resource.slots,
        "free_slots": resource.free_slots,
        "route": list(resource.route),
        "is_to_be_lit": segment.is_to_be_lit,
    }


def _carving_wish(body: Json) -> CarvingWish:
    is_constant = body.get("constant_delay", False)
    if not isinstance(is_constant, bool):
        raise InvalidInputError("'constant_delay' is true or false", path="constant_delay")
    return CarvingWish(
        **{name: _text(body, name) for name in ("service", "source", "target") if name in body},
        bandwidth=BitRate.parse(_text(body, "bandwidth")) if "bandwidth" in body else None,
        delay_bound_seconds=Duration.parse(_text(body, "delay_bound")).seconds if "delay_bound" in body else None,
        is_deterministic=is_constant,
    )


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
