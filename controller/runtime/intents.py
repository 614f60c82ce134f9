"""Owns what is said to the controller: text in, a plan or questions out (draft ps-agentic-ai, steps a to d).

A new intent gets a record of its own; a wish about a running service advances that service's intent. The service model
is written anew from the intent as it will be, and only what differs from the stored one becomes an edit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from controller.events import types
from controller.intent.amend import amend
from controller.intent.book import IntentRecord
from controller.intent.codec import decode, encode
from controller.intent.knowledge import KnowledgeBase, KnownVpn
from controller.intent.language import understand
from controller.intent.lifecycle import IntentEvent, IntentState
from controller.intent.model import Intent, IntentChange, IntentWithdrawal, connectivity_of
from controller.intent.reading import NeedsClarification, Result, Understood
from controller.mapping.intent_to_l3sm import l3sm_of_intent, withdrawal
from controller.mapping.service import L3smState
from controller.mapping.service_change import L3smEdit
from controller.model.errors import NotFoundError
from controller.model.identifiers import IntentId
from controller.ports import Clock, EventLog, NewEvent
from controller.runtime.planner import Planner
from controller.runtime.world import World, plan_created
from controller.transaction.plan import Plan


@dataclass(frozen=True, slots=True)
class IntentOutcome:
    """What became of something said: the intent, how it was read, and the plan when it was understood."""

    record: IntentRecord
    result: Result
    plan: Plan | None = None


@dataclass(slots=True)
class Intents:
    """Takes intents in and plans them."""

    world: World
    log: EventLog
    clock: Clock
    planner: Planner
    knowledge: Callable[[], KnowledgeBase]
    _merged: tuple[KnowledgeBase, int, KnowledgeBase] | None = None

    async def submit(self, text: str, actor: str, *, customer: str = "") -> IntentOutcome:
        """Listen to a sentence. Questions leave the intent waiting; a wish is planned at once, and nothing is sent."""
        now = datetime.fromtimestamp(self.clock.now(), UTC)
        result = understand(text, self._knowledge(), now=now, caller=customer)
        wish = result.wish if isinstance(result, Understood) else None
        if isinstance(wish, (IntentChange, IntentWithdrawal)):
            record = self._running(wish.vpn_id)
            return IntentOutcome(record, result, await self._plan_wish(record, wish, text, actor))
        record = await self._register(text, actor)
        if isinstance(result, NeedsClarification):
            questions = [str(question) for question in result.questions]
            await self._advance(record.id, IntentEvent.ASK_BACK, actor, questions=questions)
            return IntentOutcome(self.world.intents.get(record.id), result)
        intent = result.wish
        assumed = [f"{item.field} = {item.value} (template {item.template})" for item in result.assumed]
        await self._advance(record.id, IntentEvent.UNDERSTAND, actor, intent=encode(intent), assumed=assumed)
        plan = await self._plan_new(record.id, _intent(encode(intent)), text, actor)
        return IntentOutcome(self.world.intents.get(record.id), result, plan)

    async def replan(self, id_: IntentId, actor: str) -> Plan:
        """Plan an intent again, against today's network."""
        record = self.world.intents.get(id_)
        return await self._plan_new(id_, _intent(record.intent), record.text, actor)

    async def withdraw(self, id_: IntentId, actor: str) -> Plan:
        """Plan the end of an intent's service."""
        record = self.world.intents.get(id_)
        wish = IntentWithdrawal(customer=record.owner, vpn_id=record.vpn_id)
        return await self._plan_wish(record, wish, f"withdraw {id_}", actor)

    async def _register(self, text: str, actor: str) -> IntentRecord:
        id_ = IntentId(self.world.next_id("intent"))
        event = NewEvent(f"intent/{id_}", types.INTENT_SUBMITTED, {"text": text})
        await self.log.append([event], actor=actor)
        return self.world.intents.get(id_)

    async def _plan_new(self, id_: IntentId, intent: Intent, text: str, actor: str) -> Plan:
        try:
            vpn_id, edit = self._edit_for(intent)
            undo = {"event": IntentEvent.CREATION_UNDONE.value}
            plan = self.planner.services(edit, text, (_committed(id_, undo, encode(intent)),))
        except Exception as error:
            await self._advance(id_, IntentEvent.REJECT, actor, reason=str(error))
            raise
        await self.log.append([plan_created(plan)], actor=actor, cause=id_)
        await self._advance(id_, IntentEvent.PLAN, actor, plan=plan.id, vpn_id=vpn_id)
        return plan

    async def _plan_wish(
        self, record: IntentRecord, wish: IntentChange | IntentWithdrawal, text: str, actor: str
    ) -> Plan:
        if isinstance(wish, IntentWithdrawal):
            edit = withdrawal(wish.vpn_id, self.world.services)
            undo: dict[str, object] = {"event": IntentEvent.WITHDRAWAL_UNDONE.value}
            effect, event = _committed(record.id, undo), IntentEvent.PLAN_WITHDRAWAL
        else:
            before = _intent(record.intent)
            intent = amend(before, wish)
            _, edit = self._edit_for(replace(intent, vpn_id=record.vpn_id), former=before)
            undo = {"event": IntentEvent.CHANGE_UNDONE.value, "intent": record.intent}
            effect, event = _committed(record.id, undo, encode(intent)), IntentEvent.PLAN
        plan = self.planner.services(edit, text, (effect,))
        await self.log.append([plan_created(plan)], actor=actor, cause=record.id)
        await self._advance(record.id, event, actor, plan=plan.id)
        return plan

    def _edit_for(self, intent: Intent, former: Intent | None = None) -> tuple[str, L3smEdit]:
        """The service of an intent, less what is stored the same already."""
        state = self.world.services
        before = connectivity_of(former) if former else None
        wanted = l3sm_of_intent(connectivity_of(intent), state, former=before)
        return wanted.vpn_id, without_repeats(state, wanted.edit)

    def _running(self, vpn_id: str) -> IntentRecord:
        record = self.world.intents.of_vpn(vpn_id)
        if record is None:
            raise NotFoundError(
                f"the VPN '{vpn_id}' was not made by an intent",
                remedy="change it where it was made: RESTCONF, or accord service",
                path=vpn_id,
            )
        return record

    def _knowledge(self) -> KnowledgeBase:
        """What the operator wrote down, plus the VPNs that run."""
        return self.knowledge().merged(
            vpns=[_known(record) for record in self.world.intents if record.state.is_serving]
        )

    async def _advance(self, id_: IntentId, event: IntentEvent, actor: str, **data: object) -> None:
        fact = NewEvent(f"intent/{id_}", types.INTENT_ADVANCED, {"event": event.value, **data})
        await self.log.append([fact], actor=actor, cause=id_)

    def ended_by(self, edit: L3smEdit) -> tuple[NewEvent, ...]:
        """What the end of services means for the intents that they serve, when it comes from another door."""
        serving = (self.world.intents.of_vpn(vpn_id) for vpn_id in edit.deleted_services)
        undo = {"event": IntentEvent.WITHDRAWAL_UNDONE.value}
        data = {"event": IntentEvent.CREATION_UNDONE.value, "undo": undo, "reason": "its service was deleted"}
        return tuple(
            NewEvent(f"intent/{record.id}", types.INTENT_ADVANCED, data)
            for record in serving
            if record is not None and record.state.is_serving
        )

    async def approve_later(self, plan: Plan, actor: str) -> IntentRecord | None:
        """If the plan's intent begins later, note who approved it and return it; nothing is committed now."""
        for id_ in served_by(plan):
            record = self.world.intents.get(id_)
            start = _intent(record.intent).validity.start if record.state is IntentState.PLANNED else None
            if start is not None and start.timestamp() > self.clock.now():
                await self.log.append(
                    [NewEvent(f"intent/{id_}", types.INTENT_APPROVED, {"plan": plan.id})], actor=actor
                )
                return self.world.intents.get(id_)
        return None

    async def before_commit(self, plan: Plan, actor: str) -> list[IntentId]:
        """Advance the intents that a plan serves into committing; returns them."""
        served = served_by(plan)
        for id_ in served:
            await self._advance(id_, IntentEvent.COMMIT, actor)
        return served

    async def after_abort(self, served: list[IntentId], reason: str, actor: str) -> None:
        """Tell the intents that their plan did not become true."""
        for id_ in served:
            await self._advance(id_, IntentEvent.ROLLED_BACK, actor, reason=reason)


