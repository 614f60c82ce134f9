"""Owns the API of the network between devices and of TE tunnels under `/api/v1`.

| method and path | does |
|---|---|
| GET /topology; POST /topology/refresh | nodes and links with state, load and delay; ask the devices again |
| POST /topology/measure {off?} | plan that the delay of every link is measured (STAMP), or no more |
| GET /tunnels, /tunnels/NAME | what is wanted, where it goes, how it is |
| POST /tunnels {name, source, target, ...} | plan a tunnel |
| POST /tunnels/NAME/ACTION | plan: change {...}, move {avoid: [link or router], links}, delete |
| POST /tunnels/reoptimise {dry_run?} | place all anew for the least utilisation; answers when the last step is over |
| POST /plans/ID/begin {checksum?} | carry a plan of tunnels out in stages (make-before-break): a change |

What is asked of a tunnel: bandwidth, delay_bound, link_loss (the share that a link may lose), exclude_any, include_any,
include_all (bits), protection, objective, services.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName, PlanId
from controller.model.units import BitRate, Duration
from controller.northbound import views
from controller.northbound.auth import Action
from controller.northbound.changes import change_view
from controller.northbound.door import Call, Door, json_response
from controller.northbound.negotiation_views import agreements_by_tunnel
from controller.northbound.tunnel_views import reoptimisation_view, topology_view, tunnel_view
from controller.runtime.controller import Controller
from controller.runtime.negotiation import Negotiations
from controller.runtime.topology_names import avoidance
from controller.runtime.tunnels import Tunnels, TunnelWish
from controller.topology.network import ADMIN_GROUP_BITS, LinkId
from controller.transaction.plan import Plan
from controller.transaction.plan_json import Json

_WISHES = (
    "bandwidth",
    "delay_bound",
    "link_loss",
    "exclude_any",
    "include_any",
    "include_all",
    "protection",
    "objective",
    "services",
)
_ACTIONS = ("change", "move", "delete")


@dataclass(frozen=True, slots=True)
class TunnelDoor:
    """The handlers; each turns a call into one use case."""

    controller: Controller
    negotiations: Negotiations | None = None

    def routes(self, door: Door) -> list[Route]:
        """Every route."""
        read, plan = Action.READ, Action.PLAN
        table = {
            "/topology": {"GET": (read, self.topology)},
            "/topology/refresh": {"POST": (Action.MANAGE, self.refresh)},
            "/topology/measure": {"POST": (plan, self.measure)},
            "/tunnels": {"GET": (read, self.list), "POST": (plan, self.create)},
            "/tunnels/reoptimise": {"POST": (Action.CHANGE, self.reoptimise)},
            "/tunnels/{name}": {"GET": (read, self.show)},
            "/tunnels/{name}/{action}": {"POST": (plan, self.act)},
            "/plans/{id}/begin": {"POST": (Action.CHANGE, self.begin)},
        }
        return [door.route(f"/api/v1{path}", handlers) for path, handlers in table.items()]

    # -- topology ----------------------------------------------------------------------------------------------

    async def topology(self, call: Call) -> Response:
        """GET /topology."""
        call.require(Action.READ, "topology")
        return json_response(topology_view(self.controller.topology))

    async def refresh(self, call: Call) -> Response:
        """POST /topology/refresh."""
        call.require(Action.MANAGE, "topology")
        await self.controller.topology.refresh()
        return json_response(topology_view(self.controller.topology))

    async def measure(self, call: Call) -> Response:
        """POST /topology/measure."""
        call.require(Action.PLAN, "topology")
        is_on = not _flag(call.json(("off",)), "off")
        return await self._planned(call, lambda tunnels: tunnels.measure(is_on=is_on))

    # -- tunnels -----------------------------------------------------------------------------------------------

    async def list(self, call: Call) -> Response:
        """GET /tunnels."""
        call.require(Action.READ, "tunnels")
        database = self.controller.topology.database
        agreed = agreements_by_tunnel(self.negotiations)
        found = [
            {**tunnel_view(tunnel, database), "agreement": agreed.get(tunnel.name, "")}
            for tunnel in self.controller.world.tunnels
        ]
        return json_response(found)

    async def show(self, call: Call) -> Response:
        """GET /tunnels/NAME."""
        call.require(Action.READ, "tunnel")
        tunnel = self.controller.world.tunnels.get(call.path("name"))
        agreement = agreements_by_tunnel(self.negotiations).get(tunnel.name, "")
        return json_response({**tunnel_view(tunnel, self.controller.topology.database), "agreement": agreement})

    async def create(self, call: Call) -> Response:
        """POST /tunnels."""
        body = call.json(("name", "source", "target", "both_ways", *_WISHES))
        name, source, target = (_text(body, member) for member in ("name", "source", "target"))
        wish, both_ways = _wish(body), _flag(body, "both_ways")
        call.require(Action.PLAN, "tunnel", ["", *(wish.services or ())])
        return await self._planned(
            call,
            lambda tunnels: tunnels.create(name, DeviceName(source), DeviceName(target), wish, both_ways=both_ways),
        )

    async def act(self, call: Call) -> Response:
        """POST /tunnels/NAME/ACTION."""
        call.require(Action.PLAN, "tunnel")
        name, action = call.path("name"), call.path("action")
        match action:
            case "change":
                wish = _wish(call.json(_WISHES))
                call.require(Action.PLAN, "tunnel", ["", *(wish.services or ())])
                return await self._planned(call, lambda tunnels: tunnels.change(name, wish))
            case "move":
                body = call.json(("avoid", "links"))
                avoid = avoidance(self.controller.topology.network, _texts(body, "avoid"))
                links = [LinkId(link) for link in _texts(body, "links")]
                return await self._planned(call, lambda tunnels: tunnels.move(name, avoid, links))
            case "delete":
                return await self._planned(call, lambda tunnels: tunnels.delete([name]))
        raise NotFoundError(f"a tunnel has no action '{action}'", remedy=", ".join(_ACTIONS), path=action)

    async def _planned(self, call: Call, make: Callable[[Tunnels], Plan]) -> Response:
        return json_response(views.plan_view(await self.controller.plan_tunnels(make, call.actor)), 201)

    async def reoptimise(self, call: Call) -> Response:
        """POST /tunnels/reoptimise."""
        call.require(Action.CHANGE, "tunnel")
        is_dry_run = _flag(call.json(("dry_run",)), "dry_run")
        found, changes = await self.controller.reoptimise_tunnels(call.actor, is_dry_run=is_dry_run)
        return json_response({**reoptimisation_view(found), "changes": [change_view(change) for change in changes]})

    async def begin(self, call: Call) -> Response:
        """POST /plans/ID/begin."""
        call.require(Action.CHANGE, "tunnel")
        checksum = _text(call.json(("checksum",)), "checksum", default="")
        begun = await self.controller.begin_staged(PlanId(call.path("id")), call.actor, checksum=checksum)
        return json_response(change_view(begun), 202)


def _wish(body: Json) -> TunnelWish:
    """What the members say; one that is not there asks for nothing, a delay bound of null takes it away."""
    bound = body.get("delay_bound")
    return TunnelWish(
        bandwidth=_rate(body["bandwidth"]) if "bandwidth" in body else None,
        delay_bound_seconds=_seconds(bound) if bound is not None else None,
        is_unbounded="delay_bound" in body and bound is None,
        link_loss_limit=_share(body["link_loss"]) if "link_loss" in body else None,
        exclude_any=_mask(body, "exclude_any"),
        include_any=_mask(body, "include_any"),
        include_all=_mask(body, "include_all"),
        protection=_text(body, "protection") if "protection" in body else None,
        objective=_text(body, "objective") if "objective" in body else None,
        services=tuple(dict.fromkeys(_texts(body, "services"))) if "services" in body else None,
    )


def _rate(value: Json) -> BitRate:
    """`1 Gbit/s`, `1G`, or bit/s as a number."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return BitRate(value)
    if not isinstance(value, str):
        raise InvalidInputError(f"bandwidth {value!r} is not a bit rate", remedy="write '1 Gbit/s'", path="bandwidth")
    text = value.strip()
    return BitRate.parse(text if text.endswith(("s", "second")) else f"{text}bit/s")


