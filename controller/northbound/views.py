"""Owns the JSON shapes of the API: one function for each thing it shows. Times are UTC seconds."""

from dataclasses import asdict
from typing import Any

from controller.intent.book import IntentRecord
from controller.intent.codec import encode_result
from controller.model.yang_path import format_path
from controller.ports import Capabilities, Event
from controller.runtime.device_care import DeviceStatus, SyncReport
from controller.runtime.intents import IntentOutcome
from controller.transaction.history import TransactionSummary
from controller.transaction.plan import Plan
from controller.transaction.plan_json import plan_to_json

Json = dict[str, Any]


def plan_view(plan: Plan) -> Json:
    """A plan: id, checksum, impact, and for each device edit, base, owners and conflicts."""
    document = plan_to_json(plan)
    del document["effects"]
    return {**document, "is_empty": plan.is_empty}


def transaction_view(summary: TransactionSummary) -> Json:
    """A transaction's summary."""
    return {**asdict(summary), "phase": summary.phase.value, "is_final": summary.is_final}


def intent_view(record: IntentRecord) -> Json:
    """An intent and where it stands."""
    return {name: getattr(record, name) for name in IntentRecord.__slots__} | {"state": record.state.value}


def outcome_view(outcome: IntentOutcome) -> Json:
    """What became of a sentence: the intent, how it was read, the plan or the questions."""
    return {
        "intent": intent_view(outcome.record),
        **encode_result(outcome.result),
        "plan": plan_view(outcome.plan) if outcome.plan else None,
    }


def device_view(status: DeviceStatus) -> Json:
    """A device as the inventory and the sessions know it."""
    record = status.record
    return {
        "name": record.name,
        "role": record.role,
        "profile": record.profile,
        "city": record.place.city,
        "country": record.place.country,
        "state": status.state,
        "error": status.error,
        "is_known": status.is_known,
        "lines": status.lines,
        "held_by": status.lease.holder if status.lease else "",
        "held_since": status.lease.since if status.lease else 0.0,
        "held_for": status.lease.reason if status.lease else "",
    }


def sync_view(report: SyncReport) -> Json:
    """What a check found, each differing leaf explained."""
    return {
        "device": report.device,
        "in_sync": report.is_in_sync,
        "is_fight": report.is_fight,
        "differences": [
            {
                "path": format_path(difference.path),
                "expected": difference.expected,
                "found": difference.found,
                "owners": list(difference.owners),
                "policy": difference.policy,
                "explanation": difference.explain(),
            }
            for difference in report.differences
        ],
    }


def facts_view(capabilities: Capabilities) -> Json:
    """What a device says of itself."""
    return {
        "transport": capabilities.transport.value,
        "participant": capabilities.participant.value,
        "capabilities": sorted(capabilities.urns),
        "modules": [asdict(module) for module in capabilities.modules],
        "supports_validate": capabilities.supports_validate,
        "supports_startup": capabilities.supports_startup,
    }


def event_view(event: Event) -> Json:
    """A stored event, hashes and all, so that a reader can check the chain."""
    return asdict(event)
