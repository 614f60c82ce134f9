"""Owns how negotiations, agreements and quotes look to API callers."""

from typing import Any

from controller.negotiation.quote import Quote
from controller.negotiation.records import Dialogue, Standing
from controller.negotiation.sensitivity import Audience, PriceSensitivity
from controller.runtime.negotiation import Negotiations
from controller.runtime.negotiation_house import House

Json = Any


def dialogue_view(house: House, dialogue: Dialogue) -> Json:
    """Where a negotiation stands at one party."""
    chosen, refusal = dialogue.chosen, dialogue.refusal
    return {
        "id": dialogue.id,
        "party": house.party,
        "domain": house.domain.value,
        "stage": dialogue.stage.value,
        "is_over": dialogue.stage.is_final,
        "since": dialogue.since,
        "action": dialogue.action.value,
        "opened_by": "operator" if dialogue.is_operators else "consumer",
        "agreement": dialogue.agreement or (chosen.root if chosen else ""),
        "rounds": dialogue.round,
        "strategy": chosen.strategy.value if chosen else "",
        "offering": chosen.quote.offering if chosen else "",
        "total": chosen.quote.total.to_json() if chosen else None,
        "service": dialogue.service,
        "refusal": {"check": refusal.check, "text": refusal.text} if refusal and dialogue.stage.is_final else None,
        "offers": [quote_view(terms.quote) for terms in dialogue.offers],
    }


def agreement_view(standing: Standing, negotiations: Negotiations) -> Json:
    """An agreement with its chain."""
    terms = standing.terms
    network = negotiations.network
    loop = network.assurance.loop if network else None
    return {
        "id": standing.root,
        "state": "over" if standing.is_over else "in force",
        "instance": loop.get(standing.root).state.value if loop is not None and standing.root in loop else "",
        "consumer": standing.consumer,
        "provider": terms.provider,
        "class": terms.request.workload_class,
        "from": terms.request.a,
        "to": terms.request.z,
        "service": standing.service,
        "tunnels": [standing.service, f"{standing.service}-back"] if standing.service else [],
        "vpn": terms.request.vpn,
        "level": terms.level.to_json(),
        "is_as_asked": terms.is_as_asked,
        "strategy": terms.strategy.value,
        "price_per_hour": terms.quote.price_per_hour.to_json(),
        "ends": terms.ends,
        "issues": [
            {
                "id": issue.id,
                "parent": issue.terms.parent,
                "parent_hash": issue.terms.parent_hash,
                "hash": issue.hash,
                "strategy": issue.terms.strategy.value,
                "offering": issue.terms.quote.offering,
                "total": issue.terms.quote.total.to_json(),
                "on_top": issue.terms.amount.to_json(),
                "agreement": issue.to_json(),
            }
            for issue in standing.issues
        ],
    }


def agreements_by_tunnel(negotiations: Negotiations | None) -> dict[str, str]:
    """Which agreement in force each tunnel was made for."""
    standings = negotiations.standings() if negotiations else ()
    return {
        name: one.root
        for one in standings
        if one.service and not one.is_over
        for name in (one.service, f"{one.service}-back")
    }


def agreements_of(negotiations: Negotiations | None, vpn: str) -> list[Json]:
    """The agreements in force that carry a VPN, and over which tunnels."""
    standings = negotiations.standings() if negotiations else ()
    return [
        {"id": one.root, "consumer": one.consumer, "tunnel": one.service, "offering": one.terms.quote.offering}
        for one in standings
        if one.terms.request.vpn == vpn and not one.is_over
    ]


def quote_view(quote: Quote) -> Json:
    """A quote as it goes to the consumer."""
    return quote.to_json()


def sensitivity_view(record: PriceSensitivity, now: float) -> Json:
    """What the disclosure policy tells an operator: no askers, and nothing of a crowd that is too small."""
    policy = record.policy
    return {
        "least_labels": policy.least_labels,
        "count_step": policy.count_step,
        "period_seconds": policy.period_seconds,
        "cells": [
            {
                "begins": cell.period * policy.period_seconds,
                "class": cell.workload_class,
                "tier": cell.tier.value,
                "markup": float(cell.markup),
                "asked": cell.asked,
                "accepted": cell.accepted,
            }
            for cell in record.demand(Audience.PRICING, now)
        ],
    }
