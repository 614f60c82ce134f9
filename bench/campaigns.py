"""Owns a long history made quickly: changes of one line on every router, committed one after the other.

Two of them go through planner and coordinator. The others are the second one's events with the numbers of their own:
what they store is what committing them would have stored, but for the time and the plan's checksum.
"""

import json
import re
from collections.abc import Sequence

from bench.synthetic import Fleet
from controller.datastore.contributions import Delta
from controller.model.identifiers import Owner, PlanId
from controller.model.yang_path import parse_path
from controller.ports import Event, NewEvent
from controller.transaction.plan import Plan, plan_device

_DESCRIPTION = parse_path("/ietf-interfaces:interfaces/interface[name='ge0']/description")
_OWNER = Owner("campaign:ports/description")


class Campaigns:
    """Campaigns on a fleet, after `done` others. `open` it, then `append` as many as wanted."""

    def __init__(self, fleet: Fleet, done: int = 0) -> None:
        self._fleet = fleet
        self._done = done
        self._template = ""

    async def open(self) -> "Campaigns":
        """Commit the two that the others are made of."""
        for _ in range(2):
            self._done += 1
            plan = self._plan()
            events = await self._fleet.commit(plan)
            self._template = _text_of(events)
        for number, mark in ((self._done, "NUMBER"), (self._done - 1, "BEFORE")):
            self._template = self._template.replace(_words(number), f"campaign @{mark}@")
        self._template = _marked(self._template, plan.id, "PLAN")
        self._template = _marked(self._template, events[0].cause, "TRANSACTION")
        return self

    async def append(self) -> None:
        """Store the next one."""
        self._done += 1
        world = self._fleet.world
        transaction = world.next_id("transaction")
        text = self._template.replace("campaign @NUMBER@", _words(self._done))
        text = text.replace("campaign @BEFORE@", _words(self._done - 1))
        text = text.replace("@PLAN@", world.next_id("plan")).replace("@TRANSACTION@", transaction)
        events = [NewEvent(stream, type_, data) for stream, type_, data in json.loads(text)]
        await self._fleet.log.append(events, actor="bench", cause=transaction)

    def _plan(self) -> Plan:
        world = self._fleet.world
        delta = Delta(wanted=((_DESCRIPTION, _OWNER, f"port of {_words(self._done)}"),))
        routers = [router.device for router in self._fleet.planner.infrastructure.routers]
        devices = tuple(plan_device(world.network.device(name).view(), delta) for name in routers)
        return Plan(PlanId(world.next_id("plan")), _words(self._done), devices)


def _words(number: int) -> str:
    return f"campaign {number:06}"


def _text_of(events: Sequence[Event]) -> str:
    return json.dumps([[event.stream, event.type, event.data] for event in events])


def _marked(text: str, id_: str, mark: str) -> str:
    return re.sub(rf"\b{re.escape(id_)}\b", f"@{mark}@", text)
