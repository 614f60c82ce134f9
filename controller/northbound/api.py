"""Owns the JSON API under `/api/v1`: intents, plans, transactions, services, devices. Errors are problem details.

| method and path | does |
|---|---|
| GET /status | what runs, how far the log is |
| POST /intents {text, customer?} | listen; answers questions (422) or a plan, sends nothing |
| GET /intents, /intents/ID; POST /intents/ID/withdraw | look; plan the end |
| POST /plans {kind: repair, devices} {kind: rollback, transaction} {kind: delete-service, service} | make a plan |
| GET /plans/ID?format=unified,paths,xml,cli,json&reverse | show a plan |
| POST /plans/ID/approve | agree to a plan that somebody else asked for |
| POST /transactions {plan, checksum?, comment?, confirm_timeout_seconds?, canary?, on_drift?, fresh?} | commit a plan |
| GET /transactions, /transactions/ID | history: who, why, what |
| GET /services, /services/ID, /services-validation | L3VPN services; the whole instance against its model |
| GET /devices, /devices/NAME; POST /devices/NAME/ACTION | look; sync-from, check-sync, compare, adopt, facts |
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from controller.events import types
from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName, IntentId, PlanId, TransactionId
from controller.northbound import views
from controller.northbound.assurance import assurance_view
from controller.northbound.auth import Action
from controller.northbound.door import Call, Door, json_response
from controller.northbound.negotiation_views import agreements_of
from controller.runtime.controller import Controller
from controller.runtime.negotiation import Negotiations
from controller.runtime.transactions import CommitOptions
from controller.transaction.history import TransactionSummary
from controller.transaction.plan import Plan
from controller.transaction.plan_json import Json
from controller.transaction.states import Phase

_MOST_CHARACTERS = 10_000
"""Of what is said once and kept in the log for ever."""
_DRIFT = ("policy", "strict", "warn")
_ACTIONS = ("sync-from", "check-sync", "compare", "adopt", "facts")


@dataclass(frozen=True, slots=True)
class Api:
    """The handlers; each turns a call into one use case."""

    controller: Controller
    negotiations: Negotiations | None = None

    def routes(self, door: Door) -> list[Route]:
        """Every route of the API."""
        read, plan, change, manage = Action.READ, Action.PLAN, Action.CHANGE, Action.MANAGE
        table = {
            "/status": {"GET": (read, self.status)},
            "/intents": {"GET": (read, self.intents), "POST": (plan, self.submit)},
            "/intents/{id}": {"GET": (read, self.intent)},
            "/intents/{id}/withdraw": {"POST": (plan, self.withdraw)},
            "/plans": {"POST": (plan, self.make_plan)},
            "/plans/{id}": {"GET": (read, self.plan)},
            "/plans/{id}/approve": {"POST": (Action.APPROVE, self.approve)},
            "/transactions": {"GET": (read, self.transactions), "POST": (change, self.commit)},
            "/transactions/{id}": {"GET": (read, self.transaction)},
            "/services": {"GET": (read, self.services)},
            "/services-validation": {"GET": (read, self.validate)},
            "/services/{id}": {"GET": (read, self.service)},
            "/devices": {"GET": (read, self.devices)},
            "/devices/{name}": {"GET": (read, self.device)},
            "/devices/{name}/{action}": {"POST": (manage, self.care_for)},
        }
        return [door.route(f"/api/v1{path}", handlers) for path, handlers in table.items()]

    async def status(self, call: Call) -> Response:
        """GET /status."""
        call.require(Action.READ, "status")
        world = self.controller.world
        open_ = [summary for summary in world.transactions if not summary.is_final]
        return json_response(
            {
                "position": world.position,
                "services": len(world.services.services),
                "intents": sum(1 for _ in world.intents),
                "devices": len(self.controller.records()),
                "transactions": {"all": len(world.transactions), "open": [summary.id for summary in open_]},
                "unknown": [summary.id for summary in open_ if summary.phase is Phase.UNKNOWN],
            }
        )

    # -- intents -----------------------------------------------------------------------------------------------

    async def intents(self, call: Call) -> Response:
        """GET /intents: those in the caller's scope."""
        principal = call.principal
        return json_response(
            [views.intent_view(r) for r in self.controller.world.intents if principal.reaches(r.vpn_id)]
        )

    async def intent(self, call: Call) -> Response:
        """GET /intents/ID."""
        record = self.controller.world.intents.get(IntentId(call.path("id")))
        call.require(Action.READ, "intent", [record.vpn_id])
        return json_response(views.intent_view(record))

    async def submit(self, call: Call) -> Response:
        """POST /intents."""
        call.require(Action.PLAN, "intent")
        body = call.json(("text", "customer"))
        outcome = await self.controller.submit_intent(
            _text(body, "text"), call.actor, customer=_text(body, "customer", default="")
        )
        return json_response(views.outcome_view(outcome), 201 if outcome.plan else 422)

    async def withdraw(self, call: Call) -> Response:
        """POST /intents/ID/withdraw."""
        record = self.controller.world.intents.get(IntentId(call.path("id")))
        call.require(Action.PLAN, "intent", [record.vpn_id])
        return json_response(views.plan_view(await self.controller.withdraw_intent(record.id, call.actor)), 201)

    # -- plans and transactions --------------------------------------------------------------------------------

    async def make_plan(self, call: Call) -> Response:
        """POST /plans."""
        body = call.json(("kind", "devices", "transaction", "service"))
        plan = await self._planned(call, body)
        return json_response(views.plan_view(plan), 201)

    async def _planned(self, call: Call, body: Json) -> Plan:
        match body.get("kind"):
            case "repair":
                call.require(Action.PLAN, "repair")
                names = [DeviceName(name) for name in _texts(body, "devices")] or list(self.controller.world.network)
                return await self.controller.plan_repair(names, call.actor)
            case "rollback":
                call.require(Action.PLAN, "rollback")
                return await self.controller.plan_rollback(TransactionId(_text(body, "transaction")), call.actor)
            case "delete-service":
                call.require(Action.PLAN, "service", [_text(body, "service")])
                return await self.controller.plan_service_deletion(_text(body, "service"), call.actor)
        raise InvalidInputError("unknown kind of plan", remedy="repair, rollback or delete-service", path="kind")

    async def plan(self, call: Call) -> Response:
        """GET /plans/ID."""
        plan = self.controller.plan(PlanId(call.path("id")))
        call.require(Action.READ, "plan", services_of(plan))
        format_ = call.query("format", "json")
        if format_ == "json":
            return json_response(views.plan_view(plan))
        return PlainTextResponse(self.controller.show_plan(plan, format_, reverse=call.flag("reverse")))

    async def approve(self, call: Call) -> Response:
        """POST /plans/ID/approve."""
        plan = self.controller.plan(PlanId(call.path("id")))
        call.require(Action.APPROVE, "plan", services_of(plan))
        return json_response(views.plan_view(await self.controller.approve(plan.id, call.actor)))

    async def commit(self, call: Call) -> Response:
        """POST /transactions."""
        body = call.json(("plan", "checksum", "comment", "confirm_timeout_seconds", "canary", "on_drift", "fresh"))
        plan = self.controller.plan(PlanId(_text(body, "plan")))
        call.require(Action.CHANGE, "transaction", services_of(plan))
        summary = await self._commit(call, plan, body)
        return json_response(views.transaction_view(summary), 201)

    async def _commit(self, call: Call, plan: Plan, body: Json) -> TransactionSummary:
        """`fresh`: the intent counts, and is planned again when its plan has become stale."""
        options, checksum = _options(body, plan), _text(body, "checksum", default="")
        is_fresh = body.get("fresh", False)
        if not isinstance(is_fresh, bool):
            raise InvalidInputError("'fresh' is true or false", path="fresh")

        def permit(made: Plan) -> None:
            call.require(Action.CHANGE, "transaction", services_of(made))

        if is_fresh:
            return await self.controller.commit_intent(plan.id, options, call.actor, checksum=checksum, permit=permit)
        return await self.controller.commit(plan.id, options, call.actor, checksum=checksum)

    async def transactions(self, call: Call) -> Response:
        """GET /transactions, newest first."""
        call.require(Action.READ, "transactions")
        summaries = sorted(self.controller.world.transactions, key=lambda summary: -summary.position)
        return json_response([views.transaction_view(summary) for summary in summaries[: _limit(call)]])

    async def transaction(self, call: Call) -> Response:
        """GET /transactions/ID."""
        call.require(Action.READ, "transaction")
        summary = self.controller.world.transactions.get(TransactionId(call.path("id")))
        return json_response(views.transaction_view(summary))

    # -- services ----------------------------------------------------------------------------------------------

    async def services(self, call: Call) -> Response:
        """GET /services: those in the caller's scope."""
        state = self.controller.world.services
        return json_response(
            [
                {
                    "vpn_id": vpn_id,
                    "customer": document.get("customer-name", ""),
                    "sites": len(state.vpn_sites.get(vpn_id, ())),
                }
                for vpn_id, document in state.services.items()
                if call.principal.reaches(vpn_id)
            ]
        )

    async def validate(self, call: Call) -> Response:
        """GET /services-validation: the whole instance against ietf-l3vpn-svc."""
        call.require(Action.READ, "services")
        findings = await asyncio.to_thread(self.controller.planner.validate_services)
        return json_response({"valid": not findings, "findings": [asdict(finding) for finding in findings]})

    async def service(self, call: Call) -> Response:
        """GET /services/ID: its documents, where each access is, and how it fares."""
        vpn_id, state = call.path("id"), self.controller.world.services
        call.require(Action.READ, "service", [vpn_id])
        if vpn_id not in state.services:
            raise NotFoundError(f"there is no VPN '{vpn_id}'", remedy="list them: accord service list", path=vpn_id)
        sites = state.vpn_sites.get(vpn_id, {})
        is_assured = vpn_id in self.controller.world.assurance.loop
        return json_response(
            {
                "assurance": assurance_view(self.controller.assurance, vpn_id) if is_assured else None,
                "service": state.services[vpn_id],
                "agreements": agreements_of(self.negotiations, vpn_id),
                "sites": [state.sites[site] for site in sites],
                "placements": [
                    {"site": site, "access": access, "device": at.device, "port": at.port, "vlan": at.vlan}
                    for (site, access), at in state.placements.items()
                    if site in sites
                ],
            }
        )

    # -- devices -----------------------------------------------------------------------------------------------

    async def devices(self, call: Call) -> Response:
        """GET /devices."""
        call.require(Action.READ, "devices")
        return json_response([views.device_view(status) for status in self.controller.devices()])

    async def device(self, call: Call) -> Response:
        """GET /devices/NAME."""
        call.require(Action.READ, "device")
        return json_response(views.device_view(self.controller.device(self._device(call))))

    async def care_for(self, call: Call) -> Response:
        """POST /devices/NAME/ACTION."""
        call.require(Action.MANAGE, "device")
        name = self._device(call)
        match call.path("action"):
            case "sync-from":
                await self.controller.sync_from(name, call.actor)
                return json_response(views.device_view(self.controller.device(name)))
            case "check-sync":
                return json_response(views.sync_view(await self.controller.check_sync(name)))
            case "compare":
                return json_response(views.sync_view(await self.controller.compare(name)))
            case "adopt":
                count = await self.controller.adopt(name, _text(call.json(("path",)), "path"), call.actor)
                return json_response({"device": name, "adopted": count})
            case "facts":
                return json_response(views.facts_view(await self.controller.facts(name)))
        raise NotFoundError(f"a device has no action '{call.path('action')}'", remedy=", ".join(_ACTIONS))

    def _device(self, call: Call) -> DeviceName:
        name = DeviceName(call.path("name"))
        if name not in self.controller.records():
            raise NotFoundError(
                f"no device '{name}' in the inventory", remedy="list them: accord device list", path=name
            )
        return name


