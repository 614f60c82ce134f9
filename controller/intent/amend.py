"""Owns how a wish about a running service changes its intent: the intent as it will be."""

from dataclasses import replace

from controller.intent.model import (
    Intent,
    IntentChange,
    Property,
    PropertyExpectation,
    SiteReference,
    Topology,
    Validity,
)
from controller.model.errors import InvalidInputError

_DIRECTIONS = {Property.INPUT_BANDWIDTH, Property.OUTPUT_BANDWIDTH}


def amend(intent: Intent, change: IntentChange) -> Intent:
    """The amended intent; `InvalidInputError` when a site to be removed is not there or one to be added is."""
    delivery = intent.delivery
    _require(set(change.remove_sites) <= set(delivery.sites), "a site to be removed is not in the service")
    _require(not set(change.add_sites) & set(delivery.sites), "a site to be added is in the service already")
    sites = tuple(site for site in delivery.sites if site not in change.remove_sites) + change.add_sites
    topology = change.topology or delivery.topology
    return replace(
        intent,
        delivery=replace(delivery, sites=sites, topology=topology, hubs=_hubs(intent, change, topology)),
        properties=_properties(intent.properties, change.properties),
        validity=Validity(intent.validity.start, change.validity.end or intent.validity.end),
    )


def _hubs(intent: Intent, change: IntentChange, topology: Topology) -> tuple[SiteReference, ...]:
    if topology is Topology.ANY_TO_ANY:
        return ()
    return change.hubs or tuple(hub for hub in intent.delivery.hubs if hub not in change.remove_sites)


def _properties(
    old: tuple[PropertyExpectation, ...], new: tuple[PropertyExpectation, ...]
) -> tuple[PropertyExpectation, ...]:
    """A new bandwidth replaces those of both directions; one direction's splits a common one."""
    replaced = {expectation.about for expectation in new}
    if Property.BANDWIDTH in replaced:
        replaced |= _DIRECTIONS
    kept: list[PropertyExpectation] = []
    for expectation in old:
        if expectation.about is Property.BANDWIDTH and replaced & _DIRECTIONS and expectation.about not in replaced:
            kept += [replace(expectation, about=way) for way in sorted(_DIRECTIONS - replaced)]
        elif expectation.about not in replaced:
            kept.append(expectation)
    return (*kept, *new)


def _require(holds: bool, why: str) -> None:
    if not holds:
        raise InvalidInputError(why, path="change")
