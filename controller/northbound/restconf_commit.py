"""Owns what a RESTCONF write becomes: authorisation, plan, transaction, answer; and that a repeated request acts once.

`Idempotency-Key`: which plan a key led to is an event, stored before the commit. A request that comes again with its
key, even after a restart, is answered from that plan's transaction; with another content it is refused.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.responses import Response

from controller.mapping.service_change import L3smEdit
from controller.model.errors import ConflictError, DeviceRejectedError, InvalidInputError
from controller.northbound import views
from controller.northbound.auth import Action
from controller.northbound.door import Call
from controller.northbound.restconf_edit import services_touched
from controller.northbound.restconf_problem import MEDIA_TYPE
from controller.ports import NewEvent
from controller.runtime.controller import Controller
from controller.runtime.transactions import CommitOptions
from controller.transaction.history import TransactionSummary
from controller.transaction.plan import Plan
from controller.transaction.states import Phase

Json = Any
_MOST_KEY_CHARACTERS = 255
REQUEST_PLANNED = "request.planned"
"""A request with an idempotency key is about to be committed: `content`, `plan`, `url`, `is_new`, `entity_tag`."""


class _NothingToDo(Exception):  # noqa: N818 - no error: what was asked for holds already
    """The write changes nothing."""


@dataclass(frozen=True, slots=True)
class Write:
    """What a write comes to."""

    edit: L3smEdit
    url: str
    """Of the resource that was written."""
    is_new: bool
    entity_tag: str
    """Of the resource afterwards; empty when it is gone."""


@dataclass(slots=True)
class Committer:
    """Carries writes out. `confirm_timeout_seconds` comes from the settings in force."""

    controller: Controller
    confirm_timeout_seconds: Callable[[], float]
    _under_way: set[str] = field(default_factory=set)

    async def answer(self, call: Call, meaning: Callable[[], Write]) -> Response:
        """Plan, or plan and commit. `meaning` is asked again when somebody else changed the state meanwhile."""
        if call.flag("dry-run"):
            return await self._dry_run(call, meaning())
        stream = _request_stream(call)
        if not stream:
            return await self._commit(call, meaning, "")
        if stream in self._under_way:
            raise ConflictError("the first request with this Idempotency-Key is under way", tag="in-use")
        self._under_way.add(stream)
        try:
            return self._repeated(call, stream) or await self._commit(call, meaning, stream)
        finally:
            self._under_way.discard(stream)

    async def _dry_run(self, call: Call, write: Write) -> Response:
        call.require(Action.PLAN, "service", services_touched(self.controller.world.services, write.edit))
        plan = await self._plan(call, write)
        return Response(orjson.dumps(views.plan_view(plan)), 200, {"Accord-Plan": plan.id}, "application/json")

    async def _plan(self, call: Call, write: Write) -> Plan:
        summary = f"{call.request.method} {write.url}"
        return await self.controller.plan_services(write.edit, summary, call.actor)

    async def _commit(self, call: Call, meaning: Callable[[], Write], stream: str) -> Response:
        latest: list[Write] = []

        async def make_plan() -> Plan:
            write = meaning()
            latest[:] = [write]
            call.require(Action.CHANGE, "service", services_touched(self.controller.world.services, write.edit))
            if not write.edit:
                raise _NothingToDo
            plan = await self._plan(call, write)
            if stream:
                await self._note(call, stream, plan, write)
            return plan

        try:
            summary = await self.controller.commit_fresh(make_plan, self._options(call), call.actor)
        except _NothingToDo:
            return _done(latest[0], {})
        return _verdict(summary, latest[0])

    def _options(self, call: Call) -> CommitOptions:
        return CommitOptions(comment=call.query("comment"), confirm_timeout_seconds=self.confirm_timeout_seconds())

    async def _note(self, call: Call, stream: str, plan: Plan, write: Write) -> None:
        data = {
            "content": _content(call),
            "plan": plan.id,
            "url": write.url,
            "is_new": write.is_new,
            "entity_tag": write.entity_tag,
        }
        await self.controller.log.append([NewEvent(stream, REQUEST_PLANNED, data)], actor=call.actor, cause=plan.id)

    def _repeated(self, call: Call, stream: str) -> Response | None:
        """The answer that a request with this key got, if it came as far as a transaction."""
        notes: list[Json] = [event.data for event in self.controller.log.read(stream=stream)]
        if notes and notes[0]["content"] != _content(call):
            raise InvalidInputError("the Idempotency-Key was used for another request", remedy="use a fresh one")
        for note in reversed(notes):
            for summary in self.controller.world.transactions:
                if summary.plan == note["plan"]:
                    write = Write(L3smEdit(), note["url"], note["is_new"], note["entity_tag"])
                    return _verdict(summary, write)
        return None


def _verdict(summary: TransactionSummary, write: Write) -> Response:
    names = {"Accord-Plan": summary.plan, "Accord-Transaction": summary.id}
    if summary.phase is Phase.COMMITTED:
        return _done(write, names)
    if summary.phase is Phase.ABORTED:
        raise DeviceRejectedError(
            f"transaction {summary.id} was aborted, nothing has changed: {summary.reason}",
            remedy=f"see: accord transaction show {summary.id}",
        )
    headers = names | {"Location": f"/api/v1/transactions/{summary.id}"}
    return Response(orjson.dumps(views.transaction_view(summary)), 202, headers, "application/json")


def _done(write: Write, headers: dict[str, str]) -> Response:
    if write.entity_tag:
        headers |= {"ETag": write.entity_tag}
    if write.is_new:
        headers |= {"Location": write.url}
    response = Response(status_code=201 if write.is_new else 204, headers=headers)
    if write.is_new:
        response.headers["content-type"] = MEDIA_TYPE
    return response


def _request_stream(call: Call) -> str:
    """Where a request's key leaves its trace; empty without a key. Keys of different callers are different keys."""
    key = call.request.headers.get("idempotency-key", "").strip()
    if len(key) > _MOST_KEY_CHARACTERS:
        raise InvalidInputError("the Idempotency-Key is longer than 255 characters", tag="too-big")
    return f"request/{hashlib.sha256(orjson.dumps([call.actor, key])).hexdigest()}" if key else ""


def _content(call: Call) -> str:
    path = call.request.scope.get("raw_path") or b""
    parts = (call.request.method.encode(), path, call.request.url.query.encode(), call.body)
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
