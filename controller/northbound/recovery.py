"""Owns the API of recoveries and of the operators' inbox under `/api/v1`.

| method and path | does |
|---|---|
| GET /recoveries, /recoveries/ID | what was wrong, who suffered, what was thought of, done and seen |
| GET /diagnosis | what is wrong now: causes, symptoms, services, links that are not relied on |
| GET /inbox, /inbox/ID | recoveries that wait for an operator, with everything to decide by |
| POST /inbox/ID/approve {remedy?} | carry out the chosen remedy, or one by its number from 1; it is proved again |
| POST /inbox/ID/dismiss {reason?} | have nothing done |

Operators decide what waits in the inbox, and so do approvers. Who reaches some services only sees the recoveries that
touch them: how these stand, and nothing of other services or of the network.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from starlette.responses import Response
from starlette.routing import Route

from controller.model.errors import InvalidInputError, NotFoundError
from controller.northbound.auth import Action, Principal, authorize_role
from controller.northbound.door import Call, Door, Json, json_response
from controller.recovery.history import Recovery
from controller.recovery.scoring import Candidate
from controller.runtime.localisation import Localisation
from controller.runtime.localisation_observations import AGO
from controller.runtime.recovery import Recoveries
from controller.topology.expected_delay import LOW_CONFIDENCE, late_links

_MOST_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True)
class RecoveryDoor:
    """The handlers."""

    recoveries: Recoveries
    localisation: Localisation

    def routes(self, door: Door) -> list[Route]:
        """Every route."""
        # Whoever may decide may plan; which of their two rights it is, is asked when the services are known.
        read, decide = Action.READ, Action.PLAN
        return [
            door.route("/api/v1/recoveries", {"GET": (read, self.list)}),
            door.route("/api/v1/recoveries/{id}", {"GET": (read, self.show)}),
            door.route("/api/v1/diagnosis", {"GET": (read, self.diagnosis)}),
            door.route("/api/v1/inbox", {"GET": (read, self.inbox)}),
            door.route("/api/v1/inbox/{id}", {"GET": (read, self.item)}),
            door.route("/api/v1/inbox/{id}/approve", {"POST": (decide, self.approve)}),
            door.route("/api/v1/inbox/{id}/dismiss", {"POST": (decide, self.dismiss)}),
        ]

    async def list(self, call: Call) -> Response:
        """GET /recoveries, newest first: those that touch what the caller reaches."""
        return json_response(_seen(call.principal, reversed(tuple(self.recoveries.world.recoveries))))

    async def show(self, call: Call) -> Response:
        """GET /recoveries/ID."""
        return json_response(_shown(call, self.recoveries.world.recoveries.get(call.path("id"))))

    async def diagnosis(self, call: Call) -> Response:
        """GET /diagnosis."""
        call.require(Action.READ, "diagnosis")
        found = self.localisation
        document = {
            "mode": self.recoveries.mode().value,
            "reason": found.reason,
            "causes": [fault.to_json() for fault in found.faults],
            "services": list(found.hit()),
            "symptoms": [str(one) for one in found.symptoms() if not one.subject.endswith(AGO)],
            "suspected": [
                {"symptom": str(one), "confidence": LOW_CONFIDENCE} for one in late_links(found.topology.database)
            ],
            "silent": dict(sorted(found.collection.unread.items())),
            "flapping": list(self.recoveries.world.recoveries.damping.suppressed(self.recoveries.clock.now())),
        }
        return json_response(document)

    async def inbox(self, call: Call) -> Response:
        """GET /inbox, oldest first: those that touch what the caller reaches."""
        return json_response(_seen(call.principal, self.recoveries.world.recoveries.inbox))

    async def item(self, call: Call) -> Response:
        """GET /inbox/ID."""
        return json_response(_shown(call, self._waiting(call.path("id"))))

    async def approve(self, call: Call) -> Response:
        """POST /inbox/ID/approve."""
        one = self._waiting(call.path("id"))
        _require_decision(call, one)
        number = call.json(("remedy",)).get("remedy")
        if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
            raise InvalidInputError("'remedy' is the number of a remedy, from 1", path="remedy")
        return json_response(recovery_view(await self.recoveries.approve(one.id, call.actor, number)), 202)

    async def dismiss(self, call: Call) -> Response:
        """POST /inbox/ID/dismiss."""
        one = self._waiting(call.path("id"))
        _require_decision(call, one)
        reason = call.json(("reason",)).get("reason", "")
        if not isinstance(reason, str) or len(reason) > _MOST_CHARACTERS:
            raise InvalidInputError("'reason' is not a short text", path="reason")
        return json_response(recovery_view(await self.recoveries.dismiss(one.id, call.actor, reason)))

    def _waiting(self, id_: str) -> Recovery:
        one = self.recoveries.world.recoveries.get(id_)
        if not one.is_waiting:
            raise NotFoundError(
                f"'{id_}' is {one.state} and waits for nobody", remedy=f"see: accord recovery show {id_}", path=id_
            )
        return one


def _require_decision(call: Call, one: Recovery) -> None:
    """An operator decides by the right to change, an approver by the right to approve."""
    may_change = authorize_role(call.principal, Action.CHANGE).is_allowed
    call.require(Action.CHANGE if may_change else Action.APPROVE, "recovery", one.services)


def _seen(principal: Principal, recoveries: Iterable[Recovery]) -> Json:
    if not principal.is_scoped:
        return [recovery_view(one) for one in recoveries]
    return [_scoped_view(one, touched) for one in recoveries if (touched := _touched(principal, one))]


def _shown(call: Call, one: Recovery) -> Json:
    touched = _touched(call.principal, one) if call.principal.is_scoped else []
    if touched:
        return _scoped_view(one, touched)
    call.require(Action.READ, "recovery")
    return recovery_view(one)


def _touched(principal: Principal, one: Recovery) -> list[str]:
    """The services of a recovery that somebody reaches."""
    return [service for service in one.services if principal.reaches(service)]


def _scoped_view(one: Recovery, services: Sequence[str]) -> Json:
    """The same members, for one who reaches these services: sentences and remedies name others and are left out."""
    remedy = one.candidate.remedy if one.candidate else None
    return {
        **recovery_view(one),
        "fault": {"cause": one.cause, "kind": one.fault.kind, "severity": one.fault.severity},
        "services": list(services),
        "remedy": remedy.kind if remedy else "",
        "remedies": [],
        "gives_up": [{"service": s, "what": what} for s, what in (remedy.less if remedy else ()) if s in services],
        "steps": [{"state": step.state, "cue": step.cue, "time": step.time} for step in one.steps],
        **dict.fromkeys(("reason", "verdict", "verification"), ""),
        "transactions": [],
    }


def recovery_view(one: Recovery) -> Json:
    """A recovery: everything there is to decide by, and what was decided."""
    return {
        "id": one.id,
        "state": one.state.value,
        "cause": one.cause,
        "fault": one.fault.to_json(),
        "severity": one.fault.severity,
        "services": list(one.services),
        "started": one.started,
        "since": one.since,
        "reason": one.reason,
        "is_waiting": one.is_waiting,
        "is_dismissed": one.is_dismissed,
        "chosen": None if one.chosen is None else one.chosen + 1,
        "remedy": one.candidate.remedy.summary if one.candidate else "",
        "remedies": [_remedy(number, each, one) for number, each in enumerate(one.candidates, start=1)],
        "verdict": one.verdict,
        "transactions": list(one.transactions),
        "verification": one.verification,
        "steps": [asdict(step) for step in one.steps],
    }


def _remedy(number: int, each: Candidate, one: Recovery) -> Json:
    remedy, score = each.remedy, each.score
    return {
        "number": number,
        "kind": remedy.kind,
        "summary": remedy.summary,
        "score": score.value,
        "reasons": list(score.reasons),
        "intents": dict(score.intents),
        "free_ratio": score.free_ratio,
        "helps": list(remedy.flows),
        "misses": [{"flow": flow, "reason": why} for flow, why in remedy.missed],
        "gives_up": [{"service": service, "what": what} for service, what in remedy.less],
        "tried": number - 1 in one.tried,
    }
