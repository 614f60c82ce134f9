"""Owns the API of staged changes (make-before-break) under `/api/v1/changes`.

| method and path | does |
|---|---|
| GET /changes, /changes/ID | where each stands, and how it got there |
| POST /changes/ID/cancel | ask for the way back; too late once the old is being removed |
"""

from dataclasses import asdict, dataclass

from starlette.responses import Response
from starlette.routing import Route

from controller.northbound.auth import Action
from controller.northbound.door import Call, Door, json_response
from controller.runtime.staged_changes import StagedChanges
from controller.transaction.stage_history import StagedChange
from controller.transaction.stages import Json


@dataclass(frozen=True, slots=True)
class Changes:
    """The handlers."""

    changes: StagedChanges

    def routes(self, door: Door) -> list[Route]:
        """Every route."""
        return [
            door.route("/api/v1/changes", {"GET": (Action.READ, self.list)}),
            door.route("/api/v1/changes/{id}", {"GET": (Action.READ, self.show)}),
            door.route("/api/v1/changes/{id}/cancel", {"POST": (Action.CHANGE, self.cancel)}),
        ]

    async def list(self, call: Call) -> Response:
        """GET /changes, newest first."""
        call.require(Action.READ, "changes")
        return json_response([change_view(change) for change in reversed(list(self.changes.world.changes))])

    async def show(self, call: Call) -> Response:
        """GET /changes/ID."""
        call.require(Action.READ, "change")
        return json_response(change_view(self.changes.world.changes.get(call.path("id"))))

    async def cancel(self, call: Call) -> Response:
        """POST /changes/ID/cancel."""
        call.require(Action.CHANGE, "change")
        return json_response(change_view(self.changes.cancel(call.path("id"))), 202)


def change_view(change: StagedChange) -> Json:
    """A staged change: its stage, its steps, what it waits for."""
    return {
        "id": change.id,
        "summary": change.plan.summary,
        "actor": change.actor,
        "stage": change.stage.value,
        "is_over": change.stage.is_over,
        "started": change.started,
        "drain_seconds": change.plan.drain_seconds,
        "deadline": change.deadline,
        "reason": change.steps[-1].reason,
        "steps": [asdict(step) | {"stage": step.stage.value} for step in change.steps],
        "probes": [asdict(probe) for probe in change.plan.probes],
    }
