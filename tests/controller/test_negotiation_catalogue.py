"""What is sold: grades in order, the cheapest service that meets a request, and files that say where they are wrong."""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import inf, nan
from pathlib import Path

import pytest

from controller.adapters.catalogue import load_catalogue, load_market_policy
from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.money import Money
from controller.model.units import BitRate
from controller.negotiation.catalogue import Axis, Catalogue, Grade, Offering, Tier
from tests.controller.market_samples import CATALOGUE, DIRECTORY

SERVICES = (DIRECTORY / "services.yaml").read_text()
SCARCITY = (DIRECTORY / "scarcity.yaml").read_text()


def meets(offering: Offering, rate: int, latency: float, availability: float) -> bool:
    grades = offering.bandwidth, offering.latency, offering.availability
    return grades[0].bound >= rate and grades[1].bound <= latency and grades[2].bound >= availability


def test_the_cheapest_service_that_meets_a_request_is_found() -> None:
    wanted = product((1, 10**7, 10**7 + 1, 10**9, 10**11), (inf, 0.06, 0.02, 0.0199, 0.001), (0.0, 0.5, 0.999, 0.99999))
    for tier, (rate, latency, availability) in product(Tier, wanted):
        fitting = [
            each for each in CATALOGUE.offerings if each.tier is tier and meets(each, rate, latency, availability)
        ]
        lowest = min((each.price_per_hour.minor for each in fitting), default=None)
        found = CATALOGUE.cheapest(tier, BitRate(rate), latency, availability)
        if found is None:
            assert lowest is None
        else:
            assert meets(found, rate, latency, availability)
            assert found.price_per_hour.minor == lowest


@pytest.mark.parametrize("rate, latency, availability", [(10**11 + 1, inf, 0.0), (1, 0.0009, 0.0), (1, inf, 0.999999)])
def test_what_no_grade_meets_is_not_sold(rate: int, latency: float, availability: float) -> None:
    assert CATALOGUE.cheapest(Tier.OPTICAL, BitRate(rate), latency, availability) is None


def test_only_the_deterministic_tier_promises_the_lowest_latencies() -> None:
    assert CATALOGUE.cheapest(Tier.IP, BitRate(10**7), 0.005, 0.0) is None
    assert CATALOGUE.cheapest(Tier.OPTICAL, BitRate(10**7), 0.005, 0.0) is not None


def test_a_base_price_is_the_product_of_its_factors_rounded_once() -> None:
    offering = CATALOGUE.offering("optical-10M-20ms-99.99")
    exact = Fraction("0.20") * Fraction("1.25") * Fraction("1.3") * Fraction("2.5")
    assert offering.price_per_hour == Money.parse("0.20", "EUR").times(exact / Fraction("0.20"))
    assert offering.price_per_hour.amount == "0.81"


def test_a_service_takes_of_an_axis_only_where_its_grade_promises_something() -> None:
    assert CATALOGUE.offering("ip-1G-any-basic").axes == (Axis.BANDWIDTH,)
    assert CATALOGUE.offering("ip-1G-20ms-99.9").axes == tuple(Axis)


def test_names_that_are_not_there_are_named() -> None:
    with pytest.raises(NotFoundError, match="ip-7G-any-basic"):
        CATALOGUE.offering("ip-7G-any-basic")
    with pytest.raises(NotFoundError, match="latency grade 'swift'"):
        CATALOGUE.grade(Axis.LATENCY, "swift")


@pytest.mark.parametrize(
    "axis, bound",
    [
        (Axis.BANDWIDTH, nan),
        (Axis.BANDWIDTH, inf),
        (Axis.BANDWIDTH, 0.0),
        (Axis.BANDWIDTH, -1.0),
        (Axis.LATENCY, nan),
        (Axis.LATENCY, 0.0),
        (Axis.AVAILABILITY, 1.1),
        (Axis.AVAILABILITY, -0.1),
    ],
)
def test_a_grade_without_a_bound_that_can_be_met_is_refused(axis: Axis, bound: float) -> None:
    with pytest.raises(InvalidInputError, match=f"the {axis} grade 'odd'"):
        Grade(axis, "odd", 1, bound)