def served_by(plan: Plan) -> list[IntentId]:
    """The intents that a plan is for."""
    return [
        IntentId(effect.stream.partition("/")[2])
        for effect in plan.effects
        if effect.type == types.INTENT_ADVANCED and effect.data["event"] == IntentEvent.COMMITTED
    ]


def without_repeats(state: L3smState, edit: L3smEdit) -> L3smEdit:
    """An edit without the services and sites that are stored just so."""
    return replace(
        edit,
        upserted_services={k: v for k, v in edit.upserted_services.items() if state.services.get(k) != v},
        upserted_sites={k: v for k, v in edit.upserted_sites.items() if state.sites.get(k) != v},
        profiles=edit.profiles if edit.profiles != state.profiles else None,
    )


def _committed(id_: IntentId, undo: Mapping[str, object], intent: Mapping[str, object] | None = None) -> NewEvent:
    data: dict[str, object] = {"event": IntentEvent.COMMITTED.value, "undo": undo}
    if intent is not None:
        data["intent"] = intent
    return NewEvent(f"intent/{id_}", types.INTENT_ADVANCED, data)


def _intent(document: Any) -> Intent:
    wish = decode(document)
    if not isinstance(wish, Intent):
        raise NotFoundError("the intent has not been understood yet", remedy="submit it again, more clearly")
    return wish


def _known(record: IntentRecord) -> KnownVpn:
    intent = _intent(record.intent)
    return KnownVpn(record.vpn_id, intent.customer, intent.delivery.sites, intent.properties, intent.delivery.hubs)


WAITING = frozenset({IntentState.PLANNED, IntentState.CHANGE_PLANNED, IntentState.WITHDRAWAL_PLANNED})
"""States in which an intent waits for its plan to be committed."""
