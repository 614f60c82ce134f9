"""Owns the reading of a sentence about a running service: change its properties, its sites or its end, or delete it."""

from controller.intent.facts import (
    Action,
    ActionFact,
    AddressFamilyFact,
    CountFact,
    CustomerFact,
    EndFact,
    ExpectationFact,
    Fact,
    HubsFact,
    LastsFact,
    MentionFact,
    Place,
    PriorityFact,
    RoutingFact,
    ServiceFact,
    ServiceModelFact,
    SitesFact,
    SpokesFact,
    StartFact,
    TemplateFact,
    TopologyFact,
    VpnFact,
    VpnNameFact,
)
from controller.intent.knowledge import KnownVpn
from controller.intent.model import (
    IntentChange,
    IntentWithdrawal,
    PropertyExpectation,
    SiteReference,
    Topology,
    Validity,
)
from controller.intent.reading import QuestionKind
from controller.intent.statements import Statements

_NEVER_CHANGED: tuple[type[Fact], ...] = (
    AddressFamilyFact, PriorityFact, RoutingFact, ServiceModelFact, TemplateFact, VpnNameFact,
)  # fmt: skip
_PROPERTIES: tuple[type[Fact], ...] = (ExpectationFact, MentionFact)
_PLACES: tuple[type[Fact], ...] = (SitesFact, CountFact)
_SHAPE: tuple[type[Fact], ...] = (TopologyFact, HubsFact, SpokesFact)
_END: tuple[type[Fact], ...] = (EndFact, LastsFact)


def read_change(said: Statements, action: ActionFact) -> IntentChange | IntentWithdrawal | None:
    """The change or the withdrawal; None when `said.questions` says why not."""
    said.forbid(_NEVER_CHANGED, "this cannot be said about a running VPN")
    if action.value is Action.DISCONNECT and not _names_service(said):
        return _disconnect(said, action)
    vpn = _running_vpn(said, action)
    if vpn is None:
        return None
    if action.value in {Action.REMOVE, Action.DISCONNECT}:
        return _remove(said, vpn)
    if action.value is Action.ADD:
        return _add(said, action, vpn)
    if action.value is Action.EXTEND:
        return _extend(said, action, vpn)
    return _set(said, action, vpn)


def _names_service(said: Statements) -> bool:
    return bool(said.every(VpnFact)) or bool(said.every(CustomerFact) and said.every(ServiceFact))


def _running_vpn(said: Statements, action: ActionFact) -> KnownVpn | None:
    """The one running VPN that is meant."""
    named, customer = said.one(VpnFact), said.customer()
    if named:
        vpn = next(vpn for vpn in said.knowledge.vpns if vpn.vpn_id == named.value)
        if customer and customer.value != vpn.customer:
            said.ask(QuestionKind.CONTRADICTION, customer, f"{vpn.vpn_id} belongs to {vpn.customer}")
            return None
        return vpn
    candidates = said.knowledge.vpns_of(customer.value) if customer else said.knowledge.vpns
    if customer and len(candidates) == 1:
        return candidates[0]
    kind = QuestionKind.AMBIGUOUS if customer and candidates else QuestionKind.MISSING
    text = "which VPN?" if candidates else "there is no such VPN"
    said.ask(kind, customer or action, text, [vpn.vpn_id for vpn in candidates][:5])
    return None


def _disconnect(said: Statements, action: ActionFact) -> IntentWithdrawal | None:
    """Places alone name the VPN that connects exactly them."""
    said.forbid((*_PROPERTIES, *_SHAPE, *_END, CountFact), "this cannot be said about a disconnection")
    listed, customer = said.one(SitesFact), said.customer()
    about: Fact = listed or customer or action
    if listed is None or len(listed.value) < 2:
        said.ask(QuestionKind.MISSING, about, "from which VPN?", [vpn.vpn_id for vpn in said.knowledge.vpns][:5])
        return None
    cities = {(place.options[0].city, place.options[0].country) for place in listed.value}
    running = said.knowledge.vpns_of(customer.value) if customer else said.knowledge.vpns
    joining = [vpn for vpn in running if cities <= {(site.city, site.country) for site in vpn.sites}]
    if (
        len(joining) == 1
        and len(joining[0].sites) == len(cities)
        and not any(p.options[0].site_id for p in listed.value)
    ):
        effective = said.validity().start
        return None if said.questions else IntentWithdrawal(joining[0].customer, joining[0].vpn_id, effective)
    kind = QuestionKind.AMBIGUOUS if joining else QuestionKind.CONTRADICTION
    text = "which VPN is meant, and which of its sites are to leave it?" if joining else "no VPN connects these places"
    said.ask(kind, listed, text, [vpn.vpn_id for vpn in joining])
    return None


def _remove(said: Statements, vpn: KnownVpn) -> IntentChange | IntentWithdrawal | None:
    said.forbid((*_PROPERTIES, *_SHAPE, *_END), "this cannot be said about a removal")
    listed, validity = said.one(SitesFact), said.validity()
    if listed is None:
        said.forbid((CountFact,), "which sites?")
        return None if said.questions else IntentWithdrawal(vpn.customer, vpn.vpn_id, validity.start)
    leaving = said.settle(listed.value, vpn.customer, vpn.sites)
    _check_count(said, leaving)
    for position, place in enumerate(listed.value):
        if leaving[position] not in vpn.sites:
            said.ask(QuestionKind.CONTRADICTION, place, f"this is not a site of {vpn.vpn_id}")
        elif leaving[position] in leaving[:position]:
            said.ask(QuestionKind.CONTRADICTION, place, "this site is named twice")
    if not said.questions and len(vpn.sites) - len(leaving) < 2:
        text = f"this leaves {vpn.vpn_id} with fewer than two sites: is the VPN to be deleted?"
        said.ask(QuestionKind.CONTRADICTION, listed, text, (f"delete the VPN {vpn.vpn_id}",))
    if vpn.hubs and set(vpn.hubs) <= set(leaving):
        said.ask(QuestionKind.CONTRADICTION, listed, f"this leaves {vpn.vpn_id} without a hub")
    if said.questions:
        return None
    return IntentChange(vpn.customer, vpn.vpn_id, remove_sites=tuple(leaving), validity=validity)