def test_a_catalogue_is_refused_with_all_its_problems() -> None:
    ladder = CATALOGUE.grades[Axis.BANDWIDTH]
    upside_down = tuple(replace(grade, rank=rank) for rank, grade in enumerate(reversed(ladder)))
    dollars = replace(CATALOGUE.offerings[0], price_per_hour=Money(5, "USD"))
    with pytest.raises(InvalidInputError) as refused:
        Catalogue("EUR", frozenset(), {**CATALOGUE.grades, Axis.BANDWIDTH: upside_down}, (dollars, dollars))
    for problem in ("no workload classes", "promises no more", "priced in USD", "same id", "not listed"):
        assert problem in refused.value.message


@pytest.mark.parametrize("minor", [0, -5])
def test_a_service_that_costs_nothing_or_less_is_refused(minor: int) -> None:
    with pytest.raises(InvalidInputError, match="ip-10M-any-basic"):
        replace(CATALOGUE.offerings[0], price_per_hour=Money(minor, "EUR"))


@pytest.mark.parametrize(
    "old, new, complaint",
    [
        ('price: "0.20"', 'price: "-0.20"', "services.yaml.*-0.20"),
        ('price: "0.20"', "price: 0.20", "services.yaml.*bandwidth.0.price"),
        ('price: "320.00"', 'price: "9999999999999999.00"', "services.yaml"),
        ("currency: EUR", "currency: XXQ", "services.yaml.*XXQ"),
        ('factor: "1.05"', 'factor: "nan"', "services.yaml.*latency.1.factor"),
        ("at-most: 50 ms", "at-most: soon", "services.yaml.*soon"),
        ("100ms, 50ms, 20ms]", "100ms, swift]", "latency grade 'swift'"),
        ("  ip:", "  copper:", "services.yaml.*tiers"),
        ("currency: EUR", "currency: EUR\nrebate: all", "services.yaml.*rebate"),
        ('at-least: "0.999"', 'at-least: "1.999"', "availability grade '99.9'"),
    ],
)
def test_a_wrong_file_of_services_is_refused_with_the_place(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in SERVICES
    (tmp_path / "services.yaml").write_text(SERVICES.replace(old, new, 1))
    with pytest.raises(InvalidInputError, match=complaint):
        load_catalogue(tmp_path)


@pytest.mark.parametrize(
    "old, new, complaint",
    [
        ('modest: "1.25", steep: "2"', 'modest: "2", steep: "1.25"', "bandwidth factors"),
        ('modest: "1.25", steep: "2"', 'modest: "0.5", steep: "2"', "bandwidth factors"),
        ("modest: {enter: 0.2, leave: 0.1}", "modest: {enter: 0.2, leave: 0.2}", "band 'modest'"),
        ("steep: {enter: 0.8, leave: 0.5}", "steep: {enter: .nan, leave: 0.5}", "band 'steep'"),
        ("gain: 0.3", "gain: 0", "scarcity.yaml.*move by 0"),
        ("most: 6", "most: .inf", "scarcity.yaml"),
        ("share: 1.0", "share: 1.5", "share of 1.5"),
        ("valid-seconds: 30", "valid-seconds: -1", "-1.0 s"),
        ("dwell-seconds: 30", "dwell-seconds: -3", "-3.0 s"),
        ("  latency:", "  jitter:", "scarcity.yaml.*jitter"),
    ],
)
def test_a_wrong_file_of_scarcity_is_refused_with_the_place(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in SCARCITY
    (tmp_path / "scarcity.yaml").write_text(SCARCITY.replace(old, new, 1))
    with pytest.raises(InvalidInputError, match=complaint):
        load_market_policy(tmp_path)
