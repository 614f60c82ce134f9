"""Owns the API of negotiations under `/api/v1`: what the consumer's side asks of its agents, and what was agreed.

| method and path | does |
|---|---|
| GET /negotiations, /negotiations/ID | where each stands at each party of this daemon, and why |
| POST /negotiations {from, to, bandwidth, class, ...} | declare an intent; the agents do the rest; waits for the end |
| POST /quotes {from, to, bandwidth, class, ...} | what it would cost now; holds nothing and asks for no wallet |
| GET /market/sensitivity | how demand answers prices, of crowds and whole periods; to operators only |
| GET /agreements, /agreements/ID | agreements with the chain of their issues |
| POST /agreements/ID/renegotiate {bandwidth?, latency?, availability?} | another level, in place |
| POST /agreements/ID/terminate {reason?} | the end; what is not used up comes back |

What is asked of a service: from, to (router or city), bandwidth ("200 Mbit/s"), class (of workload), duration ("1 h"),
latency ("20 ms"), availability (0.999), tier (ip, optical), vpn (the L3VPN service that it is to carry), start (UTC
seconds), wait (seconds to wait for the end).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from controller.model.errors import InvalidInputError, NotFoundError, NotSupportedError
from controller.model.units import BitRate, Duration
from controller.negotiation.catalogue import Tier
from controller.negotiation.quote import QuoteRefusal
from controller.negotiation.request import ServiceRequest
from controller.northbound.auth import Action
from controller.northbound.door import Call, Door, json_response
from controller.northbound.negotiation_views import agreement_view, dialogue_view, quote_view, sensitivity_view
from controller.runtime.negotiation import Negotiations

Json = Any
_ASKED = (
    "from", "to", "bandwidth", "class", "duration", "latency", "availability", "tier", "vpn", "start", "wait", "party",
)  # fmt: skip
_CHANGED = ("bandwidth", "latency", "availability", "tier", "wait", "party")
_USUAL_WAIT_SECONDS = 60.0
_LONGEST_WAIT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class NegotiationDoor:
    """The handlers. `negotiations` is None where nothing is set."""

    negotiations: Negotiations | None

    def routes(self, door: Door) -> list[Route]:
        """Every route."""
        read, plan, change = Action.READ, Action.PLAN, Action.CHANGE
        table = {
            "/negotiations": {"GET": (read, self.list), "POST": (change, self.negotiate)},
            "/negotiations/{id}": {"GET": (read, self.show)},
            "/quotes": {"POST": (plan, self.quote)},
            "/market/sensitivity": {"GET": (Action.MANAGE, self.sensitivity)},
            "/agreements": {"GET": (read, self.agreements)},
            "/agreements/{id}": {"GET": (read, self.agreement)},
            "/agreements/{id}/renegotiate": {"POST": (change, self.renegotiate)},
            "/agreements/{id}/terminate": {"POST": (change, self.terminate)},
        }
        return [door.route(f"/api/v1{path}", handlers) for path, handlers in table.items()]

    @property
    def _plane(self) -> Negotiations:
        if self.negotiations is None:
            raise NotSupportedError(
                "this daemon takes no part in negotiations", remedy="set negotiation.parties, then restart it"
            )
        return self.negotiations

    async def list(self, call: Call) -> Response:
        """GET /negotiations."""
        call.require(Action.READ, "negotiation")
        found = [
            dialogue_view(house, dialogue)
            for house in self._plane.houses()
            for dialogue in house.desk.dialogues.values()
        ]
        return json_response(found)

    async def show(self, call: Call) -> Response:
        """GET /negotiations/ID."""
        call.require(Action.READ, "negotiation")
        id_ = call.path("id")
        found = [
            dialogue_view(house, house.desk.dialogues[id_])
            for house in self._plane.houses()
            if id_ in house.desk.dialogues
        ]
        if not found:
            raise NotFoundError(f"there is no negotiation '{id_}'", path=id_)
        return json_response(found)

    async def negotiate(self, call: Call) -> Response:
        """POST /negotiations."""
        call.require(Action.CHANGE, "negotiation")
        body = call.json(_ASKED)
        party = _text(body, "party", "")
        now = self._plane.consumer(party).house.clock.now()
        subject = await self._plane.negotiate(request_of(body, now), party=party)
        return await self._answer(subject, body, party)

    async def quote(self, call: Call) -> Response:
        """POST /quotes."""
        call.require(Action.PLAN, "quote")
        network = self._plane.network
        if network is None:
            raise NotSupportedError("this daemon sells no network", remedy="ask the operator's own daemon")
        now = network.house.clock.now()
        found = network.market.prices(request_of(call.json(_ASKED), now), now)
        if isinstance(found, QuoteRefusal):
            raise InvalidInputError(found.text, path=found.check, app_tag=found.check)
        return json_response([quote_view(quote) for quote in found])

    async def sensitivity(self, call: Call) -> Response:
        """GET /market/sensitivity."""
        call.require(Action.MANAGE, "the price-sensitivity record")
        business = self._plane.business
        if business is None or business.sensitivity is None:
            raise NotSupportedError("this daemon quotes no prices", remedy="ask the operator's business side")
        return json_response(sensitivity_view(business.sensitivity.record, business.house.clock.now()))

    async def agreements(self, call: Call) -> Response:
        """GET /agreements."""
        call.require(Action.READ, "agreement")
        return json_response([agreement_view(one, self._plane) for one in self._plane.agreements()])

    async def agreement(self, call: Call) -> Response:
        """GET /agreements/ID."""
        call.require(Action.READ, "agreement")
        return json_response(agreement_view(self._plane.agreement(call.path("id")), self._plane))

    async def renegotiate(self, call: Call) -> Response:
        """POST /agreements/ID/renegotiate."""
        call.require(Action.CHANGE, "agreement")
        body = call.json(_CHANGED)
        party = _text(body, "party", "")
        changes = _changes(body)
        if not changes:
            raise InvalidInputError("nothing is to be changed", remedy=f"name one of {', '.join(_CHANGED[:4])}")
        subject = await self._plane.change(call.path("id"), changes, party=party)
        return await self._answer(subject, body, party)

    async def terminate(self, call: Call) -> Response:
        """POST /agreements/ID/terminate."""
        call.require(Action.CHANGE, "agreement")
        body = call.json(("reason", "wait", "party"))
        party = _text(body, "party", "")
        reason = _text(body, "reason", "the consumer has no need of it any more")
        subject = await self._plane.terminate(call.path("id"), reason, party=party)
        return await self._answer(subject, body, party)

    async def _answer(self, subject: str, body: Mapping[str, Json], party: str) -> Response:
        """Where the negotiation stands once it is over, or when the caller's time is."""
        plane, house = self._plane, self._plane.consumer(party).house
        try:
            async with asyncio.timeout(_number(body, "wait", _USUAL_WAIT_SECONDS, most=_LONGEST_WAIT_SECONDS)):
                await plane.outcome(subject, party=party)
        except TimeoutError:
            return json_response(dialogue_view(house, house.desk.dialogue(subject)), 202)
        return json_response(dialogue_view(house, house.desk.dialogue(subject)), 201)


