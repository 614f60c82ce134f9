"""Owns a desk's form in a snapshot: all that it has folded, so that a restart reads it instead of the whole log."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from controller.negotiation.agreement import Agreement, Terms
from controller.negotiation.desk import Desk
from controller.negotiation.dialogue import Stage
from controller.negotiation.message_bodies import Action, Feasible, Refusal, Report, Variation
from controller.negotiation.records import Dialogue, Standing
from controller.negotiation.request import ServiceRequest

Json = Any


def _each(read: Callable[[Json], Any]) -> Callable[[Json], tuple[Any, ...]]:
    return lambda documents: tuple(map(read, documents))


def _maybe(read: Callable[[Json], Any]) -> Callable[[Json], Any]:
    return lambda document: None if document is None else read(document)


_READERS: Mapping[str, Callable[[Json], Any]] = {
    "stage": Stage,
    "action": Action,
    "asked": _maybe(ServiceRequest.from_json),
    "request": _maybe(ServiceRequest.from_json),
    "report": _maybe(Report.from_json),
    "variations": _each(Variation.from_json),
    "found": _each(Feasible.from_json),
    "held": tuple,
    "offers": _each(Terms.from_json),
    "chosen": _maybe(Terms.from_json),
    "signed": _maybe(Agreement.from_json),
    "parent": _maybe(Agreement.from_json),
    "refusal": _maybe(Refusal.from_json),
}
"""Of the members of a dialogue that are no plain values."""


def _plain(value: Any) -> Json:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value.to_json() if hasattr(value, "to_json") else value


def dialogue_to_json(dialogue: Dialogue) -> Json:
    """A negotiation."""
    return {part.name: _plain(getattr(dialogue, part.name)) for part in fields(dialogue)}


def dialogue_from_json(document: Json) -> Dialogue:
    """Read what `dialogue_to_json` writes."""
    return Dialogue(**{name: _READERS.get(name, _same)(value) for name, value in document.items()})


def _same(value: Json) -> Json:
    return value


def _standing_to_json(standing: Standing) -> Json:
    issues = [issue.to_json() for issue in standing.issues]
    return [standing.root, standing.consumer, issues, standing.service, standing.since, standing.is_over]


def _standing_from_json(document: Json) -> Standing:
    root, consumer, issues, *rest = document
    return Standing(root, consumer, tuple(map(Agreement.from_json, issues)), *rest)


def desk_to_json(desk: Desk) -> Json:
    """Everything that a desk has folded."""
    return {
        "dialogues": [dialogue_to_json(one) for one in desk.dialogues.values()],
        "agreements": [_standing_to_json(one) for one in desk.agreements.values()],
        "heard": list(desk.heard.items()),
        "open": list(desk.open),
        "over": list(desk.over),
        "flights": {root: list(subjects) for root, subjects in desk.flights.items()},
    }


def load_desk(desk: Desk, document: Json) -> None:
    """Put back what `desk_to_json` gave."""
    desk.dialogues = {one.id: one for one in map(dialogue_from_json, document["dialogues"])}
    desk.agreements = {one.root: one for one in map(_standing_from_json, document["agreements"])}
    desk.heard = dict(document["heard"])
    desk.open = dict.fromkeys(document["open"])
    desk.over.clear()
    desk.over.extend(document["over"])
    desk.flights = {root: dict.fromkeys(subjects) for root, subjects in document["flights"].items()}