def _add(said: Statements, action: ActionFact, vpn: KnownVpn) -> IntentChange | None:
    said.forbid(_PROPERTIES, "is this for the new site or for the whole VPN? say it in a change of its own")
    said.forbid((*_END, TopologyFact), "this cannot be said about a site that is added")
    listed: list[SitesFact | HubsFact | SpokesFact] = [*said.every(SitesFact), *said.every(HubsFact)]
    listed += said.every(SpokesFact)
    places = [place for fact in listed for place in fact.value]
    joining = said.settle(places, vpn.customer)
    _check_count(said, joining)
    for position, place in enumerate(places):
        site = joining[position]
        same_city = not site.site_id and (site.city, site.country) in {(old.city, old.country) for old in vpn.sites}
        if same_city or site in {*vpn.sites, *joining[:position]}:
            said.ask(QuestionKind.CONTRADICTION, place, f"{vpn.vpn_id} has this site already, or it is named twice")
    hubs = said.settle([place for fact in said.every(HubsFact) for place in fact.value], vpn.customer)
    for fact in (*said.every(HubsFact), *said.every(SpokesFact)):
        if not vpn.hubs:
            said.ask(QuestionKind.CONTRADICTION, fact, f"{vpn.vpn_id} has no hubs and spokes")
    if not places:
        said.ask(QuestionKind.MISSING, action, "which site is to be added?")
    validity = said.validity()
    if said.questions:
        return None
    return IntentChange(vpn.customer, vpn.vpn_id, add_sites=tuple(joining), hubs=tuple(hubs), validity=validity)


def _extend(said: Statements, action: ActionFact, vpn: KnownVpn) -> IntentChange | None:
    said.forbid((*_PROPERTIES, *_PLACES, *_SHAPE, StartFact), "only a new end can be said about an extension")
    said.forbid((LastsFact,), "from when on? say until which day")
    ends = said.one(EndFact)
    if ends is None and not said.questions:
        said.ask(QuestionKind.MISSING, action, "until when?")
    if ends is None or said.questions:
        return None
    return IntentChange(vpn.customer, vpn.vpn_id, validity=Validity(end=ends.value))


def _set(said: Statements, action: ActionFact, vpn: KnownVpn) -> IntentChange | None:
    said.forbid(_PLACES, "what is to happen with these sites?")
    said.forbid(_END, "does the change or the VPN end then? say it in a change of its own")
    if action.value is not Action.SET:
        said.forbid(_SHAPE, f"this cannot be {action.value}d")
    said.forbid((SpokesFact,), "name the hub instead")
    properties = said.expectations()
    topology, hubs = _shape(said, vpn)
    if not properties and topology is None and not hubs and not said.questions:
        said.ask(QuestionKind.MISSING, action, "what is to become of it?")
    _check_direction(said, action, vpn)
    validity = said.validity()
    if said.questions:
        return None
    return IntentChange(
        vpn.customer, vpn.vpn_id, properties=properties, topology=topology, hubs=tuple(hubs), validity=validity
    )


def _shape(said: Statements, vpn: KnownVpn) -> tuple[Topology | None, list[SiteReference]]:
    stated = said.one(TopologyFact)
    facts = said.every(HubsFact)
    places: list[Place] = [place for fact in facts for place in fact.value]
    hubs = said.settle(places, vpn.customer, vpn.sites)
    for place, hub in zip(places, hubs, strict=True):
        if hub not in vpn.sites:
            said.ask(QuestionKind.CONTRADICTION, place, f"this is not a site of {vpn.vpn_id}")
    if stated and stated.value is Topology.ANY_TO_ANY and facts:
        said.ask(QuestionKind.CONTRADICTION, facts[0], "there are no hubs in any-to-any")
    elif stated and stated.value is not Topology.ANY_TO_ANY and not hubs:
        said.ask(QuestionKind.MISSING, stated, "which site is the hub?")
    elif facts and len(hubs) >= len(vpn.sites):
        said.ask(QuestionKind.CONTRADICTION, facts[0], "every site would be a hub")
    elif facts and not stated and not vpn.hubs:
        said.ask(QuestionKind.MISSING, facts[0], f"{vpn.vpn_id} is any-to-any: is it to be hub-and-spoke?")
    return stated.value if stated else None, hubs


def _check_direction(said: Statements, action: ActionFact, vpn: KnownVpn) -> None:
    """Raising to less, or lowering to more, than there is now cannot be what is meant."""
    current = {expectation.about: expectation for expectation in vpn.properties}
    for fact in said.every(ExpectationFact):
        now = current.get(fact.value.about)
        if now is None or action.value is Action.SET:
            continue
        if _goes_wrong_way(action.value, now, fact.value):
            said.ask(QuestionKind.CONTRADICTION, fact, f"it is {now.amount} now, so this does not {action.value} it")


def _goes_wrong_way(action: Action, now: PropertyExpectation, then: PropertyExpectation) -> bool:
    return then.value <= now.value if action is Action.RAISE else then.value >= now.value


def _check_count(said: Statements, sites: list[SiteReference]) -> None:
    counted = said.one(CountFact)
    if counted and counted.value != len(sites):
        said.ask(QuestionKind.CONTRADICTION, counted, f"{len(sites)} are named: {', '.join(map(str, sites))}")
