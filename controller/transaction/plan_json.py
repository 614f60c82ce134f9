"""Owns the stored form of plans: what the journal keeps, and every surface shows as `-o json`."""

from collections.abc import Mapping
from typing import Any

from controller.datastore.contributions import Delta
from controller.datastore.diff import Change, Edit
from controller.model.identifiers import DeviceName, Owner, PlanId
from controller.model.yang_path import format_path, parse_path
from controller.ports import NewEvent, ParticipantClass
from controller.transaction.plan import Conflict, DevicePlan, Plan

Json = Mapping[str, Any]


def edit_to_json(edit: Edit) -> list[list[str | None]]:
    """`[path, old, new]` per change."""
    return [[format_path(change.path), change.old, change.new] for change in edit]


def edit_from_json(data: list[list[str | None]]) -> Edit:
    """The inverse of `edit_to_json`."""
    return tuple(Change(parse_path(path or ""), old, new) for path, old, new in data)


def delta_to_json(delta: Delta) -> dict[str, list[list[str]]]:
    """`wanted: [path, owner, value]`, `withdrawn: [path, owner]`."""
    return {
        "wanted": [[format_path(path), owner, value] for path, owner, value in delta.wanted],
        "withdrawn": [[format_path(path), owner] for path, owner in delta.withdrawn],
    }


def delta_from_json(data: Json) -> Delta:
    """The inverse of `delta_to_json`."""
    return Delta(
        wanted=tuple((parse_path(path), Owner(owner), value) for path, owner, value in data["wanted"]),
        withdrawn=tuple((parse_path(path), Owner(owner)) for path, owner in data["withdrawn"]),
    )


def device_to_json(plan: DevicePlan) -> dict[str, Any]:
    """One device's share."""
    impact, reason = plan.impact
    return {
        "device": plan.device,
        "participant": plan.participant.value,
        "impact": impact.name.lower(),
        "impact_reason": reason,
        "edit": edit_to_json(plan.edit),
        "base": {format_path(path): value for path, value in plan.base.items()},
        "delta": delta_to_json(plan.delta),
        "owners": {format_path(path): list(owners) for path, owners in plan.owners.items()},
        "conflicts": [[format_path(at.path), [list(wish) for wish in at.wishes]] for at in plan.conflicts],
        "replaced": [[format_path(path), owner, value] for path, owner, value in plan.replaced],
    }


def device_from_json(data: Json) -> DevicePlan:
    """The inverse of `device_to_json`; derived fields are computed anew."""
    return DevicePlan(
        device=DeviceName(data["device"]),
        participant=ParticipantClass(data["participant"]),
        edit=edit_from_json(data["edit"]),
        base={parse_path(path): value for path, value in data["base"].items()},
        delta=delta_from_json(data["delta"]),
        owners={parse_path(path): tuple(map(Owner, owners)) for path, owners in data["owners"].items()},
        conflicts=tuple(
            Conflict(parse_path(path), tuple((Owner(owner), value) for owner, value in wishes))
            for path, wishes in data["conflicts"]
        ),
        replaced=tuple((parse_path(path), Owner(owner), value) for path, owner, value in data["replaced"]),
    )


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """A plan whole: id, checksum, impact, every device."""
    impact, reason = plan.impact
    return {
        "id": plan.id,
        "summary": plan.summary,
        "checksum": plan.checksum,
        "impact": impact.name.lower(),
        "impact_reason": reason,
        "devices": [device_to_json(device) for device in plan.devices],
        "effects": [{"stream": e.stream, "type": e.type, "data": dict(e.data)} for e in plan.effects],
        "waves": [list(wave) for wave in plan.waves],
    }


def plan_from_json(data: Json) -> Plan:
    """The inverse of `plan_to_json`."""
    return Plan(
        id=PlanId(data["id"]),
        summary=data["summary"],
        devices=tuple(device_from_json(device) for device in data["devices"]),
        effects=tuple(NewEvent(e["stream"], e["type"], e["data"]) for e in data["effects"]),
        waves=tuple(tuple(map(DeviceName, wave)) for wave in data["waves"]),
    )
