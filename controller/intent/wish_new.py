"""Owns the reading of a sentence that asks for a new service; what it leaves unsaid comes from a service template."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from controller.intent.facts import (
    ActionFact,
    AddressFamilyFact,
    CountFact,
    Fact,
    HubsFact,
    Place,
    PriorityFact,
    RoutingFact,
    ServiceFact,
    ServiceModelFact,
    SitesFact,
    SpokesFact,
    TemplateFact,
    TopologyFact,
    VpnFact,
    VpnNameFact,
)
from controller.intent.knowledge import ServiceTemplate, normalised
from controller.intent.model import (
    FALLBACK_POLICY,
    Context,
    DeliveryExpectation,
    Intent,
    Property,
    PropertyExpectation,
    ServiceType,
    SiteReference,
    Topology,
)
from controller.intent.reading import Assumption, QuestionKind
from controller.intent.statements import Statements

_BOTH_WAYS = frozenset({Property.INPUT_BANDWIDTH, Property.OUTPUT_BANDWIDTH})


@dataclass(slots=True)
class _Unsaid:
    """Collects what is taken from the template."""

    template: ServiceTemplate
    assumed: list[Assumption] = field(default_factory=list)

    def take(self, name: str, value: object, source: str = "") -> None:
        self.assumed.append(Assumption(name, str(value), source or self.template.name))


def read_new(said: Statements, action: ActionFact, caller: str) -> tuple[Intent | None, tuple[Assumption, ...]]:
    """The intent and what is assumed in it; None when `said.questions` says why not."""
    _refuse_running_vpn(said)
    chosen = said.one(TemplateFact)
    unsaid = _Unsaid(said.knowledge.template(chosen.value if chosen else said.knowledge.default_template))
    customer = _customer(said, unsaid, caller)
    sites, hubs = _places(said, action, customer)
    topology = _topology(said, action, unsaid, hubs)
    intent_parts = _delivery_choices(said, unsaid)
    properties = _properties(said, unsaid)
    validity, priority, name = said.validity(), said.one(PriorityFact), _name(said)
    model = said.one(ServiceModelFact)
    if not priority:
        unsaid.take("priority", unsaid.template.priority)
    if said.questions:
        return None, ()
    service_type, family, routing = intent_parts
    delivery = DeliveryExpectation(
        service_type=service_type,
        topology=topology,
        sites=tuple(sites),
        hubs=tuple(hubs),
        address_family=family.value if family else unsaid.template.address_family,
        address_allocation=unsaid.template.address_allocation,
        routing=routing.value if routing else unsaid.template.routing,
        qos_profile=unsaid.template.qos_profile,
    )
    intent = Intent(
        customer=customer,
        owner=caller or customer,
        delivery=delivery,
        properties=properties,
        contexts=(*((Context("service-model", model.value),) if model else ()), *_fallback(unsaid)),
        validity=validity,
        priority=priority.value if priority else unsaid.template.priority,
        template=unsaid.template.name,
        vpn_id=name,
    )
    return intent, tuple(unsaid.assumed)


def _fallback(unsaid: _Unsaid) -> tuple[Context, ...]:
    policy = unsaid.template.fallback_policy
    if not policy:
        return ()
    unsaid.take(FALLBACK_POLICY, policy)
    return (Context(FALLBACK_POLICY, policy),)


def _refuse_running_vpn(said: Statements) -> None:
    for fact in said.every(VpnFact):
        said.ask(QuestionKind.CONTRADICTION, fact, "this VPN exists already: is it to be changed?")


def _name(said: Statements) -> str | None:
    fact = said.one(VpnNameFact)
    if fact and normalised(fact.value) in {normalised(vpn.vpn_id) for vpn in said.knowledge.vpns}:
        said.ask(QuestionKind.CONTRADICTION, fact, "a VPN of this name exists already")
    return fact.value if fact else None


def _customer(said: Statements, unsaid: _Unsaid, caller: str) -> str:
    fact = said.customer()
    if fact:
        return fact.value
    name = caller or unsaid.template.customer
    unsaid.take("customer", name, "caller" if caller else "")
    return name


def _places(said: Statements, action: ActionFact, customer: str) -> tuple[list[SiteReference], list[SiteReference]]:
    """All sites in the order they are named, and the hubs among them."""
    listed = said.one(SitesFact)
    hub_places = [place for fact in said.every(HubsFact) for place in fact.value]
    spoke_places = [place for fact in said.every(SpokesFact) for place in fact.value]
    sites = said.settle(listed.value, customer) if listed else []
    _refuse_repeated(said, listed.value if listed else (), sites)
    hubs, spokes = said.settle(hub_places, customer), said.settle(spoke_places, customer)
    for place, hub in zip(hub_places, hubs, strict=True):
        if hub in spokes or hubs.count(hub) > 1:
            said.ask(QuestionKind.CONTRADICTION, place, "this site is named as hub and as something else, or twice")
    sites = list(dict.fromkeys([*sites, *hubs, *spokes]))
    if spokes and not hubs:
        hubs = [site for site in sites if site not in spokes]
    elif spokes and set(sites) != {*hubs, *spokes}:
        said.ask(QuestionKind.AMBIGUOUS, said.every(SpokesFact)[0], "are the other sites hubs or spokes?")
    _require_enough(said, action, sites)
    if listed and listed.pairwise and len(listed.value) > 2 and not hubs:
        said.ask(QuestionKind.AMBIGUOUS, listed, "which of these are to reach each other? use one list, or a hub")
    return sites, hubs


def _refuse_repeated(said: Statements, places: Sequence[Place], sites: list[SiteReference]) -> None:
    for position, place in enumerate(places):
        if sites[position] in sites[:position]:
            said.ask(QuestionKind.CONTRADICTION, place, "this site is named twice")


def _require_enough(said: Statements, action: ActionFact, sites: list[SiteReference]) -> None:
    counted = said.one(CountFact)
    if counted and sites and counted.value != len(sites):
        said.ask(QuestionKind.CONTRADICTION, counted, f"{len(sites)} are named: {', '.join(map(str, sites))}")
    elif len(sites) < 2 and not said.questions:
        listed: Fact = next(iter(_naming_places(said)), action)
        said.ask(QuestionKind.MISSING, listed, "which sites are to be connected? at least two")


def _naming_places(said: Statements) -> tuple[Fact, ...]:
    return (*said.every(SitesFact), *said.every(HubsFact), *said.every(SpokesFact))


def _topology(said: Statements, action: ActionFact, unsaid: _Unsaid, hubs: list[SiteReference]) -> Topology:
    stated = said.one(TopologyFact)
    roles: Fact | None = next(iter((*said.every(HubsFact), *said.every(SpokesFact))), None)
    topology = stated.value if stated else unsaid.template.topology
    if not stated and roles:
        topology = topology if topology is not Topology.ANY_TO_ANY else Topology.HUB_SPOKE
    elif not stated:
        unsaid.take("topology", topology)
    if topology is Topology.ANY_TO_ANY and roles:
        said.ask(QuestionKind.CONTRADICTION, roles, f"there are no hubs and spokes in {topology}")
    elif topology is not Topology.ANY_TO_ANY and not hubs:
        said.ask(QuestionKind.MISSING, stated or roles or action, "which site is the hub?")
    elif hubs and roles and isinstance(roles, HubsFact) and _all_hubs(said, hubs):
        said.ask(QuestionKind.CONTRADICTION, roles, "every site is a hub: which are the spokes?")
    return topology


def _all_hubs(said: Statements, hubs: list[SiteReference]) -> bool:
    listed = [place for fact in said.every(SitesFact) for place in fact.value]
    spokes = [place for fact in said.every(SpokesFact) for place in fact.value]
    return len(hubs) >= 2 and not spokes and len(listed) <= len(hubs)


def _delivery_choices(
    said: Statements, unsaid: _Unsaid
) -> tuple[ServiceType, AddressFamilyFact | None, RoutingFact | None]:
    """Service type, address family and routing; what is unsaid is recorded as taken from the template."""
    types = [fact.value for fact in said.every(ServiceFact) if fact.value]
    if not types:
        unsaid.take("service-type", unsaid.template.service_type)
    family, routing = said.one(AddressFamilyFact), said.one(RoutingFact)
    if not family:
        unsaid.take("address-family", unsaid.template.address_family)
    unsaid.take("address-allocation", unsaid.template.address_allocation)
    if not routing:
        unsaid.take("routing", unsaid.template.routing)
    unsaid.take("qos-profile", unsaid.template.qos_profile)
    return types[0] if types else unsaid.template.service_type, family, routing


def _properties(said: Statements, unsaid: _Unsaid) -> tuple[PropertyExpectation, ...]:
    """What is said, and from the template what is not; one direction of bandwidth said leaves the other unsaid."""
    stated = said.expectations()
    names = {expectation.about for expectation in stated}
    added: list[PropertyExpectation] = []
    for default in unsaid.template.properties:
        name = default.about
        if name is Property.BANDWIDTH and names & _BOTH_WAYS:
            added += [PropertyExpectation(way, default.condition, default.value) for way in sorted(_BOTH_WAYS - names)]
        elif name not in names:
            added.append(default)
    for expectation in added:
        unsaid.take(expectation.about, expectation)
    return (*stated, *added)
