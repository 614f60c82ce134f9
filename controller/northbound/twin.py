"""Owns the API of the digital twin under `/api/v1`.

| method and path | does |
|---|---|
| GET /plans/ID/proof | what a plan would do to the network's packets: proved, or the packet that forbids it |
| POST /twin/what-if {link_down?, node_down?, srlg_down?, demand?, plan?} | what would be so; nothing is changed |
"""

from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from controller.model.errors import InvalidInputError
from controller.model.identifiers import PlanId
from controller.northbound.auth import Action
from controller.northbound.door import Call, Door, json_response
from controller.runtime.controller import Controller
from controller.runtime.what_if import KEYS, ask, question_from, verdict_view


@dataclass(frozen=True, slots=True)
class Twin:
    """The handlers."""

    controller: Controller

    def routes(self, door: Door) -> list[Route]:
        """Every route."""
        return [
            door.route("/api/v1/plans/{id}/proof", {"GET": (Action.READ, self.proof)}),
            door.route("/api/v1/twin/what-if", {"POST": (Action.PLAN, self.what_if)}),
        ]

    async def proof(self, call: Call) -> Response:
        """GET /plans/ID/proof."""
        call.require(Action.READ, "plan")
        plan = self.controller.plan(PlanId(call.path("id")))
        return json_response(verdict_view(await self.controller.proof.verdict(plan)))

    async def what_if(self, call: Call) -> Response:
        """POST /twin/what-if."""
        call.require(Action.PLAN, "topology")
        body = call.json(KEYS)
        plan = body.get("plan")
        if plan is not None and not isinstance(plan, str):
            raise InvalidInputError("'plan' names a plan", path="plan")
        controller = self.controller
        found = await ask(controller.proof, question_from(body), PlanId(plan) if plan else None, controller.records())
        return json_response(found)
