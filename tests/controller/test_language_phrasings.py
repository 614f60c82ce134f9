"""What people say is read exactly, or asked back exactly: two files of phrasings over the shipped knowledge base."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from controller.adapters.knowledge import load_knowledge
from controller.intent.knowledge import KnowledgeBase, KnownVpn
from controller.intent.language import understand
from controller.intent.model import (
    Condition,
    Intent,
    IntentChange,
    IntentWithdrawal,
    Property,
    PropertyExpectation,
    SiteReference,
)
from controller.intent.reading import NeedsClarification, Result, Understood

HERE = Path(__file__).parent
NOW = datetime(2026, 11, 18, 10, 0, tzinfo=UTC)
TEMPLATE_FIELDS = {
    "customer", "service-type", "topology", "bandwidth", "address-family", "address-allocation", "routing",
    "qos-profile", "priority",
}  # fmt: skip


def place(city: str, country: str, site_id: str = "") -> SiteReference:
    return SiteReference(city, country, site_id)


def running(rate: int) -> tuple[PropertyExpectation, ...]:
    return (PropertyExpectation(Property.BANDWIDTH, Condition.AT_LEAST, rate),)


LONDON, PARIS, MADRID = place("London", "GB"), place("Paris", "FR"), place("Madrid", "ES")
VPNS = (
    KnownVpn("acme-1", "acme", (LONDON, PARIS), running(100_000_000)),
    KnownVpn("globex-1", "globex", (place("London", "GB", "globex-city"), MADRID), running(200_000_000)),
    KnownVpn("globex-2", "globex", (PARIS, place("Berlin", "DE"), MADRID), running(200_000_000)),
)


def knowledge_base() -> KnowledgeBase:
    return load_knowledge(HERE.parents[1] / "config" / "knowledge").merged(vpns=VPNS)


KNOWLEDGE = knowledge_base()


def listen(text: str) -> Result:
    return understand(text, KNOWLEDGE, now=NOW)


def site_names(sites: tuple[SiteReference, ...]) -> list[str]:
    ambiguous = {"Birmingham"}
    return [site.site_id or (f"{site.city}/{site.country}" if site.city in ambiguous else site.city) for site in sites]


def moment(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%MZ") if at else None


def compact(members: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in members.items() if value not in (None, [], "")}


def summary(result: Understood) -> dict[str, object]:
    """All that was said, flat, in the form of the phrasings files."""
    wish = result.wish
    if isinstance(wish, IntentWithdrawal):
        return {"withdraw": compact({"customer": wish.customer, "vpn": wish.vpn_id, "from": moment(wish.effective)})}
    hubs = wish.hubs if isinstance(wish, IntentChange) else wish.delivery.hubs
    common = {
        "customer": wish.customer, "vpn": wish.vpn_id, "hubs": site_names(hubs),
        "from": moment(wish.validity.start), "until": moment(wish.validity.end),
        **{expectation.about.value: str(expectation) for expectation in wish.properties},
    }  # fmt: skip
    if isinstance(wish, IntentChange):
        parts = {"add": site_names(wish.add_sites), "remove": site_names(wish.remove_sites), "topology": wish.topology}
        return {"change": compact({**common, **parts})}
    return {"create": compact({**common, **created(wish), "template": wish.template})}


def created(intent: Intent) -> dict[str, object]:
    delivery = intent.delivery
    return {
        "sites": site_names(delivery.sites),
        "service-type": delivery.service_type,
        "topology": delivery.topology,
        "address-family": delivery.address_family,
        "address-allocation": delivery.address_allocation,
        "routing": delivery.routing,
        "qos-profile": delivery.qos_profile,
        "priority": intent.priority,
        **{context.name: context.value for context in intent.contexts},
    }


def said_only(result: Understood) -> dict[str, object]:
    """The summary without what was assumed."""
    ((kind, members),) = summary(result).items()
    assert isinstance(members, dict)
    assumed = {assumption.field for assumption in result.assumed}
    if "template" not in {reading.field for reading in result.readings}:
        assumed.add("template")
    return {kind: {key: value for key, value in members.items() if key not in assumed}}


def load(name: str) -> list[dict[str, object]]:
    cases = yaml.safe_load((HERE / name).read_text(encoding="utf-8"))
    assert isinstance(cases, list)
    return cases


BEFORE, AGAINST = load("phrasings.yaml"), load("phrasings_adversarial.yaml")
CASES = BEFORE + AGAINST


@pytest.mark.parametrize("case", CASES, ids=[str(case["say"])[:70] for case in CASES])
def test_a_phrasing_is_read_exactly_or_asked_back_exactly(case):
    result = listen(case["say"])
    if "ask" in case:
        assert isinstance(result, NeedsClarification), result
        assert [[question.kind.value, question.words] for question in result.questions] == case["ask"]
        for question in result.questions:
            assert case["say"][question.start :].startswith(question.words)
        return
    assert isinstance(result, Understood), [str(question) for question in result.questions]
    expected = {kind: case[kind] for kind in ("create", "change", "withdraw") if kind in case}
    assert said_only(result) == expected
    if "create" in case:
        said = set(case["create"])
        directions = {"input-bandwidth", "output-bandwidth"}
        unsaid = TEMPLATE_FIELDS - said - ({"bandwidth"} if said & directions else set())
        if "template" in said:
            unsaid |= {"latency", "availability"} - said
        assert {assumption.field for assumption in result.assumed} == unsaid
        assert {assumption.template for assumption in result.assumed} == {case["create"].get("template", "business")}
