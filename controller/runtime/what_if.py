"""Owns asking the twin "what if": the question as it comes in, the state it is about, and the answer as JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName, PlanId
from controller.model.inventory import DeviceRecord
from controller.runtime.proof import Proof
from controller.twin.entry import State
from controller.twin.verdict import CounterExample, Verdict
from controller.twin.what_if import Answer, Question, answer, worst

Json = dict[str, Any]
KEYS = ("link_down", "node_down", "srlg_down", "demand", "plan")
_MOST_SHOWN = 50


def question_from(body: Mapping[str, Any]) -> Question:
    """The question that a document asks; `InvalidInputError` names the key that is wrong."""
    demand = body.get("demand", 1)
    if isinstance(demand, bool) or not isinstance(demand, (int, float)):
        raise InvalidInputError("'demand' is a number: 2 for twice as much", path="demand")
    srlgs = body.get("srlg_down", [])
    if not isinstance(srlgs, list) or any(isinstance(each, bool) or not isinstance(each, int) for each in srlgs):
        raise InvalidInputError("'srlg_down' is a list of numbers", path="srlg_down")
    return Question(_texts(body, "link_down"), _texts(body, "node_down"), tuple(srlgs), float(demand))


def _texts(body: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found = body.get(key, [])
    if not isinstance(found, list) or any(not isinstance(each, str) for each in found):
        raise InvalidInputError(f"'{key}' is a list of names", path=key)
    return tuple(found)


async def ask(
    proof: Proof, question: Question, plan: PlanId | None, records: Mapping[DeviceName, DeviceRecord]
) -> Json:
    """What would be so; with a plan, what it would make so, and whether it may be committed."""
    await proof.warm()
    verdict = None
    now = then = proof.now()
    if plan is not None:
        found = proof.world.plan(plan)
        verdict = await proof.verdict(found)
        now, then = proof.states(found)
    return to_json(answer(now, then, question), then, records, plan, verdict)


def to_json(
    found: Answer, state: State, records: Mapping[DeviceName, DeviceRecord], plan: str | None, verdict: Verdict | None
) -> Json:
    """An answer as JSON, with what a picture needs."""
    network = state.model.network
    down = {link.source for link in found.links if not link.is_up}
    alive = {link.source for link in found.links if link.is_up}
    shown = worst(found, _MOST_SHOWN)
    return {
        "supposed": found.supposed if plan is None else f"{plan}; {found.supposed}",
        "packets": found.packets,
        "broken": [counter_example_view(each) for each in found.broken],
        "broken_already": found.broken_already,
        "overfull": [link.link for link in found.overfull],
        "nodes": [_node(name, records, is_up=name in alive or name not in down) for name in network.nodes]
        if network
        else [],
        "links": [asdict(link) | {"utilisation": round(link.utilisation, 6)} for link in found.links],
        "demands": [asdict(each) for each in shown],
        "before": [asdict(each) for each in found.before if each.demand in {other.demand for other in shown}],
        "paths": [{"name": each.demand, "nodes": list(each.path)} for each in shown[:5] if len(each.path) > 1],
        "assumptions": list(found.assumptions),
        "verdict": verdict_view(verdict) if verdict else None,
    }


def _node(name: DeviceName, records: Mapping[DeviceName, DeviceRecord], *, is_up: bool) -> Json:
    place = records[name].place if name in records else None
    return {
        "name": name,
        "latitude": place.latitude if place else None,
        "longitude": place.longitude if place else None,
        "is_up": is_up,
    }


def verdict_view(verdict: Verdict) -> Json:
    """A verdict as JSON."""
    return {
        "is_proved": verdict.is_proved,
        "text": str(verdict),
        "packet_classes": verdict.classes,
        "single_failures": verdict.failures,
        "refusals": [counter_example_view(each) for each in verdict.refusals],
        "standing": [counter_example_view(each) for each in verdict.standing],
        "risks": [counter_example_view(each) for each in verdict.risks],
        "assumptions": list(verdict.assumptions),
    }


def counter_example_view(each: CounterExample) -> Json:
    """A packet and its path as JSON."""
    return asdict(each) | {"fault": each.fault.value, "text": str(each)}
