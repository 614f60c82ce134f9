"""Wishes travel as JSON without loss; what is wrong in a document is named by its field."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.intent.codec import decode, decode_amount, encode, encode_amount, encode_result
from controller.intent.model import (
    AddressAllocation,
    AddressFamily,
    Condition,
    Context,
    DeliveryExpectation,
    Intent,
    IntentChange,
    IntentWithdrawal,
    Property,
    PropertyExpectation,
    Routing,
    ServiceType,
    SiteReference,
    Topology,
    Validity,
)
from controller.intent.reading import (
    Assumption,
    NeedsClarification,
    Question,
    QuestionKind,
    Understood,
    WordReading,
)
from controller.model.errors import InvalidInputError

SITES = (SiteReference("London", "GB"), SiteReference("Paris", "FR", "acme-paris"))
SINCE = datetime(2026, 12, 1, tzinfo=UTC)
names = st.text(alphabet="abcxyz-09", min_size=1, max_size=8)
amounts = st.one_of(
    st.tuples(st.just(Property.BANDWIDTH), st.integers(1, 10**14)),
    st.tuples(st.just(Property.LATENCY), st.integers(1, 10**7)),
    st.tuples(st.just(Property.AVAILABILITY), st.integers(1, 10**6)),
)
expectations = st.builds(
    lambda amount, condition: PropertyExpectation(amount[0], condition, amount[1]), amounts, st.sampled_from(Condition)
)
property_lists = st.lists(expectations, unique_by=lambda expectation: expectation.about).map(tuple)
validities = st.builds(
    lambda start, days: Validity(start, (start or SINCE) + timedelta(days=days) if days else None),
    st.none() | st.just(SINCE),
    st.integers(0, 900),
)
intents = st.builds(
    Intent,
    customer=names,
    owner=names,
    delivery=st.builds(
        DeliveryExpectation,
        service_type=st.just(ServiceType.L3VPN),
        topology=st.just(Topology.HUB_SPOKE),
        sites=st.just(SITES),
        hubs=st.sampled_from([SITES[:1], SITES[1:]]),
        address_family=st.sampled_from(AddressFamily),
        address_allocation=st.sampled_from(AddressAllocation),
        routing=st.sampled_from(Routing),
        qos_profile=names,
    ),
    properties=property_lists,
    contexts=st.lists(st.builds(Context, names, names), max_size=2).map(tuple),
    validity=validities,
    priority=st.integers(1, 9),
    template=st.just("") | names,
    vpn_id=st.none() | names,
    intent_id=st.just("") | names,
)
changes = st.builds(
    IntentChange,
    customer=names,
    vpn_id=names,
    add_sites=st.just(SITES),
    remove_sites=st.sampled_from([(), SITES]),
    properties=property_lists,
    topology=st.none() | st.sampled_from(Topology),
    hubs=st.sampled_from([(), SITES]),
    validity=validities,
)
withdrawals = st.builds(IntentWithdrawal, customer=names, vpn_id=names, effective=st.none() | st.just(SINCE))


@given(st.one_of(intents, changes, withdrawals))
def test_a_wish_survives_json_unchanged(wish):
    assert decode(json.loads(json.dumps(encode(wish)))) == wish


def test_a_result_shows_its_wish_readings_and_assumptions_or_its_questions():
    wish = IntentWithdrawal("acme", "acme-1")
    understood = Understood(wish, (WordReading("acme-1", "vpn", "acme-1"),), (Assumption("priority", "5", "business"),))
    assert encode_result(understood) == {
        "understood": True,
        "wish": {"type": "withdrawal", "customer": "acme", "vpn-id": "acme-1"},
        "readings": [{"words": "acme-1", "field": "vpn", "value": "acme-1"}],
        "assumed": [{"field": "priority", "value": "5", "template": "business"}],
    }
    unclear = NeedsClarification((Question(QuestionKind.MISSING_UNIT, "200", "which unit?", ("200 Mbit/s",), 5),))
    assert encode_result(unclear) == {
        "understood": False,
        "questions": [
            {"kind": "missing-unit", "words": "200", "start": 5, "text": "which unit?", "suggestions": ["200 Mbit/s"]}
        ],
    }


@given(expectations)
def test_an_amount_is_written_so_that_it_reads_the_same(expectation):
    assert decode_amount(expectation.about, encode_amount(expectation), "value") == expectation.value


def whole_intent() -> dict[str, object]:
    delivery = DeliveryExpectation(
        ServiceType.L3VPN,
        Topology.ANY_TO_ANY,
        SITES,
        (),
        AddressFamily.IPV4,
        AddressAllocation.STATIC,
        Routing.BGP,
        "gold",
    )
    fast = PropertyExpectation(Property.BANDWIDTH, Condition.AT_LEAST, 200_000_000)
    return json.loads(json.dumps(encode(Intent("acme", "acme", delivery, (fast,), validity=Validity(start=SINCE)))))


def at(document, *steps):
    for step in steps:
        document = document[step]
    return document


@pytest.mark.parametrize(
    "steps,key,value,path",
    [
        ((), "type", "wish", "type"),
        ((), "customer", 7, "customer"),
        ((), "customer", None, "customer"),
        ((), "priority", "5", "priority"),
        ((), "priority", True, "priority"),
        ((), "priority", 12, "priority"),
        ((), "urgency", "high", "urgency"),
        (("delivery",), "topology", "ring", "delivery.topology"),
        (("delivery",), "colour", "red", "delivery.colour"),
        (("delivery",), "sites", "London", "delivery.sites"),
        (("delivery", "sites", 1), "city", "", "delivery.sites[1].city"),
        (("properties", 0), "value", "200", "properties[0].value"),
        (("properties", 0), "value", "200 MB/s", "properties[0].value"),
        (("properties", 0), "value", "0.5 bit/s", "properties[0].value"),
        (("properties", 0), "condition", "about", "properties[0].condition"),
        (("validity",), "start", "2026-12-01T00:00:00", "validity.start"),
        (("validity",), "end", "soon", "validity.end"),
        (("validity",), "end", "2026-11-01T00:00:00+00:00", "validity.end"),
    ],
)
def test_an_error_names_the_field(steps, key, value, path):
    document = whole_intent()
    at(document, *steps)[key] = value
    with pytest.raises(InvalidInputError) as refused:
        decode(document)
    assert refused.value.path == path


@pytest.mark.parametrize("document", [None, [], "connect", 3, {}])
def test_what_is_no_wish_at_all_is_refused(document):
    with pytest.raises(InvalidInputError):
        decode(document)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["type", "customer", "delivery", "sites", "properties", "value", "priority"]), inner
            )
        ),
    )
)
def test_random_json_is_refused_with_a_path_and_never_crashes(document):
    with pytest.raises(InvalidInputError) as refused:
        decode({"type": "intent", **document} if isinstance(document, dict) else document)
    assert refused.value.path