def request_of(body: Mapping[str, Json], now: float) -> ServiceRequest:
    """What is asked for, from now on unless it says when."""
    changes = _changes(body)
    if "bandwidth" not in changes:
        raise InvalidInputError("'bandwidth' has to be there", remedy="write '200 Mbit/s'", path="bandwidth")
    return ServiceRequest(
        id="asked",
        a=_text(body, "from"),
        z=_text(body, "to"),
        bandwidth=changes["bandwidth"],
        latency_seconds=changes.get("latency_seconds"),
        availability=changes.get("availability", 0.0),
        workload_class=_text(body, "class"),
        start=_number(body, "start", now, most=1e11),
        duration_seconds=max(1, round(Duration.parse(_text(body, "duration", "1 h")).seconds)),
        tier=changes.get("tier"),
        vpn=_text(body, "vpn", ""),
    )


def _changes(body: Mapping[str, Json]) -> dict[str, Any]:
    """What is named of a level."""
    made: dict[str, Any] = {}
    if "bandwidth" in body:
        text = _text(body, "bandwidth").strip()
        made["bandwidth"] = BitRate.parse(text if text.endswith(("s", "second")) else f"{text}bit/s")
    if "latency" in body:
        made["latency_seconds"] = Duration.parse(_text(body, "latency")).seconds
    if "availability" in body:
        made["availability"] = _number(body, "availability", 0.0, most=1.0)
    if "tier" in body:
        tier = _text(body, "tier")
        if tier not in set(Tier):
            raise InvalidInputError(f"there is no tier '{tier}'", remedy=f"name one of {', '.join(Tier)}", path="tier")
        made["tier"] = Tier(tier)
    return made


def _text(body: Mapping[str, Json], member: str, usual: str | None = None) -> str:
    value = body.get(member, usual)
    if not isinstance(value, str) or len(value) > 200 or (usual is None and not value):
        raise InvalidInputError(f"'{member}' is a short text and has to be there", path=member)
    return value


def _number(body: Mapping[str, Json], member: str, usual: float, *, most: float) -> float:
    value = body.get(member, usual)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise InvalidInputError(f"'{member}' is a number from 0 to {most:g}", path=member)
    return float(value)
