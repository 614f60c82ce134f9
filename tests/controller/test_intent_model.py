"""An intent says what it says, refuses what cannot be, and becomes the mapping's flat request."""

from datetime import UTC, datetime

import pytest

from controller.intent.model import (
    AddressAllocation,
    AddressFamily,
    Condition,
    DeliveryExpectation,
    Intent,
    IntentChange,
    Property,
    PropertyExpectation,
    Routing,
    ServiceType,
    SiteReference,
    SiteRole,
    Topology,
    Unit,
    Validity,
    connectivity_of,
)
from controller.model.errors import InvalidInputError
from controller.model.units import BitRate, Duration

LONDON, PARIS, MADRID = SiteReference("London", "GB"), SiteReference("Paris", "FR"), SiteReference("Madrid", "ES", "m1")
FAST = PropertyExpectation(Property.BANDWIDTH, Condition.AT_LEAST, 200_000_000)
NEAR = PropertyExpectation(Property.LATENCY, Condition.AT_MOST, 20_000)
SURE = PropertyExpectation(Property.AVAILABILITY, Condition.AT_LEAST, 999_500)


def delivery(sites=(LONDON, PARIS, MADRID), topology=Topology.ANY_TO_ANY, hubs=()):
    return DeliveryExpectation(
        ServiceType.L3VPN, topology, sites, hubs, AddressFamily.IPV4, AddressAllocation.STATIC, Routing.BGP, "gold"
    )


def intent(properties=(FAST, NEAR, SURE), **changes):
    return Intent(**{"customer": "acme", "owner": "acme", "delivery": delivery(), "properties": properties, **changes})


def test_an_expectation_reads_as_people_write_it_and_knows_its_unit():
    assert [str(expectation) for expectation in (FAST, NEAR, SURE)] == [">= 200 Mbit/s", "<= 20 ms", ">= 99.95 %"]
    assert [expectation.unit for expectation in (FAST, NEAR, SURE)] == [
        Unit.BITS_PER_SECOND, Unit.MICROSECONDS, Unit.PARTS_PER_MILLION,
    ]  # fmt: skip


def test_an_intent_becomes_a_request_with_rates_both_ways_and_site_roles():
    hubs = delivery(topology=Topology.HUB_SPOKE, hubs=(MADRID,))
    request = connectivity_of(intent(delivery=hubs, vpn_id="acme-7"))
    assert (request.customer, request.vpn_id, request.topology) == ("acme", "acme-7", Topology.HUB_SPOKE)
    assert request.input_bandwidth == request.output_bandwidth == BitRate(200_000_000)
    assert (request.latency, request.availability_ppm) == (Duration(20_000), 999_500)
    assert [(site.city, site.site_id, site.role) for site in request.sites] == [
        ("London", "", SiteRole.SPOKE), ("Paris", "", SiteRole.SPOKE), ("Madrid", "m1", SiteRole.HUB),
    ]  # fmt: skip


def test_the_two_directions_of_bandwidth_may_differ_but_both_must_be_known():
    down = PropertyExpectation(Property.INPUT_BANDWIDTH, Condition.AT_LEAST, 5)
    up = PropertyExpectation(Property.OUTPUT_BANDWIDTH, Condition.AT_LEAST, 3)
    request = connectivity_of(intent((down, up)))
    assert (request.input_bandwidth, request.output_bandwidth) == (BitRate(5), BitRate(3))
    with pytest.raises(InvalidInputError, match="output-bandwidth"):
        connectivity_of(intent((down,)))


@pytest.mark.parametrize(
    "build,path",
    [
        (lambda: delivery((LONDON,)), "delivery.sites"),
        (lambda: delivery((LONDON, LONDON)), "delivery.sites"),
        (lambda: delivery(topology=Topology.HUB_SPOKE), "delivery.hubs"),
        (lambda: delivery(hubs=(LONDON,)), "delivery.hubs"),
        (lambda: delivery((LONDON, PARIS), Topology.HUB_SPOKE, (MADRID,)), "delivery.hubs"),
        (lambda: delivery((LONDON, PARIS), Topology.HUB_SPOKE, (LONDON, PARIS)), "delivery.hubs"),
        (lambda: intent((FAST, FAST)), "properties"),
        (lambda: intent((FAST, PropertyExpectation(Property.INPUT_BANDWIDTH, Condition.AT_LEAST, 1))), "properties"),
        (lambda: intent((PropertyExpectation(Property.AVAILABILITY, Condition.AT_LEAST, 1_000_001),)), "properties"),
        (lambda: intent((PropertyExpectation(Property.LATENCY, Condition.AT_MOST, 0),)), "properties"),
        (lambda: intent(priority=0), "priority"),
        (lambda: Validity(start=datetime(2026, 1, 1)), "validity.start"),  # noqa: DTZ001 - the zone is missing on purpose
        (lambda: Validity(datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)), "validity.end"),
        (lambda: IntentChange("acme", "acme-1"), "change"),
    ],
)
def test_what_cannot_be_is_refused_with_the_field(build, path):
    with pytest.raises(InvalidInputError) as refused:
        build()
    assert refused.value.path == path