def _seconds(value: Json) -> float:
    """`12 ms`, or seconds as a number."""
    if isinstance(value, str):
        seconds = Duration.parse(value).seconds
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        seconds = float(value)
    else:
        raise InvalidInputError("delay_bound is not a duration", remedy="write '12 ms'", path="delay_bound")
    if seconds <= 0:
        raise InvalidInputError(f"a delay bound of {value} cannot be kept", remedy="more than 0", path="delay_bound")
    return seconds


def _share(value: Json) -> float:
    """`0.1%`, or a share of 1 as a number."""
    text = str(value).strip()
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise InvalidInputError(f"{value!r} is no share of packets", remedy="write '0.1%'", path="link_loss")
    return share


def _mask(body: Json, member: str) -> int | None:
    """Bits of administrative groups as a mask."""
    if member not in body:
        return None
    bits: list[int] = body[member]
    is_list = isinstance(bits, list) and all(isinstance(bit, int) and not isinstance(bit, bool) for bit in bits)
    if not is_list or not all(0 <= bit < ADMIN_GROUP_BITS for bit in bits):
        raise InvalidInputError(f"'{member}' is not a list of bits from 0 to {ADMIN_GROUP_BITS - 1}", path=member)
    return sum({1 << bit for bit in bits})


def _text(body: Json, member: str, default: str | None = None) -> str:
    value = body.get(member, default)
    if not isinstance(value, str) or len(value) > 1_000:
        raise InvalidInputError(f"'{member}' is missing or not a short text", path=member, tag="missing-element")
    return value


def _texts(body: Json, member: str) -> tuple[str, ...]:
    value = body.get(member, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidInputError(f"'{member}' is not a list of strings", path=member)
    return tuple(value)


def _flag(body: Json, member: str) -> bool:
    value = body.get(member, False)
    if not isinstance(value, bool):
        raise InvalidInputError(f"'{member}' is true or false", path=member)
    return value