def services_of(plan: Plan) -> list[str]:
    """VPNs that a plan changes, an empty name among them for what all share (profiles, tunnels); none for a repair."""
    found: set[str] = set()
    for effect in plan.effects:
        if effect.type == types.TUNNELS_CHANGED:
            found.add("")
        if effect.type == types.SERVICES_CHANGED:
            data: Json = effect.data
            edit = data["change"]["edit"]
            found |= {*edit["upserted-services"], *edit["deleted-services"]}
            found |= {""} if edit.get("profiles") is not None else set()
            found |= {vpn for _, vpns in data["change"]["site_vpns"] for vpn in vpns}
            found |= {vpn for _, vpns in data["back"]["site_vpns"] for vpn in vpns}
    return sorted(found)


def _options(body: Json, plan: Plan) -> CommitOptions:
    timeout = body.get("confirm_timeout_seconds")
    is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if timeout is not None and not (is_number and 5 <= timeout <= 86_400):
        raise InvalidInputError(
            "confirm_timeout_seconds is not a number from 5 to 86400", path="confirm_timeout_seconds"
        )
    on_drift = _text(body, "on_drift", default="policy")
    if on_drift not in _DRIFT:
        raise InvalidInputError(f"on_drift is one of {', '.join(_DRIFT)}", path="on_drift")
    canary = tuple(DeviceName(name) for name in _texts(body, "canary"))
    foreign = set(canary) - {device.device for device in plan.changed}
    if foreign:
        raise InvalidInputError(f"the plan does not change {', '.join(sorted(foreign))}", path="canary")
    return CommitOptions(
        comment=_text(body, "comment", default=""),
        confirm_timeout_seconds=timeout,
        waves=(canary,) if canary else (),
        on_drift=on_drift,
    )


def _text(body: Json, member: str, default: str | None = None) -> str:
    value = body.get(member, default)
    if not isinstance(value, str):
        raise InvalidInputError(f"'{member}' is missing or not a string", path=member, tag="missing-element")
    if len(value) > _MOST_CHARACTERS:
        raise InvalidInputError(f"'{member}' is longer than {_MOST_CHARACTERS} characters", path=member)
    return value


def _texts(body: Json, member: str) -> Sequence[str]:
    value = body.get(member, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidInputError(f"'{member}' is not a list of strings", path=member)
    return value


def _limit(call: Call) -> int:
    text = call.query("limit", "100")
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or not 1 <= int(text) <= 10_000:
        raise InvalidInputError("limit is not a number from 1 to 10000", path="limit")
    return int(text)
