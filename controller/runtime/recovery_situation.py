"""Owns what a recovery knows of the moment: the situation that remedies are made of, and what intents were promised."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from controller.intent.codec import decode
from controller.intent.model import FALLBACK_POLICY, Intent, Property
from controller.model.errors import AccordError
from controller.recovery.fallback import FallbackPolicies
from controller.recovery.situation import USUAL, Fault, FaultKind, Promise, RemedyKind, Situation, fallback_of
from controller.runtime.recovery_flows import Flows
from controller.runtime.topology_discovery import TopologyView
from controller.runtime.world import World
from controller.topology.network import LinkId

_log = structlog.get_logger(__name__)
_MICROSECONDS = 1e-6


@dataclass(slots=True)
class Situations:
    """Makes situations of the world, the TE database."""

    world: World
    topology: TopologyView
    policies: FallbackPolicies = field(default_factory=FallbackPolicies)
    """What is allowed by configuration."""

    def of(self, fault: Fault, flows: Flows, now: float, others: Iterable[Fault] = ()) -> Situation:
        """Everything that may help against a fault is made of this; `others` are faults that there are besides.

        What else is bad is kept away from; a link that is late is measured to be so, and good enough for many.
        """
        network = self.topology.network
        besides = [other for other in others if other.cause != fault.cause and other.kind != FaultKind.DELAY]
        bad = {LinkId(one) for other in besides for one in other.elements}
        services = dict.fromkeys(flow.service for flow in flows.flows)
        return Situation(
            fault=fault,
            database=self.topology.database,
            tunnels=tuple(self.world.tunnels),
            flows=flows.flows,
            promises={service: self.promise(service) for service in services},
            shunned=self.shunned(now) | network.both_directions(bad & network.links.keys()),
        )

    def shunned(self, now: float) -> frozenset[LinkId]:
        """Both directions of every wire that flaps."""
        network = self.topology.network
        wires = [wire for wire in self.world.recoveries.damping.suppressed(now) if wire in network.links]
        return network.both_directions(wires)

    def promise(self, service: str) -> Promise:
        """What a VPN was promised, from its intent; the usual where there is none."""
        record = self.world.intents.of_vpn(service)
        wish = decode(record.intent) if record is not None and record.intent else None
        if not isinstance(wish, Intent):
            return Promise(service, fallback=self.policies.policy(service, self._customer(service), USUAL, None))
        values = {expectation.about: expectation.value for expectation in wish.properties}
        latency = values.get(Property.LATENCY)
        rates = (values.get(about, 0) for about in (Property.BANDWIDTH, Property.INPUT_BANDWIDTH))
        return Promise(
            service,
            wish.priority,
            None if latency is None else latency * _MICROSECONDS,
            max(rates),
            self.policies.policy(service, wish.customer, wish.priority, _fallback(wish)),
        )

    def _customer(self, service: str) -> str:
        return str(self.world.services.services.get(service, {}).get("customer-name", ""))


def _fallback(intent: Intent) -> tuple[RemedyKind, ...] | None:
    """What its owner allows; None where nothing is said that can be read."""
    for context in intent.contexts:
        if context.name == FALLBACK_POLICY:
            try:
                return fallback_of(context.value)
            except AccordError as error:
                _log.warning("fallback_policy_unreadable", intent=intent.intent_id, error=str(error))
    return None
